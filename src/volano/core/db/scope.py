"""Statements that carry the workspace of their transaction, and the proof that they do.

A criterion is added while a statement is built; that none is missing is checked where a statement
is compiled, so once per shape (SQLAlchemy caches what it compiled) and never per execution.
"""

import enum
from collections.abc import Iterable, Iterator
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.sql.operators import eq
from sqlalchemy.sql.selectable import Join

from volano.schemas.errors import Broken

COLUMN: Final = "workspace"
_BIND = "workspace_scope"
_OPTION = "volano_scope"


class Everywhere(enum.Enum):
    """The type of EVERYWHERE."""

    EVERYWHERE = "everywhere"


EVERYWHERE: Final = Everywhere.EVERYWHERE
"""Marks a transaction of the system itself, bound to no workspace; a test lists who may use it."""


class Unscoped(Broken):
    """The statement would touch rows of other workspaces: {reason}."""

    remedy = "Build it with this transaction's tx.select, tx.insert, tx.update or tx.delete."


class Scope:
    """Whose rows a transaction may touch: one workspace's, or (bind is None) everyone's."""

    __slots__ = ("bind", "workspace")

    def __init__(self, workspace: str | Everywhere) -> None:
        self.workspace = workspace
        self.bind = None if workspace is EVERYWHERE else sa.bindparam(_BIND, workspace, sa.String)

    def criteria(self, *froms: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """Return the condition on each table that is split by workspace."""
        if self.bind is None:
            return []
        return [table.c[COLUMN] == self.bind for table in _flat(froms) if is_split(table)]

    def mark(self, statement: Any) -> Any:
        """Write this scope on the statement, where it survives every further `.where()`."""
        return statement.execution_options(**{_OPTION: self})

    def owns(self, statement: sa.Executable) -> bool:
        """Return whether the statement was built in this scope."""
        return statement.get_execution_options().get(_OPTION) is self


def is_split(table: Any) -> bool:
    """Return whether the table (or an alias of one) has rows of many workspaces."""
    inner = getattr(table, "element", table)
    return isinstance(inner, sa.Table) and COLUMN in table.c


class ScopedSelect(sa.Select[Any]):
    """A SELECT that scopes every table that later joins it."""

    inherit_cache = True
    _scope: Scope

    @classmethod
    def build(cls, scope: Scope, columns: Iterable[Any]) -> Self:
        statement = cls(*columns)
        statement._scope = scope
        return statement._within(scope.criteria(*_named(columns)))

    def select_from(self, *froms: Any) -> Self:
        return super().select_from(*froms)._within(self._scope.criteria(*froms))

    # SQLAlchemy calls this one when it rewrites a statement whose tables it keeps.
    select_from.non_generative = sa.Select.select_from.non_generative  # type: ignore[attr-defined] # added by @_generative

    def join(
        self, target: Any, onclause: Any = None, *, isouter: bool = False, full: bool = False
    ) -> Self:
        if isouter or full:
            onclause = self._on(target, onclause, full)
            joined = super().join(target, onclause, isouter=True)
            return joined._without(target)
        return super().join(target, onclause)._within(self._scope.criteria(target))

    def join_from(
        self,
        from_: Any,
        target: Any,
        onclause: Any = None,
        *,
        isouter: bool = False,
        full: bool = False,
    ) -> Self:
        left = self._scope.criteria(from_)
        if isouter or full:
            onclause = self._on(target, onclause, full)
            joined = super().join_from(from_, target, onclause, isouter=True)
            return joined._without(target)._within(left)
        both = left + self._scope.criteria(target)
        return super().join_from(from_, target, onclause)._within(both)

    def _within(self, criteria: list[sa.ColumnElement[bool]]) -> Self:
        return self.where(*criteria) if criteria else self

    def _on(self, target: Any, onclause: Any, full: bool) -> Any:
        """Return the ON clause of an outer join, which alone may say whose rows are joined."""
        if onclause is None or full:
            raise Unscoped(reason=f"the join to {target} must be LEFT, with its ON written out")
        return sa.and_(onclause, *self._scope.criteria(target))

    def _without(self, target: Any) -> Self:
        """Remove the criterion from WHERE: it would drop the rows for which nothing joined."""
        self._where_criteria = tuple(
            clause for clause in self._where_criteria if _scoped_table(clause) is not target
        )
        return self


class _Scoped:
    """An INSERT whose rows belong to the workspace of the transaction."""

    inherit_cache = True
    _scope: Scope
    table: Any

    @classmethod
    def build(cls, scope: Scope, table: sa.Table) -> Any:
        statement: Any = cls(table)  # type: ignore[call-arg] # the dialect's Insert takes it
        statement._scope = scope
        return scope.mark(statement)

    def owned(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row with its workspace filled in."""
        if self._scope.bind is None or not is_split(self.table):
            return row
        if COLUMN in row:
            raise Unscoped(reason=f"a row for {self.table.name} names its workspace itself")
        return {**row, COLUMN: self._scope.workspace}

    def values(self, *rows: Any, **row: Any) -> Any:
        if row:
            rows = (row,)
        (given,) = rows
        filled = self.owned(given) if isinstance(given, dict) else [self.owned(r) for r in given]
        return super().values(filled)  # type: ignore[misc] # of the dialect's Insert

    def from_select(self, names: Any, select: Any, include_defaults: bool = True) -> Any:
        if self._scope.bind is not None and is_split(self.table):
            names = [COLUMN, *names]
            select = select.with_only_columns(
                self._scope.bind.label(COLUMN),
                *select.selected_columns,
                maintain_column_froms=True,
            )
        return super().from_select(names, select, include_defaults)  # type: ignore[misc] # same


class _SqliteInsert(_Scoped, sqlite.Insert):
    inherit_cache = True


class _PostgresqlInsert(_Scoped, postgresql.Insert):
    inherit_cache = True


INSERTS: dict[str, type[_Scoped]] = {"sqlite": _SqliteInsert, "postgresql": _PostgresqlInsert}


class _ScopeCheck:
    """Mixed into a dialect's compiler: refuses to compile what leaves a table unscoped."""

    def __init__(self, dialect: sa.Dialect, statement: Any, *rest: Any, **kw: Any) -> None:
        scope = getattr(statement, "_execution_options", {}).get(_OPTION)
        if scope is not None and scope.bind is not None:
            _check(statement, frozenset())
        super().__init__(dialect, statement, *rest, **kw)  # type: ignore[call-arg] # SQLCompiler's


def checked(dialect: sa.Dialect) -> None:
    """Make the dialect compile only statements whose every table is scoped."""
    compiler: Any = dialect.statement_compiler
    dialect.statement_compiler = type("Checked", (_ScopeCheck, compiler), {})


def _check(statement: Any, enclosing: frozenset[Any]) -> None:
    parts, inner = _parts(statement)
    scoped = {table for part in parts if (table := _scoped_table(part)) is not None}
    used = {table for part in parts if is_split(table := getattr(part, "table", part))}
    free = set() if isinstance(statement, sa.Insert) else used - scoped
    # A correlated subquery may name the enclosing tables, beside at least one table of its own.
    if free and not (free <= enclosing and used - free):
        raise Unscoped(reason=f"no workspace on {', '.join(sorted(str(t) for t in free))}")
    if isinstance(statement, sa.Update) and COLUMN in map(_name, statement._values or ()):
        raise Unscoped(reason="a row would move to another workspace")
    for select in inner:
        _check(select, enclosing | scoped)


def _parts(statement: Any) -> tuple[list[Any], list[Any]]:
    """Yield the elements of a statement down to, but not into, its tables and inner statements."""
    parts, inner, todo = [], [], list(statement.get_children())
    while todo:
        part = todo.pop()
        if isinstance(part, (sa.Select, sa.Update, sa.Delete)):
            inner.append(part)
            continue
        parts.append(part)
        if not (isinstance(part, sa.Column) or is_split(part)):
            todo.extend(part.get_children())
    return parts, inner


def _name(column: Any) -> str:
    return str(getattr(column, "name", column))


def _scoped_table(part: Any) -> Any:
    """Return the table of `table.workspace = :workspace_scope`."""
    if not isinstance(part, BinaryExpression) or part.operator is not eq:
        return None
    left, right = part.left, part.right
    is_scope = isinstance(right, BindParameter) and right.key == _BIND
    named = getattr(left, "name", None) == COLUMN
    return getattr(left, "table", None) if is_scope and named else None


def _flat(froms: Iterable[Any]) -> Iterator[Any]:
    """Return the single tables below joins."""
    for from_ in froms:
        if isinstance(from_, Join):
            if from_.isouter and is_split(from_.right) and not _is_scoped_on(from_):
                raise Unscoped(reason=f"an outer join to {from_.right}; write .outerjoin() instead")
            yield from _flat((from_.left, from_.right))
        else:
            yield from_


def _is_scoped_on(join: Join) -> bool:
    return any(_scoped_table(p) is join.right for p in visitors.iterate(join.onclause))


def _named(columns: Iterable[Any]) -> Iterator[Any]:
    """Return the tables that the columns of a SELECT name, each once."""
    seen: dict[Any, None] = {}
    for column in columns:
        for from_ in getattr(column, "_from_objects", ()):
            seen[from_] = None
    yield from seen

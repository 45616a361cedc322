"""One transaction of one workspace: builds statements for its rows and runs only those.

A statement carries its workspace from where it is built. That no table is without it is checked
where the statement is compiled: see `scope.py`.
"""

import enum
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.selectable import Join

from volano.core.db.session import Answer, Rows, Session
from volano.core.db.types import stored
from volano.schemas.errors import Broken

COLUMN: Final = "workspace"
BIND = "workspace_scope"
OPTION = "volano_scope"


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
        self.bind = None if workspace is EVERYWHERE else sa.bindparam(BIND, workspace, sa.String)

    def criteria(self, *froms: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """Return the condition on each table that is split by workspace."""
        if self.bind is None:
            return []
        return [table.c[COLUMN] == self.bind for table in _flat(froms) if is_split(table)]

    def mark(self, statement: Any) -> Any:
        """Write this scope on the statement, where it survives every further `.where()`."""
        return statement.execution_options(**{OPTION: self})

    def owns(self, statement: sa.Executable) -> bool:
        """Return whether the statement was built in this scope."""
        return statement.get_execution_options().get(OPTION) is self


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
        return statement._scoped_by(scope.criteria(*_named(columns)))

    def select_from(self, *froms: Any) -> Self:
        return super().select_from(*froms)._scoped_by(self._scope.criteria(*froms))

    # SQLAlchemy calls this one when it rewrites a statement whose tables it keeps.
    select_from.non_generative = sa.Select.select_from.non_generative  # type: ignore[attr-defined] # added by @_generative

    def join(self, target: Any, onclause: Any = None, **how: Any) -> Self:
        _refuse_outer(target, **how)
        return super().join(target, onclause)._scoped_by(self._scope.criteria(target))

    def join_from(self, from_: Any, target: Any, onclause: Any = None, **how: Any) -> Self:
        _refuse_outer(target, **how)
        both = self._scope.criteria(from_, target)
        return super().join_from(from_, target, onclause)._scoped_by(both)

    def _scoped_by(self, criteria: list[sa.ColumnElement[bool]]) -> Self:
        return self.where(*criteria) if criteria else self


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

    def from_select(self, *given: Any, **more: Any) -> Any:
        raise Unscoped(reason="INSERT … SELECT may take rows from another workspace")


class _SqliteInsert(_Scoped, sqlite.Insert):
    inherit_cache = True


class _PostgresqlInsert(_Scoped, postgresql.Insert):
    inherit_cache = True


INSERTS: dict[str, type[_Scoped]] = {"sqlite": _SqliteInsert, "postgresql": _PostgresqlInsert}


def _refuse_outer(target: Any, isouter: bool = False, full: bool = False) -> None:
    """Raise Unscoped for an outer join: a condition in WHERE would drop what joins nothing."""
    if isouter or full:
        raise Unscoped(reason=f"an outer join to {target}, which cannot be scoped")


def _flat(froms: Iterable[Any]) -> Iterator[Any]:
    """Yield the single tables below joins."""
    for from_ in froms:
        if isinstance(from_, Join):
            _refuse_outer(from_.right, from_.isouter, from_.full)
            yield from _flat((from_.left, from_.right))
        else:
            yield from_


def _named(columns: Iterable[Any]) -> Iterator[Any]:
    """Yield the tables that the columns of a SELECT name, each once."""
    seen: dict[Any, None] = {}
    for column in columns:
        for from_ in getattr(column, "_from_objects", ()):
            seen[from_] = None
    yield from seen


AfterCommit = Callable[[], Any]


class WorkspaceMismatch(Broken):
    """A transaction of {inner!r} was asked for inside one of {outer!r}."""


class TxAborted(Broken):
    """The transaction is over: {reason}."""


class _Fate:
    """Remembers why a transaction is over; after that nothing more runs in it."""

    def __init__(self) -> None:
        self._reason = ""

    def refuse_over(self) -> None:
        if self._reason:
            raise TxAborted(reason=self._reason)

    def end(self) -> None:
        self._reason = self._reason or "its block has been left"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._reason = self._reason or f"{type(error).__name__} in a statement"


class Tx:
    """A transaction. A statement that fails ends it: only what is inside a nested `begin` can be
    given up and survived, on both databases alike."""

    def __init__(self, session: Session, workspace: str | Everywhere, root: "Tx | None" = None):
        self.scope = Scope(workspace)
        self._session = session
        self._root = root or self
        self._fate = _Fate()
        self._after: list[AfterCommit] = []
        self._depth = 0

    @property
    def workspace(self) -> str | Everywhere:
        """Whose rows this transaction touches."""
        return self.scope.workspace

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`: for the few statements that differ."""
        return self._session.dialect.name

    def select(self, *columns: Any) -> sa.Select[Any]:
        """Select columns or tables; tables that join later are scoped too."""
        statement: sa.Select[Any] = self.scope.mark(ScopedSelect.build(self.scope, columns))
        return statement

    def insert(self, table: sa.Table) -> Any:
        """Insert by the dialect's `INSERT` (it has `on_conflict_do_update`); fill the workspace."""
        return INSERTS[self.dialect].build(self.scope, table)

    def upsert(self, table: sa.Table, *, keys: Sequence[str]) -> Any:
        """Insert, skipping rows whose keys are there; the count says how many were new."""
        return self.insert(table).on_conflict_do_nothing(index_elements=list(keys))

    def update(self, table: sa.Table) -> sa.Update:
        """Update this workspace's rows."""
        statement: sa.Update = self.scope.mark(sa.update(table))
        return statement.where(*self.scope.criteria(table))

    def delete(self, table: sa.Table) -> sa.Delete:
        """Delete this workspace's rows."""
        statement: sa.Delete = self.scope.mark(sa.delete(table))
        return statement.where(*self.scope.criteria(table))

    def union_all(self, *selects: sa.Select[Any]) -> sa.CompoundSelect[Any]:
        """Unite all rows of statements that this transaction built."""
        for select in selects:
            self._admit(select)
        union: sa.CompoundSelect[Any] = self.scope.mark(sa.union_all(*selects))
        return union

    async def all(self, statement: sa.Executable, rows: Rows = None) -> Sequence[sa.Row[Any]]:
        """Return every row of the answer."""
        return (await self._execute(statement, rows)).rows

    async def one(self, statement: sa.Executable, rows: Rows = None) -> sa.Row[Any] | None:
        """Return the first row of the answer, or None."""
        found = await self.all(statement, rows)
        return found[0] if found else None

    async def scalar(self, statement: sa.Executable, rows: Rows = None) -> Any:
        """Return the first column of the first row, or None."""
        row = await self.one(statement, rows)
        return None if row is None else row[0]

    async def run(self, statement: sa.Executable, rows: Rows = None) -> int:
        """Run the statement, once per row where rows are given; how many rows it touched.

        PostgreSQL does not count where many rows are given: -1.
        """
        return (await self._execute(statement, rows)).touched

    async def append(
        self,
        table: sa.Table,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        once: bool = True,
    ) -> int:
        """Insert many rows the shortest way; how many were new.

        With `once` a row whose key is there already is skipped, without it that is an error.
        """
        if not rows:
            return 0
        if self.scope.bind is not None and is_split(table):
            columns = (COLUMN, *columns)
            rows = [(self.workspace, *row) for row in rows]
        ready = stored(table, columns, rows, self._session.dialect)
        self._fate.refuse_over()
        with self._fate:
            return await self._session.append(table, tuple(columns), ready, once)

    def after_commit(self, callback: AfterCommit) -> None:
        """Call this (and await what it returns) once the outermost transaction is committed."""
        self._after.append(callback)

    async def committed(self) -> None:
        """Run the callbacks; the database calls this."""
        for callback in self._after:
            result = callback()
            if inspect.isawaitable(result):
                await result

    @contextmanager
    def block(self) -> Iterator[None]:
        """Enter the block in which this transaction may be used.

        Raises: TxAborted (a statement failed in it, and nothing let that end the transaction).
        """
        try:
            yield
            self._fate.refuse_over()
        finally:
            self._fate.end()

    def everywhere(self) -> "Tx":
        """Return this same transaction without its workspace, for the core's own bookkeeping.

        A test lists who may call it; statements name their workspace themselves.
        """
        view = Tx(self._session, EVERYWHERE, self._root)
        view._after, view._fate = self._after, self._fate
        return view

    @asynccontextmanager
    async def nested(self, workspace: str | Everywhere) -> "AsyncIterator[Tx]":
        """Open a savepoint: what runs in it is kept with this transaction or given up alone.

        Raises: WorkspaceMismatch (only the system's own transaction may narrow to a workspace).
        """
        if workspace != self.workspace and self.workspace is not EVERYWHERE:
            raise WorkspaceMismatch(inner=str(workspace), outer=str(self.workspace))
        self._fate.refuse_over()
        self._root._depth += 1
        inner = Tx(self._session, workspace, self._root)
        with self._session.controls.savepoint(f"s{self._root._depth}"), inner.block():
            yield inner
        self._after += inner._after

    async def _execute(self, statement: sa.Executable, rows: Rows) -> Answer:
        self._admit(statement)
        self._fate.refuse_over()
        with self._fate:
            return await self._session.execute(*self._filled(statement, rows))

    def _admit(self, statement: sa.Executable) -> None:
        if self.scope.bind is not None and not self.scope.owns(statement):
            raise Unscoped(reason="it was not built by this transaction")

    def _filled(self, statement: sa.Executable, rows: Rows) -> tuple[sa.Executable, Rows]:
        """Fill in the workspace of rows for an INSERT: `values` was not called for them."""
        if rows is None or not isinstance(statement, sa.Insert) or not hasattr(statement, "owned"):
            return statement, rows
        if isinstance(rows, dict):
            return statement, statement.owned(rows)
        return statement, [statement.owned(row) for row in rows]

"""The proof that a statement carries the workspace of its transaction.

It is made where a statement is compiled, so once per shape (SQLAlchemy caches what it compiled) and
never per execution.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.sql.operators import eq

from volano.core.db.tx import BIND, COLUMN, OPTION, Unscoped, is_split


class _ScopeCheck:
    """Mixed into a dialect's compiler: refuses to compile what leaves a table unscoped."""

    def __init__(self, dialect: sa.Dialect, statement: Any, *rest: Any, **kw: Any) -> None:
        scope = getattr(statement, "_execution_options", {}).get(OPTION)
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
    is_scope = isinstance(right, BindParameter) and right.key == BIND
    named = getattr(left, "name", None) == COLUMN
    return getattr(left, "table", None) if is_scope and named else None

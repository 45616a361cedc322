"""Values made from their types: a body that an operation reads, a row that a table takes.

So tests over all operations and all tables grow with them.
"""

from datetime import UTC, datetime
from typing import Any, get_args

import sqlalchemy as sa
from msgspec import inspect

from volano.app import LINEAGES, STREAMS
from volano.core.db import Instant, Uuid16
from volano.core.db.tx import COLUMN
from volano.core.http.routes import Operation
from volano.schemas.common import Id
from volano.schemas.data import Split

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ID = "01a1fd59-4423-78e1-a2b3-59f4312e8f81"
"""An id that every kind of thing may have: a UUID, a file's name and a name that people give."""

NOT_IDS = {
    "kind": [kind for one in LINEAGES for kind in one.kinds if kind not in one.ends],
    "split": list(get_args(Split)),
}
"""Names in a path that choose something else than a thing, with what they may be.

Contributors have no row of their own, so nobody may ask for one.
"""

CELLS: dict[type, Any] = {bool: False, int: 1, float: 1.0, object: {}}


def body(operation: Operation) -> Any:
    """Return the JSON value of the smallest body that means something; every id in it is `ID`."""
    if operation.body is None or operation.body.as_is:
        return None
    return _value(inspect.type_info(operation.body.shape))


def paths(operation: Operation) -> list[str]:
    """Return an operation's path with `ID` for every name in it, once per choice that it offers."""
    found = [operation.path]
    for parameter in operation.parameters:
        if parameter.where == "path":
            mark, values = f"{{{parameter.name}}}", NOT_IDS.get(parameter.name, [ID])
            found = [path.replace(mark, value) for path in found for value in values]
    return found


def query(operation: Operation) -> dict[str, Any]:
    """Return the parameters that the query of an operation must have."""
    needed = [p for p in operation.parameters if p.where == "query" and p.required]
    return {p.wire: _value(inspect.type_info(p.type)) for p in needed}


def rows(table: sa.Table) -> list[dict[str, Any]]:
    """Return a row without its workspace, one per stream of an inbox; its ids are `ID`."""
    row = {column.name: _cell(column.type) for column in table.columns if column.name != COLUMN}
    return [row | {"stream": stream.name} for stream in STREAMS] if "stream" in row else [row]


def _value(kind: inspect.Type) -> Any:
    match kind:
        case inspect.Metadata():
            return _value(kind.type)
        case inspect.StructType():
            return {field.encode_name: _value(field.type) for field in _fields(kind)}
        case inspect.UnionType():
            return _value(kind.types[0])
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.ListType():
            return [_value(kind.item_type)] * max(1, kind.min_length or 0)
        case inspect.DictType():
            return {}
        case inspect.StrType():
            return ID[: kind.max_length]
        case inspect.IntType() | inspect.FloatType():
            return max(kind.ge or 0, min(100, kind.le or 100))
        case inspect.BoolType():
            return False
    raise TypeError(f"no example of {kind}: add one here")


def _fields(kind: inspect.StructType) -> list[inspect.Field]:
    """Choose those that are required or may name a thing, and else the first document."""
    chosen = [field for field in kind.fields if field.required or _holds(field, _is_id)]
    return chosen or [field for field in kind.fields if _holds(field, _is_struct)][:1]


def _holds(field: inspect.Field, test: Any) -> bool:
    kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    return any(test(kind) for kind in kinds)


def _is_id(kind: inspect.Type) -> bool:
    return kind == inspect.type_info(Id)


def _is_struct(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.StructType)


def _cell(kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, Uuid16):
        return ID
    if isinstance(kind, Instant):
        return NOW
    if isinstance(kind, sa.LargeBinary):
        return bytes(kind.length or 16)
    if isinstance(kind, sa.String):
        return ID[: kind.length]
    return CELLS[kind.python_type]

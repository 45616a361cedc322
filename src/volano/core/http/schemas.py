"""The JSON schemas of the wire shapes, with what is written about their fields in the source."""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any, Final, get_args

import msgspec

Json = dict[str, Any]

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}


class Schemas:
    """The schemas of some types, made in one go; the structs among them are `components`."""

    def __init__(self, types: Iterable[Any]) -> None:
        types = list(dict.fromkeys(types))
        schemas, components = msgspec.json.schema_components(
            types, ref_template="#/components/schemas/{name}"
        )
        self._by_type = dict(zip(types, schemas, strict=True))
        self.components = dict(sorted(components.items()))
        for struct in structs_in(types):
            if schema := components.get(struct.__name__):
                _complete(schema, struct)

    def of(self, shape: Any) -> Json:
        """Return a copy of the schema of a type; bytes have none."""
        return dict(self._by_type.get(shape, {}))


def structs_in(types: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """Find the structs that these types name, and those that they name in turn."""
    found: set[type[msgspec.Struct]] = set()
    left = list(types)
    while left:
        kind = left.pop()
        left += get_args(kind)
        struct = getattr(kind, "__origin__", kind)
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct not in found:
            found.add(struct)
            left += [field.type for field in msgspec.structs.fields(struct)]
    return found


def _complete(schema: Json, struct: type[msgspec.Struct]) -> None:
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    notes = dict(field_notes(struct))
    for field in msgspec.structs.fields(struct):
        shown = schema["properties"][field.encode_name]
        if note := notes.get(field.name):
            shown.setdefault("description", note)
        # msgspec names the format only where it checks the time zone.
        if datetime in (field.type, *get_args(field.type)):
            shown |= _TIME if shown.get("type") == "string" else {}
            if "anyOf" in shown:
                shown["anyOf"] = [_TIME if one == _TEXT else one for one in shown["anyOf"]]


def field_notes(struct: type) -> Iterator[tuple[str, str]]:
    """Yield each field of a class and of its bases with what the text below it says."""
    for base in reversed(struct.__mro__):
        body = _classes(base.__module__).get(base.__name__, ())
        for field, text in pairwise(body):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(note))),
                ):
                    yield name, " ".join(note.split())


@cache
def _classes(module: str) -> dict[str, list[ast.stmt]]:
    """Parse the bodies of a module's classes; none where its source is not there."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    return {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}

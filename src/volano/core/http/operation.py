"""One operation of the API: a typed function, compiled once at import into what serves it."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Required,
    TypedDict,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from volano.core.http.answer import Answer, Raw, Stream
from volano.core.http.body import JSON, Body, Read
from volano.core.http.guard import Limits
from volano.core.http.parameters import Header, Parameter, Reader, Where, fields_of
from volano.schemas.accounts import PERMISSIONS, Permission
from volano.schemas.errors import VolanoError

PUBLIC: Final = "public"
"""The `allow` of an operation that needs no key; its function is given None for `who`."""

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Allow = Permission | Literal["public"]
Handler = Callable[..., Awaitable[Any]]


class Options(TypedDict, total=False):
    """What a route declares beside its function."""

    allow: Required[Allow]
    """A permission of the role table, or PUBLIC."""
    status: int
    """Of the answer when all went well; 204 for a function that returns None."""
    natural: bool
    """Repeating it changes nothing by its own ids, so it takes no Idempotency-Key."""
    errors: tuple[type[VolanoError], ...]
    """What it may refuse with, beside what every operation may."""
    reads: Mapping[str, Read]
    """Further media types of the body, each with what decodes it."""
    produces: str
    """The media type of a `Raw` or `Stream` answer."""
    limits: Limits
    before: Handler
    """Called with `ctx`, `who` and the parameters before the body is read, so that to refuse
    costs little."""
    hidden: bool
    """Not an operation of the API: left out of its description."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """What is known about one operation; nothing in it depends on a request or a server."""

    method: str
    path: str
    tag: str
    handler: Handler
    allow: Allow
    status: int
    natural: bool
    errors: tuple[type[VolanoError], ...]
    produces: str
    limits: Limits
    before: Handler | None
    hidden: bool
    parameters: tuple[Parameter, ...]
    query: type[msgspec.Struct] | None
    """The type of a parameter named `query`: its fields are among `parameters`."""
    body: Body | None
    result: Any

    @property
    def id(self) -> str:
        """Unique over the API, and the name of the method in generated clients."""
        return f"{self.tag}_{self.handler.__name__}"

    @property
    def unsafe(self) -> bool:
        """Whether it may change something."""
        return self.method in UNSAFE

    @property
    def keyed(self) -> bool:
        """Whether it takes an Idempotency-Key."""
        return self.unsafe and not self.natural and self.allow != PUBLIC

    def reader(self, where: Where) -> Reader:
        """What reads the parameters of this place."""
        struct = self.query if where == "query" else None
        return Reader(where, [p for p in self.parameters if p.where == where], struct)


def operation(
    handler: Handler, method: str, path: str, tag: str, *, allow: Allow, **options: Any
) -> Operation:
    """Compile `handler` into an operation.

    Raises: TypeError (a signature that cannot be served), at import.
    """
    if allow != PUBLIC and allow not in PERMISSIONS:
        raise TypeError(f"{_name(handler)}: there is no permission {allow!r}")
    hints = get_type_hints(handler, include_extras=True)
    signature = list(inspect.signature(handler).parameters.values())
    if [p.name for p in signature[:2]] != ["ctx", "who"]:
        raise TypeError(f"{_name(handler)}: the first two parameters are ctx and who")
    own = signature[2:]
    result = hints.get("return", NoneType)
    compiled = Operation(
        method=method,
        path=path,
        tag=tag,
        handler=handler,
        allow=allow,
        status=options.get("status", 204 if result is NoneType else 200),
        natural=options.get("natural", False),
        errors=options.get("errors", ()),
        produces=options.get("produces", "" if _typed(result) else "application/octet-stream"),
        limits=options.get("limits", Limits()),
        before=options.get("before"),
        hidden=options.get("hidden", False),
        parameters=_parameters(handler, own, hints, names_in(path)),
        query=hints.get("query") if _is_struct(hints.get("query")) else None,
        body=_body(own, hints, options.get("reads", {})),
        result=result,
    )
    _check(compiled, hints)
    return compiled


def names_in(path: str) -> list[str]:
    """The parameters of a path template, in order."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _parameters(
    handler: Handler, own: list[inspect.Parameter], hints: dict[str, Any], in_path: list[str]
) -> tuple[Parameter, ...]:
    found: dict[str, Parameter] = {}
    for parameter in own:
        hint = hints[parameter.name]
        if parameter.name == "body":
            continue
        if parameter.name == "query" and _is_struct(hint):
            found |= {one.name: one for one in fields_of(hint)}
            continue
        where, wire = _place(handler, parameter, hint, in_path)
        default = parameter.default
        if default is inspect.Parameter.empty:
            default = msgspec.NODEFAULT
        found[parameter.name] = Parameter(parameter.name, wire, where, hint, default)
    if missing := [name for name in in_path if name not in found]:
        raise TypeError(f"{_name(handler)}: no parameter for {missing} of the path")
    # The values of a path come in its own order, whatever the order of the function is.
    order = in_path + [name for name in found if name not in in_path]
    return tuple(found[name] for name in order)


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _place(
    handler: Handler, parameter: inspect.Parameter, hint: Any, in_path: list[str]
) -> tuple[Where, str]:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    if header := next((mark for mark in marks if isinstance(mark, Header)), None):
        return "header", header.name.lower()
    if parameter.name in in_path:
        return "path", parameter.name
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return "query", parameter.name
    raise TypeError(
        f"{_name(handler)}: {parameter.name!r} is neither in the path nor keyword-only (query)"
    )


def _body(
    own: list[inspect.Parameter], hints: dict[str, Any], reads: Mapping[str, Read]
) -> Body | None:
    for parameter in own:
        if parameter.name == "body":
            required = parameter.default is inspect.Parameter.empty
            return Body(hints["body"], reads, required=required)
    return None


def _check(compiled: Operation, hints: dict[str, Any]) -> None:
    name = _name(compiled.handler)
    if compiled.allow == PUBLIC and hints.get("who", NoneType) is not NoneType:
        raise TypeError(f"{name}: a public operation knows nobody; declare `who: None`")
    if compiled.body and compiled.method in ("GET", "DELETE"):
        raise TypeError(f"{name}: {compiled.method} has no body")
    streams = compiled.result is Stream or bool(compiled.body and compiled.body.streams)
    if compiled.keyed and streams:
        raise TypeError(f"{name}: a stream cannot be repeated for an Idempotency-Key: natural=True")


def _typed(result: Any) -> bool:
    return result not in (Raw, Stream)


def result_shape(compiled: Operation) -> Any:
    """The type that the answer's document has; None for bytes or nothing."""
    result = compiled.result
    if result in (NoneType, Raw, Stream):
        return None
    return get_args(result)[0] if get_origin(result) is Answer else result


def result_media_type(compiled: Operation) -> str:
    """The media type of the answer when all went well."""
    return compiled.produces or JSON


def _name(handler: Handler) -> str:
    return f"{handler.__module__}.{handler.__qualname__}"

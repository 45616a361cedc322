"""How a stage declares its operations: typed functions, each compiled at import."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    Required,
    TypedDict,
    TypeVar,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from volano.core.http.guard import RequestLimits
from volano.core.http.request import Body, Header, Parameter, Read, Reader, Where, fields_of
from volano.schemas.accounts import PERMISSIONS, Permission
from volano.schemas.errors import VolanoError

CURRENT = "/api/v1"
"""The root of the current version; the same paths are served below `/api`."""

PUBLIC: Final = "public"
"""The `allow` of an operation that needs no key; its function is given None for `who`."""

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Allow = Permission | Literal["public"]
Handler = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """A typed value with a status or headers that depend on the request."""

    value: T
    status: int | None = None
    headers: Mapping[str, str] = {}


class ByteStream(StreamingResponse):
    """Bytes as they come; the deadline of the request ends where the stream begins.

    The chunks are closed when they end, when they fail and when the client goes.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        media_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> None:
        super().__init__(chunks, status, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                head = {"status": self.status_code, "headers": self.raw_headers}
                await send({"type": "http.response.start", **head})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                await self.body_iterator.aclose()


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
    """The media type of a `Response` or `ByteStream`."""
    limits: RequestLimits
    before: Handler
    """Called with `ctx`, `who` and the parameters before the body is read, so that to refuse
    costs little."""
    hidden: bool
    """Not an operation of the API: left out of its description."""
    rest: bool
    """The last parameter of the path is all that follows, with its slashes."""


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
    limits: RequestLimits
    before: Handler | None
    hidden: bool
    rest: bool
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
        """Tell whether it may change something."""
        return self.method in UNSAFE

    @property
    def keyed(self) -> bool:
        """Tell whether it takes an Idempotency-Key."""
        return self.unsafe and not self.natural and self.allow != PUBLIC

    @property
    def result_shape(self) -> Any:
        """The type of the answer's document; None for bytes or nothing."""
        if self.result in (NoneType, Response, ByteStream):
            return None
        return get_args(self.result)[0] if get_origin(self.result) is Answer else self.result

    def reader(self, where: Where) -> Reader:
        """Make what reads the parameters of this place."""
        struct = self.query if where == "query" else None
        return Reader(where, [p for p in self.parameters if p.where == where], struct)


class Routes:
    """The operations of one stage below one prefix.

        routes = Routes("/runs", tag="runs")

        @routes.get("/{id}", allow="read")
        async def show(ctx: Context, who: Who, id: Id) -> schemas.Run: ...

    The function's signature is the contract: `body` is decoded to its type, names of the path are
    path parameters, other keyword-only ones are the query, the result's type is the answer's. A
    struct named `query` stands for several of the query, one a field.
    """

    def __init__(self, prefix: str, *, tag: str, root: str = CURRENT) -> None:
        self.prefix = root + prefix
        self.tag = tag
        self.operations: list[Operation] = []

    def get(self, path: str = "", **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a reading operation; it answers HEAD too."""
        return self._declare("GET", path, options)

    def post(self, path: str = "", **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare an operation that makes or does something."""
        return self._declare("POST", path, options)

    def put(self, path: str = "", **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare an operation that sets the whole of something."""
        return self._declare("PUT", path, options)

    def patch(self, path: str = "", **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare an operation that changes a part of something."""
        return self._declare("PATCH", path, options)

    def delete(self, path: str = "", **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare an operation that removes something."""
        return self._declare("DELETE", path, options)

    def _declare(self, method: str, path: str, options: Options) -> Callable[[F], F]:
        def declare(handler: F) -> F:
            whole = self.prefix + path or "/"
            self.operations.append(operation(handler, method, whole, self.tag, **options))
            return handler

        return declare


def operation(
    handler: Handler, method: str, path: str, tag: str, *, allow: Allow, **options: Any
) -> Operation:
    """Compile `handler` into an operation.

    Raises: TypeError (a signature that cannot be served), at import.
    """
    name = f"{handler.__module__}.{handler.__qualname__}"
    if allow != PUBLIC and allow not in PERMISSIONS:
        raise TypeError(f"{name}: there is no permission {allow!r}")
    hints = get_type_hints(handler, include_extras=True)
    signature = list(inspect.signature(handler).parameters.values())
    if [p.name for p in signature[:2]] != ["ctx", "who"]:
        raise TypeError(f"{name}: the first two parameters are ctx and who")
    own = {p.name: p for p in signature[2:]}
    result = hints.get("return", NoneType)
    body = None
    if given := own.pop("body", None):
        required = given.default is inspect.Parameter.empty
        body = Body(hints["body"], options.get("reads", {}), required=required)
    query = hints.get("query")
    struct = query if isinstance(query, type) and issubclass(query, msgspec.Struct) else None
    if struct:
        del own["query"]
    compiled = Operation(
        method=method,
        path=path,
        tag=tag,
        handler=handler,
        allow=allow,
        status=options.get("status", 204 if result is NoneType else 200),
        natural=options.get("natural", False),
        errors=options.get("errors", ()),
        produces=options.get("produces", _media_type(result)),
        limits=options.get("limits", RequestLimits()),
        before=options.get("before"),
        hidden=options.get("hidden", False),
        rest=options.get("rest", False),
        parameters=_parameters(name, list(own.values()), hints, names_in(path), struct),
        query=struct,
        body=body,
        result=result,
    )
    _check(name, compiled, hints)
    return compiled


def names_in(path: str) -> list[str]:
    """Return the names of a path template's parameters, in order."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _media_type(result: Any) -> str:
    return "application/octet-stream" if result in (Response, ByteStream) else "application/json"


def _parameters(
    handler: str,
    own: list[inspect.Parameter],
    hints: dict[str, Any],
    in_path: list[str],
    struct: type[msgspec.Struct] | None,
) -> tuple[Parameter, ...]:
    """List the parameters: those of the path in its own order, then the function's, then `query`'s.

    Raises: TypeError (one that is nowhere in a request, or of the path and not of the function).
    """
    found = {}
    for parameter in own:
        name, hint = parameter.name, hints[parameter.name]
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        header = next((mark for mark in marks if isinstance(mark, Header)), None)
        where: Where = "header" if header else "path" if name in in_path else "query"
        if where == "query" and parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"{handler}: {name!r} is neither in the path nor keyword-only (query)")
        default = parameter.default
        if default is inspect.Parameter.empty:
            default = msgspec.NODEFAULT
        wire = header.name.lower() if header else name
        found[name] = Parameter(name, wire, where, hint, default)
    if missing := [name for name in in_path if name not in found]:
        raise TypeError(f"{handler}: no parameter for {missing} of the path")
    order = in_path + [name for name in found if name not in in_path]
    fields = fields_of(struct) if struct else []
    return (*(found[name] for name in order), *fields)


def _check(name: str, compiled: Operation, hints: dict[str, Any]) -> None:
    """Refuse what contradicts itself.

    Raises: TypeError.
    """
    if compiled.allow == PUBLIC and hints.get("who", NoneType) is not NoneType:
        raise TypeError(f"{name}: a public operation knows nobody; declare `who: None`")
    if compiled.body and compiled.method in ("GET", "DELETE"):
        raise TypeError(f"{name}: {compiled.method} has no body")
    streams = compiled.result is ByteStream or bool(compiled.body and compiled.body.streams)
    if compiled.keyed and streams:
        raise TypeError(f"{name}: a stream cannot be repeated for an Idempotency-Key: natural=True")

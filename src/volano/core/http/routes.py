"""Routes: how a stage declares its operations."""

from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from volano.core.http.operation import Operation, Options, operation

F = TypeVar("F", bound=Callable[..., Any])

CURRENT = "/api/v1"
"""The root of the current version; the same paths are served below `/api`."""


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

"""Finds the operation of a path, in time that does not grow with the number of operations."""

from typing import Generic, TypeVar

from volano.core.http.operation import names_in

E = TypeVar("E")


class Node(Generic[E]):
    """One segment of a path: what follows it, and what answers when it is the last."""

    __slots__ = ("children", "endpoints", "parameter")

    def __init__(self) -> None:
        self.children: dict[str, Node[E]] = {}
        self.parameter: Node[E] | None = None
        self.endpoints: dict[str, E] = {}

    @property
    def allowed(self) -> str:
        """The value of an Allow header."""
        implied = {"OPTIONS", "HEAD"} if "GET" in self.endpoints else {"OPTIONS"}
        return ", ".join(sorted(implied | self.endpoints.keys()))


class Router(Generic[E]):
    """A tree of path segments; a literal segment wins over a parameter."""

    def __init__(self) -> None:
        self.root: Node[E] = Node()

    def add(self, method: str, path: str, endpoint: E) -> None:
        """Raises: TypeError (the path with this method is taken)."""
        node = self.root
        for segment in path.split("/")[1:]:
            if names_in(segment):
                node.parameter = node.parameter or Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, Node())
        if method in node.endpoints:
            raise TypeError(f"{method} {path} is declared twice")
        node.endpoints[method] = endpoint

    def find(self, path: str) -> tuple[Node[E], list[str]] | None:
        """The node of a path with the values of its parameters, None where nothing is."""
        return _walk(self.root, path.split("/"), 1, [])


def _walk(
    node: Node[E], segments: list[str], at: int, values: list[str]
) -> tuple[Node[E], list[str]] | None:
    while at < len(segments):
        segment = segments[at]
        at += 1
        child = node.children.get(segment)
        if node.parameter is None or not segment:
            if child is None:
                return None
            node = child
            continue
        # Both may lead there: try the literal first, come back for the parameter.
        if child is not None and (found := _walk(child, segments, at, list(values))):
            return found
        values.append(segment)
        node = node.parameter
    return (node, values) if node.endpoints else None

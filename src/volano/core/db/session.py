"""What a Tx needs of a connection: one open transaction, the same on both databases."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

Rows = Sequence[Mapping[str, Any]] | Mapping[str, Any] | None


class Answer(NamedTuple):
    """What a statement gave: its rows, and how many it touched."""

    rows: Sequence[sa.Row[Any]]
    touched: int


class Controls:
    """BEGIN, SAVEPOINT and friends that wait to travel with the next statement.

    A savepoint in which nothing ran is never sent at all.
    """

    def __init__(self, *opening: str) -> None:
        self._waiting = list(opening)

    @contextmanager
    def savepoint(self, name: str) -> Iterator[None]:
        """Keep what runs inside when the block ends well, and else roll it back alone."""
        self._waiting.append(f"SAVEPOINT {name}")
        undo = [f"ROLLBACK TO SAVEPOINT {name}"]
        try:
            yield
            undo = []
        finally:
            if not self._forget(name):
                self._waiting += (*undo, f"RELEASE SAVEPOINT {name}")

    def take(self) -> list[str]:
        """Take what has to run now."""
        taken, self._waiting = self._waiting, []
        return taken

    def _forget(self, name: str) -> bool:
        opening = f"SAVEPOINT {name}"
        if opening not in self._waiting:
            return False
        # What was opened inside it has not been sent either.
        del self._waiting[self._waiting.index(opening) :]
        return True


class Session(Protocol):
    """One open transaction on one connection."""

    dialect: sa.Dialect
    controls: Controls

    async def execute(self, statement: sa.Executable, rows: Rows) -> Answer:
        """Run one statement, or one per row; the answer is read to its end."""
        ...

    async def append(
        self, table: sa.Table, columns: tuple[str, ...], rows: list[tuple[Any, ...]], once: bool
    ) -> int:
        """Insert many rows of database values; with `once` skip those whose key is there."""
        ...

"""The four pipes between a worker and a run's process."""

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Self

CHUNK = 1 << 16


@dataclass(slots=True)
class Pipe:
    """Both ends of one pipe; -1 once closed."""

    read: int
    write: int

    @classmethod
    def opened(cls) -> Self:
        return cls(*os.pipe())

    def close_read(self) -> None:
        """Close the reading end, once."""
        if self.read >= 0:
            os.close(self.read)
        self.read = -1

    def close_write(self) -> None:
        """Close the writing end, once."""
        if self.write >= 0:
            os.close(self.write)
        self.write = -1


@dataclass(frozen=True, slots=True)
class Pipes:
    """The pipes of one run; `parent` only tells the child, by closing, that its parent is gone."""

    events: Pipe
    stdout: Pipe
    stderr: Pipe
    parent: Pipe

    @classmethod
    def opened(cls) -> Self:
        """Open four pipes that no other process inherits."""
        return cls(*(Pipe.opened() for _ in range(4)))

    def close_child_ends(self) -> None:
        """Close, after the start, the ends that only the child may hold.

        Otherwise the end of file never comes.
        """
        for pipe in (self.events, self.stdout, self.stderr):
            pipe.close_write()
        self.parent.close_read()

    def close(self) -> None:
        """Close all that is still open."""
        for pipe in (self.events, self.stdout, self.stderr, self.parent):
            pipe.close_read()
            pipe.close_write()


async def chunks(pipe: Pipe) -> AsyncGenerator[bytes]:
    """Yield what is written into a pipe until every writer has closed it, and close the pipe."""
    stream = asyncio.StreamReader()
    file = os.fdopen(pipe.read, "rb", buffering=0)
    pipe.read = -1
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), file
    )
    try:
        while chunk := await stream.read(CHUNK):
            yield chunk
    finally:
        transport.close()

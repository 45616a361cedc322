"""A log file of bounded size: its beginning, its end, and how much is missing between."""

from collections import deque
from pathlib import Path


class BoundedLog:
    """The first half of `limit` bytes goes to the file at once, the last half at the end."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file = path.open("wb")
        self._half = limit // 2
        self._head_left = self._half
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.cut = 0
        """Bytes that were left out so far."""

    def write(self, chunk: bytes) -> None:
        """Keep a chunk; what falls out of the middle is counted."""
        head, rest = chunk[: self._head_left], chunk[self._head_left :]
        if head:
            self._head_left -= len(head)
            self._file.write(head)
            self._file.flush()
        if rest:
            self._tail.append(rest[-self._half :])
            self._tail_size += len(self._tail[-1])
            self.cut += len(rest) - len(self._tail[-1])
            self._trim()

    def close(self) -> None:
        """Write the end after a line that says how much was cut."""
        if self.cut:
            self._file.write(b"\n... %d bytes cut ...\n" % self.cut)
        self._file.writelines(self._tail)
        self._tail.clear()
        self._file.close()

    def _trim(self) -> None:
        while (excess := self._tail_size - self._half) > 0:
            oldest = self._tail.popleft()
            gone = min(excess, len(oldest))
            if gone < len(oldest):
                self._tail.appendleft(oldest[gone:])
            self._tail_size -= gone
            self.cut += gone

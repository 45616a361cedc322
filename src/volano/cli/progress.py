"""Progress that is drawn again in place on a terminal, and now and then as a line in a pipe."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TextIO

_HIDE: Final = "\x1b[?25l\x1b[?7l"  # no cursor, and long lines are cut instead of wrapped
_SHOW: Final = "\x1b[?7h\x1b[?25h"
_REDRAW_S: Final = 0.08
_LINE_S: Final = 5.0


class Live:
    """A block of lines at the end of a stream.

    On a terminal the block is redrawn; elsewhere its first line is written every few seconds.
    """

    def __init__(
        self, stream: TextIO, *, in_place: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._in_place = in_place
        self._clock = clock
        self._rows = 0
        self._next = 0.0
        self._written = ""

    def __enter__(self) -> Self:
        if self._in_place:
            self._write(_HIDE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._in_place:
            self._write(_SHOW)

    def draw(self, lines: Callable[[], Sequence[str]], *, last: bool = False) -> None:
        """Show the lines, unless the block was drawn a moment ago; the last are always shown."""
        now = self._clock()
        if now < self._next and not last:
            return
        self._next = now + (_REDRAW_S if self._in_place else _LINE_S)
        if self._in_place:
            self._redraw(lines())
        else:
            self._append(lines()[0])

    def _redraw(self, lines: Sequence[str]) -> None:
        up = f"\x1b[{self._rows}A" if self._rows else ""
        self._write(up + "\r\x1b[J" + "".join(line + "\n" for line in lines))
        self._rows = len(lines)

    def _append(self, line: str) -> None:
        if line != self._written:
            self._write(line + "\n")
            self._written = line

    def _write(self, text: str) -> None:
        with suppress(OSError):  # nobody looks any more, and the work goes on
            self._stream.write(text)
            self._stream.flush()

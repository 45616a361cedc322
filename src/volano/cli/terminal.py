"""Where a command's words go, and the server that it talks to."""

import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO, TypeVar

from cyclopts import CoercionError, Parameter, Token

from volano.cli import render
from volano.cli.misuse import Misuse
from volano.cli.render import Columns, Ink, Look
from volano.schemas.errors import Invalid
from volano.sdk import config

if TYPE_CHECKING:
    from volano.sdk.client import Client

T = TypeVar("T")

Format = Literal["table", "json", "jsonl"]


class OutputUnusable(Invalid):
    """The output cannot be written: {reason}."""

    remedy = "Look at what it goes to: a full disk, a closed stream, a program that has ended."


@dataclass(kw_only=True)
class Terminal:
    """What every command is handed: results go to `out`, everything else to `err`."""

    format: Format = "table"
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    @cached_property
    def client(self) -> "Client":
        """The client of the chosen server."""
        from volano.sdk.client import Client

        return Client(self.url, self.key)

    @property
    def look(self) -> Look:
        """How results are laid out: for eyes on a terminal, complete and plain in a pipe."""
        if not self.out.isatty():
            return Look()
        wide = shutil.get_terminal_size().columns
        return Look(ink=Ink(self._colour(self.out)), width=wide, now=datetime.now(UTC))

    @property
    def ink(self) -> Ink:
        """The colours of what is said beside the results."""
        return Ink(self._colour(self.err))

    def rows(self, rows: Iterable[T], columns: Columns[T], *, limit: int = 0, none: str) -> None:
        """Print a listing; `none` is said instead of an empty table. A limit of 0 is no limit."""
        found = iter(rows)
        shown = list(islice(found, min(limit, sys.maxsize) or None))
        if self.format != "table":
            return self.document(shown)
        if not shown:
            return self.say(none)
        self.print(render.table(shown, columns, self.look))
        if limit and next(found, None) is not None:
            self.say(f"The first {limit}; `--limit 0` shows all.")
        return None

    def show(self, value: T, view: Callable[[T, Look], str]) -> None:
        """Print one thing, as its view draws it or as a document."""
        if self.format == "table":
            self.print(view(value, self.look))
        else:
            self.document(value)

    def document(self, value: object) -> None:
        """Print a value as JSON; as JSON lines, one line for each of a list."""
        import msgspec

        encode = msgspec.json.encode
        if self.format == "jsonl":
            self.documents(map(encode, value if isinstance(value, list) else [value]))
        else:
            self.documents([msgspec.json.format(encode(value), indent=2)])

    def documents(self, documents: Iterable[bytes]) -> int:
        """Print JSON documents in UTF-8, whatever the terminal's encoding; return how many."""
        self.flush()
        count = 0
        for document in documents:
            with self._writing():
                self.out.buffer.write(document + b"\n")
            count += 1
        self.flush()
        return count

    def print(self, text: str) -> None:
        """Print a piece of the result."""
        with self._writing():
            self.out.write(text + "\n")

    def flush(self) -> None:
        """Write out what has been printed. Raises: OutputUnusable."""
        with self._writing():
            self.out.flush()

    def say(self, text: str = "") -> None:
        """Tell the person something that is not the result; nobody may be listening."""
        with suppress(OSError):  # what cannot be written is told at the end
            self.out.flush()
        with suppress(OSError):
            self.err.write(text + "\n")
            self.err.flush()

    def then(self, *commands: str) -> None:
        """Say which command to type next."""
        for n, command in enumerate(commands):
            self.say(self.ink("dim", "next: " if n == 0 else "      ") + render.visible(command))

    def confirm(self, done: str) -> None:
        """Say that something has been done."""
        self.say(self.ink("green", "✓ ") + render.visible(done))

    def warn(self, text: str) -> None:
        """Tell the person what was done differently from what they may expect."""
        self.say(self.ink("yellow", "warning: ") + render.visible(text))

    @property
    def live(self) -> bool:
        """Tell whether progress can be shown by redrawing it in place: `err` is a terminal."""
        return self.err.isatty() and not _is_dumb()

    def close(self) -> None:
        """Close the connections."""
        if "client" in self.__dict__:
            self.client.close()

    def _colour(self, stream: TextIO) -> bool:
        return stream.isatty() and not config.environment().get("NO_COLOR") and not _is_dumb()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # whoever read the output has seen enough
            raise
        except OSError as error:
            raise OutputUnusable(reason=error.strerror) from None


def _is_dumb() -> bool:
    """Return whether the terminal obeys no control sequences."""
    return config.environment().get("TERM", "") in ("", "dumb")


Here = Annotated[Terminal, Parameter(parse=False)]
"""The type of the parameter by which a command asks for its terminal."""


def _not_negative(_: object, value: object) -> None:
    if isinstance(value, int) and value < 0:
        raise ValueError("It must be 0 or more.")


def _finite(_: object, value: object) -> None:
    # JSON has no such numbers: they would be sent as null, which is to leave the option out.
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("It must be a finite number.")


def whole(_: object, words: Sequence[Token]) -> int:
    """Read a whole number; the parser by itself takes 1.5 for 2."""
    try:
        return int(words[0].value)
    except ValueError:
        raise CoercionError(token=words[0], target_type=int) from None


def note(
    help: str,
    *names: str,
    metavar: str = "",
    show: bool = True,
    many: bool = False,
    converter: Callable[..., object] | None = None,
) -> Parameter:
    """Describe a parameter for `--help`, and name it where not as in Python.

    One flag of `many` takes all the words up to the next flag; `converter=whole` is for an int.
    """
    return Parameter(
        name=names or None,
        help=help,
        metavar=metavar or None,
        show=show,
        negative="",
        consume_multiple=many,
        converter=converter,
        validator=_finite,
    )


def path(help: str, *, metavar: str = "") -> Parameter:
    """Describe a parameter that is a file or folder."""
    return Parameter(help=help, metavar=metavar or None, negative="", converter=_expanded)


def _expanded(_: object, words: Sequence[Token]) -> Path:
    if not words[0].value:  # the current folder is called `.`
        raise Misuse("A path is empty. Has a variable of the shell no value?")
    # A shell leaves the ~ of --home=~/x alone; Path.expanduser raises for a user there is not.
    return Path(os.path.expanduser(words[0].value))


Limit = Annotated[
    int,
    Parameter(
        help="Show at most this many; 0: all.",
        negative="",
        converter=whole,
        validator=_not_negative,
    ),
]
"""The type of the option that cuts a listing."""

"""`volano data import`: drawings from other people's files."""

import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, cast

from volano.cli import problems, render
from volano.cli.live import Live
from volano.cli.terminal import Here, Terminal, note

if TYPE_CHECKING:
    from volano.sdk.imports import Journal
    from volano.spec.data import ImportedDrawing
    from volano.spec.labeling import Outcome

_SHOWN_REFUSALS = 20


class Source(Protocol):
    """A module that reads one format."""

    def count(self, path: Path) -> int:
        """How many drawings are in the file."""

    def read(self, path: Path) -> "Iterator[ImportedDrawing]":
        """The drawings, always in the same order and with the same ids."""


def import_(
    file: Annotated[Path, note("The file to read.")],
    /,
    *,
    terminal: Here,
    format: Annotated[Literal["omniglot"], note("What the file is.")],
    origin: Annotated[str, note("What to call where they came from; else the format.")] = "",
    again: Annotated[
        bool, note("Send what was sent before, too; nothing is stored twice.")
    ] = False,
) -> int:
    """Import drawings from a file.

    A drawer becomes a contributor, a character a shape; shapes that are missing are added. When it
    was interrupted, the same command goes on where it stopped.

    Example:
        volano data import --format omniglot strokes_background_small1.zip
    """
    from volano.sdk.imports import Journal, send

    source = cast(Source, import_module(f"volano.data.formats.{format}"))
    origin = origin or format
    try:
        total = source.count(file)
        journal = Journal.open(file, origin, terminal.client.whoami().workspace)
    except OSError as error:
        raise problems.FileUnusable(path=str(file), reason=error.strerror or str(error)) from None
    if again:
        journal.forget()
    before, tally = journal.sent, _Tally()
    with Live(terminal.err, in_place=terminal.live) as live:
        bar = _Bar(total, before)
        try:
            for outcomes in send(terminal.client, origin, source.read(file), journal):
                tally.add(outcomes)
                live.draw(lambda: [bar.line(journal.sent, terminal)])
        except KeyboardInterrupt:
            terminal.say(f"\nStopped at {journal.sent:,} of {total:,}; the same command goes on.")
            return problems.INTERRUPTED
        live.draw(lambda: [bar.line(journal.sent, terminal)], last=True)
    return _report(terminal, journal, before, tally)


class _Tally:
    """What became of the drawings of one import."""

    def __init__(self) -> None:
        self.stored = self.duplicates = 0

    def add(self, outcomes: "Sequence[Outcome]") -> None:
        self.duplicates += sum(outcome.duplicate for outcome in outcomes)
        self.stored += sum(outcome.stored and not outcome.duplicate for outcome in outcomes)


class _Bar:
    """How far an import is, how fast, how much longer."""

    def __init__(self, total: int, before: int) -> None:
        self._total = total
        self._before = before
        self._start = time.monotonic()

    def line(self, sent: int, terminal: Terminal) -> str:
        seconds = max(time.monotonic() - self._start, 1e-6)
        rate = (sent - self._before) / seconds
        left = (self._total - sent) / rate if rate else 0.0
        bar = render.pad(render.bar(sent / self._total if self._total else 1.0, 30), 30)
        ending = f"{render.span(left)} left" if sent < self._total else render.span(seconds)
        shown = terminal.ink("cyan", bar) if terminal.live else "importing"
        return f"{shown} {sent:,}/{self._total:,} drawings  {rate:,.0f}/s  {ending}"


def _report(terminal: Terminal, journal: "Journal", before: int, tally: _Tally) -> int:
    if terminal.format != "table":
        terminal.document(
            {
                "sent": journal.sent - before,
                "stored": tally.stored,
                "duplicates": tally.duplicates,
                "sent_before": before,
                "refused": journal.refused,
            }
        )
    else:
        known = tally.duplicates + before
        there = f", {known:,} were there already" if known else ""
        terminal.confirm(f"{render.plural(tally.stored, 'drawing')} stored{there}")
        _list_refused(terminal, journal.refused)
        if not journal.refused:
            terminal.then("volano data ls", "volano snapshots create NAME")
    return problems.USER if journal.refused else 0


def _list_refused(terminal: Terminal, refused: "Sequence[Outcome]") -> None:
    if not refused:
        return
    terminal.say(terminal.ink("yellow", f"{render.plural(len(refused), 'drawing')} refused:"))
    for outcome in refused[:_SHOWN_REFUSALS]:
        terminal.say(f"  {outcome.id}  {outcome.code}: {outcome.detail}")
    if len(refused) > _SHOWN_REFUSALS:
        terminal.say(f"  and {len(refused) - _SHOWN_REFUSALS} more; `--json` lists all")

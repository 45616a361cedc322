"""`volano data import`: drawings from other people's files."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

from volano.cli import problems, render
from volano.cli.live import Live
from volano.cli.terminal import Here, Terminal, note

if TYPE_CHECKING:
    from volano.data.formats.omniglot import Skipped
    from volano.schemas.data import ImportedDrawing
    from volano.schemas.labeling import Outcome
    from volano.sdk.imports import Journal

_SHOWN_BAD = 20
_CELLS = 30


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

    origin = origin or format
    with _opened(file) as archive:
        journal = Journal.open(file, origin, terminal.client.whoami().workspace)
        if again:
            journal.forget()
        work = _Import(terminal, journal, total=_members(archive))
        try:
            with Live(terminal.err, in_place=terminal.live) as live:
                for outcomes in send(terminal.client, origin, work.read(archive, origin), journal):
                    work.add(outcomes)
                    live.draw(work.lines)
                live.draw(work.lines, last=True)
        except KeyboardInterrupt:
            terminal.say(f"Stopped at {journal.sent:,} of {work.total:,}.")
            terminal.then("the same command goes on from there")
            return problems.INTERRUPTED
    return _report(terminal, work)


class _Import:
    """One import: how far it is, how fast, what became of the drawings."""

    def __init__(self, terminal: Terminal, journal: "Journal", total: int) -> None:
        self.journal = journal
        self.total = total
        self.stored = self.duplicates = 0
        self.before = journal.sent
        self.skipped: list[Skipped] = []
        self.foreign: list[Skipped] = []
        self._terminal = terminal
        self._start = time.monotonic()

    def read(self, archive: BinaryIO, origin: str) -> "Iterator[ImportedDrawing]":
        """The drawings of the archive; what cannot be read is noted."""
        from volano.data.formats import omniglot
        from volano.schemas.data import ImportedDrawing

        for found in omniglot.read(archive, origin):
            if isinstance(found, omniglot.Found):
                yield ImportedDrawing(contributor=found.drawer, drawing=found.drawing)
            elif found.foreign:
                self.foreign.append(found)
            else:
                self.skipped.append(found)
                self.total -= 1

    def add(self, outcomes: "Sequence[Outcome]") -> None:
        """Count the answers to one batch."""
        self.duplicates += sum(outcome.duplicate for outcome in outcomes)
        self.stored += sum(outcome.stored and not outcome.duplicate for outcome in outcomes)

    def lines(self) -> list[str]:
        """The progress bar."""
        sent, seconds = self.journal.sent, max(time.monotonic() - self._start, 1e-6)
        rate = (sent - self.before) / seconds
        left = max(0, self.total - sent) / rate if rate else 0.0
        bar = render.pad(render.bar(sent / self.total if self.total else 1.0, _CELLS), _CELLS)
        shown = self._terminal.ink("cyan", bar) if self._terminal.live else "importing"
        ending = f"{render.span(left)} left" if left else f"in {render.span(seconds)}"
        speed = f"  {rate:,.0f}/s  {ending}" if sent > self.before else ""
        return [f"{shown} {sent:,}/{self.total:,} drawings{speed}"]


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise problems.unusable(file, error) from None


def _members(archive: BinaryIO) -> int:
    """Return how many drawings an archive may hold, from its directory alone."""
    from volano.data.formats import omniglot
    from volano.schemas.data import ArchiveUnreadable

    with suppress(ArchiveUnreadable):
        return omniglot.count(archive)
    return 0


def _report(terminal: Terminal, work: _Import) -> int:
    refused = work.journal.refused
    bad = [(outcome.id, f"{outcome.code}: {outcome.detail}") for outcome in refused]
    bad += [(skipped.locator, skipped.reason) for skipped in work.skipped]
    if terminal.format != "table":
        terminal.document(_summary(work, bad))
    else:
        _tell(terminal, work, bad)
    return problems.USER if bad else 0


def _summary(work: _Import, bad: Sequence[tuple[str, str]]) -> dict[str, object]:
    return {
        "stored": work.stored,
        "duplicates": work.duplicates,
        "sent_before": work.before,
        "bad": [{"drawing": name, "reason": reason} for name, reason in bad],
        "foreign": [skipped.locator for skipped in work.foreign],
    }


def _tell(terminal: Terminal, work: _Import, bad: Sequence[tuple[str, str]]) -> None:
    known = work.duplicates + work.before
    there = f", {known:,} were there already" if known else ""
    terminal.confirm(f"{render.plural(work.stored, 'drawing')} stored{there}")
    if work.foreign:
        names = ", ".join(skipped.locator for skipped in work.foreign[:3])
        more = ", …" if len(work.foreign) > 3 else ""
        others = render.plural(len(work.foreign), "other file")
        terminal.say(render.visible(f"{others} left out: {names}{more}"))
    if bad:
        terminal.say(terminal.ink("yellow", f"{render.plural(len(bad), 'drawing')} left out:"))
    for name, reason in bad[:_SHOWN_BAD]:
        terminal.say(render.visible(f"  {name}  {reason}"))
    if len(bad) > _SHOWN_BAD:
        terminal.say(f"  and {len(bad) - _SHOWN_BAD} more; `--json` lists all")
    if not bad:
        terminal.then("volano data ls", "volano snapshots create NAME")

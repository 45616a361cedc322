"""`volano data import`: drawings from other people's files."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

from volano.cli import errors, render
from volano.cli.progress import Live
from volano.cli.terminal import Here, Terminal, note, path

if TYPE_CHECKING:
    from volano.data.formats.omniglot import Skipped
    from volano.schemas.drawings import ImportedDrawing
    from volano.schemas.labeling import Outcome

_SHOWN = 20
_SHOWN_FOREIGN = 5
_CELLS = 30


def import_(
    file: Annotated[Path, path("The file to read.")],
    /,
    *,
    terminal: Here,
    format: Annotated[Literal["omniglot"], note("What the file is.")],
    origin: Annotated[str, note("A name for where they come from; else the format.")] = "",
) -> int:
    """Import drawings from a file.

    A drawer becomes a contributor, a character a shape; shapes that are missing are added. Nothing
    is stored twice: the same command again, after an interruption, stores the rest.

    Example:
        volano data import --format omniglot strokes_background_small1.zip
    """
    found = import_file(terminal, file, origin or format)
    if found.left_out:
        return errors.USER
    if terminal.format == "table":
        terminal.then("volano data ls", "volano snapshots create NAME")
    return 0


@dataclass(kw_only=True)
class Imported:
    """What has become of the files in an archive so far."""

    total: int
    """Files that are called like drawings."""
    stored: int = 0
    duplicates: int = 0
    refused: "list[Outcome]" = field(default_factory=list)
    unreadable: "list[Skipped]" = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Files that are something else, by their names."""

    @property
    def there(self) -> int:
        """Drawings of the archive that the server has."""
        return self.stored + self.duplicates

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Each drawing that the server does not have, and why."""
        refused = [(one.id, f"{one.code}: {one.detail}") for one in self.refused]
        return refused + [(one.locator, one.reason) for one in self.unreadable]

    def add(self, outcomes: "list[Outcome]") -> None:
        """Count what became of one batch."""
        self.refused += [one for one in outcomes if not one.stored]
        self.duplicates += sum(one.duplicate for one in outcomes)
        self.stored += sum(one.stored and not one.duplicate for one in outcomes)


def import_file(terminal: Terminal, file: Path, origin: str) -> Imported:
    """Import every drawing of a file and tell what was left out.

    Raises: OSError, ArchiveUnreadable; KeyboardInterrupt, when told what to do.
    """
    from volano.data.formats import omniglot
    from volano.sdk.imports import send

    with file.open("rb") as archive:
        found = Imported(total=omniglot.count(archive))
        bar = _Bar(terminal, found)
        try:
            with Live(terminal.err, in_place=terminal.live) as live:
                for outcomes in send(terminal.client, origin, _drawings(archive, origin, found)):
                    found.add(outcomes)
                    live.draw(bar.lines)
                live.draw(bar.lines, last=True)
        except KeyboardInterrupt:
            terminal.say(f"Stopped at {found.there:,} of {render.plural(found.total, 'drawing')}.")
            terminal.then("the same command again stores the rest")
            raise
    _report(terminal, found)
    return found


def _drawings(archive: BinaryIO, origin: str, found: Imported) -> "Iterator[ImportedDrawing]":
    """Yield the drawings of the archive; note what is none."""
    from volano.data.formats import omniglot
    from volano.schemas.drawings import ImportedDrawing

    for one in omniglot.read(archive, origin):
        if isinstance(one, omniglot.Found):
            yield ImportedDrawing(contributor=one.drawer, drawing=one.drawing)
        elif one.foreign:
            found.foreign.append(one.locator)
        else:
            found.unreadable.append(one)


class _Bar:
    """How far an import is, and how fast."""

    def __init__(self, terminal: Terminal, found: Imported) -> None:
        self._terminal = terminal
        self._found = found
        self._start = time.monotonic()

    def lines(self) -> list[str]:
        """Return the progress as the one line of a `Live`."""
        found, seconds = self._found, max(time.monotonic() - self._start, 1e-6)
        done, total = found.there + len(found.left_out), found.total
        speed = f"  {done / seconds:,.0f}/s" if done else ""
        if 0 < done < total:
            speed += f"  {render.span((total - done) * seconds / done)} left"
        elif done:
            speed += f"  in {render.span(seconds)}"
        bar = render.pad(render.bar(done / total if total else 1.0, _CELLS), _CELLS)
        shown = self._terminal.ink("cyan", bar) if self._terminal.live else "importing"
        return [f"{shown} {done:,}/{total:,} drawings{speed}"]


def _report(terminal: Terminal, found: Imported) -> None:
    if terminal.format != "table":
        return terminal.document(_summary(found))
    known = f", {found.duplicates:,} were there already" if found.duplicates else ""
    terminal.confirm(f"{render.plural(found.stored, 'drawing')} stored{known}")
    if found.foreign:
        few = ", ".join(found.foreign[:_SHOWN_FOREIGN])
        hidden = len(found.foreign) - _SHOWN_FOREIGN
        more = f" and {hidden} more" if hidden > 0 else ""
        others = render.plural(len(found.foreign), "other file")
        terminal.warn(f"{others} left out: {few}{more}")
    if found.left_out:
        terminal.warn(f"{render.plural(len(found.left_out), 'drawing')} left out:")
    for name, reason in found.left_out[:_SHOWN]:
        terminal.say(render.visible(f"  {name}  {reason}"))
    if len(found.left_out) > _SHOWN:
        terminal.say(f"  and {len(found.left_out) - _SHOWN} more; `--json` lists all")
    return None


def _summary(found: Imported) -> dict[str, Any]:
    return {
        "stored": found.stored,
        "duplicates": found.duplicates,
        "bad": [{"drawing": name, "reason": reason} for name, reason in found.left_out],
        "foreign": found.foreign,
    }

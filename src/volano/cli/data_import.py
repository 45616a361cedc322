"""`volano data import`: pictures, drawings and texts from other people's files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from volano.cli import errors, import_report, import_sending
from volano.cli.import_sending import Target
from volano.cli.misuse import Misuse
from volano.cli.progress import Live
from volano.cli.terminal import Here, Terminal, note, path, whole
from volano.data.formats import detect, folder
from volano.data.formats.detect import Format, FormatName, Source
from volano.data.formats.health import Health
from volano.data.formats.items import Item, Options, Skipped
from volano.schemas.errors import VolanoError

if TYPE_CHECKING:
    from volano.schemas.datasets import Outcome


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What to read, and how it is meant."""

    format: Annotated[
        FormatName | None, note("What it is; else it is told from what is there.")
    ] = None
    dataset: Annotated[
        str, note("Dataset to import into; else called like the file.", metavar="NAME")
    ] = ""
    origin: Annotated[
        str, note("A name for where it comes from; else the format.", metavar="NAME")
    ] = ""
    label: Annotated[str, note("Label of what has none.")] = ""
    labels: Annotated[
        Literal["auto", "top", "leaf", "path", "none"],
        note("Which folder is the label: the first, the last, or all."),
    ] = "auto"
    column: Annotated[
        list[str],
        note(
            "Column of a list: path, text, label, split, group or contributor; may be repeated.",
            metavar="WHAT=NAME",
        ),
    ] = field(default_factory=list)
    names: Annotated[
        Path | None, path("Names of the classes, one a line, in the order of their numbers.")
    ] = None
    root: Annotated[Path | None, path("Folder in which the paths of a list start.")] = None
    limit: Annotated[int, note("Import at most this many; 0: all.", converter=whole)] = 0
    report: Annotated[Path | None, path("Write the whole report to this file, as JSON.")] = None


def import_(
    file: Annotated[Path, path("The folder, archive or file to read.")],
    /,
    *,
    terminal: Here,
    dry_run: Annotated[bool, note("Tell what would be read; ask no server.")] = False,
    options: ImportOptions = ImportOptions(),
) -> int:
    """Import a folder, an archive or a file.

    Reads folders called like their classes (also below train, val and test), ZIP and TAR of them,
    lists (CSV, TSV, JSON lines), COCO, Pascal VOC, YOLO, IDX (MNIST), Omniglot, Quick, Draw! and
    what `volano data export` wrote. Nothing is stored twice: the same command again, after an
    interruption, stores the rest; what is there already keeps its label. What is left out is
    named, with the reason.

    Example:
        volano data import photos/ --dry-run
        volano data import photos.zip --dataset photos
        volano data import labels.csv --column label=Species
        volano data import strokes_background_small1.zip
    """
    if dry_run:
        found = look_through(terminal, file, options)
    else:
        found = import_file(terminal, file, options)
    if options.report is not None:
        import_report.write(found, options.report)
    if found.left_out:
        return errors.USER
    if terminal.format == "table":
        _advise(terminal, found)
    return 0


def _advise(terminal: Terminal, found: "Imported") -> None:
    """Say which commands are likely wanted now."""
    if found.target is None:
        terminal.then("the same command without --dry-run stores it")
    elif found.target.used:
        name = found.target.used[0]
        listing = f"volano data ls --dataset {name}"
        if set(found.health.splits) - {""}:
            terminal.then(
                listing, f"volano snapshots create {name} --dataset {name} --split-by given"
            )
        else:
            terminal.then(
                listing, f"volano snapshots create {name} --dataset {name} --split-by content"
            )
    else:
        terminal.then("volano data ls", "volano snapshots create NAME")


@dataclass(kw_only=True)
class Imported:
    """What has become of a source so far."""

    format: Format
    hint: str = ""
    """What was guessed and may be meant otherwise."""
    total: int | None
    """Items that there seem to be; None where that takes reading all."""
    health: Health = field(default_factory=Health)
    target: "Target | None" = None
    """Where it goes; None: it is only looked through."""
    stored: int = 0
    duplicates: int = 0
    refused: "list[tuple[str, Outcome]]" = field(default_factory=list)
    """Place and outcome of each item that the server did not take."""

    @property
    def there(self) -> int:
        """Items that the server has."""
        return self.stored + self.duplicates

    @property
    def done(self) -> int:
        """Items whose fate is known."""
        read = self.there + len(self.refused) if self.target else self.health.items
        return read + len(self.health.left_out)

    @property
    def left_out(self) -> list[tuple[str, str, str, str]]:
        """Each item that the server does not have: place, code, reason, remedy."""
        refused = [(at, one.code, one.detail, one.remedy) for at, one in self.refused]
        return refused + [
            (one.locator, one.error.code, one.error.message, one.error.advice)
            for one in self.health.left_out
        ]

    def add(self, outcomes: "list[tuple[str, Outcome]]") -> None:
        """Count what became of some items, each with its place."""
        self.refused += [(at, one) for at, one in outcomes if not one.stored]
        self.duplicates += sum(one.duplicate for _, one in outcomes)
        self.stored += sum(one.stored and not one.duplicate for _, one in outcomes)


def look_through(terminal: Terminal, file: Path, options: ImportOptions) -> Imported:
    """Read a source without a server and tell what would be imported.

    Raises: OSError, VolanoError; KeyboardInterrupt.
    """
    source, format = _open(file, options)
    found = Imported(
        format=format, total=_count(source, format, options), hint=_hint(source, format, options)
    )
    bar = import_report.Bar(terminal, found)
    with Live(terminal.err, in_place=terminal.live) as live:
        for _ in _items(source, format.name, options, found.health):
            live.draw(bar.lines)
        live.draw(bar.lines, last=True)
    import_report.show(terminal, found)
    return found


def import_file(terminal: Terminal, file: Path, options: ImportOptions) -> Imported:
    """Import everything in a source and tell what was left out.

    Raises: OSError, VolanoError; KeyboardInterrupt, when told what to do.
    """
    source, format = _open(file, options)
    target = _target(file, source, format, options)
    if options.dataset and format.name in ("omniglot", "quickdraw"):
        terminal.warn(f"drawings go into the dataset drawings, not into {options.dataset}")
    found = Imported(
        format=format,
        total=_count(source, format, options),
        hint=_hint(source, format, options),
        target=target,
    )
    bar = import_report.Bar(terminal, found)
    items = _items(source, format.name, options, found.health)
    try:
        with Live(terminal.err, in_place=terminal.live) as live:
            for outcomes in import_sending.send(terminal.client, items, target):
                found.add(outcomes)
                live.draw(bar.lines)
            live.draw(bar.lines, last=True)
    except KeyboardInterrupt:
        terminal.say(f"Stopped at {found.there:,} of {bar.of_all()}.")
        terminal.then("the same command again stores the rest")
        raise
    import_report.show(terminal, found)
    return found


def _open(file: Path, options: ImportOptions) -> tuple[Source, Format]:
    """Open a source and tell its format. Raises: OSError, VolanoError."""
    source = detect.open_source(file, options.root)
    if options.format is not None:
        return source, detect.Format(options.format, "")
    return source, detect.detect(source)


def _count(source: Source, format: Format, options: ImportOptions) -> int | None:
    """Return how many items there seem to be to import."""
    total = detect.count(source, format.name)
    return min(total, options.limit) if total is not None and options.limit else total


def _hint(source: Source, format: Format, options: ImportOptions) -> str:
    """Return what was guessed of a source and may be meant otherwise."""
    if format.name != "folder" or not (
        said := folder.hint(source.tree, Options(labels=options.labels))
    ):
        return ""
    return f"{said}; --labels top, leaf, path or none means it otherwise"


def _target(file: Path, source: Source, format: Format, options: ImportOptions) -> Target:
    """Return where the items of a source go."""
    name = re.sub(
        r"\.(zip|tar|tgz|gz|bz2|xz|csv|tsv|jsonl?|ndjson|ya?ml)\b", "", file.resolve().name
    )
    slug = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.")[:100]
    origin = options.origin or (format.name if format.holds_drawings else source.tree.name[:100])
    return Target(dataset=options.dataset, default=slug or "imported", origin=origin)


def _items(
    source: Source, name: FormatName, options: ImportOptions, health: Health
) -> Iterator[tuple[Item, bytes]]:
    """Yield the items of a source with their contents; note everything in `health`."""
    reading = Options(
        main=source.main,
        origin=options.origin or name,
        labels=options.labels,
        columns=_columns(options.column),
        names=_names(options.names),
    )
    for one in detect.read(source, name, reading, label=options.label):
        try:
            if isinstance(one, Skipped):
                health.skip(one)
                continue
            content = detect.content(one)
        except VolanoError as error:
            health.skip(Skipped(locator=one.locator, error=error))
            continue
        health.add(one, content)
        yield one, content
        if health.items == options.limit:
            break
    for left in source.tree.passed_over:
        health.skip(left)


def _columns(given: list[str]) -> dict[str, str]:
    """Return what columns of a list mean. Raises: Misuse."""
    known = ("path", "text", "label", "split", "group", "contributor")
    columns = {}
    for text in given:
        what, equals, name = text.partition("=")
        if not equals or what not in known:
            raise Misuse(f"--column takes WHAT=NAME, and WHAT is one of {', '.join(known)}.")
        columns[what] = name
    return columns


def _names(file: Path | None) -> tuple[str, ...]:
    """Return the names of classes that a file lists. Raises: OSError."""
    if file is None:
        return ()
    lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    return tuple(line for line in lines if line)

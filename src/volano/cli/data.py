"""`volano data`: records on the shelf, and how they get there and out again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from volano.cli import braille, errors, render
from volano.cli.data_facts import HISTORY
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Limit, note, path

if TYPE_CHECKING:
    from volano.schemas.data import QualityPart, Record, RecordCount, RecordFilter
    from volano.schemas.drawings import Drawing
    from volano.sdk.data import Which

app = App(name="data", help="Records: import, list, look at, export.")
app.command("volano.cli.data_import:import_", name="import")

COLUMNS: "Columns[Record]" = {
    "ID": lambda record: record.id,
    "DATASET": lambda record: record.dataset,
    "LABEL": lambda record: record.label,
    "CONTRIBUTOR": lambda record: record.contributor,
    "QUALITY": lambda record: record.quality,
    "FLAGS": lambda record: record.flags,
    "RECEIVED": lambda record: record.received_at,
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which records: every option given must hold, of a repeated one any."""

    dataset: Annotated[list[str], note("Only of this dataset.", metavar="NAME")] = field(
        default_factory=list
    )
    kind: Annotated[list[str], note("Only of this kind, such as image.", metavar="KIND")] = field(
        default_factory=list
    )
    label: Annotated[list[str], note("Only this label; may be repeated.", metavar="NAME")] = field(
        default_factory=list
    )
    given_split: Annotated[
        list[str], note("Only what came with this split, such as train.", metavar="NAME")
    ] = field(default_factory=list)
    synthetic: Annotated[
        Literal["only", "without"] | None, note("What a program made up: only that, or none of it.")
    ] = None
    origin: Annotated[list[str], note("Only from this import.", metavar="NAME")] = field(
        default_factory=list
    )
    contributor: Annotated[
        list[str],
        note("Only of these people; `*` and `?` are wildcards.", metavar="PATTERN"),
    ] = field(default_factory=list)
    without_flag: Annotated[
        list[str], note("Leave out what has this flag; may be repeated.", metavar="FLAG")
    ] = field(default_factory=list)
    min_quality: Annotated[float | None, note("Only of this quality or better, 0 to 1.")] = None
    received_before: Annotated[
        datetime | None, note("Only what came before; UTC unless an offset is given.")
    ] = None

    @property
    def made_up(self) -> bool | None:
        """`synthetic` as a server takes it."""
        return None if self.synthetic is None else self.synthetic == "only"

    @property
    def until(self) -> datetime | None:
        """`received_before` with its offset."""
        given = self.received_before
        return given if given is None or given.tzinfo else given.replace(tzinfo=UTC)


EVERYTHING: Final = Filter()


@app.command
def ls(
    *,
    terminal: Here,
    which: Filter = EVERYTHING,
    limit: Limit = 50,
) -> None:
    """List records, by their ids. What was stored in the last seconds is listed soon.

    Example:
        volano data ls --label circle --min-quality 0.8
        volano data ls --origin omniglot --contributor 'greek-*' --limit 0 -o jsonl
    """
    page = min(limit, 1000) or 1000
    records = terminal.client.records.ls(page=page, **_which(which))
    terminal.rows(
        records,
        COLUMNS,
        limit=limit,
        none="No record fits; what was stored in the last seconds is listed soon.",
    )


@app.command
def count(*, terminal: Here, which: Filter = EVERYTHING) -> None:
    """Count records: exactly, or "at least" where it would take long to look at all of them.

    What was stored in the last seconds is counted soon.

    Example:
        volano data count --label circle
        volano data count --origin omniglot --min-quality 0.8
    """
    terminal.show(terminal.client.records.count(**_which(which)), _counted)


@app.command
def show(id: Annotated[str, note("Id of a record.")], /, *, terminal: Here) -> None:
    """Show one record: what is known about it, and of a drawing its strokes.

    What was stated of it since it came is a table of its own. The quality of a drawing, from 0
    to 1, is the product of the parts in the last table.

    Example:
        volano data show 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
    """
    from volano.schemas.errors import Missing

    def stated(look: Look) -> str:
        history = terminal.client.attributes.history(id)
        return f"\n\n{render.table(history, HISTORY, look)}" if history else ""

    try:
        found = terminal.client.records.drawing(id)
    except Missing:  # it is of another kind, or not there at all
        record = terminal.client.records.show(id)
        return terminal.show(record, lambda one, look: _card(one, look) + stated(look))
    return terminal.show(found, lambda one, look: _view(one, look, stated(look)))


@app.command
def fetch(
    id: Annotated[str, note("Id of a record.")],
    file: Annotated[Path, path("Where to put its content.")],
    /,
    *,
    terminal: Here,
    field: Annotated[str, note("Which of several fields; else the first.", metavar="NAME")] = "",
) -> None:
    """Write the content of a record into a file: the image, the text, the sound.

    Example:
        volano data fetch 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10 cat.jpg
    """
    chunks = terminal.client.records.content(id, field=field)
    try:
        with file.open("wb") as opened:
            size = sum(map(opened.write, chunks))
    except OSError as error:
        raise errors.unusable(error, file) from None
    terminal.confirm(f"{render.size(size)} in {file}")


@app.command
def export(*, terminal: Here, which: Filter = EVERYTHING) -> None:
    """Write records with their content, one JSON document a line: text, or bytes in base64.

    Example:
        volano data export --label circle > circles.jsonl
        volano data export --dataset photos > photos.jsonl
    """
    count = terminal.documents(terminal.client.records.export(**_which(which)))
    terminal.say(render.plural(count, "record"))


app.command("volano.cli.data_facts:label", name="label")
app.command("volano.cli.data_facts:flag", name="flag")
app.command("volano.cli.data_facts:tag", name="tag")
app.command("volano.cli.data_facts:history", name="history")
app.command("volano.cli.data_usage:usage", name="usage")
app.command("volano.cli.data_rm:rm", name="rm")
app.command("volano.cli.data_quarantine:app", name="quarantine")


def chosen(which: Filter) -> "RecordFilter":
    """Return the filter as a server takes it in a body."""
    from volano.schemas.data import RecordFilter

    return RecordFilter(
        datasets=which.dataset,
        kinds=which.kind,
        splits=which.given_split,
        synthetic=which.made_up,
        labels=which.label,
        origins=which.origin,
        contributors=which.contributor,
        without_flags=which.without_flag,
        min_quality=which.min_quality,
        received_before=which.until,
    )


def _which(given: Filter) -> "Which":
    return {
        "dataset": given.dataset,
        "kind": given.kind,
        "label": given.label,
        "split": given.given_split,
        "synthetic": given.made_up,
        "origin": given.origin,
        "contributor": given.contributor,
        "without_flag": given.without_flag,
        "min_quality": given.min_quality,
        "received_before": given.until,
    }


def _counted(found: "RecordCount", look: Look) -> str:
    return f"{'' if found.exact else 'at least '}{found.records:,}"


def _card(record: "Record", look: Look) -> str:
    fields = (f"{name}: {one.kind}, {one.bytes:,} bytes" for name, one in record.fields.items())
    facts = {
        "id": record.id,
        "dataset": record.dataset,
        "kind": record.kind,
        "label": record.label or None,
        "split": record.split or None,
        "group": record.group or None,
        "synthetic": record.synthetic or None,
        "contributor": record.contributor or None,
        "origin": record.origin or None,
        "fields": "; ".join(fields) or None,
        "bytes": f"{record.bytes:,}",
        **record.facts,
        "quality": record.quality,
        "flags": record.flags or None,
        "received": record.received_at,
    }
    return render.card(facts, look)


def _view(drawing: "Drawing", look: Look, stated: str) -> str:
    lines = [[(point.x, point.y) for point in stroke.points] for stroke in drawing.strokes]
    facts = {
        "id": drawing.id,
        "label": drawing.shape,
        "contributor": drawing.contributor,
        "origin": drawing.origin or None,
        "canvas": f"{drawing.canvas.width:g} x {drawing.canvas.height:g} px",
        "strokes": f"{len(lines)}, {sum(map(len, lines))} points",
        "drawn in": render.span(drawing.duration_ms / 1000),
        "device": drawing.device,
        "quality": drawing.quality.score if drawing.quality else None,
        "flags": drawing.flags or None,
        "received": drawing.received_at,
    }
    picture = look.ink("cyan", braille.picture(lines))
    shown = [picture, render.card(facts, look) + stated]
    if drawing.quality:
        shown.append(render.table(drawing.quality.parts, _PARTS, look))
    return "\n\n".join(shown)


_PARTS: Final[render.Columns["QualityPart"]] = {
    "PART": lambda part: part.name,
    "VALUE": lambda part: part.value,
    "WHY": lambda part: part.reason,
}
"""A drawing's quality is the product of these."""

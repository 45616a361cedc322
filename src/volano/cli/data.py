"""`volano data`: records on the shelf, and how they get there and out again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from volano.cli import braille, render
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here, Limit, note

if TYPE_CHECKING:
    from volano.schemas.data import QualityPart, Record, RecordCount
    from volano.schemas.drawings import Drawing
    from volano.sdk.data import Which

app = App(name="data", help="Records: import, list, look at, export.")
app.command("volano.cli.data_import:import_", name="import")

COLUMNS: "Columns[Record]" = {
    "ID": lambda record: record.id,
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

    label: Annotated[list[str], note("Only this label; may be repeated.", metavar="NAME")] = field(
        default_factory=list
    )
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
    """Show one drawing: the strokes, and what is known about it.

    Its quality, from 0 to 1, is the product of the parts in the last table.

    Example:
        volano data show 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
    """
    terminal.show(terminal.client.records.drawing(id), _view)


@app.command
def export(*, terminal: Here, which: Filter = EVERYTHING) -> None:
    """Write drawings with their strokes, one JSON document a line.

    Example:
        volano data export --label circle > circles.jsonl
    """
    count = terminal.documents(terminal.client.records.export(**_which(which)))
    terminal.say(render.plural(count, "drawing"))


app.command("volano.cli.data_quarantine:app", name="quarantine")


def _which(given: Filter) -> "Which":
    return {
        "label": given.label,
        "origin": given.origin,
        "contributor": given.contributor,
        "without_flag": given.without_flag,
        "min_quality": given.min_quality,
        "received_before": given.until,
    }


def _counted(found: "RecordCount", look: Look) -> str:
    return f"{'' if found.exact else 'at least '}{found.records:,}"


def _view(drawing: "Drawing", look: Look) -> str:
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
    shown = [picture, render.card(facts, look)]
    if drawing.quality:
        shown.append(render.table(drawing.quality.parts, _PARTS, look))
    return "\n\n".join(shown)


_PARTS: Final[render.Columns["QualityPart"]] = {
    "PART": lambda part: part.name,
    "VALUE": lambda part: part.value,
    "WHY": lambda part: part.reason,
}
"""A drawing's quality is the product of these."""

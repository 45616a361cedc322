"""`volano versions`: trained models, side by side and on an endpoint."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App

from volano.cli import render
from volano.cli.misuse import Misuse
from volano.cli.render import Columns, Look
from volano.cli.run_card import NAMES, figures, warned
from volano.cli.terminal import Here, Limit, Terminal, note
from volano.schemas.errors import Invalid, Missing
from volano.schemas.evaluation import NothingShared

if TYPE_CHECKING:
    from volano.schemas.evaluation import Answered, ClassFigures, Confusion, Difference, Report
    from volano.schemas.registry import Comparison, Version
    from volano.schemas.serving import Endpoint

app = App(name="versions", help="Trained models: list, compare, activate.")

VersionId = Annotated[str, note("Id of a version.")]

COLUMNS: "Columns[Version]" = {
    "ID": lambda version: version.id,
    "MODEL": lambda version: f"{version.model} {version.number}",
    "ACCURACY": lambda version: version.metrics.get("accuracy"),
    "MACRO F1": lambda version: version.metrics.get("macro_f1"),
    "CREATED": lambda version: version.created_at,
}


CLASSES: "Columns[ClassFigures]" = {
    "CLASS": lambda one: one.name,
    "PRECISION": lambda one: one.precision,
    "RECALL": lambda one: one.recall,
    "F1": lambda one: one.f1,
    "TESTED": lambda one: one.support,
}

CONFUSIONS: "Columns[Confusion]" = {
    "DRAWN": lambda one: one.truth,
    "TAKEN FOR": lambda one: one.predicted,
    "TIMES": lambda one: one.count,
    "OF ALL DRAWN": lambda one: f"{one.share:.1%}",
}


ERRORS: "Columns[Answered]" = {
    "RECORD": lambda one: one.record,
    "DRAWN": lambda one: one.drawn,
    "TAKEN FOR": lambda one: one.taken_for,
    "CONFIDENCE": lambda one: one.confidence,
}


@app.command
def ls(
    *,
    terminal: Here,
    model: Annotated[str | None, note("Only of this model.", metavar="NAME")] = None,
    limit: Limit = 20,
) -> None:
    """List versions, newest first.

    Example:
        volano versions ls --model drawing
    """
    none = "No versions: `volano train --snapshot NAME` makes one."
    terminal.rows(terminal.client.versions.ls(model=model), COLUMNS, limit=limit, none=none)


@app.command
def show(
    id: VersionId,
    /,
    *,
    terminal: Here,
    classes: Annotated[bool, note("Show each class, and what is taken for what.")] = False,
) -> None:
    """Show one version: where it comes from and how good it is.

    Example:
        volano versions show ver_0198c5e07d317c4e9a503f1b6f7f2a10
        volano versions show ver_0198c5e07d317c4e9a503f1b6f7f2a10 --classes
    """
    if classes:
        terminal.show(terminal.client.versions.evaluation(id), by_class)
    else:
        terminal.show(terminal.client.versions.show(id), view)


@app.command
def compare(
    ids: Annotated[list[str], note("Two versions or more.", metavar="ID ID ...")],
    /,
    *,
    terminal: Here,
) -> None:
    """Compare versions: every metric, and the parameters that differ.

    The last column says how the last version differs from the first; the last line, whether it is
    more accurate on the records that both were tested on.

    Example:
        volano versions compare ver_0198c5e07d317c4e9a503f1b6f7f2a10 ver_0198c61a2b4d7f03
    """
    if len(ids) < 2:
        raise Misuse("Give two versions or more; `volano versions ls` lists them.")
    terminal.show(terminal.client.versions.compare(ids), table)
    if terminal.format == "table":
        try:
            terminal.print("\n" + better(terminal.client.versions.difference(ids[0], ids[-1])))
        except NothingShared:
            terminal.warn(
                "Nothing says which is more accurate: the first and the last were not tested on one"
                " record in common."
            )
        except (Missing, Invalid):  # not every recipe writes what it answered
            pass


@app.command
def errors(
    id: VersionId,
    /,
    *,
    drawn: Annotated[str | None, note("Only records of this class.", metavar="CLASS")] = None,
    taken_for: Annotated[
        str | None, note("Only what was taken for this class.", metavar="CLASS")
    ] = None,
    terminal: Here,
    limit: Limit = 50,
) -> None:
    """List the test records on which a version was wrong, the most confident mistakes first.

    Example:
        volano versions errors ver_0198c5e07d317c4e9a503f1b6f7f2a10
        volano versions errors ver_0198c61a2b4d7f03 --drawn circle --taken-for square
    """
    found = terminal.client.versions.errors(id, drawn=drawn, taken_for=taken_for)
    none = "No test record was answered so."
    terminal.rows(found, ERRORS, limit=limit, none=none)


@app.command
def activate(
    id: VersionId,
    /,
    *,
    terminal: Here,
    endpoint: Annotated[str | None, note("Endpoint; else the model's.", metavar="NAME")] = None,
) -> None:
    """Put a version on an endpoint's traffic; nobody's request fails meanwhile.

    Example:
        volano versions activate ver_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    name = endpoint or terminal.client.versions.show(id).model
    _changed(terminal, terminal.client.endpoints.activate(name, id))


@app.command
def rollback(
    endpoint: Annotated[str, note("Name of an endpoint.")],
    /,
    *,
    terminal: Here,
    leaves: Annotated[
        str | None, note("The version to take off; else the active one.", "--from", metavar="ID")
    ] = None,
) -> None:
    """Put the version that answered before back on an endpoint; again, the one before that.

    Example:
        volano versions rollback drawing
    """
    _changed(terminal, terminal.client.endpoints.rollback(endpoint, leaves))


def view(version: "Version", look: Look) -> str:
    """Draw a version as a card, its figures below."""
    facts = {
        "id": version.id,
        "model": f"{version.model} {version.number}",
        "run": version.run,
        "snapshot": version.snapshot,
        "source": version.source,
        "digest": version.digest,
        "params": version.params or None,
        "classes": len(version.signature.classes) or None,
        "temperature": version.temperature,
        "files": ", ".join(f"{f.name} {render.size(f.bytes)}" for f in version.files),
        "trained by": version.created_by,
        "created": version.created_at,
    }
    parts = [render.card(facts, look), figures(version.metrics, look)]
    return "\n\n".join([*parts, *filter(None, [warned(version.warnings, look)])])


def by_class(report: "Report", look: Look) -> str:
    """Draw the figures of each class, then the most frequent mistakes; else all figures."""
    from volano.schemas.evaluation import RegressionReport

    if isinstance(report, RegressionReport):
        figures = {name: getattr(report, name) for name in report.__struct_fields__}
        return render.card(figures, look)
    parts = [render.table(report.per_class, CLASSES, look)]
    if report.top_confusions:
        parts.append(render.table(report.top_confusions, CONFUSIONS, look))
    if report.warnings:
        parts.append(warned(report.warnings, look))
    return "\n\n".join(parts)


def table(comparison: "Comparison", look: Look) -> str:
    """Draw metrics of versions side by side, then the parameters that differ."""
    heads = [f"{v.model} {v.number}" for v in comparison.versions]
    metrics = [
        (NAMES.get(name, name), *values, _delta(values))
        for name, values in comparison.metrics.items()
        if not name.startswith("accuracy_interval_")  # said in a sentence below
    ]
    parts = [render.table(metrics, _columns(["METRIC", *heads, "DIFFERENCE"]), look)]
    if comparison.params:
        params = [(name, *values) for name, values in comparison.params.items()]
        parts.append(render.table(params, _columns(["PARAMETER", *heads]), look))
    else:
        parts.append("No parameter differs.")
    return "\n\n".join(parts)


def better(found: "Difference") -> str:
    """Return in a sentence whether the last version beats the first."""
    low, high = (f"{100 * end:+.1f}" for end in (found.interval.low, found.interval.high))
    said = "Not known which is more accurate"
    if found.interval.low > 0 or found.interval.high < 0:
        said = f"The {'last' if found.difference > 0 else 'first'} is more accurate"
    return (
        f"{said}: {100 * found.difference:+.1f} points, {low} to {high} with"
        f" {found.interval.level:.0%} confidence, on {render.plural(found.n, 'record')} of both"
        " tests."
    )


def _columns(heads: list[str]) -> "Columns[tuple[object, ...]]":
    # Two versions may have one name and number in two workspaces' exports: heads stay unique.
    return {f"{head}{' ' * heads[:n].count(head)}": _place(n) for n, head in enumerate(heads)}


def _place(n: int) -> "render.Show[tuple[object, ...]]":
    return lambda row: row[n]


def _delta(values: Sequence[float | None]) -> str:
    first, last = values[0], values[-1]
    if first is None or last is None:
        return ""
    if last == first:
        return "="
    difference = last - first
    return f"{difference:+.0f}" if difference.is_integer() else f"{difference:+.4f}"


def _changed(terminal: Terminal, endpoint: "Endpoint") -> None:
    if terminal.format != "table":
        return terminal.document(endpoint)
    terminal.confirm(f"{endpoint.version} answers on {endpoint.name} now")
    for warning in endpoint.warnings:
        terminal.say(terminal.ink("yellow", "warning: ") + render.visible(warning))
    return terminal.then(f"volano predict {endpoint.name} RECORD_ID")

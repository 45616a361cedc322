"""`volano turn`: the whole wheel on a folder or file, from import to an endpoint that answers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from volano.cli.data_import import Imported, ImportOptions, import_file
from volano.cli.terminal import Here, Terminal, note, path, whole
from volano.schemas.data import RecordFilter, Snapshot, SplitRule
from volano.schemas.errors import Invalid
from volano.sdk import config

if TYPE_CHECKING:
    from volano.cli.render import Look
    from volano.schemas.evaluation import Report

RECIPES = {"drawing": "drawing", "image": "image"}
"""What learns from records of a kind."""


_AS_FOUND = ImportOptions()


class NothingLearns(Invalid):
    """They are stored, but no recipe learns from {kinds}."""

    remedy = "`volano train --local --recipe model.py` trains a model of your own on a snapshot."


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TurnOptions:
    """How to train, and on whom to test."""

    model: Annotated[
        str | None, note("Name of model and endpoint; else the dataset's.", metavar="NAME")
    ] = None
    seconds: Annotated[float, note("Time for training, evaluation and export.")] = 300.0
    seed: Annotated[int, note("Seed of everything random in it.", converter=whole)] = 0
    test_contributors: Annotated[
        list[str],
        note(
            "Whose records are the test split; else drawn at random.",
            metavar="PATTERN ...",
            many=True,
        ),
    ] = field(default_factory=list)


def turn(
    file: Annotated[Path, path("The folder, archive or file to learn from.")],
    /,
    *,
    terminal: Here,
    options: TurnOptions = TurnOptions(),
    reading: ImportOptions = _AS_FOUND,
) -> int:
    """Turn the wheel once: import, freeze, train, activate, and say how to ask.

    Takes what `volano data import` takes: a folder of images in folders called like their classes
    is enough. What the server has already is not stored again, and an equal list of records is the
    same snapshot. What cannot be read is named and left out. Where no server answers, one is
    started in this folder.

    Example:
        volano turn photos/
        volano turn photos.zip --model flowers --seconds 120
        volano turn strokes_background_small1.zip --test-contributors '*-19' '*-20'
    """
    from volano.cli import background, errors, run_progress

    file.stat()  # no server is started for what is not there
    background.ensure_server(terminal)
    found = import_file(terminal, file, reading)
    if not found.there:
        return errors.USER
    recipe, datasets = _recipe(found), found.target.used if found.target else []
    name = options.model or (datasets[0] if datasets else found.format.name)
    snapshot, client = _freeze(terminal, found, name, options), terminal.client
    run = client.runs.create(
        snapshot.id, recipe=recipe, model=name, seconds=options.seconds, seed=options.seed
    )
    if code := run_progress.follow(terminal, run.id, advise=False):
        return code
    version = client.runs.show(run.id).version
    assert version is not None, "a finished run has registered a version"
    terminal.show(client.versions.evaluation(version), figures)
    client.endpoints.activate(name, version)
    terminal.confirm(f"{version} answers on endpoint {name}")
    if recipe == "image":
        terminal.say("\nAsk it yourself:\n\n" + curl(terminal, name, a_picture(file)) + "\n")
    terminal.then(f"volano versions show {version} --classes", f"volano explain {version}")
    return 0


def figures(report: "Report", look: "Look") -> str:
    """Draw what a model can do, and the baseline beside it."""
    from volano.cli import render, versions
    from volano.schemas.evaluation import ClassificationReport

    if not isinstance(report, ClassificationReport):
        return versions.by_class(report, look)

    facts: dict[str, object] = {
        "tested on": f"{report.n:,} records",
        "accuracy": f"{report.accuracy:.1%}",
        "precision": f"{report.macro.precision:.1%}",
        "recall": f"{report.macro.recall:.1%}",
        "F1": f"{report.macro.f1:.1%}",
    }
    if (simple := report.baseline) is not None:
        facts["baseline"] = f"{simple.accuracy:.1%}, F1 {simple.macro_f1:.1%}: {simple.name}"
    return render.card(facts, look)


def curl(terminal: Terminal, endpoint: str, picture: Path | None) -> str:
    """Return the command that asks an endpoint about a picture; its key is not in it."""
    import shlex

    shown = "photo.jpg" if picture is None else str(picture)
    address = f"{terminal.client.url}/api/endpoints/{endpoint}/predict"
    return (
        f"curl -s {shlex.quote(address)} \\\n"
        f'  -H "Authorization: Bearer {_key(terminal)}" \\\n'
        f"  -H 'content-type: application/octet-stream' \\\n"
        f"  --data-binary {shlex.quote(f'@{shown}')}"
    )


def a_picture(file: Path) -> Path | None:
    """Return one of the pictures in a folder; None where there is none, and of anything else."""
    files = sorted(file.rglob("*")) if file.is_dir() else []
    return next((one for one in files if one.is_file() and _is_picture(one)), None)


def _is_picture(file: Path) -> bool:
    from volano.data.formats import image_types
    from volano.schemas.images import UnsupportedImage

    with file.open("rb") as opened:
        try:
            return bool(image_types.recognise(opened.read(64)))
        except UnsupportedImage:
            return False


def _key(terminal: Terminal) -> str:
    """Return words by which a shell finds the key that this command has used."""
    if not terminal.key and not config.environment().get("VOLANO_KEY"):
        by_url = "" if config.read().url == terminal.client.url else f" --url {terminal.client.url}"
        return f"$(volano keys current{by_url})"
    return "$VOLANO_KEY"


def _recipe(found: Imported) -> str:
    """Return the recipe that learns from what was imported.

    Raises: NothingLearns.
    """
    kinds = sorted(found.health.kinds)
    if len(kinds) != 1 or kinds[0] not in RECIPES:
        raise NothingLearns(kinds=" and ".join(f"{kind}s" for kind in kinds))
    return RECIPES[kinds[0]]


def _freeze(terminal: Terminal, found: Imported, name: str, options: TurnOptions) -> Snapshot:
    """Freeze what was imported: drawings by who drew them, all else as given or by content."""
    assert found.target is not None, "it was sent"
    datasets = found.target.used
    chosen = (
        RecordFilter(datasets=datasets) if datasets else RecordFilter(origins=[found.target.origin])
    )
    rule = SplitRule(
        by="given" if datasets else "contributor",
        stratified=bool(datasets),
        seed=options.seed,
        test_contributors=options.test_contributors,
    )
    snapshot = terminal.client.snapshots.create(name, filter=chosen, split=rule)
    terminal.confirm(f"{snapshot.records:,} records frozen as {snapshot.id}")
    for warning in snapshot.warnings:
        terminal.warn(warning)
    return snapshot

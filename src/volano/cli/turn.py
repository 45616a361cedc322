"""`volano turn`: the whole wheel on a file, from the import to an endpoint that answers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from volano.cli.terminal import Here, note, path
from volano.schemas.data import RecordFilter, SplitRule


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TurnOptions:
    """How to train, and on whom to test."""

    model: Annotated[
        str | None, note("Name of model and endpoint; else the format's.", metavar="NAME")
    ] = None
    seconds: Annotated[float, note("Time for training, evaluation and export.")] = 300.0
    seed: Annotated[int, note("Seed of everything random in it.")] = 0
    test_contributors: Annotated[
        list[str],
        note(
            "Whose drawings are the test split; else drawn at random.",
            metavar="PATTERN ...",
            many=True,
        ),
    ] = field(default_factory=list)


def turn(
    file: Annotated[Path, path("The file to learn from.")],
    /,
    *,
    terminal: Here,
    format: Annotated[Literal["omniglot"], note("What the file is.")] = "omniglot",
    options: TurnOptions = TurnOptions(),
) -> int:
    """Turn the wheel once on a file: import, freeze, train, activate.

    What the server has already is not stored again, and an equal list of records is the same
    snapshot. A drawing that cannot be read is named and left out.

    Example:
        volano turn strokes_background_small1.zip
        volano turn strokes_background_small1.zip --test-contributors '*-19' '*-20'
    """
    from volano.cli import data_import, errors, run_progress

    client, name = terminal.client, options.model or format
    reading = data_import.ImportOptions(format=format)
    if not data_import.import_file(terminal, file, reading).there:
        return errors.USER
    snapshot = client.snapshots.create(
        name,
        filter=RecordFilter(origins=[format]),
        split=SplitRule(seed=options.seed, test_contributors=options.test_contributors),
    )
    terminal.confirm(f"{snapshot.records:,} records frozen as {snapshot.id}")
    for warning in snapshot.warnings:
        terminal.warn(warning)
    run = client.runs.create(snapshot.id, model=name, seconds=options.seconds, seed=options.seed)
    if code := run_progress.follow(terminal, run.id, advise=False):
        return code
    version = client.runs.show(run.id).version
    assert version is not None, "a finished run has registered a version"
    client.endpoints.activate(name, version)
    terminal.confirm(f"{version} answers on endpoint {name}")
    terminal.then(f"volano versions show {version}", f"volano explain {version}")
    return 0

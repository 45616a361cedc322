"""`volano train`: start a training on a server, or run it here."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from volano.cli.render import visible
from volano.cli.run_progress import follow
from volano.cli.terminal import Here, Terminal, note, path, whole
from volano.schemas.errors import Invalid


class SnapshotNeeded(Invalid):
    """A training needs a snapshot to learn from."""

    remedy = "`volano snapshots ls` shows those that are there: `volano train --snapshot NAME`."


class DataNeeded(Invalid):
    """A training here needs a folder with a staged snapshot."""

    remedy = "Fetch one with `volano snapshots pull NAME FOLDER`, then add `--data FOLDER`."


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What to train."""

    recipe: Annotated[str, note("What to train.", metavar="NAME")] = "drawing"
    model: Annotated[str | None, note("Name of the model; else the recipe's.", metavar="NAME")] = (
        None
    )
    seconds: Annotated[float, note("Time for training, evaluation and export.")] = 300.0
    seed: Annotated[int, note("Seed of everything random in it.", converter=whole)] = 0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """Training without a server."""

    local: Annotated[bool, note("Run it here, without a server.")] = False
    data: Annotated[
        Path | None, path("With --local: what `snapshots pull` fetched.", metavar="FOLDER")
    ] = None
    out: Annotated[Path, path("With --local: where the artefact goes.", metavar="FOLDER")] = Path(
        "artefact"
    )


def train(
    *,
    terminal: Here,
    snapshot: Annotated[str | None, note("What to learn from: id or name.", metavar="ID")] = None,
    options: TrainOptions = TrainOptions(),
    watch: Annotated[
        bool, Parameter(help="Follow it to its end, or only start it.", negative="--detach")
    ] = True,
    here: LocalOptions = LocalOptions(),
    **params: Annotated[str, note("A parameter of the recipe, see below.", show=False)],
) -> int:
    """Train a model on a snapshot.

    Ctrl-C leaves a training on a server running.

    Example:
        volano train --snapshot letters --seconds 120
        volano train --snapshot letters --model letters --learning_rate=0.001 --detach
        volano train --local --data staged/ --out artefact/
    """
    chosen = {name.replace("-", "_"): typed(text) for name, text in params.items()}
    if here.local:
        return _train_here(terminal, options, here, chosen)
    if snapshot is None:
        raise SnapshotNeeded
    frozen = terminal.client.snapshots.show(snapshot)
    run = terminal.client.runs.create(frozen.id, params=chosen, **asdict(options))
    terminal.say(visible(f"{run.id}: {run.recipe} on {frozen.name}, {frozen.records:,} records"))
    if watch:
        return follow(terminal, run.id)
    if terminal.format != "table":
        terminal.document(run)
    terminal.then(f"volano runs watch {run.id}")
    return 0


def typed(text: str) -> Any:
    """Return a parameter as it was typed: a number or truth where it reads as one."""
    import msgspec

    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _train_here(
    terminal: Terminal, options: TrainOptions, here: LocalOptions, params: Mapping[str, Any]
) -> int:
    from volano.cli.train_local import train_here

    if here.data is None:
        raise DataNeeded
    recipe = os.path.expanduser(options.recipe)
    return train_here(
        terminal, recipe, here.data, here.out, params, seed=options.seed, seconds=options.seconds
    )

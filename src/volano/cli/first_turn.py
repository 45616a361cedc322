"""The first turn of the wheel: synthetic drawings become a model that answers, over plain HTTP."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from volano.schemas.accounts import NameTaken
from volano.schemas.drawings import Canvas, Point, Stroke
from volano.schemas.serving import ClassesPrediction, DrawingInput
from volano.sdk import imports, synthetic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volano.cli.steps import Steps
    from volano.schemas.registry import Run
    from volano.sdk.client import Client

NAME = "shapes"
"""Of the first snapshot, model and endpoint."""

ORIGIN = "synthetic"
DRAWINGS_PER_SHAPE = 60
EPOCHS = 15
"""Enough for five easy shapes: some seconds on two cores."""

WIDTH = 16
"""Half the channels of the default: a quarter of the work, and shapes need no more."""

SECONDS = 60.0


def first_turn(client: Client, steps: Steps, *, key: str | None, advise: bool = True) -> None:
    """Collect, freeze, train, activate, predict; nothing where an endpoint answers already.

    Without `advise` nothing is said of what to do then: the server ends at once.
    """
    answering = [endpoint.name for endpoint in client.endpoints.ls()]
    if answering:
        name = NAME if NAME in answering else answering[0]
        steps.done(f"endpoint {name!r} answers")
        if advise:
            steps.terminal.say()
            steps.terminal.then("volano status", f"volano endpoints show {name}")
        return
    _draw(client, steps)
    snapshot = client.snapshots.create(NAME)
    steps.done(f"snapshot {NAME!r}: {snapshot.records} records, frozen as {snapshot.hash[:12]}")
    version = _train(client, steps, snapshot.id)
    client.endpoints.activate(NAME, version)
    steps.done(f"{version} answers on endpoint {NAME!r}")
    answer = _ask(client, steps)
    if advise:
        _advise(client, steps, key, answer)


def _draw(client: Client, steps: Steps) -> None:
    for name in synthetic.SHAPES:
        with suppress(NameTaken):
            client.shapes.add(name, description=f"Draw a {name}.")
    drawings = synthetic.drawings(synthetic.SHAPES, DRAWINGS_PER_SHAPE, seed=0)
    batches = imports.send(client, ORIGIN, drawings)
    stored = sum(outcome.stored for outcomes in batches for outcome in outcomes)
    steps.done(f"{stored} synthetic drawings of {len(synthetic.SHAPES)} shapes collected")


def _train(client: Client, steps: Steps, snapshot: str) -> str:
    run = client.runs.create(
        snapshot, model=NAME, params={"epochs": EPOCHS, "width": WIDTH}, seconds=SECONDS
    )
    for seen in client.runs.watch(run.id):
        run = seen
    if run.version is None:
        raise RuntimeError(run.failure.message if run.failure else f"{run.id} is {run.state}")
    steps.done(f"trained: {_result(run)}")
    return run.version


def _result(run: Run) -> str:
    accuracy = run.metrics.get("accuracy")
    return run.id if accuracy is None else f"{accuracy:.1%} of the test drawings right"


def _ask(client: Client, steps: Steps) -> str:
    """Ask about a square; return the id of the answer."""
    asked = DrawingInput(canvas=Canvas(width=100, height=100), strokes=[_line(_SQUARE)])
    answer = client.endpoints.predict(NAME, asked)
    assert isinstance(answer, ClassesPrediction), "the recipe is a classifier"
    steps.done(f"first answer: a {answer.label} ({answer.confidence:.0%}), prediction {answer.id}")
    return answer.id


def _advise(client: Client, steps: Steps, key: str | None, answer: str) -> None:
    if key is not None:
        steps.terminal.say("\nAsk it yourself (a square):\n")
        steps.terminal.say(_curl(f"{client.url}/api/endpoints/{NAME}/predict", key))
    steps.terminal.say()
    steps.terminal.then(f"volano explain {answer}", "volano turn strokes_background_small1.zip")


_SQUARE = [(20, 20), (80, 20), (80, 80), (20, 80), (20, 20)]


def _line(corners: Sequence[tuple[float, float]]) -> Stroke:
    points = [Point(x=x, y=y, timestamp=t * 200) for t, (x, y) in enumerate(corners)]
    return Stroke(points=points)


def _curl(address: str, key: str) -> str:
    points = [{"x": x, "y": y, "timestamp": t * 200} for t, (x, y) in enumerate(_SQUARE)]
    body = {"input": {"canvas": {"width": 100, "height": 100}, "strokes": [{"points": points}]}}
    return (
        f"curl -s {address} \\\n  -H 'Authorization: Bearer {key}' \\\n"
        f"  -H 'content-type: application/json' \\\n  -d '{json.dumps(body)}'"
    )

"""The client's part of training and the registry: runs and versions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from volano.schemas.common import Id, Name
from volano.schemas.evaluation import Answered, Difference, Report
from volano.schemas.registry import Comparison, NewRun, Run, RunState, Series, Version
from volano.sdk.transport import Transport, path

OVER: Final = frozenset[RunState]({"finished", "failed", "cancelled"})
"""The states that a run does not leave."""


class Runs:
    """Executions of a model's code on a snapshot."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        snapshot: Id,
        recipe: Name = "drawing",
        *,
        model: Name | None = None,
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
        seconds: float = 300.0,
    ) -> Run:
        """Start a training; it waits until a worker is free."""
        new = NewRun(
            snapshot=snapshot,
            recipe=recipe,
            model=model,
            params=dict(params or {}),
            seed=seed,
            seconds=seconds,
        )
        return self._transport.call("POST", "/runs", Run, body=new)

    def ls(self, *, state: RunState | None = None, model: Name | None = None) -> Iterator[Run]:
        """Yield runs, newest first."""
        return self._transport.pages("/runs", Run, {"state": state, "model": model})

    def show(self, id: Id) -> Run:
        """Return one run as it is now."""
        return self._transport.call("GET", path("runs", id), Run)

    def series(self, id: Id) -> list[Series]:
        """Return every point that a run has logged so far, by metric."""
        return self._transport.call("GET", path("runs", id, "series"), list[Series])

    def log(self, id: Id) -> str:
        """Return what a run printed; while it goes on, the latest of it."""
        return self._transport.fetch("GET", path("runs", id, "log")).decode("utf-8", "replace")

    def cancel(self, id: Id) -> Run:
        """Stop a run. Raises: RunOver."""
        return self._transport.call("POST", path("runs", id, "cancel"), Run)

    def watch(self, id: Id, *, every_s: float = 0.5, changed: bool = True) -> Iterator[Run]:
        """Yield the run whenever something about it has changed, until it is over.

        With `changed=False` every time that it was looked at.
        """
        seen: Run | None = None
        while seen is None or seen.state not in OVER:
            if seen is not None:
                self._transport.wait(every_s)
            run = self.show(id)
            if run != seen or not changed:
                yield run
            seen = run


class Versions:
    """Trained models with everything that made them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self, *, model: Name | None = None) -> Iterator[Version]:
        """Yield versions, newest first."""
        return self._transport.pages("/versions", Version, {"model": model})

    def show(self, id: Id) -> Version:
        """Return one version."""
        return self._transport.call("GET", path("versions", id), Version)

    def evaluation(self, id: Id) -> Report:
        """Return how a version did on the test split of its snapshot."""
        at = path("versions", id, "evaluation")
        return self._transport.call("GET", at, Report)  # type: ignore[arg-type] # union

    def errors(
        self, id: Id, *, drawn: str | None = None, taken_for: str | None = None
    ) -> Iterator[Answered]:
        """Yield the test records on which a version was wrong, the most confident mistakes first.

        Where `drawn` and `taken_for` are the same class, those on which it was right.
        """
        asked = {"drawn": drawn, "taken_for": taken_for}
        return self._transport.pages(path("versions", id, "errors"), Answered, asked)

    def file(self, id: Id, name: str) -> bytes:
        """Return one file of a version, such as `model.onnx`."""
        return self._transport.fetch("GET", path("versions", id, "files", name))

    def compare(self, ids: Sequence[Id]) -> Comparison:
        """Compare the metrics and parameters of versions."""
        return self._transport.call("GET", "/versions/compare", Comparison, query={"id": ids})

    def difference(self, first: Id, second: Id) -> Difference:
        """Return how much more accurate the second is on the records that tested both.

        Raises: Missing, AnswersUnreadable, NothingShared.
        """
        return self._transport.call("GET", path("versions", second, "against", first), Difference)

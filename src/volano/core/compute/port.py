"""The port: what every place that runs user code takes and gives."""

import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

from volano.schemas.errors import Conflict, Invalid, Unavailable
from volano.schemas.harness import AnyEvent, Finished, RunOrder
from volano.schemas.registry import Failure


class UnknownCompute(Invalid):
    """There is no compute {scheme!r}."""

    remedy = "Set VOLANO_COMPUTE to local:."


class FolderInUse(Conflict):
    """The folder {folder} already holds a run."""

    remedy = "Give each attempt a folder of its own."


class StartFailed(Unavailable):
    """The process cannot be started: {reason}."""

    remedy = "Look at free memory, processes and disk of the worker's machine."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One execution: what to run, in which folder of its own, with which environment."""

    folder: Path
    """Private to this attempt; becomes its working directory, HOME and log folder."""
    order: RunOrder
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Variables beside the few that every run has; never put a credential of the server here."""
    grace_s: float = 10.0
    """Time between asking the run to stop and killing it."""
    python: str = sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a run's process ended."""

    code: int
    """As the system tells it: 0, 1, 3, 130 of the harness; negative for a signal."""
    failure: Failure | None
    """None exactly if the run finished."""
    finished: Finished | None
    peak_rss_bytes: int
    seconds: float
    stdout: Path
    stderr: Path


class Handle(Protocol):
    """One run that was started."""

    def events(self) -> AsyncIterator[AnyEvent]:
        """Yield what the run tells, in order, until it has ended; for one reader.

        A reader who falls thousands of events behind loses the oldest, never `wait`'s result.
        """

    def cancel(self) -> None:
        """Ask the run to stop, and kill it after the grace time; may be repeated."""

    async def wait(self) -> Exit:
        """Return how the run ended, once no process of it is left; `events` need no reader."""


class Compute(Protocol):
    """A place that runs user code."""

    async def start(self, spec: ProcessSpec) -> Handle:
        """Start one run.

        Raises: FolderInUse, StartFailed.
        """

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...

"""The Context: everything a stage's verbs need from outside, built once in `app.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from volano.core.blobs import Blobs
    from volano.core.bus import Bus
    from volano.core.compute import Compute
    from volano.core.db import Database
    from volano.core.jobs import Ledger
    from volano.core.metrics import Metrics
    from volano.core.settings import Settings
    from volano.schemas.accounts import Permission, Who

    Authorise = Callable[["Context", Mapping[bytes, bytes], Permission], Awaitable[Who]]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Passed first to every verb; plain functions instead of service classes."""

    settings: Settings
    db: Database
    blobs: Blobs
    bus: Bus
    jobs: Ledger
    compute: Compute
    metrics: Metrics
    authorise: Authorise
    """Filled by accounts: who is calling, or an error."""
    parts: Mapping[type, Any] = field(default_factory=dict)
    """State objects of stages (inboxes, the serving runtime), by their class."""

    def part(self, cls: type[T]) -> T:
        """Return the state object of this class that app.py built.

        Raises: KeyError (app.py did not build one: a bug, not an input).
        """
        part: T = self.parts[cls]
        return part

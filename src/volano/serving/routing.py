"""Versions in memory: which one answers where."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from volano.schemas.registry import VersionFile
from volano.schemas.serving import LogPolicy
from volano.serving.adapters import Inputs
from volano.serving.adapters.outputs import Outputs

Address = tuple[str, str]
"""Workspace and endpoint."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
"""Between two tries to load what could not be loaded."""

KEEPS_ALL = LogPolicy()

_FAILED_KEPT = 1000  # changes that could not be followed, the latest ones
_WEIGHT = 0.1  # of the newest measurement in the average cost of a call


class CallCost:
    """What one input takes, s: measured when the version was loaded, then a moving average."""

    __slots__ = ("at_start_s", "now_s")

    def __init__(self, seconds: float) -> None:
        self.at_start_s = self.now_s = seconds

    def measured(self, seconds: float) -> None:
        """Take in one more measurement; never one of a call that failed."""
        self.now_s += _WEIGHT * (seconds - self.now_s)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVersion:
    """A version that can answer."""

    version: str
    told: VersionFile
    session: Any
    """Of onnxruntime."""
    cost: CallCost
    inputs: Inputs
    outputs: Outputs


@dataclass(frozen=True, slots=True)
class ActiveVersion:
    """What answers on one endpoint, and what is logged there, since the change `number`."""

    number: int
    loaded: LoadedVersion
    policy: LogPolicy = KEEPS_ALL


@dataclass(frozen=True, slots=True)
class FailedChange:
    """The change `number` could not be followed; it is not tried again before `until`, s."""

    number: int
    until: float
    pause_s: float


class Routing:
    """Active versions by address, at most `limit`: the least recently used one goes first.

    A swap is one assignment; a request keeps the version it began with.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.followed = 0
        """The number of the latest change, of any workspace, that was looked at."""
        self.active: OrderedDict[Address, ActiveVersion] = OrderedDict()
        """By address, the least recently asked first."""
        self._failed: dict[Address, FailedChange] = {}

    def put(self, address: Address, active: ActiveVersion) -> bool:
        """Let `active` answer there; return False if something as new already does."""
        there = self.active.get(address)
        if there is not None and there.number >= active.number:
            return False
        self.active[address] = active
        self.active.move_to_end(address)
        self._failed.pop(address, None)
        if len(self.active) > self.limit:
            self.active.popitem(last=False)
        return True

    def loaded(self, workspace: str, version: str) -> LoadedVersion | None:
        """Return the version if it answers on any endpoint of the workspace already."""
        found = (a.loaded for (owner, _), a in self.active.items() if owner == workspace)
        return next((loaded for loaded in found if loaded.version == version), None)

    def addresses(self) -> set[Address]:
        """Return every address where something answers or a change could not be followed."""
        return {*self.active, *self._failed}

    def due(self, now: float) -> set[Address]:
        """Return the addresses of changes that could not be followed and are to be tried again."""
        return {address for address, failed in self._failed.items() if failed.until <= now}

    def wants(self, address: Address, number: int, now: float) -> bool:
        """Tell whether this change is news here, there is room, and it did not just fail."""
        there = self.active.get(address)
        is_news = len(self.active) < self.limit if there is None else there.number < number
        return is_news and self.may_try(address, number, now)

    def failed(self, address: Address, number: int, now: float) -> bool:
        """Note that this change could not be followed; return False if that was known."""
        before, pause_s = self._failed.pop(address, None), FIRST_PAUSE_S
        if before is not None and before.number == number:
            pause_s = min(2 * before.pause_s, LONGEST_PAUSE_S)
        self._failed[address] = FailedChange(number, now + pause_s, pause_s)
        if len(self._failed) > _FAILED_KEPT:
            self._failed.pop(next(iter(self._failed)))
        return pause_s == FIRST_PAUSE_S

    def may_try(self, address: Address, number: int, now: float) -> bool:
        """Tell whether this change did not fail a moment ago."""
        failed = self._failed.get(address)
        return failed is None or failed.number != number or failed.until <= now

    def __len__(self) -> int:
        return len(self.active)

"""Which version answers where, in memory: the predict path reads nothing else."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from volano.serving.runtime import Loaded

Address = tuple[str, str]
"""Workspace and endpoint."""


FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
"""Between two tries to load what could not be loaded."""


@dataclass(frozen=True, slots=True)
class Active:
    """What answers on one endpoint since the change `sequence`."""

    sequence: int
    loaded: Loaded


@dataclass(frozen=True, slots=True)
class Setback:
    """The change `sequence` could not be followed; it is not tried again before `until`, s."""

    sequence: int
    until: float
    pause_s: float


class Routing:
    """Active versions by address, at most `limit`: the least recently used one goes first.

    A swap is one assignment; a request keeps the version it began with.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.loading = asyncio.Lock()
        """Held while a version is loaded: who waits for the same one finds it there."""
        self._active: OrderedDict[Address, Active] = OrderedDict()
        self._setbacks: dict[Address, Setback] = {}

    def find(self, address: Address) -> Active | None:
        """What answers there, None if nothing is loaded."""
        active = self._active.get(address)
        if active is not None:
            self._active.move_to_end(address)
        return active

    def put(self, address: Address, active: Active) -> bool:
        """Let `active` answer there; False if something as new already does."""
        there = self._active.get(address)
        if there is not None and there.sequence >= active.sequence:
            return False
        self._active[address] = active
        self._active.move_to_end(address)
        self._setbacks.pop(address, None)
        if len(self._active) > self.limit:
            self._active.popitem(last=False)
        return True

    def loaded(self, workspace: str, version: str) -> Loaded | None:
        """The version where it answers on any endpoint of the workspace already."""
        found = (a.loaded for (owner, _), a in self._active.items() if owner == workspace)
        return next((loaded for loaded in found if loaded.version == version), None)

    def sequences(self) -> dict[Address, int]:
        """The sequence number of every loaded endpoint."""
        return {address: active.sequence for address, active in self._active.items()}

    def set_back(self, address: Address, sequence: int, now: float) -> bool:
        """Note that this change could not be followed; whether that is news."""
        before = self._setbacks.get(address)
        if before is None or before.sequence != sequence:
            self._setbacks[address] = Setback(sequence, now + FIRST_PAUSE_S, FIRST_PAUSE_S)
            return True
        pause_s = min(2 * before.pause_s, LONGEST_PAUSE_S)
        self._setbacks[address] = Setback(sequence, now + pause_s, pause_s)
        return False

    def may_try(self, address: Address, sequence: int, now: float) -> bool:
        """Whether this change did not fail a moment ago."""
        setback = self._setbacks.get(address)
        return setback is None or setback.sequence != sequence or setback.until <= now

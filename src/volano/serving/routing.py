"""Which version answers where, in memory: the predict path reads nothing else."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from volano.serving.runtime import Loaded

Address = tuple[str, str]
"""Workspace and endpoint."""


@dataclass(frozen=True, slots=True)
class Active:
    """What answers on one endpoint since the change `sequence`."""

    sequence: int
    loaded: Loaded


class Routing:
    """Active versions by address, at most `limit`: the least recently used one goes first.

    A swap is one assignment; a request keeps the version it began with.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._active: OrderedDict[Address, Active] = OrderedDict()

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
        if len(self._active) > self.limit:
            self._active.popitem(last=False)
        return True

    def drop(self, address: Address) -> None:
        """Forget what answers there."""
        self._active.pop(address, None)

    def loaded(self, workspace: str, version: str) -> Loaded | None:
        """The version where it answers on any endpoint of the workspace already."""
        found = (a.loaded for (owner, _), a in self._active.items() if owner == workspace)
        return next((loaded for loaded in found if loaded.version == version), None)

    def sequences(self) -> dict[Address, int]:
        """The sequence number of every loaded endpoint."""
        return {address: active.sequence for address, active in self._active.items()}

"""A server under load whose processes are killed again and again, and what became of it all."""

import asyncio
import random
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.faults.crowd import Crowd, Journal, Line
from tests.faults.ledgers import Shelf, look
from tests.faults.roles import Backend, Fleet, Role, fleet, wait_for

FIRST = 80
"""Drawings before the first kill: enough people for a snapshot."""

QUIET_S = 90.0
CALM_S, STRIKE_S = 240.0, 30.0
"""A storm takes no longer than the first and as many of the second as there are kills."""

ORPHAN_S = 10.0

TINY = {"seconds": 1.5, "epochs": 2, "width": 4, "threads": 1, "reserve": 0.5}
"""Parameters of the real recipe with which it is done in seconds."""

Kill = tuple[tuple[Role, ...], bool]
KINDS: list[Kill] = [
    (("api",), True),
    (("worker",), True),
    (("api", "worker"), True),
    (("api",), False),
    (("worker",), False),
]
"""Who is killed, and whether its supervisor is killed with it."""

STRIKES_RUN: list[Kill] = [(("worker",), True), (("api", "worker"), True), (("worker",), False)]


@dataclass
class Report:
    """What one storm did and what was there in the end."""

    backend: Backend
    seed: int
    kills: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    acked: int = 0
    images: int = 0
    """Images among what is stored."""
    lost: int = 0
    doubled: int = 0
    stored: int = 0
    unacknowledged: int = 0
    """Stored though the answer never came: allowed, each once."""
    requests: int = 0
    failed_requests: int = 0
    merged: int = 0
    """Segments that were merged into others meanwhile."""
    duplicates: int = 0
    """Drawings that a repeated request found already stored."""
    interrupted_jobs: dict[str, int] = field(default_factory=dict)
    """Jobs of a topic that took more than one attempt."""
    dead_jobs: dict[str, int] = field(default_factory=dict)
    """Jobs of a topic that lost five workers: given up, for another to be sent."""
    runs: dict[str, int] = field(default_factory=dict)
    run_attempts: list[int] = field(default_factory=list)
    versions: int = 0
    wrong: list[str] = field(default_factory=list)
    """Every fact that should have been otherwise."""
    logs: list[str] = field(default_factory=list)
    """What the server wrote last, where something is wrong."""
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def storm(backend: Backend, *, kills: int, runs: int, seed: int) -> Report:
    """Kill a loaded server's processes `kills` times; at `runs` of them a run is under way."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="volano-storm-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # a PostgreSQL that runs as nobody must get through
        report = Report(backend, seed)
        with fleet(backend, folder) as server:
            made = _Storm(server, folder, report, random.Random(seed))
            asyncio.run(asyncio.wait_for(made.blow(kills, runs), CALM_S + STRIKE_S * kills))
            made.stop()
        if report.wrong:
            report.logs = [_end(log) for log in sorted(folder.glob("*.log"))]
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _end(log: Path) -> str:
    return f"{log.name}: …{log.read_text(errors='replace')[-3000:]}"


class _Storm:
    def __init__(self, server: Fleet, folder: Path, report: Report, rng: random.Random) -> None:
        self.server, self.report, self.rng = server, report, rng
        self.journal = Journal(folder / "acknowledged")
        self.below: list[psutil.Process] = []
        self.run_ids: list[str] = []

    async def blow(self, kills: int, runs: int) -> None:
        """Load, kills, calm, and the comparison."""
        self.line = Line(lambda: self.server.roles["api"].url, self.server.key)
        crowd = Crowd(self.line, self.journal, self.report.seed)
        await crowd.prepare()
        crowd.start()
        while len(self.journal.acknowledged()) < FIRST:
            crowd.check()
            await asyncio.sleep(0.05)
        with_run = set(self.rng.sample(range(kills), runs))
        snapshot = await self._snapshot() if runs else ""
        for number in range(kills):
            crowd.check()
            await self._strike(snapshot if number in with_run else "")
        await asyncio.sleep(1)
        await crowd.stop()
        self.report.duplicates = crowd.repeats
        await self._compare()
        await self.line.http.aclose()

    async def _snapshot(self) -> str:
        made = await self.line.ask("POST", "/snapshots", {"name": "storm", "dataset": "drawings"})
        return str(made["id"])

    async def _strike(self, snapshot: str) -> None:
        if snapshot:
            await self._begin_run(snapshot)
            roles, whole = self.rng.choice(STRIKES_RUN)
            await asyncio.sleep(self.rng.uniform(0, 5))
        else:
            roles, whole = self.rng.choice(await self._kinds())
            await asyncio.sleep(self.rng.uniform(0.1, 1.2))
        for role in roles:
            up = self.server.roles[role]
            await asyncio.to_thread(wait_for, up.leaves, f"{role} after its last end")
        self.server.remember()
        for role in roles:
            self.below += self.server.roles[role].kill(whole=whole)
        self.report.kills += 1
        kind = f"{' and '.join(roles)}{'' if whole else ' below its supervisor'}"
        self.report.by_kind[kind] = self.report.by_kind.get(kind, 0) + 1
        await asyncio.to_thread(self._no_orphans)
        await asyncio.to_thread(self.server.start)

    async def _kinds(self) -> list[Kill]:
        """Return all kinds, but spare a run that lost three workers: five end it for good."""
        if self.run_ids:
            run = await self.line.ask("GET", f"/runs/{self.run_ids[-1]}")
            if run["state"] == "running" and run["attempt"] >= 3:
                return [kind for kind in KINDS if kind[0] == ("api",)]
        return KINDS

    async def _begin_run(self, snapshot: str) -> None:
        body = {"snapshot": snapshot, "params": TINY, "model": "storm", "seconds": 120}
        key = f"run-{len(self.run_ids)}"
        run = (await self.line.ask("POST", "/runs", body, key=key))["id"]
        self.run_ids.append(run)
        while (await self.line.ask("GET", f"/runs/{run}"))["state"] == "queued":
            await asyncio.sleep(0.05)

    def _no_orphans(self) -> None:
        """Wait until what was below a killed worker has ended by itself, as a run does."""
        _, alive = psutil.wait_procs(self.below, timeout=ORPHAN_S)
        self.below = []
        for process in alive:
            self.report.wrong.append(f"orphan {process.pid} of a killed worker")

    async def _compare(self) -> None:
        look(self.server, self.journal, self.report)  # before all has moved
        until = time.monotonic() + QUIET_S
        while (busy := self._busy()) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        self.report.wrong += [f"never ended: {what}" for what in busy]
        look(self.server, self.journal, self.report)
        await Shelf(self.server, self.line, self.journal, self.report).compare(self.run_ids)
        self.report.requests, self.report.failed_requests = self.line.tries, self.line.failed

    def _busy(self) -> list[str]:
        open_jobs = "SELECT topic, state FROM jobs WHERE state NOT IN ('done','dead','cancelled')"
        open_runs = "SELECT id, state FROM runs WHERE state IN ('queued', 'running')"
        waiting = "SELECT 'inbox', stream FROM inbox"
        found = [row for sql in (open_jobs, open_runs, waiting) for row in self.server.query(sql)]
        return [f"{name} {state}" for name, state in found]

    def stop(self) -> None:
        """End the server as its operator would: nothing of it is left."""
        self.journal.close()
        for role, code in self.server.stop().items():
            if code != 0:
                self.report.wrong.append(f"{role} ended with {code}")
        for process in self.server.processes():
            self.report.wrong.append(f"left behind: {process}")
        left = (self.server.home / "runs").glob("*")
        self.report.wrong += [f"left behind: {path}" for path in left]

"""What is stored in the end, read past the product's own queries and then through its API."""

import io
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from PIL import Image

from tests.faults.crowd import PICTURES, Journal, Line
from tests.faults.roles import Fleet

if TYPE_CHECKING:
    from tests.faults.kills import Report

STORED = "SELECT key FROM inbox WHERE stream = 'records' UNION ALL SELECT id FROM records"


def look(server: Fleet, journal: Journal, report: "Report") -> None:
    """Compare what was promised with inbox and shelf together, in one statement."""
    there = Counter(_text(row[0]) for row in server.query(STORED))
    promised = set(journal.acknowledged())
    report.acked, report.stored = len(promised), len(there)
    report.lost = max(report.lost, len(promised - there.keys()))
    report.doubled = max(report.doubled, sum(count > 1 for count in there.values()))
    report.unacknowledged = len(there.keys() - promised)
    if strange := there.keys() - journal.sent:
        report.wrong.append(f"{len(strange)} records that nobody sent")


def _text(key: Any) -> str:
    return str(uuid.UUID(bytes=key) if isinstance(key, bytes) else key)


class Shelf:
    """Compares what the API tells with what is stored, and the runs with their effects."""

    def __init__(self, server: Fleet, line: Line, journal: Journal, report: "Report") -> None:
        self.server, self.line, self.journal, self.report = server, line, journal, report

    async def compare(self, run_ids: list[str]) -> None:
        """Note in the report whatever does not agree."""
        await self._records()
        await self._images()
        await self._runs(run_ids)
        self._jobs()

    def _expect(self, what: str, expected: Any, found: Any) -> None:
        if expected != found:
            self.report.wrong.append(f"{what}: expected {expected}, found {found}")

    async def _records(self) -> None:
        every = await self.line.pages("/records")
        ids = [one["id"] for one in every]
        self._expect("listed records", (self.report.stored, len(ids)), (len(set(ids)), len(ids)))
        exported = await self._exported()
        self._expect("exported records", sorted(ids), sorted(one["id"] for one in exported))
        drawn = [one for one in exported if one["id"] not in self.journal.pictures]
        self._expect("strokes of exported drawings", True, all(one["strokes"] for one in drawn))
        listed = [one for one in every if one["id"] not in self.journal.pictures]
        by_shape = Counter(one["label"] for one in listed)
        shapes = await self.line.pages("/shapes")
        self._expect("shapes.drawings", by_shape, {s["name"]: s["drawings"] for s in shapes})
        by_giver = Counter((one["contributor"], one["label"]) for one in listed)
        gifts = self.server.query("SELECT contributor, shape, drawings FROM gifts")
        self._expect("gifts", by_giver, {(who, shape): count for who, shape, count in gifts})
        stats = await self.line.ask("GET", "/user/stats")
        mine = sum(count for (who, _), count in by_giver.items() if who == stats["contributor"])
        self._expect("my drawings", mine, stats["total_drawings"])
        moved = self.server.query("SELECT sum(rows) FROM segments WHERE stream = 'records'")
        self._expect("rows of segments", len(ids), int(moved[0][0]))
        merged = self.server.query("SELECT count(*) FROM segment_merges")
        self.report.merged = int(merged[0][0])

    async def _images(self) -> None:
        listed = await self.line.pages(f"/records?dataset={PICTURES}")
        sent = {one["id"]: self.journal.pictures.get(one["id"]) for one in listed}
        self._expect("images as sent", sent, {one["id"]: one["sha256"] for one in listed})
        self.report.images = len(listed)
        for one in listed:
            got = await self.line.http.get(
                f"{self.line.address()}/api/v1/records/{one['id']}/content"
            )
            with Image.open(io.BytesIO(got.content)) as image:
                image.load()  # raises where a byte of it is lost
                size = one["facts"]["width"], one["facts"]["height"]
                self._expect(f"size of {one['id']}", size, image.size)

    async def _exported(self) -> list[dict[str, Any]]:
        got = await self.line.http.get(f"{self.line.address()}/api/v1/records/export", timeout=120)
        return [msgspec.json.decode(line) for line in got.content.splitlines()]

    async def _runs(self, run_ids: list[str]) -> None:
        runs = await self.line.pages("/runs")
        versions = await self.line.pages("/versions")
        self._expect("runs", sorted(run_ids), sorted(run["id"] for run in runs))
        self.report.runs = dict(Counter(run["state"] for run in runs))
        self.report.run_attempts = sorted(run["attempt"] for run in runs)
        self.report.versions = len(versions)
        made = [run["version"] for run in runs if run["state"] == "finished"]
        self._expect("versions of runs", sorted(made), sorted(one["id"] for one in versions))
        of_runs = {run["id"] for run in runs if run["state"] == "finished"}
        self._expect("runs of versions", of_runs, {one["run"] for one in versions})
        for run in runs:
            if run["state"] != "finished" and run["attempt"] < 5:
                self.report.wrong.append(f"run {run['state']}: {run['failure']}")
        for version in versions:
            await self.line.ask("GET", f"/versions/{version['id']}/evaluation")

    def _jobs(self) -> None:
        retried = self.server.query(
            "SELECT topic, count(*) FROM jobs WHERE attempt > 1 GROUP BY topic"
        )
        self.report.interrupted_jobs = _sorted(retried)
        dead = self.server.query("SELECT topic, signature, failure FROM jobs WHERE state = 'dead'")
        self.report.dead_jobs = dict(Counter(topic for topic, _, _ in dead))
        killed = "worker-lost"
        self.report.wrong += [f"dead job {t}: {why}" for t, kind, why in dead if kind != killed]
        counters = self.server.query("SELECT pending, running FROM job_queues")
        self._expect("counters of queues", {(0, 0)}, {tuple(row) for row in counters})


def _sorted(rows: Iterable[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in sorted(rows)}

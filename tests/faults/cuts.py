"""Power cuts acted out: a process promises, the light goes out, somebody looks what is there."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

import sqlalchemy as sa

from tests.faults.disk import Disk, Luck, Step, steps
from tests.faults.promises import WORKSPACE, settings
from volano import app
from volano.core.context import Context
from volano.schemas.errors import VolanoError

SOURCE = Path(__file__).with_name("power_loss.c")
KEYS = "SELECT key FROM inbox UNION ALL SELECT id FROM records"
SEGMENTS = "SELECT blob, rows FROM segments"


@dataclass
class Losses:
    """What many power cuts took."""

    cuts: int = 0
    promised_rows: int = 0
    """Summed over the cuts: each one could have lost all that was promised before it."""
    promised_blobs: int = 0
    lost_rows: int = 0
    doubled_rows: int = 0
    lost_blobs: int = 0
    corrupt: int = 0
    """Cuts after which the database was damaged or could not be opened."""
    harmed: int = 0
    """Cuts with any of these."""
    reasons: list[str] = field(default_factory=list)

    def blame(self, reason: str) -> None:
        """Count a cut after which the database is damaged."""
        self.corrupt += 1
        self.reasons.append(reason)


def compile_shim(folder: Path) -> Path:
    """Compile power_loss.so. Raises: FileNotFoundError (no compiler)."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("cc")
    made = folder / "power_loss.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", made, SOURCE, "-lpthread"], check=True
    )
    return made


@dataclass
class Bench:
    """Where lives are lived and cuts are looked at."""

    folder: Path
    shim: Path
    rng: Random
    seconds: float = 0.7

    def live(self, root: Path, seed: int, **faults: str) -> tuple[int, Path]:
        """Promise on the folder `root`; the exit code and the journal."""
        journal = root.with_name(f"{root.name}.journal")
        acks = root.with_name(f"{root.name}.acks")
        words = (str(root), str(acks), str(self.seconds), str(seed))
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.promises", *words],
            env={
                "PATH": "/usr/bin:/bin",
                "LD_PRELOAD": str(self.shim),
                "POWER_ROOT": str(root),
                "POWER_JOURNAL": str(journal),
                "POWER_ACKS": str(acks),
                **{f"POWER_{name.upper()}": value for name, value in faults.items()},
            },
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode in (0, 3), done.stderr
        return done.returncode, journal


def power_cuts(bench: Bench, *, lives: int, each: int) -> Losses:
    """Live some lives, each on the disk that the one before left; look at `each` cuts of each."""
    losses, promised = Losses(), set[str]()
    root = room(bench.folder / "first")
    for _ in range(lives):
        root = _cut(bench, root, promised, each, losses)
        if losses.corrupt:  # nobody could live on that
            break
    return losses


def without_sync(bench: Bench, *, lives: int, each: int) -> Losses:
    """Do the same on disks that ignore every sync, as a control; each is empty at first."""
    losses = Losses()
    for number in range(lives):
        _cut(bench, room(bench.folder / f"control-{number}"), set(), each, losses, ignore_sync="1")
    return losses


def _cut(
    bench: Bench, root: Path, promised: set[str], each: int, losses: Losses, **faults: str
) -> Path:
    """Live one life and look at some cuts of it; return the folder that the last one left."""
    disk = Disk(root)
    _, journal = bench.live(root, bench.rng.randrange(2**31), **faults)
    done = list(steps(journal.read_bytes()))
    moments = sorted(bench.rng.sample(range(len(done)), each))
    for at, step in enumerate(done[: moments[-1] + 1]):
        disk.take(step)
        promised.update(promises(step))
        if at in moments:
            root = room(journal.with_name(f"{journal.stem}-{at}"))
            disk.after_cut(Luck(bench.rng), root)
            look(root, promised, losses)
    return root


def every_commit(bench: Bench, losses: Losses) -> None:
    """Look at one life after each of its commits: a process may be killed between any two.

    What was written since the last sync is taken as lost, so an acknowledgement that came before
    its commit was on the disk is a loss.
    """
    root = room(bench.folder / "whole-life")
    asyncio.run(app.migrate(settings(root).db_url))
    disk, promised, there = Disk(root), set[str](), Counter[str]()
    _, journal = bench.live(root, bench.rng.randrange(2**31))
    for step in steps(journal.read_bytes()):
        disk.take(step)
        if step.op == "S" and disk.name_of(step.inode).startswith("volano.db"):
            there = _keys_after_kill(disk, room(bench.folder / f"kill-{losses.cuts}"))
            losses.cuts += 1
            losses.lost_rows += len(promised - there.keys())
            losses.doubled_rows += sum(count > 1 for count in there.values())
        new = {line.removeprefix("record ") for line in promises(step) if "record" in line}
        losses.promised_rows += len(new)
        losses.lost_rows += len(new - there.keys())
        promised |= new


def _keys_after_kill(disk: Disk, folder: Path) -> Counter[str]:
    """Count the rows in inbox and shelf by key, in the database as it was last synced."""
    disk.after_cut(Luck.without(), folder, only="volano.db")
    with closing(sqlite3.connect(folder / "new" / "volano.db")) as connection:
        found = Counter(str(UUID(bytes=bytes(key))) for (key,) in connection.execute(KEYS))
    shutil.rmtree(folder)
    return found


def promises(step: Step) -> list[str]:
    """Return what is promised by this step."""
    return step.data.decode().splitlines() if step.op == "A" else []


def room(path: Path) -> Path:
    """Make a new folder."""
    path.mkdir()
    return path


def contents(root: Path) -> dict[str, bytes]:
    """Read every file below a folder, but the one that SQLite makes anew."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".db-shm")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def look(root: Path, promised: Iterable[str], losses: Losses) -> None:
    """Compare what was promised with what is there after a start, and count."""
    before = (losses.lost_rows, losses.doubled_rows, losses.lost_blobs, losses.corrupt)
    by_kind: dict[str, list[str]] = {"record": [], "blob": []}
    for promise in promised:
        kind, _, id = promise.partition(" ")
        by_kind[kind].append(id)
    losses.cuts += 1
    losses.promised_rows += len(by_kind["record"])
    losses.promised_blobs += len(by_kind["blob"])
    try:
        _look_at_rows(root, by_kind["record"], losses)
        asyncio.run(_look_at_blobs(root, by_kind["blob"], losses))
    except (sqlite3.Error, sa.exc.DBAPIError, VolanoError) as error:
        losses.blame(f"{type(error).__name__}: {error}")
    after = (losses.lost_rows, losses.doubled_rows, losses.lost_blobs, losses.corrupt)
    losses.harmed += before != after


def _look_at_rows(root: Path, ids: list[str], losses: Losses) -> None:
    # Migrated first, as every start does: the light may have gone out during the first one.
    asyncio.run(app.migrate(settings(root).db_url))
    with closing(sqlite3.connect(root / "new" / "volano.db")) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            losses.blame(verdict)
            return
        there = Counter(bytes(key).hex() for (key,) in connection.execute(KEYS))
    losses.lost_rows += sum(id.replace("-", "") not in there for id in ids)
    losses.doubled_rows += sum(count > 1 for count in there.values())


async def _look_at_blobs(root: Path, ids: list[str], losses: Losses) -> None:
    """Check the blobs that were promised or that segments are read from by their hashes."""
    async with app.open_context(settings(root)) as ctx:
        with closing(sqlite3.connect(root / "new" / "volano.db")) as connection:
            named = [blob for blob, _ in connection.execute(SEGMENTS)]
        for id in {*ids, *named}:
            losses.lost_blobs += not await _is_whole(ctx, id)


async def _is_whole(ctx: Context, id: str) -> bool:
    try:
        await ctx.blobs.get(WORKSPACE, id)
    except VolanoError:
        return False
    return True

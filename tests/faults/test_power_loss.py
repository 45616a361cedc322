"""Power cuts, a disk that fails and a disk that fills up, under the embedded store.

`VOLANO_TEST_POWER_CUTS=100 ./dev test tests/faults` acts out more cuts.
"""

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from tests.faults import cuts
from tests.faults.cuts import Bench, Losses
from tests.faults.disk import Disk, Luck, steps

CUTS = int(os.environ.get("VOLANO_TEST_POWER_CUTS", "20"))
EACH = 5
"""Cuts in one life: what they have in common is what was done before the first of them."""

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.xdist_group("faults")]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory, absent: Callable[[str], NoReturn]) -> Path:
    """The library that sees every write, compiled here."""
    try:
        return cuts.compile_shim(tmp_path_factory.mktemp("shim"))
    except FileNotFoundError:
        absent("no C compiler: apt-get install gcc")


@pytest.fixture
def bench(tmp_path: Path, shim: Path) -> Bench:
    """Where this test's lives are lived."""
    return Bench(tmp_path, shim, random.Random(random.randrange(2**31)))


def test_no_power_cut_takes_what_was_promised(bench: Bench) -> None:
    losses = cuts.power_cuts(bench, lives=max(1, CUTS // EACH), each=EACH)
    assert losses.lost_rows == 0
    assert losses.doubled_rows == 0
    assert losses.lost_blobs == 0
    assert losses.reasons == []
    assert losses.promised_rows > 0
    assert losses.promised_blobs > 0


def test_a_process_may_be_killed_between_any_two_commits(bench: Bench) -> None:
    losses = Losses()
    cuts.every_commit(bench, losses)
    assert losses.lost_rows == 0
    assert losses.doubled_rows == 0
    assert losses.promised_rows > 0


def test_without_fsync_power_cuts_do_take_it(bench: Bench) -> None:
    losses = cuts.without_sync(bench, lives=1, each=EACH * 2)
    assert losses.harmed > 0


def test_the_disk_that_is_acted_out_holds_what_the_real_one_holds(bench: Bench) -> None:
    root = cuts.room(bench.folder / "real")
    disk = Disk(root)
    _, journal = bench.live(root, seed=1)
    for step in steps(journal.read_bytes()):
        disk.take(step)
    disk.whole(whole := cuts.room(bench.folder / "acted"))
    assert cuts.contents(root) == cuts.contents(whole)


@pytest.mark.parametrize("number", [40, 60, 100, 200])
def test_nothing_is_promised_on_a_disk_whose_sync_failed(bench: Bench, number: int) -> None:
    code, losses = _life(bench, eio_at=str(number))
    assert code in (0, 3)  # 0: that sync was one that nobody had to wait for
    assert losses.cuts == 1
    assert losses.harmed == 0


@pytest.mark.parametrize("room", [1_000_000, 3_000_000])
def test_a_full_disk_keeps_what_was_promised_and_works_again_with_room(
    bench: Bench, room: int
) -> None:
    patient = replace(bench, seconds=60.0)  # it ends when the disk is full, on any machine
    code, losses = _life(patient, full_at=str(room))
    assert code == 3
    assert losses.harmed == 0


def _life(bench: Bench, **faults: str) -> tuple[int, Losses]:
    """Live one life on a faulty disk; look at what is there after the power cut that follows."""
    root, losses, promised = cuts.room(bench.folder / "faulty"), Losses(), set[str]()
    disk = Disk(root)
    code, journal = bench.live(root, bench.rng.randrange(2**31), **faults)
    for step in steps(journal.read_bytes()):
        disk.take(step)
        promised.update(cuts.promises(step))
    disk.after_cut(Luck(bench.rng), left := cuts.room(bench.folder / "left"))
    cuts.look(left, promised, losses)
    return code, losses

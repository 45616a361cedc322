"""What survives kill -9 of API and worker, and power cuts: lost, doubled, effects of runs.

./dev bench faults --kills 30 --backend sqlite       or postgresql: processes killed under load
./dev bench faults --power-cuts 100                  on the embedded store, and its control
"""

import argparse
import json
import random
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.faults import cuts
from tests.faults.kills import Report, storm

EACH = 5
"""Power cuts in one life of the process that promises."""


def show(report: Report) -> None:
    """The figures of one storm as a table, then as JSON."""
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(report.by_kind.items()))
    rows = {
        "store": report.backend,
        "kills": f"{report.kills}: {kinds}",
        "acknowledged": report.acked,
        "images, stored": report.images,
        "lost": report.lost,
        "doubled": report.doubled,
        "stored without an answer": report.unacknowledged,
        "requests, failed": f"{report.requests}, {report.failed_requests}",
        "repeats known as such": report.duplicates,
        "jobs of killed workers": report.interrupted_jobs,
        "runs, their attempts": f"{report.runs}, {report.run_attempts}",
        "versions": report.versions,
        "wrong": report.wrong or "nothing",
        "seconds": report.seconds,
    }
    for name, value in rows.items():
        print(f"{name:26} {value}")
    print(json.dumps({"bench": "faults", **report.document()}))


def power(count: int, seed: int) -> bool:
    """Act out so many power cuts with fsync, a tenth of them without; whether all was as it ought.

    With fsync none may harm, without it some must.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="volano-power-") as name:
        place = cuts.Bench(Path(name), cuts.compile_shim(Path(name)), random.Random(seed))
        losses = cuts.power_cuts(place, lives=max(1, count // EACH), each=EACH)
        control = cuts.without_sync(place, lives=max(1, count // 10 // EACH), each=EACH)
    for title, found in (("with fsync", losses), ("fsync ignored", control)):
        print(f"{title}: {found.harmed} of {found.cuts} cuts did harm")
        print(
            f"  rows lost    {found.lost_rows} of {found.promised_rows}, {found.doubled_rows} twice"
        )
        print(f"  blobs lost   {found.lost_blobs} of {found.promised_blobs}")
        print(f"  not to be opened or damaged: {found.corrupt}")
    document = {"with_fsync": asdict(losses), "fsync_ignored": asdict(control)}
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"bench": "power", "seed": seed, "seconds": seconds, **document}))
    return not losses.harmed and control.harmed > 0


def main() -> int:
    """The command line; 1 where something was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--runs", type=int, help="runs under way at a kill; else one in five kills")
    parser.add_argument("--backend", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--power-cuts", type=int, help="act out power cuts instead of kills")
    asked = parser.parse_args()
    if asked.power_cuts:
        return int(not power(asked.power_cuts, asked.seed))
    runs = asked.kills // 5 if asked.runs is None else asked.runs
    report = storm(asked.backend, kills=asked.kills, runs=runs, seed=asked.seed)
    show(report)
    return int(bool(report.lost or report.doubled or report.wrong))


if __name__ == "__main__":
    raise SystemExit(main())

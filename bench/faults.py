"""What survives kill -9 of API and worker, and power cuts: lost, doubled, effects of runs.

./dev bench faults --kills 30 --backend sqlite       or postgresql: processes killed under load
"""

import argparse
import json
import random

from tests.faults.kills import Report, storm


def show(report: Report) -> None:
    """The figures of one storm as a table, then as JSON."""
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(report.by_kind.items()))
    rows = {
        "store": report.backend,
        "kills": f"{report.kills}: {kinds}",
        "acknowledged": report.acked,
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


def main() -> int:
    """The command line; 1 where something was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--runs", type=int, help="runs under way at a kill; else one in five kills")
    parser.add_argument("--backend", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    asked = parser.parse_args()
    runs = asked.kills // 5 if asked.runs is None else asked.runs
    report = storm(asked.backend, kills=asked.kills, runs=runs, seed=asked.seed)
    show(report)
    return int(bool(report.lost or report.doubled or report.wrong))


if __name__ == "__main__":
    raise SystemExit(main())

"""Processor time per request of this checkout against another one's, in interleaved rounds.

./dev bench against PATH_OF_A_CHECKOUT [--rounds 10]

PATH has its own `.venv` (any `./dev` command makes it). One server of this checkout and two of the
other run side by side; each round asks all three, in a random order. The second server of the other
checkout tells how far two equal servers differ: what is smaller than that is noise.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import httpx
import msgspec
import uvloop

from bench.ingest import Varied, cpu_s, fresh
from bench.load import Call, Connection, Load
from bench.predict import call as predict_call
from bench.server import Served, served
from volano.sdk import synthetic

CONNECTIONS = 32
MOST_PER_S = 6_000
ENOUGH, TRIES = 1500, 40
"""Good answers that a figure needs, and how often a load is sent to get them."""
STUDENT_95 = {2: 12.706, 3: 4.303, 5: 2.776, 8: 2.365, 10: 2.262, 15: 2.145, 20: 2.093, 30: 2.045}
"""Two-sided 95 % quantiles of Student's t by the number of rounds."""

Measure = Callable[[Served], float]


class Counted(Load):
    """A load that counts every good answer, those of the warm-up included."""

    answers = 0

    def answered(self, connection: Connection, status: int) -> None:
        """Count the answer, then go on."""
        self.answers += 200 <= status < 300
        super().answered(connection, status)


class CountedVaried(Varied, Counted):
    """The same, of requests that are all different."""


def cpu_us(server: Served, load: Callable[[], Counted]) -> float:
    """Return the processor time of the API process per good answer, in microseconds.

    Where neighbours leave the server hardly any time, the load is repeated.
    """
    before, answers = cpu_s(server), 0
    for _ in range(TRIES):
        one = load()
        uvloop.run(one.run())
        answers += one.answers
        if answers >= ENOUGH:
            return (cpu_s(server) - before) / answers * 1e6
    raise RuntimeError(f"{server.url} gave {answers} good answers; the last: {one.result}")


def ingest(seconds: float, seed: int) -> Measure:
    """Return what measures the acknowledgement of one JSON drawing a request."""
    made = [one.drawing for one in synthetic.drawings(synthetic.SHAPES, 100, seed=seed)]
    random.Random(seed).shuffle(made)
    endless = fresh(made)

    def load(server: Served) -> Counted:
        count = int((seconds + 1) * MOST_PER_S)
        url = f"{server.url}/api/v1/drawings"
        bodies: Iterable[bytes] = map(msgspec.json.encode, islice(endless, count))
        calls = [Call(url, "POST", body, server.headers) for body in bodies]
        return CountedVaried(calls, connections=CONNECTIONS, seconds=seconds)

    return lambda server: cpu_us(server, lambda: load(server))


def predict(seconds: float) -> Measure:
    """Return what measures one prediction a request."""

    def load(server: Served) -> Counted:
        return Counted(predict_call(server), connections=CONNECTIONS, seconds=seconds)

    return lambda server: cpu_us(server, lambda: load(server))


def compared(before: list[float], now: list[float]) -> dict[str, float]:
    """Return the geometric mean of before / now over the rounds with its 95 % interval.

    Above 1, `now` needs less time.
    """
    logs = [math.log(b / n) for b, n in zip(before, now, strict=True)]
    mean = statistics.fmean(logs)
    rounds = max(n for n in STUDENT_95 if n <= len(logs))
    half = STUDENT_95[rounds] * statistics.stdev(logs) / math.sqrt(len(logs))
    return {
        "ratio": round(math.exp(mean), 3),
        "low": round(math.exp(mean - half), 3),
        "high": round(math.exp(mean + half), 3),
    }


def latest(found: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, int]]:
    """Return the figures of the last round."""
    return {what: {name: round(us[-1]) for name, us in by.items()} for what, by in found.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="another checkout, set up by ./dev")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--cores", default="1", help="of the servers")
    asked = parser.parse_args()
    other = str(asked.other.absolute() / ".venv" / "bin" / "python")
    measures = {"ingest": ingest(asked.seconds, seed=1), "predict": predict(asked.seconds)}
    found: dict[str, dict[str, list[float]]] = {what: {} for what in measures}
    with ExitStack() as stack:
        servers = {
            "now": stack.enter_context(served("--processes", "1", cores=asked.cores)),
            "before": stack.enter_context(
                served("--processes", "1", cores=asked.cores, python=other)
            ),
            "before again": stack.enter_context(
                served("--processes", "1", cores=asked.cores, python=other)
            ),
        }
        for server in servers.values():
            httpx.get(f"{server.url}/healthz/live").raise_for_status()
        for number in range(asked.rounds + 1):
            for what, measure in measures.items():
                for name in random.sample(sorted(servers), len(servers)):
                    us = measure(servers[name])
                    if number:  # the first round warms all three
                        found[what].setdefault(name, []).append(us)
            if number:
                print(json.dumps({"round": number, "us": latest(found)}), flush=True)
    for what, by in found.items():
        print(
            json.dumps(
                {
                    "bench": f"against, {what}",
                    "us": {name: round(statistics.median(us), 1) for name, us in by.items()},
                    "before / now": compared(by["before"], by["now"]),
                    "before / before again": compared(by["before"], by["before again"]),
                }
            )
        )


if __name__ == "__main__":
    main()

"""Drawings acknowledged per second: one API process, embedded store, fsync before every answer.

./dev bench ingest                 JSON and binary batches, each with 64 connections
./dev bench ingest --seconds 5
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from urllib.parse import urlsplit

import httpx
import msgspec
import psutil
import uvloop

from bench.load import Call, Connection, Load
from bench.server import Served, served
from volano.data.formats import drawings
from volano.labeling.service import BINARY_MEDIA_TYPE, PackedDrawing
from volano.schemas.common import uuid7
from volano.schemas.drawings import NewDrawing
from volano.sdk import synthetic

CONNECTIONS = 64
DISTINCT = 500
MOST_PER_S = {"json": 8_000, "binary": 40_000}
"""Drawings made beforehand for each second: the client must not run out of them."""


class Varied(Load):
    """A load whose every request is another one: a drawing sent twice is stored once."""

    def __init__(self, calls: Sequence[Call], **options: float) -> None:
        super().__init__(calls[0], **options)  # type: ignore[arg-type] # connections is an int
        self.requests = iter([call.wire() for call in calls])

    def _send(self, connection: Connection, due: float) -> None:
        request = next(self.requests, None)
        if request is not None:
            connection.send(request, due)


Sent = NewDrawing | PackedDrawing


def fresh(many: Sequence[Sent]) -> Iterator[Sent]:
    """The drawings over and over, each time under new ids."""
    while True:
        for one in many:
            yield msgspec.structs.replace(one, id=str(uuid7()))


def bodies(many: Sequence[NewDrawing], kind: str, batch: int, seconds: float) -> list[bytes]:
    """Request bodies of `batch` drawings each, more than can be sent in so many seconds."""
    if kind == "binary":
        packed = [PackedDrawing(d.id, d.shape, drawings.encode(d).payload) for d in many]
        source, encode = fresh(packed), msgspec.msgpack.encode
    else:
        source, encode = fresh(many), msgspec.json.encode
    count = int(seconds * MOST_PER_S[kind]) // batch
    listed = batch > 1 or kind == "binary"
    return [encode(list(islice(source, batch)) if listed else next(source)) for _ in range(count)]


def cpu_s(server: Served) -> float:
    """Processor time that the API process has taken; noise of the machine shows here least."""
    port = urlsplit(server.url).port
    children = psutil.Process(server.pid).children(recursive=True)
    (api,) = (c for c in children if any(n.laddr.port == port for n in c.net_connections()))
    times = api.cpu_times()
    return float(times.user + times.system)


def measure(server: Served, kind: str, batch: int, seconds: float) -> dict[str, object]:
    """One closed-loop measurement."""
    found = [i.drawing for i in synthetic.drawings(synthetic.SHAPES, DISTINCT // 5, seed=1)]
    random.Random(1).shuffle(found)
    many = bodies(found, kind, batch, seconds + 2)
    media = BINARY_MEDIA_TYPE if kind == "binary" else "application/json"
    headers = (("authorization", f"Bearer {server.key}"), ("content-type", media))
    calls = [Call(f"{server.url}/api/v1/drawings", "POST", body, headers) for body in many]
    before = cpu_s(server)
    result = uvloop.run(Varied(calls, connections=CONNECTIONS, seconds=seconds).run())
    took, there = cpu_s(server) - before, stored(server)
    return {
        "body": kind,
        "batch": batch,
        "bytes_a_drawing": sum(map(len, many)) // (len(many) * batch),
        "drawings_per_s": round(result.rate * batch),
        "cpu_us_a_drawing": round(took / there * 1e6),
        **result.summary(),
        "stored": there,
    }


def stored(server: Served) -> int:
    """How many drawings the server says it has of its caller."""
    headers = {"authorization": f"Bearer {server.key}"}
    return int(httpx.get(f"{server.url}/api/user/stats", headers=headers).json()["total_drawings"])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--cores", default="0,1", help="of the server: API and worker")
    asked = parser.parse_args()
    rows = []
    for kind, batch in (("json", 1), ("json", 5), ("binary", 1), ("binary", 5)):
        with served("--empty", cores=asked.cores) as server:
            with httpx.Client(headers={"authorization": f"Bearer {server.key}"}) as client:
                for name in synthetic.SHAPES:
                    client.post(f"{server.url}/api/shapes", json={"name": name})
            rows.append(measure(server, kind, batch, asked.seconds))
            print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"bench": "ingest", "rows": rows}))


if __name__ == "__main__":
    main()

"""Drawings acknowledged per second: one API process, embedded store, fsync before every answer.

./dev bench ingest                 JSON and binary batches, each with 64 connections
./dev bench ingest --seconds 5
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice

import httpx
import msgspec
import uvloop

from bench.load import Call, Connection, Load, Result
from bench.server import Served, served
from volano.data.formats import drawings
from volano.labeling.intake import BINARY_MEDIA_TYPE, PackedDrawing
from volano.sdk import synthetic
from volano.spec.common import uuid7
from volano.spec.data import NewDrawing

CONNECTIONS = 64
DISTINCT = 500


class Varied(Load):
    """A load whose every request is another one: a drawing sent twice is stored once."""

    def __init__(self, calls: Sequence[Call], **options: float) -> None:
        super().__init__(calls[0], **options)  # type: ignore[arg-type] # connections is an int
        self.requests = iter([call.wire() for call in calls])

    def _send(self, connection: Connection, due: float) -> None:
        request = next(self.requests, None)
        if request is not None:
            connection.send(request, due)


def fresh(many: Sequence[NewDrawing]) -> Iterator[NewDrawing]:
    """The drawings over and over, each time under new ids."""
    while True:
        for one in many:
            yield msgspec.structs.replace(one, id=str(uuid7()))


def bodies(many: Sequence[NewDrawing], kind: str, batch: int, count: int) -> list[bytes]:
    """`count` request bodies of `batch` drawings each."""
    source = fresh(many)
    made = []
    for _ in range(count):
        some = list(islice(source, batch))
        if kind == "binary":
            packed = [PackedDrawing(d.id, d.shape, drawings.encode(d).payload) for d in some]
            made.append(msgspec.msgpack.encode(packed))
        else:
            made.append(msgspec.json.encode(some if batch > 1 else some[0]))
    return made


def measure(server: Served, kind: str, batch: int, seconds: float) -> tuple[Result, int]:
    """One closed-loop measurement; the result and the bytes of a mean drawing on the wire."""
    found = [i.drawing for i in synthetic.drawings(synthetic.SHAPES, DISTINCT // 5, seed=1)]
    random.Random(1).shuffle(found)
    many = bodies(found, kind, batch, int(seconds + 2) * 16_000 // batch)
    media = BINARY_MEDIA_TYPE if kind == "binary" else "application/json"
    headers = (("authorization", f"Bearer {server.key}"), ("content-type", media))
    calls = [Call(f"{server.url}/api/v1/drawings", "POST", body, headers) for body in many]
    result = uvloop.run(Varied(calls, connections=CONNECTIONS, seconds=seconds).run())
    return result, sum(map(len, many)) // (len(many) * batch)


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
            result, size = measure(server, kind, batch, asked.seconds)
            row = {
                "body": kind,
                "batch": batch,
                "bytes_a_drawing": size,
                "drawings_per_s": round(result.rate * batch),
                **result.summary(),
                "stored": stored(server),
            }
            rows.append(row)
            print(json.dumps(row))
    print(json.dumps({"bench": "ingest", "rows": rows}))


if __name__ == "__main__":
    main()

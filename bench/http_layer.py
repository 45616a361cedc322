"""A typed POST of 5 KB through our HTTP layer, hand-written Starlette and FastAPI, side by side.

The same uvicorn, one process on one core, the same body and the same client on other cores; the
servers take turns so that whatever else the machine does hits all of them. No database: what is
compared is reading, checking and answering. Ours runs complete: authoriser, limits, deadline,
security headers, request id and figures.

    python bench/http_layer.py [--seconds 2] [--rounds 5] [--json FILE]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import psutil

from bench import load

STROKES, POINTS = 6, 38
HEADERS = (("content-type", "application/json"), ("authorization", "Bearer bench"))

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Stroke(msgspec.Struct, frozen=True, gc=False):
    """One stroke: (x, y, ms) of every point."""

    points: tuple[tuple[Unit, Unit, int], ...]
    color: str
    width: float


class Drawing(msgspec.Struct, frozen=True):
    """What is posted."""

    id: str
    shape: str
    strokes: tuple[Stroke, ...]
    duration_ms: int


class Created(msgspec.Struct, frozen=True):
    """What is answered."""

    id: str
    points: int


def body() -> bytes:
    """A drawing of 228 points, 5 KB of JSON."""
    rng = random.Random(7)
    strokes = [
        {
            "points": [
                [round(rng.random(), 5), round(rng.random(), 5), t * 16] for t in range(POINTS)
            ],
            "color": "#112233",
            "width": 3.5,
        }
        for _ in range(STROKES)
    ]
    drawing = {"id": "d1", "shape": "circle", "strokes": strokes, "duration_ms": 3000}
    return json.dumps(drawing, separators=(",", ":")).encode()


def counted(drawing: Any) -> int:
    return sum(len(stroke.points) for stroke in drawing.strokes)


def ours() -> Any:
    """The product's layer with everything that it does for a request."""
    from volano.core.context import Context
    from volano.core.http import Routes
    from volano.core.http.app import build
    from volano.core.http.server import About
    from volano.core.metrics import Metrics
    from volano.core.settings import read
    from volano.schemas.accounts import Who

    routes = Routes("/drawings", tag="drawings")

    @routes.post(allow="draw", status=201, natural=True)
    async def create(ctx: Context, who: Who, body: Drawing) -> Created:
        return Created(body.id, counted(body))

    someone = Who(workspace="ws", role="admin")

    async def authorise(ctx: Context, headers: Mapping[bytes, bytes], permission: str) -> Who:
        assert headers[b"authorization"] == b"Bearer bench"
        return someone

    unused: Any = None
    ctx = Context(
        settings=read({}), db=unused, blobs=unused, bus=unused, jobs=unused, compute=unused,
        metrics=Metrics(), authorise=authorise,
    )  # fmt: skip
    return build(ctx, [routes], about=About(version="bench", checks={}))


def starlette() -> Any:
    """What one would write by hand for this one route, with nothing around it."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    decode = msgspec.json.Decoder(Drawing).decode
    encode = msgspec.json.Encoder().encode

    async def create(request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer bench"
        drawing = decode(await request.body())
        answer = encode(Created(drawing.id, counted(drawing)))
        return Response(answer, 201, media_type="application/json")

    return Starlette(routes=[Route("/api/v1/drawings", create, methods=["POST"])])


def fastapi() -> Any:
    """The same in FastAPI's own way."""
    from fastapi import FastAPI, Header
    from pydantic import BaseModel, Field

    UnitF = Annotated[float, Field(ge=0, le=1)]

    class StrokeModel(BaseModel):
        points: list[tuple[UnitF, UnitF, int]]
        color: str
        width: float

    class DrawingModel(BaseModel):
        id: str
        shape: str
        strokes: list[StrokeModel]
        duration_ms: int

    class CreatedModel(BaseModel):
        id: str
        points: int

    app = FastAPI()

    @app.post("/api/v1/drawings", status_code=201)
    async def create(body: DrawingModel, authorization: Annotated[str, Header()]) -> CreatedModel:
        assert authorization == "Bearer bench"
        return CreatedModel(id=body.id, points=counted(body))

    return app


STACKS: dict[str, Callable[[], Any]] = {"ours": ours, "starlette": starlette, "fastapi": fastapi}


def serve(stack: str, port: int, core: int) -> None:
    """Run one server in this process, on one core."""
    import uvicorn

    os.sched_setaffinity(0, {core})
    config = uvicorn.Config(
        STACKS[stack](), port=port, loop="uvloop", http="httptools", log_level="error",
        access_log=False,
    )  # fmt: skip
    uvicorn.Server(config).run()


def wait_for(call: load.Call) -> None:
    """Wait until the server answers 201."""

    async def once() -> int:
        host, port = call.address
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(call.wire())
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status

    until = time.monotonic() + 30
    while True:
        try:
            status = asyncio.run(once())
        except OSError:
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.1)
        else:
            assert status == 201, f"the server answers {status}"
            return


def main() -> None:
    """Measure all, print ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()

    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:]) or set(cores))
    posted = body()
    calls, servers = {}, {}
    for number, stack in enumerate(STACKS):
        port = 18_700 + number
        server = multiprocessing.Process(target=serve, args=(stack, port, cores[0]), daemon=True)
        server.start()
        servers[stack] = server
        calls[stack] = load.Call(
            f"http://127.0.0.1:{port}/api/v1/drawings", "POST", posted, HEADERS
        )
        wait_for(calls[stack])

    rounds = []
    for _ in range(asked.rounds):
        rounds.append({s: measure(calls[s], servers[s].pid, asked.seconds) for s in STACKS})
        print(
            "  ".join(f"{s} {one.rate:,.0f}/s {one.cpu_us:.0f} us" for s, one in rounds[-1].items())
        )
    for server in servers.values():
        server.terminate()

    report = {
        "body_bytes": len(posted),
        "rounds": asked.rounds,
        "rate_per_s": medians(rounds, lambda one: one.rate, 0),
        "cpu_us": medians(rounds, lambda one: one.cpu_us, 1),
        "p99_ms": medians(rounds, lambda one: one.p99_ms, 2),
        "ours_over_starlette": ratios(rounds, "starlette"),
        "ours_over_fastapi": ratios(rounds, "fastapi"),
    }
    print(json.dumps(report, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=2) + "\n")


@dataclass(frozen=True)
class Measured:
    """One server in one round."""

    rate: float
    p99_ms: float
    cpu_us: float
    """Of the server, per answer: what is left of the rate when others use the machine too."""


Round = dict[str, Measured]


def measure(call: load.Call, pid: int | None, seconds: float) -> Measured:
    """Saturate one server."""
    server = psutil.Process(pid)
    load.run(call, connections=32, seconds=0.3, warm_s=0.0)
    before = server.cpu_times()
    result = load.run(call, connections=32, seconds=seconds, warm_s=0.0)
    after = server.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    answers = sum(result.statuses.values())
    assert result.statuses[201] == answers, result.statuses
    return Measured(result.rate, result.percentile(0.99), cpu_s / answers * 1e6)


def medians(rounds: list[Round], of: Callable[[Measured], float], digits: int) -> dict[str, float]:
    return {s: round(statistics.median(of(one[s]) for one in rounds), digits) for s in STACKS}


def ratios(rounds: list[Round], other: str) -> dict[str, float]:
    """Medians over the rounds: each ratio is of one round, so of one state of the machine."""
    rate = statistics.median(one["ours"].rate / one[other].rate for one in rounds)
    cpu = statistics.median(one[other].cpu_us / one["ours"].cpu_us for one in rounds)
    return {"rate": round(rate, 3), "cpu": round(cpu, 3)}


if __name__ == "__main__":
    main()

"""Recogniser requests per second: saturation, and p99 at 1,000/s in an open loop.

./dev bench predict
./dev bench predict --rate 2000 --processes 2
"""

import argparse
import json

import msgspec

from bench.load import Call, run
from bench.server import Served, served
from volano.schemas.serving import PredictInput, PredictRequest
from volano.sdk import synthetic


def call(server: Served) -> Call:
    """One request with a synthetic drawing, authorised like any other."""
    one = next(iter(synthetic.drawings(["heart"], 1, seed=5))).drawing
    request = PredictRequest(input=PredictInput(canvas=one.canvas, strokes=one.strokes))
    body = msgspec.json.encode(request)
    return Call(f"{server.url}/api/v1/endpoints/shapes/predict", "POST", body, server.headers)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cores", default="0,1", help="of the server")
    asked = parser.parse_args()
    with served("--processes", str(asked.processes), cores=asked.cores) as server:
        one = call(server)
        closed = run(one, connections=32, seconds=asked.seconds)
        opened = run(one, connections=128, seconds=asked.seconds, rate=asked.rate)
    print(
        json.dumps(
            {
                "bench": "predict",
                "processes": asked.processes,
                "bytes": len(one.body),
                "saturation": closed.summary(),
                f"open_loop_{asked.rate:.0f}_per_s": opened.summary(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()

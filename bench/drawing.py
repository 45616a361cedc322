"""What one drawing of 150 points costs on one core: `python bench/drawing.py`."""

import timeit
from collections.abc import Callable

import msgspec

from volano.data.formats import drawings, quality, render, strokes
from volano.schemas.drawings import NewDrawing
from volano.sdk import synthetic

POINTS = 150


def show(what: str, call: Callable[[], object], number: int = 500) -> None:
    """Print the best of nine rounds, in microseconds a call."""
    best = min(timeit.repeat(call, number=number, repeat=9)) / number
    print(f"{what:32} {best * 1e6:8.1f} us")


def main() -> None:
    """Time every step from the wire to a picture, on the drawing nearest to 150 points."""
    made = [i.drawing for i in synthetic.drawings(["heart", "square"], 40, seed=0)]
    new = min(made, key=lambda d: abs(len(d.strokes[0].points) - POINTS))
    wire = msgspec.json.encode(new)
    read = msgspec.json.Decoder(NewDrawing).decode
    payload = drawings.encode(new).payload
    drawing = strokes.decode(payload)
    print(f"{len(drawing.t)} points: {len(wire)} bytes of JSON, {len(payload)} of payload")
    show("JSON -> NewDrawing", lambda: read(wire))
    show("JSON -> payload (ingest)", lambda: drawings.encode(read(wire)))
    show("strokes.encode", lambda: strokes.encode(drawing))
    show("strokes.decode (with checks)", lambda: strokes.decode(payload))
    show("strokes.validate", lambda: strokes.validate(payload))
    show("payload -> wire shape", lambda: drawings.decode(payload))
    show("quality.score", lambda: quality.score(drawing))
    show("render.png 64 px", lambda: render.png(payload, 64), 50)
    show("render.svg", lambda: render.svg(payload, 64), 50)


if __name__ == "__main__":
    main()

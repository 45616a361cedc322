"""How well the drawing recipe does on Omniglot, by seconds and by drawers.

python -m bench.recogniser --data strokes_background_small1.zip --seconds 300 --drawers 16 8 4

Each run is the recipe as it ships, in this process: reading, training, export and evaluation
within `--seconds`. Drawers 17 to 20 of each alphabet are the test; of the others the first
`--drawers` take part, an eighth of them for validation. `--cores` pins the process.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq

from volano.data.formats import detect, drawings, omniglot
from volano.data.formats.items import Found, Item, Options
from volano.data.staging import SCHEMA, SPLITS
from volano.harness import local
from volano.schemas.harness import AnyEvent, Failed, Points

TEST_DRAWERS = range(17, 21)


def main() -> None:
    options = _options()
    if options.cores:
        os.sched_setaffinity(0, options.cores)
        os.environ["OMP_NUM_THREADS"] = str(len(options.cores))
    # As runs have it on a server.
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
    rows = [_row(one) for one in _found(options.data) if isinstance(one, Item)]
    results = [
        measure(rows, drawers, seconds, options.seed, dict(options.set))
        for drawers in options.drawers
        for seconds in options.seconds
    ]
    print(table(results))
    options.out.write_text(json.dumps(results, indent=1))


def measure(
    rows: list[dict[str, Any]], drawers: int, seconds: float, seed: int, params: dict[str, str]
) -> dict[str, Any]:
    """One run of the recipe, from the staged folder to the figures."""
    curve: list[tuple[float, float]] = []
    steps: list[int] = []

    def listen(event: AnyEvent) -> None:
        for point in event.points if isinstance(event, Points) else ():
            steps.append(point.step)
            if "valid_accuracy" in point.values:
                curve.append((point.at_s, point.values["valid_accuracy"]))

    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "data"), Path(folder, "out")
        sizes = stage(rows, drawers, data)
        began, cpu = time.monotonic(), time.process_time()
        end = local.train(
            "drawing", data, out, params=params, seed=seed, seconds=seconds, on_event=listen
        )
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
        if isinstance(end, Failed):
            raise SystemExit(f"{end.failure.class_}: {end.failure.message}\n{end}")
        artefact = json.loads((out / "version.json").read_bytes())
        size = (out / "model.onnx").stat().st_size
        one_ms = one_drawing_ms(out / "model.onnx", artefact["golden"])
    figures = end.figures
    return {
        "drawers": drawers,
        "allowed_s": seconds,
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "steps": max(steps),
        "phases_s": end.seconds,
        **sizes,
        "accuracy": figures["accuracy"],
        "interval": figures["accuracy_interval"],
        "macro_f1": figures["macro"]["f1"],
        "ece_before": figures["ece_before"],
        "ece_after": figures["ece_after"],
        "temperature": artefact["temperature"],
        "parity": artefact["parity"],
        "onnx_bytes": size,
        "one_drawing_ms": one_ms,
        "peak_mb": round(end.peak_rss / 1e6),
        "mistakes": figures["top_confusions"],
        "valid_curve": curve,
    }


def one_drawing_ms(path: Path, golden: list[dict[str, Any]]) -> float:
    """Median time of one call of the graph for one drawing, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    times = []
    for one in golden * 100:
        drawing = np.array([one["input"]], np.float32)
        inputs = {"segments": drawing, "count": np.array([drawing.shape[1]], np.int32)}
        began = time.perf_counter()
        graph.run(["probabilities"], inputs)
        times.append(time.perf_counter() - began)
    return round(1e3 * statistics.median(times), 3)


def stage(rows: list[dict[str, Any]], drawers: int, folder: Path) -> dict[str, int]:
    """Write `<split>.parquet` of the first drawers of each alphabet; how many drawings in each."""
    folder.mkdir(parents=True)
    held_out = max(1, drawers // 8)
    parts = {
        "train": range(1, drawers - held_out + 1),
        "valid": range(drawers - held_out + 1, drawers + 1),
        "test": TEST_DRAWERS,
    }
    sizes = {}
    for split in SPLITS:
        chosen = [r for r in rows if int(r["contributor"].rpartition("-")[2]) in parts[split]]
        pq.write_table(pa.Table.from_pylist(chosen, SCHEMA), folder / f"{split}.parquet")
        sizes[split] = len(chosen)
    return sizes


def table(results: list[dict[str, Any]]) -> str:
    """The figures for people."""
    columns = (
        "drawers", "allowed_s", "wall_s", "cpu_s", "steps", "accuracy", "macro_f1", "ece_before",
        "ece_after", "one_drawing_ms", "onnx_bytes", "peak_mb",
    )  # fmt: skip
    lines = [" ".join(f"{name:>14}" for name in columns)]
    for result in results:
        cells = (result[name] for name in columns)
        lines.append(" ".join(f"{c:14.4f}" if isinstance(c, float) else f"{c:>14}" for c in cells))
    return "\n".join(lines)


def _found(path: Path) -> Iterator[Found]:
    return omniglot.read(detect.open_source(path).tree, Options(origin=path.name))


def _row(item: Item) -> dict[str, Any]:
    assert item.drawing is not None
    return {
        "record_id": item.drawing.drawing.id,
        "label": item.label,
        "contributor": item.contributor,
        "payload": drawings.encode(item.drawing.drawing).payload,
    }


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="zip of Omniglot strokes")
    parser.add_argument("--seconds", type=float, nargs="+", default=[300.0])
    parser.add_argument("--drawers", type=int, nargs="+", default=[16])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, nargs="*", default=[])
    parser.add_argument("--set", type=_pair, nargs="*", default=[], metavar="PARAM=VALUE")
    parser.add_argument("--out", type=Path, default=Path("recogniser.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

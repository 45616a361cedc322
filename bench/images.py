"""How well the image recipe does on Fashion-MNIST, beside the simple models of scikit-learn.

python -m bench.images --data classify-fashion-mnist --seconds 120

`--data` is a folder with the four IDX files, as they are published or cut shorter. Everything runs
in this process on one core, `--core`, and `--seconds` are processor time, in which neighbours on
the machine do not count: reading, training, export and evaluation together.
"""

import argparse
import gzip
import io
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as Picture
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from volano.harness.run import LocalRun
from volano.schemas.harness import AnyEvent, Points
from volano.training.networks.onnx_graph import session
from volano.training.recipes.image.recipe import Image

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
VALID = 10
"""Of so many training pictures one validates."""

Arrays = tuple[np.ndarray, np.ndarray]


def main() -> None:
    options = _options()
    os.sched_setaffinity(0, [options.core])
    train, test = (_pictures(options.data, name) for name in ("train", "t10k"))
    print(f"{len(train[0]):,} pictures to learn from, {len(test[0]):,} to test on, one core")
    print(f"{'model':>40} {'CPU s':>7} {'accuracy':>9} {'macro F1':>9}", flush=True)
    rows = []
    network = _network(train, test, options.seconds, options.seed, dict(options.set))
    simple = () if options.without_sklearn else _simple_models(train, test)
    for row in itertools.chain([network], simple):
        rows.append(row)
        print(
            f"{row['model']:>40} {row['cpu_s']:7.1f} {row['accuracy']:9.4f} {row['macro_f1']:9.4f}",
            flush=True,
        )
    print(_about(network))
    options.out.write_text(json.dumps(rows, indent=1))


def _network(
    train: Arrays, test: Arrays, seconds: float, seed: int, params: dict[str, str]
) -> dict[str, Any]:
    """One run of the recipe, from the staged folder to the figures."""
    curve: list[tuple[float, float]] = []

    def listen(event: AnyEvent) -> None:
        for point in event.points if isinstance(event, Points) else ():
            if "valid_accuracy" in point.values:
                curve.append((point.at_s, point.values["valid_accuracy"]))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _stage(folder, "train", *(part[np.arange(len(part)) % VALID > 0] for part in train))
        _stage(folder, "valid", *(part[::VALID] for part in train))
        _stage(folder, "test", *test)
        run = LocalRun(
            data=folder,
            artefact=folder,
            seed=seed,
            seconds=seconds,
            events=listen,
            clock=time.process_time,
        )
        model = Image(threads=1, **params)
        began = time.monotonic()
        model.train(run)
        trained_s = run.at_s()
        figures = model.evaluate(run)
        one_ms = _one_picture_ms(folder / "model.onnx", test[0])
        size = (folder / "model.onnx").stat().st_size
    return {
        "model": "image recipe",
        "cpu_s": round(run.at_s(), 1),
        "accuracy": figures["accuracy"],
        "macro_f1": figures["macro"]["f1"],
        "trained_s": trained_s,
        "wall_s": round(time.monotonic() - began, 1),
        "baseline": figures["baseline"],
        "interval": figures["accuracy_interval"],
        "ece_before": figures["ece_before"],
        "ece_after": figures["ece_after"],
        "log_loss": figures["log_loss"],
        "brier": figures["brier"],
        "one_picture_ms": one_ms,
        "onnx_bytes": size,
        "mistakes": figures["top_confusions"],
        "valid_curve": curve,
    }


def _simple_models(train: Arrays, test: Arrays) -> Iterator[dict[str, Any]]:
    """Fit what a person would try first, on the same pictures as rows of numbers from 0 to 1."""
    candidates = {
        "logistic regression": LogisticRegression(C=0.02, max_iter=200),
        "5 nearest neighbours": KNeighborsClassifier(),
        "random forest, 300 trees": RandomForestClassifier(300, random_state=0),
        "support vectors, RBF": SVC(C=10),
    }
    shown, asked = (pictures.reshape(len(pictures), -1) / 255 for pictures, _ in (train, test))
    for name, candidate in candidates.items():
        began = time.process_time()
        answered = candidate.fit(shown, train[1]).predict(asked)
        yield {
            "model": f"scikit-learn: {name}",
            "cpu_s": round(time.process_time() - began, 1),
            "accuracy": float((answered == test[1]).mean()),
            "macro_f1": float(f1_score(test[1], answered, average="macro")),
        }


def _one_picture_ms(path: Path, pictures: np.ndarray) -> float:
    """Median processor time of one call of the graph for one picture, on one thread."""
    graph = session(path)
    times = []
    for picture in pictures[:300]:
        began = time.thread_time()
        graph.run(["probabilities"], {"pixels": picture[None, :, :, None]})
        times.append(time.thread_time() - began)
    return round(1e3 * statistics.median(times), 3)


def _pictures(folder: Path, name: str) -> Arrays:
    """Read pictures (n, height, width) and classes (n,) of one pair of IDX files."""
    return _idx(folder / f"{name}-images-idx3-ubyte.gz"), _idx(
        folder / f"{name}-labels-idx1-ubyte.gz"
    )


def _idx(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes())
    sides = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sides)).reshape(sides)


def _stage(folder: Path, split: str, pictures: np.ndarray, classes: np.ndarray) -> None:
    """Write `<split>.parquet` as a server does."""
    rows = [
        {"record_id": f"{split}-{n:05}", "label": CLASSES[of], "payload": _png(picture)}
        for n, (picture, of) in enumerate(zip(pictures, classes, strict=True))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet", row_group_size=1024)


def _png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Picture.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def _about(network: dict[str, Any]) -> str:
    """The other figures of the recipe, for people."""
    simple, interval = network["baseline"], network["interval"]
    return "\n".join(
        [
            f"its baseline ({simple['name']}): {simple['accuracy']:.4f}",
            f"interval {interval['low']:.4f} to {interval['high']:.4f}, ECE"
            f" {network['ece_before']:.3f} -> {network['ece_after']:.3f}, log loss"
            f" {network['log_loss']:.3f}, Brier {network['brier']:.3f}",
            f"one picture {network['one_picture_ms']} ms, graph {network['onnx_bytes']:,} bytes,"
            f" wall clock {network['wall_s']} s",
        ]
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of IDX files")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--set", type=_pair, nargs="*", default=[], metavar="PARAM=VALUE")
    parser.add_argument("--without-sklearn", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("images.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""The drawing recipe from a staged folder to an artefact, in this process and in a bare one."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.training.drawings import SHAPES, stage
from volano.harness import local
from volano.harness.model import RunCancelled
from volano.harness.run import LocalRun
from volano.schemas.evaluation import ClassificationReport
from volano.schemas.harness import Failed, Finished, NoRecords, Points, Warned
from volano.schemas.registry import VersionFile
from volano.training.recipes.drawing.recipe import Drawing

SIZES = {"train": 60, "valid": 12, "test": 12}
QUICK = {"width": 8, "epochs": 8, "threads": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One training of five shapes: the artefact folder, the last event, the points logged."""
    folder = tmp_path_factory.mktemp("drawing")
    events: list = []
    end = local.train(
        Drawing,
        stage(folder / "data", SIZES),
        folder / "out",
        params=QUICK,
        seconds=300,
        on_event=events.append,
    )
    assert isinstance(end, Finished), end
    points = [p for e in events if isinstance(e, Points) for p in e.points]
    return folder / "out", end, points


def test_five_shapes_are_learned(finished) -> None:
    _, end, _ = finished
    assert end.figures["accuracy"] > 0.9
    assert end.figures["classes"] == sorted(SHAPES)


def test_the_artefact_has_its_files(finished) -> None:
    out, end, _ = finished
    names = ["evaluation.json", "model.onnx", "test_outputs.parquet", "version.json"]
    assert [f.name for f in end.files] == names
    report = msgspec.json.decode((out / "evaluation.json").read_bytes(), type=ClassificationReport)
    assert report.n == SIZES["test"] * len(SHAPES)
    assert msgspec.to_builtins(report) == end.figures


def test_the_graph_gives_the_golden_answers(finished) -> None:
    import onnxruntime

    out, _, _ = finished
    artefact = msgspec.json.decode((out / "version.json").read_bytes(), type=VersionFile)
    graph = onnxruntime.InferenceSession(out / "model.onnx")
    assert artefact.parity <= 1e-4
    assert artefact.golden
    for one in artefact.golden:
        drawing = np.array([one.input], np.float32)
        inputs = {"segments": drawing, "count": np.array([drawing.shape[1]], np.int32)}
        found = graph.run(["probabilities"], inputs)[0][0]
        np.testing.assert_allclose(found, one.scores, atol=1e-4)


def test_every_figure_can_be_traced_to_records(finished) -> None:
    out, end, _ = finished
    outputs = pq.read_table(out / "test_outputs.parquet").to_pylist()
    staged = pq.read_table(out.parent / "data" / "test.parquet").to_pylist()
    assert [o["record_id"] for o in outputs] == [s["record_id"] for s in staged]
    assert [o["label"] for o in outputs] == [s["label"] for s in staged]
    right = sum(o["label"] == o["predicted"] for o in outputs)
    assert right / len(outputs) == pytest.approx(end.figures["accuracy"])
    scores = np.array([o["scores"] for o in outputs])
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_it_reports_while_it_works(finished) -> None:
    _, _, points = finished
    losses = [p for p in points if "valid_loss" in p.values]
    assert len(losses) > 3
    assert losses[-1].values["valid_loss"] < losses[0].values["valid_loss"]
    assert losses[0].values["peak_mb"] > 0


def test_cancelling_stops_it_within_a_step_or_so(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", SIZES)
    (tmp_path / "out").mkdir()
    seen: list = []

    def listen(event: object) -> None:
        seen.append(event)
        if isinstance(event, Points):
            run.cancel()

    run = LocalRun(data=data, artefact=tmp_path / "out", seconds=300, events=listen)
    with pytest.raises(RunCancelled):
        Drawing(width=8, epochs=1000, patience=40, threads=1).train(run)
    assert not list((tmp_path / "out").iterdir())


def test_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", {"train": 12, "valid": 4, "test": 4})
    losses = []
    for out in ("a", "b"):
        points: list = []
        params = {"width": 4, "epochs": 2, "threads": 1}
        local.train(Drawing, data, tmp_path / out, params=params, seed=5, on_event=points.append)
        values = [p.values for e in points if isinstance(e, Points) for p in e.points]
        losses.append([v["valid_loss"] for v in values if "valid_loss" in v])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_an_empty_split_is_named(tmp_path: Path, split: str) -> None:
    data = stage(tmp_path / "data", {"train": 3, "valid": 3, "test": 3} | {split: 0})
    (tmp_path / "out").mkdir()
    run = LocalRun(data=data, artefact=tmp_path / "out", seconds=60, events=lambda e: None)
    model = Drawing(width=4, epochs=1, threads=1)
    with pytest.raises(NoRecords) as caught:
        model.train(run)
    assert caught.value.facts["split"] == split


def test_a_class_only_in_test_is_not_answered_and_counts_as_mistakes(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", {"train": 20, "valid": 4}, ["circle", "cross"])
    stage(data, {"test": 4}, ["circle", "cross", "star"])
    events: list = []
    params = {"width": 4, "epochs": 10, "threads": 1}
    end = local.train(Drawing, data, tmp_path / "out", params=params, on_event=events.append)
    assert isinstance(end, Finished), end
    (warning,) = [event.text for event in events if isinstance(event, Warned)]
    assert warning.startswith("'star' is only in the test split")
    assert "4 of the test count as mistakes" in warning
    facts = msgspec.json.decode((tmp_path / "out" / "version.json").read_bytes(), type=VersionFile)
    assert facts.signature.classes == ["circle", "cross"]
    assert end.figures["warnings"] == [warning]
    assert end.figures["classes"] == ["circle", "cross", "star"]
    assert end.figures["support"] == [4, 4, 4]
    assert end.figures["accuracy"] <= 8 / 12
    assert end.figures["per_class"][2]["recall"] == 0.0
    answered = pq.read_table(tmp_path / "out" / "test_outputs.parquet").to_pylist()
    assert {row["label"] for row in answered} == {"circle", "cross", "star"}
    assert {row["predicted"] for row in answered} <= {"circle", "cross"}


def test_a_single_class_is_refused_before_anything_is_learned(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", {"train": 4, "valid": 2, "test": 2}, ["circle"])
    end = local.train(Drawing, data, tmp_path / "out")
    assert isinstance(end, Failed)
    assert end.failure.class_ == "user.data"
    assert end.failure.message == (
        "All 6 records to learn from are of one class, 'circle': there is no other."
    )
    assert "at least two classes" in end.failure.remedy
    assert not list((tmp_path / "out").iterdir())


def test_its_settings_can_be_read_without_torch() -> None:
    script = (
        "import sys, json; from volano.training.recipes.drawing.recipe import Drawing;"
        "print(json.dumps([sorted(Drawing.declared()), 'torch' in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    names, has_torch = json.loads(found.stdout)
    assert {"size_px", "epochs", "seconds", "learning_rate"} <= set(names)
    assert not has_torch

"""The image recipe from a staged folder to a version's files."""

import base64
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.training.pictures import KINDS, drawn, encoded, stage, write
from volano.data.formats import pixels
from volano.evaluation import answers
from volano.harness import local
from volano.harness.model import RunCancelled
from volano.harness.run import LocalRun
from volano.schemas.evaluation import ClassificationReport
from volano.schemas.harness import BadData, Failed, Finished, OneClass, Points, Warned
from volano.schemas.registry import ClassesSpec, ImageSpec, VersionFile
from volano.training.recipes.image.recipe import Image

SIZES = {"train": 40, "valid": 8, "test": 12}
QUICK = {"width": 4, "threads": 1, "steps": 300}
BRIEF = {"epochs": 1, "steps": 20}


def trained(data: Path, out: Path, **params: object) -> tuple[Finished, list]:
    """The end of a training and all its events."""
    events: list = []
    end = local.train(Image, data, out, params=QUICK | params, on_event=events.append)
    assert isinstance(end, Finished), end
    return end, events


def warnings(events: list) -> list[str]:
    return [event.text for event in events if isinstance(event, Warned)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One training of three kinds: the folder of the version, the last event, all events."""
    folder = tmp_path_factory.mktemp("image")
    return folder / "out", *trained(stage(folder / "data", SIZES), folder / "out")


def test_three_kinds_of_pictures_are_learned(finished) -> None:
    _, end, events = finished
    assert end.figures["accuracy"] > 0.9
    assert end.figures["classes"] == list(KINDS)
    assert warnings(events) == []


def test_the_version_says_what_it_takes_and_answers(finished) -> None:
    out, end, _ = finished
    told = msgspec.json.decode((out / "version.json").read_bytes(), type=VersionFile)

    names = ["baseline.npz", "evaluation.json", "model.onnx", answers.FILE, "version.json"]
    assert [f.name for f in end.files] == names
    assert told.signature.input == ImageSpec(height=16, width=20, channels=1, fit="stretch")
    assert told.signature.output == ClassesSpec(classes=list(KINDS))
    assert told.signature.params == Image.specs()
    assert told.facts["pixels"] == pixels.DIGEST


def test_the_graph_gives_the_golden_answers_by_the_path_of_serving(finished) -> None:
    import onnxruntime

    out, _, _ = finished
    told = msgspec.json.decode((out / "version.json").read_bytes(), type=VersionFile)
    graph = onnxruntime.InferenceSession(out / "model.onnx")

    assert len(told.golden) == 4
    for one in told.golden:
        picture = pixels.load(base64.b64decode(one.input), 16, 20, 1, "stretch")
        found = graph.run(["probabilities"], {"pixels": picture[None]})[0][0]
        np.testing.assert_allclose(found, one.scores, atol=1e-5)


def test_no_record_lies_in_the_version(finished) -> None:
    out, _, _ = finished
    payloads = pq.read_table(out.parent / "data" / "train.parquet")["payload"].to_pylist()
    told = msgspec.json.decode((out / "version.json").read_bytes(), type=VersionFile)
    assert {base64.b64decode(one.input) for one in told.golden} & set(payloads) == set()


def test_every_figure_leads_to_records(finished) -> None:
    out, end, _ = finished
    answered = pq.read_table(out / answers.FILE).to_pylist()
    staged = pq.read_table(out.parent / "data" / "test.parquet").to_pylist()

    assert [o["record_id"] for o in answered] == [s["record_id"] for s in staged]
    assert [o["label"] for o in answered] == [s["label"] for s in staged]
    right = sum(o["label"] == o["predicted"] for o in answered)
    assert right / len(answered) == pytest.approx(end.figures["accuracy"])


def test_the_report_has_every_figure_and_the_baselines_beside_it(finished) -> None:
    out, end, events = finished
    report = msgspec.json.decode((out / "evaluation.json").read_bytes(), type=ClassificationReport)
    points = [p.values for e in events if isinstance(e, Points) for p in e.points]

    assert msgspec.to_builtins(report) == end.figures
    assert end.figures["type"] == "classification"
    assert report.n == 36
    assert report.log_loss is not None
    assert report.brier is not None
    assert 0 < report.brier < 0.2
    assert report.baseline is not None
    assert report.baseline.name == "ridge regression on the pixels"
    assert 1 / 3 < report.baseline.accuracy <= 1
    assert points[-1]["accuracy"] == report.accuracy
    assert points[-1]["baseline_accuracy"] == report.baseline.accuracy


def test_it_reports_while_it_works(finished) -> None:
    _, _, events = finished
    points = [p.values for e in events if isinstance(e, Points) for p in e.points]
    losses = [values["valid_loss"] for values in points if "valid_loss" in values]
    assert len(losses) > 3
    assert losses[-1] < losses[0]


def test_ten_coloured_photos_a_class_of_many_sizes_give_something_sensible(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def photo(kind: str) -> bytes:
        gray = drawn(kind, rng, *rng.integers(30, 60, 2))
        return encoded((gray[:, :, None] * np.array([1, 0.7, 0.5])).astype(np.uint8), "JPEG")

    kinds = {"disc": "disc", "猫 in traffic": "bars"}
    pictures = [(name, photo(kind)) for _ in range(10) for name, kind in kinds.items()]
    for split, rows in {"train": slice(14), "valid": slice(14, 16), "test": slice(16, 20)}.items():
        write(tmp_path / "data" / f"{split}.parquet", pictures[rows])
    end, _ = trained(tmp_path / "data", tmp_path / "out")
    told = msgspec.json.decode((tmp_path / "out" / "version.json").read_bytes(), type=VersionFile)

    assert end.figures["accuracy"] >= 0.75
    assert told.signature.classes == list(kinds)
    assert isinstance(told.signature.input, ImageSpec)
    assert told.signature.input.channels == 3
    assert told.signature.input.fit == "letterbox"


def test_without_a_split_to_validate_and_to_test_on_some_pictures_are_held_out(
    tmp_path: Path,
) -> None:
    data = stage(tmp_path / "data", {"train": 20})
    end, events = trained(data, tmp_path / "out", **BRIEF)
    answered = pq.read_table(tmp_path / "out" / answers.FILE)["record_id"].to_pylist()

    assert end.figures["support"] == [2, 2, 2]
    assert set(answered) < set(pq.read_table(data / "train.parquet")["record_id"].to_pylist())
    assert [text.partition(":")[0] for text in warnings(events)[:2]] == [
        "There are no pictures to validate on",
        "There are no pictures to test on",
    ]
    assert end.figures["warnings"][:2] == warnings(events)[:2]


def test_a_class_only_in_test_is_not_answered_and_counts_as_mistakes(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", {"train": 20, "valid": 4}, ["bars", "cross"])
    stage(data, {"test": 4})
    end, events = trained(data, tmp_path / "out", **BRIEF)

    assert end.figures["classes"] == ["bars", "cross", "disc"]
    assert end.figures["per_class"][2]["recall"] == 0.0
    assert any(text.startswith("'disc' is only in the test split") for text in warnings(events))


def test_what_is_no_picture_or_has_no_label_is_left_out_and_told(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", {"train": 10, "valid": 3, "test": 3})
    good = encoded(drawn("disc", np.random.default_rng(1), 16, 20))
    rows = pq.read_table(data / "train.parquet").to_pylist()
    pictures = [(row["label"], row["payload"]) for row in rows]
    write(data / "train.parquet", [*pictures, ("disc", good[:-30]), ("", good)])
    end, events = trained(data, tmp_path / "out", **BRIEF)

    assert end.figures["n"] == 9
    told = " ".join(warnings(events))
    assert "1 picture without a label is left out" in told
    broken = pq.read_table(data / "train.parquet")["record_id"].to_pylist()[-2]
    assert f"Left out, since they cannot be read as pictures: {broken!r}" in told


def test_a_thousand_classes_are_learned_and_their_table_is_in_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        pictures = rng.integers(0, 256, (1000, 4, 4), np.uint8)
        named = [(f"class {n}", encoded(picture)) for n, picture in enumerate(pictures)]
        write(tmp_path / "data" / f"{split}.parquet", named)
    end, events = trained(tmp_path / "data", tmp_path / "out", epochs=1, steps=3)
    report = (tmp_path / "out" / "evaluation.json").read_bytes()

    assert end.figures["n"] == 1000
    assert "confusion" not in end.figures
    assert len(msgspec.json.decode(report, type=ClassificationReport).confusion) == 1000
    assert any("and 995 more: fewer than 5 pictures" in text for text in warnings(events))


def test_pictures_of_one_class_cannot_be_told_apart(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", {"train": 5, "valid": 2, "test": 2}, ["disc"])
    end = local.train(Image, data, tmp_path / "out", params=QUICK)
    assert isinstance(end, Failed)
    assert end.failure.class_ == "user.data"
    assert OneClass(records=7, name="disc").message in end.failure.message


def test_records_that_are_no_pictures_at_all_are_told_before_training(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train.parquet", [("a", b"text"), ("b", b"more text")])
    run = LocalRun(data=tmp_path / "data", artefact=tmp_path, events=lambda e: None)
    with pytest.raises(BadData, match="none of 2 records looked at is a picture"):
        Image(**QUICK).train(run)


def test_cancelling_stops_it_within_a_step_or_so(tmp_path: Path) -> None:
    data = stage(tmp_path / "data", SIZES)
    (tmp_path / "out").mkdir()

    def listen(event: object) -> None:
        if isinstance(event, Points):
            run.cancel()

    run = LocalRun(data=data, artefact=tmp_path / "out", seconds=300, events=listen)
    with pytest.raises(RunCancelled):
        Image(**QUICK).train(run)
    assert not (tmp_path / "out" / "version.json").exists()


@pytest.mark.parametrize(
    ("names", "channels", "flip", "expected"),
    [
        (["cat", "dog"], 3, "auto", True),
        (["cat", "dog"], 1, "auto", False),
        (["turn left", "turn right"], 3, "auto", False),
        (["cleft", "bright"], 3, "auto", True),
        (["cat", "dog"], 1, "yes", True),
        (["cat", "dog"], 3, "no", False),
    ],
)
def test_mirrored_pictures_are_learned_where_they_show_the_same(
    names: list[str], channels: int, flip: str, expected: bool
) -> None:
    spec = ImageSpec(height=8, width=8, channels=channels)
    assert Image(flip=flip).learns_mirrored(spec, names) is expected

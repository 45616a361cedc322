"""`--local` runs a class or a file in this process."""

from pathlib import Path

from volano.harness.local import train
from volano.harness.model import Model, Param, Run
from volano.schemas.harness import AnyEvent, Failed, Finished, Points


class Tiny(Model):
    """Writes one file and counts."""

    steps = Param(3, ge=1)

    def train(self, run: Run) -> None:
        for step in range(self.steps):
            run.log(step, loss=1 / (step + 1))
        (run.artefact / "model.onnx").write_bytes(b"onnx")

    def evaluate(self, run: Run) -> dict[str, float]:
        return {"accuracy": 1.0}


def test_a_class_is_trained_here_and_now(tmp_path: Path):
    events: list[AnyEvent] = []
    out = tmp_path / "new" / "out"
    end = train(Tiny, tmp_path, out, params={"steps": "2"}, on_event=events.append)
    assert isinstance(end, Finished)
    assert end.figures == {"accuracy": 1.0}
    assert (out / "model.onnx").read_bytes() == b"onnx"
    assert [p.step for e in events if isinstance(e, Points) for p in e.points] == [0, 1]


def test_a_path_is_trained_too_and_needs_no_listener(write_model, tmp_path: Path):
    file = write_model("(run.artefact / 'm').write_text('x')")
    assert isinstance(train(file, tmp_path, tmp_path / "out"), Finished)


def test_a_failure_is_returned_with_its_line(tmp_path: Path):
    class Broken(Tiny):
        def train(self, run: Run) -> None:
            raise ValueError("boom")

    end = train(Broken, tmp_path, tmp_path / "out")
    assert isinstance(end, Failed)
    assert end.failure.frame.startswith("tests/harness/test_local.py:")

"""The phases run in order with fixed seeds, and every way to fail has its class."""

import random
import sys
from pathlib import Path
from typing import Any

import pytest

from volano.harness.phases import Work, exit_code, peak_rss, perform, seed_everything
from volano.harness.run import LocalRun
from volano.harness.source import locate
from volano.schemas.harness import AnyEvent, Failed, Finished, Phase
from volano.schemas.registry import Failure

WRITE = "(run.artefact / 'model.onnx').write_bytes(b'm')"


def end_of(
    file: Path, params: dict[str, Any] | None = None, *, seconds: float = 20.0
) -> tuple[Finished | Failed, list[AnyEvent]]:
    """How this model ends, and all that it told."""
    events: list[AnyEvent] = []
    artefact = file.parents[1] / "artefact"
    artefact.mkdir(exist_ok=True)
    run = LocalRun(
        data=file.parent, artefact=artefact, seed=5, seconds=seconds, events=events.append
    )
    work = Work(place=locate(str(file)), params=params or {})
    return perform(work, run, events.append), events


def failure_of(file: Path, params: dict[str, Any] | None = None, **more: float) -> Failure:
    end, events = end_of(file, params, **more)
    assert isinstance(end, Failed)
    assert end == events[-1]
    return end.failure


@pytest.mark.parametrize(
    ("train", "class_", "traced"),
    [
        ("while True: run.progress(0, 1)", "user.timeout", False),
        ("raise KeyboardInterrupt", "cancelled", False),
        ("raise ValueError('boom')", "user.code", True),
    ],
)
def test_only_a_fault_of_the_code_leaves_a_traceback(
    write_model, capsys: pytest.CaptureFixture[str], train: str, class_: str, traced: bool
):
    failure = failure_of(write_model(train, "pass"), seconds=0.3)

    assert failure.class_ == class_
    assert ("Traceback" in capsys.readouterr().err) == traced


def test_the_phases_come_in_order_and_the_end_tells_all(write_model):
    file = write_model(WRITE, "return {'accuracy': 0.5, 'rate': self.rate}")
    end, events = end_of(file, {"rate": "0.2"})
    assert isinstance(end, Finished)
    assert [e.name for e in events if isinstance(e, Phase)] == ["load", "train", "evaluate"]
    assert end == events[-1]
    assert end.figures == {"accuracy": 0.5, "rate": 0.2}
    assert [(f.name, f.bytes) for f in end.files] == [("model.onnx", 1)]
    assert list(end.seconds) == ["load", "train", "evaluate"]
    assert end.environment["python"].startswith("3.")
    assert len(end.source) == 64


@pytest.mark.parametrize(
    ("train", "evaluate", "class_", "message", "frame"),
    [
        ("raise ValueError('boom')", "", "user.code", "boom", "shapes.py:9 train"),
        (WRITE, "raise KeyError('x')", "user.code", "'x'", "shapes.py:12 evaluate"),
        ("import not_there", "", "user.dependency", "not_there", "shapes.py:9 train"),
        ("run.log(0, loss=float('nan'))", "", "user.contract", "nan", "shapes.py:9 train"),
        ("pass", "", "user.contract", "left nothing in run.artefact", ""),
        (WRITE, "return 3", "user.contract", "it is a int", ""),
        (WRITE, "return {'a': [1, {'b': float('inf')}]}", "user.contract", "a[1].b is inf", ""),
        (WRITE, "return {'a': object()}", "user.contract", "a object is not a JSON value", ""),
        ("raise MemoryError", "", "user.resource", "MemoryError", "shapes.py:9 train"),
        ("raise SystemExit(0)", "", "user.code", "SystemExit", "shapes.py:9 train"),
        ("run.cancel(); run.progress(0, 1)", "", "cancelled", "cancelled", "shapes.py:9 train"),
        ("raise KeyboardInterrupt", "", "cancelled", "", "shapes.py:9 train"),
    ],
)
def test_every_way_to_fail_has_its_class(write_model, train, evaluate, class_, message, frame):
    failure = failure_of(write_model(train, evaluate or "return {}"))
    assert failure.class_ == class_
    assert failure.frame == frame
    assert message in failure.message
    assert failure.signature


def test_a_module_that_cannot_be_imported_fails_with_its_line(write_model):
    assert failure_of(write_model(WRITE, head="import not_there")).class_ == "user.dependency"
    assert failure_of(write_model(WRITE, head="1 / 0")).frame == "shapes.py:1 <module>"
    assert failure_of(write_model(WRITE, head="def (:")).frame == "shapes.py:1 <module>"


def test_data_that_does_not_fit_is_the_datas_fault(write_model):
    head = "from volano.schemas.harness import BadData"
    failure = failure_of(write_model("raise BadData(reason='one class only')", head=head))
    assert failure.class_ == "user.data"
    assert failure.message == "The data does not fit: one class only."
    assert failure.remedy == (
        "Look at the records named in the message, or train on another snapshot."
    )


def test_a_refused_parameter_is_a_broken_contract(write_model):
    failure = failure_of(write_model(WRITE), {"rate": 2})
    assert failure.class_ == "user.contract"
    assert failure.frame == ""
    assert failure.message == "The parameter 'rate' cannot be 2.0: above 1."


def test_a_loop_without_end_stops_with_its_line(write_model):
    failure = failure_of(write_model("while True:\n    pass"), seconds=0.2)
    assert failure.class_ == "user.timeout"
    assert failure.remedy == "Allow it more seconds, or give it less to do."
    assert failure.frame in {"shapes.py:9 train", "shapes.py:10 train"}


def test_a_loop_that_swallows_exceptions_stops_too(write_model):
    train = """
    while True:
        try:
            run.log(0, loss=1.0)
        except Exception:
            pass
    """
    assert failure_of(write_model(train), seconds=0.2).class_ == "user.timeout"


def test_describing_what_ran_does_not_count_against_its_time(write_model):
    """A module that answers only once the time is up is looked at after the last phase."""
    head = """
import sys, time, types
class Slow(types.ModuleType):
    @property
    def __file__(self):
        while self.run.seconds_left() > 0:
            time.sleep(0.01)
        self.waited = True
"""
    train = f"""
    {WRITE}
    sys.modules["slow_module"] = module = Slow("slow_module")
    module.run = run
    """
    try:
        end, _ = end_of(write_model(train, head=head), seconds=1.0)
    finally:
        module = sys.modules.pop("slow_module")
    assert isinstance(end, Finished)
    assert module.waited


def test_time_that_is_up_inside_a_destructor_still_stops_the_run(write_model):
    head = """
import time
class Slow:
    def __del__(self):
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            pass
"""
    train = """
    Slow()
    while True:
        pass
    """
    assert failure_of(write_model(train, head=head), seconds=0.2).class_ == "user.timeout"


def test_figures_too_large_to_be_told_are_a_broken_contract(write_model):
    failure = failure_of(write_model(WRITE, "return {'a': 'x' * (1 << 21)}"))
    assert failure.class_ == "user.contract"
    assert "are over the limit" in failure.message


def test_array_scalars_in_figures_become_numbers(write_model):
    pytest.importorskip("numpy")
    evaluate = "return {'a': numpy.float32(0.5), 'b': numpy.arange(3)}"
    end, _ = end_of(write_model(WRITE, evaluate, head="import numpy"))
    assert isinstance(end, Finished)
    assert end.figures == {"a": 0.5, "b": [0, 1, 2]}


def test_equal_seeds_give_equal_random_numbers_in_each_phase(write_model):
    numpy = pytest.importorskip("numpy")
    head = "import random\nimport numpy"
    train = f"{WRITE}; run.log(0, a=random.random(), b=numpy.random.random())"
    evaluate = "return {'a': random.random(), 'b': numpy.random.random()}"
    file = write_model(train, evaluate, head=head)
    ends = [end_of(file)[0] for _ in range(2)]
    random.seed(5)
    numpy.random.seed(5)
    expected = {"a": random.random(), "b": numpy.random.random()}
    assert [end.figures for end in ends if isinstance(end, Finished)] == [expected] * 2


def test_seeding_imports_nothing():
    before = set(sys.modules)
    seed_everything(1)
    assert before == set(sys.modules)


def test_exit_codes_say_whose_turn_it_is():
    classes = {"user.code": 1, "user.timeout": 1, "cancelled": 130, "system.env": 3}
    assert exit_code(None) == 0
    assert classes == {c: exit_code(Failure(class_=c, message="")) for c in classes}  # type: ignore[arg-type] # keys are failure classes


def test_the_peak_is_plausible():
    assert 5 << 20 < peak_rss() < 1 << 40

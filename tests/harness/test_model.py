"""Models declare parameters; parameters refuse what they are not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.harness.model import Model, Param, RunCancelled, RunOutOfTime
from volano.schemas.harness import BadParam


class Fit(Model):
    rate = Param(0.1, ge=0.0, le=1.0, doc="step size")
    depth = Param(3, ge=1)
    kind = Param("plain", choices=("plain", "deep"))
    warm = Param(False)


class Deeper(Fit):
    depth = Param(8, ge=4)
    width = Param(2)


def test_defaults_hold_where_nothing_is_said():
    model = Fit()
    assert model.rate == 0.1
    assert model.depth == 3
    assert model.kind == "plain"
    assert model.warm is False


def test_texts_from_flags_become_the_types_of_the_defaults():
    model = Fit(rate="0.5", depth="7", kind="deep", warm="yes")
    assert model.params == {"rate": 0.5, "depth": 7, "kind": "deep", "warm": True}


def test_a_subclass_overrides_and_adds_in_the_order_written():
    assert list(Deeper.declared()) == ["rate", "depth", "kind", "warm", "width"]
    assert Deeper().depth == 8
    assert Fit().depth == 3


def test_read_on_the_class_a_param_is_itself():
    assert Fit.rate.doc == "step size"
    assert Fit.rate.name == "rate"


@pytest.mark.parametrize(
    "params",
    [
        {"rate": 1.5},
        {"rate": "fast"},
        {"rate": math.nan},
        {"rate": math.inf},
        {"rate": True},
        {"depth": 0},
        {"depth": 2.5},
        {"depth": "2.5"},
        {"depth": True},
        {"depth": math.inf},
        {"depth": None},
        {"kind": "other"},
        {"warm": "maybe"},
        {"warm": None},
        {"unknown": 1},
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(params: dict[str, object]):
    with pytest.raises(BadParam) as caught:
        Fit(**params)
    assert next(iter(params)) == caught.value.facts["name"]


def test_both_ends_of_a_range_are_within_it():
    assert Fit(rate=0.0, depth=1).params == {
        "rate": 0.0,
        "depth": 1,
        "kind": "plain",
        "warm": False,
    }
    assert Fit(rate=1.0).rate == 1.0


@pytest.mark.parametrize(
    ("value", "reason"),
    [(math.nextafter(0.0, -1), "below 0.0"), (math.nextafter(1.0, 2), "above 1.0")],
)
def test_the_next_number_beyond_an_end_is_refused(value: float, reason: str):
    with pytest.raises(BadParam) as caught:
        Fit(rate=value)
    assert caught.value.facts["reason"] == reason


def test_a_whole_float_is_a_whole_number():
    assert Fit(depth=4.0).depth == 4


@given(st.integers(min_value=1, max_value=2**63))
def test_integers_survive_as_text(depth: int):
    assert depth == Fit(depth=str(depth)).depth


@given(st.floats(min_value=0, max_value=1))
def test_floats_survive_as_text(rate: float):
    assert rate == Fit(rate=repr(rate)).rate


def test_cancellation_passes_through_except_exception():
    assert not issubclass(RunCancelled, Exception)
    assert issubclass(RunOutOfTime, RunCancelled)


def test_a_model_without_phases_says_which_is_missing():
    with pytest.raises(TypeError, match="Fit does not define train"):
        Fit().train(None)  # type: ignore[arg-type] # never looked at
    with pytest.raises(TypeError, match="Fit does not define evaluate"):
        Fit().evaluate(None)  # type: ignore[arg-type] # never looked at

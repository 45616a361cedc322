"""The signature of a source: what the harness says of a model without being asked to train it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from volano.harness import describe
from volano.harness.model import Model, Param
from volano.schemas.harness import BadParam
from volano.schemas.registry import ParamSpec, RecipeSignature

SOURCE = '''
import volano

class Mean(volano.Model):
    """Predict the mean.

    Nothing else.
    """

    output_kind = "value"
    rate = volano.Param(0.5, ge=0.0, le=1.0, doc="of forgetting")
    mode = volano.Param("plain", choices=("plain", "fancy"))
    steps = volano.Param(3, ge=1)
    warm = volano.Param(False)
'''

SPECS = [
    ParamSpec(name="rate", type="float", default=0.5, ge=0.0, le=1.0, doc="of forgetting"),
    ParamSpec(name="mode", type="str", default="plain", choices=["plain", "fancy"]),
    ParamSpec(name="steps", type="int", default=3, ge=1),
    ParamSpec(name="warm", type="bool", default=False),
]


def test_a_source_of_the_users_own_is_described_as_json(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(SOURCE)
    command = [sys.executable, "-m", "volano.harness.describe", str(tmp_path / "model.py")]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found = json.loads(done.stdout)

    assert found["doc"] == "Predict the mean."
    assert found["input"] == "json"
    assert found["output"] == "value"
    assert [param["name"] for param in found["params"]] == ["rate", "mode", "steps", "warm"]
    assert found["params"][0]["default"] == 0.5
    assert found["params"][1]["choices"] == ["plain", "fancy"]


class Settings(Model):
    """Four kinds of settings."""

    rate = Param(0.5, ge=0.0, le=1.0, doc="of forgetting")
    mode = Param("plain", choices=("plain", "fancy"))
    steps = Param(3, ge=1)
    warm = Param(False)


def test_the_parameters_of_a_model_are_its_specs() -> None:
    assert Settings.specs() == SPECS


@pytest.mark.parametrize("name", ["drawing", "image"])
def test_the_recipes_answer_with_classes(name: str) -> None:
    found = describe.describe(name)
    assert isinstance(found, RecipeSignature)
    assert (found.input, found.output) == (name, "classes")


@pytest.mark.parametrize(
    "given",
    [{}, {"rate": "0.25", "steps": 4.0, "warm": "yes"}, {"mode": "fancy", "rate": 0}],
)
def test_parameters_are_checked_against_the_specs_as_by_the_model(given: dict[str, object]) -> None:
    assert describe.check(SPECS, given) == dict(Settings(**given).params)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"rates": 1}, "there is none of that name; there are mode, rate, steps, warm"),
        ({"rate": 1.5}, "above 1.0"),
        ({"rate": float("nan")}, "it is not a number"),
        ({"steps": 2.5}, "it is not a whole number"),
        ({"steps": 0}, "below 1"),
        ({"mode": "odd"}, "it is none of plain, fancy"),
        ({"warm": "perhaps"}, "it is neither true nor false"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_words_of_the_model(
    given: dict[str, object], reason: str
) -> None:
    with pytest.raises(BadParam) as by_specs:
        describe.check(SPECS, given)
    with pytest.raises(BadParam) as by_model:
        Settings(**given)
    assert by_specs.value.facts["reason"] == reason
    assert by_specs.value.message == by_model.value.message

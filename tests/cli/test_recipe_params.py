"""Tests of volano.cli.recipe_params: parameters are read and the code that has them is not run."""

import pytest

from volano.cli import recipe_params
from volano.harness import source

CODE = """
from volano import Model, Param
raise SystemExit("this code must not run")

class Shapes(Model):
    rate = Param(0.1, ge=0.001, le=1.0, doc="how fast")
    size = Param(32, choices=(32, 64), doc="of the picture")
    name = Param("x", doc="what to call it")
    bold = Param(True, doc="or not")
    odd = Param(2 * 3, doc="a default that is not written down")
    seconds = Param(5.0, doc="hidden by the command's own")
    other = 3
"""


def test_parameters_are_listed_with_default_and_range(tmp_path):
    (tmp_path / "model.py").write_text(CODE)

    expected = [
        ("    --rate NUMBER", "how fast [0.1, from 0.001, to 1]"),
        ("    --size 32|64", "of the picture [32]"),
        ("    --name TEXT", "what to call it [x]"),
        ("    --bold true|false", "or not [True]"),
        ("    --odd TEXT", "a default that is not written down"),
    ]
    assert recipe_params.lines(str(tmp_path / "model.py")) == expected


@pytest.mark.parametrize("recipe", ["nonesuch", "nowhere/model.py"])
def test_a_recipe_that_is_not_here_has_no_lines(recipe):
    assert recipe_params.lines(recipe) == []


def test_code_that_is_no_python_has_no_lines(tmp_path):
    (tmp_path / "model.py").write_text("class (")

    assert recipe_params.lines(str(tmp_path / "model.py")) == []


@pytest.mark.parametrize("recipe", source.recipes())
def test_what_is_listed_is_what_a_recipe_declares(recipe):
    declared = source.load(source.locate(recipe)).declared()
    listed = [flag.split()[0].removeprefix("--") for flag, _ in recipe_params.lines(recipe)]

    assert [name for name in declared if name not in recipe_params.HIDDEN] == listed


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train", "drawing"),
        ("train --recipe mine", "mine"),
        ("train --recipe=mine --x 3", "mine"),
        ("train --recipe", "drawing"),
    ],
)
def test_the_recipe_is_found_on_the_command_line(line, expected):
    assert recipe_params.chosen(line.split(), default="drawing") == expected

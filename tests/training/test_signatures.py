"""Parameters are checked against files that the harness has written; no recipe is imported."""

import json
import subprocess
import sys

import pytest

from volano.schemas.harness import BadParam
from volano.schemas.registry import UnknownRecipe
from volano.training import signatures
from volano.training.recipes.drawing.recipe import Drawing
from volano.training.recipes.image.recipe import Image


def test_every_parameter_gets_a_value_of_its_type() -> None:
    found = signatures.checked_params("image", {"width": "16", "flip": "no"})
    assert found == dict(Image(width=16, flip="no").params)
    assert signatures.checked_params("drawing", {}) == dict(Drawing().params)


@pytest.mark.parametrize("given", [{"widht": 16}, {"width": 1000}, {"width": "wide"}])
def test_what_does_not_fit_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(BadParam):
        signatures.checked_params("image", given)


@pytest.mark.parametrize("name", ["model.py", "os:path", "../drawing", "recipe", ""])
def test_only_recipes_have_a_signature(name: str) -> None:
    with pytest.raises(UnknownRecipe):
        signatures.signature(name)


def test_the_process_of_the_server_imports_no_recipe() -> None:
    program = """
import json, sys
from volano import app
from volano.training import signatures

signatures.checked_params("drawing", {"width": 8})
signatures.checked_params("image", {})
loaded = [name for name in sys.modules if name.startswith("volano.training.recipes.")]
print(json.dumps([len(app.ROUTES) > 0, loaded, "torch" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout) == [True, [], False]

"""What the recipes here are set up with, read from the files that the harness has written.

The process that answers requests imports no class of a model: whoever can add one could run code
there.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from volano.harness import describe, source
from volano.schemas.registry import RecipeSignature, UnknownRecipe

FILE = "signature.json"
"""In the folder of each recipe; `./dev docs` writes it."""

_RECIPES = Path(__file__).parent / "recipes"


def checked_params(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter of a recipe, given or default.

    Raises: UnknownRecipe, BadParam.
    """
    return describe.check(signature(recipe).params, given)


def signature(recipe: str) -> RecipeSignature:
    """Return the signature of a recipe.

    Raises: UnknownRecipe.
    """
    known = source.recipes()
    if recipe not in known:
        raise UnknownRecipe(recipe=recipe, known=", ".join(known))
    return _read(path(recipe))


def path(recipe: str) -> Path:
    """Return where the signature of a recipe lies."""
    return _RECIPES / recipe.replace("-", "_") / FILE


@cache
def _read(file: Path) -> RecipeSignature:
    return msgspec.json.decode(file.read_bytes(), type=RecipeSignature)

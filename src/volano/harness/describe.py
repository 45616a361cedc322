"""The signature of a source as JSON: `python -m volano.harness.describe SOURCE`.

This runs the source's code, so that a server need not: it reads what this wrote.
"""

import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from volano.harness.model import Param, check_params
from volano.harness.source import load, locate
from volano.schemas.registry import ParamSpec, RecipeSignature


def describe(source: str) -> RecipeSignature:
    """Load the model of a source, a recipe or a user's, and return its signature.

    Raises: SourceMissing, UnknownRecipe, ModelUnclear, and whatever the source raises.
    """
    model = load(locate(source))
    return RecipeSignature(
        recipe=source,
        doc=(inspect.getdoc(model) or "").partition("\n")[0],
        params=model.specs(),
        input=model.input_kind,
        output=model.output_kind,
    )


def check(specs: Sequence[ParamSpec], given: Mapping[str, object]) -> dict[str, Any]:
    """Return the value of every parameter, given or default, as the model itself would.

    Raises: BadParam (unknown name, or a value that does not fit).
    """
    return check_params({spec.name: _param(spec) for spec in specs}, given)


def _param(spec: ParamSpec) -> Param[Any]:
    param: Param[Any] = Param(
        spec.default, ge=spec.ge, le=spec.le, choices=tuple(spec.choices), doc=spec.doc
    )
    param.name = spec.name
    return param


def main(source: str) -> int:
    """Print the signature of a source; return the exit code."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(describe(source))) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What runs on a user's machine loads little: import-linter does not see what `__init__` runs."""

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "sqlalchemy", "starlette", "torch", "pyarrow", "onnxruntime", "uvicorn"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after the statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    return set(json.loads(done.stdout))


def test_import_volano_loads_nothing_of_ours_but_itself() -> None:
    ours = {name for name in loaded_by("import volano") if name.startswith("volano")}
    assert ours == {"volano"}


def test_the_names_of_the_package_load_the_vocabulary_only() -> None:
    loaded = loaded_by("from volano import Model, Param, Run")
    assert {name.split(".")[1] for name in loaded if name.startswith("volano.")} == {
        "schemas",
        "harness",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "from volano import Client, Model",
        "import volano.cli.main",
        "import volano.harness.child",
        "import volano.harness.local",
    ],
)
def test_what_runs_on_a_laptop_stays_light(statement: str) -> None:
    assert loaded_by(statement) & HEAVY == set()


def test_looking_at_a_recipes_settings_loads_no_torch() -> None:
    assert "torch" not in loaded_by("import volano.training.recipes.drawing")

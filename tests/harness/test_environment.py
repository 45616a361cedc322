"""The environment names what was imported, and nothing that was not."""

import platform
import subprocess
import sys

import msgspec

CODE = "import {}; from volano.harness.environment import environment; print(environment())"


def names_after_importing(module: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", CODE.format(module)], check=True, capture_output=True, text=True
    ).stdout


def test_it_names_interpreter_platform_and_imported_distributions():
    told = names_after_importing("msgspec")
    assert f"'python': '{platform.python_version()}'" in told
    assert f"'msgspec': '{msgspec.__version__}'" in told
    assert "'volano'" in told


def test_a_distribution_named_unlike_its_module_is_found():
    assert "'pillow'" in names_after_importing("PIL")


def test_what_is_installed_but_not_imported_is_left_out():
    assert "'pillow'" not in names_after_importing("json")

"""A stage that is added joins every contract of `.importlinter`, and the tests of the house."""

import configparser
from pathlib import Path

import pytest

from tests.house import code

NO_STAGE = {"schemas", "harness", "core", "hosting", "sdk", "cli", "migrations"}
"""Folders of the package that have no rooms of their own."""


def contract(name: str) -> dict[str, list[str]]:
    """Return a contract's options, each as its lines."""
    parser = configparser.ConfigParser()
    parser.read(code.ROOT / ".importlinter")
    section = parser[f"importlinter:contract:{name}"]
    return {option: section[option].split("\n")[1:] or [section[option]] for option in section}


def stages_of(package: Path) -> set[str]:
    """Return the folders of a package that are stages."""
    folders = {file.parent.name for file in package.glob("*/__init__.py")}
    return folders - NO_STAGE


def forgotten(package: Path) -> dict[str, set[str]]:
    """Return what knows too few or too many stages, with those in which it differs."""
    listed = {
        "code.STAGES": set(code.STAGES),
        "rooms": {line.removeprefix("volano.") for line in contract("rooms")["containers"]},
        "private": {line.split(".")[1] for line in contract("private")["ignore_imports"]},
    }
    found = {name: stages ^ stages_of(package) for name, stages in listed.items()}
    return {name: stages for name, stages in found.items() if stages}


def test_every_stage_is_known_to_the_contracts_and_to_the_tests_of_the_house() -> None:
    assert forgotten(code.PACKAGE) == {}


def test_a_stage_that_was_forgotten_is_found(tmp_path: Path) -> None:
    for name in (*code.STAGES, "monitoring"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()

    assert forgotten(tmp_path) == {
        "code.STAGES": {"monitoring"},
        "rooms": {"monitoring"},
        "private": {"monitoring"},
    }


def test_the_line_names_every_folder_and_the_stages_in_their_order() -> None:
    line = contract("line")
    there = [name for name in reversed(line["layers"]) if not name.startswith("(")]

    assert line["exhaustive"] == ["true"]
    assert [name for name in there if name in code.STAGES] == list(code.STAGES)
    assert set(" ".join(line["layers"]).replace("|", " ").split()) >= NO_STAGE - {"migrations"}


@pytest.mark.parametrize("stage", code.STAGES)
def test_the_private_rooms_of_a_stage_open_to_that_stage_only(stage: str) -> None:
    assert f"volano.{stage}.* -> volano.{stage}.*" in contract("private")["ignore_imports"]

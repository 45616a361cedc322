"""Docstrings say what a function does: a verb in the imperative, and its object."""

from pathlib import Path

import pytest

from tests.house import code, docstrings

MODULES = code.modules()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_the_docstring_of_a_function_begins_with_a_verb(module: code.Module) -> None:
    assert docstrings.not_imperative(module) == [], "a verb that is missing belongs in verbs.txt"


@pytest.mark.parametrize(
    "docstring",
    [
        "It, at most five seconds old.",
        "Nothing, if the caller may.",
        "Of one batch, the second half.",
        "Whether the caller may.",
        "The URL of the server.",
        "Drawings of one contributor.",
        "Returns the URL of the server.",
        "`length` bytes from `start` on.",
    ],
)
def test_what_does_not_begin_with_a_verb_is_found(docstring: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(f'def f() -> None:\n    """{docstring}"""\n')
    assert len(docstrings.not_imperative(code.Module(path))) == 1


def test_a_verb_with_its_object_and_a_property_told_as_a_noun_are_let_through(
    tmp_path: Path,
) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        'def f() -> None:\n    """Freeze the records that match."""\n'
        'class C:\n    @property\n    def size(self) -> int:\n        """The size in bytes."""\n'
    )
    assert docstrings.not_imperative(code.Module(path)) == []


def test_the_verbs_are_listed_once_and_in_order() -> None:
    listed = docstrings.VERB_LIST.read_text("utf-8").split()
    assert listed == sorted(set(listed))

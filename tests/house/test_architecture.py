"""docs/architecture.md speaks of the code as it is: its stages, parts, words and hops are there."""

import ast
import re
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from tests.house import code
from tests.house.test_contracts import contract
from tests.house.walks import walks
from volano import app

PAGE = (code.ROOT / "docs" / "architecture.md").read_text("utf-8")
HOPS = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", PAGE)))
WORDS = re.findall(r"^\| (\w+) \| (.+) \| `([\w/]+\.py):(\w+)` \|$", PAGE, re.MULTILINE)
PARTS = re.findall(r"^\| `([\w/]+\.py):(\w+)` \| .+ \|$", PAGE, re.MULTILINE)


def names_in(file: str) -> set[str]:
    """Return what a module defines: functions, classes, and methods as `Class.method`."""
    found = set()
    for node in code.Module(code.PACKAGE / file).tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (
                m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


def parts_of_the_context() -> set[tuple[str, str]]:
    """Return the file and the class of everything that `app.open_context` puts into `parts`."""
    tree = code.Module(code.PACKAGE / "app.py").tree
    (given,) = [
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Context"
        for keyword in node.keywords
        if keyword.arg == "parts"
    ]
    assert isinstance(given, ast.Dict)
    classes: list[Any] = [
        reduce(getattr, ast.unparse(key).split("."), app) for key in given.keys if key
    ]
    return {
        (f"{cls.__module__.removeprefix('volano.').replace('.', '/')}.py", cls.__name__)
        for cls in classes
    }


@pytest.mark.parametrize(("file", "name"), HOPS, ids=[f"{file}:{name}" for file, name in HOPS])
def test_every_hop_exists(file: str, name: str) -> None:
    assert name in names_in(file)


def test_the_line_of_stages_is_that_of_the_contract() -> None:
    there = [name for name in contract("line")["layers"] if not name.startswith("(")]
    (line,) = re.findall(r"^    (schemas < .+)$", PAGE, re.MULTILINE)
    assert line.split(" < ") == [name for name in reversed(there) if "|" not in name]


def files_of(begin: str, end: str) -> set[str]:
    """Return the files that the page names between two of its texts."""
    part = PAGE.partition(begin)[2].partition(end)[0]
    return set(re.findall(r"`([\w/]+\.py):", part))


async def test_a_drawing_and_a_prediction_enter_the_files_that_the_page_names(
    tmp_path: Path,
) -> None:
    drawing, prediction = await walks(tmp_path)
    of_both = files_of("Every request goes", "**A drawing")

    assert of_both <= set(drawing.files)
    assert files_of("**A drawing", "4. ") <= set(drawing.files)
    assert of_both <= set(prediction.files)
    assert files_of("**A prediction", "## 4") <= set(prediction.files)


def test_every_word_is_told_in_one_sentence_and_stands_in_the_code() -> None:
    assert len(WORDS) >= 12
    for word, meaning, file, name in WORDS:
        assert re.fullmatch(r"[A-Z][^.]+\.", meaning), word
        assert word in f"{file}:{name}".lower() or word in ("recipe", "harness"), word


def test_every_part_of_every_stage_is_listed() -> None:
    assert set(PARTS) == parts_of_the_context()


def test_the_page_is_read_in_ten_minutes() -> None:
    assert len(PAGE.split()) <= 1500

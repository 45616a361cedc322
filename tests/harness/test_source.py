"""The user's code is found without running it, loaded, and captured by content."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

import volano
from volano.harness.model import Model
from volano.harness.source import Captured, capture, load, locate, place_of, recipes
from volano.schemas.harness import ModelUnclear, SourceMissing
from volano.schemas.registry import UnknownRecipe

MODEL = "from volano import Model\n"
PACKAGE = Path(volano.__file__).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a model three imports deep, and files that it does not use."""
    files = {
        "pyproject.toml": "[project]\nname = 'shapes'\n",
        "train/shapes.py": MODEL
        + "import near\nfrom deep.pkg import thing\n\nclass Shapes(Model):\n"
        "    def train(self, run):\n        import lazy\n",
        "train/near.py": "import json\n",
        "train/lazy.py": "from near import x\n",
        "train/unused.py": "",
        "src/deep/__init__.py": "",
        "src/deep/pkg/__init__.py": "from .thing import value\nfrom .. import cousin\n",
        "src/deep/pkg/thing.py": "value = 1\n",
        "src/deep/cousin.py": "",
        "src/deep/other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_import_graph_of_the_project_is_captured_and_nothing_else(project: Path):
    captured = capture(locate(f"{project}/train/shapes.py"))
    assert captured.entry == "train/shapes.py"
    assert sorted(captured.files) == [
        "pyproject.toml",
        "src/deep/__init__.py",
        "src/deep/cousin.py",
        "src/deep/pkg/__init__.py",
        "src/deep/pkg/thing.py",
        "train/lazy.py",
        "train/near.py",
        "train/shapes.py",
    ]


def test_the_hash_does_not_depend_on_where_the_project_lies(project: Path, tmp_path: Path):
    first = capture(locate(f"{project}/train/shapes.py"))
    entry = first.restore(tmp_path / "elsewhere")
    second = capture(locate(str(entry)))
    assert first.hash == second.hash
    assert first.files == second.files


def test_the_hash_is_the_same_in_processes_with_other_hash_seeds(project: Path):
    code = (
        "import sys; from volano.harness.source import capture, locate;"
        "print(capture(locate(sys.argv[1])).hash)"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code, f"{project}/train/shapes.py"],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def test_the_hash_changes_with_a_used_file_only(project: Path):
    place = locate(f"{project}/train/shapes.py")
    before = capture(place).hash
    (project / "train" / "unused.py").write_text("x = 1\n")
    assert before == capture(place).hash
    (project / "train" / "lazy.py").write_text("x = 1\n")
    assert capture(place).hash != before


def test_a_file_under_another_name_has_another_hash():
    """Whatever imports it would not find it there."""
    here = Captured(entry="a.py", files={"a.py": b"import b", "b.py": b"x = 1"})
    renamed = Captured(entry="a.py", files={"a.py": b"import b", "c.py": b"x = 1"})
    assert here.hash != renamed.hash


def test_the_hash_knows_where_a_name_ends_and_its_content_begins():
    first = Captured(entry="a", files={"a": b"bc"})
    assert first.hash != Captured(entry="a", files={"ab": b"c"}).hash
    assert first.hash == Captured(entry="a", files={"a": b"bc"}).hash


def test_a_file_that_cannot_be_parsed_is_captured_as_it_is(tmp_path: Path):
    (tmp_path / "broken.py").write_text("def (:\n")
    assert capture(locate(f"{tmp_path}/broken.py")).files == {"broken.py": b"def (:\n"}


def test_locating_runs_nothing(tmp_path: Path):
    (tmp_path / "loud.py").write_text("raise SystemExit\n")
    assert tmp_path / "loud.py" == locate(f"{tmp_path}/loud.py").file


def test_the_one_model_of_a_file_is_found_below_its_bases(tmp_path: Path):
    (tmp_path / "family.py").write_text(MODEL + "class A(Model): pass\nclass B(A): pass\n")
    assert load(locate(f"{tmp_path}/family.py")).__name__ == "B"
    assert load(locate(f"{tmp_path}/family.py:A")).__name__ == "A"


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("class A(Model): pass\nclass B(Model): pass\n", "", "it defines A, B"),
        ("", "", "it defines no Model"),
        ("class A(Model): pass\n", ":B", "B is not a Model in it"),
        ("A = 3\n", ":A", "A is not a Model in it"),
    ],
)
def test_an_unclear_file_says_what_it_defines(tmp_path: Path, text: str, name: str, reason: str):
    (tmp_path / "unclear.py").write_text(MODEL + text)
    with pytest.raises(ModelUnclear, match=reason):
        load(locate(f"{tmp_path}/unclear.py{name}"))


@pytest.fixture
def keeping_bytecode() -> Iterator[None]:
    """Compiled modules are kept, as they are unless the environment says otherwise."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    yield
    sys.dont_write_bytecode = before


@pytest.mark.usefixtures("keeping_bytecode")
def test_an_edited_file_is_loaded_anew_also_within_a_second_and_of_equal_size(tmp_path: Path):
    file = tmp_path / "edited.py"
    for text in ("a", "b", "c"):
        file.write_text(MODEL + f"class Edited(Model):\n    word = '{text}'\n")
        assert vars(load(locate(str(file))))["word"] == text


def test_a_file_that_is_no_python_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text(MODEL + "class Shapes(Model): pass\n")
    with pytest.raises(SourceMissing, match="not a Python file"):
        load(locate(f"{tmp_path}/notes.txt"))


def test_a_file_named_like_a_module_does_not_replace_it(tmp_path: Path):
    (tmp_path / "msgspec.py").write_text(MODEL + "class Shapes(Model): pass\n")
    (tmp_path / "random.py").write_text(MODEL + "class Shapes(Model): pass\n")
    before = sys.modules["msgspec"], sys.modules["random"]
    load(locate(f"{tmp_path}/msgspec.py"))
    load(locate(f"{tmp_path}/random.py"))
    sys.path.remove(str(tmp_path))
    assert before == (sys.modules["msgspec"], sys.modules["random"])


@pytest.mark.parametrize("source", ["no/such.py", "no.such.module:Model", "a..b", "json.:X"])
def test_a_missing_source_is_named(source: str):
    with pytest.raises(SourceMissing):
        locate(source)


@pytest.mark.parametrize("source", ["no_such_recipe", "", "no-such-recipe", "a b"])
def test_an_unknown_recipe_is_named_with_those_that_exist(source: str):
    with pytest.raises(UnknownRecipe) as caught:
        locate(source)
    assert caught.value.facts["recipe"] == source
    assert caught.value.facts["known"] == ", ".join(recipes()) or "none"


def test_a_dotted_module_is_captured_with_what_it_imports_of_its_package():
    place = locate("volano.harness.source:Place")
    assert place.package == "volano"
    assert place.project.name == "volano"
    names = set(capture(place).files)
    assert {"volano/harness/source.py", "volano/harness/model.py"} <= names
    assert "volano/schemas/errors.py" in names
    assert not any(name.startswith("volano/core/") for name in names)


def test_a_package_is_captured_under_its_own_name():
    captured = capture(locate("volano.harness"))
    assert captured.entry == "volano/harness/__init__.py"
    assert sorted(captured.files) == ["volano/__init__.py", "volano/harness/__init__.py"]


def test_a_recipe_is_captured_with_the_preprocessing_that_it_takes_from_elsewhere():
    place = locate("drawing")
    captured = capture(place)
    assert captured.entry == "volano/training/recipes/drawing/recipe.py"
    assert {
        "volano/data/formats/line_segments.py",
        "volano/data/formats/strokes.py",
        "volano/evaluation/calibrate.py",
        "volano/training/recipes/drawing/network.py",
        "volano/training/recipes/drawing/export.py",
    } <= set(captured.files)
    assert not [name for name in captured.files if name.startswith(("volano/core", "volano/sdk"))]


def test_the_hash_of_a_recipe_changes_with_its_preprocessing(tmp_path: Path):
    """As a process sees it in which the way from strokes to segments is another one."""
    shutil.copytree(PACKAGE, tmp_path / "volano", ignore=shutil.ignore_patterns("__pycache__"))
    before = hash_seen_from(tmp_path)
    (tmp_path / "volano" / "core" / "metrics.py").write_text("# it imports none of this\n")
    assert hash_seen_from(tmp_path) == before
    cutting = tmp_path / "volano" / "data" / "formats" / "line_segments.py"
    cutting.write_text(cutting.read_text().replace("TOLERANCE = 1 / 32", "TOLERANCE = 1 / 16"))
    assert hash_seen_from(tmp_path) != before


def hash_seen_from(folder: Path) -> str:
    """The hash of the drawing recipe in a process that finds Volano in this folder."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from volano.harness.source import capture, locate; print(capture(locate('drawing')).hash)"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", code, str(folder)], check=True, capture_output=True, text=True
    ).stdout


def test_what_is_imported_for_types_only_is_not_captured(tmp_path: Path):
    (tmp_path / "shapes.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import types_only\nelse:\n    import instead\n"
        "if not TYPE_CHECKING:\n    import at_run_time\n"
    )
    for name in ("types_only", "instead", "at_run_time"):
        (tmp_path / f"{name}.py").write_text("")
    captured = capture(locate(f"{tmp_path}/shapes.py"))
    assert sorted(captured.files) == ["at_run_time.py", "instead.py", "shapes.py"]


class Here(Model):
    """A class that is loaded already."""

    def train(self, run: object) -> None:
        """Nothing."""


@pytest.fixture
def importable(tmp_path: Path) -> Iterator[Path]:
    """The test's folder, where Python looks for modules first."""
    sys.path.insert(0, str(tmp_path))
    invalidate_caches()
    yield tmp_path
    sys.path.remove(str(tmp_path))


def test_imports_that_lead_out_of_the_package_are_not_confused_with_its_files(importable: Path):
    files = {
        "shop/__init__.py": "",
        "shop/kind/__init__.py": "",
        "shop/kind/tea.py": "from torch import export\n"
        "import shop.kind.cup\nfrom shop import pot\n",
        "shop/kind/cup.py": "from shop.kind import *\n",
        "shop/export.py": "",
        "shop/pot.py": "",
    }
    for name, text in files.items():
        (importable / name).parent.mkdir(parents=True, exist_ok=True)
        (importable / name).write_text(text)
    place = locate("shop.kind.tea")
    assert place.package == "shop"
    assert place.project == importable / "shop"
    assert sorted(capture(place).files) == [
        "shop/__init__.py",
        "shop/kind/__init__.py",
        "shop/kind/cup.py",
        "shop/kind/tea.py",
        "shop/pot.py",
    ]


def test_a_class_knows_its_place():
    place = place_of(Here)
    assert Path(__file__) == place.file
    assert place.class_name == "Here"
    assert "tests/harness/test_source.py" in capture(place).files


def test_a_class_from_a_notebook_cell_is_captured_by_its_lines(tmp_path: Path):
    import linecache

    cell = f"{tmp_path}/cell_1.py"
    text = MODEL + "class Cell(Model):\n    def train(self, run): pass\n"
    linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
    scope: dict[str, type[Model]] = {}
    exec(compile(text, cell, "exec"), scope)
    assert {"cell_1.py": text.encode()} == capture(place_of(scope["Cell"])).files

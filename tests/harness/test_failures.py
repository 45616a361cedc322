"""An exception becomes a class, a line of the user's code, and a stable signature."""

import errno
import importlib.util
import json
from pathlib import Path

import msgspec
import pytest

from volano.harness.failures import MESSAGE_LIMIT, classify, explain
from volano.harness.model import Param, RunCancelled, RunOutOfTime
from volano.schemas.harness import ArtefactMissing, BadData, BadParam, MetricNotFinite
from volano.schemas.registry import Failure


def failure_of(folder: Path, text: str, call: str = "train") -> Failure:
    """The failure that `call()` of a module with this text ends in."""
    file = folder / "model.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("model", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        getattr(module, call)()
    except BaseException as error:
        return explain(error, folder)
    raise AssertionError("it did not fail")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("x"), "user.code"),
        (SystemExit(0), "user.code"),
        (ModuleNotFoundError("no cv2"), "user.dependency"),
        (BadData(reason="empty"), "user.data"),
        (MetricNotFinite(name="loss", step=1, value=1.0), "user.contract"),
        (ArtefactMissing(), "user.contract"),
        (BadParam(name="a", value=1, reason="b"), "user.contract"),
        (RunOutOfTime(), "user.timeout"),
        (RunCancelled(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (MemoryError(), "user.resource"),
        (OSError(errno.ENOSPC, "full"), "user.resource"),
        (OSError(errno.EFBIG, "big"), "user.resource"),
        (FileNotFoundError(errno.ENOENT, "gone"), "user.code"),
    ],
)
def test_every_class_has_its_errors(error: BaseException, expected: str):
    assert classify(error) == expected


def test_the_frame_is_the_innermost_line_of_the_users_own_code(tmp_path: Path):
    text = "import json\ndef train():\n    load()\ndef load():\n    json.loads('{')\n"
    failure = failure_of(tmp_path, text)
    assert failure.frame == "model.py:5 load"
    assert failure.message.startswith("json.decoder.JSONDecodeError: Expecting property name")


def test_a_syntax_error_points_into_the_file(tmp_path: Path):
    failure = failure_of(tmp_path, "x = 1\ndef train(:\n    pass\n")
    assert failure.class_ == "user.code"
    assert failure.frame == "model.py:2 <module>"


def test_equal_failures_share_a_signature_whatever_their_values_and_line_numbers(tmp_path: Path):
    first = failure_of(tmp_path, "def train():\n    raise ValueError(str(id(object())))\n")
    moved = failure_of(tmp_path, "\n\n\ndef train():\n    raise ValueError(str(id(object())))\n")
    other = failure_of(tmp_path, "def train():\n    raise KeyError('x')\n")
    assert moved.signature == first.signature
    assert first.signature != other.signature
    assert len(first.signature) == 16


def test_two_lines_of_one_function_have_two_signatures(tmp_path: Path):
    text = "def train():\n    {}['a']\n"
    other = "def train():\n    {}['b']\n"
    assert failure_of(tmp_path, text).signature != failure_of(tmp_path, other).signature


def test_a_long_message_is_cut_and_a_hostile_one_survived(tmp_path: Path):
    long = failure_of(tmp_path, "def train():\n    raise ValueError('x' * 10**6)\n")
    assert len(long.message) == MESSAGE_LIMIT + 2
    text = (
        "class Bad(Exception):\n"
        "    def __str__(self):\n        raise ValueError\n"
        "def train():\n    raise Bad\n"
    )
    assert "Bad" in failure_of(tmp_path, text).message


def test_an_error_without_own_frames_has_a_signature_but_no_frame(tmp_path: Path):
    failure = explain(ValueError("x"), tmp_path)
    assert failure.frame == ""
    assert len(failure.signature) == 16


def test_installed_libraries_inside_the_project_are_not_own_code(tmp_path: Path):
    project = Path(__file__).parents[2]
    with pytest.raises(BadParam) as caught:
        Param(1).check("one")
    assert explain(caught.value, project).frame.startswith("src/volano/harness/model.py:")
    with pytest.raises(json.JSONDecodeError) as inside:
        json.loads("{")
    assert explain(inside.value, project).frame.startswith("tests/harness/test_failures.py:")
    with pytest.raises(json.JSONDecodeError) as within:
        json.loads("{")
    assert explain(within.value, Path(json.__file__).parent).frame.startswith("decoder.py:")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("a\ud800b"), "ValueError: a?b"),
        (KeyError("\udcff"), "KeyError: '\\udcff'"),
        (BadData("x" * 3000), "x" * 2000 + " …"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_every_message_can_be_sent(error: BaseException, told: str):
    failure = explain(error, Path("/nowhere"))
    assert failure.message == told
    assert msgspec.json.decode(msgspec.json.encode(failure), type=Failure) == failure

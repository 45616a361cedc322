"""Folders made for good; that power cuts leave them is what tests/faults shows."""

from pathlib import Path

from volano.core import durable


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    durable.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    durable.make_folder(tmp_path)
    assert (tmp_path / "file").read_text() == "kept"

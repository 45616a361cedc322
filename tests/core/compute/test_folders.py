"""Folders are closed while a run lasts and can be removed afterwards; links lead nowhere."""

from pathlib import Path

import pytest

from volano.core.compute.folders import freeze, thaw


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file two levels down, and a link out of it."""
    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("x")
    (tmp_path / "outside").mkdir(mode=0o700)
    (folder / "link").symlink_to(tmp_path / "outside")
    return folder


def test_a_frozen_folder_is_read_only_at_every_depth(folder: Path):
    freeze(folder)
    found = [mode(path) for path in (folder, folder / "inner", folder / "inner" / "file")]
    assert found == [0o555, 0o555, 0o444]


def test_a_thawed_folder_is_open_at_every_depth(folder: Path):
    freeze(folder)
    thaw(folder)
    assert [mode(folder), mode(folder / "inner")] == [0o755, 0o755]


def test_what_a_link_points_to_is_left_alone(folder: Path):
    freeze(folder)
    thaw(folder)
    assert mode(folder.parent / "outside") == 0o700


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path):
    thaw(tmp_path / "none")

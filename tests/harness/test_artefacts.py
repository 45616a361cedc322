"""The artefact folder is listed, and only what can be registered passes."""

from pathlib import Path

import pytest

from volano.harness.artefacts import listed
from volano.schemas.harness import ArtefactFile, ArtefactMissing, ArtefactUnfit


def test_files_are_listed_by_name_with_their_sizes(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.bin").write_bytes(b"bb")
    (tmp_path / "a.json").write_bytes(b"{}")
    assert listed(tmp_path) == [
        ArtefactFile(name="a.json", bytes=2),
        ArtefactFile(name="sub/b.bin", bytes=2),
    ]


def test_an_empty_folder_is_a_broken_contract(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtefactMissing):
        listed(tmp_path)


def test_a_link_is_refused(tmp_path: Path):
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ArtefactUnfit, match="'passwd' cannot be registered: it is not a regular"):
        listed(tmp_path)


def test_too_many_and_too_large_are_refused(tmp_path: Path):
    for index in range(3):
        (tmp_path / f"{index}").write_bytes(b"123")
    with pytest.raises(ArtefactUnfit, match="too many"):
        listed(tmp_path, files=2)
    with pytest.raises(ArtefactUnfit, match="too large"):
        listed(tmp_path, total_bytes=8)
    assert len(listed(tmp_path, files=3, total_bytes=9)) == 3

"""The artefact folder is listed with hashes, and only what can be registered passes."""

import hashlib
from pathlib import Path

import pytest

from volano.harness.artefacts import listed
from volano.schemas.harness import ArtefactFile, ArtefactMissing, ArtefactUnfit


def test_files_are_listed_by_name_with_their_hashes(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.bin").write_bytes(b"bb")
    (tmp_path / "a.json").write_bytes(b"{}")
    assert [
        ArtefactFile(name="a.json", bytes=2, sha256=hashlib.sha256(b"{}").hexdigest()),
        ArtefactFile(name="sub/b.bin", bytes=2, sha256=hashlib.sha256(b"bb").hexdigest()),
    ] == listed(tmp_path)


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

"""ZIP and TAR: read as they are, and never unpacked to where they ask."""

import gzip
import io
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.formats.trees import codes, found, labels, picture, tarred, zipped
from volano.data.formats.archive import Caps, open_tree
from volano.data.formats.items import Skipped
from volano.schemas.errors import VolanoError
from volano.schemas.imports import ArchiveUnreadable, EmptyFile, FileTooLarge, FileUnreadable

PNG = picture()
PETS = {"pets/cat/1.png": PNG, "pets/dog/2.png": picture(12, 9)}


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.bz2", "w:bz2"),
     ("a.tar.xz", "w:xz"), ("no-extension", "w:gz")],
)  # fmt: skip
def test_a_tar_of_folders_is_read_however_it_is_packed(tmp_path, name, mode):
    items, skipped = found(tarred(tmp_path / name, PETS, mode))

    assert labels(items) == {"pets/cat/1.png": "cat", "pets/dog/2.png": "dog"}
    assert [item.read() for item in items] == list(PETS.values())
    assert skipped == []


def test_a_zip_of_folders_is_read(tmp_path):
    items, _ = found(zipped(tmp_path / "a.zip", PETS))

    assert labels(items) == {"pets/cat/1.png": "cat", "pets/dog/2.png": "dog"}
    assert [item.read() for item in items] == list(PETS.values())


OUT = ["../evil.png", "cat/../../evil.png", "C:/evil.png"]


@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_what_leads_out_is_refused_and_the_rest_is_read(tmp_path: Path, pack, name):
    path = pack(tmp_path / "inside" if pack is tarred else tmp_path / "a.zip", {name: PNG} | PETS)

    items, skipped = found(path)

    assert len(items) == 2
    assert codes(skipped) == {name: "path-refused"}
    assert not list(tmp_path.rglob("evil.png"))


def test_links_of_archives_are_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("cat/passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        picked = tarfile.TarInfo("cat/1.png")
        picked.size = len(PNG)
        archive.addfile(picked, io.BytesIO(PNG))
        twin = tarfile.TarInfo("dog/1.png")
        twin.type, twin.linkname = tarfile.LNKTYPE, "cat/1.png"
        archive.addfile(twin)

    items, skipped = found(path)

    assert codes(skipped) == {"cat/passwd.png": "member-refused"}
    assert [item.read() for item in items] == [PNG, PNG], "a hard link is the file itself"


def test_a_link_in_a_zip_is_not_followed(tmp_path):
    packed = zipped(tmp_path / "a.zip", {"cat/1.png": "/etc/passwd"}, kind=stat.S_IFLNK)
    assert _only(packed).error.code == "member-refused"


def _only(path: Path) -> Skipped:
    tree = open_tree(path)
    assert tree is not None
    assert tree.files == []
    return tree.passed_over[0]


def test_a_member_that_would_grow_beyond_measure_is_refused_alone(tmp_path):
    bomb = {"cat/bomb.png": b"\0" * (4 << 20)} | PETS

    items, skipped = found(zipped(tmp_path / "a.zip", bomb))

    assert len(items) == 2
    assert codes(skipped) == {"cat/bomb.png": "member-refused"}


def test_a_tar_that_would_fill_the_disk_is_refused_before_it_does(tmp_path):
    path = tarred(tmp_path / "a.tar.gz", {"bomb.png": b"\0" * (1 << 20)}, "w:gz")

    with pytest.raises(ArchiveUnreadable) as refused:
        open_tree(path, Caps(total_small=100_000, ratio=10))
    assert "unpack to more than 100,000" in refused.value.message


def test_too_many_members_are_refused(tmp_path):
    for pack, name in ((zipped, "a.zip"), (tarred, "a.tar")):
        with pytest.raises(ArchiveUnreadable):
            open_tree(pack(tmp_path / name, PETS), Caps(members=1))


def test_an_encrypted_member_is_refused_with_its_reason(tmp_path):
    path = zipped(tmp_path / "a.zip", {"cat/1.png": PNG})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)

    assert "encrypted" in _only(path).error.message


def test_a_name_that_macos_wrote_in_utf8_without_saying_so_is_read_as_utf8(tmp_path):
    path = zipped(tmp_path / "a.zip", {"caf\u00e9/1.png": PNG, "tea/2.png": PNG})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset + 1] &= 0xF7
    path.write_bytes(data)
    assert zipfile.ZipFile(path).namelist()[0] != "café/1.png"

    items, _ = found(path)

    assert labels(items)["café/1.png"] == "café"


def test_backslashes_of_windows_are_slashes(tmp_path):
    items, _ = found(zipped(tmp_path / "a.zip", {"cat\\1.png": PNG, "dog\\2.png": PNG}))
    assert labels(items) == {"cat/1.png": "cat", "dog/2.png": "dog"}


def test_what_macos_packs_beside_the_data_is_no_data(tmp_path):
    beside = {"__MACOSX/pets/cat/._1.png": b"x", "pets/.DS_Store": b"x"}
    for path in (
        zipped(tmp_path / "a.zip", PETS | beside),
        tarred(tmp_path / "a.tar", PETS | beside),
    ):
        items, skipped = found(path)
        assert len(items) == 2
        assert set(codes(skipped).values()) == {"system-file"}


def test_of_two_members_of_one_name_the_first_is_read(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", PNG)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("cat/1.png", b"other")
        archive.writestr("dog/2.png", PNG)

    items, skipped = found(path)

    assert items[0].read() == PNG
    assert codes(skipped) == {"cat/1.png": "member-refused"}


def test_a_damaged_member_is_told_when_it_is_read(tmp_path):
    path = zipped(tmp_path / "a.zip", {"cat/1.png": PNG}, packing=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(PNG[20:30], bytes(10), 1))

    (item,), _ = found(path)

    with pytest.raises(VolanoError) as refused:
        item.read()
    assert refused.value.code == "file-unreadable"
    assert "CRC" in refused.value.message


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_an_archive_that_was_not_copied_whole_is_refused(tmp_path, name):
    whole = (
        zipped(tmp_path / name, PETS)
        if name == "a.zip"
        else tarred(tmp_path / name, PETS, "w:gz" if name.endswith("gz") else "w")
    )
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 2 // 3] if name != "a.tar" else data[:700])

    with pytest.raises(ArchiveUnreadable):
        found(whole)


def test_a_compressed_file_that_is_no_tar_is_no_archive(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"just words"))
    assert open_tree(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_its_members_are(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    pack, name = data.draw(st.sampled_from([(zipped, "a.zip"), (tarred, "a.tar")]))
    path = pack(folder / name, PETS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        items, _ = found(path, format="folder")
    except VolanoError:
        return
    for item in items:
        with suppress(FileUnreadable, EmptyFile, FileTooLarge):
            assert item.read()

"""Reading Omniglot's archive: the real one, and archives made to do harm."""

import io
import stat
import subprocess
import sys
import uuid
import zipfile
from collections import Counter

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from volano.data.formats import drawings, omniglot
from volano.data.formats.omniglot import Caps, Found, Skipped
from volano.schemas.common import Name
from volano.schemas.data import ArchiveUnreadable, NewDrawing

GOOD = "START\n10,-20,0\n11,-21.5,8\nBREAK\n30,-40,100\nBREAK\n"


def zipped(
    members: dict[str, str | bytes], kind=stat.S_IFREG, packing=zipfile.ZIP_DEFLATED
) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (kind | 0o644) << 16
            archive.writestr(member, content, packing)
    stream.seek(0)
    return stream


def only(stream: io.BytesIO, caps: Caps | None = None) -> Found | Skipped:
    (found,) = omniglot.read(stream, "test", caps or Caps())
    return found


def test_a_member_becomes_a_drawing():
    found = only(zipped({"set/Early_Aramaic/character07/0123_04.txt": GOOD}))
    assert isinstance(found, Found)
    assert (found.shape, found.drawer) == ("early-aramaic-character07", "early-aramaic-04")
    assert [len(s.points) for s in found.drawing.strokes] == [2, 1]
    point = found.drawing.strokes[0].points[1]
    assert (point.x, point.y, point.timestamp) == (11, 21.5, 8)
    assert (found.drawing.device, found.drawing.canvas.width) == ("import", 105)


def test_ids_are_stable_valid_and_differ_by_source_and_place():
    first = omniglot.drawing_id("a", "x/y.txt")
    assert first != "aa8b4b75-b158-84db-9d2a-d9f5fddc0c4b"  # not a constant
    assert first == omniglot.drawing_id("a", "x/y.txt")
    assert (uuid.UUID(first).version, uuid.UUID(first).variant) == (8, uuid.RFC_4122)
    others = {omniglot.drawing_id(s, p) for s in ("a", "b") for p in ("x/y.txt", "x/z.txt")}
    assert len(others) == 4


def test_the_last_stroke_needs_no_break_and_empty_strokes_vanish():
    text = "START\nBREAK\n1,-1,0\nBREAK\nBREAK\n2,-2,5"
    assert [len(s.points) for s in omniglot.parse(text)] == [1, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "line 1 is not START"),
        ("1,2,3\n", "line 1 is not START"),
        ("START\n", "there are no points"),
        ("START\n1,2\n", "line 2 is not x,y,t"),
        ("START\n1,2,3\n1,2,3,4\n", "line 3 is not x,y,t"),
        ("START\n1,two,3\n", "line 2 is not x,y,t"),
        ("START\n1,nan,3\n", "line 2 is not finite"),
        ("START\n1,2,1e999\n", "line 2 is not finite"),
        (b"START\n\xff\xff", "'ascii' codec can't decode byte 0xff"),
    ],
)
def test_a_faulty_member_is_reported_with_its_line(content, reason):
    found = only(zipped({"set/Greek/character01/01_01.txt": content}))
    assert isinstance(found, Skipped)
    assert found.locator == "set/Greek/character01/01_01.txt"
    assert found.reason.startswith(reason)


def test_one_faulty_member_does_not_hide_the_others():
    stream = zipped(
        {
            "s/Greek/character01/01_01.txt": GOOD,
            "s/Greek/character01/01_02.txt": "nonsense",
            "s/Greek/character01/01_03.txt": GOOD,
        }
    )
    assert [type(found).__name__ for found in omniglot.read(stream, "test")] == [
        "Found",
        "Skipped",
        "Found",
    ]


@pytest.mark.parametrize(
    "name", ["readme.txt", "../../etc/passwd", "a/b/c/d/character01/01_01.txt", "s/Greek/01_01.txt"]
)
def test_a_stranger_in_the_archive_is_reported(name):
    found = only(zipped({name: GOOD}))
    assert (name, "not <Alphabet>/characterNN/NNNN_DD.txt") == (found.locator, found.reason)


def test_folders_and_litter_are_passed_over():
    stream = zipped({"s/": "", "s/.DS_Store": "x", "__MACOSX/s/._.DS_Store": "x"})
    assert list(omniglot.read(stream, "test")) == []


MEMBER = "s/Greek/character01/01_01.txt"


def test_a_link_is_not_followed():
    assert only(zipped({MEMBER: "/etc/passwd"}, kind=stat.S_IFLNK)).reason == "not a regular file"


def test_a_bomb_is_not_unpacked():
    bomb = zipped({MEMBER: "START\n" + "0,0,0\n" * 150_000})
    assert only(bomb, Caps(ratio=50)).reason == "packed more than 50 times"


def test_a_large_member_is_not_unpacked():
    assert only(zipped({MEMBER: GOOD}), Caps(member_bytes=10)).reason.endswith("more than 10")


def test_an_unusual_packing_is_not_unpacked():
    packed = zipped({MEMBER: GOOD}, packing=zipfile.ZIP_LZMA)
    assert only(packed).reason == "encrypted, or packed in an unusual way"


@pytest.mark.parametrize("caps", [Caps(members=1), Caps(total_bytes=50)])
def test_an_archive_above_the_caps_is_refused_as_a_whole(caps):
    two = zipped({MEMBER: GOOD, "s/Greek/character01/01_02.txt": GOOD})
    with pytest.raises(ArchiveUnreadable):
        list(omniglot.read(two, "test", caps))


def test_what_is_no_zip_archive_is_refused():
    with pytest.raises(ArchiveUnreadable):
        list(omniglot.read(io.BytesIO(b"PK, but not a zip"), "test"))


@given(st.data())
def test_a_damaged_archive_is_refused_or_reported(data):
    content = bytearray(zipped({MEMBER: GOOD}).getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = list(omniglot.read(io.BytesIO(bytes(content)), "test"))
    except ArchiveUnreadable:
        return
    assert all(isinstance(one, Found | Skipped) for one in found)


@given(st.text(max_size=200) | st.text("START\nBREAK,.-0123456789", max_size=200))
def test_any_text_is_parsed_or_refused_with_a_reason(text):
    try:
        strokes = omniglot.parse("START\n" + text)
    except ValueError as refusal:
        event(str(refusal).split()[0])
        return
    assert all(stroke.points for stroke in strokes)


def test_reading_needs_no_numpy():
    check = "import sys, volano.data.formats.omniglot; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_real_archive_is_read_whole(shared_data):
    path = shared_data("strokes-omniglot-small1") / "strokes_background_small1.zip"
    with path.open("rb") as archive:
        found = list(omniglot.read(archive, "omniglot"))
    assert all(isinstance(one, Found) for one in found)
    assert (len(found), len({one.drawing.id for one in found})) == (2720, 2720)
    assert (len({one.shape for one in found}), len({one.drawer for one in found})) == (136, 100)
    for one in found:
        msgspec.convert(one.shape, Name)
        msgspec.convert(one.drawer, Name)
    encoded = [drawings.encode(one.drawing) for one in found]
    assert (sum(e.strokes for e in encoded), sum(e.points for e in encoded)) == (6170, 375_709)
    assert Counter({"off-canvas": 21, "time-normalised": 7}) == Counter(
        flag for e in encoded for flag in e.flags
    )
    assert sum(len(e.payload) for e in encoded) / len(encoded) < 440
    wire = msgspec.json.encode(found[0].drawing)
    assert found[0].drawing == msgspec.json.decode(wire, type=NewDrawing)

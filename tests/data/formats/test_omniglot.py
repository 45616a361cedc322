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
from volano.schemas.drawings import ArchiveUnreadable, ImportedDrawing, NewDrawing

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


MEMBER = "s/Greek/character01/01_01.txt"


@pytest.mark.parametrize(
    "name",
    [
        "readme.txt",
        "README.md",
        "s/Greek/Thumbs.db",
        "../../etc/passwd",
        "s/Greek/01_01.txt",
        "s/Greek/character01/01_01.txt/x",
        "s/.DS_Store",
        f".git/{MEMBER}",
        "s/Greek/character01/.01_01.txt",
        "__MACOSX/s/Greek/character01/._01_01.txt",
        f"__MACOSX/{MEMBER}",
        "",
    ],
)
def test_a_file_that_is_no_drawing_is_reported_as_foreign_and_not_counted(name):
    stream = zipped({name: "x", MEMBER: GOOD})
    foreign, drawing = omniglot.read(stream, "test")
    assert foreign.locator == name
    assert foreign.reason == "not <Alphabet>/characterNN/NNNN_DD.txt"
    assert foreign.foreign
    assert isinstance(drawing, Found)
    assert omniglot.count(stream) == 1


def test_a_drawing_that_cannot_be_read_is_counted_and_not_foreign():
    stream = zipped({MEMBER: "nonsense"})
    assert not only(stream).foreign
    assert omniglot.count(stream) == 1


def test_folders_are_passed_over():
    stream = zipped({"s/": "", "s/Greek/": "", "/": "", MEMBER: GOOD})
    assert isinstance(only(stream), Found)
    assert omniglot.count(stream) == 1


@pytest.mark.parametrize("members", [{}, {"s/": ""}, {"a.jpg": "x", "b/c.jpg": "x"}])
def test_an_archive_without_a_drawing_is_refused_with_the_layout_that_it_lacks(members):
    with pytest.raises(ArchiveUnreadable) as refused:
        list(omniglot.read(zipped(members), "test"))
    files = sum(not name.endswith("/") for name in members)
    reason = f"none of its {files} files is <Alphabet>/characterNN/NNNN_DD.txt"
    assert refused.value.facts["reason"] == reason


@pytest.mark.parametrize("folders", ["", "s/", "a/b/c/", "./", "/", "Downloads/a set (1)/"])
def test_the_folders_before_the_layout_are_of_no_account(folders):
    found = only(zipped({f"{folders}Greek/character01/01_02.txt": GOOD}))
    assert found.shape == "greek-character01"
    assert found.drawer == "greek-02"


def test_foreign_files_count_nothing_towards_the_size_of_the_drawings():
    stream = zipped({"video.mp4": b"x" * 5000, MEMBER: GOOD})
    _, drawing = omniglot.read(stream, "test", Caps(total_bytes=1000))
    assert isinstance(drawing, Found)


def names_of(*alphabets: str) -> list[str]:
    """The starts of the names that these alphabets get, in one archive."""
    stream = zipped({f"s/{name}/character01/01_07.txt": GOOD for name in alphabets})
    found = list(omniglot.read(stream, "test"))
    assert [one.shape.removesuffix("-character01") for one in found] == [
        one.drawer.removesuffix("-07") for one in found
    ]
    for one in found:
        msgspec.convert(one.shape, Name)
        msgspec.to_builtins(ImportedDrawing(contributor=one.drawer, drawing=one.drawing))
        assert len(one.drawer) <= 64
    return [one.drawer.removesuffix("-07") for one in found]


def test_alphabets_of_omniglot_keep_their_plain_names():
    assert names_of("Early_Aramaic", "Japanese_(hiragana)", "Japanese_(katakana)", "ULOG") == [
        "early-aramaic",
        "japanese-hiragana",
        "japanese-katakana",
        "ulog",
    ]


def test_two_alphabets_never_have_one_name():
    alphabets = ["Kana", "kana", "KANA", "Kana_あ", "Kana_い", "Kana_", "Kana-", "あ", "い", "2"]
    alphabets += ["Ka_na", "Ka-na", "Ka__Na", "Ka_Na", "Ge_ez", "Ge_Ez", "ULOG", "Ulog"]
    alphabets += ["Japanese_(hiragana)", "Japanese_Hiragana"]
    alphabets += ["A" * 61, "A" * 60 + "B", "Kana_" + "あ" * 30]
    names = names_of(*alphabets)
    assert len(set(names)) == len(alphabets)
    assert names[0] == "kana"
    assert names[3].startswith("kana.")


@given(st.lists(st.text("Kka_-.0あい(", min_size=1, max_size=12), min_size=2, unique=True))
def test_the_name_of_an_alphabet_tells_it_from_every_other(alphabets):
    names = {omniglot._name_of(alphabet) for alphabet in alphabets}
    assert len(names) == len(alphabets)


def test_an_accent_written_apart_is_the_same_accent():
    assert omniglot._name_of("Kan\u00e9") == omniglot._name_of("Kane\u0301")


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


def test_an_archive_that_just_keeps_to_the_caps_is_read():
    two = {MEMBER: GOOD, "s/Greek/character01/01_02.txt": GOOD}
    caps = Caps(members=2, member_bytes=len(GOOD), total_bytes=2 * len(GOOD), ratio=1)
    found = list(omniglot.read(zipped(two, packing=zipfile.ZIP_STORED), "test", caps))
    assert [type(one) for one in found] == [Found, Found]


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
        assert omniglot.count(archive) == 2720
        members = list(omniglot.read(archive, "omniglot"))
    found = [one for one in members if isinstance(one, Found)]
    assert [one.locator.rpartition("/")[2] for one in members if isinstance(one, Skipped)] == [
        ".DS_Store",
        "._.DS_Store",
        ".DS_Store",
        "._.DS_Store",
    ]
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

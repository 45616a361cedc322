"""Reading Omniglot's archive: the real one, and what is found in and beside others."""

import subprocess
import sys
import uuid
from collections import Counter

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.data.formats.trees import codes, folder, found, zipped
from volano.data.formats import drawings, omniglot
from volano.data.formats.items import Item, drawing_id
from volano.schemas.common import Name
from volano.schemas.drawings import NewDrawing
from volano.schemas.imports import ImportUnreadable

GOOD = "START\n10,-20,0\n11,-21.5,8\nBREAK\n30,-40,100\nBREAK\n"


@pytest.fixture
def read(tmp_path):
    """Pack members and read the archive."""

    def read_members(members: dict[str, str | bytes], **packing):
        return found(zipped(tmp_path / "a.zip", members, **packing), format="omniglot")

    return read_members


@pytest.fixture
def only(read):
    """Pack members, read the archive and return the one drawing in it."""

    def read_one(members: dict[str, str | bytes], **packing) -> Item:
        (item,), _ = read(members, **packing)
        return item

    return read_one


def test_a_member_becomes_a_drawing(only):
    item = only({"set/Early_Aramaic/character07/0123_04.txt": GOOD})
    assert item.label == "early-aramaic-character07"
    assert item.contributor == item.drawing.contributor == "early-aramaic-04"
    drawing = item.drawing.drawing
    assert drawing.shape == item.label
    assert [len(s.points) for s in drawing.strokes] == [2, 1]
    point = drawing.strokes[0].points[1]
    assert (point.x, point.y, point.timestamp) == (11, 21.5, 8)
    assert drawing.device == "import"
    assert drawing.canvas.width == 105


def test_ids_are_stable_valid_and_differ_by_source_and_place():
    first = drawing_id("a", "x/y.txt")
    assert first != "aa8b4b75-b158-84db-9d2a-d9f5fddc0c4b"  # not a constant
    assert first == drawing_id("a", "x/y.txt")
    assert (uuid.UUID(first).version, uuid.UUID(first).variant) == (8, uuid.RFC_4122)
    others = {drawing_id(s, p) for s in ("a", "b") for p in ("x/y.txt", "x/z.txt")}
    assert len(others) == 4


def test_the_last_stroke_needs_no_break_and_empty_strokes_vanish():
    text = "START\nBREAK\n1,-1,0\nBREAK\nBREAK\n2,-2,5"
    assert [len(s.points) for s in omniglot.parse(text)] == [1, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is empty"),
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
def test_a_faulty_member_is_reported_with_its_line(read, content, reason):
    items, (skipped,) = read({MEMBER: content})
    assert items == []
    assert skipped.locator == MEMBER
    assert skipped.loss == "item"
    if content:
        assert skipped.error.facts["reason"].startswith(reason)
    else:
        assert skipped.error.code == "empty-file"


def test_one_faulty_member_does_not_hide_the_others(read):
    items, skipped = read(
        {
            "s/Greek/character01/01_01.txt": GOOD,
            "s/Greek/character01/01_02.txt": "nonsense",
            "s/Greek/character01/01_03.txt": GOOD,
        }
    )
    assert [item.locator[-9:] for item in items] == ["01_01.txt", "01_03.txt"]
    assert codes(skipped) == {"s/Greek/character01/01_02.txt": "file-unreadable"}


MEMBER = "s/Greek/character01/01_01.txt"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("readme.txt", "file-not-read"),
        ("README.md", "file-not-read"),
        ("s/Greek/01_01.txt", "file-not-read"),
        ("s/Greek/character01/01_01.txt/x", "file-not-read"),
        ("s/Greek/Thumbs.db", "system-file"),
        ("s/.DS_Store", "system-file"),
        (f".git/{MEMBER}", "system-file"),
        ("s/Greek/character01/.01_01.txt", "hidden-file"),
        ("__MACOSX/s/Greek/character01/._01_01.txt", "system-file"),
        (f"__MACOSX/{MEMBER}", "system-file"),
    ],
)
def test_a_file_that_is_no_drawing_is_reported_and_nothing_is_missing(read, name, code):
    items, (skipped,) = read({name: "x", MEMBER: GOOD})
    assert len(items) == 1
    assert skipped.locator == name
    assert skipped.error.code == code
    assert skipped.loss == "none"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../b.txt", "C:/x.txt", "..\\x.txt", ""])
def test_a_path_that_leads_out_is_refused(read, name):
    items, (skipped,) = read({name: "x", MEMBER: GOOD})
    assert len(items) == 1
    assert skipped.error.code == "path-refused"


def test_folders_are_passed_over(read):
    items, skipped = read({"s/": "", "s/Greek/": "", "/": "", MEMBER: GOOD})
    assert len(items) == 1
    assert skipped == []


@pytest.mark.parametrize("members", [{}, {"s/": ""}, {"a.jpg": "x", "b/c.jpg": "x"}])
def test_an_archive_without_a_drawing_is_refused_with_the_layout_that_it_lacks(read, members):
    with pytest.raises(ImportUnreadable) as refused:
        read(members)
    files = sum(not name.endswith("/") for name in members)
    reason = f"none of its {files} files is <Alphabet>/characterNN/NNNN_DD.txt"
    assert refused.value.facts["reason"] == reason


@pytest.mark.parametrize("folders", ["", "s/", "a/b/c/", "./", "/", "Downloads/a set (1)/"])
def test_the_folders_before_the_layout_are_of_no_account(only, folders):
    item = only({f"{folders}Greek/character01/01_02.txt": GOOD})
    assert item.label == "greek-character01"
    assert item.contributor == "greek-02"


def test_an_unpacked_archive_gives_the_same_drawings(tmp_path):
    members = {MEMBER: GOOD, "s/Greek/character02/01_02.txt": GOOD}
    packed, _ = found(zipped(tmp_path / "a.zip", members), origin="omniglot")
    unpacked, _ = found(folder(tmp_path / "a", members), origin="omniglot")
    assert [item.drawing for item in packed] == [item.drawing for item in unpacked]


@pytest.fixture
def names_of(read):
    """Return the starts of the names that alphabets get in one archive."""

    def names(*alphabets: str) -> list[str]:
        items, _ = read({f"s/{name}/character01/01_07.txt": GOOD for name in alphabets})
        given = [item.contributor.removesuffix("-07") for item in items]
        assert [item.label.removesuffix("-character01") for item in items] == given
        for item in items:
            msgspec.convert(item.label, Name)
            assert len(item.contributor) <= 64
        return given

    return names


def test_alphabets_of_omniglot_keep_their_plain_names(names_of):
    assert names_of("Early_Aramaic", "Japanese_(hiragana)", "Japanese_(katakana)", "ULOG") == [
        "early-aramaic",
        "japanese-hiragana",
        "japanese-katakana",
        "ulog",
    ]


def test_two_alphabets_never_have_one_name(names_of):
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
    items, skipped = found(shared_data("strokes-omniglot-small1") / "strokes_background_small1.zip")
    assert [one.locator.rpartition("/")[2] for one in skipped] == [
        ".DS_Store",
        "._.DS_Store",
        ".DS_Store",
        "._.DS_Store",
    ]
    made = [item.drawing.drawing for item in items]
    assert len({one.id for one in made}) == len(items) == 2720
    assert len({item.label for item in items}) == 136
    assert len({item.contributor for item in items}) == 100
    for item in items:
        msgspec.convert(item.label, Name)
        msgspec.convert(item.contributor, Name)
    encoded = [drawings.encode(one) for one in made]
    assert sum(e.strokes for e in encoded) == 6170
    assert sum(e.points for e in encoded) == 375_709
    assert Counter(flag for e in encoded for flag in e.flags) == {
        "off-canvas": 21,
        "time-normalised": 7,
    }
    assert sum(len(e.payload) for e in encoded) / len(encoded) < 440
    assert msgspec.json.decode(msgspec.json.encode(made[0]), type=NewDrawing) == made[0]

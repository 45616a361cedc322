"""Folders that are called like their class: labels, splits, and what is no picture of any."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.formats.trees import codes, folder, found, labels, picture, splits, zipped
from volano.data.formats.items import item_id
from volano.schemas.imports import NothingToImport

PNG = picture()


def some(root: Path, *paths: str) -> Path:
    """Put a picture at each path."""
    return folder(root, dict.fromkeys(paths, PNG))


def test_folders_are_the_labels_of_the_pictures_in_them(tmp_path):
    items, skipped = found(some(tmp_path / "pets", "cat/1.png", "cat/2.png", "dog/3.png"))

    assert labels(items) == {"cat/1.png": "cat", "cat/2.png": "cat", "dog/3.png": "dog"}
    assert items[0].read() == PNG
    assert items[0].media_type == "image/png"
    assert skipped == []


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("TRAIN", "train"),
        ("val", "valid"),
        ("valid", "valid"),
        ("Validation", "valid"),
        ("dev", "valid"),
        ("test", "test"),
        ("Test", "test"),
        ("train2017", "train"),
    ],
)
def test_folders_of_splits_are_read_under_any_usual_name(tmp_path, name, split):
    items, _ = found(some(tmp_path / "pets", f"{name}/cat/1.png", f"{name}/dog/2.png"))

    assert splits(items) == {f"{name}/cat/1.png": split, f"{name}/dog/2.png": split}
    assert set(labels(items).values()) == {"cat", "dog"}


def test_splits_may_stand_inside_of_each_class(tmp_path):
    items, _ = found(
        some(tmp_path / "pets", "cat/train/1.png", "cat/test/2.png", "dog/train/3.png")
    )

    assert labels(items) == {
        "cat/test/2.png": "cat",
        "cat/train/1.png": "cat",
        "dog/train/3.png": "dog",
    }
    assert splits(items)["cat/test/2.png"] == "test"


def test_a_class_called_like_a_split_stays_a_class_beside_others(tmp_path):
    items, _ = found(some(tmp_path / "vehicles", "train/1.png", "bus/2.png", "car/3.png"))

    assert labels(items)["train/1.png"] == "train"
    assert set(splits(items).values()) == {""}


@pytest.mark.parametrize("around", ["pets/", "a/b/c/", "dataset/images/"])
def test_folders_around_everything_are_passed_through(tmp_path, around):
    items, _ = found(some(tmp_path / "x", f"{around}cat/1.png", f"{around}dog/2.png"))

    assert sorted(labels(items).values()) == ["cat", "dog"]


def test_a_folder_of_everything_inside_of_the_splits_is_no_class(tmp_path):
    items, _ = found(some(tmp_path / "x", "train/images/cat/1.png", "val/images/dog/2.png"))

    assert labels(items) == {"train/images/cat/1.png": "cat", "val/images/dog/2.png": "dog"}


def test_one_folder_with_pictures_is_one_class_unless_it_is_called_images(tmp_path):
    (one,), _ = found(some(tmp_path / "a", "cat/1.png"))
    (other,), _ = found(some(tmp_path / "b", "images/1.png"))

    assert one.label == "cat"
    assert other.label == ""


def test_pictures_in_no_folder_have_no_label(tmp_path):
    items, _ = found(some(tmp_path / "flat", "1.png", "2.png"))
    assert labels(items) == {"1.png": "", "2.png": ""}


NESTED = ("fruit/apple/1.png", "fruit/pear/2.png", "nuts/almond/3.png")


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("auto", ["apple", "pear", "almond"]),
        ("leaf", ["apple", "pear", "almond"]),
        ("top", ["fruit", "fruit", "nuts"]),
        ("path", ["fruit/apple", "fruit/pear", "nuts/almond"]),
        ("none", ["", "", ""]),
    ],
)
def test_nested_folders_are_labelled_as_asked(tmp_path, which, expected):
    items, _ = found(some(tmp_path / "shop", *NESTED), labels=which)
    assert [item.label for item in items] == expected


def test_sessions_inside_of_classes_are_no_classes(tmp_path):
    items, _ = found(some(tmp_path / "x", "cat/monday/1.png", "dog/monday/2.png"))
    assert sorted(labels(items).values()) == ["cat", "dog"]


def test_deeper_folders_of_a_class_belong_to_it_as_for_torchvision(tmp_path):
    items, _ = found(some(tmp_path / "x", "cat/1.png", "cat/more/2.png", "dog/3.png"))
    assert labels(items)["cat/more/2.png"] == "cat"


def test_nothing_is_skipped_silently(tmp_path):
    root = some(tmp_path / "pets", "cat/1.png", "cat/2.PNG", "dog/3.JPEG")
    folder(
        root,
        {
            "README.md": "about",
            "cat/empty.jpg": b"",
            "cat/phone.heic": "x",
            "cat/.hidden.png": PNG,
            "cat/.ipynb_checkpoints/1-checkpoint.png": PNG,
            "Thumbs.db": "x",
            "dog/.DS_Store": "x",
            "__MACOSX/cat/._1.png": "x",
            "dog/._3.jpeg": "x",
        },
    )

    items, skipped = found(root)

    assert len(items) == 3
    assert codes(skipped) == {
        "README.md": "file-not-read",
        "cat/empty.jpg": "empty-file",
        "cat/phone.heic": "unsupported-file",
        "cat/.hidden.png": "hidden-file",
        "cat/.ipynb_checkpoints": "system-file",
        "Thumbs.db": "system-file",
        "dog/.DS_Store": "system-file",
        "__MACOSX": "system-file",
        "dog/._3.jpeg": "system-file",
    }
    lost = {one.locator for one in skipped if one.loss == "item"}
    assert lost == {"cat/empty.jpg", "cat/phone.heic"}
    assert all(one.error.advice for one in skipped)


def test_a_picture_without_an_extension_is_told_by_how_it_begins(tmp_path):
    root = folder(tmp_path / "x", {"cat/a1b2": PNG, "dog/c3d4": PNG, "dog/notes": "just words"})

    items, skipped = found(root)

    assert [item.media_type for item in items] == ["image/png", "image/png"]
    assert codes(skipped) == {"dog/notes": "file-not-read"}


def test_texts_and_sounds_are_imported_where_most_files_are_some(tmp_path):
    texts, _ = found(folder(tmp_path / "reviews", {"good/1.txt": "fine", "bad/2.txt": "awful"}))
    sounds, _ = found(folder(tmp_path / "birds", {"owl/1.wav": b"RIFF", "owl/notes.txt": "x",
                                                  "lark/2.wav": b"RIFF"}))  # fmt: skip

    assert {item.kind for item in texts} == {"text"}
    assert {item.media_type for item in sounds} == {"audio/wav"}


def test_a_label_that_cannot_be_one_costs_its_pictures_only(tmp_path):
    items, (skipped,) = found(some(tmp_path / "x", "cat/1.png", "two\nlines/2.png"))

    assert labels(items) == {"cat/1.png": "cat"}
    assert skipped.error.code == "label-refused"


def test_a_link_to_a_folder_is_followed_and_a_circle_of_links_ends(tmp_path):
    root = some(tmp_path / "pets", "cat/1.png")
    elsewhere = some(tmp_path / "elsewhere", "2.png")
    (root / "dog").symlink_to(elsewhere)
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "gone.png").symlink_to(tmp_path / "nowhere")

    items, skipped = found(root)

    assert labels(items) == {"cat/1.png": "cat", "dog/2.png": "dog"}
    assert codes(skipped) == {"cat/gone.png": "file-unreadable", "cat/up": "file-not-read"}


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    root = some(tmp_path / "pets", "cat/1.png")
    os.mkfifo(root / "cat" / "pipe.png")

    items, skipped = found(root)

    assert len(items) == 1
    assert codes(skipped) == {"cat/pipe.png": "member-refused"}


@pytest.mark.parametrize("members", [{}, {".hidden/1.png": PNG}, {"a.xyz": "?", "b.md": "!"}])
def test_a_folder_with_nothing_to_import_says_what_it_found(tmp_path, members):
    with pytest.raises(NothingToImport) as refused:
        found(folder(tmp_path / "empty", members))
    assert "empty" in refused.value.message


def test_a_name_that_is_no_utf8_is_read_and_shown(tmp_path):
    root = some(tmp_path / "x", "cat/1.png")
    os.rename(os.fsencode(root / "cat" / "1.png"), os.fsencode(root / "cat") + b"/\xff\xfe.png")

    (item,), _ = found(root)

    assert item.locator == "cat/\\xff\\xfe.png"
    assert item.read() == PNG


NAMES = st.text(
    st.characters(blacklist_characters="/\\\0", blacklist_categories=("Cs",)),
    min_size=1,
    max_size=60,
).filter(lambda name: name.strip(". ") and not name.startswith((".", " ")) and name[-1] not in "~ ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
def test_any_name_of_a_folder_and_a_file_is_read_or_refused_by_a_code(tmp_path_factory, name):
    root = tmp_path_factory.mktemp("names")
    try:
        some(root, f"{name}/{name}.png", "other/1.png")
    except OSError:  # more bytes than a name may have here
        return

    items, skipped = found(root)

    assert len(items) + len(skipped) == 2
    by_label = {item.label for item in items}
    if len(items) == 2:
        assert unicodedata.normalize("NFC", name).strip() in by_label
    else:
        assert set(codes(skipped).values()) <= {"label-refused", "system-file"}


def test_a_name_of_255_bytes_is_read(tmp_path):
    name = "é" * 125 + ".png"
    (item,), _ = found(some(tmp_path / "x", f"cat/{name}"))
    assert item.read() == PNG


def test_accents_written_apart_make_no_second_class_and_no_second_record(tmp_path):
    whole, apart = "café", unicodedata.normalize("NFD", "café")
    one, _ = found(zipped(tmp_path / "mac.zip", {f"{apart}/1.png": PNG, "tea/2.png": PNG}))
    other, _ = found(some(tmp_path / "linux", f"{whole}/1.png", "tea/2.png"))

    assert sorted(labels(one).values()) == sorted(labels(other).values()) == ["café", "tea"]
    ids = [{item_id("d", item.locator, "0" * 64) for item in items} for items in (one, other)]
    assert ids[0] == ids[1]


def test_the_real_folder_of_imagenet_layout_is_read(shared_data):
    items, _ = found(shared_data("formats") / "datumaro" / "imagenet_dataset")
    assert labels(items) == {
        "label_0/label_0_1.jpg": "label_0",
        "label_0_2.jpg": "",
        "label_1/label_1_1.jpg": "label_1",
        "label_1/label_1_1/label_1_1.jpg": "label_1",
    }

"""YOLO as Ultralytics, Roboflow, Label Studio, Darknet and Datumaro write it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.formats.trees import codes, folder, found, picture, splits, zipped
from volano.data.formats import yolo_names

PNG = picture(20, 10)
BOX = "0 0.5 0.5 0.2 0.4\n"  # in px: 8, 3, 12, 7


def boxes_of(item) -> list[tuple[str, list[float]]]:
    return [(one["label"], one["box"]) for one in item.attributes["boxes"]]


@pytest.mark.parametrize(
    ("members", "split"),
    [
        ({"images/train/1.png": PNG, "labels/train/1.txt": BOX, "a.yaml": "names: [cat]"}, "train"),
        ({"train/images/1.png": PNG, "train/labels/1.txt": BOX,
          "a.yml": "names: ['cat']"}, "train"),
        ({"val/images/1.png": PNG, "val/labels/1.txt": BOX, "a.yml": "names:\n 0: cat\n"}, "valid"),
        ({"images/1.png": PNG, "labels/1.txt": BOX, "classes.txt": "cat\r\ndog\r\n"}, ""),
        ({"obj_train_data/1.png": PNG, "obj_train_data/1.txt": BOX, "obj.names": "cat\n",
          "train.txt": "data/obj_train_data/1.png\n"}, "train"),
        ({"Images/1.png": PNG, "Annotations/1.txt": BOX, "obj.names": "cat\n"}, ""),
        ({"1.png": PNG, "1.txt": BOX, "classes.txt": "cat\n"}, ""),
        ({"images/1.png": PNG, "labels/1.txt": BOX,
          "notes.json": '{"categories": [{"id": 0, "name": "cat"}]}'}, ""),
    ],
)  # fmt: skip
def test_layouts_of_other_tools_are_read(tmp_path, members, split):
    (item,), skipped = found(folder(tmp_path / "x", members))

    assert boxes_of(item) == [("cat", [8.0, 3.0, 12.0, 7.0])]
    assert item.split == split
    assert skipped == []


def test_equal_names_in_train_and_val_keep_their_own_boxes(tmp_path):
    members = {
        "images/train/1.png": PNG,
        "images/val/1.png": PNG,
        "labels/train/1.txt": BOX,
        "labels/val/1.txt": "1 0.5 0.5 1 1",
        "data.yaml": "names: [cat, dog]",
    }
    items, _ = found(folder(tmp_path / "x", members))
    assert splits(items) == {"images/train/1.png": "train", "images/val/1.png": "valid"}
    assert [boxes_of(item)[0][0] for item in items] == ["cat", "dog"]


def test_an_empty_text_says_that_there_is_nothing_and_a_missing_one_says_nothing(tmp_path):
    members = {"images/1.png": PNG, "images/2.png": PNG, "images/3.png": PNG,
               "labels/1.txt": BOX, "labels/2.txt": b""}  # fmt: skip
    items, skipped = found(folder(tmp_path / "x", members))
    assert [item.attributes.get("boxes") for item in items[1:]] == [[], None]
    assert codes(skipped) == {"images/3.png": "nothing-known"}


def test_lines_are_read_with_any_ends_and_polygons_as_the_boxes_around_them(tmp_path):
    lines = "0 0.5 0.5 0.2 0.4\r\n1.0 0.1 0.2 0.3 0.2 0.3 0.6\n0 0.5 0.5 1 1 0.87\n\n"
    members = {"images/1.png": PNG, "labels/1.txt": lines, "classes.txt": "cat\ndog\n"}
    (item,), skipped = found(folder(tmp_path / "x", members))
    assert boxes_of(item) == [
        ("cat", [8.0, 3.0, 12.0, 7.0]),
        ("dog", [2.0, 2.0, 6.0, 6.0]),
        ("cat", [0.0, 0.0, 20.0, 10.0]),
    ]
    assert skipped == []


def test_bad_lines_are_told_one_by_one_and_the_others_are_kept(tmp_path):
    lines = BOX + "0 120 40 20 20\ncat 0.5 0.5 0.1 0.1\n0 0.5 0.5\n7 0.5 0.5 0.1 0.1\n" \
        "0 nan 0.5 0.1 0.1\n0 0.5 0.5 0 0\n-1 0.5 0.5 0.1 0.1\n0 0.98 0.5 0.05 0.2\n"  # fmt: skip
    members = {"images/1.png": PNG, "labels/1.txt": lines, "classes.txt": "cat\n"}

    (item,), skipped = found(folder(tmp_path / "x", members))

    assert [box for _, box in boxes_of(item)] == [[8.0, 3.0, 12.0, 7.0], [19.1, 4.0, 20.0, 6.0]]
    assert Counter(one.error.code for one in skipped) == {
        "box-refused": 3,
        "line-malformed": 3,
        "class-unknown": 1,
    }
    assert (
        "labels/1.txt" in next(s for s in skipped if s.error.code == "class-unknown").error.message
    )


def test_without_names_the_numbers_are_the_labels_and_names_can_be_given(tmp_path):
    root = folder(tmp_path / "x", {"images/1.png": PNG, "labels/1.txt": BOX})
    (bare,), _ = found(root)
    (named,), _ = found(root, names=("cat",))
    assert boxes_of(bare)[0][0] == "0"
    assert boxes_of(named)[0][0] == "cat"


def test_boxes_of_a_picture_that_is_missing_or_no_picture_are_told(tmp_path):
    members = {"images/1.png": b"<html>", "labels/1.txt": BOX, "labels/2.txt": BOX,
               "classes.txt": "cat\n"}  # fmt: skip
    (item,), skipped = found(folder(tmp_path / "x", members))
    assert item.attributes == {}
    assert codes(skipped) == {
        "images/1.png": "nothing-known",
        "labels/2.txt": "listed-file-missing",
    }


def test_yolo_in_an_archive_is_read(tmp_path):
    members = {
        "x/train/images/1.png": PNG,
        "x/train/labels/1.txt": BOX,
        "x/data.yaml": "names: [a]",
    }
    (item,), _ = found(zipped(tmp_path / "a.zip", members))
    assert boxes_of(item)[0][0] == "a"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [cat, dog]", ["cat", "dog"]),
        ("nc: 2\nnames: ['traffic light', \"it's\", 'it''s']  # three\n",
         ["traffic light", "it's", "it's"]),
        ("names:\n- cat\n- 'dog'  # the second\n\ntrain: x\n", ["cat", "dog"]),
        ("path: ../x\nnames:\n  0: cat\n  1: red light\n  3: bird\nval: y",
         ["cat", "red light", "2", "bird"]),
        ("names: {0: cat, 1: 'a, b'}", ["cat", "a, b"]),
        ("names: [cat,\n  dog,\n  bird]\nnc: 3", ["cat", "dog", "bird"]),
        ("train: x\nval: y\n", []),
        ("names: [cat", []),
        ("names:\n  999999999: x\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_names_are_read_in_every_way_that_tools_write_them(text, names):
    assert yolo_names.of_yaml(text) == names


@given(
    st.text(max_size=200) | st.text("names:[]{}-'\"#0123 \n,a", max_size=100).map("names:{}".format)
)
def test_any_text_as_names_is_read_or_is_none(text):
    assert all(isinstance(name, str) for name in yolo_names.of_yaml(text))


@pytest.mark.parametrize(("name", "count"), [("annotations", 2), ("labels", 4), ("strict", 2)])
def test_real_files_of_datumaro_are_read(shared_data, name, count):
    items, skipped = found(shared_data("formats") / "datumaro" / "yolo_dataset" / name)
    assert sum(len(item.attributes["boxes"]) for item in items) == count
    assert boxes_of(items[0])[0] == ("label_2", [0.0, 2.0, 4.0, 4.0])
    assert all(one.loss == "none" for one in skipped)


def test_real_files_of_label_studio_are_read(shared_data):
    items, skipped = found(shared_data("formats") / "label-studio" / "test_import_yolo_data")
    assert len(items) == 7
    assert Counter(label for item in items for label, _ in boxes_of(item)) == {
        "closed_door": 10,
        "opened_door": 1,
        "bus": 8,
        "number": 6,
    }
    assert skipped == []

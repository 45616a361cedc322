"""Pascal VOC as LabelImg, Roboflow, Datumaro and the challenge itself write it."""

from collections import Counter

import pytest

from tests.data.formats.trees import codes, folder, found, picture, splits

PNG = picture(20, 10)


def xml(*boxes: tuple[str, object, object, object, object], filename: str = "1.png") -> str:
    things = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in boxes
    )
    return f"<annotation><filename>{filename}</filename>{things}</annotation>"


def boxes_of(item) -> list[tuple[str, list[float]]]:
    return [(one["label"], one["box"]) for one in item.attributes["boxes"]]


def test_corners_count_from_one_and_are_inside_of_the_box(tmp_path):
    members = {"Annotations/1.xml": xml(("cat", 1, 2, 3, 4)), "JPEGImages/1.png": PNG}
    (item,), skipped = found(folder(tmp_path / "x", members))
    assert boxes_of(item) == [("cat", [0.0, 1.0, 3.0, 4.0])]
    assert skipped == []


def test_lists_of_main_tell_the_splits_and_those_of_classes_do_not(tmp_path):
    members = {
        **{f"Annotations/{n}.xml": xml() for n in (1, 2, 3)},
        **{f"JPEGImages/{n}.png": PNG for n in (1, 2, 3)},
        "ImageSets/Main/train.txt": "\n# a comment\n1\r\n",
        "ImageSets/Main/val.txt": "2  1\n",
        "ImageSets/Main/trainval.txt": "1\n2\n3\n",
        "ImageSets/Main/cat_test.txt": "3 1\n",
        "ImageSets/Main/test.txt": b"",
    }
    items, skipped = found(folder(tmp_path / "x", members))
    assert list(splits(items).values()) == ["train", "valid", ""]
    assert skipped == []


def test_folders_tell_the_splits_where_there_are_no_lists(tmp_path):
    members = {"train/1.xml": xml(), "train/1.png": PNG, "valid/1.xml": xml(), "valid/1.png": PNG}
    items, _ = found(folder(tmp_path / "x", members))
    assert splits(items) == {"train/1.png": "train", "valid/1.png": "valid"}


def test_the_name_of_the_file_counts_more_than_what_is_written_inside(tmp_path):
    members = {
        "a/7.xml": xml(("cat", 1, 1, 5, 5), filename="C:\\Users\\me\\img.jpg"),
        "a/8.xml": xml(("dog", 1, 1, 5, 5), filename="img"),
        "a/7.png": PNG,
        "a/8.png": PNG,
    }
    items, _ = found(folder(tmp_path / "x", members))
    assert [boxes_of(item)[0][0] for item in items] == ["cat", "dog"]


def test_the_name_inside_is_used_where_no_picture_is_called_like_the_file(tmp_path):
    members = {"a/one.xml": xml(filename="1.png"), "b/1.png": PNG}
    (item,), _ = found(folder(tmp_path / "x", members))
    assert item.locator == "b/1.png"


def test_bad_boxes_are_told_one_by_one_and_the_others_are_kept(tmp_path):
    text = xml(
        ("a", 5, 5, 5, 5), ("b", 9, 1, 3, 4), ("c", "nan", 1, 3, 4), ("d", "", 1, 3, 4),
        ("e", 1.5, 1, 3.5, 4), ("f", 0, 0, 21, 11), ("g", 5, 5, 99, 99),
    )  # fmt: skip
    text = text.replace("</annotation>", "<object><name>h</name><polygon/></object></annotation>")
    (item,), skipped = found(folder(tmp_path / "x", {"1.xml": text, "1.png": PNG}))

    assert boxes_of(item) == [
        ("e", [0.5, 0.0, 3.5, 4.0]),
        ("f", [0.0, 0.0, 20.0, 10.0]),
        ("g", [4.0, 4.0, 20.0, 10.0]),
    ]
    assert Counter(one.error.code for one in skipped) == {"box-refused": 5, "box-cut": 1}


def test_an_empty_and_a_broken_file_cost_their_picture_only(tmp_path):
    members = {
        "1.xml": xml(("cat", 1, 1, 5, 5)),
        "2.xml": "<annotation><filename>2.png</filename>",
        "3.xml": "",
        "4.xml": xml(filename="gone.png"),
        "1.png": PNG,
        "2.png": PNG,
    }
    items, skipped = found(folder(tmp_path / "x", members))
    assert "boxes" in items[0].attributes
    assert items[1].attributes == {}, "a picture of which nothing is known has no boxes, not none"
    assert codes(skipped) == {
        "2.xml": "file-unreadable",
        "4.xml": "listed-file-missing",
        "2.png": "nothing-known",
        "3.xml": "file-not-read",
    }


LAUGHS = '<!DOCTYPE a [<!ENTITY l "lol"><!ENTITY m "&l;&l;&l;&l;">]><annotation><filename>&m;'


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS + "</filename></annotation>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation><filename>x</filename></annotation>',
        "<annotation><filename>x</filename>" + "<a>" * 100 + "</a>" * 100 + "</annotation>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_made_to_do_harm_is_refused(tmp_path, text, encoding):
    members = {"1.xml": text.encode(encoding), "1.png": PNG, "2.xml": xml(), "2.png": PNG}
    _, skipped = found(folder(tmp_path / "x", members), format="voc")
    assert codes(skipped)["1.xml"] == "file-unreadable"


@pytest.mark.parametrize("head", ["\ufeff", '<?xml version="1.0" encoding="UTF-8"?>\n'])
def test_marks_and_declarations_at_the_beginning_are_read(tmp_path, head):
    members = {"1.xml": head + xml(("cätt", 1, 1, 5, 5)), "1.png": PNG}
    (item,), _ = found(folder(tmp_path / "x", members))
    assert boxes_of(item)[0][0] == "cätt"


def test_the_real_blood_cells_are_read_but_for_two_boxes(shared_data):
    items, skipped = found(shared_data("detection-bccd"))

    assert Counter(item.split for item in items) == {"train": 205, "valid": 87, "test": 72}
    labels = Counter(one["label"] for item in items for one in item.attributes["boxes"])
    assert labels == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    lost = [one for one in skipped if one.loss != "none"]
    assert codes(lost) == {
        "JPEGImages/BloodImage_00338.jpg": "box-refused",
        "JPEGImages/BloodImage_00343.jpg": "box-refused",
    }


@pytest.mark.parametrize(("name", "count"), [("voc_dataset1", 2), ("voc_dataset2", 0),
                                             ("voc_dataset3", 1)])  # fmt: skip
def test_real_files_of_other_tools_are_read(shared_data, name, count):
    items, skipped = found(shared_data("formats") / "datumaro" / "voc_dataset" / name)
    assert len(items) == count
    assert all(one.error.code != "file-unreadable" for one in skipped)


def test_masks_of_segmentations_are_no_pictures(shared_data):
    items, skipped = found(shared_data("formats") / "datumaro" / "voc_dataset" / "voc_dataset1")
    assert [item.locator.split("/")[0] for item in items] == ["JPEGImages", "JPEGImages"]
    assert codes(skipped)["SegmentationClass/2007_000001.png"] == "file-not-read"

"""COCO as its own tools, Roboflow, MMDetection and Datumaro write it."""

import json
import struct

import pytest

from tests.data.formats.trees import codes, folder, found, labels, picture, splits, zipped
from volano.schemas.imports import ImportUnreadable

PNG = picture(10, 8)


def image(id: int | str, file: str, **facts: object) -> dict[str, object]:
    return {"id": id, "file_name": file, "width": 10, "height": 8, **facts}


def box(image: int | str, category: int, corners: object, **facts: object) -> dict[str, object]:
    return {"id": 1, "image_id": image, "category_id": category, "bbox": corners, **facts}


CATEGORIES = [{"id": 1, "name": "cat", "supercategory": ""}, {"id": 7, "name": "traffic light"}]


def coco(images: list, boxes: list | None = None, categories: list = CATEGORIES) -> str:
    told = {"info": {}, "images": images, "categories": categories}
    return json.dumps(told if boxes is None else told | {"annotations": boxes})


def boxes_of(item) -> list[tuple[str, list[float]]]:
    return [(one["label"], one["box"]) for one in item.attributes["boxes"]]


def test_boxes_become_corners_and_pictures_without_any_have_none(tmp_path):
    text = coco([image(1, "1.png"), image(2, "2.png")], [box(1, 7, [1, 2, 3, 4])])
    root = folder(tmp_path / "x", {"annotations.json": text, "1.png": PNG, "2.png": PNG})

    items, skipped = found(root)

    assert boxes_of(items[0]) == [("traffic light", [1.0, 2.0, 4.0, 6.0])]
    assert boxes_of(items[1]) == []
    assert labels(items) == {"1.png": "", "2.png": ""}
    assert skipped == []


@pytest.mark.parametrize(
    ("listing", "files", "split"),
    [
        ("annotations/instances_train2017.json", ["train2017/1.png"], "train"),
        ("annotations/instances_val2017.json", ["images/val2017/1.png"], "valid"),
        ("annotations/instances_train.json", ["train/1.png", "val/1.png"], "train"),
        ("test/_annotations.coco.json", ["test/1.png"], "test"),
        ("valid/_annotations.coco.json", ["valid/1.png", "train/1.png"], "valid"),
        ("result.json", ["images/1.png"], ""),
    ],
)
def test_layouts_of_other_tools_are_read_with_their_splits(tmp_path, listing, files, split):
    members = {listing: coco([image(1, "1.png")], [box(1, 1, [1, 1, 2, 2])])}
    items, _ = found(folder(tmp_path / "x", members | dict.fromkeys(files, PNG)))
    assert splits(items) == {files[0]: split}


def test_equal_names_in_train_and_val_are_two_pictures(tmp_path):
    other = picture(10, 8, grey=3)
    root = folder(
        tmp_path / "x",
        {
            "annotations/instances_train.json": coco([image(1, "1.png")], []),
            "annotations/instances_val.json": coco([image(1, "1.png")], []),
            "images/train/1.png": PNG,
            "images/val/1.png": other,
        },
    )
    items, skipped = found(root)
    assert splits(items) == {"images/train/1.png": "train", "images/val/1.png": "valid"}
    assert [item.read() for item in items] == [PNG, other]
    assert skipped == []


def test_windows_paths_and_texts_as_ids_are_read(tmp_path):
    text = coco([image("a", "img\\1.png")], [box("a", 1, [1, 1, 2, 2])])
    (item,), _ = found(folder(tmp_path / "x", {"c.json": text, "img/1.png": PNG}))
    assert boxes_of(item) == [("cat", [1.0, 1.0, 3.0, 3.0])]


def test_a_mark_of_byte_order_and_numbers_that_are_none_are_read(tmp_path):
    text = coco([image(1, "1.png")], [box(1, 1, [1, 1, 2, 2], area=float("nan"))])
    assert "NaN" in text
    (item,), _ = found(folder(tmp_path / "x", {"c.json": "\ufeff" + text, "1.png": PNG}))
    assert len(boxes_of(item)) == 1


def test_bad_boxes_are_told_one_by_one_and_the_picture_is_kept(tmp_path):
    bad = [[1, 1, 0, 5], [1, 1, -2, 2], [20, 20, 5, 5], [1, 2], None, ["a", 1, 1, 1], [5, 5, 50, 2]]
    given = [box(1, 1, one) for one in bad] + [box(1, 99, [1, 1, 2, 2]), box(1, 1, [1, 1, 2, 2])]
    root = folder(tmp_path / "x", {"c.json": coco([image(1, "1.png")], given), "1.png": PNG})

    (item,), skipped = found(root)

    assert boxes_of(item) == [("cat", [5.0, 5.0, 10.0, 7.0]), ("cat", [1.0, 1.0, 3.0, 3.0])]
    told = [one.error.code for one in skipped]
    assert told.count("box-refused") == 6
    assert told.count("box-cut") == 1
    assert told.count("class-unknown") == 1
    assert {one.loss for one in skipped} == {"part", "note"}


def test_missing_unlisted_and_orphaned_things_are_told(tmp_path):
    given = [box(1, 1, [1, 1, 2, 2]), box(5, 1, [1, 1, 2, 2])]
    text = coco([image(1, "1.png"), image(2, "gone.png"), image(3, "1.png")], given)
    members = {"c.json": text, "1.png": PNG, "extra.png": PNG, "README.md": "x"}

    items, skipped = found(folder(tmp_path / "x", members))

    assert len(items) == 1
    assert codes(skipped) == {
        "gone.png": "listed-file-missing",
        "1.png": "listed-twice",
        "c.json": "boxes-without-image",
        "extra.png": "file-not-listed",
        "README.md": "file-not-read",
    }


def test_a_crowd_is_marked(tmp_path):
    text = coco([image(1, "1.png")], [box(1, 1, [1, 1, 2, 2], iscrowd=1)])
    (item,), _ = found(folder(tmp_path / "x", {"c.json": text, "1.png": PNG}))
    assert item.attributes["boxes"] == [
        {"label": "cat", "box": [1.0, 1.0, 3.0, 3.0], "crowd": True}
    ]


def sideways(png: bytes, orientation: int) -> bytes:
    """The picture with an orientation in its EXIF block."""
    block = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, orientation) + bytes(4)
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + bytes(4)
    return png[:33] + chunk + png[33:]


def test_boxes_on_a_picture_that_lies_on_its_side_are_turned_with_it(tmp_path):
    lying = sideways(PNG, 6)  # 10 x 8 as stored, 8 x 10 as seen
    stored, seen = image(1, "1.png"), image(2, "2.png") | {"width": 8, "height": 10}
    text = coco([stored, seen], [box(1, 1, [0, 0, 4, 2]), box(2, 1, [0, 0, 4, 2])])
    items, _ = found(folder(tmp_path / "x", {"c.json": text, "1.png": lying, "2.png": lying}))

    assert boxes_of(items[0]) == [("cat", [6.0, 0.0, 8.0, 4.0])], "drawn on the stored pixels"
    assert boxes_of(items[1]) == [("cat", [0.0, 0.0, 4.0, 2.0])], "drawn on what people see"


def test_a_file_that_is_cut_short_is_refused_with_its_name(tmp_path):
    text = coco([image(1, "1.png")], [box(1, 1, [1, 1, 2, 2])])
    root = folder(tmp_path / "x", {"c.json": text[:-10], "1.png": PNG})
    with pytest.raises(ImportUnreadable) as refused:
        found(root)
    assert refused.value.facts["name"] == "c.json"


def test_coco_in_an_archive_is_read(tmp_path):
    text = coco([image(1, "1.png")], [box(1, 1, [1, 1, 2, 2])])
    members = {"export/train/_annotations.coco.json": text, "export/train/1.png": PNG}
    (item,), _ = found(zipped(tmp_path / "a.zip", members))
    assert item.split == "train"
    assert item.read() == PNG


DATUMARO = {
    "coco": ("boxes", 3),
    "coco_instances": ("boxes", 3),
    "coco_person_keypoints": ("boxes", 3),
    "coco_roboflow": ("boxes", 3),
    "coco_stuff": ("boxes", 2),
    "mmdet_coco": ("boxes", 3),
    "coco_labels": ("labels", 2),
    "coco_captions": ("", 0),
    "coco_image_info": ("", 0),
    "coco_panoptic": ("", 0),
}


@pytest.mark.parametrize("name", DATUMARO)
def test_real_files_of_other_tools_are_read(shared_data, name):
    items, _ = found(shared_data("formats") / "datumaro" / "coco_dataset" / name)

    attribute, count = DATUMARO[name]
    assert [item.split for item in items] == ["train", "valid"]
    assert sum(len(item.attributes.get(attribute, ())) for item in items) == count
    assert all(item.read() for item in items)


def test_a_real_file_of_classes_labels_whole_pictures(shared_data):
    items, _ = found(shared_data("formats") / "datumaro" / "coco_dataset" / "coco_labels")
    assert [item.label for item in items] == ["b", ""]
    assert items[1].attributes == {"labels": ["a", "b"]}


def test_the_real_validation_set_without_its_pictures_says_which_are_missing(shared_data):
    items, skipped = found(shared_data("eval-coco-fake100"))
    assert items == []
    missing = [one for one in skipped if one.error.code == "listed-file-missing"]
    assert len(missing) == 100

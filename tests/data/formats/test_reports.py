"""What people reported of other tools' imports, tried here; each is named by project and number."""

import json

import pytest

from tests.data.formats.test_coco import sideways
from tests.data.formats.trees import codes, folder, found, labels, picture, splits, zipped

PNG = picture(10, 8)


def coco(images: list, boxes: list, categories: list) -> str:
    return json.dumps({"images": images, "annotations": boxes, "categories": categories})


def boxes_of(item) -> list[tuple[str, list[float]]]:
    return [(one["label"], one["box"]) for one in item.attributes["boxes"]]


def test_a_folder_of_checkpoints_is_no_class(tmp_path):
    """mmpretrain 507, Next-ViT 25, autotrain-advanced 264."""
    members = {f"{split}/{label}/{split}.png": PNG for split in ("train", "val")
               for label in ("false", "true", ".ipynb_checkpoints")}  # fmt: skip
    items, skipped = found(folder(tmp_path / "data", members))
    assert set(labels(items).values()) == {"false", "true"}
    assert set(codes(skipped).values()) == {"system-file"}


def test_what_a_mac_packs_beside_a_picture_is_no_second_picture(tmp_path):
    """isic-challenge-scoring 15, CSI 31."""
    members = {"sub/a.png": PNG, "__MACOSX/sub/._a.png": "x", "sub/._a.png": "x"}
    items, _ = found(zipped(tmp_path / "a.zip", members))
    assert [item.locator for item in items] == ["sub/a.png"]


def test_pictures_in_an_archive_beside_their_list_are_missed_by_name(tmp_path):
    """huggingface/datasets 7337."""
    inner = zipped(tmp_path / "images.zip", {"1.png": PNG}).read_bytes()
    members = {"metadata.jsonl": '{"file_name": "1.png", "label": "x"}\n', "images.zip": inner}
    root = folder(tmp_path / "data", members)
    items, skipped = found(root / "metadata.jsonl")
    assert items == []
    assert codes(skipped) == {"1.png": "listed-file-missing"}
    _, others = found(folder(tmp_path / "data", {"cat/2.png": PNG}))
    assert codes(others)["images.zip"] == "archive-inside"
    assert {one.loss for one in others if one.locator == "images.zip"} == {"item"}


def test_a_list_inside_of_an_archive_finds_every_picture(tmp_path):
    """huggingface/datasets 5761: 20 of 2,000 arrived."""
    lines = "".join(f'{{"file_name": "{n}.png", "label": "x"}}\n' for n in range(300))
    members = {"set/metadata.jsonl": lines} | {f"set/{n}.png": PNG for n in range(300)}
    items, skipped = found(zipped(tmp_path / "a.zip", members))
    assert len(items) == 300
    assert skipped == []


def test_a_mark_of_byte_order_is_no_part_of_the_first_name(tmp_path):
    """deepplantphenomics 41."""
    text = "\ufeffC1_A1.png,3\r\nC1_A2.png,4\r\n"
    items, skipped = found(folder(tmp_path, {"l.csv": text, "C1_A1.png": PNG, "C1_A2.png": PNG}))
    assert labels(items) == {"C1_A1.png": "3", "C1_A2.png": "4"}
    assert skipped == []


def test_semicolons_without_a_header_in_an_old_encoding_are_read(tmp_path):
    """tf-crnn 18."""
    text = "/my_directory/1.png;größe\n/my_directory/2.png;länge\n".encode("cp1252")
    items, _ = found(folder(tmp_path, {"l.csv": text, "1.png": PNG, "2.png": PNG}))
    assert list(labels(items).values()) == ["größe", "länge"]


def test_a_path_a_space_and_a_class_are_read(tmp_path):
    """tensorflow_export_cpp_example 4."""
    text = "./images/a/1.png a\n./images/b/1.png b\n"
    members = {"trainlabels.csv": text, "images/a/1.png": PNG, "images/b/1.png": PNG}
    items, _ = found(folder(tmp_path, members))
    assert labels(items) == {"images/a/1.png": "a", "images/b/1.png": "b"}


def test_categories_count_from_zero_too(tmp_path):
    """fiftyone 1939, cvat 4750."""
    text = coco([{"id": 0, "file_name": "1.png"}],
                [{"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 1, 2, 2]}],
                [{"id": 0, "name": "cat"}])  # fmt: skip
    (item,), skipped = found(folder(tmp_path, {"c.json": text, "1.png": PNG}))
    assert boxes_of(item) == [("cat", [1.0, 1.0, 3.0, 3.0])]
    assert skipped == []


def test_two_categories_of_one_name_are_one_label(tmp_path):
    """datumaro 1160: what Roboflow exports."""
    boxes = [{"image_id": 1, "category_id": n, "bbox": [1, 1, 2, 2]} for n in (0, 1)]
    names = [{"id": 0, "name": "fish", "supercategory": "none"}, {"id": 1, "name": "fish"}]
    text = coco([{"id": 1, "file_name": "1.png"}], boxes, names)
    (item,), _ = found(folder(tmp_path, {"train/_annotations.coco.json": text, "train/1.png": PNG}))
    assert [label for label, _ in boxes_of(item)] == ["fish", "fish"]


def test_pictures_without_boxes_are_imported_too(tmp_path):
    """label-studio-converter 165, pylabel 35."""
    images = [{"id": n, "file_name": f"{n}.png"} for n in (1, 2)]
    boxes = [{"image_id": 2, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    text = coco(images, boxes, [{"id": 1, "name": "cat"}])
    items, _ = found(folder(tmp_path, {"c.json": text, "1.png": PNG, "2.png": PNG}))
    assert [len(boxes_of(item)) for item in items] == [0, 1]


def test_equal_names_in_other_folders_are_other_pictures(tmp_path):
    """coco-annotator 486, cvat 2046."""
    images = [{"id": n, "file_name": f"{place}/1.png"} for n, place in enumerate("ab")]
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    text = coco(images, boxes, [{"id": 1, "name": "cat"}])
    members = {"c.json": text, "a/1.png": PNG, "b/1.png": PNG}
    first, second = found(folder(tmp_path, members))[0]
    assert boxes_of(first) == []
    assert len(boxes_of(second)) == 1


def test_names_that_differ_by_their_extension_only_are_two_pictures(tmp_path):
    """cvat 7545."""
    images = [{"id": n, "file_name": name} for n, name in enumerate(("i.png", "i.jpg"))]
    members = {"c.json": coco(images, [], []), "i.png": PNG, "i.jpg": picture(9, 9)}
    items, skipped = found(folder(tmp_path, members))
    assert [item.locator for item in items] == ["i.png", "i.jpg"]
    assert skipped == []


LYING = sideways(PNG, 6)  # 10 x 8 px as it lies in the file, 8 x 10 as it is seen


@pytest.mark.parametrize(
    ("drawn", "box", "code"),
    [([0, 0, 4, 2], [6.0, 0.0, 8.0, 4.0], {"1.png": "boxes-turned"}),
     ([0, 7, 4, 2.5], [0.0, 7.0, 4.0, 9.5], {})],
    ids=["fiftyone 3778", "label-studio 6608"],
)  # fmt: skip
def test_boxes_on_a_picture_with_an_orientation_stand_where_they_were_drawn(
    tmp_path, drawn, box, code
):
    """fiftyone 3778 (drawn as it lies), label-studio 6608 (drawn upright, the size is swapped)."""
    text = coco([{"id": 1, "file_name": "1.png", "width": 10, "height": 8}],
                [{"image_id": 1, "category_id": 1, "bbox": drawn}],
                [{"id": 1, "name": "cat"}])  # fmt: skip
    (item,), skipped = found(folder(tmp_path, {"c.json": text, "1.png": LYING}))
    assert boxes_of(item) == [("cat", box)]
    assert codes(skipped) == code


def test_shares_of_a_picture_are_of_the_upright_one(tmp_path):
    """supervision 2577."""
    members = {"images/1.png": LYING, "labels/1.txt": "0 0.5 0.5 1 0.2", "classes.txt": "cat"}
    (item,), _ = found(folder(tmp_path, members))
    assert boxes_of(item) == [("cat", [0.0, 4.0, 8.0, 6.0])]


def test_names_with_several_dots_find_their_boxes(tmp_path):
    """make-sense 314."""
    members = {"1670577347.002843.png": PNG, "1670577347.002843.txt": "0 0.5 0.5 1 1",
               "labels.txt": "cat\n"}  # fmt: skip
    (item,), skipped = found(folder(tmp_path, members))
    assert boxes_of(item) == [("cat", [0.0, 0.0, 10.0, 8.0])]
    assert skipped == []


def test_boxes_whose_picture_is_missing_stop_nothing(tmp_path):
    """globox 23: coco128 is so."""
    members = {
        "images/1.png": PNG,
        "labels/1.txt": "0 0.5 0.5 1 1",
        "labels/659.txt": "0 .5 .5 1 1",
    }
    items, skipped = found(folder(tmp_path, members))
    assert len(items) == 1
    assert codes(skipped) == {"labels/659.txt": "listed-file-missing"}


def test_classes_of_label_studio_count_in_the_order_of_their_list(tmp_path):
    """label-studio 6416: notes.json numbers them otherwise."""
    notes = {"categories": [{"id": 1, "name": "safe_b"}, {"id": 0, "name": "safe_h"}]}
    members = {"images/1.png": PNG, "labels/1.txt": "0 0.5 0.5 1 1",
               "classes.txt": "safe_b\nsafe_h", "notes.json": json.dumps(notes)}  # fmt: skip
    (item,), _ = found(folder(tmp_path, members))
    assert boxes_of(item)[0][0] == "safe_b"


def test_a_broken_file_of_boxes_is_named_and_the_others_are_read(tmp_path):
    """fiftyone 1777: but what file?"""
    good = "<annotation><filename>2.png</filename></annotation>"
    members = {"1.xml": "<annotation><filename>", "2.xml": good, "1.png": PNG, "2.png": PNG}
    items, skipped = found(folder(tmp_path, members))
    assert len(items) == 2
    broken = next(one for one in skipped if one.error.code == "file-unreadable")
    assert "1.xml cannot be read: no element found: line 1" in broken.error.message


def test_corners_are_read_by_name_in_any_order_and_with_fractions(tmp_path):
    """raccoon_dataset 74, labelImg 422, PaddleLabel 81, tensorflow/models 656."""
    corners = "<ymax>5.5</ymax><xmax>8.25</xmax><ymin>2</ymin><xmin>3.0</xmin>"
    text = f"<annotation><object><bndbox>{corners}</bndbox><name>cat</name></object></annotation>"
    (item,), _ = found(folder(tmp_path, {"1.xml": text, "1.png": PNG}))
    assert boxes_of(item) == [("cat", [2.0, 1.0, 8.25, 5.5])]


def test_a_class_called_like_a_split_and_splits_with_a_class_each(tmp_path):
    """A data set of vehicles has trains."""
    members = {"train/train/1.png": PNG, "train/bus/2.png": PNG, "val/train/3.png": PNG}
    items, _ = found(folder(tmp_path, members))
    assert labels(items)["val/train/3.png"] == "train"
    assert splits(items)["train/train/1.png"] == "train"

"""What an import looks like as a whole, told before a model is trained on it."""

from tests.data.formats.trees import picture
from volano.data.formats.health import Health
from volano.data.formats.items import Item, Skipped
from volano.schemas.imports import EmptyFile


def health(*items: tuple[str, str, str, bytes]) -> Health:
    """Of items by place, label, split and content."""
    found = Health()
    for place, label, split, data in items:
        found.add(Item(locator=place, label=label, split=split), data)
    return found


A, B, C = (picture(10, 8, grey) for grey in (1, 2, 3))


def test_classes_splits_and_sizes_are_counted():
    found = health(
        ("1", "cat", "train", A), ("2", "cat", "test", B), ("3", "dog", "train", picture(9, 9))
    )
    assert found.classes == {"cat": 2, "dog": 1}
    assert found.splits == {"train": 2, "test": 1}
    assert found.sizes == {(10, 8): 2, (9, 9): 1}
    assert found.single == ["dog"]
    assert found.not_trained == []


def test_equal_contents_are_found_with_what_is_wrong_about_them():
    found = health(
        ("1", "cat", "train", A), ("2", "cat", "train", A), ("3", "dog", "train", A),
        ("4", "cat", "test", A), ("5", "cat", "train", B),
    )  # fmt: skip
    assert found.duplicate_count == 3
    assert found.duplicates == [("2", "1"), ("3", "1"), ("4", "1")]
    assert found.contradictions == [("3", "1")]
    assert found.leaks == [("4", "1")]


def test_a_class_that_only_the_test_split_has_is_named():
    found = health(("1", "cat", "train", A), ("2", "dog", "test", B), ("3", "cat", "valid", C))
    assert found.not_trained == ["dog"]


def test_classes_that_differ_by_case_or_spaces_are_named_together():
    found = health(
        ("1", "Traffic light", "", A), ("2", "traffic-light", "", B), ("3", "cat", "", C)
    )
    assert found.alike == [["Traffic light", "traffic-light"]]


def test_classes_of_boxes_are_counted_and_a_picture_with_boxes_is_labelled():
    found = Health()
    boxes = [{"label": "cat", "box": [0, 0, 1, 1]}, {"label": "cat", "box": [0, 0, 2, 2]}]
    found.add(Item(locator="1", attributes={"boxes": boxes}), A)
    found.add(Item(locator="2", attributes={"boxes": []}), B)
    found.add(Item(locator="3"), C)
    assert found.classes == {"cat": 2}
    assert found.boxes == 2
    assert found.unlabelled == 1


def test_odd_sizes_are_named():
    found = health(
        ("1", "a", "", picture(200, 8)), ("2", "a", "", picture(5, 5)), ("3", "a", "", A)
    )
    assert found.odd == [("1", "200 x 8"), ("2", "5 x 5")]


def test_findings_are_counted_whole_and_listed_up_to_a_bound():
    found = health(*((str(n), "cat", "", A) for n in range(1502)))
    assert found.duplicate_count == 1501
    assert len(found.duplicates) == 1000


def test_the_document_names_every_problem_with_code_and_remedy():
    found = health(("1", "cat", "", A))
    found.skip(Skipped(locator="2", error=EmptyFile(name="2")))
    document = found.document()
    assert document["items"] == 1
    assert document["splits"] == {"none": 1}
    assert document["problems"] == [
        {
            "file": "2",
            "code": "empty-file",
            "detail": "2 is empty.",
            "remedy": "Copy or download it again.",
            "loss": "item",
        }
    ]

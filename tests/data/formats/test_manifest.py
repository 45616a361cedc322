"""Lists of files with labels, as spreadsheets, scripts and other people's machines write them."""

import json
import unicodedata
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.formats.trees import codes, folder, found, labels, picture, splits, zipped
from volano.schemas.imports import EmptyFile, ImportUnreadable

PNG = picture()


def listed(root, name: str, text: str | bytes, *paths: str):
    """A list beside pictures."""
    return folder(root, {name: text, **dict.fromkeys(paths or ("a/1.png", "a/2.png"), PNG)})


TWO = {"a/1.png": "cat", "a/2.png": "dog"}


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na/1.png,cat\na/2.png,dog\n",
        "path,label\r\na/1.png,cat\r\na/2.png,dog\r\n",
        "\ufeffpath,label\na/1.png,cat\na/2.png,dog\n",
        "path;label\na/1.png;cat\na/2.png;dog\n",
        "sep=;\npath;label\na/1.png;cat\na/2.png;dog\n",
        "path\tlabel\na/1.png\tcat\na/2.png\tdog\n",
        "path|label\na/1.png|cat\na/2.png|dog\n",
        "Filename,Class\na\\1.png,cat\na\\2.png,dog\n",
        '"path","label"\n"a/1.png","cat"\n"a/2.png","dog"\n',
        "path, label\na/1.png, cat\na/2.png, dog\n",
        "a/1.png,cat\na/2.png,dog\n",
        "cat,a/1.png\ndog,a/2.png\n",
        "a/1.png cat\na/2.png dog\n",
        ",image_id,label\n0,1.png,cat\n1,2.png,dog\n",
        "id,breed\n1,cat\n2,dog\n",
        "label,file\ncat,./a/1.png\ndog,/home/somebody/data/a/2.png\n",
        "path,label\nA/1.PNG,cat\na/2.png,dog\n\n\n",
        'path,label,notes\na/1.png,cat,"two\nlines"\na/2.png,dog,\n',
        "path,label\nC:\\Users\\me\\data\\a\\1.png,cat\nC:\\Users\\me\\data\\a\\2.png,dog\n",
    ],
)
def test_a_list_is_read_as_it_is_meant(tmp_path, text):
    items, skipped = found(listed(tmp_path / "x", "labels.csv", text))

    assert labels(items) == TWO
    assert skipped == []
    assert items[0].read() == PNG


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_accents_are_read_in_the_encodings_that_spreadsheets_write(tmp_path, encoding):
    text = "path,label\na/1.png,café\na/2.png,thé\n".encode(encoding)
    items, _ = found(listed(tmp_path / "x", "labels.csv", text))
    assert list(labels(items).values()) == ["café", "thé"]


def test_json_lines_and_a_json_list_are_read_too(tmp_path):
    rows = [{"file_name": "a/1.png", "label": "cat"}, {"file_name": "a/2.png", "label": ["dog"]}]
    lines = "\n".join(map(json.dumps, rows)) + "\n"
    for name, text in (("metadata.jsonl", lines), ("labels.json", json.dumps(rows))):
        items, _ = found(listed(tmp_path / name, name, text))
        assert labels(items) == TWO


def test_splits_groups_and_contributors_are_taken_from_their_columns(tmp_path):
    text = (
        "image,label,split,patient_id,annotator\n"
        "1.png,cat,TRAIN,p1,ada\n2.png,dog,val,p2,bob\n3.png,dog,,p2,bob\n"
    )
    root = listed(tmp_path / "x", "list.csv", text, "1.png", "2.png", "3.png")

    items, _ = found(root)

    assert [item.split for item in items] == ["train", "valid", ""]
    assert [item.group for item in items] == ["p1", "p2", "p2"]
    assert items[0].contributor == "ada"


def test_the_name_of_a_list_tells_its_split(tmp_path):
    root = folder(
        tmp_path / "x",
        {
            "train.csv": "path,label\n1.png,cat\n",
            "test_labels.csv": "path,label\n2.png,dog\n",
            "1.png": PNG,
            "2.png": PNG,
        },
    )
    items, _ = found(root)
    assert splits(items) == {"1.png": "train", "2.png": "test"}


def test_columns_are_named_where_nobody_can_guess_them(tmp_path):
    text = "blob,what,when\n1.png,cat,monday\n"
    root = listed(tmp_path / "x", "x.csv", text, "1.png")
    (item,), _ = found(root / "x.csv", columns={"label": "what", "group": "when"})
    assert item.label == "cat"
    assert item.group == "monday"


def test_each_row_that_cannot_be_read_is_told_and_the_others_go_on(tmp_path):
    text = (
        "path,label\n1.png,cat\ngone.png,cat\nhttps://example.org/3.png,dog\n,dog\n"
        "1.png,dog\n2.png,dog,more,than,two\nnotes.md,cat\n"
    )
    root = listed(tmp_path / "x", "labels.csv", text, "1.png", "2.png", "notes.md", "extra.png")

    items, skipped = found(root)

    assert labels(items) == {"1.png": "cat"}
    told = [(one.locator, one.error.code) for one in skipped]
    assert told == [
        ("gone.png", "listed-file-missing"),
        ("https://example.org/3.png", "remote-path"),
        ("labels.csv#5", "line-malformed"),
        ("1.png", "listed-twice"),
        ("labels.csv#7", "line-malformed"),
        ("notes.md", "unsupported-file"),
        ("2.png", "file-not-listed"),
        ("extra.png", "file-not-listed"),
        ("notes.md", "file-not-read"),
    ]
    assert "line 3 of labels.csv" in skipped[0].error.message


def test_a_broken_line_of_json_is_told_with_its_number(tmp_path):
    lines = '{"image": "1.png", "label": "cat"}\n{"image": \n{"image": "2.png", "label": "dog"}\n'
    items, (skipped,) = found(listed(tmp_path / "x", "l.jsonl", lines, "1.png", "2.png"))
    assert len(items) == 2
    assert skipped.locator == "l.jsonl#2"
    assert skipped.error.code == "line-malformed"


@pytest.mark.parametrize(
    "path", ["../secret.png", "../../etc/passwd", "/etc/passwd", "a/../../s.png"]
)
def test_no_list_reaches_out_of_its_folder(tmp_path, path):
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "s.png").write_bytes(PNG)
    root = listed(tmp_path / "x", "l.csv", f"path,label\n1.png,cat\n{path},dog\n", "1.png")

    items, (skipped,) = found(root)

    assert labels(items) == {"1.png": "cat"}
    assert skipped.error.code == "listed-file-missing"


def test_of_two_files_of_one_name_none_is_guessed(tmp_path):
    text = "path,label\nx/3.png,cat\n1.png,dog\n"
    root = listed(tmp_path / "x", "l.csv", text, "a/1.png", "b/1.png", "x/3.png")
    items, skipped = found(root)
    assert labels(items) == {"x/3.png": "cat"}
    assert ("1.png", "listed-file-missing") in [(s.locator, s.error.code) for s in skipped]


def test_accents_in_a_listed_path_fit_whichever_way_they_are_written(tmp_path):
    apart = unicodedata.normalize("NFD", "café.png")
    items, _ = found(listed(tmp_path / "x", "l.csv", "path,label\ncafé.png,cat\n", apart))
    assert len(items) == 1


def test_a_named_list_finds_its_files_without_a_look_at_all_others(tmp_path):
    root = listed(tmp_path / "x", "l.csv", "path,label\na/1.png,cat\n", "a/1.png", "b/2.png")
    items, skipped = found(root / "l.csv")
    assert labels(items) == {"a/1.png": "cat"}
    assert skipped == [], "what else is in the folder is of no account"


def test_a_named_list_whose_files_are_all_missing_says_so_for_each(tmp_path):
    root = folder(tmp_path / "x", {"l.csv": "path,label\n1.png,cat\n2.png,dog\n"})
    items, skipped = found(root / "l.csv")
    assert items == []
    assert set(codes(skipped).values()) == {"listed-file-missing"}


def test_texts_are_imported_from_a_list_that_holds_them(tmp_path):
    root = folder(tmp_path, {"reviews.csv": 'text,label\n"well, done",good\nawful,bad\n,bad\n'})
    items, (skipped,) = found(root / "reviews.csv")
    assert [item.kind for item in items] == ["text", "text"]
    assert items[0].read() == b"well, done"
    assert [item.label for item in items] == ["good", "bad"]
    assert skipped.error.facts["reason"] == "it has no text"


def test_a_table_without_paths_or_texts_says_which_columns_it_has(shared_data):
    tables = shared_data("formats") / "datumaro" / "tabular_dataset"
    with pytest.raises(ImportUnreadable) as refused:
        found(tables / "electricity.csv")
    assert "nswprice" in refused.value.message
    assert "--column path=NAME" in refused.value.message


def test_the_real_reviews_are_read(shared_data):
    path = shared_data("formats") / "datumaro" / "tabular_dataset" / "women-clothing"
    items, _ = found(path / "women_clothing_refined.csv", columns={"label": "Division Name"})
    assert items[0].kind == "text"
    assert items[0].read() == b"check link amazing fun"
    assert items[0].label == "General"


def test_a_list_in_an_archive_is_read(tmp_path):
    members = {"x/l.csv": "path,label\nimg/1.png,cat\n", "x/img/1.png": PNG}
    items, _ = found(zipped(tmp_path / "a.zip", members))
    assert labels(items) == {"x/img/1.png": "cat"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(text=st.text(max_size=300) | st.text('path,label;\t"\n\r1.png{}[]:', max_size=200))
def test_any_text_as_a_list_is_read_or_refused_by_a_code(tmp_path_factory, text):
    root = listed(
        tmp_path_factory.mktemp("lists"), "l.csv", text.encode("utf-8", "replace"), "1.png"
    )
    with suppress(ImportUnreadable, EmptyFile):
        items, skipped = found(root / "l.csv")
        assert all(one.error.code for one in skipped)
        assert all(item.locator for item in items)


BOXED = {
    "tensorflow": "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    "1.png,20,10,cat,2,1,6,4\n1.png,20,10,dog,8,2,12,6\n2.png,20,10,cat,0,0,20,10\n",
    "deepforest": "image_path,xmin,ymin,xmax,ymax,label\n"
    "1.png,2,1,6,4,cat\n1.png,8,2,12,6,dog\n2.png,0,0,20,10,cat\n",
    "open images": "ImageID,LabelName,XMin,XMax,YMin,YMax\n"
    "1,cat,0.1,0.3,0.1,0.4\n1,dog,0.4,0.6,0.2,0.6\n2,cat,0,1,0,1\n",
}


@pytest.mark.parametrize("tool", BOXED)
def test_rows_of_boxes_are_one_item_for_each_picture(tmp_path, tool):
    wide = picture(20, 10)
    root = folder(tmp_path, {"train.csv": BOXED[tool], "1.png": wide, "2.png": wide})

    items, skipped = found(root)

    assert [item.attributes["boxes"] for item in items] == [
        [{"label": "cat", "box": [2, 1, 6, 4]}, {"label": "dog", "box": [8, 2, 12, 6]}],
        [{"label": "cat", "box": [0, 0, 20, 10]}],
    ]
    assert labels(items) == {"1.png": "", "2.png": ""}
    assert splits(items) == {"1.png": "train", "2.png": "train"}
    assert skipped == []


def test_bad_rows_of_boxes_are_told_and_a_row_without_corners_says_that_there_is_nothing(tmp_path):
    text = (
        "filename,class,xmin,ymin,xmax,ymax\n1.png,cat,2,1,6,4\n1.png,cat,x,1,6,4\n"
        "1.png,cat,6,1,2,4\n2.png,,,,,\ngone.png,cat,1,1,2,2\n"
    )
    root = folder(tmp_path, {"l.csv": text, "1.png": picture(20, 10), "2.png": picture(20, 10)})

    items, skipped = found(root)

    assert [len(item.attributes["boxes"]) for item in items] == [1, 0]
    told = [(one.locator, one.error.code, one.loss) for one in skipped]
    assert told == [
        ("gone.png", "listed-file-missing", "item"),
        ("1.png", "box-refused", "part"),
        ("1.png", "box-refused", "part"),
    ]


def test_columns_of_zeros_and_ones_are_classes(tmp_path):
    text = "filename, cat, dog\n1.png, 1, 0\n2.png, 0, 1.0\n3.png, 1, 1\n4.png, 0, 0\n"
    root = folder(tmp_path, {"_classes.csv": text, **{f"{n}.png": PNG for n in (1, 2, 3, 4)}})
    items, skipped = found(root)
    assert [item.label for item in items] == ["cat", "dog", "", ""]
    assert [item.attributes for item in items] == [{}, {}, {"labels": ["cat", "dog"]}, {}]
    assert skipped == []


def test_an_index_of_zeros_and_ones_beside_a_label_is_no_class(tmp_path):
    text = ",path,label,blurred\n0,1.png,cat,0\n1,2.png,dog,1\n"
    items, _ = found(folder(tmp_path, {"l.csv": text, "1.png": PNG, "2.png": PNG}))
    assert [item.label for item in items] == ["cat", "dog"]

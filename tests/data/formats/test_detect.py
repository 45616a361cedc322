"""Which format a path holds: told by what is in it, and never guessed where it may be two."""

import gzip

import pytest

from tests.data.formats.trees import folder, picture, tarred, zipped
from volano.data.formats import detect
from volano.schemas.imports import FormatUnclear, NothingToImport

PNG = picture()
XML = "<annotation><filename>1.png</filename></annotation>"
COCO = '{"images": [{"id": 1, "file_name": "1.png"}], "annotations": [], "categories": []}'
YOLO = "0 0.5 0.5 0.1 0.1\n"
IDX = bytes([0, 0, 8, 1, 0, 0, 0, 1, 5])
WORDS = '{"word": "cat", "drawing": [[[1], [2]]]}\n'
EXPORT = '{"id": "x", "shape": "cat", "canvas": {}, "strokes": []}\n'

FOLDERS = {
    "folder": {"cat/1.png": PNG, "dog/2.png": PNG, "README.txt": "pets"},
    "manifest": {"labels.csv": "path,label\n1.png,cat\n", "1.png": PNG},
    "coco": {"annotations/instances.json": COCO, "1.png": PNG},
    "voc": {"Annotations/1.xml": XML, "JPEGImages/1.png": PNG, "ImageSets/Main/train.txt": "1"},
    "yolo": {"images/1.png": PNG, "labels/1.txt": YOLO},
    "idx": {
        "train-images-idx3-ubyte": IDX,
        "train-labels-idx1-ubyte.gz": gzip.compress(IDX, mtime=0),
    },
    "omniglot": {"Greek/character01/0001_01.txt": "START\n1,2,3\n"},
    "quickdraw": {"cat.ndjson": WORDS},
    "export": {"circles.jsonl": EXPORT},
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_format_is_told_in_a_folder_and_in_archives(tmp_path, name):
    members = FOLDERS[name]
    packed = {path: text if isinstance(text, bytes) else text.encode()
              for path, text in members.items()}  # fmt: skip
    for path in (
        folder(tmp_path / "folder", members),
        zipped(tmp_path / "a.zip", members),
        tarred(tmp_path / "a.tar.gz", packed, "w:gz"),
    ):
        told = detect.detect(detect.open_source(path))
        assert told.name == name
        assert told.saw


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("a.csv", "path,label\n1.png,x\n", "manifest"),
        ("a.json", COCO, "coco"),
        ("a.json", '[{"image": "1.png"}]', "manifest"),
        ("a.jsonl", '{"image": "1.png"}', "manifest"),
        ("a.jsonl", EXPORT, "export"),
        ("a.ndjson", WORDS, "quickdraw"),
        ("data.yaml", "names: [cat]", "yolo"),
        ("1.xml", XML, "voc"),
        ("train-images-idx3-ubyte", IDX, "idx"),
        ("1.png", PNG, "folder"),
    ],
)
def test_one_file_is_told_by_its_beginning(tmp_path, file, text, name):
    path = folder(tmp_path, {file: text, "other/2.png": PNG}) / file
    assert detect.detect(detect.open_source(path)).name == name


def test_two_formats_in_one_folder_are_for_the_user_to_choose_from(tmp_path):
    path = folder(tmp_path / "both", FOLDERS["coco"] | FOLDERS["voc"])
    with pytest.raises(FormatUnclear) as unclear:
        detect.detect(detect.open_source(path))
    assert "annotations/instances.json (coco)" in unclear.value.message
    assert "Annotations/1.xml (voc)" in unclear.value.message
    assert unclear.value.advice == "Say what to read with --format, one of: coco, voc."


@pytest.mark.parametrize("members", [{}, {"a.bin": b"\0\1"}, {".hidden.png": PNG}])
def test_a_folder_of_nothing_known_says_what_is_there(tmp_path, members):
    path = folder(tmp_path / "odd", members)
    with pytest.raises(NothingToImport) as refused:
        detect.detect(detect.open_source(path))
    assert refused.value.facts["name"] == "odd"
    assert "files" in refused.value.facts["saw"]


PACKED_WORDS = gzip.compress(b"words", mtime=0)  # the time would be in the test's name
NOTHING_KNOWN = [("a.npz", b"PK"), ("a.gz", PACKED_WORDS), ("model.bin", b"\0\0\x0d\x03")]


@pytest.mark.parametrize(("name", "text"), NOTHING_KNOWN)
def test_a_file_of_nothing_known_is_refused(tmp_path, name, text):
    path = folder(tmp_path, {name: text}) / name
    with pytest.raises(NothingToImport):
        detect.detect(detect.open_source(path))


def test_a_list_without_files_beside_class_folders_is_not_taken_for_one(tmp_path):
    path = folder(tmp_path / "x", FOLDERS["folder"] | {"notes.csv": "when,what\nmonday,sun\n"})
    assert detect.detect(detect.open_source(path)).name == "folder"


REAL = {
    "classify-fashion-mnist": "idx",
    "detection-bccd": "voc",
    "eval-coco-fake100": "coco",
    "strokes-omniglot-small1/strokes_background_small1.zip": "omniglot",
    "strokes-omniglot-small1/images_background_small1.zip": "folder",
    "formats/datumaro/imagenet_dataset": "folder",
    "formats/label-studio/test_import_yolo_data": "yolo",
}


@pytest.mark.parametrize("path", REAL)
def test_the_real_data_sets_are_told(shared_data, path):
    name, _, below = path.partition("/")
    source = detect.open_source(shared_data(name) / below)
    assert detect.detect(source).name == REAL[path]

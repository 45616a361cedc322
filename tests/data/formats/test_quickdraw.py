"""Quick, Draw!, raw and simplified, becomes drawings with and without time."""

import json

import msgspec
import pytest

from tests.data.formats.trees import folder, found
from volano.data.formats import drawings
from volano.schemas.common import Name

RAW = {
    "word": "The Eiffel Tower",
    "countrycode": "FR",
    "timestamp": "2017-03-09 00:28:55.637750 UTC",
    "recognized": True,
    "key_id": "5152802093400064",
    "drawing": [[[112.5, 130, 190], [300, 310.5, 420], [0, 16, 40]], [[150], [350], [900]]],
}
SIMPLE = RAW | {"word": "t-shirt", "drawing": [[[0, 255, 30], [12, 0, 255]], [[5], [6]]]}


def written(root, *documents: object):
    lines = (one if isinstance(one, str) else json.dumps(one) for one in documents)
    return folder(root, {"words.ndjson": "\n".join(lines) + "\n"}) / "words.ndjson"


def test_a_raw_drawing_is_moved_to_the_corner_of_a_canvas_of_its_size(tmp_path):
    (item,), _ = found(written(tmp_path, RAW))

    drawing = item.drawing.drawing
    points = [(p.x, p.y, p.timestamp) for stroke in drawing.strokes for p in stroke.points]
    assert points == [(0, 0, 0), (17.5, 10.5, 16), (77.5, 120, 40), (37.5, 50, 900)]
    assert (drawing.canvas.width, drawing.canvas.height) == (77.5, 120)
    assert item.label == "the-eiffel-tower"
    assert msgspec.convert(drawing.shape, Name)
    assert drawings.encode(drawing).duration_ms == 900


def test_a_simplified_drawing_keeps_its_canvas_and_takes_no_time(tmp_path):
    (item,), _ = found(written(tmp_path, SIMPLE))

    drawing = item.drawing.drawing
    assert drawing.canvas.width == drawing.canvas.height == 256
    assert [(p.x, p.y) for p in drawing.strokes[0].points] == [(0, 12), (255, 0), (30, 255)]
    assert {p.timestamp for stroke in drawing.strokes for p in stroke.points} == {0.0}
    assert drawings.encode(drawing).duration_ms == 0


def test_a_drawing_has_one_id_wherever_it_stands(tmp_path):
    (one,), _ = found(written(tmp_path / "a", RAW))
    (_, other), _ = found(written(tmp_path / "b", SIMPLE | {"key_id": "7"}, RAW))
    (simple,), _ = found(written(tmp_path / "c", SIMPLE))
    assert one.drawing.drawing.id == other.drawing.drawing.id
    assert one.drawing.drawing.id != simple.drawing.drawing.id, "raw and simplified differ"


def test_a_drawing_of_a_screen_larger_than_any_canvas_is_made_smaller(tmp_path):
    wide = RAW | {"drawing": [[[0, 40_000], [0, 100], [0, 9]]]}
    (item,), _ = found(written(tmp_path, wide))
    canvas = item.drawing.drawing.canvas
    assert canvas.width == 10_000
    assert canvas.height == 25


def test_a_dot_has_the_least_canvas(tmp_path):
    (item,), _ = found(written(tmp_path, RAW | {"drawing": [[[3], [4], [0]]]}))
    assert item.drawing.drawing.canvas.width == 16


@pytest.mark.parametrize(
    "bad",
    [
        '{"word": "cat", "drawing": ',
        RAW | {"drawing": []},
        RAW | {"drawing": [[[1, 2], [1]]]},
        RAW | {"drawing": [[[], [], []]]},
        RAW | {"word": "猫"},
        {"word": "cat"},
    ],
)
def test_a_bad_line_is_told_with_its_number_and_the_others_are_read(tmp_path, bad):
    items, (skipped,) = found(written(tmp_path, RAW, bad, SIMPLE))
    assert len(items) == 2
    assert skipped.locator == "words.ndjson#2"
    assert skipped.error.code == "line-malformed"


def test_a_folder_of_words_is_read(tmp_path):
    written(tmp_path / "a", RAW)
    written(tmp_path / "b", SIMPLE)
    items, _ = found(tmp_path)
    assert [item.label for item in items] == ["the-eiffel-tower", "t-shirt"]
    assert items[0].contributor == "quickdraw.5152802093400064"

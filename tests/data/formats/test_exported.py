"""Our own export, read back: the same records, equal by hash."""

import base64

import msgspec
import pytest
from blake3 import blake3

from tests.data.formats.trees import folder, found, picture
from volano.data.formats import drawings
from volano.data.formats.items import Value
from volano.data.kinds import KINDS
from volano.schemas.common import utc_now
from volano.schemas.data import ExportedRecord
from volano.schemas.drawings import Drawing

PNG = picture()
ID = "01980e5c-7f3a-7c61-9d5e-2b6f0a4c8e11"


def record(**changes: object) -> ExportedRecord:
    facts = {
        "id": ID,
        "content": blake3(PNG).hexdigest(),
        "dataset": "pets",
        "kind": "image",
        "label": "Katze 猫",
        "split": "test",
        "group": "g7",
        "facts": {"media_type": "image/png", "name": "cat/1.png"},
        "data": base64.b64encode(PNG).decode(),
        "captured_at": utc_now(),
        "received_at": utc_now(),
    }
    return ExportedRecord(**facts | changes)


def written(root, *records: object):
    lines = (one if isinstance(one, bytes) else msgspec.json.encode(one) for one in records)
    return folder(root, {"all.jsonl": b"\n".join(lines) + b"\n"}) / "all.jsonl"


def test_a_record_comes_back_with_its_bytes_and_what_was_known_of_it(tmp_path):
    (item,), skipped = found(written(tmp_path, record()))

    assert item.read() == PNG
    assert (item.kind, item.media_type) == ("image", "image/png")
    assert (item.label, item.split, item.group) == ("Katze 猫", "test", "g7")
    assert (item.id, item.dataset, item.locator) == (ID, "pets", "cat/1.png")
    assert skipped == []


def test_a_text_comes_back_as_it_was(tmp_path):
    text = record(kind="text", data=None, text="größer\n", facts={"media_type": "text/plain"})
    (item,), _ = found(written(tmp_path, text))
    assert item.read() == "größer\n".encode()
    assert item.locator == "all.jsonl#1"


@pytest.mark.parametrize(
    "bad",
    [
        record(data=None),
        record(data="*"),
        record(fields={"photo": {"kind": "image", "bytes": 1}}, data=None),
        b'{"id": "1", "dataset": ',
        b"[]",
    ],
)
def test_a_record_that_cannot_come_back_is_told_with_its_line(tmp_path, bad):
    items, (skipped,) = found(written(tmp_path, record(), bad, record()))
    assert len(items) == 2
    assert skipped.locator == "all.jsonl#2"
    assert skipped.error.code == "line-malformed"


def exported(payload: bytes, **facts: object) -> Drawing:
    """A drawing as the export says it."""
    told = drawings.decode(payload)
    return Drawing(
        canvas=told.canvas,
        strokes=told.strokes,
        device=told.device,
        duration_ms=0.0,
        captured_at=utc_now(),
        received_at=utc_now(),
        **facts,
    )


def test_real_drawings_come_back_equal_by_hash(tmp_path, shared_data):
    given, _ = found(shared_data("strokes-omniglot-small1") / "strokes_background_small1.zip")
    few = [item.drawing for item in given[::20]]
    payloads = [drawings.encode(one.drawing).payload for one in few]
    lines = [
        exported(payload, id=one.drawing.id, shape=one.drawing.shape, contributor=one.contributor)
        for one, payload in zip(few, payloads, strict=True)
    ]

    back, skipped = found(written(tmp_path, *lines))

    again = [drawings.encode(item.drawing.drawing).payload for item in back]
    assert [blake3(one).digest() for one in again] == [blake3(one).digest() for one in payloads]
    assert [item.drawing.drawing.id for item in back] == [one.drawing.id for one in few]
    assert [item.drawing.contributor for item in back] == [one.contributor for one in few]
    assert skipped == []


def test_a_drawing_of_another_dataset_comes_back_as_a_record_of_it(tmp_path, shared_data):
    (one, *_), _ = found(shared_data("strokes-omniglot-small1") / "strokes_background_small1.zip")
    payload = drawings.encode(one.drawing.drawing).payload
    line = exported(payload, id=ID, dataset="sketches", shape="Katze 猫", split="test")

    (item,), _ = found(written(tmp_path, line))

    assert item.drawing is None
    assert (item.id, item.dataset, item.label, item.split) == (ID, "sketches", "Katze 猫", "test")
    assert KINDS["drawing"].read(item.read(), item.media_type).payload == payload


def test_a_record_of_several_fields_comes_back_with_each(tmp_path):
    whole = record(
        data=None,
        fields={
            "photo": {"kind": "image", "bytes": len(PNG), "facts": {"media_type": "image/png"}},
            "caption": {"kind": "text", "bytes": 6, "facts": {"media_type": "text/plain"}},
        },
        values={
            "photo": {"data": base64.b64encode(PNG).decode()},
            "caption": {"text": "A cat."},
        },
    )
    (item,), _ = found(written(tmp_path, whole))
    assert item.fields == {
        "photo": Value("image", "image/png", PNG),
        "caption": Value("text", "text/plain", b"A cat."),
    }
    assert item.read() == PNG + b"A cat."


def test_what_was_stated_of_a_record_comes_back_with_it(tmp_path):
    boxes = [{"label": "cat", "box": [0, 0, 4, 4]}]
    (item,), _ = found(written(tmp_path, record(attributes={"boxes": boxes})))
    assert item.attributes == {"boxes": boxes}

"""Every kind reads what it says it takes, and refuses the rest."""

import io
import json

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.stages import drawing
from volano.data.kinds import KINDS
from volano.data.kinds.drawing import ENCODED
from volano.data.kinds.kind import Span
from volano.schemas.datasets import ContentUnreadable, NoPreview, TextUnreadable


def parquet(rows: list[dict[str, object]]) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), made)
    return made.getvalue()


ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("text/csv", b"a,b\n1,x\n2,\n"),
        ("text/csv", b"\xef\xbb\xbfa,b\r\n1,x\r\n2,\r\n"),
        ("application/json", json.dumps(ROWS).encode()),
        ("application/x-ndjson", b"\n".join(json.dumps(row).encode() for row in ROWS)),
        ("application/vnd.apache.parquet", parquet(ROWS)),
        ("", parquet(ROWS)),
    ],
)
def test_a_table_is_the_same_rows_whatever_it_came_as(media_type: str, data: bytes) -> None:
    reading = KINDS["table"].read(data, media_type)
    rows = [json.loads(line) for line in reading.payload.splitlines()]
    assert [row["a"] for row in rows] == [1, 2]
    assert rows[0]["b"] == "x"
    assert not rows[1]["b"]
    assert reading.facts["rows"] == 2
    assert reading.facts["columns"] == 2


@pytest.mark.parametrize("data", [b"", b"PAR1 torn", b"[1, 2]", b'{"a": '])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(ContentUnreadable):
        KINDS["table"].read(data, "application/json" if data[:1] in (b"[", b"{") else "")


def test_a_preview_of_a_table_is_its_first_rows_as_csv() -> None:
    payload = KINDS["table"].read(json.dumps(ROWS).encode(), "application/json").payload
    assert KINDS["table"].preview(payload, 64).data == b"a,b\n1,x\n2,\n"


def test_a_text_is_counted_and_loses_its_byte_order_mark() -> None:
    reading = KINDS["text"].read(b"\xef\xbb\xbf" + "zwei Wörter\n猫".encode(), "text/plain")
    assert reading.payload.decode() == "zwei Wörter\n猫"
    assert reading.facts["characters"] == 13
    assert reading.facts["words"] == 3
    assert reading.facts["lines"] == 2


@pytest.mark.parametrize(("data", "position"), [(b"ab\xff", 2), (b"a\0", 1)])
def test_what_is_no_text_is_refused_with_its_place(data: bytes, position: int) -> None:
    with pytest.raises(TextUnreadable) as refused:
        KINDS["text"].read(data, "text/plain")
    assert refused.value.facts["position"] == position


def test_a_drawing_needs_neither_an_id_nor_a_shape_in_a_dataset() -> None:
    given = msgspec.to_builtins(drawing("square"))
    del given["id"], given["shape"]
    reading = KINDS["drawing"].read(msgspec.json.encode(given), "application/json")
    again = KINDS["drawing"].read(reading.payload, ENCODED)
    assert reading.facts["points"] == 25
    assert again.payload == reading.payload
    assert KINDS["drawing"].preview(reading.payload, 64).media_type == "image/png"
    assert KINDS["drawing"].score(reading.payload, reading.facts).score > 0.5


def test_a_drawing_that_is_none_is_refused() -> None:
    with pytest.raises(ContentUnreadable):
        KINDS["drawing"].read(b'{"strokes": 3}', "application/json")


def test_a_file_is_kept_as_it_is_and_has_no_preview() -> None:
    reading = KINDS["file"].read(b"ID3\x03 sound", "audio/mpeg")
    assert reading.payload == b"ID3\x03 sound"
    assert reading.facts == {"media_type": "audio/mpeg"}
    with pytest.raises(NoPreview):
        KINDS["file"].preview(reading.payload, 64)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_payload_in_a_blob_is_not_looked_into_by_the_scorer(kind) -> None:  # type: ignore[no-untyped-def]
    quality = kind.score(b"", {"width": 64, "height": 64, "words": 1})
    assert 0 <= quality.score <= 1


def test_a_span_is_its_part_of_the_payload() -> None:
    span = Span(name="b", kind="text", start=2, length=3, facts={})
    assert span.of(b"aabbbcc") == b"bbb"

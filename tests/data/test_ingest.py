"""Between arrival and shelf a record keeps what it is."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.core.segments.inbox import Row
from volano.data.ingest import (
    Head,
    decode_head,
    encode_head,
    flags_list,
    flags_text,
    read,
    shelf_rows,
    table,
)
from volano.data.ingest import waiting_record as waiting
from volano.data.kinds import Kind
from volano.data.kinds.drawing import DRAWING
from volano.schemas.data import Quality, QualityPart, UnknownRecordKind

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 125_000, UTC)

HEAD = Head(
    kind="drawing",
    label="square",
    contributor="ada",
    origin="",
    device="pen",
    captured_at=MOMENT,
    strokes=1,
    points=2,
    duration_ms=1.0,
    flags=[],
)

_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)

_heads = st.builds(
    Head,
    kind=st.just("drawing"),
    label=st.sampled_from(["square", "circle"]),
    contributor=_TEXTS,
    origin=_TEXTS,
    device=st.sampled_from(["mouse", "pen"]),
    captured_at=st.just(MOMENT),
    strokes=st.integers(1, 9),
    points=st.integers(1, 99),
    duration_ms=st.floats(0, 1e6, width=32),
    flags=st.lists(st.sampled_from(["off-canvas", "time-normalised"]), unique=True),
)


def _row(head: Head, number: int = 0) -> Row:
    key = f"00000000-0000-7000-8000-{number:012}"
    return Row(key, bytes([number] * 32), encode_head(head), b"payload", "ada", 1_700_000_000_123)


def _rated(score: float) -> dict[str, Kind]:
    """Return kinds of which a drawing has this score."""
    quality = _quality(score)
    return {"drawing": replace(DRAWING, score=lambda payload, facts: quality)}


def _quality(score: float) -> Quality:
    part = QualityPart(name="size", value=score, reason="small")
    return Quality(score=score, parts=[part], scorer_version="1")


@given(_heads)
def test_a_head_reads_back_as_it_was_written(head: Head) -> None:
    assert decode_head(encode_head(head)) == head


@given(st.lists(_heads, min_size=1, max_size=5))
def test_index_and_segment_say_the_same_of_every_row_in_the_same_order(heads: list[Head]) -> None:
    rows = [_row(head, number) for number, head in enumerate(heads)]
    scored = [read(row, _rated(0.25)) for row in rows]
    columns = table(rows, scored).to_pylist()
    index = shelf_rows(rows, scored, "seg_1")
    assert [one["row"] for one in index] == list(range(len(rows)))
    for name in ("id", "dataset", "kind", "label", "contributor", "origin", "device"):
        assert [one[name] for one in index] == [one[name] for one in columns]
    assert [flags_list(one["flags"]) for one in index] == [one["flags"] for one in columns]
    assert {one["captured_at"] for one in columns + index} == {MOMENT}
    assert {one["quality"] for one in columns + index} == {0.25}


def test_a_text_with_a_nul_is_not_put_on_the_shelf() -> None:
    """Neither database could be asked for it afterwards."""
    head = Head(
        kind="drawing",
        label="square",
        contributor="a\0b",
        origin="",
        device="pen",
        captured_at=MOMENT,
        strokes=1,
        points=2,
        duration_ms=1.0,
        flags=[],
    )
    with pytest.raises(ValueError, match="NUL"):
        read(_row(head), _rated(0.25))


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_score_that_is_none_does_not_get_onto_the_shelf(score: float) -> None:
    wrong = Quality(score=score, parts=[], scorer_version="1")
    kinds = {"drawing": replace(DRAWING, score=lambda payload, facts: wrong)}
    with pytest.raises(msgspec.ValidationError):
        read(_row(HEAD), kinds)


def test_a_record_of_a_kind_that_is_not_known_is_not_put_on_the_shelf() -> None:
    with pytest.raises(UnknownRecordKind, match="hologram"):
        read(_row(msgspec.structs.replace(HEAD, kind="hologram")))


def test_a_head_of_before_there_were_datasets_is_a_drawing_of_the_game() -> None:
    before = msgspec.msgpack.encode(msgspec.structs.astuple(HEAD)[:-1])
    head = decode_head(before)
    assert head.dataset == "drawings"
    assert head.facts == {"strokes": 1, "points": 2, "duration_ms": 1.0}


@given(_heads)
def test_a_record_that_waits_shows_its_facts_and_no_score_yet(head: Head) -> None:
    row = _row(head)
    record = waiting(row)
    assert record.id == row.key
    assert record.content == row.content.hex()
    assert record.label == head.label
    assert record.flags == head.flags
    assert record.quality is None
    assert round(record.received_at.timestamp() * 1000) == row.received_ms


@pytest.mark.parametrize("flags", [[], ["off-canvas"], ["off-canvas", "time-normalised"]])
def test_flags_survive_their_column(flags: list[str]) -> None:
    assert flags_list(flags_text(flags)) == flags

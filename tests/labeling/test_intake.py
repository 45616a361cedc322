"""Intake: what the wire brings becomes a row, or an error with a stable code."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.stages import drawing
from volano.core.segments.inbox import Row
from volano.core.settings import Settings
from volano.data.formats import drawings
from volano.data.ingest import decode_head
from volano.labeling import service
from volano.labeling.service import Contributor, Incoming, IntakeBatcher, PackedDrawing
from volano.schemas.common import UnreadableBody
from volano.schemas.drawings import BadDrawingId, NewDrawing, Point, Stroke
from volano.schemas.errors import VolanoError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Contributor("ada")


def _row(new: Incoming, by: Contributor = ADA, *, now: datetime = NOW, **settings: Any) -> Row:
    """The row of a drawing, or the error that refuses it."""
    (found,) = service.make_rows([(new, by)], service.limits(Settings(**settings)), now)
    if isinstance(found, VolanoError):
        raise found
    return found


def _packed(new: NewDrawing) -> PackedDrawing:
    return PackedDrawing(new.id, new.shape, drawings.encode(new).payload)


def _line(*points: Point) -> NewDrawing:
    return drawing(strokes=[Stroke(points=list(points))])


def _at(x: float = 5.0, y: float = 5.0, timestamp: float = 0.0) -> Point:
    return Point(x=x, y=y, timestamp=timestamp)


def test_a_drawing_and_its_packed_twin_are_one_row() -> None:
    new = drawing("circle", seed=3)
    assert _row(new) == _row(_packed(new))


def test_the_contributor_is_in_the_head_and_the_subject() -> None:
    row = _row(drawing(), Contributor("ada", "elsewhere"))
    head = decode_head(row.head)
    assert row.subject == "ada"
    assert head.contributor == "ada"
    assert head.origin == "elsewhere"


@pytest.mark.parametrize("packed", [False, True], ids=["json", "packed"])
def test_an_id_in_upper_case_names_the_same_record_as_in_lower_case(packed: bool) -> None:
    new = drawing()
    shouted = msgspec.structs.replace(new, id=new.id.upper())
    assert _row(_packed(shouted) if packed else shouted) == _row(new)


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (drawing(id="1"), "bad-drawing-id"),
        (drawing(id=f"{{{uuid.uuid4()}}}"), "bad-drawing-id"),
        (drawing(strokes=[]), "drawing-empty"),
        (_line(), "drawing-empty"),
        (_line(_at(x=float("nan"))), "point-not-finite"),
        (_line(_at(y=float("inf"))), "point-not-finite"),
        (_line(_at(x=-5_000)), "point-off-canvas"),
        (_line(_at(timestamp=-1)), "bad-timestamp"),
        (_line(_at(), _at(timestamp=48 * 3600 * 1000)), "drawing-too-long"),
    ],
)
def test_what_is_refused_has_a_stable_code_and_a_remedy(new: NewDrawing, code: str) -> None:
    with pytest.raises(VolanoError) as refused:
        _row(new)
    assert refused.value.code == code
    assert refused.value.advice


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"drawing_max_points": 10}, "too-many-points"),
        ({"drawing_max_strokes": 1}, "too-many-strokes"),
        ({"drawing_max_bytes": 20}, "drawing-too-large"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["json", "packed"])
def test_the_limits_of_the_server_hold_for_both_forms(
    limit: dict[str, int], code: str, packed: bool
) -> None:
    points = [_at(x=x * 7 % 150, timestamp=x * 10) for x in range(12)]
    new = drawing(strokes=[Stroke(points=points[:6]), Stroke(points=points[6:])])
    with pytest.raises(VolanoError) as refused:
        _row(_packed(new) if packed else new, **limit)
    assert refused.value.code == code


def test_of_many_drawings_each_is_a_row_or_says_why_not() -> None:
    good, packed = drawing("circle", seed=1), _packed(drawing("square", seed=2))
    given: list[Incoming] = [
        good,
        PackedDrawing(drawing().id, "square", b"nonsense"),
        packed,
        drawing(id="1"),
        PackedDrawing("1", "square", packed.payload),
        PackedDrawing(drawing().id, "square", bytes(1 << 20)),
        packed,
    ]
    found = service.make_rows([(new, ADA) for new in given], service.limits(Settings()), NOW)
    told = [one.key if isinstance(one, Row) else one.code for one in found]
    assert told == [
        good.id,
        "unknown-codec-version",
        packed.id,
        "bad-drawing-id",
        "bad-drawing-id",
        "drawing-too-large",
        packed.id,
    ]


async def test_requests_that_arrive_together_are_each_told_of_their_own() -> None:
    batcher = IntakeBatcher(service.limits(Settings()))
    # More than one pass takes, of both kinds, some of them refused.
    brought: list[list[Incoming]] = [
        [drawing(seed=n), drawing(id=str(n)), _packed(drawing(seed=n))] for n in range(20)
    ]
    told = await asyncio.gather(*(batcher.rows([(one, ADA) for one in some]) for some in brought))
    for some, (drawn, refused, packed) in zip(brought, told, strict=True):
        assert isinstance(drawn, Row)
        assert isinstance(packed, Row)
        assert [drawn.key, packed.key] == [some[0].id, some[2].id]
        assert isinstance(refused, BadDrawingId)


async def test_a_request_that_gives_up_waiting_takes_no_other_along() -> None:
    batcher, new = IntakeBatcher(service.limits(Settings())), drawing()
    leaving = asyncio.create_task(batcher.rows([(drawing(), ADA)]))
    staying = asyncio.create_task(batcher.rows([(new, ADA)]))
    await asyncio.sleep(0)
    leaving.cancel()
    (row,) = await staying
    assert isinstance(row, Row)
    assert row.key == new.id
    with pytest.raises(asyncio.CancelledError):
        await leaving


@pytest.mark.parametrize("payload", [b"", b"\x01", b"nonsense", bytes(1000)])
def test_bytes_that_are_no_drawing_are_refused(payload: bytes) -> None:
    with pytest.raises(VolanoError) as refused:
        _row(PackedDrawing(drawing().id, "square", payload))
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (datetime(2025, 5, 5, 5, 5, 5, 125_000, UTC), datetime(2025, 5, 5, 5, 5, 5, 125_000, UTC)),
        (NOW + timedelta(hours=23), NOW + timedelta(hours=23)),
        (NOW + timedelta(hours=25), NOW),
        (NOW + timedelta(hours=24), NOW + timedelta(hours=24)),
        (NOW + timedelta(hours=24, milliseconds=1), NOW),
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), NOW),
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)),
        (datetime(1999, 12, 31, 23, 59, 59, 999_000, UTC), NOW),
    ],
    ids=["a date", "fast", "future", "a day", "a day and 1 ms", "page load", "2000", "1999"],
)
def test_a_drawing_is_of_when_it_was_drawn_where_its_clock_shows_a_date(
    start: datetime, expected: datetime
) -> None:
    first = start.timestamp() * 1000
    new = _line(_at(timestamp=first), _at(timestamp=first + 500))
    assert {decode_head(_row(one).head).captured_at for one in (new, _packed(new))} == {expected}


def test_a_moment_has_whole_milliseconds_as_it_is_stored() -> None:
    odd = NOW.replace(microsecond=123_456)
    row = _row(drawing(), now=odd)
    assert decode_head(row.head).captured_at.microsecond == 123_000


def _body(*batch: Any) -> bytes:
    return msgspec.msgpack.encode(batch)


def test_a_binary_batch_is_a_list_of_id_shape_and_payload() -> None:
    one = _packed(drawing())
    for count in (1, 2, 50):
        body = _body(*[[one.id, one.shape, one.payload]] * count)
        assert service.unpack(body) == [one] * count


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"{}",
        _body(),
        _body(*[["id", "square", b""]] * 51),
        _body(["id", "square"]),
        _body(["id", 5, b""]),
        msgspec.msgpack.encode([["id", "s", b"x"]])[:-1],
        b"\x91\x93\xa2\xff\xfe\xa1s\xc4\x01x",
    ],
    ids=["empty", "no msgpack", "a map", "none", "51", "short", "types", "torn", "no UTF-8"],
)
def test_a_body_that_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        service.unpack(body)


def test_a_drawing_with_timestamps_in_seconds_is_dated_by_them() -> None:
    start = datetime(2025, 5, 5, 5, 5, 5, tzinfo=UTC)
    times = [start.timestamp() + n / 60 for n in range(61)]
    head = decode_head(_row(_line(*[_at(x=n, timestamp=t) for n, t in enumerate(times)])).head)
    assert head.flags == ["timestamps-in-seconds"]
    assert head.duration_ms == 1000
    assert head.captured_at == start

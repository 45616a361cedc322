"""A row of a segment costs one ranged read once its footer is known."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.segments.streams import HOME, CountingBlobs
from volano.core.blobs import Blobs
from volano.core.segments.parquet import ROW_GROUP, Place, Segments, encode

ROWS = 2 * ROW_GROUP + 7


def _table(rows: int = ROWS, columns: int = 1) -> pa.Table:
    more = {f"fact_{n}": pa.array(range(rows), pa.int64()) for n in range(columns)}
    payload = [f"payload {number}".encode() * 3 for number in range(rows)]
    tags = pa.array([["a", "b"]] * rows, pa.list_(pa.string()))
    return pa.table(
        {"id": [_key(n) for n in range(rows)], **more, "tags": tags, "payload": payload}
    )


def _key(number: int) -> str:
    return f"{number:08d}"


@pytest.fixture
def counting(blobs: Blobs) -> CountingBlobs:
    """An empty store that counts what is read."""
    return CountingBlobs(blobs)


async def _stored(blobs: Blobs, table: pa.Table) -> tuple[str, int]:
    data = encode(table)
    return await blobs.put(HOME, data), len(data)


async def test_the_first_value_costs_two_reads_and_every_other_one(counting: CountingBlobs) -> None:
    blob, size = await _stored(counting, _table())
    reader = Segments(counting)
    numbers = [0, 1, ROW_GROUP - 1, ROW_GROUP, ROWS - 1]
    values = [await reader.value(HOME, Place(blob, size, n), "payload") for n in numbers]
    assert [f"payload {n}".encode() * 3 for n in numbers] == values
    assert 1 + len(numbers) == len(counting.reads)
    assert all(0 < length < size for length in counting.reads[1:])


async def test_a_footer_larger_than_the_guess_costs_one_read_more(counting: CountingBlobs) -> None:
    blob, size = await _stored(counting, _table(rows=60_000, columns=30))
    value = await Segments(counting).value(HOME, Place(blob, size, 59_999), "payload")
    assert value == b"payload 59999" * 3
    assert len(counting.reads) == 3


async def test_the_footers_read_last_are_kept(counting: CountingBlobs) -> None:
    places = [Place(*await _stored(counting, _table(rows)), 0) for rows in (5, 6, 7)]
    footer = pq.read_metadata(io.BytesIO(encode(_table(7)))).serialized_size
    reader = Segments(counting, footers=2 * footer + footer // 2)
    for place in (*places[:2], places[0], places[2], places[0]):
        await reader.value(HOME, place, "payload")
    assert len(counting.reads) == 3 + 5
    await reader.value(HOME, places[1], "payload")  # the least recently used went
    assert len(counting.reads) == 3 + 5 + 2


async def test_a_footer_larger_than_all_room_is_kept_alone(counting: CountingBlobs) -> None:
    place = Place(*await _stored(counting, _table(5)), 0)
    reader = Segments(counting, footers=1)
    for _ in range(3):
        await reader.value(HOME, place, "payload")
    assert len(counting.reads) == 1 + 3


@pytest.mark.parametrize("after", [-1, 0, 1022, 1023, 1024, 2046, 2047, 2050, ROWS - 2, ROWS - 1])
@pytest.mark.parametrize("limit", [1, 2, 1024, 1025, ROWS])
async def test_the_rows_after_a_key_are_one_read(
    counting: CountingBlobs, after: int, limit: int
) -> None:
    blob, size = await _stored(counting, _table())
    reader = Segments(counting)
    key = _key(after) if after >= 0 else ""
    expected = [_key(number) for number in range(ROWS)][after + 1 :][:limit]
    for between in (key, key + "-"):
        found = await reader.following(HOME, blob, size, key=between, column="id", limit=limit)
        assert found["id"].to_pylist() == expected
    assert len(counting.reads) == 1 + 2 * bool(expected)
    if limit == 1 and expected:
        assert all(0 < length < size for length in counting.reads[1:])


async def test_a_row_is_looked_up_by_the_statistics_of_its_row_group(
    counting: CountingBlobs,
) -> None:
    blob, size = await _stored(counting, _table())
    found = await Segments(counting).lookup(HOME, blob, size, key=_key(ROW_GROUP + 3))
    assert found is not None
    assert found["id"] == _key(ROW_GROUP + 3)
    assert found["fact_0"] == ROW_GROUP + 3
    assert found["tags"] == ["a", "b"]
    assert len(counting.reads) == 2


@pytest.mark.parametrize(("key", "reads"), [("00000003x", 2), ("zzz", 1)])
async def test_a_key_that_is_not_there_costs_at_most_one_row_group(
    counting: CountingBlobs, key: str, reads: int
) -> None:
    blob, size = await _stored(counting, _table())
    assert await Segments(counting).lookup(HOME, blob, size, key=key) is None
    assert reads == len(counting.reads)


async def test_a_whole_segment_is_one_read_and_comes_in_order(counting: CountingBlobs) -> None:
    blob, _ = await _stored(counting, _table())
    batches = await _all(Segments(counting).batches(HOME, blob, ["id"]))
    assert [_key(n) for n in range(ROWS)] == [id for b in batches for id in b["id"].to_pylist()]
    assert counting.reads == [-1]


async def _all(batches: AsyncIterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return [batch async for batch in batches]


def test_equal_tables_give_equal_bytes() -> None:
    assert encode(_table()) == encode(_table())


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_what_is_written_reads_back(payloads: list[bytes]) -> None:
    written = pa.table({"payload": pa.array(payloads, pa.binary())})
    assert pq.read_table(io.BytesIO(encode(written)))["payload"].to_pylist() == payloads


def test_any_engine_can_read_a_segment(tmp_path: Path) -> None:
    path = tmp_path / "segment.parquet"
    path.write_bytes(encode(_table(10)))
    assert pq.ParquetFile(path).metadata.num_rows == 10

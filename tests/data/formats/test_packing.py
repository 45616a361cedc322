"""Packing: varints read back as written, in as few bytes as can be; pressure is bounded."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from volano.data.formats import packing
from volano.schemas.drawings import CodecError, PayloadMalformed

numbers = st.integers(0, 300) | st.integers(0, 2**14 - 1) | st.integers(0, 2**32 - 1)


def one_by_one(values):
    written = bytearray()
    for value in values:
        packing.append_varint(written, value)
    return bytes(written)


@given(st.lists(numbers, min_size=1, max_size=40))
@example([127])
@example([128, 0, 127])
@example([16383, 0, 128])
@example([16384, 1, 128])
@example([2**32 - 1])
def test_many_numbers_are_written_as_one_by_one_and_read_back(values):
    body = packing.write_varints(np.array(values, np.int64), [len(values)])[0]
    assert body == one_by_one(values)
    assert packing.read_varints(np.frombuffer(body, np.uint8)).tolist() == values


@pytest.mark.parametrize("value", [-1, 2**32, 2**62])
def test_a_number_that_no_column_holds_is_refused(value):
    with pytest.raises(PayloadMalformed):
        packing.write_varints(np.array([5, value], np.int64), [2])


columns = st.integers(1, 6).flatmap(
    lambda points: st.lists(
        st.lists(numbers, min_size=points, max_size=points), min_size=3, max_size=3
    )
)


@given(st.lists(columns, min_size=1, max_size=5))
def test_the_sums_of_columns_are_those_of_their_numbers(drawings):
    for _, _, t in drawings:
        t[0] = 0
    bodies = [one_by_one([*x, *y, *t]) for x, y, t in drawings]
    expected = [[sum(column) for column in drawing] for drawing in drawings]
    assert packing.sum_columns(bodies, [len(x) for x, _, _ in drawings]) == expected


@given(st.lists(st.binary(min_size=3, max_size=30), min_size=1, max_size=4), st.data())
def test_sums_are_given_exactly_where_every_body_is_sound(bodies, data):
    points = [data.draw(st.integers(1, len(body) // 3)) for body in bodies]
    found = packing.sum_columns(bodies, points)
    expected = [read(body, n) for body, n in zip(bodies, points, strict=True)]
    assert found == (None if None in expected else expected)


def read(body, points):
    try:
        values = packing.read_varints(np.frombuffer(body, np.uint8))
    except CodecError:
        return None
    if len(values) != 3 * points or values[2 * points]:
        return None
    return values.reshape(3, points).sum(axis=1).tolist()

"""Varints: what is written reads back, in as few bytes as can be."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from volano.data.formats import varints
from volano.schemas.data import CodecError, PayloadMalformed

numbers = st.integers(0, 300) | st.integers(0, 2**14 - 1) | st.integers(0, 2**32 - 1)


def one_by_one(values):
    written = bytearray()
    for value in values:
        varints.append(written, value)
    return bytes(written)


@given(st.lists(numbers, min_size=1, max_size=40))
@example([127])
@example([128, 0, 127])
@example([16383, 0, 128])
@example([16384, 1, 128])
@example([2**32 - 1])
def test_many_numbers_are_written_as_one_by_one_and_read_back(values):
    body = varints.encode(np.array(values, np.int64))
    assert one_by_one(values) == body
    assert values == varints.decode(np.frombuffer(body, np.uint8)).tolist()


@pytest.mark.parametrize("value", [-1, 2**32, 2**62])
def test_a_number_that_no_column_holds_is_refused(value):
    with pytest.raises(PayloadMalformed):
        varints.encode(np.array([5, value], np.int64))


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
    assert expected == varints.sums(bodies, [len(x) for x, _, _ in drawings])


@given(st.lists(st.binary(min_size=3, max_size=30), min_size=1, max_size=4), st.data())
def test_sums_are_given_exactly_where_every_body_is_sound(bodies, data):
    points = [data.draw(st.integers(1, len(body) // 3)) for body in bodies]
    found = varints.sums(bodies, points)
    expected = [read(body, n) for body, n in zip(bodies, points, strict=True)]
    assert (None if None in expected else expected) == found


def read(body, points):
    try:
        values = varints.decode(np.frombuffer(body, np.uint8))
    except CodecError:
        return None
    if len(values) != 3 * points or values[2 * points]:
        return None
    return values.reshape(3, points).sum(axis=1).tolist()

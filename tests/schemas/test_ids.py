"""Ids and names: unique, in order, and nothing hides in them."""

import threading
import time
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.schemas.common import Id, Name, Uuid, is_uuid, new_id, uuid7

UUID = "01a1fd59-4423-78e1-a2b3-59f4312e8f81"


def test_ids_increase_also_when_made_within_a_microsecond() -> None:
    made = [uuid7() for _ in range(5000)]

    assert sorted(made) == made
    assert len(set(made)) == len(made)


def test_threads_never_make_the_same_id_and_each_sees_its_own_increase() -> None:
    made: list[list[uuid.UUID]] = [[] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda to=to: to.extend(uuid7() for _ in range(500))) for to in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id for ids in made for id in ids}) == 4000
    assert all(sorted(ids) == ids for ids in made)


def test_an_id_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    # Ties go up by one step of 1/4096 ms each, so an id may be a little ahead of the clock.
    assert before <= made.int >> 80 <= after + 5
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_names_of_things_sort_by_their_making_and_say_their_kind() -> None:
    made = [new_id("run") for _ in range(100)]

    assert sorted(made) == made
    assert all(id.startswith("run_") and len(id) == 36 for id in made)
    assert made == [msgspec.convert(id, Id) for id in made]


@given(st.uuids())
def test_a_uuid_is_known_in_its_one_form(one: uuid.UUID) -> None:
    assert is_uuid(str(one))
    assert str(one) == msgspec.convert(str(one), Uuid)
    for other in (str(one).upper(), one.hex, f"{{{one}}}", f"{one}\n", f" {one}", one.urn):
        assert not is_uuid(other) or other == str(one)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (Id, ""), (Id, "a b"), (Id, "a\n"), (Id, "../a"), (Id, "a\0"), (Id, "é"), (Id, "a" * 65),
        (Name, ""), (Name, "Ab"), (Name, "-a"), (Name, ".a"), (Name, "a\n"), (Name, "a" * 101),
        (Name, "a/b"), (Uuid, "x"), (Uuid, f"{UUID}\n"), (Uuid, UUID.upper()), (Uuid, UUID[:-1]),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(shape: object, text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, shape)


@pytest.mark.parametrize("text", ["a", "0", "a.b-c_d", "a" * 100])
def test_names_that_people_give_are_kept_as_they_are(text: str) -> None:
    assert msgspec.convert(text, Name) == text

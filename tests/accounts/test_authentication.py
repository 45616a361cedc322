"""The memory of verified keys."""

from hypothesis import given
from hypothesis import strategies as st

from volano.accounts.authentication import KeyCache
from volano.schemas.accounts import Who


def who(key: str, member: str = "mem_1") -> Who:
    return Who(workspace="ws_1", role="developer", member=member, key=key)


def remembering(*keys: Who, most: int = 100) -> KeyCache:
    key_cache = KeyCache(5.0, most)
    for key in keys:
        key_cache.keep(key.key.encode(), key, until=10.0, revocations=0)
    return key_cache


@given(st.floats(0, 20))
def test_a_verdict_is_trusted_until_its_time_and_no_longer(now: float) -> None:
    found = remembering(who("k")).find(b"k", now)

    assert found == (who("k") if now < 10.0 else None)


def test_another_hash_is_not_found() -> None:
    assert remembering(who("k")).find(b"other", 0.0) is None


def test_a_revoked_key_is_forgotten_and_the_others_are_not() -> None:
    key_cache = remembering(who("a"), who("b"))

    key_cache.forget(key="a")

    assert key_cache.find(b"a", 0.0) is None
    assert key_cache.find(b"b", 0.0) == who("b")


def test_all_keys_of_a_changed_member_are_forgotten() -> None:
    key_cache = remembering(who("a", "mem_1"), who("b", "mem_1"), who("c", "mem_2"))

    key_cache.forget(member="mem_1")

    assert [key_cache.find(k, 0.0) for k in (b"a", b"b", b"c")] == [None, None, who("c", "mem_2")]


def test_a_row_read_before_a_revocation_is_not_remembered_after_it() -> None:
    key_cache = KeyCache(5.0)
    before = key_cache.revocations
    key_cache.forget(key="k")

    key_cache.keep(b"k", who("k"), until=10.0, revocations=before)

    assert key_cache.find(b"k", 0.0) is None


@given(st.lists(st.integers(0, 50), max_size=200))
def test_memory_is_bounded_and_keeps_the_most_recent(keys: list[int]) -> None:
    key_cache = remembering(*(who(str(k)) for k in keys), most=10)

    recent = list(dict.fromkeys(reversed(keys)))[:10]
    assert len(key_cache) == len(recent)
    assert all(key_cache.find(str(k).encode(), 0.0) for k in recent)

"""The text of API keys."""

from hypothesis import given
from hypothesis import strategies as st

from volano.accounts import keys
from volano.accounts.secrets import Pepper

entropies = st.binary(min_size=keys.ENTROPY, max_size=keys.ENTROPY)
texts = st.text("0123456789abcXYZ_vol", max_size=80) | st.text(max_size=80)


def other_letters(text: str) -> st.SearchStrategy[str]:
    """The text with one letter replaced by another one."""
    return st.builds(
        lambda at, letter: text[:at] + letter + text[at + 1 :],
        st.integers(0, len(text) - 1),
        st.sampled_from("0123456789ABCxyz_-ſ"),
    ).filter(lambda changed: changed != text)


@given(entropies)
def test_a_key_has_the_shape_that_scanners_look_for(entropy: bytes) -> None:
    vol, id_, secret, crc = keys.mint(entropy).split("_")

    assert (vol, len(id_), len(secret), len(crc)) == ("vol", 12, 43, 6)


@given(entropies)
def test_a_minted_key_reads_back_as_its_id_and_secret(entropy: bytes) -> None:
    text = keys.mint(entropy)

    assert keys.Parts(f"key_{text[4:16]}", text[17:60]) == keys.parse(text)


@given(entropies, entropies)
def test_different_entropy_makes_different_keys(one: bytes, other: bytes) -> None:
    assert (one == other) == (keys.mint(one) == keys.mint(other))


@given(st.data(), entropies)
def test_one_wrong_letter_is_refused_without_a_lookup(data: st.DataObject, entropy: bytes) -> None:
    assert keys.parse(data.draw(other_letters(keys.mint(entropy)))) is None


@given(texts)
def test_nonsense_is_no_key(text: str) -> None:
    assert keys.parse(text) is None


def test_a_line_end_behind_a_key_is_refused() -> None:
    assert keys.parse(keys.mint(bytes(40)) + "\n") is None


def test_the_smallest_and_the_largest_entropy_fill_the_same_width() -> None:
    assert keys.mint(bytes(40))[:-7] == "vol_000000000000_" + "0" * 43
    assert len(keys.mint(b"\xff" * 40)) == len(keys.mint(bytes(40)))


@given(entropies, st.binary(min_size=1, max_size=32), st.binary(min_size=1, max_size=32))
def test_what_is_stored_depends_on_the_pepper(entropy: bytes, one: bytes, other: bytes) -> None:
    parts = keys.parse(keys.mint(entropy))
    assert parts is not None

    # HMAC pads a key with zeros: keys that differ only in those are one key.
    same = one.rstrip(b"\0") == other.rstrip(b"\0")
    assert same == (keys.stored(Pepper(one), parts) == keys.stored(Pepper(other), parts))


def test_a_key_made_of_known_bytes_is_this_text_for_ever() -> None:
    made = keys.mint(bytes(range(40)))

    assert made == "vol_0001IYT0XLWR_1u8QmlquE1rQpeqoulx6MZVGVGgufeog3UsDEHmrG2p_15kn7w"

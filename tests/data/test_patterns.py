"""Patterns of names: one meaning in Python and in SQL."""

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volano.core.db import Database
from volano.data.patterns import beginning, behind, like, matches

_TEXTS = st.text(st.sampled_from("ab*?[]!-%_\\.^$|(){}+ é李\n"), max_size=6)


@pytest.mark.parametrize(
    ("name", "patterns", "fits"),
    [
        ("latin-07", ["latin-*"], True),
        ("latin-07", ["latin-0?"], True),
        ("latin-07", ["latin-?"], False),
        ("latin-07", ["atin-07"], False),
        ("Latin-07", ["latin-*"], False),
        ("greek-07", ["latin-*", "*07"], True),
        ("greek-07", [], False),
        ("team[1]", ["team[1]"], True),
        ("team1", ["team[1]"], False),
        ("team[1]", ["team[?]"], True),
        ("team[12]", ["team[*"], True),
        ("a\\b", ["a\\b"], True),
        ("100%", ["100%"], True),
        ("100x", ["100%"], False),
        ("a_b", ["a_b"], True),
        ("axb", ["a_b"], False),
        ("two\nlines", ["two*"], True),
    ],
)
def test_a_star_and_a_question_mark_stand_for_others_and_all_else_for_itself(
    name: str, patterns: list[str], fits: bool
) -> None:
    assert matches(name, patterns) == fits


@given(_TEXTS, _TEXTS)
def test_what_fits_begins_as_the_pattern_does(name: str, pattern: str) -> None:
    if matches(name, [pattern]):
        assert name.startswith(beginning(pattern))
    if "*" not in pattern and "?" not in pattern:
        assert matches(name, [pattern]) == (name == pattern)


_STARTS = st.text(st.sampled_from("az\ud7ff\ue000\uffff\U00010000\U0010ffff"), min_size=1)


@given(_STARTS.filter(lambda start: start.strip("\U0010ffff")), _STARTS, _STARTS)
def test_what_begins_with_a_text_is_all_that_is_between_it_and_the_text_behind(
    start: str, rest: str, other: str
) -> None:
    """In the order of bytes, which is that of the databases' columns."""
    first, end = start.encode(), behind(start).encode()
    assert first <= (start + rest).encode() < end
    assert (first <= other.encode() < end) == other.startswith(start)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_TEXTS, min_size=1, max_size=20), st.lists(_TEXTS, min_size=1, max_size=20))
async def test_sql_and_python_agree(db: Database, names: list[str], patterns: list[str]) -> None:
    given = [
        sa.literal(name, sa.String).like(sa.literal(like(pattern), sa.String), escape="\\")
        for name in names
        for pattern in patterns
    ]
    async with db.read("ws") as tx:
        found = await tx.one(tx.select(*(fits.label(f"n{n}") for n, fits in enumerate(given))))
    assert found is not None
    expected = [matches(name, [pattern]) for name in names for pattern in patterns]
    assert [bool(fits) for fits in found] == expected


def test_many_stars_take_no_long_time() -> None:
    """A pattern is somebody's input: the work must not grow with every star that it has."""
    assert not matches("a" * 64, ["*a" * 30 + "*b"])

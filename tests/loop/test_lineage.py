"""The walk through lineage: every node once, nothing lost silently."""

import asyncio
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from volano.loop.lineage import Noun, Walk, walk
from volano.schemas.loop import Edge, Fact, Kind

Graph = Mapping[str, Sequence[str]]


START = Fact(kind="run", id="0", title="")


def _nouns(up: Graph, more: Mapping[str, int] | None = None) -> dict[Kind, Noun]:
    """Return things of one kind, and how many more stand behind the edges of each."""

    async def describe(id: str) -> Fact:
        return Fact(kind="run", id=id, title=f"run {id}")

    async def step(id: str) -> list[Edge]:
        unlisted = (more or {}).get(id, 0)
        return [
            Edge(kind="run", id=to, relation="made from", more=unlisted) for to in up.get(id, ())
        ]

    async def nowhere(id: str) -> list[Edge]:
        return []

    return {"run": Noun(describe, step, nowhere)}


def _walked(up: Graph, limit: int = 100, more: Mapping[str, int] | None = None) -> Walk:
    return asyncio.run(walk(_nouns(up, more), START, "up", limit=limit))


def _ids(found: Walk) -> list[str]:
    return [fact.id for fact in found.facts]


def test_what_is_nearest_comes_first() -> None:
    assert _ids(_walked({"0": ["1", "2"], "1": ["3"]})) == ["1", "2", "3"]


def test_a_node_that_is_reached_twice_is_listed_once_with_both_links() -> None:
    found = _walked({"0": ["1", "2"], "1": ["3"], "2": ["3"]})
    assert _ids(found) == ["1", "2", "3"]
    links = [(link.source, link.target) for link in found.links]
    assert [link for link in links if "3" in link] == [("1", "3"), ("2", "3")]


def test_a_circle_ends() -> None:
    assert _ids(_walked({"0": ["1"], "1": ["0"]})) == ["1"]


def test_the_other_way_is_not_taken() -> None:
    found = asyncio.run(walk(_nouns({"0": ["1"]}), START, "down", limit=9))
    assert found.facts == []


def test_links_lead_from_what_was_made_whichever_way_the_walk_goes() -> None:
    nouns = _nouns({"0": ["1"]})
    turned = {"run": Noun(nouns["run"].describe, nouns["run"].down, nouns["run"].up)}
    for of, way, link in ((nouns, "up", ("0", "1")), (turned, "down", ("1", "0"))):
        (found,) = asyncio.run(walk(of, START, way, limit=9)).links
        assert (found.source, found.target) == link


def test_the_limit_is_the_number_of_things_and_one_more_is_counted() -> None:
    found = _walked({"0": ["1", "2", "3"]}, limit=2)
    assert _ids(found) == ["1", "2"]
    assert found.omitted == {"run": 1}
    assert _walked({"0": ["1", "2"]}, limit=2).omitted == {}


def test_what_stands_behind_an_edge_unlisted_is_counted() -> None:
    assert _walked({"0": ["1"]}, more={"0": 7}).omitted == {"run": 7}


def test_nothing_omitted_is_an_empty_count() -> None:
    assert _walked({"0": ["1"]}).omitted == {}


_graphs = st.dictionaries(
    st.integers(0, 8).map(str), st.lists(st.integers(0, 8).map(str), max_size=5), max_size=9
)


@given(_graphs, st.integers(0, 12))
def test_listed_and_omitted_together_are_all_that_the_listed_lead_to(up: Graph, limit: int) -> None:
    found = _walked(up, limit)
    listed = _ids(found)
    assert len(set(listed)) == len(listed) <= limit
    reached = {link.target for link in found.links} - {"0"}
    assert len(reached) == len(listed) + found.omitted["run"]

"""The walk through lineage: every node once, nothing lost silently."""

import asyncio
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from volano.loop.lineage import Edge, Kind, Name, Node, Walk, walk

Graph = Mapping[str, Sequence[str]]


def _kinds(up: Graph, more: Mapping[str, int] | None = None) -> dict[str, Kind]:
    """One kind `n`; `more` stand behind the edges of a node unlisted."""

    async def describe(id: str) -> Node:
        return Node(("n", id), f"node {id}", {})

    async def step(id: str) -> list[Edge]:
        return [Edge(("n", to), "made from", (more or {}).get(id, 0)) for to in up.get(id, ())]

    async def nothing(id: str) -> list[Edge]:
        return []

    return {"n": Kind(describe, step, nothing)}


def _walked(up: Graph, limit: int = 100, more: Mapping[str, int] | None = None) -> Walk:
    return asyncio.run(walk(_kinds(up, more), ("n", "0"), "up", limit=limit))


def _ids(found: Walk) -> list[str]:
    return [node.name[1] for node in found.nodes]


def test_what_is_nearest_comes_first() -> None:
    assert _ids(_walked({"0": ["1", "2"], "1": ["3"]})) == ["1", "2", "3"]


def test_a_node_that_is_reached_twice_is_listed_once_with_both_links() -> None:
    found = _walked({"0": ["1", "2"], "1": ["3"], "2": ["3"]})
    assert _ids(found) == ["1", "2", "3"]
    assert [(a[1], b[1]) for a, b, _ in found.links if b[1] == "3"] == [("1", "3"), ("2", "3")]


def test_a_circle_ends() -> None:
    assert _ids(_walked({"0": ["1"], "1": ["0"]})) == ["1"]


def test_the_other_way_is_not_taken() -> None:
    found = asyncio.run(walk(_kinds({"0": ["1"]}), ("n", "0"), "down", limit=9))
    assert found.nodes == []


def test_what_stands_behind_an_edge_unlisted_is_counted() -> None:
    assert _walked({"0": ["1"]}, more={"0": 7}).omitted == {"n": 7}


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
    reached: set[Name] = {to for _, to, _ in found.links} - {("n", "0")}
    assert len(reached) == len(listed) + found.omitted["n"]

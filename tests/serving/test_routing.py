"""Which version answers where, whatever order changes come in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.serving import graphs
from volano.serving.routing import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    ActiveVersion,
    Address,
    Routing,
)

GRAPH = graphs.graph()


def _active(number: int, version: str = "ver_1") -> ActiveVersion:
    return ActiveVersion(number, graphs.loaded(GRAPH, 0.0, version))


def _at(name: str) -> Address:
    return ("ws_a", name)


@given(st.permutations(range(1, 7)))
def test_changes_may_arrive_in_any_order(order: list[int]) -> None:
    routing = Routing(4)
    taken = [routing.put(_at("a"), _active(sequence)) for sequence in order]
    found = routing.active.get(_at("a"))
    assert found is not None
    assert found.number == 6
    assert taken == [all(n < s for n in order[:at]) for at, s in enumerate(order)]


def test_the_least_recently_used_goes_first() -> None:
    routing = Routing(2)
    for name in ("a", "b"):
        routing.put(_at(name), _active(1))
    routing.active.move_to_end(_at("a"))
    routing.put(_at("c"), _active(1))
    assert routing.addresses() == {_at("a"), _at("c")}
    assert len(routing) == 2
    assert routing.active.get(_at("b")) is None


def test_a_version_that_answers_elsewhere_in_the_workspace_is_found() -> None:
    routing = Routing(2)
    routing.put(_at("a"), _active(1, "ver_7"))
    assert routing.loaded("ws_a", "ver_7") is not None
    assert routing.loaded("ws_b", "ver_7") is None
    assert routing.loaded("ws_a", "ver_8") is None


def test_what_failed_is_tried_again_after_pauses_that_grow() -> None:
    routing, now, tries = Routing(2), 0.0, []
    for _ in range(12):
        assert routing.failed(_at("a"), 7, now) == (not tries)
        while not routing.may_try(_at("a"), 7, now):
            now += 0.25
        tries.append(now)
    pauses = [after - before for before, after in pairwise([0.0, *tries])]
    assert pauses == sorted(pauses)
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_failure_holds_back_nothing_but_its_own_change() -> None:
    routing = Routing(2)
    assert routing.failed(_at("a"), 7, 0.0)
    assert routing.may_try(_at("a"), 8, 0.0)
    assert routing.may_try(_at("b"), 7, 0.0)
    assert routing.failed(_at("a"), 8, 0.0)
    routing.put(_at("a"), _active(8))
    assert routing.may_try(_at("a"), 8, 0.0)


def test_what_failed_is_looked_at_again_until_it_answers() -> None:
    routing = Routing(2)
    routing.failed(_at("a"), 7, 0.0)
    assert routing.addresses() == {_at("a")}
    assert not routing.wants(_at("a"), 7, FIRST_PAUSE_S / 2)
    assert routing.wants(_at("a"), 7, FIRST_PAUSE_S)
    routing.put(_at("a"), _active(7))
    assert not routing.wants(_at("a"), 7, FIRST_PAUSE_S)


def test_a_change_is_wanted_where_it_is_newer_and_a_new_endpoint_while_there_is_room() -> None:
    routing = Routing(1)
    assert routing.wants(_at("a"), 1, 0.0)
    routing.put(_at("a"), _active(3))
    assert routing.wants(_at("a"), 4, 0.0)
    assert not routing.wants(_at("a"), 3, 0.0)
    assert not routing.wants(_at("b"), 9, 0.0)


def test_the_failures_that_are_remembered_are_bounded() -> None:
    routing = Routing(2)
    for number in range(5000):
        routing.failed(_at(f"endpoint {number}"), 1, 0.0)
    assert len(routing.addresses()) == 1000
    assert _at("endpoint 4999") in routing.addresses()

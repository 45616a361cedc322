"""Which version answers where: the newest change wins, the least recently used goes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from volano.schemas.registry import Artefact
from volano.serving.admission import Cost
from volano.serving.routing import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Active,
    Address,
    Routing,
)
from volano.serving.runtime import Loaded


def _active(sequence: int, version: str = "ver_1") -> Active:
    return Active(sequence, Loaded(version, Artefact(classes=["a"]), None, Cost(0.0)))


def _at(name: str) -> Address:
    return ("ws_a", name)


@given(st.permutations(range(1, 7)))
def test_changes_may_arrive_in_any_order(order: list[int]) -> None:
    routing = Routing(4)
    taken = [routing.put(_at("a"), _active(sequence)) for sequence in order]
    found = routing.find(_at("a"))
    assert found is not None
    assert found.sequence == 6
    assert taken == [all(n < s for n in order[:at]) for at, s in enumerate(order)]


def test_the_least_recently_used_goes_first() -> None:
    routing = Routing(2)
    for name in ("a", "b"):
        routing.put(_at(name), _active(1))
    routing.find(_at("a"))
    routing.put(_at("c"), _active(1))
    assert {_at("a"): 1, _at("c"): 1} == routing.sequences()
    assert routing.find(_at("b")) is None


def test_a_version_that_answers_elsewhere_in_the_workspace_is_found() -> None:
    routing = Routing(2)
    routing.put(_at("a"), _active(1, "ver_7"))
    assert routing.loaded("ws_a", "ver_7") is not None
    assert routing.loaded("ws_b", "ver_7") is None
    assert routing.loaded("ws_a", "ver_8") is None


def test_what_failed_is_tried_again_after_pauses_that_grow() -> None:
    routing, now, tries = Routing(2), 0.0, []
    for _ in range(12):
        is_news = routing.set_back(_at("a"), 7, now)
        assert is_news == (not tries)
        while not routing.may_try(_at("a"), 7, now):
            now += 0.25
        tries.append(now)
    pauses = [after - before for before, after in pairwise([0.0, *tries])]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)


def test_a_failure_holds_back_nothing_but_its_own_change() -> None:
    routing = Routing(2)
    assert routing.set_back(_at("a"), 7, 0.0)
    assert routing.may_try(_at("a"), 8, 0.0)
    assert routing.may_try(_at("b"), 7, 0.0)
    assert routing.set_back(_at("a"), 8, 0.0)
    routing.put(_at("a"), _active(8))
    assert routing.may_try(_at("a"), 8, 0.0)

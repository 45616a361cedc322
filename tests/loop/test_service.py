"""Everything can be asked where it came from and what it touched."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.serving.graphs import asked, request, version
from tests.stages import Connect, collect, imports, working
from volano.core.context import Context
from volano.data import lineage as data_lineage
from volano.data import service as data
from volano.loop import service
from volano.schemas.accounts import Who
from volano.schemas.data import NewSnapshot, Snapshot, SplitRule
from volano.schemas.errors import Missing
from volano.schemas.loop import Edges, Explanation, Fact, Lineage, UnknownKind, edges_to
from volano.schemas.registry import Version
from volano.serving import predicting
from volano.serving import service as serving
from volano.serving.state import State

PEOPLE = ["ada", "bob", "eve", "kim"]


class Turn:
    """One turn of the wheel: its records, its snapshot, its version and what that answered."""

    def __init__(self, records: list[str], snapshot: Snapshot, there: Version, said: list[str]):
        self.records, self.snapshot, self.version, self.said = records, snapshot, there, said


@pytest.fixture
async def turn(server: Context, boss: Who) -> Turn:
    """Eight drawings by four people, a version made of them, and seven predictions."""
    given = imports(["square", "circle"], PEOPLE)
    await collect(server, boss, given)
    async with working(server):
        snapshot = await data.freeze(server, boss, NewSnapshot(name="first"))
    made = await version(server, boss, snapshot=snapshot.id)
    await serving.activate(server, boss, "shapes", made.id)
    inputs = [asked(n) for n in range(7)]
    answer = await predicting.predict(server, boss, "shapes", request(*inputs))
    said = [one.id for one in answer.predictions]
    await server.part(State).log.flush()
    return Turn([one.drawing.id for one in given.drawings], snapshot, made, said)


Explain = Callable[[str, str], Awaitable[Explanation]]


@pytest.fixture
def explain(server: Context, boss: Who) -> Explain:
    """`await explain("run", id)` for the admin."""

    async def explain(kind: str, id: str) -> Explanation:
        return await service.explain(server, boss, kind, id)

    return explain


def _ids(facts: list, kind: str) -> list[str]:  # type: ignore[type-arg] # of Fact
    return [fact.id for fact in facts if fact.kind == kind]


async def test_a_prediction_leads_back_to_drawings_and_people(turn: Turn, explain: Explain) -> None:
    found = await explain("prediction", turn.said[0])
    kinds = ["version", "run", "snapshot", "record", "dataset", "contributor"]
    assert kinds == sorted({fact.kind for fact in found.up}, key=kinds.index)
    assert [turn.version.id] == _ids(found.up, "version")
    assert [turn.version.run] == _ids(found.up, "run")
    assert [turn.snapshot.id] == _ids(found.up, "snapshot")
    assert len(_ids(found.up, "record")) == 5
    assert set(_ids(found.up, "record")) <= set(turn.records)
    assert found.omitted == {"record": 3}
    assert found.down == []


async def test_a_drawing_leads_on_to_what_was_said_with_it(turn: Turn, explain: Explain) -> None:
    found = await explain("record", turn.records[0])
    assert _ids(found.up, "contributor") == ["ada"]
    assert [turn.snapshot.id, turn.version.run, turn.version.id] == [
        fact.id for fact in found.down[:3]
    ]
    assert turn.said[::-1][:5] == _ids(found.down, "prediction")
    assert found.omitted == {"prediction": 2}


async def test_snapshots_that_were_not_looked_into_are_counted(
    server: Context, boss: Who, turn: Turn
) -> None:
    async with working(server):
        for name in ("second", "third"):
            rule = SplitRule(seed=len(name))
            await data.freeze(server, boss, NewSnapshot(name=name, split=rule))
    all_of_them = await service.explain(server, boss, "record", turn.records[0])
    assert (len(_ids(all_of_them.down, "snapshot")), all_of_them.unsearched) == (3, {})
    few = service.State([data_lineage.lineage(searched=1)])
    hurried = replace(server, parts={**server.parts, service.State: few})
    some = await service.explain(hurried, boss, "record", turn.records[0])
    assert (len(_ids(some.down, "snapshot")), some.unsearched) == (1, {"snapshot": 2})


@pytest.mark.parametrize("kind", ["version", "run", "snapshot"])
async def test_what_lies_between_is_explained_both_ways(
    turn: Turn, explain: Explain, kind: str
) -> None:
    id = {"version": turn.version.id, "run": turn.version.run, "snapshot": turn.snapshot.id}[kind]
    found = await explain(kind, id)
    assert (kind, id) == (found.about.kind, found.about.id)
    assert len(_ids(found.up, "record")) == 5
    assert len(_ids(found.down, "prediction")) == 5
    assert found.omitted == {"record": 3, "prediction": 2}


async def test_every_link_joins_two_things_that_are_shown(turn: Turn, explain: Explain) -> None:
    found = await explain("version", turn.version.id)
    shown = {fact.id for fact in [found.about, *found.up, *found.down]}
    assert all({link.source, link.target} <= shown for link in found.links)
    # `source` was made from `target`, whichever way the walk went.
    pairs = {(link.source, link.target) for link in found.links}
    assert (turn.version.id, turn.version.run) in pairs
    assert (turn.said[-1], turn.version.id) in pairs


async def test_a_thing_of_another_workspace_is_missing(
    server: Context, outsider: Who, turn: Turn
) -> None:
    things = {
        "prediction": turn.said[0],
        "version": turn.version.id,
        "run": turn.version.run,
        "snapshot": turn.snapshot.id,
        "record": turn.records[0],
    }
    for kind, id in things.items():
        with pytest.raises(Missing):
            await service.explain(server, outsider, kind, id)


async def test_a_record_leads_to_its_dataset_and_to_the_contributor_by_id_alone(
    explain: Explain, turn: Turn
) -> None:
    found = await explain("record", turn.records[0])
    dataset, contributor = found.up
    assert dataset.kind == "dataset"
    assert dataset.id == "drawings"
    assert dataset.facts["fields"] == {"drawing": "drawing"}
    assert contributor.kind == "contributor"
    assert contributor.id == "ada"
    assert contributor.facts == {}
    of_dataset = await explain("dataset", "drawings")
    assert of_dataset.about.title == "dataset drawings: 8 records"


async def test_a_stage_adds_a_kind_and_edges_to_the_kinds_of_others(
    server: Context, boss: Who, turn: Turn
) -> None:
    async def weather(ctx: Context, who: Who, id: str) -> Fact:
        return Fact(kind="weather", id=id, title=f"the weather of {id}")

    async def weather_of(ctx: Context, who: Who, id: str) -> Edges:
        return edges_to("weather", ["today"], "trained in")

    async def runs_in(ctx: Context, who: Who, id: str) -> Edges:
        return edges_to("run", [turn.version.run], "saw")

    async def humid(ctx: Context, who: Who, id: str) -> dict[str, object]:
        return {"humid": True}

    stage = Lineage(
        kinds={"weather": weather},
        facts={"run": humid},
        up={"run": weather_of},
        down={"weather": runs_in},
    )
    known = server.part(service.State).lineages
    wider = replace(server, parts={**server.parts, service.State: service.State([*known, stage])})

    of_version = await service.explain(wider, boss, "version", turn.version.id)
    assert _ids(of_version.up, "weather") == ["today"]
    assert next(fact for fact in of_version.up if fact.kind == "run").facts["humid"] is True
    of_weather = await service.explain(wider, boss, "weather", "today")
    assert _ids(of_weather.down, "version") == [turn.version.id]
    with pytest.raises(UnknownKind):
        await service.explain(server, boss, "weather", "today")


async def test_a_kind_that_nobody_knows_is_refused(explain: Explain) -> None:
    with pytest.raises(UnknownKind) as refused:
        await explain("weather", "today")
    assert "prediction" in refused.value.advice


async def test_an_explanation_is_there_over_http(connect: Connect, turn: Turn) -> None:
    http = await connect("developer")
    found = await http.get(f"/explain/prediction/{turn.said[0]}")
    assert (200, turn.said[0]) == (found.status_code, found.json()["about"]["id"])
    assert (await http.get("/explain/record/no-uuid")).status_code == 404
    assert (await http.get("/explain/weather/today")).status_code == 422

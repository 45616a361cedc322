"""An endpoint keeps of its predictions what it is told to, and what turned out to be true."""

import httpx
import pytest

from tests.serving.graphs import asked, image_version, picture, request, seen, version
from tests.stages import Connect
from volano.core.context import Context
from volano.core.segments.inbox import of_subject
from volano.schemas.accounts import Who
from volano.schemas.errors import Missing
from volano.schemas.serving import ClassesPrediction, EndpointChange
from volano.serving import following, log, logged, predicting, service
from volano.serving.lineage import LINEAGE
from volano.serving.state import State

NAME = "shapes"
PNG = {"content-type": "image/png"}


async def _answers(ctx: Context, who: Who, many: int = 1) -> list[str]:
    """Ask so many times and return the ids of the answers."""
    ids = []
    for seed in range(many):
        response = await predicting.predict(ctx, who, NAME, request(asked(seed)))
        (one,) = response.predictions
        assert isinstance(one, ClassesPrediction)
        ids.append(one.id)
    return ids


async def _logged(ctx: Context, who: Who, version: str) -> set[str]:
    await ctx.part(State).log.flush()
    async with ctx.db.read(who.workspace) as tx:
        return {row.key for row in await of_subject(tx, log.STREAM, version)}


async def test_an_endpoint_logs_all_some_or_none_of_its_predictions(
    server: Context, boss: Who
) -> None:
    made = (await version(server, boss)).id
    await service.activate(server, boss, NAME, made)
    every = await _answers(server, boss, 3)
    assert await _logged(server, boss, made) == set(every)

    changed = await service.change(server, boss, NAME, EndpointChange(log="none"))
    assert changed.log == "none"
    assert changed.inputs == "all"
    await _answers(server, boss, 3)
    assert await _logged(server, boss, made) == set(every)

    await service.change(server, boss, NAME, EndpointChange(log=0.5))
    some = await _answers(server, boss, 60)
    kept = await _logged(server, boss, made) - set(every)
    assert kept < set(some)
    # Fewer than 6 or more than 54 of 60 come about once in 10^10 tries.
    assert 6 <= len(kept) <= 54


async def test_without_its_input_a_prediction_names_it_by_its_content(
    server: Context, boss: Who, connect: Connect
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    (kept,) = await _answers(server, boss)
    await service.change(server, boss, NAME, EndpointChange(inputs="none"))
    (bare,) = await _answers(server, boss)
    await server.part(State).log.flush()

    with_input = await logged.prediction(server, boss, kept)
    without = await logged.prediction(server, boss, bare)
    assert with_input.input is not None
    assert seen(with_input.input) == seen(asked())
    assert without.input is None
    assert without.content == with_input.content
    assert without.label == with_input.label
    http = await connect("developer")
    assert (await http.get(f"/predictions/{kept}/input")).status_code == 200
    refused = await http.get(f"/predictions/{bare}/input")
    assert refused.status_code == 404
    assert refused.json()["code"] == "input-not-kept"


async def test_a_durable_endpoint_has_logged_what_it_answers(server: Context, boss: Who) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    await service.change(server, boss, NAME, EndpointChange(durable=True))
    (id,) = await _answers(server, boss)
    # Not flushed, and nothing waited for.
    assert (await logged.prediction(server, boss, id)).id == id


async def test_a_change_of_the_policy_is_followed_by_other_processes(
    server: Context, other_process: Context, boss: Who
) -> None:
    made = (await version(server, boss)).id
    await service.activate(server, boss, NAME, made)
    await _answers(other_process, boss)
    await service.change(server, boss, NAME, EndpointChange(log="none", durable=True))
    await following.follow_changes(other_process)
    active = other_process.part(State).routing.active[boss.workspace, NAME]
    assert active.policy.log == "none"
    assert active.policy.durable
    assert active.loaded.version == made


async def test_a_process_reads_what_changed_since_it_looked_and_nothing_else(
    server: Context, other_process: Context, boss: Who, outsider: Who
) -> None:
    for who in (boss, outsider):
        await service.activate(server, who, NAME, (await version(server, who)).id)
    await following.load_endpoints(other_process)
    followed = other_process.part(State).routing.followed
    assert followed == server.part(State).routing.active[outsider.workspace, NAME].number

    await following.follow_changes(other_process)
    assert other_process.part(State).routing.followed == followed
    newer = (await version(server, boss, 1)).id
    await service.activate(server, boss, NAME, newer)
    await following.follow_changes(other_process)
    assert other_process.part(State).routing.followed == followed + 1
    active = other_process.part(State).routing.active[boss.workspace, NAME]
    assert active.loaded.version == newer


async def test_the_policy_is_set_and_shown_over_http(
    server: Context, boss: Who, connect: Connect
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    http = await connect("developer")
    answer = await http.patch(f"/endpoints/{NAME}", json={"log": 0.25, "durable": True})
    assert answer.status_code == 200
    shown = (await http.get(f"/endpoints/{NAME}")).json()
    assert shown["log"] == 0.25
    assert shown["inputs"] == "all"
    assert shown["durable"] is True
    for share in (0, 1, 1.5, "some", -0.1):
        refused = await http.patch(f"/endpoints/{NAME}", json={"log": share})
        assert refused.status_code == 422
    missing = await http.patch("/endpoints/none", json={"log": "all"})
    assert missing.status_code == 404


async def test_what_turned_out_to_be_true_is_added_and_never_replaced(
    server: Context, boss: Who, connect: Connect
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    (id,) = await _answers(server, boss)
    await server.part(State).log.flush()
    http = await connect("developer")
    for truth in ("square", "triangle"):
        answer = await http.post(f"/predictions/{id}/feedback", json={"truth": truth})
        assert answer.status_code == 201
        assert answer.json()["truth"] == truth

    told = (await http.get(f"/predictions/{id}/feedback")).json()
    assert [one["truth"] for one in told] == ["square", "triangle"]
    shown = (await http.get(f"/predictions/{id}")).json()
    assert shown["feedback"] == told
    assert shown["label"] == "circle"
    explained = await LINEAGE.kinds["prediction"](server, boss, id)
    assert explained.facts["truth"] == "triangle"


@pytest.mark.parametrize(
    ("truth", "code"), [(3.5, "truth-unfit"), ("", "invalid-values"), (None, "invalid-values")]
)
async def test_a_truth_that_no_classifier_can_answer_is_refused(
    server: Context, boss: Who, connect: Connect, truth: object, code: str
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    (id,) = await _answers(server, boss)
    await server.part(State).log.flush()
    http = await connect("developer")
    answer = await http.post(f"/predictions/{id}/feedback", json={"truth": truth})
    assert answer.status_code == 422
    assert answer.json()["code"] == code


async def test_a_number_is_the_truth_of_a_number(
    server: Context, boss: Who, connect: Connect
) -> None:
    made = (await image_version(server, boss, value=True)).id
    await service.activate(server, boss, "lightness", made)
    http = await connect("developer")
    path = "/endpoints/lightness/predict"
    said: httpx.Response = await http.post(path, content=picture(9), headers=PNG)
    id = said.json()["predictions"][0]["id"]
    await server.part(State).log.flush()
    fits = await http.post(f"/predictions/{id}/feedback", json={"truth": -118})
    assert fits.status_code == 201
    refused = await http.post(f"/predictions/{id}/feedback", json={"truth": "dark"})
    assert refused.json()["code"] == "truth-unfit"


async def test_feedback_on_what_was_not_logged_is_missing(
    server: Context, boss: Who, outsider: Who, connect: Connect
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    await service.change(server, boss, NAME, EndpointChange(log="none"))
    (id,) = await _answers(server, boss)
    http = await connect("developer")
    answer = await http.post(f"/predictions/{id}/feedback", json={"truth": "square"})
    assert answer.status_code == 404
    with pytest.raises(Missing):
        await logged.feedback(server, outsider, id)

"""Serving over HTTP."""

import asyncio

import httpx
import msgspec
import pytest

from tests.serving.graphs import asked, request, version
from tests.stages import Connect
from volano.core.context import Context
from volano.schemas.accounts import Who
from volano.schemas.common import uuid7
from volano.serving import predicting
from volano.serving.state import State

ONE = msgspec.to_builtins(asked())


@pytest.fixture
async def http(server: Context, boss: Who, connect: Connect) -> httpx.AsyncClient:
    """A client, where one version answers on `shapes`."""
    developer = await connect("developer")
    made = (await version(server, boss)).id
    answer = await developer.post("/endpoints/shapes/activate", json={"version": made})
    assert answer.status_code == 200
    return developer


async def test_one_input_and_a_list_of_them_are_answered(http: httpx.AsyncClient) -> None:
    one = await http.post("/endpoints/shapes/predict", json={"input": ONE})
    many = await http.post("/endpoints/shapes/predict", json={"inputs": [ONE] * 32})
    assert [len(answer.json()["predictions"]) for answer in (one, many)] == [1, 32]


async def test_a_drawing_is_recognised_in_the_shape_in_which_it_is_collected(
    http: httpx.AsyncClient,
) -> None:
    sent = ONE | {"id": str(uuid7()), "shape": "square", "duration_ms": 900, "device": "touch"}
    answers = [
        await http.post("/endpoints/shapes/predict", json={"input": given}) for given in (ONE, sent)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    bare, whole = [answer.json()["predictions"][0]["scores"] for answer in answers]
    assert bare == whole


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "one-or-many"),
        ({"input": ONE, "inputs": [ONE]}, 422, "one-or-many"),
        ({"inputs": []}, 422, "invalid-values"),
        ({"inputs": [ONE] * 33}, 422, "invalid-values"),
        ({"input": ONE | {"strokes": [{"points": []}]}}, 422, "input-unusable"),
        ({"input": ONE | {"strokes": []}}, 422, "invalid-values"),
    ],
)
async def test_what_cannot_be_answered_says_why(
    http: httpx.AsyncClient, body: object, status: int, code: str
) -> None:
    answer = await http.post("/endpoints/shapes/predict", json=body)
    assert answer.status_code == status
    assert answer.json()["code"] == code


async def test_an_endpoint_that_is_not_there_is_missing(http: httpx.AsyncClient) -> None:
    answers = [
        await http.post("/endpoints/none/predict", json={"input": ONE}),
        await http.get("/endpoints/none"),
        await http.post("/endpoints/none/rollback", json={"from": "ver_1"}),
        await http.get("/predictions/no-uuid"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4


async def test_a_rollback_answers_with_what_answers_from_then_on(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    a = (await http.get("/endpoints/shapes")).json()["version"]
    b, c = [(await version(server, boss, favourite)).id for favourite in (1, 2)]
    for chosen in (b, c):
        await http.post("/endpoints/shapes/activate", json={"version": chosen})

    said = []
    for leaves in (c, c, b, b):
        answer = await http.post("/endpoints/shapes/rollback", json={"from": leaves})
        assert answer.status_code == 200
        said.append((answer.json()["version"], answer.json()["sequence"]))

    assert said == [(b, 4), (b, 4), (a, 5), (a, 5)]
    answered = await http.post("/endpoints/shapes/predict", json={"input": ONE})
    assert answered.json()["version"] == a
    refused = await http.post("/endpoints/shapes/rollback", json={"from": a})
    assert refused.status_code == 409
    assert refused.json()["code"] == "no-earlier-version"
    refused = await http.post("/endpoints/shapes/rollback", json={"from": c})
    assert refused.status_code == 409
    assert refused.json()["code"] == "not-answering"


async def test_a_rollback_says_which_version_it_leaves(http: httpx.AsyncClient) -> None:
    answer = await http.post("/endpoints/shapes/rollback", json={})

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-values"


async def test_an_activation_that_is_sent_again_changes_nothing(http: httpx.AsyncClient) -> None:
    there = (await http.get("/endpoints/shapes")).json()

    again = await http.post("/endpoints/shapes/activate", json={"version": there["version"]})

    assert again.status_code == 200
    assert again.json() == there


async def test_what_a_refused_prediction_is_told_to_send_is_answered(
    http: httpx.AsyncClient,
) -> None:
    path = "/endpoints/shapes/predict"
    both = await http.post(path, json={"input": ONE, "inputs": [ONE]})
    assert both.json()["remedy"] == (
        'Send {"input": {…}} for one, {"inputs": [{…}, …]} for up to 32.'
    )
    assert (await http.post(path, json={"input": ONE})).status_code == 200
    assert (await http.post(path, json={"inputs": [ONE] * 32})).status_code == 200
    empty = await http.post(path, json={"input": ONE | {"strokes": [{"points": []}]}})
    assert empty.json()["remedy"].startswith("Send strokes of at least one point each, in px")
    point = {"x": 3, "y": 4, "timestamp": 0}
    dot = await http.post(path, json={"input": ONE | {"strokes": [{"points": [point]}]}})
    assert dot.status_code == 200


async def test_what_a_refused_rollback_is_told_to_do_puts_another_version_on(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    first = (await http.get("/endpoints/shapes")).json()["version"]
    refused = await http.post("/endpoints/shapes/rollback", json={"from": first})
    assert refused.json()["code"] == "no-earlier-version"
    assert refused.json()["remedy"].endswith("lists what can be activated instead.")
    second = (await version(server, boss, 1)).id
    answer = await http.post("/endpoints/shapes/activate", json={"version": second})
    assert answer.json()["version"] == second
    late = await http.post("/endpoints/shapes/rollback", json={"from": first})
    assert late.json()["code"] == "not-answering"
    assert late.json()["remedy"].startswith("Look at the endpoint again")
    active = (await http.get("/endpoints/shapes")).json()["version"]
    back = await http.post("/endpoints/shapes/rollback", json={"from": active})
    assert back.json()["version"] == first


async def test_a_prediction_is_shown_as_it_was_logged(
    http: httpx.AsyncClient, server: Context
) -> None:
    said = (await http.post("/endpoints/shapes/predict", json={"input": ONE})).json()
    await server.part(State).log.flush()
    logged = (await http.get(f"/predictions/{said['predictions'][0]['id']}")).json()
    again = (await http.post("/endpoints/shapes/predict", json={"input": logged["input"]})).json()
    assert said["version"] == logged["version"]
    assert said["predictions"][0]["scores"] == logged["scores"]
    assert logged["scores"] == again["predictions"][0]["scores"]


async def test_where_the_queue_is_full_a_prediction_is_refused_and_all_else_answers(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    slow = (await version(server, boss, slow=True)).id
    await http.post("/endpoints/slow/activate", json={"version": slow})

    async def ask() -> None:
        await predicting.predict(server, boss, "slow", request(), deadline_ms=3_600_000)

    asking = [asyncio.create_task(ask()) for _ in range(20 * server.part(State).executor.sessions)]
    await asyncio.sleep(0)
    path, deadline = "/endpoints/slow/predict", {"x-deadline-ms": "1"}
    refused = await http.post(path, content=b"not even read", headers=deadline)
    assert refused.status_code == 503
    assert refused.json()["code"] == "overloaded"
    assert int(refused.headers["retry-after"]) >= 1
    assert (await http.get("/endpoints/slow")).status_code == 200
    quick = await http.post("/endpoints/shapes/predict", json={"input": ONE})
    assert quick.status_code == 200
    await asyncio.gather(*asking)
    assert (await http.post(path, json={"input": ONE})).status_code == 200


async def test_a_deadline_that_is_none_is_refused(http: httpx.AsyncClient) -> None:
    answers = [
        await http.post(
            "/endpoints/shapes/predict", json={"input": ONE}, headers={"x-deadline-ms": text}
        )
        for text in ("0", "soon", "-5")
    ]
    assert [answer.status_code for answer in answers] == [422] * 3

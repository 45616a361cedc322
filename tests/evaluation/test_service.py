"""How a version did, on which records it was wrong, and which of two is better."""

from collections.abc import Iterable

import httpx
import msgspec
import numpy as np
import pytest

from tests.evaluation.test_answers import written
from tests.registry.versions import registered
from tests.stages import Connect
from volano.core.context import Context
from volano.evaluation import answers, classify, regress
from volano.registry import service as registry
from volano.schemas.accounts import Who
from volano.schemas.evaluation import BadScores

CLASSES = ["circle", "square", "猫"]
ROWS = {
    "1": ("circle", "circle"),
    "2": ("circle", "square"),
    "3": ("square", "circle"),
    "4": ("circle", "square"),
    "5": ("circle", "猫"),
    "6": ("circle", "square"),
}
SCORES = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9], [0.5, 0.5], [0.2, 0.8]]


def _records(page: httpx.Response) -> list[str]:
    assert page.status_code == 200, page.text
    return [one["record"] for one in page.json()["items"]]


async def _all(http: httpx.AsyncClient, path: str, **asked: str) -> Iterable[str]:
    """The records of every page, two a page."""
    found: list[str] = []
    after = ""
    while True:
        page = await http.get(path, params=asked | {"limit": "2", "after": after})
        found += _records(page)
        after = page.json()["next"]
        if after is None:
            return found


async def test_every_count_of_the_confusions_leads_to_its_records(
    server: Context, boss: Who, connect: Connect
) -> None:
    made = await registered(server, boss, {answers.FILE: written(ROWS, scores=SCORES)})
    http = await connect("developer")
    path = f"/versions/{made.id}/errors"

    assert await _all(http, path, drawn="circle", taken_for="square") == ["4", "2", "6"]
    assert await _all(http, path, drawn="circle") == ["4", "2", "6", "5"]
    assert await _all(http, path, taken_for="circle") == ["3"]
    assert await _all(http, path, drawn="circle", taken_for="circle") == ["1"]
    assert await _all(http, path, taken_for="猫") == ["5"]
    assert await _all(http, path) == ["4", "2", "6", "3", "5"]
    first = (await http.get(path)).json()["items"][0]
    assert first["drawn"] == "circle"
    assert first["taken_for"] == "square"
    assert first["confidence"] == 0.9


async def test_errors_are_listed_where_a_recipe_wrote_no_scores(
    server: Context, boss: Who, connect: Connect
) -> None:
    data = written(ROWS, scores=["none"] * len(ROWS))
    made = await registered(server, boss, {answers.FILE: data})
    http = await connect("developer")
    page = await http.get(f"/versions/{made.id}/errors", params={"taken_for": "square"})
    assert _records(page) == ["2", "4", "6"]
    assert page.json()["items"][0]["confidence"] is None


@pytest.mark.parametrize(
    ("files", "asked", "status", "code"),
    [
        ({}, {}, 404, "missing"),
        ({answers.FILE: b"no table"}, {}, 422, "answers-unreadable"),
        ({answers.FILE: written(ROWS)}, {"after": "-1"}, 422, "cursor-refused"),
        ({answers.FILE: written(ROWS)}, {"after": "ver_1"}, 422, "cursor-refused"),
    ],
)
async def test_errors_that_cannot_be_listed_are_refused_in_words(
    server: Context,
    boss: Who,
    connect: Connect,
    files: dict[str, bytes],
    asked: dict[str, str],
    status: int,
    code: str,
) -> None:
    made = await registered(server, boss, {"model.onnx": b"graph"} | files)
    answer = await (await connect("developer")).get(f"/versions/{made.id}/errors", params=asked)
    assert answer.status_code == status
    assert answer.json()["code"] == code


@pytest.mark.parametrize("has_type", [True, False])
async def test_a_report_says_its_type_also_where_its_file_is_older_than_types(
    server: Context, boss: Who, connect: Connect, has_type: bool
) -> None:
    report = classify.report(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), ["a", "b"])
    document = msgspec.to_builtins(report)
    if not has_type:
        del document["type"]
    files = {"evaluation.json": msgspec.json.encode(document)}
    made = await registered(server, boss, files)
    answer = await (await connect("developer")).get(f"/versions/{made.id}/evaluation")
    assert answer.status_code == 200
    assert answer.json()["type"] == "classification"
    assert answer.json()["accuracy"] == 1.0


async def test_a_model_of_numbers_has_a_report_of_its_own(
    server: Context, boss: Who, connect: Connect
) -> None:
    report = regress.report(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 3.5]))
    files = {"evaluation.json": msgspec.json.encode(report)}
    made = await registered(server, boss, files)
    found = (await (await connect("developer")).get(f"/versions/{made.id}/evaluation")).json()
    assert found["type"] == "regression"
    assert found["n"] == 3
    assert found["mean_absolute_error"] == pytest.approx(1 / 3)
    assert found["bias"] == pytest.approx(1 / 3)
    assert found["explained"] == pytest.approx(0.75)


def test_a_prediction_that_is_no_number_cannot_be_measured() -> None:
    with pytest.raises(BadScores) as refused:
        regress.report(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    assert refused.value.facts["row"] == 1


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"not JSON",
        b"{}",
        b'{"classes": ["\xff"]}',
        b"[" * 100_000,
        b'"\xe4"',
        b'{"type": "smell"}',
    ],
)
async def test_an_evaluation_that_is_no_report_is_refused_with_a_reason(
    server: Context, boss: Who, connect: Connect, report: bytes
) -> None:
    made = await registered(server, boss, {"evaluation.json": report})
    answer = await (await connect("admin")).get(f"/versions/{made.id}/evaluation")
    assert answer.status_code == 422
    assert answer.json()["code"] == "evaluation-unreadable"
    assert made.id in answer.json()["remedy"]
    assert await registry.file(server, boss, made.id, "evaluation.json") == report


async def _tested(server: Context, boss: Who, rows: dict[str, tuple[str, str]]) -> str:
    """A version with these answers: label and predicted class by record."""
    return (await registered(server, boss, {answers.FILE: written(rows)})).id


async def test_two_versions_are_compared_on_the_records_of_both(
    server: Context, boss: Who, connect: Connect
) -> None:
    ids = [f"{number:03d}" for number in range(40)]
    worse = await _tested(server, boss, dict.fromkeys(ids, ("x", "y")))
    better = await _tested(server, boss, dict.fromkeys(ids[10:], ("x", "x")))
    http = await connect("developer")
    found = (await http.get(f"/versions/{better}/against/{worse}")).json()
    assert found["n"] == 30
    assert found["difference"] == 1.0
    assert found["interval"]["low"] == 1.0
    turned = (await http.get(f"/versions/{worse}/against/{better}")).json()
    assert turned["n"] == 30
    assert turned["difference"] == -1.0
    assert turned["share_better"] == 0.0


async def test_versions_that_cannot_be_compared_are_refused_in_words(
    server: Context, boss: Who, connect: Connect, outsider: Who
) -> None:
    one = await _tested(server, boss, {"1": ("x", "x")})
    apart = await _tested(server, boss, {"2": ("x", "x")})
    without = (await registered(server, boss)).id
    broken = (await registered(server, boss, {answers.FILE: b"no table"})).id
    foreign = await _tested(server, outsider, {"1": ("x", "x")})
    http = await connect("developer")
    for other, status, code in (
        (apart, 422, "nothing-shared"),
        (without, 404, "missing"),
        (broken, 422, "answers-unreadable"),
        (foreign, 404, "missing"),
    ):
        answer = await http.get(f"/versions/{one}/against/{other}")
        assert answer.status_code == status
        assert answer.json()["code"] == code

"""Tests of volano.sdk.imports: every drawing arrives or is refused by itself."""

import msgspec
import pytest

from tests.sdk.scripted import Answer, Script, page, problem, value
from volano.schemas.accounts import NameTaken
from volano.schemas.common import BodyTooLarge, InvalidValues, uuid7
from volano.schemas.datasets import Outcome
from volano.schemas.drawings import Canvas, ImportedDrawing, NewDrawing, Point, Stroke
from volano.sdk.client import Client
from volano.sdk.imports import BATCH_BYTES, send


def drawings(count: int, points: int = 1) -> list[ImportedDrawing]:
    stroke = Stroke(points=[Point(x=1.25, y=2.25, timestamp=n) for n in range(points)])
    return [
        ImportedDrawing(
            contributor=f"drawer-{n % 3}",
            drawing=NewDrawing(
                id=str(uuid7()),
                shape=f"shape-{n % 2}",
                canvas=Canvas(width=10, height=10),
                strokes=[stroke],
            ),
        )
        for n in range(count)
    ]


def stored(count: int) -> Answer:
    return value([Outcome(id="x", stored=True)] * count, 201)


@pytest.fixture
def taking(script: Script) -> Script:
    """A server that has one of the two shapes and stores whatever it is sent, two at a time."""
    script.on("GET", "/shapes", page({"name": "shape-0"}))
    script.on("POST", "/shapes", value({"name": "shape-1"}, 201))
    script.on("POST", "/drawings/import", stored(2))
    return script


def ids(made: list[ImportedDrawing]) -> list[str]:
    return [one.drawing.id for one in made]


def sent(script: Script) -> list[list[str]]:
    """The ids of each batch that was sent."""
    bodies = script.bodies("POST", "/drawings/import")
    return [[one["drawing"]["id"] for one in body["drawings"]] for body in bodies]


def test_everything_is_sent_in_batches_and_missing_shapes_are_added(taking: Script, client: Client):
    made = drawings(4)
    batches = list(send(client, "omniglot", made, batch=2))

    assert [len(outcomes) for outcomes in batches] == [2, 2]
    assert [id for batch in sent(taking) for id in batch] == ids(made)
    assert [one["name"] for one in taking.bodies("POST", "/shapes")] == ["shape-1"]
    first = taking.bodies("POST", "/drawings/import")[0]
    assert first["origin"] == "omniglot"
    assert first["drawings"][0]["contributor"] == "drawer-0"


def test_a_shape_that_somebody_else_has_just_added_is_no_obstacle(taking: Script, client: Client):
    taking.on("POST", "/shapes", problem(NameTaken(noun="shape", name="shape-1")))

    assert len(list(send(client, "omniglot", drawings(4), batch=2))) == 2


def test_what_is_sent_again_is_for_the_server_to_know(taking: Script, client: Client):
    made = drawings(2)
    list(send(client, "omniglot", made))
    list(send(client, "omniglot", made))

    assert sent(taking) == [ids(made)] * 2


def test_a_batch_is_bounded_by_its_bytes(taking: Script, client: Client):
    taking.on("POST", "/drawings/import", stored(1))
    made = drawings(100, points=1_600)
    list(send(client, "omniglot", made))

    sizes = [len(seen.body) for seen in taking.seen if seen.path.endswith("/import")]
    assert [id for batch in sent(taking) for id in batch] == ids(made)
    assert len(sizes) > 1
    assert max(sizes) < BATCH_BYTES + 1_000
    assert min(sizes[:-1]) > BATCH_BYTES / 2, "a batch is as large as it may be"


def test_a_drawing_above_the_bound_is_a_batch_of_its_own(taking: Script, client: Client):
    taking.on("POST", "/drawings/import", stored(1))
    small = len(msgspec.json.encode(drawings(1)[0]))
    made = [*drawings(1), *drawings(1, points=100), *drawings(1)]
    list(send(client, "omniglot", made, batch_bytes=small))

    assert sent(taking) == [[one.drawing.id] for one in made]


@pytest.mark.parametrize(
    "refusal",
    [problem(BodyTooLarge(limit=1)), Answer(status=413, body=b"<html>", media_type="text/html")],
    ids=["server", "proxy"],
)
def test_a_batch_that_is_too_large_is_halved_until_one_drawing_is_refused(
    taking: Script, client: Client, refusal: Answer
):
    taking.on("POST", "/drawings/import", refusal, refusal, refusal, stored(1), stored(2))
    made = drawings(4)
    (outcomes,) = send(client, "omniglot", made)

    first, *others = (one.drawing.id for one in made)
    assert sent(taking) == [[first, *others], [first, others[0]], [first], [others[0]], others[1:]]
    assert [one.stored for one in outcomes] == [False, True, True, True]
    assert outcomes[0].id == first


def test_a_drawing_that_spoils_its_batch_is_refused_and_the_others_are_stored(
    taking: Script, client: Client
):
    spoilt = InvalidValues(reason="too long", at="body.drawings[1].contributor")
    taking.on("POST", "/drawings/import", problem(spoilt), stored(3))
    made = drawings(4)
    (outcomes,) = send(client, "omniglot", made)

    assert sent(taking)[1] == [one.drawing.id for n, one in enumerate(made) if n != 1]
    assert [one.stored for one in outcomes] == [True, False, True, True]
    assert outcomes[1].id == made[1].drawing.id
    assert outcomes[1].code == "invalid-values"
    assert "too long" in outcomes[1].detail


def test_what_is_wrong_with_all_of_them_is_raised_at_once(taking: Script, client: Client):
    taking.on("POST", "/drawings/import", problem(InvalidValues(reason="no", at="body.origin")))

    with pytest.raises(InvalidValues):
        list(send(client, "My Origin", drawings(4)))
    assert len(sent(taking)) == 1

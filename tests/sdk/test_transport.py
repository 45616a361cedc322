"""Tests of volano.sdk.transport: sent until answered, never done twice."""

import json
import math
import socket
import time

import pytest

from tests.sdk.conftest import QUICK
from tests.sdk.scripted import Answer, Script, page, problem, value
from volano.schemas.common import (
    DeadlinePassed,
    Overloaded,
    StillRunning,
    StorageFull,
)
from volano.schemas.data import RecordFilter
from volano.schemas.drawings import TooManyPoints
from volano.schemas.errors import PROBLEM_MEDIA_TYPE, Broken, Conflict, Invalid, Missing
from volano.sdk.client import Client
from volano.sdk.transport import (
    AnswerUnreadable,
    Backoff,
    NotFinite,
    NothingGiven,
    NotVolano,
    ServerUnreachable,
    Transport,
    path,
)

SHAPE = {"name": "circle"}
WHO = {"member": "mem_1", "role": "developer", "workspace": "ws_1"}


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_write_is_sent_again_with_the_same_key_until_it_is_answered(script, client):
    busy = problem(Overloaded(), retry_after="0")
    script.on("POST", "/shapes", busy, Answer(status=502, body=b"bad gateway"), value(SHAPE, 201))

    assert client.shapes.add("circle").name == "circle"
    keys = [seen.headers["idempotency-key"] for seen in script.seen]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_every_new_write_has_a_key_of_its_own_and_a_read_has_none(script, client):
    script.on("POST", "/shapes", value(SHAPE, 201))
    script.on("GET", "/shapes", page())
    client.shapes.add("circle")
    client.shapes.add("circle")
    list(client.shapes.ls())

    one, two, read = (seen.headers.get("idempotency-key") for seen in script.seen)
    assert one != two
    assert read is None


def test_a_write_whose_first_try_still_runs_is_asked_for_again(script, client):
    script.on("POST", "/shapes", problem(StillRunning(key="k")), value(SHAPE, 201))

    assert client.shapes.add("circle").name == "circle"


def test_a_dropped_connection_is_tried_again_once_the_server_has_answered(script, client):
    script.on("GET", "/shapes", page(SHAPE))
    list(client.shapes.ls())
    script.on("POST", "/shapes", Answer(drop=True), value(SHAPE, 201))

    assert client.shapes.add("circle").name == "circle"


def test_the_wait_that_the_server_asks_for_is_kept(script, client):
    script.on("GET", "/shapes", problem(Overloaded(), retry_after="1"), page(SHAPE))

    start = time.monotonic()
    list(client.shapes.ls())
    assert time.monotonic() - start >= 1.0


def test_a_server_that_asks_for_an_hour_is_not_waited_for(script, client):
    script.on("GET", "/shapes", problem(Overloaded(), retry_after="3600"))

    with pytest.raises(Overloaded):
        list(client.shapes.ls())
    assert len(script.seen) == 1


def test_in_the_end_the_last_failure_is_raised(script, client):
    script.on("GET", "/shapes", problem(Overloaded(), retry_after="0"))

    with pytest.raises(Overloaded):
        list(client.shapes.ls())
    assert QUICK.tries == len(script.seen)


@pytest.mark.parametrize(
    "error",
    [
        TooManyPoints(points=30_000, limit=20_000),
        StorageFull(reason="disk full"),
        DeadlinePassed(deadline_ms=100),
        Broken(),
    ],
)
def test_what_the_server_refuses_is_raised_at_once_as_the_same_class(script, client, error):
    script.on("POST", "/shapes", problem(error))

    with pytest.raises(type(error)) as raised:
        client.shapes.add("circle")
    assert len(script.seen) == 1
    assert error.message == raised.value.message
    assert error.advice == raised.value.advice


def test_an_error_of_the_server_carries_its_request_id(script, client):
    script.on("GET", "/shapes", problem(Broken()))

    with pytest.raises(Broken) as raised:
        list(client.shapes.ls())
    assert raised.value.facts["request_id"] == "req_1"


def test_where_nothing_listens_the_answer_comes_at_once_and_says_what_to_do():
    url = f"http://127.0.0.1:{closed_port()}"
    with (
        Client(url, backoff=Backoff(tries=9)) as client,
        pytest.raises(ServerUnreachable) as raised,
    ):
        client.whoami()

    assert raised.value.message == f"No Volano server answers at {url}: connection refused."
    assert "volano up" in raised.value.advice


def test_another_kind_of_server_is_told_from_ours(script, client):
    with pytest.raises(NotVolano, match="404"):
        client.whoami()
    assert len(script.seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"about:blank","title":"Not Found","status":404}',
        b'{"type":"https://example.com/x","code":5,"detail":7}',
        b'{"code":"missing","status":404,"detail":"gone","facts":3}',
        b"[]",
        b'{"code":',
        b"\xff",
        b"",
    ],
)
def test_a_problem_of_another_server_is_told_from_ours(script, client, body):
    script.on("GET", "/whoami", Answer(status=404, body=body, media_type=PROBLEM_MEDIA_TYPE))

    with pytest.raises(NotVolano, match="404"):
        client.whoami()


def test_a_problem_that_only_a_newer_server_knows_keeps_its_words(script, client):
    class TooPurple(Invalid):
        """This is {shade} too purple."""

        remedy = "Take less than {shade}."

    document = TooPurple(shade="much").problem() | {"code": "too-purple-by-far", "status": 409}
    body = json.dumps(document).encode()
    script.on("GET", "/whoami", Answer(status=409, body=body, media_type=PROBLEM_MEDIA_TYPE))

    with pytest.raises(Conflict, match="This is much too purple") as raised:
        client.whoami()
    assert raised.value.facts == {"shade": "much"}
    assert raised.value.advice == "Take less than much."


def test_bytes_that_cannot_be_unpacked_are_a_failure_in_words(script, client):
    script.on("GET", "/whoami", Answer(body=b"zz", headers={"content_encoding": "gzip"}))

    with pytest.raises(ServerUnreachable, match="decompress"):
        client.whoami()


@pytest.mark.parametrize("said", ["soon", "²", "Wed, 21 Oct 2015 07:28:00 GMT", "-1", ""])
def test_a_wait_that_is_no_number_of_seconds_is_not_kept(script, client, said):
    script.on("GET", "/whoami", problem(Overloaded(), retry_after=said), value(WHO))

    assert client.whoami().role == "developer"


def test_an_answer_of_another_shape_is_an_error_of_its_own(script, client):
    script.on("GET", "/whoami", value({"role": "king"}))

    with pytest.raises(AnswerUnreadable, match="/whoami"):
        client.whoami()


def test_a_listing_is_fetched_page_by_page_as_it_is_read(script, client):
    script.on("GET", "/shapes", page({"name": "a"}, after="a"), page({"name": "b"}))

    shapes = client.shapes.ls()
    assert next(shapes).name == "a"
    assert len(script.seen) == 1
    assert [shape.name for shape in shapes] == ["b"]
    assert script.seen[1].query == "after=a"


def test_a_stream_comes_line_by_line(script, client):
    script.on("GET", "/records/export", Answer(body=b'{"a":1}\n{"b":2}\n', media_type="x/jsonl"))

    assert list(client.records.export(label=["one", "two"])) == [b'{"a":1}', b'{"b":2}']
    assert script.seen[0].query == "label=one&label=two"


def test_a_stream_that_is_cut_is_not_taken_for_whole(script, client):
    script.on("GET", "/records/export", Answer(body=b'{"a":1}\n{"b"', drop=True))

    lines = client.records.export()
    assert next(lines) == b'{"a":1}'
    with pytest.raises(ServerUnreachable):
        list(lines)


def test_a_refused_stream_raises_the_refusal(script, client):
    script.on("GET", "/records/export", problem(Missing(noun="record", id="x")))

    with pytest.raises(Missing):
        list(client.records.export())


def test_the_key_is_sent_and_none_where_there_is_none(script, client):
    script.on("GET", "/shapes", page())
    list(client.shapes.ls())
    assert script.seen[0].headers["authorization"] == "Bearer vk_test"

    transport = Transport(script.url)
    list(transport.pages("/shapes", dict))
    transport.close()
    assert "authorization" not in script.seen[1].headers


def test_what_a_person_typed_stays_within_its_segment_of_the_path():
    assert path("runs", "../keys?a=1#b") == "/runs/..%2Fkeys%3Fa%3D1%23b"
    assert path("runs", "..", "cancel") == "/runs/%2E%2E/cancel"
    assert path("runs", ".") == "/runs/%2E"
    assert path("runs", "a..b", "\udcff") == "/runs/a..b/%FF"


def test_an_empty_name_is_refused_before_it_is_another_path(client: Client, script: Script):
    with pytest.raises(NothingGiven):
        client.keys.revoke("")
    assert script.seen == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_not_is_refused_by_name(
    client: Client, script: Script, value: float
):
    with pytest.raises(NotFinite) as frozen:
        client.snapshots.create("all", filter=RecordFilter(min_quality=value))
    with pytest.raises(NotFinite) as listed:
        list(client.records.ls(min_quality=value))
    with pytest.raises(NotFinite) as trained:
        client.runs.create("snap_1", recipe="drawing", params={"sizes": [1.0, value]})

    assert frozen.value.message == f"filter.min_quality is {value}, not a finite number."
    assert listed.value.facts["at"] == "min_quality"
    assert trained.value.facts["at"] == "params.sizes[1]"
    assert script.seen == []


def test_a_folder_above_is_no_other_path_for_the_server(client: Client, script: Script):
    script.on("GET", "/runs/%2E%2E", problem(Missing(noun="run", id="..")))

    with pytest.raises(Missing):
        client.runs.show("..")


def test_closing_ends_a_wait_in_another_thread():
    transport = Transport("http://127.0.0.1:1")
    transport.close()

    start = time.monotonic()
    transport.wait(60)
    assert time.monotonic() - start < 30


def test_waits_grow_and_differ_and_end():
    *waits, last = Backoff(tries=20, first_s=1, most_s=8).waits()

    assert len(waits) == 19
    assert last is None
    assert all(0.1 <= wait <= 8 for wait in waits)
    assert len(set(waits)) > 10

"""Tests of volano.sdk.uploads: every file arrives once or is refused by itself."""

import email
import hashlib
import json
import threading
from collections.abc import Iterator
from http.client import HTTPMessage

import msgspec
import pytest

from tests.sdk.scripted import Answer, Script, Seen, problem, served, value
from volano.schemas.accounts import NameTaken
from volano.schemas.common import BodyTooLarge, InvalidValues
from volano.schemas.datasets import Dataset, DatasetArchived, Known, NewItem, Outcome
from volano.schemas.errors import Missing
from volano.schemas.imports import DatasetOfOtherKind
from volano.sdk import uploads
from volano.sdk.client import Client
from volano.sdk.uploads import Field, Upload

RECORDS = "/datasets/pets/records"
LOOKUP = "/blobs:lookup"
NOTHING = value(Known(records={}))


def files(count: int, size: int = 10) -> list[Upload]:
    return [
        Upload(
            NewItem(id=f"00000000-0000-8000-8000-{n:012}", name=f"cat/{n}.png", label="cat"),
            bytes([n % 256]) * size,
            "image/png",
        )
        for n in range(count)
    ]


def parts(seen: Seen) -> list[HTTPMessage]:
    head = f"content-type: {seen.headers['content-type']}\r\n\r\n".encode()
    return list(email.message_from_bytes(head + seen.body).get_payload())


def sent(script: Script) -> list[list[str]]:
    """The names of the files of each form that was sent."""
    forms = [seen for seen in script.seen if seen.path.endswith(RECORDS)]
    return [
        [one["name"] for one in json.loads(parts(s)[0].get_payload(decode=True))] for s in forms
    ]


class Storing(Script):
    """A server that stores whatever it is sent, and knows nothing yet."""

    def __init__(self) -> None:
        super().__init__()
        self.on("POST", LOOKUP, NOTHING)

    def answer(self, seen: Seen) -> Answer:
        answer = super().answer(seen)
        if not seen.path.endswith(RECORDS) or answer.status != 404:
            return answer
        items = json.loads(parts(seen)[0].get_payload(decode=True))
        told = [Outcome(id=one["id"], stored=True, name=one["name"]) for one in items]
        return value(told, 201)


@pytest.fixture
def script() -> Iterator[Script]:
    with served(Storing()) as running:
        yield running


def names(batches) -> list[str]:
    return [outcome.name for outcomes in batches for outcome in outcomes]


def test_a_form_has_what_is_known_of_each_file_and_its_bytes(script: Script, client: Client):
    odd = NewItem(
        id="00000000-0000-8000-8000-00000000000a",
        name='ü "猫".png',
        label="Katze 猫",
        split="test",
        attributes={"boxes": [{"label": "x", "box": [0, 0, 1, 1]}]},
    )
    data = bytes(range(256)) + b"\r\n--boundary\r\n"

    (told,) = client.datasets.upload("pets", [Upload(odd, data, "image/webp")])

    (form,) = [seen for seen in script.seen if seen.path.endswith(RECORDS)]
    items, file = parts(form)
    assert msgspec.json.decode(items.get_payload(decode=True), type=list[NewItem]) == [odd]
    assert file.get_content_type() == "image/webp"
    assert file.get_payload(decode=True) == data
    assert told == [Outcome(id=odd.id, stored=True, name=odd.name)]


def test_everything_is_sent_in_order_in_batches_bounded_by_count_and_bytes(
    script: Script, client: Client
):
    made = files(10) + files(3, size=600)
    batches = uploads.upload(client._transport, "pets", made, batch=4, batch_bytes=1000)

    assert names(batches) == [one.item.name for one in made]
    assert sorted(map(len, sent(script))) == [1, 1, 3, 4, 4]


def test_several_requests_are_on_their_way_at_once(script: Script, client: Client):
    together = threading.Barrier(3)

    class Slow(Storing):
        def answer(self, seen: Seen) -> Answer:
            if seen.path.endswith(RECORDS):
                together.wait(timeout=10)  # breaks unless three requests wait here
            return super().answer(seen)

    script.answer = Slow().answer
    batches = uploads.upload(client._transport, "pets", files(6), batch=2, in_flight=3)
    assert len(names(batches)) == 6


def test_what_the_server_has_is_not_sent_again(script: Script, client: Client):
    made = files(3)
    digest = hashlib.sha256(made[1].data).hexdigest()
    script.on("POST", LOOKUP, value(Known(records={digest: ["other", made[1].item.id]})))

    (told,) = client.datasets.upload("pets", made)

    assert sent(script) == [["cat/0.png", "cat/2.png"]]
    assert [one.duplicate for one in told] == [False, True, False]
    assert [one.name for one in told] == ["cat/0.png", "cat/1.png", "cat/2.png"]


def test_equal_bytes_of_another_record_are_sent(script: Script, client: Client):
    made = files(1)
    digest = hashlib.sha256(made[0].data).hexdigest()
    script.on("POST", LOOKUP, value(Known(records={digest: ["another record"]})))
    list(client.datasets.upload("pets", made))
    assert sent(script) == [["cat/0.png"]]


def test_an_item_that_no_server_takes_is_refused_here_and_the_others_are_sent(
    script: Script, client: Client
):
    made = files(3)
    made[1] = made[1]._replace(item=msgspec.structs.replace(made[1].item, label="x" * 201))

    (told,) = client.datasets.upload("pets", made)

    assert sent(script) == [["cat/0.png", "cat/2.png"]]
    assert [one.stored for one in told] == [True, False, True]
    assert told[1].code == "invalid-values"
    assert "label" in told[1].detail


def test_a_number_that_json_has_not_is_refused_with_its_item(script: Script, client: Client):
    made = files(2)
    boxes = {"boxes": [{"box": [0.0, float("nan")]}]}
    made[0] = made[0]._replace(item=msgspec.structs.replace(made[0].item, attributes=boxes))

    (told,) = client.datasets.upload("pets", made)

    assert sent(script) == [["cat/1.png"]]
    assert told[0].code == "not-finite"
    assert told[0].detail == "attributes.boxes[0].box[1] is nan, not a finite number."


@pytest.mark.parametrize(
    "refusal",
    [
        problem(BodyTooLarge(limit=1)),
        Answer(status=413, body=b"<html>", media_type="text/html"),
        problem(InvalidValues(at="items", reason="a label that this server does not take")),
    ],
    ids=["server", "proxy", "item"],
)
def test_a_form_that_is_refused_is_halved_until_one_file_is(
    script: Script, client: Client, refusal: Answer
):
    def stored(*numbers: int) -> Answer:
        return value([Outcome(id=str(n), stored=True) for n in numbers], 201)

    script.on("POST", RECORDS, refusal, refusal, refusal, stored(1), stored(2, 3))

    (told,) = client.datasets.upload("pets", files(4))

    assert [len(some) for some in sent(script)] == [4, 2, 1, 1, 2]
    assert [one.stored for one in told] == [False, True, True, True]
    assert told[0].code


def test_what_is_wrong_with_all_of_them_is_raised_and_the_rest_is_not_sent(
    script: Script, client: Client
):
    script.on("POST", RECORDS, problem(DatasetArchived(name="pets")))
    with pytest.raises(DatasetArchived):
        list(uploads.upload(client._transport, "pets", files(100), batch=1, in_flight=2))
    assert len(sent(script)) < 10


def dataset(kind: str) -> Answer:
    made = {"name": "pets", "fields": {kind: kind}, "created_at": "2026-11-28T00:00:00Z"}
    return value(msgspec.convert(made, Dataset))


NONE = problem(Missing(noun="dataset", id="pets"))


def test_a_dataset_is_made_once(script: Script, client: Client):
    script.on("GET", "/datasets/pets", NONE)
    script.on("POST", "/datasets", dataset("image"))
    assert client.datasets.ensure("pets", {"image": "image"}).name == "pets"
    assert script.bodies("POST", "/datasets")[0]["fields"] == {"image": "image"}


def test_a_dataset_that_somebody_else_has_just_made_is_used(script: Script, client: Client):
    script.on("GET", "/datasets/pets", NONE, dataset("image"))
    script.on("POST", "/datasets", problem(NameTaken(noun="dataset", name="pets")))
    assert client.datasets.ensure("pets", {"image": "image"}).name == "pets"


def test_a_dataset_of_another_kind_is_refused_before_anything_is_sent(
    script: Script, client: Client
):
    script.on("GET", "/datasets/pets", dataset("text"))
    with pytest.raises(DatasetOfOtherKind) as refused:
        client.datasets.ensure("pets", {"image": "image"})
    assert refused.value.facts == {"name": "pets", "held": "text", "kind": "image"}


def test_a_single_field_may_have_another_name_in_the_dataset(script: Script, client: Client):
    made = {"name": "pets", "fields": {"photo": "image"}, "created_at": "2026-11-28T00:00:00Z"}
    script.on("GET", "/datasets/pets", value(msgspec.convert(made, Dataset)))
    assert client.datasets.ensure("pets", {"image": "image"}).fields == {"photo": "image"}


def test_the_fields_of_a_record_are_sent_by_name(script: Script, client: Client):
    fields = (Field("photo", b"png", "image/png"), Field("caption", b"A cat.", "text/plain"))
    one = files(1)[0]._replace(data=b"", fields=fields)

    list(client.datasets.upload("pets", [one]))

    (form,) = [seen for seen in script.seen if seen.path.endswith(RECORDS)]
    _, *sent_parts = parts(form)
    named = [part.get_param("name", header="content-disposition") for part in sent_parts]
    assert named == ["photo", "caption"]
    assert [part.get_payload(decode=True) for part in sent_parts] == [b"png", b"A cat."]
    digests = b"".join(hashlib.sha256(field.data).digest() for field in fields)
    asked = script.bodies("POST", LOOKUP)[0]["sha256"]
    assert asked == [hashlib.sha256(digests).hexdigest()]

"""Images are answered by the same path as drawings: raw, in JSON, many at once, and bad ones."""

import base64
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.serving import graphs
from tests.serving.graphs import image_version, picture
from tests.stages import Connect
from volano.core.context import Context
from volano.data.formats import pixels
from volano.schemas.accounts import Who
from volano.schemas.registry import ImageSpec
from volano.serving import log
from volano.serving.adapters import inputs_of
from volano.serving.state import State

PATH = "/endpoints/photos/predict"
PNG = {"content-type": "image/png"}


@pytest.fixture
async def http(server: Context, boss: Who, connect: Connect) -> httpx.AsyncClient:
    """A client, where a version that tells dark from light answers on `photos`."""
    developer = await connect("developer")
    made = (await image_version(server, boss)).id
    answer = await developer.post("/endpoints/photos/activate", json={"version": made})
    assert answer.status_code == 200, answer.text
    return developer


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_an_image_as_the_body_is_answered(http: httpx.AsyncClient) -> None:
    for grey, label in ((20, "dark"), (230, "light")):
        answer = await http.post(PATH, content=picture(grey), headers=PNG)
        assert answer.status_code == 200
        (made,) = answer.json()["predictions"]
        assert made["kind"] == "classes"
        assert made["label"] == label
        assert sum(made["scores"].values()) == pytest.approx(1)


async def test_an_image_is_answered_alike_raw_and_in_json(http: httpx.AsyncClient) -> None:
    data = picture(140, format="JPEG")
    raw = await http.post(PATH, content=data, headers={"content-type": "image/jpeg"})
    in_json = await http.post(PATH, json={"input": {"image": encoded(data)}})
    assert raw.status_code == 200
    assert in_json.status_code == 200
    scores = [answer.json()["predictions"][0]["scores"] for answer in (raw, in_json)]
    assert scores[0] == scores[1]


async def test_a_bad_one_of_many_has_its_reason_and_the_others_their_answers(
    http: httpx.AsyncClient,
) -> None:
    sent = [picture(20), b"no image", picture(230)[:45], picture(230)]
    body = {"inputs": [{"image": encoded(data)} for data in sent]}

    answer = await http.post(PATH, json=body)

    assert answer.status_code == 200
    made = answer.json()["predictions"]
    assert [one["kind"] for one in made] == ["classes", "failed", "failed", "classes"]
    assert made[0]["label"] == "dark"
    assert made[1]["code"] == "unsupported-image"
    assert made[2]["code"] == "image-corrupt"
    assert made[2]["remedy"]
    assert made[3]["label"] == "light"


def form(*files: bytes) -> dict[str, Any]:
    """What httpx would send for these files: the client of the tests says itself what it sends."""
    parts = [("input", (f"{n}.png", data, "image/png")) for n, data in enumerate(files)]
    made = httpx.Request("POST", "http://test", files=parts)
    return {"content": made.read(), "headers": {"content-type": made.headers["content-type"]}}


async def test_a_form_of_files_is_answered_in_their_order(http: httpx.AsyncClient) -> None:
    one = await http.post(PATH, **form(picture(20)))
    assert one.status_code == 200, one.text
    assert [made["label"] for made in one.json()["predictions"]] == ["dark"]

    sent = [picture(230), b"no image", picture(20)]
    many = await http.post(PATH, **form(*sent))

    assert many.status_code == 200
    made = many.json()["predictions"]
    assert [one["kind"] for one in made] == ["classes", "failed", "classes"]
    assert made[0]["label"] == "light"
    assert made[2]["label"] == "dark"


async def test_a_form_of_more_files_than_one_call_takes_is_refused(http: httpx.AsyncClient) -> None:
    files = [picture(grey) for grey in range(33)]
    answer = await http.post(PATH, **form(*files))
    assert answer.status_code == 413
    assert answer.json()["code"] == "form-too-large"
    fitting = await http.post(PATH, **form(*files[:32]))
    assert len(fitting.json()["predictions"]) == 32


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
async def test_a_form_that_cannot_be_read_is_refused(
    http: httpx.AsyncClient, content_type: str
) -> None:
    answer = await http.post(PATH, content=b"--y\r\n", headers={"content-type": content_type})
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == "form-unreadable"


async def test_a_single_bad_image_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, content=picture(9)[:45], headers=PNG)
    assert answer.status_code == 422
    assert answer.json()["code"] == "image-corrupt"


async def test_an_endpoint_for_images_says_that_it_takes_no_drawing(
    http: httpx.AsyncClient,
) -> None:
    drawing = {"canvas": {"width": 100, "height": 100}, "strokes": [{"points": []}]}
    answer = await http.post(PATH, json={"input": drawing})
    assert answer.status_code == 422
    assert answer.json()["code"] == "wrong-input"


async def test_a_model_that_gives_a_number_answers_with_it(
    server: Context, boss: Who, http: httpx.AsyncClient
) -> None:
    made = (await image_version(server, boss, value=True)).id
    await http.post("/endpoints/lightness/activate", json={"version": made})
    answer = await http.post("/endpoints/lightness/predict", content=picture(200), headers=PNG)
    (said,) = answer.json()["predictions"]
    assert said["kind"] == "value"
    assert said["value"] == pytest.approx(200 - 127.5)
    await server.part(State).log.flush()
    logged = (await http.get(f"/predictions/{said['id']}")).json()
    assert logged["value"] == pytest.approx(200 - 127.5)
    assert logged["label"] is None


async def test_what_an_image_was_predicted_from_is_shown_and_downloaded(
    server: Context, http: httpx.AsyncClient
) -> None:
    data = picture(230)
    answer = await http.post(PATH, content=data, headers=PNG)
    id = answer.json()["predictions"][0]["id"]
    await server.part(State).log.flush()
    logged = (await http.get(f"/predictions/{id}")).json()
    assert logged["label"] == "light"
    assert logged["input"]["kind"] == "image"
    assert logged["input"]["media_type"] == "image/png"
    kept = await http.get(f"/predictions/{id}/input")
    assert kept.status_code == 200
    assert kept.headers["content-type"] == "image/png"
    assert kept.content.startswith(b"\x89PNG")
    assert len(kept.content) == logged["input"]["bytes"]


async def test_a_large_image_is_kept_as_a_blob(server: Context, http: httpx.AsyncClient) -> None:
    data = graphs.noisy_picture(400)
    assert len(data) > log.LARGEST_IN_ROW
    answer = await http.post(PATH, content=data, headers=PNG)
    id = answer.json()["predictions"][0]["id"]
    await server.part(State).log.flush()
    kept = await http.get(f"/predictions/{id}/input")
    assert kept.status_code == 200
    assert len(kept.content) > log.LARGEST_IN_ROW


@pytest.mark.parametrize(("digest", "warnings"), [(pixels.DIGEST, 0), ("0" * 32, 1)])
def test_a_version_whose_training_decoded_otherwise_is_loaded_with_a_warning(
    digest: str, warnings: int
) -> None:
    inputs = inputs_of(ImageSpec(height=4, width=4, channels=1))
    with capture_logs() as logged:
        inputs.check({"pixels": digest})
    assert [line["log_level"] for line in logged] == ["warning"] * warnings


async def test_a_stored_record_is_predicted_by_its_id(http: httpx.AsyncClient) -> None:
    made = await http.post("/datasets", json={"name": "photos", "fields": {"photo": "image"}})
    assert made.status_code == 201
    stored = await http.post("/datasets/photos/records", content=picture(230), headers=PNG)
    assert stored.status_code == 201, stored.text
    record = stored.json()[0]["id"]
    told = {"items": [{"text": "no picture"}]}
    await http.post("/datasets", json={"name": "notes", "fields": {"note": "text"}})
    other = (await http.post("/datasets/notes/records", json=told)).json()[0]["id"]

    one = await http.post(PATH, json={"input": {"record": record}})
    assert one.status_code == 200, one.text
    assert one.json()["predictions"][0]["label"] == "light"
    absent = "00000000-0000-7000-8000-000000000000"
    asked = {"inputs": [{"record": id} for id in (record, other, absent)]}
    many = (await http.post(PATH, json=asked)).json()["predictions"]
    assert many[0]["label"] == "light"
    assert many[1]["code"] == "wrong-input"
    assert many[2]["code"] == "missing"

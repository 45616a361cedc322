"""What the description of the API says one could send: it can be sent."""

from typing import Any

import httpx
import msgspec
import pytest

from tests.stages import Connect, collect, imports, working
from volano import app
from volano.core.context import Context
from volano.core.http import openapi
from volano.core.http.routes import Operation
from volano.schemas.accounts import Who

OPERATIONS = [operation for routes in app.ROUTES for operation in routes.operations]
DESCRIBED = openapi.document(OPERATIONS, title="", version="", about="")

WITH_JSON = [one for one in OPERATIONS if one.body and not one.body.as_is]


def example(operation: Operation) -> Any:
    described = DESCRIBED["paths"][operation.path][operation.method.lower()]
    return described["requestBody"]["content"]["application/json"]["example"]


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda one: one.id)
def test_every_json_body_has_an_example_that_fits_it(operation: Operation) -> None:
    assert operation.body is not None

    operation.body.reader(b"application/json")(msgspec.json.encode(example(operation)))


async def test_the_examples_are_accepted(server: Context, boss: Who, connect: Connect) -> None:
    client = await connect("admin")

    async def post(path: str) -> httpx.Response:
        (operation,) = [o for o in OPERATIONS if (o.method, o.path) == ("POST", f"/api/v1{path}")]
        return await client.post(path, json=example(operation))

    first = [await post(path) for path in ("/members", "/keys", "/invites", "/shapes")]
    drawn = [await post(path) for path in ("/drawings", "/drawings/import")]
    # The snapshot of the example needs more people than one drawing has.
    await collect(server, boss, imports(["triangle"], ["ada", "bob", "eve", "kim"], each=2))
    async with working(server):
        frozen = [await post("/snapshots"), await post("/runs")]
    again = [await post("/jobs/requeue"), await post("/quarantine/retry")]

    assert [one.status_code for one in (*first, *drawn, *frozen)] == [201] * 8
    assert [one.status_code for one in again] == [200, 200]
    one, [imported] = [answer.json() for answer in drawn]
    assert one["stored"]
    assert imported["stored"]
    assert not imported["duplicate"]

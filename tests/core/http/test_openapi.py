"""The description of the API says what the server does, without loss."""

from typing import Annotated, Any

import msgspec
import openapi_spec_validator
import pytest

from tests.core.http.things import NewThing, Thing
from volano.core.context import Context
from volano.core.http import PUBLIC, Answer, Header, Response, Routes
from volano.schemas.accounts import Who
from volano.schemas.common import Id, Input, Page
from volano.schemas.errors import Conflict

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Stroke(msgspec.Struct):
    """A stroke."""

    points: list[tuple[Unit, Unit, int]]


class Asked(Input, frozen=True, kw_only=True, rename={"labels": "label"}):
    """What is asked for."""

    labels: tuple[str, ...] = ()
    """Any of these."""
    least: float


class ThingGone(Conflict):
    """The thing {id!r} is gone."""


@pytest.fixture
def described(routes: Routes) -> Routes:
    @routes.post("/{id}", allow="train", status=201, errors=(ThingGone,))
    async def make(ctx: Context, who: Who, id: Id, body: Stroke) -> Answer[Thing]:
        """Make a thing.

        More about it.
        """
        raise AssertionError

    @routes.get(allow="read")
    async def listing(
        ctx: Context,
        who: Who,
        prefer: Annotated[str | None, Header("Prefer")] = None,
        *,
        limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="At most.")] = 50,
        shape: tuple[str, ...] = (),
        wanted: bool,
    ) -> Page[Thing]:
        raise AssertionError

    @routes.get("/{id}/image", allow=PUBLIC, produces="image/png")
    async def image(ctx: Context, who: None, id: Id) -> Response:
        raise AssertionError

    @routes.put("/{id}", allow="train", natural=True, reads={"application/x-t": bytes})
    async def put(ctx: Context, who: Who, id: Id, body: NewThing | None = None) -> None: ...

    return routes


@pytest.fixture
async def document(client: Any, described: Routes) -> Any:
    answer = await client("").get("/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_it_is_valid_openapi(document: Any) -> None:
    openapi_spec_validator.validate(document)

    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"


def test_nested_bounds_and_tuples_are_kept(document: Any) -> None:
    points = document["components"]["schemas"]["Stroke"]["properties"]["points"]
    unit = {"type": "number", "minimum": 0, "maximum": 1}

    assert [unit, unit, {"type": "integer"}] == points["items"]["prefixItems"]
    assert (points["items"]["minItems"], points["items"]["maxItems"]) == (3, 3)


def test_an_operation_has_its_words_and_what_it_needs(document: Any) -> None:
    make = document["paths"]["/api/v1/things/{id}"]["post"]

    assert (
        make["operationId"],
        make["summary"],
        make["description"],
    ) == ("things_make", "Make a thing", "More about it.")
    assert make["security"] == [{"key": []}]
    assert (make["x-permission"], make["x-roles"]) == ("train", ["admin", "developer"])
    assert {"$ref": "#/components/parameters/IdempotencyKey"} in make["parameters"]
    assert document["paths"]["/api/v1/things/{id}/image"]["get"]["security"] == []


def test_parameters_have_their_place_bounds_and_default(document: Any) -> None:
    limit, wanted, prefer, shape = sorted(
        document["paths"]["/api/v1/things"]["get"]["parameters"],
        key=lambda p: ["limit", "wanted", "prefer", "shape"].index(p["name"]),
    )

    assert limit == {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
        "description": "At most.",
    }
    assert (wanted["in"], wanted["required"]) == ("query", True)
    assert (prefer["in"], prefer["required"]) == ("header", False)
    assert shape["schema"]["type"] == "array"


async def test_the_fields_of_a_query_struct_are_parameters(client: Any, routes: Routes) -> None:
    @routes.get(allow="read")
    async def listing(ctx: Context, who: Who, *, query: Asked) -> None: ...

    document = (await client("").get("/api/openapi.json")).json()

    labels, least = document["paths"]["/api/v1/things"]["get"]["parameters"]
    assert (labels["name"], labels["in"], labels["required"]) == ("label", "query", False)
    assert labels["schema"] == {"type": "array", "items": {"type": "string"}, "default": []}
    assert labels["description"] == "Any of these."
    assert (least["name"], least["required"]) == ("least", True)
    assert "description" not in least


def test_answers_have_their_schema_or_media_type(document: Any) -> None:
    def answer(path: str, method: str, status: str) -> Any:
        return document["paths"][path][method]["responses"][status]

    thing = {"schema": {"$ref": "#/components/schemas/Thing"}}
    assert {"application/json": thing} == answer("/api/v1/things/{id}", "post", "201")["content"]
    assert list(answer("/api/v1/things/{id}/image", "get", "200")["content"]) == ["image/png"]
    assert "content" not in answer("/api/v1/things/{id}", "put", "204")


def test_every_refusal_is_declared_as_a_problem(document: Any) -> None:
    responses = document["paths"]["/api/v1/things/{id}"]["post"]["responses"]

    expected = "201 400 401 403 404 408 409 413 415 422 500 503 504"
    assert expected.split() == sorted(responses)
    assert "`thing-gone`" in responses["409"]["description"]
    assert "`still-running`" in responses["409"]["description"]
    problem = responses["409"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}


def test_a_body_may_have_several_media_types_and_be_optional(document: Any) -> None:
    body = document["paths"]["/api/v1/things/{id}"]["put"]["requestBody"]

    assert (
        body["required"],
        list(body["content"]),
    ) == (False, ["application/json", "application/x-t"])


def test_the_servers_own_operations_are_there_and_its_pages_are_not(document: Any) -> None:
    assert {"/healthz", "/healthz/live", "/metrics"} < document["paths"].keys()
    assert not {"/", "/api/docs", "/api/openapi.json"} & document["paths"].keys()
    assert [tag["name"] for tag in document["tags"]] == ["things", "server"]


def test_two_operations_with_one_id_or_address_are_refused(app: Any, routes: Routes) -> None:
    async def show(ctx: Context, who: Who) -> None: ...

    routes.get("/a", allow="read")(show)
    routes.get("/b", allow="read")(show)
    with pytest.raises(TypeError, match="things_show"):
        app()
    routes.operations.pop()

    async def other(ctx: Context, who: Who) -> None: ...

    routes.get("/a", allow="read")(other)
    with pytest.raises(TypeError, match="declared twice"):
        app()

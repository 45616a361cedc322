"""What a declared function becomes: parameters, body, answer, and what is refused at import."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest

from tests.core.http.things import NewThing, Thing
from volano.core.context import Context
from volano.core.http import PUBLIC, Answer, ByteStream, Header, Response, Routes
from volano.schemas.accounts import Who
from volano.schemas.common import Id, Input, Name


async def test_a_function_is_an_operation(client: Any, routes: Routes) -> None:
    @routes.post(allow="train", status=201)
    async def make(ctx: Context, who: Who, body: NewThing) -> Thing:
        return Thing(name=body.name, points=len(body.points))

    answer = await client().post("/api/v1/things", json={"name": "a", "points": [[0, 1]]})

    assert (answer.status_code, answer.json()) == (201, {"name": "a", "points": 1})
    assert answer.headers["content-type"] == "application/json"


async def test_api_without_a_version_is_the_current_one(client: Any, routes: Routes) -> None:
    @routes.get("/{id}", allow="read")
    async def show(ctx: Context, who: Who, id: Id) -> Thing:
        return Thing(name=id)

    one = client()

    versioned, bare = await one.get("/api/v1/things/x"), await one.get("/api/things/x")

    assert {"name": "x", "points": 0} == versioned.json() == bare.json()


async def test_query_parameters_have_the_types_of_the_function(client: Any, routes: Routes) -> None:
    seen: dict[str, Any] = {}

    @routes.get(allow="read")
    async def listing(
        ctx: Context,
        who: Who,
        *,
        limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50,
        since: datetime | None = None,
        shape: tuple[str, ...] = (),
        live: bool = False,
        least: float = 0.0,
    ) -> None:
        seen.update(limit=limit, since=since, shape=shape, live=live, least=least)

    one = client()

    assert (await one.get("/api/things")).status_code == 204
    assert seen == {"limit": 50, "since": None, "shape": (), "live": False, "least": 0.0}
    query = "limit=3&since=2026-01-02T03:04:05Z&shape=circle&shape=star&live=true&least=0.5"
    assert (await one.get(f"/api/things?{query}")).status_code == 204
    assert {
        "limit": 3,
        "since": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "shape": ("circle", "star"),
        "live": True,
        "least": 0.5,
    } == seen


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("limit=0", "query.limit"),
        ("limit=x", "query.limit"),
        ("limit=1&limit=2", "query.limit"),
        ("limit=99999999999999999999", "query.limit"),
        ("least=nan", "query.least"),
        ("least=inf", "query.least"),
        ("limt=3", "query"),
        ("name=%00", "query"),
        ("name=%ff", "query"),
        ("name=" + "a&name=" * 200, "query"),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_with_its_place(
    client: Any, routes: Routes, query: str, at: str
) -> None:
    @routes.get(allow="read")
    async def listing(
        ctx: Context,
        who: Who,
        *,
        limit: Annotated[int, msgspec.Meta(ge=1)] = 50,
        least: float = 0.0,
        name: str = "",
    ) -> None: ...

    answer = await client().get(f"/api/things?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-values")
    assert answer.json()["facts"]["at"] == at


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("name=E%20x", "`query.name`: 'E x' is not a name: lower case letters, digits and `_ . -`"),
        ("after=z%20z", "`query.after`: 'z z' is not where a page ended."),
        ("limit=0", "`query.limit`: Expected `int` >= 1."),
    ],
)
async def test_a_refusal_says_what_where_and_in_words(
    client: Any, routes: Routes, query: str, said: str
) -> None:
    @routes.get(allow="read")
    async def listing(
        ctx: Context,
        who: Who,
        *,
        name: Name = "a",
        after: Id | None = None,
        limit: Annotated[int, msgspec.Meta(ge=1)] = 50,
    ) -> None: ...

    assert said in (await client().get(f"/api/things?{query}")).json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"names": ["a", "E x"]}, "`body.names[1]`: 'E x' is not a name"),
        ({"by_name": {"a": "E"}}, "`body.by_name[...]`: it is not a name"),
        ({"by_name": {"E": "a"}}, "`body.by_name`: it is not a name"),
        ({"names": 3}, "`body.names`: Expected `array | null`, got `int`."),
        ({}, "`body`: Object missing required field `names`."),
    ],
)
async def test_a_body_is_refused_in_words(
    client: Any, routes: Routes, body: Any, said: str
) -> None:
    class Named(Input, frozen=True, kw_only=True):
        names: list[Name] | None
        by_name: dict[Name, Name] | None = None

    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: Named) -> None: ...

    if "by_name" in body:
        body = {"names": None, **body}
    assert said in (await client().post("/api/things", json=body)).json()["detail"]


async def test_a_long_value_is_not_echoed_whole(client: Any) -> None:
    problem = (await client().get("/api/" + "x" * 5000)).json()

    assert len(problem["detail"]) < 200
    assert len(problem["facts"]["path"]) == len(problem["instance"]) == 100


class Wanted(Input, frozen=True, kw_only=True, rename={"shapes": "shape"}):
    """Which things are listed."""

    shapes: tuple[Name, ...] = ()
    least: float = 0.0
    """Points of a thing."""
    since: datetime


async def test_the_fields_of_a_struct_can_be_the_query(client: Any, routes: Routes) -> None:
    seen: list[tuple[Wanted, int]] = []

    @routes.get(allow="read")
    async def listing(ctx: Context, who: Who, *, query: Wanted, limit: int = 50) -> None:
        seen.append((query, limit))

    one = client()
    asked = "since=2026-01-02T03:04:05Z&shape=circle&shape=star&limit=3"
    answers = [
        await one.get(f"/api/things?{query}") for query in (asked, "", f"{asked}&shapes=circle")
    ]

    assert [answer.status_code for answer in answers] == [204, 422, 422]
    since = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert seen == [(Wanted(shapes=("circle", "star"), least=0.0, since=since), 3)]
    refused = await one.get(f"/api/things?{asked}&shape=A%20B")
    assert refused.json()["facts"]["at"] == "query.shape[2]"


async def test_a_query_struct_with_defaults_may_be_left_out(client: Any, routes: Routes) -> None:
    class Bounds(Input, frozen=True, kw_only=True):
        least: float = 0.5

    seen: list[Bounds] = []

    @routes.get(allow="read")
    async def listing(ctx: Context, who: Who, *, query: Bounds) -> None:
        seen.append(query)

    one = client()
    await one.get("/api/things")
    await one.get("/api/things?least=0.25")

    assert seen == [Bounds(least=0.5), Bounds(least=0.25)]
    assert (await one.get("/api/things?least=inf")).status_code == 422


async def test_a_header_can_be_a_parameter(client: Any, routes: Routes) -> None:
    @routes.get(allow="read")
    async def listing(
        ctx: Context, who: Who, prefer: Annotated[str | None, Header("Prefer")] = None
    ) -> Answer[Thing]:
        return Answer(Thing(name=prefer or "none"), 202, {"preference-applied": "yes"})

    answer = await client().get("/api/things", headers={"prefer": "respond-async"})

    assert (answer.status_code, answer.json()["name"]) == (202, "respond-async")
    assert answer.headers["preference-applied"] == "yes"


async def test_a_body_is_refused_with_the_path_of_what_does_not_fit(
    client: Any, routes: Routes
) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> None: ...

    answer = await client().post("/api/things", json={"name": "a", "points": [[0, 1], [0, "x"]]})

    assert answer.status_code == 422
    assert answer.json()["facts"]["at"] == "body.points[1][1]"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "unreadable-body"),
        (b"{", 400, "unreadable-body"),
        (b'{"name":"%","size', 400, "unreadable-body"),
        (b'{"name":"a"} x', 400, "unreadable-body"),
        (b'{"name":"\xff"}', 400, "unreadable-body"),
        (b'{"name":"\\ud800"}', 400, "unreadable-body"),
        (b'{"points":' + b"[" * 100_000, 413, "body-too-large"),
        (b'{"extra":' + b"[" * 90_000, 400, "unreadable-body"),
        (b'{"name":"a","nmae":1}', 422, "invalid-values"),
        (b'{"name":"a","points":[[1e999,0]]}', 422, "invalid-values"),
        (b'{"name":"a\\u0000b"}', 422, "invalid-values"),
        (b"null", 422, "invalid-values"),
    ],
)
async def test_a_bad_body_is_a_4xx(
    client: Any, routes: Routes, body: bytes, status: int, code: str
) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> None: ...

    headers = {"content-type": "application/json"}
    answer = await client().post("/api/things", content=body, headers=headers)

    assert (status, code) == (answer.status_code, answer.json()["code"])


async def test_a_byte_order_mark_before_json_is_passed_over(client: Any, routes: Routes) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> Thing:
        return Thing(name=body.name)

    one, headers = client(), {"content-type": "application/json"}
    sent = [b'{"name":"a"}', b'{"name":1}', b'{"name"', b""]
    answers = [
        await one.post("/api/things", content=b"\xef\xbb\xbf" + body, headers=headers)
        for body in sent
    ]

    assert [answer.status_code for answer in answers] == [200, 422, 400, 400]
    assert answers[0].json()["name"] == "a"
    assert answers[1].json()["facts"]["at"] == "body.name"


async def test_text_that_only_looks_like_a_nul_is_fine(client: Any, routes: Routes) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> Thing:
        return Thing(name=body.name)

    answer = await client().post("/api/things", json={"name": r"a\u0000"})

    assert answer.json()["name"] == r"a\u0000"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_media_type_is_415(
    client: Any, routes: Routes, media_type: str
) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> None: ...

    headers = {"content-type": media_type}
    answer = await client().post("/api/things", content=b"{}", headers=headers)

    assert (answer.status_code, answer.json()["facts"]["accepted"]) == (415, "application/json")


@pytest.mark.parametrize("charset", ["latin-1", '"UTF-16"', "utf-7; x=1"])
async def test_json_in_another_charset_is_415(client: Any, routes: Routes, charset: str) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> None: ...

    headers = {"content-type": f"application/json; charset={charset}"}
    answer = await client().post("/api/things", content=b'{"name":"a"}', headers=headers)

    assert answer.status_code == 415
    assert answer.json()["facts"]["accepted"] == "application/json; charset=utf-8"


async def test_a_compressed_body_is_415_and_says_what_is_taken(client: Any, routes: Routes) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> None: ...

    one = client()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    refused = await one.post("/api/things", content=b"\x1f\x8b", headers=headers)
    headers["content-encoding"] = "identity"
    taken = await one.post("/api/things", content=b'{"name":"a"}', headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported-encoding")
    assert refused.headers["accept-encoding"] == "identity"
    assert taken.status_code == 204


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", "application/x+json"]
)
async def test_json_has_many_names(client: Any, routes: Routes, media_type: str) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> None: ...

    headers = {"content-type": media_type}
    answer = await client().post("/api/things", content=b'{"name":"a"}', headers=headers)

    assert answer.status_code == 204


async def test_a_route_reads_a_media_type_of_its_own(client: Any, routes: Routes) -> None:
    def decode(body: bytes) -> NewThing:
        return NewThing(name=body.decode())

    @routes.post(allow="train", reads={"application/x-thing": decode})
    async def make(ctx: Context, who: Who, body: NewThing) -> Thing:
        return Thing(name=body.name)

    headers = {"content-type": "application/x-thing"}
    answer = await client().post("/api/things", content=b"binary", headers=headers)

    assert answer.json()["name"] == "binary"


async def test_bytes_arrive_as_they_are_and_in_pieces(client: Any, routes: Routes) -> None:
    @routes.put("/{id}", allow="train", natural=True)
    async def put(ctx: Context, who: Who, id: Id, body: AsyncIterator[bytes]) -> Thing:
        return Thing(name=id, points=sum([len(piece) async for piece in body]))

    @routes.post(allow="train")
    async def post(ctx: Context, who: Who, body: bytes) -> Thing:
        return Thing(name="whole", points=len(body))

    one = client()

    assert (await one.put("/api/things/a", content=bytes(70_000))).json()["points"] == 70_000
    assert (await one.post("/api/things", content=bytes(70_000))).json()["points"] == 70_000


async def test_raw_and_streamed_answers(client: Any, routes: Routes) -> None:
    async def count() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    @routes.get("/raw", allow="read")
    async def raw(ctx: Context, who: Who) -> Response:
        return Response(b"\x00\x01", 200, {"etag": '"x"'}, "image/png")

    @routes.get("/stream", allow="read", produces="text/event-stream")
    async def stream(ctx: Context, who: Who) -> ByteStream:
        return ByteStream(count(), "text/event-stream")

    one = client()
    image, numbers = await one.get("/api/things/raw"), await one.get("/api/things/stream")

    assert image.content == b"\x00\x01"
    assert image.headers["etag"] == '"x"'
    assert image.headers["content-type"] == "image/png"
    assert numbers.content == b"012"
    assert numbers.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_head_is_get_without_its_body(client: Any, routes: Routes) -> None:
    @routes.get("/{id}", allow="read")
    async def show(ctx: Context, who: Who, id: Id) -> Thing:
        return Thing(name=id)

    one = client()
    full, head = await one.get("/api/things/a"), await one.head("/api/things/a")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == full.headers["content-length"]
    assert (await client("").head("/api/things/a")).status_code == 401


async def test_a_caller_without_the_permission_learns_nothing_else(
    client: Any, routes: Routes
) -> None:
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who, body: NewThing) -> None: ...

    statuses = [
        (await client(key).post("/api/things?no=1", content=b"{")).status_code
        for key in ("", "bob", "ada")
    ]

    assert statuses == [401, 403, 422]


async def test_a_public_operation_needs_no_key(client: Any, routes: Routes) -> None:
    @routes.get(allow=PUBLIC)
    async def show(ctx: Context, who: None) -> Thing:
        return Thing(name=str(who))

    assert (await client("").get("/api/things")).json()["name"] == "None"


def test_a_route_without_a_permission_fails_at_import(routes: Routes) -> None:
    with pytest.raises(TypeError, match="allow"):
        routes.get()(_listing)  # type: ignore[call-arg] # what the test is about
    with pytest.raises(TypeError, match="no permission 'admin'"):
        routes.get(allow="admin")(_listing)  # type: ignore[arg-type] # what the test is about


def test_a_signature_that_cannot_be_served_fails_at_import(routes: Routes) -> None:
    async def positional(ctx: Context, who: Who, limit: int) -> None: ...
    async def without_ctx(who: Who) -> None: ...
    async def with_body(ctx: Context, who: Who, body: NewThing) -> None: ...
    async def streaming(ctx: Context, who: Who, body: AsyncIterator[bytes]) -> None: ...

    with pytest.raises(TypeError, match="'limit' is neither"):
        routes.get(allow="read")(positional)
    with pytest.raises(TypeError, match="first two"):
        routes.get(allow="read")(without_ctx)
    with pytest.raises(TypeError, match=r"no parameter for \['id'\]"):
        routes.get("/{id}", allow="read")(_listing)
    with pytest.raises(TypeError, match="GET has no body"):
        routes.get(allow="read")(with_body)
    with pytest.raises(TypeError, match="natural=True"):
        routes.post(allow="read")(streaming)
    with pytest.raises(TypeError, match="who: None"):
        routes.get(allow=PUBLIC)(_listing)


async def _listing(ctx: Context, who: Who) -> None: ...

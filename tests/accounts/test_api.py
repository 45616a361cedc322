"""Accounts over HTTP, in one process with a real database."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.accounts.conftest import Hire
from volano.accounts import service
from volano.accounts.api import COOKIE, PLAIN_COOKIE, routes
from volano.core.context import Context
from volano.core.http.app import build
from volano.core.http.server import About
from volano.schemas.accounts import NewInvite, NewKey, Who

Client = httpx.AsyncClient


@pytest.fixture
async def visitor(ctx: Context) -> AsyncIterator[Client]:
    """A client without a key."""
    api = build(ctx, routes, about=About(version="1"))
    async with Client(transport=httpx.ASGITransport(api), base_url="http://test/api/v1") as client:
        yield client


@pytest.fixture
def client(visitor: Client, admin_secret: str) -> Client:
    """A client with the admin's key."""
    visitor.headers["authorization"] = f"Bearer {admin_secret}"
    return visitor


@pytest.fixture
async def code(ctx: Context, admin: Who) -> str:
    """The code of an invitation."""
    return str((await service.create_invite(ctx, admin, NewInvite())).code)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


async def test_whoami_tells_what_the_server_sees(client: Client, admin: Who) -> None:
    answer = await client.get("/whoami")

    assert {
        "workspace": admin.workspace,
        "workspace_name": "home",
        "role": "admin",
        "member": admin.member,
        "key": admin.key,
        "contributor": admin.member,
    } == answer.json()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "not-authenticated"),
        ("Basic YTpi", "not-authenticated"),
        ("vol_", "not-authenticated"),
        ("Bearer", "key-refused"),
        ("Bearer vol_x", "key-refused"),
        ("Bearer v1.x", "key-refused"),
        ("Bearer \xff\xfe", "key-refused"),
    ],
)
async def test_no_key_and_a_wrong_key_are_refused(visitor: Client, header: str, code: str) -> None:
    answer = await visitor.get("/whoami", headers={b"authorization": header.encode("latin-1")})

    assert (401, code) == problem(answer)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_scheme_is_read_in_any_case(visitor: Client, admin_secret: str) -> None:
    answer = await visitor.get("/whoami", headers={"authorization": f"bEARER {admin_secret}"})

    assert answer.status_code == 200


async def test_a_role_that_is_too_low_is_told_which_would_do(
    visitor: Client, ctx: Context, hire: Hire, admin: Who
) -> None:
    developer = await hire("developer")
    key = await service.create_key(ctx, admin, NewKey(member=developer.member))
    visitor.headers["authorization"] = f"Bearer {key.secret}"

    answer = await visitor.get("/members")

    assert problem(answer) == (403, "role-too-low")
    facts = answer.json()["facts"]
    assert facts["role"] == "developer"
    assert facts["permission"] == "settings"
    assert facts["roles"] == "admin"
    assert "The role 'developer' may not manage members" in answer.json()["detail"]


async def test_a_member_is_added_given_a_key_promoted_and_locked_out(client: Client) -> None:
    member = (await client.post("/members", json={"name": "Ada", "role": "annotator"})).json()
    key = (await client.post("/keys", json={"member": member["id"], "name": "laptop"})).json()
    as_ada = {"authorization": f"Bearer {key['secret']}"}
    assert (await client.get("/whoami", headers=as_ada)).json()["role"] == "annotator"

    changed = await client.patch(f"/members/{member['id']}", json={"role": "developer"})

    assert (changed.json()["name"], changed.json()["role"]) == ("Ada", "developer")
    assert (await client.get("/whoami", headers=as_ada)).json()["role"] == "developer"
    assert (await client.delete(f"/keys/{key['id']}")).status_code == 204
    assert (await client.get("/whoami", headers=as_ada)).status_code == 401


async def test_a_repeated_request_makes_one_key(client: Client) -> None:
    once = {"idempotency-key": "k1"}

    first = await client.post("/keys", json={"name": "ci"}, headers=once)
    again = await client.post("/keys", json={"name": "ci"}, headers=once)
    other = await client.post("/keys", json={"name": "cd"}, headers=once)

    assert (201, first.json()) == (again.status_code, again.json())
    assert problem(other) == (422, "idempotency-key-reused")
    assert len((await client.get("/keys")).json()["items"]) == 2


async def test_a_repeated_request_adds_one_member(client: Client) -> None:
    ada, once = {"name": "Ada", "role": "annotator"}, {"idempotency-key": "m1"}

    first = await client.post("/members", json=ada, headers=once)
    again = await client.post("/members", json=ada, headers=once)

    assert (201, first.json()) == (again.status_code, again.json())
    assert problem(await client.post("/members", json=ada)) == (409, "name-taken")


async def test_the_last_admin_cannot_step_down(client: Client, admin: Who) -> None:
    answer = await client.patch(f"/members/{admin.member}", json={"role": "developer"})

    assert problem(answer) == (409, "last-admin")


async def test_a_role_cannot_be_smuggled_into_a_key(client: Client) -> None:
    for extra in ({"workspace": "ws_1"}, {"role": "root"}, {"revoked_at": None}):
        assert problem(await client.post("/keys", json=extra)) == (422, "invalid-values")


async def test_listings_come_in_pages(client: Client) -> None:
    for _ in range(3):
        await client.post("/invites", json={})

    first = (await client.get("/invites", params={"limit": 2})).json()
    rest = (await client.get("/invites", params={"limit": 2, "after": first["next"]})).json()

    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)


@pytest.mark.parametrize("listing", ["members", "keys", "invites"])
async def test_what_is_no_cursor_is_refused(client: Client, listing: str) -> None:
    for wrong in ("mem_1", "key_", "W10", "WzFd", "ω", "'; --"):
        answer = await client.get(f"/{listing}", params={"after": wrong})
        assert problem(answer) == (422, "cursor-refused")


async def test_a_session_goes_into_the_authorization_header(
    visitor: Client, code: str, admin: Who
) -> None:
    session = (await visitor.post("/sessions", json={"invite": code})).json()
    as_visitor = {"authorization": f"Bearer {session['token']}"}

    who = (await visitor.get("/whoami", headers=as_visitor)).json()

    assert ("contributor", admin.workspace) == (who["role"], who["workspace"])
    assert session["contributor"] == who["contributor"]
    assert (await visitor.get("/keys", headers=as_visitor)).status_code == 403


async def test_a_page_gets_the_session_as_a_cookie_that_scripts_cannot_read(
    visitor: Client, code: str
) -> None:
    answer = await visitor.post(
        "/sessions", json={"invite": code}, headers={"origin": "http://test"}
    )

    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == PLAIN_COOKIE
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(rest.split("; "))
    assert answer.json()["token"] is None
    assert rest.partition(";")[0] not in answer.text
    assert (await visitor.get("/whoami")).status_code == 200


async def test_over_tls_the_cookie_is_bound_to_this_host(visitor: Client, code: str) -> None:
    answer = await visitor.post(
        "https://test/api/v1/sessions",
        json={"invite": code},
        headers={"origin": "https://test"},
    )

    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=v1.")
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_a_program_gets_no_cookie(visitor: Client, code: str) -> None:
    answer = await visitor.post("/sessions", json={"invite": code})

    assert answer.status_code == 201
    assert "set-cookie" not in answer.headers


async def test_a_key_in_a_cookie_is_refused(visitor: Client, admin_secret: str) -> None:
    for name in (COOKIE, PLAIN_COOKIE):
        answer = await visitor.get("/whoami", headers={"cookie": f"{name}={admin_secret}"})

        assert problem(answer) == (401, "not-authenticated")


async def test_another_site_cannot_use_the_cookie_to_write(visitor: Client, code: str) -> None:
    session = (await visitor.post("/sessions", json={"invite": code})).json()
    headers = {"cookie": f"{PLAIN_COOKIE}={session['token']}", "origin": "http://evil.example"}

    assert (await visitor.post("/keys", json={}, headers=headers)).status_code == 403


async def test_a_wrong_invitation_is_refused(visitor: Client, code: str) -> None:
    answer = await visitor.post("/sessions", json={"invite": code[:-1]})

    assert problem(answer) == (403, "invite-refused")

"""Every operation of the API, called by everyone who may not.

Made from the routes: an operation that is added tomorrow is tested tomorrow.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
import pytest_asyncio

from tests.house import examples
from volano.accounts import service
from volano.accounts.authentication import identify
from volano.accounts.roles import ROLES
from volano.app import ROUTES, build_api, open_context
from volano.core.context import Context
from volano.core.db import metadata
from volano.core.db.tx import COLUMN
from volano.core.http import PUBLIC, server
from volano.core.http.app import served_at
from volano.core.http.routes import Operation
from volano.core.http.server import About
from volano.core.settings import Settings
from volano.schemas.accounts import (
    PERMISSIONS,
    NewInvite,
    NewKey,
    NewMember,
    NewSession,
    Permission,
    Role,
    Who,
)

PROBLEM = "application/problem+json"


def named(operations: list[Operation]) -> list[object]:
    return [pytest.param(o, id=f"{o.method} {o.path}") for o in operations]


def too_low(operation: Operation) -> list[Role]:
    """List the roles that may not call it."""
    return [role for role in ROLES if role not in PERMISSIONS[cast("Permission", operation.allow)]]


STAGES = [operation for group in ROUTES for operation in group.operations]
OPERATIONS = STAGES + server.routes(STAGES, About(version="1")).operations
GUARDED = [o for o in OPERATIONS if o.allow != PUBLIC]
RESTRICTED = [o for o in GUARDED if too_low(o)]
OF_ONE_THING = [o for o in GUARDED if any(p.where == "path" for p in o.parameters)]

PUBLIC_ONES = {
    "POST /api/v1/sessions",
    "GET /",
    "GET /healthz",
    "GET /healthz/live",
    "GET /metrics",
    "GET /api/docs",
    "GET /api/docs/{name}",
    "GET /api/openapi.json",
}
"""What anybody may call; grows only on purpose."""


class Site:
    """A server with two workspaces, `home` and `elsewhere`, and clients for those in it."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        transport = httpx.ASGITransport(build_api(ctx))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")
        self.home = self.elsewhere = ""

    async def found(self) -> None:
        """Make both workspaces."""
        self.home = str(await service.bootstrap(self.ctx, "home"))
        self.elsewhere = str(await service.bootstrap(self.ctx, "elsewhere"))

    async def call(self, operation: Operation, path: str, credential: str = "") -> httpx.Response:
        """Call this operation with the smallest body that it reads."""
        return await self.client.request(
            operation.method,
            path,
            params=examples.query(operation),
            json=examples.body(operation),
            headers={"authorization": f"Bearer {credential}"} if credential else {},
        )

    async def credentials(self) -> dict[Role, list[str]]:
        """A key of every role in `home`, and a session for contributors."""
        admin = await identify(self.ctx, self.home)
        found = {role: [await self._hired(admin, role)] for role in ROLES}
        invite = await service.create_invite(self.ctx, admin, NewInvite())
        session = await service.start_session(self.ctx, NewSession(invite=str(invite.code)))
        found["contributor"].append(session.token)
        return found

    async def fill_home(self) -> None:
        """Put a row into every table; whatever can be asked for by id is there as `ID`."""
        who = await identify(self.ctx, self.home)
        async with self.ctx.db.begin(who.workspace) as tx:
            for table in metadata.sorted_tables:
                if COLUMN in table.c:
                    for row in examples.rows(table):
                        await tx.run(tx.insert(table).values(row).on_conflict_do_nothing())

    async def _hired(self, admin: Who, role: Role) -> str:
        new = NewMember(name=f"the {role}", role=role)
        member = await service.add_member(self.ctx, admin, new)
        return str((await service.create_key(self.ctx, admin, NewKey(member=member.id))).secret)


def told(answer: httpx.Response) -> tuple[int, str]:
    """Return what an answer says, without the id of its request."""
    text = answer.text
    return answer.status_code, text.replace(answer.headers["x-request-id"], "")


@asynccontextmanager
async def opened(url: str, home: Path) -> AsyncIterator[Site]:
    """Open a site on the database at `url`."""
    settings = Settings(home=str(home), db=url, allowed_hosts="test")
    async with open_context(settings) as ctx:
        site = Site(ctx)
        await site.found()
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """One site for all calls that are refused, and so change nothing."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copyfile(sqlite_template, folder / "volano.db")
    async with opened(f"sqlite:///{folder / 'volano.db'}", folder) as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def credentials(site: Site) -> dict[Role, list[str]]:
    """A key of every role at the site, and a session for contributors."""
    return await site.credentials()


def test_the_public_operations_are_those_on_the_list() -> None:
    public = {f"{o.method} {o.path}" for o in OPERATIONS if o.allow == PUBLIC}

    assert public == PUBLIC_ONES


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", named(GUARDED))
async def test_every_guarded_operation_refuses_a_request_without_a_key(
    operation: Operation, site: Site
) -> None:
    for path in served_at(operation.path):
        answer = await site.call(operation, path)

        assert answer.status_code == 401
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["code"] == "not-authenticated"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", named(RESTRICTED))
async def test_every_restricted_operation_refuses_a_role_that_is_too_low(
    operation: Operation, site: Site, credentials: dict[Role, list[str]]
) -> None:
    for role in too_low(operation):
        for credential in credentials[role]:
            answer = await site.call(operation, operation.path, credential)

            assert answer.status_code == 403
            assert answer.headers["content-type"] == PROBLEM
            assert answer.json()["code"] == "role-too-low"
            assert answer.json()["facts"]["role"] == role


@pytest.mark.parametrize("operation", named(OF_ONE_THING))
async def test_an_id_of_another_workspace_is_answered_as_missing(
    operation: Operation, db_url: str, tmp_path: Path
) -> None:
    async with opened(db_url, tmp_path / "home") as site:
        await site.fill_home()
        for path in examples.paths(operation):
            foreign = await site.call(operation, path, site.elsewhere)
            own = await site.call(operation, path, site.home)

            assert foreign.status_code == 404, foreign.text
            assert told(foreign) != told(own), "the thing is not there for its owner either"

"""A Context with accounts in it, on each kind of database."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from volano.accounts import service
from volano.accounts.authentication import KeyCache, State, authorise, identify
from volano.accounts.secrets import Pepper
from volano.core.context import Context
from volano.core.db import Database
from volano.core.metrics import Metrics
from volano.core.settings import Settings
from volano.schemas.accounts import NewKey, NewMember, Role, Who


def context(db: Database, **settings: Any) -> Context:
    """What one server process has; the ports that accounts do not use are missing."""
    chosen = Settings(allowed_hosts="test", **settings)
    unused: Any = None
    return Context(
        settings=chosen,
        db=db,
        blobs=unused,
        bus=unused,
        jobs=unused,
        compute=unused,
        metrics=Metrics(),
        authorise=authorise,
        parts={State: State(Pepper(b"of the tests"), KeyCache(chosen.key_cache_s))},
    )


@pytest.fixture
def ctx(db: Database) -> Context:
    """One server process."""
    return context(db)


@pytest.fixture
def other_process(db: Database) -> Context:
    """Another process on the same database, which remembers no key."""
    return context(db, key_cache_s=0.0)


@pytest.fixture
async def admin_secret(ctx: Context) -> str:
    """The first key of the workspace `home`."""
    secret = await service.bootstrap(ctx, "home")
    assert secret is not None
    return secret


@pytest.fixture
async def admin(ctx: Context, admin_secret: str) -> Who:
    """The first member of the workspace `home`."""
    return await identify(ctx, admin_secret)


@pytest.fixture
async def stranger(ctx: Context) -> Who:
    """The admin of another workspace."""
    secret = await service.bootstrap(ctx, "elsewhere")
    assert secret is not None
    return await identify(ctx, secret)


Hire = Callable[[Role], Awaitable[Who]]


@pytest.fixture
def hire(ctx: Context, admin: Who) -> Hire:
    """`await hire("developer")` is a new member of `home` with this role."""

    async def hire(role: Role) -> Who:
        member = await service.add_member(ctx, admin, NewMember(name=f"a {role}", role=role))
        key = await service.create_key(ctx, admin, NewKey(member=member.id))
        assert key.secret is not None
        return await identify(ctx, key.secret)

    return hire

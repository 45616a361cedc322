"""The things of a small API, their table, and who may touch them."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa

from volano.core.context import Context
from volano.schemas.accounts import PERMISSIONS, Permission, Who
from volano.schemas.common import Input, NotAuthenticated, RoleTooLow, Struct

things = sa.Table(
    "test_http_things",
    sa.MetaData(),
    sa.Column("workspace", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
)

KEYS = {
    b"Bearer ada": Who(workspace="ws_1", role="admin", member="mem_ada"),
    b"Bearer bob": Who(workspace="ws_1", role="annotator", member="mem_bob"),
    b"Bearer eve": Who(workspace="ws_2", role="admin", member="mem_eve"),
}


class NewThing(Input, frozen=True, kw_only=True):
    """A thing to make."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=50)]
    points: tuple[tuple[float, float], ...] = ()
    extra: Any = None


class Thing(Struct, frozen=True, kw_only=True):
    """A thing."""

    name: str
    points: int = 0


async def authorise(ctx: Context, headers: Mapping[bytes, bytes], permission: Permission) -> Who:
    """Return whose key it is, out of three."""
    who = KEYS.get(headers.get(b"authorization", b""))
    if who is None:
        raise NotAuthenticated
    if not who.may(permission):
        roles = ", ".join(sorted(PERMISSIONS[permission]))
        raise RoleTooLow(role=who.role, permission=permission, meaning=permission, roles=roles)
    return who

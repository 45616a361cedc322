"""Who may do what: workspaces, members, roles, keys, sessions."""

from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec

from volano.schemas.common import Id, Input, Name, Struct
from volano.schemas.errors import Conflict, Denied, Invalid

Role = Literal["contributor", "annotator", "reviewer", "developer", "admin", "auditor"]
Permission = Literal[
    "whoami", "draw", "label", "adjudicate", "read", "read-contributors", "predict", "train",
    "deploy", "export", "own-keys", "settings", "read-audit",
]  # fmt: skip

PERMISSIONS: dict[Permission, frozenset[Role]] = {
    "whoami": frozenset(get_args(Role)),
    "draw": frozenset({"contributor", "annotator", "reviewer", "developer", "admin"}),
    "label": frozenset({"annotator", "reviewer", "admin"}),
    "adjudicate": frozenset({"reviewer", "admin"}),
    "read": frozenset({"annotator", "reviewer", "developer", "admin", "auditor"}),
    "read-contributors": frozenset({"admin", "auditor"}),
    "predict": frozenset({"annotator", "reviewer", "developer", "admin"}),
    "train": frozenset({"developer", "admin"}),
    "deploy": frozenset({"developer", "admin"}),
    "export": frozenset({"reviewer", "developer", "admin"}),
    "own-keys": frozenset({"developer", "admin"}),
    "settings": frozenset({"admin"}),
    "read-audit": frozenset({"admin", "auditor"}),
}
"""The role table: the only place that says who may do what (`docs/roles.md` is made from it)."""


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of an operation, as the server has verified it."""

    workspace: str
    role: Role
    """What the key allows, which may be less than what its member may."""
    member: str = ""
    """Id of the member behind the key; empty for an anonymous session."""
    key: str = ""
    """Id of the key; empty for an anonymous session."""
    contributor: str = ""
    """Id under which drawings are counted: the session's own, or that of the member."""

    def may(self, permission: Permission) -> bool:
        """Return whether the role of this caller has the permission."""
        return self.role in PERMISSIONS[permission]


class Caller(Who, frozen=True, kw_only=True):
    """The caller with what people call the workspace."""

    workspace_name: str = ""
    """Empty from a server that does not tell it yet."""


class Workspace(Struct, frozen=True, kw_only=True):
    """One tenant: everything belongs to exactly one workspace."""

    id: Id
    name: Name
    created_at: datetime


class Member(Struct, frozen=True, kw_only=True):
    """A person (or a program) with a role in one workspace."""

    id: Id
    name: str
    role: Role
    created_at: datetime


class NewMember(Input, frozen=True, kw_only=True):
    """A member to add."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    role: Role


class MemberChange(Input, frozen=True, kw_only=True):
    """The role that a member has from now on; keys that follow the member follow at once."""

    role: Role


class NewKey(Input, frozen=True, kw_only=True):
    """An API key to make: for oneself, or by an admin for another member."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "key"
    member: Id | None = None
    role: Role | None = None
    """At most the member's own role; a lower one narrows the key. Without one, the key follows
    the member's role."""
    days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 365


class Key(Struct, frozen=True, kw_only=True):
    """An API key as it is listed: never with its secret."""

    id: Id
    name: str
    member: Id
    role: Role
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    secret: str | None = None
    """The whole key, in the answer that makes it and never again."""


class Invite(Struct, frozen=True, kw_only=True):
    """A code with which anyone may draw in the workspace that made it."""

    id: Id
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    """From then on the code starts no session; sessions that it started live on until they end."""
    code: str | None = None
    """The whole code, in the answer that makes it and never again."""


class NewInvite(Input, frozen=True, kw_only=True):
    """An invitation to draw."""

    days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30


class NewSession(Input, frozen=True, kw_only=True):
    """An anonymous contributor asks to draw."""

    invite: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Session(Struct, frozen=True, kw_only=True):
    """An anonymous session: the token goes into `Authorization: Bearer …`."""

    token: str | None
    """None to a browser, which is given it as a cookie that its scripts cannot read."""
    contributor: Id
    workspace: Id
    expires_at: datetime


class KeyRefused(Denied):
    """This key or session is not valid here."""

    status = 401
    remedy = (
        "It may be mistyped, revoked or expired. An admin makes a new one with "
        "`volano keys create`; whoever runs the server gets one by starting it: `volano up`."
    )


class InviteRefused(Denied):
    """This invitation is not valid or has expired."""

    remedy = "Ask whoever sent it for a new one."


class RoleAboveOwn(Denied):
    """A key with the role {role!r} is above the role {own!r}."""

    remedy = "Ask for the same role or a lower one."


class LastAdmin(Conflict):
    """{member!r} is the last admin of this workspace."""

    remedy = "Make another member an admin first."


class LastAdminKey(Conflict):
    """Without this nobody holds a key that is an admin's in this workspace."""

    remedy = "Make another admin's key first: `volano keys create`; then do this again."


class NameTaken(Conflict):
    """There is already a {noun} named {name!r}."""

    remedy = "Choose another name."


class SecretDiffers(Conflict):
    """The keys in this database were made with the secret {kept}, and this server has {own}."""

    remedy = (
        "Give every server of one database the same VOLANO_SECRET; where none is set, it is what "
        "the file `secret` in the first server's home holds. If it is lost, `volano up "
        "--new-secret` goes on with this one: every older key and session is refused from then on."
    )


class BadSecret(Invalid):
    """The secret in {setting} is too short to protect keys: {length} bytes."""

    remedy = "Give at least 32 random characters, or none: then one is made and kept in home."

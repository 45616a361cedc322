"""The client's part of accounts: keys, members, invitations, anonymous sessions."""

from collections.abc import Iterator

from volano.schemas.accounts import (
    Invite,
    Key,
    Member,
    MemberChange,
    NewInvite,
    NewKey,
    NewMember,
    NewSession,
    Role,
    Session,
)
from volano.schemas.common import Id
from volano.sdk.transport import Transport, path


class Keys:
    """API keys."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str = "key",
        *,
        member: Id | None = None,
        role: Role | None = None,
        days: int = 365,
    ) -> Key:
        """Make a key; its secret is in this answer and never shown again."""
        new = NewKey(name=name, member=member, role=role, days=days)
        return self._transport.call("POST", "/keys", Key, body=new)

    def ls(self) -> Iterator[Key]:
        """Yield keys without their secrets."""
        return self._transport.pages("/keys", Key)

    def revoke(self, id: Id) -> None:
        """Make a key invalid from now on."""
        self._transport.fetch("DELETE", path("keys", id))


class Members:
    """Who belongs to the workspace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self) -> Iterator[Member]:
        """Yield every member."""
        return self._transport.pages("/members", Member)

    def add(self, name: str, role: Role) -> Member:
        """Add a member; a key for it is made with `keys.create(member=…)`."""
        return self._transport.call(
            "POST", "/members", Member, body=NewMember(name=name, role=role)
        )

    def change(self, id: Id, role: Role) -> Member:
        """Give a member another role; keys that follow the member follow at once."""
        at = path("members", id)
        return self._transport.call("PATCH", at, Member, body=MemberChange(role=role))


class Invites:
    """Codes with which anyone may draw here."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, *, days: int = 30) -> Invite:
        """Make an invitation; its code is in this answer and never shown again."""
        return self._transport.call("POST", "/invites", Invite, body=NewInvite(days=days))

    def ls(self) -> Iterator[Invite]:
        """Yield the invitations that are valid."""
        return self._transport.pages("/invites", Invite)

    def revoke(self, id: Id) -> None:
        """Make an invitation invalid; sessions that it opened go on."""
        self._transport.fetch("DELETE", path("invites", id))

    def accept(self, code: str) -> Session:
        """Begin an anonymous session in the workspace of the invitation; no key is needed."""
        return self._transport.call("POST", "/sessions", Session, body=NewSession(invite=code))

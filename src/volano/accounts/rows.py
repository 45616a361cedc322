"""Rows of the store as the rest of the stage and the API see them."""

from datetime import datetime

import msgspec

from volano.accounts import roles, store
from volano.schemas import accounts as schemas
from volano.schemas.accounts import Role


def is_live(row: store.Row, now: datetime) -> bool:
    """Return whether a key or an invitation is neither revoked nor expired."""
    return row.revoked_at is None and now < row.expires_at


def days(made: schemas.Key | schemas.Invite) -> int:
    """Return how many days it was to live."""
    return (made.expires_at - made.created_at).days


def role(row: store.Row) -> Role | None:
    """Return the role of a key; None if its member has since got one that it is not part of."""
    return roles.lower(row.role or row.member_role, row.member_role)


def member(row: store.Row) -> schemas.Member:
    """Return a member as the API shows it."""
    return msgspec.convert(row, schemas.Member, from_attributes=True)


def key(row: store.Row, secret: str | None = None) -> schemas.Key:
    """Return a key as the API shows it; its secret only where it was just made."""
    return schemas.Key(
        id=row.id,
        name=row.name,
        member=row.member,
        role=role(row) or row.role,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        secret=secret,
    )


def invite(row: store.Row, code: str | None = None) -> schemas.Invite:
    """Return an invitation as the API shows it; its code only where it was just made."""
    shown = msgspec.convert(row, schemas.Invite, from_attributes=True)
    return msgspec.structs.replace(shown, code=code)

"""Which role includes which, and `docs/roles.md`: `python -m volano.accounts.roles` writes it."""

from pathlib import Path
from typing import get_args

from volano.schemas.accounts import PERMISSIONS, Permission, Role, RoleAboveOwn

ROLES: tuple[Role, ...] = get_args(Role)

MEANINGS: dict[Permission, str] = {
    "whoami": "see who one is",
    "draw": "send drawings, see one's own figures",
    "label": "answer tasks",
    "adjudicate": "decide where answers disagree",
    "read": "see records, snapshots, runs, versions, endpoints and explanations",
    "read-contributors": "see who is behind a contributor's id (nothing is kept of that yet)",
    "predict": "ask an endpoint",
    "train": "freeze snapshots, start and cancel runs, import records, retry quarantined ones",
    "deploy": "put versions on endpoints, roll back",
    "export": "take records out",
    "own-keys": "make, list and revoke one's own keys",
    "settings": "manage members, everybody's keys, invitations, shapes and the quarantine",
    "read-audit": "see who changed what",
}

PAGE = """\
# Roles

Every operation of the API names one permission, and this table says which roles have it. It is made
from `src/volano/schemas/accounts.py` by `python -m volano.accounts.roles`; the server reads the
same table, and a test calls every operation with every role that is too low for it.

{table}

A session that an invitation started has the role `contributor`. A key has the role of its member,
or a lower one that it was made with; it is never above either.
"""


def may(role: Role) -> frozenset[Permission]:
    """Return everything that the role allows."""
    return frozenset(p for p, roles in PERMISSIONS.items() if role in roles)


def within(role: Role, other: Role) -> bool:
    """Return whether `role` allows nothing that `other` does not; maybe neither is in the other."""
    return may(role) <= may(other)


def lower(role: Role, other: Role) -> Role | None:
    """Return the one of two roles that is within the other; None if neither is."""
    if within(role, other):
        return role
    return other if within(other, role) else None


def grant(asked: Role | None, *, member: Role, own: Role) -> Role | None:
    """Return the role of a new key of a member, made by a caller whose own role is `own`.

    None is a key that follows its member: given where nothing was asked, if the caller may that.
    Raises: RoleAboveOwn.
    """
    if asked is None:
        if within(member, own):
            return None
        asked = own
    for bound in (member, own):
        if not within(asked, bound):
            raise RoleAboveOwn(role=asked, own=bound)
    return asked


def page() -> str:
    """Write the text of `docs/roles.md`."""
    head = ["Permission", "allows to", *ROLES]
    rows = [
        [f"`{permission}`", MEANINGS[permission], *("✓" if r in roles else "" for r in ROLES)]
        for permission, roles in PERMISSIONS.items()
    ]
    rule = ["---", "---", *(":-:" for _ in ROLES)]
    return PAGE.format(table="\n".join(f"| {' | '.join(r)} |" for r in (head, rule, *rows)))


if __name__ == "__main__":
    Path("docs/roles.md").write_text(page(), encoding="utf-8")

"""`volano login`, `whoami`, `keys`, `members`, `invites`: who may do what."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App

from volano.cli import render
from volano.cli.render import Columns, Look
from volano.cli.streams import read_input
from volano.cli.terminal import Here, Limit, Terminal, note, whole
from volano.sdk import config

if TYPE_CHECKING:
    from volano.schemas.accounts import Caller, Invite, Key, Member

RoleName = Literal["contributor", "annotator", "reviewer", "developer", "admin", "auditor"]

keys = App(name="keys", help="API keys: create, list, revoke.")
members = App(name="members", help="Who belongs to the workspace.")
invites = App(name="invites", help="Codes with which anyone may draw here.")

KEYS: "Columns[Key]" = {
    "ID": lambda key: key.id,
    "NAME": lambda key: key.name,
    "ROLE": lambda key: key.role,
    "MEMBER": lambda key: key.member,
    "CREATED": lambda key: key.created_at,
    "EXPIRES": lambda key: key.expires_at,
    "REVOKED": lambda key: key.revoked_at,
}

MEMBERS: "Columns[Member]" = {
    "ID": lambda member: member.id,
    "NAME": lambda member: member.name,
    "ROLE": lambda member: member.role,
    "CREATED": lambda member: member.created_at,
}

INVITES: "Columns[Invite]" = {
    "ID": lambda invite: invite.id,
    "CREATED": lambda invite: invite.created_at,
    "EXPIRES": lambda invite: invite.expires_at,
    "REVOKED": lambda invite: invite.revoked_at,
}


def login(
    server: Annotated[str | None, note("Address of the server.", metavar="URL")] = None,
    /,
    *,
    terminal: Here,
) -> None:
    """Choose a server and keep its key for the commands that follow.

    The key is asked for without showing it, read from standard input in a pipe, or given by --key.

    Example:
        volano login http://localhost:8000
        cat key.txt | volano login https://volano.example.org
    """
    from volano.sdk.client import Client

    url = config.clean(server or terminal.url or config.read().url)
    key = config.clean_key(terminal.key or _ask(terminal, f"Key for {url}: "))
    if not key:
        raise config.NoKey(url=url)
    with Client(url, key) as client:
        who = client.whoami()
    path = config.write(url, key)
    if terminal.format != "table":
        return terminal.document(who)
    terminal.confirm(f"You are {who.role} of {workspace(who)} at {url}; the key is in {path}")
    return terminal.then("volano status")


def whoami(*, terminal: Here) -> None:
    """Show who you are to the server, and with which key.

    Example:
        volano whoami
    """
    url = terminal.client.url

    def view(who: "Caller", look: Look) -> str:
        facts = {
            "server": url,
            "workspace": workspace(who),
            "role": who.role,
            "member": who.member or None,
            "key": who.key or None,
            "contributor": who.contributor or None,
        }
        return render.card(facts, look)

    terminal.show(terminal.client.whoami(), view)


def workspace(who: "Caller") -> str:
    """Return what people call the workspace; the id where the server does not tell the name."""
    return who.workspace_name or who.workspace


@keys.command(name="create")
def create_key(
    name: Annotated[str, note("What it is for.")] = "key",
    /,
    *,
    terminal: Here,
    role: Annotated[RoleName | None, note("A lower role than the member's own.")] = None,
    member: Annotated[str | None, note("The member it is for; else you.", metavar="ID")] = None,
    days: Annotated[int, note("Days that it is valid.", converter=whole)] = 365,
) -> None:
    """Make an API key; it is printed once and kept nowhere.

    Example:
        volano keys create ci --role developer --days 30
    """
    key = terminal.client.keys.create(name, member=member, role=role, days=days)
    if terminal.format != "table":
        return terminal.document(key)
    terminal.print(render.visible(key.secret or ""))
    return terminal.confirm(f"{key.id}: {key.role} for {days} days. It is not shown again.")


@keys.command(name="current")
def print_current_key(*, terminal: Here) -> None:
    """Print the key that commands send from here: `curl -H "Authorization: Bearer $(…)"`.

    Example:
        volano keys current
    """
    profile = config.read(terminal.url, terminal.key)
    if not profile.key:
        raise config.NoKey(url=profile.url)
    terminal.print(profile.key)


@keys.command(name="ls")
def list_keys(*, terminal: Here, limit: Limit = 50) -> None:
    """List keys, without their secrets.

    Example:
        volano keys ls
    """
    terminal.rows(terminal.client.keys.ls(), KEYS, limit=limit, none="No keys.")


@keys.command(name="revoke")
def revoke_key(id: Annotated[str, note("Id of a key.")], /, *, terminal: Here) -> None:
    """Make a key invalid from now on.

    Example:
        volano keys revoke key_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    terminal.client.keys.revoke(id)
    terminal.confirm(f"{id} is revoked")


@members.command(name="ls")
def list_members(*, terminal: Here, limit: Limit = 50) -> None:
    """List the members of the workspace.

    Example:
        volano members ls
    """
    terminal.rows(terminal.client.members.ls(), MEMBERS, limit=limit, none="No members.")


@members.command(name="add")
def add_member(
    name: Annotated[str, note("A person's or a program's name.")],
    /,
    *,
    terminal: Here,
    role: Annotated[RoleName, note("What the member may do.")],
) -> None:
    """Add a member to the workspace.

    Example:
        volano members add "Ada Lovelace" --role developer
    """
    _added(terminal, terminal.client.members.add(name, role))


@members.command(name="role")
def change_role(
    member: Annotated[str, note("Id or name of a member.", metavar="MEMBER")],
    role: Annotated[RoleName, note("What the member may do from now on.")],
    /,
    *,
    terminal: Here,
) -> None:
    """Give a member another role.

    Example:
        volano members role "Ada Lovelace" reviewer
        volano members role mem_0198c5e07d317c4e9a503f1b6f7f2a10 reviewer
    """
    named = [one.id for one in terminal.client.members.ls() if one.name == member]
    changed = terminal.client.members.change(named[0] if named else member, role)
    if terminal.format != "table":
        return terminal.document(changed)
    return terminal.confirm(f"{changed.name} is {changed.role} now")


@invites.command(name="create")
def create_invite(
    *, terminal: Here, days: Annotated[int, note("Days that it is valid.", converter=whole)] = 30
) -> None:
    """Make a code with which anyone may draw here; it is printed once.

    Example:
        volano invites create --days 7
    """
    invite = terminal.client.invites.create(days=days)
    if terminal.format != "table":
        return terminal.document(invite)
    terminal.print(render.visible(invite.code or ""))
    return terminal.confirm(f"{invite.id}: valid for {days} days. It is not shown again.")


@invites.command(name="ls")
def list_invites(*, terminal: Here, limit: Limit = 50) -> None:
    """List invitations, without their codes.

    Example:
        volano invites ls
    """
    none = "No invitations: `volano invites create` makes one."
    terminal.rows(terminal.client.invites.ls(), INVITES, limit=limit, none=none)


@invites.command(name="revoke")
def revoke_invite(id: Annotated[str, note("Id of an invitation.")], /, *, terminal: Here) -> None:
    """Make an invitation invalid; sessions that it opened go on.

    Example:
        volano invites revoke inv_0198c5e07d317c4e9a503f1b6f7f2a10
    """
    terminal.client.invites.revoke(id)
    terminal.confirm(f"{id} is revoked")


def _added(terminal: Terminal, member: "Member") -> None:
    if terminal.format != "table":
        return terminal.document(member)
    terminal.confirm(f"{member.name} is a member with the role {member.role}")
    return terminal.then(f"volano keys create --member {member.id}")


def _ask(terminal: Terminal, prompt: str) -> str:
    """Return the line that is typed unseen or comes through a pipe; an empty text for none."""
    if not sys.stdin.isatty():
        return read_input().strip().partition("\n")[0]
    import getpass

    try:
        return getpass.getpass(prompt)
    except EOFError:
        terminal.say()
        return ""

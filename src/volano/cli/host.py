"""`volano up`, `migrate`, `doctor`, `settings`: their options; local_server.py does the work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from volano.cli import render
from volano.cli.terminal import Here, note, path, whole

if TYPE_CHECKING:
    from volano.cli.render import Look
    from volano.schemas.loop import Diagnosis

Home = Annotated[Path | None, path("Folder of all that the server keeps; else .volano.")]
"""The type of the option that names a server by its folder."""


def up(
    *,
    terminal: Here,
    home: Home = None,
    host: Annotated[
        str | None, note("Address to listen on; else VOLANO_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        note(
            "Port to listen on; else VOLANO_PORT, else 8000; 0 takes a free one.", converter=whole
        ),
    ] = None,
    processes: Annotated[
        int | None, note("API processes; else VOLANO_PROCESSES, else 1.", converter=whole)
    ] = None,
    role: Annotated[
        Literal["all", "api", "worker"],
        note("What to run here; one folder takes one api and one worker."),
    ] = "all",
    real: Annotated[
        bool, note("Store in a PostgreSQL and an S3 server that are started with it.")
    ] = False,
    once: Annotated[bool, note("Stop after the first turn: drawings, model, answer.")] = False,
    empty: Annotated[bool, note("Make no synthetic drawings and no first model.")] = False,
    new_secret: Annotated[
        bool, note("Begin with another secret, because the old one is lost: no old key works then.")
    ] = False,
) -> int:
    """Start a server here; the first time it makes a workspace, drawings and a first model.

    Everything lies in one folder (.volano). Ctrl-C lets open requests end, then stops; the same
    command goes on where it was.

    Example:
        volano up
        volano up --home /srv/volano --port 9000
    """
    from volano.cli import local_server

    options = local_server.UpOptions(
        home=home,
        host=host,
        port=port,
        processes=processes,
        role=role,
        real=real,
        once=once,
        empty=empty,
        new_secret=new_secret,
    )
    return local_server.up(options, terminal)


def migrate(*, terminal: Here, home: Home = None) -> None:
    """Bring the database to the version of this program.

    Example:
        volano migrate
    """
    from volano.cli import local_server

    terminal.confirm(f"{local_server.migrate(home)} is up to date")


def doctor(
    *,
    terminal: Here,
    home: Home = None,
    fix: Annotated[bool, note("Delete orphans and set wrong counters right.")] = False,
    requeue: Annotated[bool, note("Let dead jobs be tried again.")] = False,
) -> int:
    """Look for damage in what a server stores; it may be serving meanwhile.

    Reads the database and every blob whole. Exit code 1 where something is damaged or failed.

    Example:
        volano doctor --fix --requeue
    """
    from volano.cli import local_server

    found = local_server.doctor(home, fix=fix, requeue=requeue)
    terminal.show(found, diagnosis)
    return 0 if found.healthy else 1


def diagnosis(found: "Diagnosis", look: "Look") -> str:
    """Return what was found: the good in a word and the bad in full."""
    done = "deleted" if found.fixed else "to delete: --fix"
    orphans = found.orphans
    facts: dict[str, object] = {
        "database": "; ".join(found.database) or "sound",
        "blobs": "; ".join(found.unreadable + found.unknown) or "all readable",
        "dead jobs": _dead(found) or "none",
        "quarantine": _quarantine(found) or "empty",
        "counters": ", ".join(found.miscounted) or "right",
        "orphans": f"{render.plural(orphans.blobs, 'blob')}, {render.size(orphans.bytes)}"
        + (f" ({done})" if orphans.blobs else ""),
    }
    return render.card(facts, look)


def _dead(found: "Diagnosis") -> str:
    groups = [
        f"{workspace}: {one.jobs} x {one.topic}: {one.failure.get('message', '')}"
        for workspace, letters in found.dead.items()
        for one in letters
    ]
    next_step = f"requeued: {found.requeued}" if found.requeued else "try again: --requeue"
    return "; ".join([*groups, next_step]) if groups else ""


def _quarantine(found: "Diagnosis") -> str:
    rows = [f"{stream}: {render.plural(n, 'row')}" for stream, n in found.quarantined.items()]
    return "; ".join([*rows, "see: volano data quarantine ls"]) if rows else ""


def settings(*, terminal: Here) -> None:
    """List every setting of a server: its variable, what it means, its default.

    Example:
        VOLANO_PORT=9000 volano up
        volano settings -o json
    """
    from volano.cli import help_pages, local_server

    if terminal.format != "table":
        return terminal.document(local_server.settings())
    lines = [
        (variable, f"{meaning} [{default}]" if default else meaning)
        for variable, default, meaning in local_server.settings()
    ]
    return terminal.print(help_pages.section("Settings", lines, help_pages.Layout.of(terminal)))

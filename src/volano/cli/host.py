"""`volano up`, `migrate`, `settings`: their options; what they do is in hosting.py."""

from pathlib import Path
from typing import Annotated, Literal

from volano.cli.terminal import Here, note


def up(
    *,
    terminal: Here,
    home: Annotated[Path | None, note("Folder of everything embedded; else .volano.")] = None,
    host: Annotated[str | None, note("Address to listen on.")] = None,
    port: Annotated[int | None, note("Port to listen on; 0 takes a free one.")] = None,
    processes: Annotated[int | None, note("API processes.")] = None,
    role: Annotated[Literal["all", "api", "worker"], note("What to run here.")] = "all",
    real: Annotated[bool, note("On a real PostgreSQL and S3, started here from wheels.")] = False,
    once: Annotated[bool, note("Turn the wheel once, then stop.")] = False,
    empty: Annotated[bool, note("Without synthetic drawings and a first model.")] = False,
) -> int:
    """Start a server here; the first time it makes a workspace, drawings and a first model.

    Everything lies in one folder (.volano); Ctrl-C drains and stops.

    Example:
        volano up --port 8000
    """
    from volano.cli import hosting

    order = hosting.Order(
        home=home,
        host=host,
        port=port,
        processes=processes,
        role=role,
        real=real,
        once=once,
        empty=empty,
    )
    return hosting.up(order, terminal)


def migrate(*, terminal: Here, home: Annotated[Path | None, note("As in `up`.")] = None) -> None:
    """Bring the database to the version of this program.

    Example:
        volano migrate
    """
    from volano.cli import hosting

    terminal.confirm(f"{hosting.migrate(home)} is up to date")


def settings(*, terminal: Here) -> None:
    """Every setting of a server: its variable, its default, what it means.

    Example:
        VOLANO_PORT=9000 volano up
    """
    columns = {
        "VARIABLE": lambda row: row[0],
        "DEFAULT": lambda row: row[1],
        "MEANING": lambda row: row[2],
    }
    from volano.cli import hosting

    terminal.rows(hosting.settings(), columns, none="")

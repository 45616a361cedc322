"""For developers: `python -m volano.migrations.autogenerate 0002 accounts` writes a revision.

It compares the tables that modules of one stage (or of `core.jobs`) define with a scratch database
at the newest revision; read what it wrote before committing it.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic import command

from volano.core.db import Instant, Uuid16
from volano.core.settings import SQLITE, url_of
from volano.migrations.run import config, migrate, within
from volano.migrations.tables import tables_of


async def autogenerate(number: str, stage: str) -> None:
    """Write `versions/<number>_<stage>.py` with what the newest revision lacks of the stage."""
    owned = tables_of(stage)

    def is_owned(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
        table = name if kind == "table" else thing.table.name
        return table in owned

    def write(connection: sa.Connection) -> None:
        settings = config(connection)
        settings.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        settings.attributes.update(include_object=is_owned, render_item=frozen)
        command.revision(settings, stage.replace(".", " "), autogenerate=True, rev_id=number)

    with tempfile.TemporaryDirectory() as folder:
        url = url_of(SQLITE, Path(folder, "scratch.db"))
        await migrate(url)
        await within(url, write)


def frozen(kind: str, thing: Any, context: Any) -> str | Literal[False]:
    """Render our types as what they are stored as: a revision must not change with the code."""
    if kind != "type":
        return False
    if isinstance(thing, Instant):
        return "sa.BigInteger()"
    if isinstance(thing, Uuid16):
        return "sa.LargeBinary(16)"
    if isinstance(thing, sa.JSON):
        context.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


if __name__ == "__main__":
    asyncio.run(autogenerate(sys.argv[1], sys.argv[2]))

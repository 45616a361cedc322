"""The doorbell between processes; how it rings is chosen by a URL, here only."""

from pathlib import Path

from volano.core.bus.doorbell import Bus, Subscription
from volano.core.bus.local import LocalWire
from volano.core.bus.postgres import PostgresWire
from volano.core.settings import BadSetting

__all__ = ["Bus", "Subscription", "open_bus"]


def open_bus(url: str, *, folder: Path, db_url: str = "") -> Bus:
    """Return the bus of `local:` or `postgres:`; nothing is contacted before the first use.

    `local:` reaches every process of this machine that was given the same `folder`; `postgres:`
    every one that uses the database `db_url`, or the one of `postgresql://…` itself.

    Raises: BadSetting (another kind of URL, or `postgres:` without such a database).
    """
    if url == "local:":
        return Bus(LocalWire(folder))
    address = url if url.startswith("postgresql") else db_url
    if not url.startswith(("postgres:", "postgresql")) or not address.startswith("postgresql"):
        reason = "it is neither local: nor postgres: with a PostgreSQL database"
        raise BadSetting(name="VOLANO_BUS", value=url, reason=reason)
    return Bus(PostgresWire(address))

"""Every table of the product: what a migrated database must look like."""

import importlib
import pkgutil
import sys

import sqlalchemy as sa

import volano
from volano.core.db import metadata

_ROOMS = ("store", "tables", "idempotency")


def all_tables() -> sa.MetaData:
    """Return the metadata with the tables of every stage's store and of the core's own parts."""
    for module in pkgutil.walk_packages(volano.__path__, "volano."):
        folder, _, room = module.name.rpartition(".")
        if room in _ROOMS and folder != "volano.migrations":
            importlib.import_module(module.name)
    return metadata


def tables_of(stage: str) -> frozenset[str]:
    """Return the names of the tables that modules of one stage define."""
    all_tables()
    modules = [m for name, m in sys.modules.items() if name.startswith(f"volano.{stage}.")]
    values = [value for module in modules for value in vars(module).values()]
    return frozenset(value.name for value in values if isinstance(value, sa.Table))

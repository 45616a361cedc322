"""The schema's history, one line of revisions: expand in one release, contract in the next."""

from volano.migrations.run import downgrade, migrate

__all__ = ["downgrade", "migrate"]

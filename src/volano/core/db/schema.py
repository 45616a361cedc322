"""The one MetaData on which every stage's store.py defines its tables."""

import sqlalchemy as sa

metadata = sa.MetaData(
    # Named constraints are the same on both databases, so migrations can drop what they made.
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

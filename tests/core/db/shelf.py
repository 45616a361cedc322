"""Tables for the tests of transactions, on a MetaData of their own."""

import sqlalchemy as sa

metadata = sa.MetaData()

books = sa.Table(
    "books",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("title", sa.String(64), primary_key=True),
    sa.Column("author", sa.String(64), nullable=False),
    sa.Column("pages", sa.Integer, nullable=False),
)

authors = sa.Table(
    "authors",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
)

genres = sa.Table("genres", metadata, sa.Column("name", sa.String(64), primary_key=True))

"""What Alembic runs for every command: on the connection and in the transaction it is given."""

from alembic import context

from volano.migrations.tables import all_tables

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=all_tables(),
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=True,
    transaction_per_migration=False,
    include_object=given.get("include_object"),
    render_item=given.get("render_item"),
)
context.run_migrations()

"""Alembic's entry: runs the migrations inside the transaction that `database.py` holds."""

from alembic import context

from branchline.state.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()

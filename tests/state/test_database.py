import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from branchline import state
from branchline.errors import BadInput, Refused
from branchline.state.database import SCHEMA, StateDatabase
from branchline.state.tables import Table


def test_a_new_database_has_the_newest_schema_and_exactly_the_tables_of_the_code(tmp_path):
    StateDatabase(f"sqlite:///{tmp_path}/state.db").close()
    engine = create_engine(f"sqlite:///{tmp_path}/state.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == SCHEMA
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def test_the_newest_migration_in_the_folder_is_the_one_that_the_code_knows():
    config = Config()
    config.set_main_option("script_location", str(Path(state.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA


def test_opening_it_again_changes_nothing(tmp_path):
    for _ in range(2):
        StateDatabase(f"sqlite:///{tmp_path}/state.db").close()


def test_a_schema_of_a_newer_branchline_is_refused_and_left_alone(tmp_path):
    StateDatabase(f"sqlite:///{tmp_path}/state.db").close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    with pytest.raises(Refused, match="newer Branchline"):
        StateDatabase(f"sqlite:///{tmp_path}/state.db")
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.parametrize(
    ("url", "number", "said"),
    [
        ("mysql+pymysql://ada:hunter2@db/x", 300, "not in mysql"),
        ("postgresql+asyncpg://ada:hunter2@db/x", 300, "not in postgresql"),
        ("nonsense", 308, "not the URL of a database"),
        ("hunter2", 308, "not the URL of a database"),
        ("postgresql+psycopg://ada:hunter2@db:port/x", 308, "not the URL of a database"),
        ("sqlite:///state.db?password=hunter2", 308, "says more than where its file lies"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_without_its_password(url, number, said):
    with pytest.raises(BadInput, match=said) as error:
        StateDatabase(url)
    assert error.value.number == number
    assert "hunter2" not in str(error.value)

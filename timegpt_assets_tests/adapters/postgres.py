"""The PostgreSQL of the tests: a schema for each, searched for the tests' API keys before it is dropped."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from timegpt_assets_tests.secret_search import MARK

URL = "postgresql+psycopg2://postgres@127.0.0.1:5432/test"


def is_there() -> bool:
    """Return whether it answers."""
    try:
        with _engine().connect():
            return True
    except sa.exc.OperationalError:
        return False


@contextmanager
def schema() -> Iterator[str]:
    """Yield the URL of a schema of its own, then search and drop it. Raises AssertionError for a key in a row."""
    name = f"test_{uuid.uuid4().hex}"
    with _engine().begin() as connection:
        connection.execute(sa.text(f"create schema {name}"))
    try:
        yield f"{URL}?options=-csearch_path%3D{name}"
        assert (found := leaking(name)) == [], f"an API key is in {found}"
    finally:
        with _engine().begin() as connection:
            connection.execute(sa.text(f"drop schema {name} cascade"))


def leaking(name: str) -> list[str]:
    """Return the tables of the schema with a row that holds a marked key."""
    with _engine().connect() as connection:
        tables = [f"{name}.{table}" for table in sa.inspect(connection).get_table_names(schema=name)]
        holding = "select 1 from {} as found where found::text like '%{}%' limit 1"
        return [t for t in tables if connection.execute(sa.text(holding.format(t, MARK))).first()]


def _engine() -> sa.Engine:
    return sa.create_engine(URL, poolclass=sa.pool.NullPool)

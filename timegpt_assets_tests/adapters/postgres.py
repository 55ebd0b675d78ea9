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


@contextmanager
def database() -> Iterator[str]:
    """Yield the URL of a database of its own, as settings take it; then search and drop it, whoever is in it."""
    name = f"test_{uuid.uuid4().hex[:8]}"  # longer, settings would take it for a secret
    with _engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"create database {name}"))
        url = URL.rpartition("/")[0] + f"/{name}"
        try:
            yield url
            assert (found := leaking("public", url=url)) == [], f"an API key is in {found}"
        finally:
            connection.execute(sa.text(f"drop database {name} with (force)"))


def leaking(name: str, *, url: str = URL) -> list[str]:
    """Return the tables of the schema with a row that holds a marked key."""
    with _engine(url).connect() as connection:
        tables = [f"{name}.{table}" for table in sa.inspect(connection).get_table_names(schema=name)]
        holding = "select 1 from {} as found where found::text like '%{}%' limit 1"
        return [t for t in tables if connection.execute(sa.text(holding.format(t, MARK))).first()]


def _engine(url: str = URL) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.pool.NullPool)

"""Whether ledger and Dagster's records are to share a database: both have a table ``snapshots``, so they cannot.

Belongs here: comparing the two addresses before either is opened. The ledger looks at the tables itself, too.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from timegpt_assets.runtime import Runtime, ledger_url

HERE = frozenset({"localhost", "127.0.0.1", "::1", ""})


def shared_with_records(runtime: Runtime, dagster_yaml: Mapping[str, Any]) -> str:
    """Return the address of the ledger that Dagster's records are to lie in, too, without its password; else nothing.

    ``dagster_yaml``: what the home's file says.
    """
    ours = sa.make_url(ledger_url(runtime))
    if ours.get_backend_name() != "postgresql":
        return ""
    theirs = map(sa.make_url, _addresses(dagster_yaml, runtime.environment))
    return ours.render_as_string(hide_password=True) if any(_place(ours) == _place(url) for url in theirs) else ""


def _addresses(told: object, environment: Mapping[str, str]) -> Iterator[str | sa.URL]:
    """Yield every PostgreSQL address below ``storage`` or one of the three storages."""
    if not isinstance(told, Mapping):
        return
    for name, value in told.items():
        if name == "postgres_url":
            yield _said(value, environment)
        elif name == "postgres_db" and isinstance(value, Mapping):
            host, database = (_said(value.get(part, ""), environment) for part in ("hostname", "db_name"))
            port = int(_said(value.get("port", 5432), environment))
            query = {key: _said(one, environment) for key, one in (value.get("params") or {}).items()}
            yield sa.URL.create("postgresql", host=host, port=port, database=database, query=query)
        else:
            yield from _addresses(value, environment)


def _said(value: object, environment: Mapping[str, str]) -> str:
    """Return a value of dagster.yaml, or the variable that it names; Dagster itself says where there is none."""
    return environment.get(str(value["env"]), "sqlite://") if isinstance(value, Mapping) else str(value)


def _place(url: sa.URL) -> tuple[str, int, str, object]:
    host = (url.host or str(url.query.get("host", ""))).lower()
    return "" if host in HERE else host, url.port or 5432, url.database or "", url.query.get("options", "")

"""The ledger's four tables and the engine that keeps a write transaction alone, on SQLite and PostgreSQL alike.

Belongs here: columns, states and transactions. What a state change means is in ledger.py.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from timegpt_assets.adapters.call_errors import LedgerUnusable
from timegpt_assets.adapters.storage.private import close_to_others

RESERVED, SENT, ANSWERED = "RESERVED", "SENT", "ANSWERED"
REJECTED, UNKNOWN, REFUNDED = "REJECTED", "UNKNOWN", "REFUNDED"
SPENT = (SENT, ANSWERED, REJECTED, UNKNOWN)
"""A request that reached the provider counts, whatever came back: users have seen refused ones billed."""
COUNTED = (RESERVED, *SPENT)
"""What counts against the limits: a reservation too, or two processes would both take the last call."""
TAKEN = (RESERVED, SENT, ANSWERED)
"""States in which nobody else may ask for the same thing."""

BUSY_SEC = 60.0
"""How long a write waits for others to have theirs done."""
_METADATA = sa.MetaData()
_LOCK = 5_138_096
"""PostgreSQL advisory lock that makes write transactions take turns, as BEGIN IMMEDIATE does on SQLite."""

CALLS = sa.Table(
    "calls",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("request_hash", sa.String, nullable=False),
    sa.Column("snapshot_key", sa.String, nullable=False, index=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("budget_run_id", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("budget_day", sa.String, nullable=False, index=True),
    sa.Column("reserved_at", sa.String, nullable=False),
    sa.Column("sent_at", sa.String),
    sa.Column("sent_wall", sa.Float),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("void", sa.Boolean, nullable=False, default=False),
    sa.Column("note", sa.String, nullable=False, default=""),
    # the last word against a double booking, should two transactions ever meet
    sa.UniqueConstraint("host", "request_hash", "attempt", name="idempotency_key"),
)
"""One row per request that was, is or may be sent; ``void`` marks an answer given up by --reask."""

SNAPSHOTS = sa.Table(
    "snapshots",
    _METADATA,
    sa.Column("snapshot_key", sa.String, primary_key=True),
    sa.Column("request_hash", sa.String, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)
"""Which request stands for a snapshot, with what has to be remembered from the moment it was asked."""

SWITCHES = sa.Table("switches", _METADATA, sa.Column("name", sa.String, primary_key=True), sa.Column("why", sa.String))

DAGSTERS = {"event_logs", "job_ticks", "runs"}
"""Tables by which a database is known as one of Dagster's records, which have a table ``snapshots`` of their own."""

MARKS = sa.Table("marks", _METADATA, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.String))
"""What the ledger knows by itself (vouching.py): its secret, and the latest time that each provider told."""


class LedgerStore:
    """A database that hands out transactions; created, with its tables, at first use."""

    def __init__(self, url: str) -> None:
        """Remember the SQLAlchemy URL: ``sqlite:///path`` or ``postgresql+psycopg2://...``."""
        self.url = sa.make_url(url)
        self._engine: sa.Engine | None = None
        self._process = 0

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection for reading. Raises LedgerUnusable."""
        with self._remedied(), self._ready().connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a transaction that no other process writes beside; committed at the end, undone by an exception.

        Raises LedgerUnusable.
        """
        with (
            self._remedied(),
            self._ready().connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            self._take_turn(connection)
            yield connection

    def close(self) -> None:
        """Close this process's connections; the next use opens new ones."""
        if self._engine is not None and self._process == os.getpid():
            self._engine.dispose()
        self._engine = None

    @contextmanager
    def _remedied(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
            raise  # ours to mend
        except sa.exc.DBAPIError as error:
            shown, why = self.url.render_as_string(hide_password=True), str(error.orig).strip().partition("\n")[0]
            raise LedgerUnusable(f"The call ledger {shown}: {why}. {self._remedy(why)}") from None
        except OSError as error:
            shown = self.url.render_as_string(hide_password=True)
            raise LedgerUnusable(f"The call ledger {shown}: {error}. Make its folder writable.") from None

    def _remedy(self, why: str) -> str:
        if "locked" in why:
            return (
                "Another process has written to it for a minute: see which (fuser FILE), end it if it hangs. Run again."
            )
        if "not a database" in why or "malformed" in why:
            return "Restore it from a backup, or move it away: stored answers are entered again and cost nothing."
        return "See that it is there and may be written, and run again: a call that was sent is settled then."

    def _take_turn(self, connection: sa.Connection) -> None:
        if self.url.get_backend_name() == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def _ready(self) -> sa.Engine:
        """Return this process's engine: a forked process must not use its parent's connections."""
        if self._engine is None or self._process != os.getpid():
            engine = (
                self._sqlite()
                if self.url.get_backend_name() == "sqlite"
                else sa.create_engine(self.url, pool_pre_ping=True)
            )
            with self._creating():
                self._create(engine)
            self._engine, self._process = engine, os.getpid()
        return self._engine

    def _sqlite(self) -> sa.Engine:
        file = Path(self.url.database or "")
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():  # the journals beside it get the mode of the file
            os.close(os.open(file, os.O_CREAT | os.O_NOFOLLOW, 0o600))
        for path in (file.with_name(f"{file.name}{part}") for part in ("", "-wal", "-shm")):
            if path.is_file():  # a folder named by mistake may be everybody's
                close_to_others(path)
        engine = sa.create_engine(self.url, connect_args={"timeout": BUSY_SEC})
        sa.event.listen(engine, "connect", _hand_transactions_over)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def _creating(self) -> Any:
        """Return a lock between processes for the first use: switching SQLite to WAL does not wait for others."""
        return (
            FileLock(f"{self.url.database}.lock", mode=0o600)
            if self.url.get_backend_name() == "sqlite"
            else nullcontext()
        )

    def _create(self, engine: sa.Engine) -> None:
        if self.url.get_backend_name() == "sqlite":
            with engine.connect() as connection:
                # journal_mode cannot change inside the transaction that every connection is begun with
                connection.exec_driver_sql("COMMIT")
                # WAL: plans and the UI read while a run writes
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with engine.connect().execution_options(writing=True) as connection, connection.begin():
            self._take_turn(connection)
            self._require_own(connection)
            _METADATA.create_all(connection)

    def _require_own(self, connection: sa.Connection) -> None:
        """Raise LedgerUnusable where Dagster's records lie: of two tables of one name the later is never made."""
        if found := DAGSTERS & set(sa.inspect(connection).get_table_names()):
            shown = self.url.render_as_string(hide_password=True)
            raise LedgerUnusable(
                f"The call ledger {shown}: Dagster keeps its records there ({', '.join(sorted(found))}), and both have "
                "a table named snapshots. Set forecast.api_budget.ledger_url to a database of its own."
            )


def _hand_transactions_over(connection: Any, _record: Any) -> None:
    """Stop the sqlite3 module from opening transactions of its own kind; commits reach the disk."""
    # the module begins transactions late, at the first write, after the limits were read
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")


def _begin(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    # IMMEDIATE: a transaction that reads the limits and then writes must not find others writing in between
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

"""Where a study's trials are kept: in Optuna's storage, and a line each in a file; one search at a time may add any.

Belongs here: opening a study, who has it open, and that a trial is kept whole and once. A trial goes to Optuna's
storage (a journal on disk, or PostgreSQL) in one write when it is over, then its line is written and synced. Opening a
study cuts off what a killed writer left half-written and adds the lines that are missing. Whoever has a study open
holds a lock that the system takes back when his process ends, however it ends: nobody waits for the dead.
"""

import contextlib
import fcntl
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import orjson
import sqlalchemy as sa
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from timegpt_assets.adapters.search.study_errors import URL, StudyError
from timegpt_assets.core.research.trials import Trial

JOURNAL, LINES, LOCK = "journal.log", "trials.jsonl", "lock"
ALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A machine that is gone is seen to be gone, and its lock is free, after about a minute."""


@dataclass(frozen=True, slots=True)
class StudyStore:
    """A study that is open here, and nowhere else."""

    name: str
    storage: BaseStorage
    study_id: int
    lines: Path
    holding: "sa.Connection | None" = None
    """The connection whose session holds the lock, where the storage is a server."""
    kept: dict[int, Trial] = field(default_factory=dict)
    """The trials that are kept, by number."""

    def known(self) -> Mapping[int, Trial]:
        """Return the trials that are kept, by number."""
        return dict(self.kept)

    def add(self, trial: Trial, frozen: FrozenTrial) -> None:
        """Keep one more trial: in the storage, then as a line, synced. Raises StudyError."""
        try:
            if self.holding is not None:
                self.holding.execute(sa.text("select 1"))  # who lost it may not be the only one any more
            self.storage.create_new_trial(self.study_id, frozen)
            with self.lines.open("ab") as file:
                _append(file.fileno(), trial)
        except (OSError, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise _unusable(self.lines.parent, error) from None
        self.kept[trial.number] = trial


@contextlib.contextmanager
def opened(folder: Path, name: str, *, owner: str, url: str | None = None) -> Iterator[StudyStore]:
    """Open the study ``name`` below ``folder``; ``url``: in that PostgreSQL, else in a journal beside the lines.

    ``owner`` is who opens it, in words, for whom others are refused. Raises StudyError for a study that somebody else
    has open, and for a storage that cannot be used.
    """
    place = folder / name
    with contextlib.ExitStack() as held:
        try:
            place.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(place / LOCK, name, owner))
            holding = held.enter_context(_locked_there(url, name, owner)) if url else None
            storage = held.enter_context(_postgresql(url)) if url else _journal(place / JOURNAL)
            store = StudyStore(name, storage, _study_id(storage, name), place / LINES, holding)
            _reconcile(store)
        except (OSError, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise _unusable(place, error) from None
        yield store


def _unusable(place: Path, error: Exception) -> StudyError:
    """Return the error without the address: a driver's message may name the whole of it."""
    if isinstance(error, OSError):
        return StudyError(
            f"{place} cannot be used: {error.strerror or error}. Make it writable or make room, or set search.folder "
            "to a folder that is, and run again: what was kept is kept."
        )
    return StudyError(
        f"the PostgreSQL that {URL} names cannot be used ({type(error).__name__}). See that it is there and that the "
        "address is right, or set search.storage=journal, and run again: what was kept is kept."
    )


@contextlib.contextmanager
def _locked(file: Path, name: str, owner: str) -> Iterator[None]:
    """Hold a folder's lock; the kernel lets go of it when the process ends. Raises StudyError, naming who has it."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = file.read_text(errors="replace").strip()
        os.close(handle)
        raise _taken(name, holder) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, owner.encode())
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked_there(url: str, name: str, owner: str) -> Iterator[sa.Connection]:
    """Hold the server's advisory lock of the study; it lets go when the connection ends."""
    engine = _engine(url, application_name=owner[:63])
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            key = zlib.crc32(f"timegpt-assets search {name}".encode())
            if not connection.execute(sa.text("select pg_try_advisory_lock(:key)"), {"key": key}).scalar():
                asked = "select application_name from pg_stat_activity join pg_locks using (pid) where objid = :key"
                raise _taken(name, connection.execute(sa.text(f"{asked} and granted"), {"key": key}).scalar() or "")
            yield connection
    finally:
        engine.dispose()


def _taken(name: str, holder: str) -> StudyError:
    return StudyError(
        f"the study {name} is being searched by {holder or 'another process'}. Wait for it, or end it: what "
        "it has kept is gone on from. Or search beside it, in another study: --set search.study=another-word"
    )


class _Held:
    """The journal's lock while its study's is held: nobody else may write."""

    def acquire(self) -> bool:
        """Return True."""
        return True

    def release(self) -> None:
        """Do nothing."""


def _journal(file: Path) -> BaseStorage:
    _cut_half_line(file)
    held: Any = _Held()  # Optuna's base class of locks is private
    return JournalStorage(JournalFileBackend(str(file), lock_obj=held))


@contextlib.contextmanager
def _postgresql(url: str) -> Iterator[BaseStorage]:
    storage = RDBStorage(_driver(url), engine_kwargs={"connect_args": ALIVE})
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _engine(url: str, **options: Any) -> sa.Engine:
    return sa.create_engine(_driver(url), poolclass=sa.pool.NullPool, connect_args=ALIVE | options)


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


def _study_id(storage: BaseStorage, name: str) -> int:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with contextlib.suppress(KeyError):
        return storage.get_study_id_from_name(name)
    return storage.create_new_study([StudyDirection.MAXIMIZE], name)


def _reconcile(store: StudyStore) -> None:
    """Read what is kept, and write the lines that are missing. Raises StudyError for lines of another storage."""
    for frozen in store.storage.get_all_trials(store.study_id, deepcopy=False):
        trial = Trial.of_json(frozen.user_attrs["trial"])
        store.kept[trial.number] = trial
    _cut_half_line(store.lines)
    written: dict[int, bytes] = {}
    strange = []
    for number, line in _written(store.lines):
        own = store.kept.get(number)
        if number in written or own is None or _line(own) != line:
            strange.append(number)
        written[number] = line
    if strange:
        raise StudyError(
            f"{store.lines} holds trial {strange[0]}, and the storage does not or holds another: they are not of the "
            "same study, or one was edited. Restore both from a backup, or move the folder away and run again."
        )
    with store.lines.open("ab") as file:
        for number in sorted(store.kept.keys() - written.keys()):
            _append(file.fileno(), store.kept[number])
    _sync_folder(store.lines.parent)


def _written(file: Path) -> Iterator[tuple[int, bytes]]:
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            yield int(orjson.loads(line)["number"]), line
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise StudyError(f"{file} has a line that is none. Move the file away: it is written anew.") from error


def _line(trial: Trial) -> bytes:
    return orjson.dumps(trial.as_json())


def _append(handle: int, trial: Trial) -> None:
    left = memoryview(_line(trial) + b"\n")
    while left.nbytes:  # a write may take less than it was given
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def _cut_half_line(file: Path) -> None:
    """Cut off what a killed writer left behind the last whole line."""
    if not file.exists():
        return
    with file.open("r+b") as opened_file:
        text = opened_file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            opened_file.truncate(whole)
            os.fsync(opened_file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

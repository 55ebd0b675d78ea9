"""What a command works at: settings, definitions, the Dagster instance and the engine, opened together.

Belongs here: opening the instance where the UI will find it, and the messages when that cannot be done.
"""

import hashlib
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import yaml
from dagster._check import CheckError
from sqlalchemy.exc import SQLAlchemyError

from timegpt_assets.adapters import stage_logs
from timegpt_assets.adapters.standard_streams import redacted_streams
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import files
from timegpt_assets.config.shipped import DAGSTER_YAML
from timegpt_assets.core.explained import Explained
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import Engine
from timegpt_assets.engine.home_owner import claim
from timegpt_assets.engine.own_database import shared_with_records
from timegpt_assets.engine.plans import RangeRun
from timegpt_assets.engine.progress import Listener, Silent
from timegpt_assets.instance import packed_events, run_owners
from timegpt_assets.instance.timeline import USER
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets.runtime import Runtime

BATCH_SIZE, EVENT_BATCH = "DAGSTER_EVENT_BATCH_SIZE", "1000"
LONGEST_WORDS = 120
"""Letters of a command that its runs are tagged with."""
REFUSED_BY_DAGSTER = (dg.DagsterError, CheckError, SQLAlchemyError, OSError, ImportError, yaml.YAMLError)
"""What opening an instance raises for a dagster.yaml it cannot use, and for a disk that is full or not there."""


class HomeError(Explained, RuntimeError):
    """Raised when DAGSTER_HOME cannot be used; names the folder and the remedy."""


@dataclass(frozen=True, kw_only=True)
class CommandContext:
    """Everything a command needs, for one profile."""

    runtime: Runtime
    graph: GraphContext
    engine: Engine
    store: ParquetStore
    lineage: LineageStore

    def table(self, asset: str, days: Sequence[object], symbols: Sequence[str] | None = None) -> pl.DataFrame:
        """Return what is stored of ``group/asset`` for these days or months; absent partitions have no rows."""
        return self.store.read(asset, [str(day) for day in days], symbols, missing="ok", empty=pl.DataFrame())


@contextmanager
def opened(
    runtime: Runtime,
    *,
    report: Callable[[RangeRun, bool], None],
    listener: Listener | None = None,
    overriding: Mapping[str, Any] | None = None,
) -> Iterator[CommandContext]:
    """Open the profile's instance and yield the desk; what is put into the environment for Dagster is taken back.

    ``overriding`` replaces resources by name.

    Raises HomeError when DAGSTER_HOME cannot be written, HomeOfAnother when it is another profile's.
    """
    home = dagster_home(runtime)
    # before anything is opened: in another profile's home its records would count as ours
    claim(home, runtime)
    repository = build_definitions(runtime, overriding=overriding).get_repository_def()
    messages = Terminal(stderr=True)
    packed_events.redact_records(runtime.redacted.record)
    logged, printed = stage_logs.kept(runtime.logs, redacted=runtime.redacted), redacted_streams(runtime.redacted)
    with _environment(home), _interruptible(), _instance(home) as instance, logged, printed:
        if note := foreign_home(runtime, home):
            messages.print(note, soft_wrap=True)
        # first of all: a slot that a killed run holds would have this command wait for nothing
        for line in run_owners.free_dead(instance):
            messages.print(line, soft_wrap=True)
        yield CommandContext(
            runtime=runtime,
            graph=graph_context(runtime.settings),
            engine=Engine(
                runtime=runtime,
                repository=repository,
                instance=instance,
                report=report,
                listener=listener or Silent(),
                tags={USER: spoken(sys.argv)},
                budget_planner=budget_planner(runtime),
            ),
            store=ParquetStore(runtime.storage),
            lineage=LineageStore(runtime.storage),
        )


def spoken(argv: Sequence[str]) -> str:
    """Return the command that is being run, in its own words; what was --set is left out: it may hold a secret."""
    program = Path(argv[0]).stem
    if program not in ("timegpt-assets", "app"):  # a notebook, a script: its arguments are not ours to show
        return program
    words, said = ["timegpt-assets"], iter(argv[1:])
    for word in said:
        if word == "--set":
            next(said, None)
        elif not word.startswith("--set=") and word != "--json":
            words.append(word)
    return textwrap.shorten(" ".join(words), LONGEST_WORDS, placeholder=" ...")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C be what it is everywhere: inside a step Dagster turns it into an exception of its own."""
    try:
        yield
    except dg.DagsterExecutionInterruptedError as stop:
        raise KeyboardInterrupt from stop


@contextmanager
def instance_of(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open the home's instance alone, to look at it: nothing is freed and nothing is made. Raises HomeError."""
    with _environment(home), _instance(home) as instance:
        yield instance


@contextmanager
def _environment(home: Path) -> Iterator[None]:
    """Have Dagster's variables say which home is open, as long as it is."""
    wanted = {"DAGSTER_HOME": str(home), BATCH_SIZE: os.environ.get(BATCH_SIZE, EVENT_BATCH)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextmanager
def _instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open the home's instance. Raises HomeError for a dagster.yaml that Dagster refuses and for a full disk."""
    try:
        instance = dg.DagsterInstance.from_config(str(home))
        (Path(instance.root_directory) / "owners").mkdir(parents=True, exist_ok=True)
    except REFUSED_BY_DAGSTER as error:
        raise _refused(home, error) from error
    with instance:
        try:
            yield instance
        except SQLAlchemyError as error:
            raise _refused(home, error) from error


def _refused(home: Path, error: Exception) -> HomeError:
    cause = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")
    return HomeError(
        f"DAGSTER_HOME {home} cannot be used: {cause}. Mend its dagster.yaml, make room, or set DAGSTER_HOME or "
        "data.dagster_home to another folder."
    )


def dagster_home(runtime: Runtime) -> Path:
    """Return the profile's DAGSTER_HOME, made and given the project's dagster.yaml if there is none, or an older one.

    The environment's DAGSTER_HOME, where it is set, is used as it is, and so is a dagster.yaml that a person wrote or
    changed. Raises HomeError, for one whose records are to lie in the ledger's database too.
    """
    given = runtime.environment.get("DAGSTER_HOME")
    home = Path(given).expanduser().resolve() if given else runtime.path(runtime.settings.data.dagster_home)
    text = _instance_yaml(runtime)
    try:
        home.mkdir(parents=True, exist_ok=True)
        installed = home / "dagster.yaml"
        if installed.exists() and not installed.is_file():  # Dagster would wait for a pipe for ever
            raise HomeError(f"{installed} is no regular file. Take it away, or set DAGSTER_HOME to another folder.")
        there = _text(installed)
        _require_own_database(runtime, installed, there)
        # the signature says that nobody changed it since we wrote it: only then is it ours to renew
        if there != text and (not there or _is_ours(there)):
            # written beside and renamed: a daemon that reads it now must not find half of it
            with tempfile.NamedTemporaryFile("w", dir=home, prefix=".dagster.yaml.", delete=False) as beside:
                beside.write(text)
            Path(beside.name).replace(installed)
        else:
            # a home that cannot be written is said now, and not at the first event of a long run
            tempfile.TemporaryFile(dir=home).close()
    except OSError as error:
        raise HomeError(
            f"DAGSTER_HOME {home} cannot be written: {error.strerror or error}. Make it writable, or set DAGSTER_HOME "
            "or data.dagster_home to a folder that is."
        ) from error
    return home


def _require_own_database(runtime: Runtime, file: Path, text: str) -> None:
    """Raise HomeError where ledger and Dagster's records are to share a database: whichever came second would fail."""
    if "postgres" not in text:
        return
    try:
        shared = shared_with_records(runtime, yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, SQLAlchemyError):
        return  # Dagster says what is wrong with it when it is opened
    if shared:
        raise HomeError(
            f"{file} has Dagster's records lie in the database of the call ledger, {shared}: both have a table named "
            "snapshots. Set forecast.api_budget.ledger_url to a database of its own."
        )


def foreign_home(runtime: Runtime, home: Path) -> str:
    """Return what a dagster.yaml that is not ours lacks, in words; nothing where it is ours or lacks nothing."""
    file = home / "dagster.yaml"
    there, wanted = _text(file), _instance_yaml(runtime)
    if _is_ours(there):
        return ""
    has = yaml.safe_load(there) or {}  # Dagster has opened the instance with it: it is a mapping
    scaled = has.get("run_launcher", {}).get("module") == SCALED  # several machines share it (deploy/scale_out)
    lacks = [
        name
        for name, value in (yaml.safe_load(wanted) or {}).items()
        if name in NEEDED and has.get(name) != value and not scaled
    ]
    if not lacks:
        return ""
    said = "; ".join(f"{name}: {NEEDED[name]}" for name in lacks)
    return f"{file} is your own and stays as it is. It does not have what ours sets for {said}."


NEEDED = {
    "event_log_storage": "events are written one by one, and a run may wait for a killed one until the next command",
    "run_launcher": "the daemon does not see that a run was killed",
    "run_monitoring": "what a killed run held is freed by the next command only",
}
"""Sections of dagster.yaml this project stands on, and what is missed without them."""
SCALED = "timegpt_assets.instance.celery_launcher"
"""The launcher of a home that several machines share: its records lie in PostgreSQL."""
SIGNATURE = "# Written by timegpt-assets and kept up by it until you change a line below; digest "


def _instance_yaml(runtime: Runtime) -> str:
    """Return the dagster.yaml beside the configs, or the project's, signed: who finds it can tell whose it is."""
    source = next(p for p in (runtime.root / "dagster.yaml", DAGSTER_YAML) if p.exists())
    text = source.read_text()
    return f"{SIGNATURE}{_digest(text)}\n{text}"


def _text(file: Path) -> str:
    """Return what a file says, nothing where there is none. Raises OSError, of a pipe in its place too."""
    try:
        with files.opened(file) as opened_file:
            return opened_file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _is_ours(text: str) -> bool:
    first, _, rest = text.partition("\n")
    return first == f"{SIGNATURE}{_digest(rest)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""What a command works at: settings, definitions, the Dagster instance and the engine, opened together.

Belongs here: opening the instance where the UI will find it, and the messages when that cannot be done.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.definitions import PROJECT, build_definitions
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import Engine
from timegpt_assets.engine.home_owner import claim
from timegpt_assets.engine.plans import RangeRun
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets.runtime import Runtime

BATCH_SIZE, EVENT_BATCH = "DAGSTER_EVENT_BATCH_SIZE", "1000"


class HomeError(RuntimeError):
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
def opened(runtime: Runtime, *, report: Callable[[RangeRun, bool], None]) -> Iterator[CommandContext]:
    """Open the profile's instance and yield the desk; what is put into the environment for Dagster is taken back.

    Raises HomeError when DAGSTER_HOME cannot be written, HomeOfAnother when it is another profile's.
    """
    home = dagster_home(runtime)
    claim(home, runtime)
    repository = build_definitions(runtime).get_repository_def()
    with _environment(home), dg.DagsterInstance.from_config(str(home)) as instance:
        yield CommandContext(
            runtime=runtime,
            graph=graph_context(runtime.settings),
            engine=Engine(
                repository=repository, instance=instance, report=report, budget_planner=budget_planner(runtime)
            ),
            store=ParquetStore(runtime.storage),
            lineage=LineageStore(runtime.storage),
        )


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


def dagster_home(runtime: Runtime) -> Path:
    """Return the profile's DAGSTER_HOME, made and given the project's dagster.yaml if need be.

    The environment's DAGSTER_HOME, where it is set, is used as it is.
    """
    given = runtime.environment.get("DAGSTER_HOME")
    home = Path(given).expanduser().resolve() if given else runtime.path(runtime.settings.data.dagster_home)
    source = next(p for p in (runtime.root / "dagster.yaml", PROJECT / "dagster.yaml") if p.exists())
    try:
        home.mkdir(parents=True, exist_ok=True)
        installed = home / "dagster.yaml"
        if not installed.exists() or installed.read_bytes() != source.read_bytes():
            shutil.copyfile(source, installed)
        probe = home / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise HomeError(
            f"DAGSTER_HOME {home} cannot be written: {error.strerror}. Make it writable, or set DAGSTER_HOME or "
            "data.dagster_home to a folder that is."
        ) from error
    return home

"""A whole road for tests: definitions of a small house in a folder, run by the real engine on an ephemeral instance.

Belongs here: building and running a road, and reading what it stored. What must hold of it is in the tests.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.assets import previews
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import Engine, Outcome, asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.partitions import graph_context
from timegpt_assets.reports import page as report_page
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.secret_search import is_marked

SMALL = (
    "universe.tickers=[AAPL, META, MSFT, NVDA]",
    "universe.context=[SPY]",
    "data.start_date=2025-01-02",
    "data.end_date=2025-02-28",
    "features.warmup_sessions=2",
    "forecast.history_days=4",
    "forecast.challengers=[ridge, zero, climatology]",
    "forecast.climatology.sessions=4",
    "forecast.climatology.min_sessions=2",
    "calibration.min_samples=30",
    "calibration.min_samples_cell=20",
    "gates.symbol_min_forecasts=20",
)
"""A house small enough to be walked through many times in one test."""
TINY = (
    *SMALL,
    "universe.tickers=[AAPL, META, NVDA]",
    "data.start_date=2025-01-21",
    "data.end_date=2025-02-06",
    "features.warmup_sessions=1",
    "forecast.history_days=3",
    "calibration.window_days=2",
    "calibration.min_samples_cell=2",
    "calibration.evaluation.drift_days=2",
    "calibration.evaluation.bootstrap_draws=100",
    "trading.filters.lookback_sessions=2",
    "trading.risk.position_limit=1",
    "trading.daily_trade_cap=6",
    "trading.risk.lookback_sessions=3",
    "gates.symbol_lookback_sessions=4",
    "gates.symbol_min_forecasts=8",
    "gates.lookback_sessions=5",
    "gates.trade_eligibility.coverage_tol=0.5",
    "gates.oos_start=2025-01-30",
    "search.stages.coarse.sessions=2",
    "search.stages.coarse.trials=6",
    "search.stages.refine.sessions=1",
    "search.stages.refine.trials=4",
    "search.stages.refine.carried=2",
    "search.finalists=2",
)
"""A smaller one whose windows are short enough to slide within two weeks: every limit is met and left again."""
SEATS = ("climatology", "ridge", "zero")
"""Who answers on these roads."""
BY_SEAT = (
    "forecasts/base_answers",
    "forecasts/raw_forecasts",
    "forecasts/outcomes",
    "calibration/calibration_models",
    "calibration/forecasts",
    "evaluation/forecast_scores",
    "evaluation/day_scores",
    "gates/symbol_gates",
    *(f"evaluation/{name}" for name in ("forecast_diagnostics", "pit_reliability", "coverage_report", "comparison")),
)
"""Assets that hold rows of every forecaster, whatever it is worth: each one's are looked at by themselves."""
LATER = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Road:
    """A small house being run: what it is made of, its engine, what it stored."""

    runtime: Runtime
    engine: Engine

    @property
    def root(self) -> Path:
        """Return where its tables lie."""
        return self.runtime.path(self.runtime.settings.data.storage_root)

    def run(
        self,
        days: Sequence[date],
        *,
        symbols: Sequence[str] = (),
        assets: Sequence[str] = (),
        force: bool = False,
    ) -> Outcome:
        """Make these days with the engine the command line uses."""
        graph = graph_context(self.runtime.settings)
        nodes = asset_nodes(self.engine.repository)
        return self.engine.run(rectangle(graph, nodes, days=days, symbols=symbols, assets=assets, force=force))

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return everything stored, by group/asset, files in order of their names."""
        store = ParquetStore(self.runtime.storage)
        files: dict[str, list[str]] = {}
        for path in sorted(self.root.glob("*/*/*.parquet")):
            files.setdefault("/".join(path.parts[-3:-1]), []).append(path.stem)
        return {asset: store.read(asset, days) for asset, days in files.items()}

    def bytes(self) -> dict[str, bytes]:
        """Return every stored table file and lineage record, by its path under the root."""
        files = [*self.root.glob("*/*/*.parquet"), *self.root.glob("lineage/*.json")]
        return {str(p.relative_to(self.root)): p.read_bytes() for p in sorted(files)}


def load_runtime(
    folder: Path,
    *overrides: str,
    profile: str = "demo",
    base: Sequence[str] = SMALL,
    environment: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = lambda: LATER,
) -> Runtime:
    """Return the runtime of a road whose places all lie in ``folder``."""
    environ = dict(environment or {})
    settings = load_settings(profile=profile, config_dir=None, overrides=[*base, *overrides], environment=environ)
    return Runtime(settings=settings, root=folder, environment=environ, clock=clock)


@contextmanager
def road(
    folder: Path,
    *overrides: str,
    overriding: Mapping[str, Any] | None = None,
    pictures: bool = True,
    **options: Any,
) -> Iterator[Road]:
    """Yield a road in this runtime; ``overriding`` replaces resources by name.

    Without ``pictures`` nothing is drawn and report pages are blank: half the time, and no stored table differs.
    """
    runtime = load_runtime(folder, *overrides, **options)
    repository = build_definitions(runtime, overriding=overriding).get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patched:
        patched.setattr(InMemoryEventLogStorage, "_connect", _held)
        if not pictures:
            undrawn(patched)
        yield Road(
            runtime=runtime,
            engine=Engine(
                runtime=runtime, repository=repository, instance=instance, budget_planner=budget_planner(runtime)
            ),
        )
        assert not _logs_a_key(instance), "an API key is in the event log"


_anew = InMemoryEventLogStorage._connect


@contextmanager
def _held(storage: InMemoryEventLogStorage) -> Iterator[sa.Connection]:
    """Yield the connection that the storage holds anyway; stock opens another for each event, an eighth of a road."""
    if threading.current_thread() is not threading.main_thread():  # SQLite's connections are of one thread
        with _anew(storage) as own:
            yield own
        return
    with storage._db_lock, storage._held_conn.begin():
        yield storage._held_conn


def undrawn(patched: pytest.MonkeyPatch) -> None:
    """Have nothing drawn, and report pages blank."""
    patched.setattr(previews, "fans", lambda *_: {"fan": {}})
    patched.setattr(previews, "trades_of_days", lambda *_, **__: {})
    patched.setattr(previews, "verdict_map", lambda *_: {})
    patched.setattr(previews, "day_charts", lambda *_: {})
    patched.setattr(previews, "of_months", lambda *_, **__: None)
    patched.setattr(report_page, "page", lambda _: "")


def _logs_a_key(instance: dg.DagsterInstance) -> bool:
    """Return whether an event of the instance's runs (message, metadata, error) holds a key of the tests."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        # read and not asked of the database: where events lie packed, it cannot look into them
        return any(map(is_marked, connection.execute(sa.select(SqlEventLogStorageTable.c.event)).scalars()))


def non_null(frame: pl.DataFrame) -> int:
    """Return how many values of a frame say something."""
    return frame.height * frame.width - sum(frame.null_count().row(0)) if frame.height else 0


def sessions(first: date, last: date) -> list[date]:
    """Return the session days from ``first`` to ``last``."""
    return [s.day for s in calendar.sessions(first, last)]

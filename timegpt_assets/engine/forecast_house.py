"""Where a forecast grid is worked out: one house of its own beside the profile's, in which each combination is made.

Belongs here: the settings of that house and what its combinations come to. Neighbours share what they have in common:
the inventory sees what was made under the same settings, the ledger and the cache what was paid for. The profile's own
tables and records are never touched.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePath

import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.bars.content import data_version
from timegpt_assets.core.research import forecast_board
from timegpt_assets.engine.lineages import code_version
from timegpt_assets.engine.stages import Refused
from timegpt_assets.runtime import Runtime

HOUSE = "forecast_grid"
"""The house's folder, under the storage root and under Dagster's home."""
LATER = ("forecasts", "calibration", "backtest", "evaluation", "gates")
"""Stages in which combinations differ."""


def housed(runtime: Runtime, settings: Settings, *, home: Path, artifacts: str) -> Runtime:
    """Return the runtime of a combination: its settings, the grid's house, the profile's ledger and cache."""
    data = runtime.settings.data
    own = {
        "storage_root": f"{data.storage_root.rstrip('/')}/{HOUSE}",
        "dagster_home": str(home / HOUSE),
        # of the combination: what a stage exports would else take the place of the profile's own
        "artifacts_root": f"{data.artifacts_root.rstrip('/')}/{artifacts}",
    }
    environment = {name: value for name, value in runtime.environment.items() if name != "DAGSTER_HOME"}
    moved = replace(settings, data=settings.data.model_copy(update=own))
    return replace(runtime, settings=moved, environment=environment)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the house while it is worked in. Raises Refused while another command works in it."""
    home.mkdir(parents=True, exist_ok=True)
    handle = os.open(home / f"{HOUSE}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # the kernel lets go of it when its holder is killed
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refused(
            f"another command executes a forecast grid in {home}. Wait until it has ended: its combinations are then "
            "made, and cost nothing."
        ) from error
    finally:
        os.close(handle)


def swept_out(store: ParquetStore, days: Sequence[date]) -> None:
    """Take out of the house what was forecast on other sessions, and every month's table.

    A month looks back on whatever is stored: sessions of other combinations would count among its own.
    """
    wanted = {str(day) for day in days}
    for stage in LATER:
        for name, _ in list(store.objects.names(f"{stage}/")):
            if name.endswith(".parquet") and PurePath(name).stem not in wanted:
                store.objects.delete(name)


def made_under(store: ParquetStore, days: Sequence[date]) -> dict[str, str]:
    """Return what figures hang on beside the settings: the code, and what the source delivered for these days."""
    facts = store.read_facts("bars/raw_bars", days, missing="ok")
    rows = [
        {"day": day, "symbol": symbol, "content": str(fact.get("content"))} for (day, symbol), fact in facts.items()
    ]
    return {"code_version": code_version(), "data_version": data_version(pl.DataFrame(rows))}


def figures(store: ParquetStore, settings: Settings, days: Sequence[date]) -> tuple[str, pl.DataFrame]:
    """Return what stands in the house of a combination: the digest of forecasts and trades, and its figures."""
    month, champion = f"{days[-1]:%Y-%m}", settings.forecast.champion
    tables = {
        name: store.read(name, [month])
        for name in (
            "evaluation/forecast_diagnostics",
            "evaluation/trading_scores",
            "gates/forecast_gate",
            "gates/trading_gate",
        )
    }
    payload = forecast_board.payload(
        store.read("calibration/forecasts", days), store.read("backtest/trades", days), champion=champion
    )
    return payload, forecast_board.figures(*tables.values(), champion=champion)

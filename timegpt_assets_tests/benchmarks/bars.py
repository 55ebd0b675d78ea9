"""Raw files to bars with all verdicts: rows a second against a plain read, and through Dagster against empty assets.

Prints one JSON line per figure, over the real set us_large_cap_2018 (64 symbols x 44 sessions), which
TIMEGPT_ASSETS_REAL_DATA must hold. Empty assets have the same keys, partitions, inputs, notes and checks, and store
nothing. Both are run with events written in batches, and the empty ones also as stock Dagster writes them.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.market_data import LocalMarketData
from timegpt_assets.cli.context import CommandContext, opened
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.quality_rules import QualityPolicy
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.engine import QUIET, RANGE_END, RANGE_START
from timegpt_assets.engine.stages import STAGES
from timegpt_assets.instance.internals import note_partitions
from timegpt_assets.partitions import by_day, grid
from timegpt_assets.runtime import load_runtime

FIRST, LAST = date(2018, 2, 16), date(2018, 4, 20)
GRIDS = [dg.AssetKey(["bars", "raw_bars"]), dg.AssetKey(["bars", "bars"])]
REPORT = dg.AssetKey(["bars", "quality_report"])
REPEATS = 3


def spent(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return CPU and wall seconds of the work, and what it gave."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def best(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the least CPU and wall of some repetitions: the machine is shared."""
    runs = [spent(work) for _ in range(REPEATS)]
    return min(r[0] for r in runs), min(r[1] for r in runs), runs[-1][2]


def judged(root: Path, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
    """Return the grid of the whole set, by the road the assets take."""
    found = LocalMarketData(root).delivery(symbols, days)
    keys = pl.DataFrame({"day": days}).join(pl.DataFrame({"symbol": symbols}), how="cross")
    sessions, policy = calendar.sessions_frame(days), QualityPolicy()
    closes = session_grid.previous_closes(found.bars, days=days)
    known = {"keys": keys, "sessions": sessions, "policy": policy, "faults": found.faults, "closes": closes}
    return session_grid.grid(found.bars, session_grid.quality(found.bars, **known), sessions=sessions, policy=policy)


def empty_assets(partitions: Any) -> dg.Definitions:
    """Return the three bars assets and their checks with nothing in them but the notes beside each partition."""

    def made(key: dg.AssetKey, of: Any, deps: list[dg.AssetDep]) -> dg.AssetsDefinition:
        @dg.asset(key=key, partitions_def=of, deps=deps, backfill_policy=dg.BackfillPolicy.single_run())
        def nothing(context: dg.AssetExecutionContext) -> None:
            note_partitions(
                context, {k: {"rows": 0, "span": "14:30 to 20:59 UTC"} for k in list(context.partition_keys)}
            )

        return nothing

    first = made(GRIDS[0], partitions.day_symbol, [])
    second = made(GRIDS[1], partitions.day_symbol, [dg.AssetDep(GRIDS[0])])
    third = made(REPORT, partitions.trading_day, [dg.AssetDep(GRIDS[1], partition_mapping=by_day())])
    kinds = [(first, partitions.day_symbol), (second, partitions.day_symbol), (third, partitions.trading_day)]
    checked = [(asset, "matches_table", of) for asset, of in kinds] + [(second, "quality", partitions.day_symbol)]

    def passed(asset: dg.AssetsDefinition, name: str, of: Any) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=asset.key, name=name, blocking=True, partitions_def=of)
        def nothing() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)

        return nothing

    checks = [passed(*about) for about in checked]
    return dg.Definitions(assets=[first, second, third], asset_checks=checks, executor=dg.in_process_executor)


def ranged(repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, symbols: Sequence[str]) -> None:
    """Materialise the window in two range runs, as the rectangle does."""
    job = repository.get_implicit_global_asset_job_def()
    spans = [(GRIDS, f"{FIRST}|{symbols[0]}", f"{LAST}|{symbols[-1]}"), ([REPORT], str(FIRST), str(LAST))]
    for assets, first, last in spans:
        tags = {RANGE_START: first, RANGE_END: last}
        job.execute_in_process(instance=instance, asset_selection=assets, tags=tags, run_config=QUIET)


def main() -> None:
    """Measure both roads and print the figures."""
    root = Path(os.environ["TIMEGPT_ASSETS_REAL_DATA"]) / "us_large_cap_2018"
    symbols = sorted(path.name for path in (root / "stocks/1m").iterdir())
    days = [s.day for s in calendar.sessions(FIRST, LAST)]
    plain_cpu, plain_wall, plain = best(lambda: pl.read_parquet(root / "stocks/1m/*/*/*.parquet"))
    ours_cpu, ours_wall, _ = best(lambda: judged(root, symbols, days))
    with tempfile.TemporaryDirectory() as folder:
        real, empty, stock = _through_dagster(Path(folder), root, symbols)
    rows = plain.height
    figures = [
        ("bars_rows", rows, "rows", None, None),
        ("bars_plain_read", rows / plain_cpu, "rows/CPU-s", None, None),
        ("bars_with_verdicts", rows / ours_cpu, "rows/CPU-s", None, rows / plain_cpu),
        ("bars_plain_read_wall", plain_wall, "s", None, None),
        ("bars_with_verdicts_wall", ours_wall, "s", None, plain_wall),
        ("bars_dagster_wall", real[1], "s", None, empty[1]),
        ("bars_dagster_cpu", real[0], "s", None, empty[0]),
        ("bars_dagster_wall_over_empty_stock", real[1] / stock[1], "ratio", 1.25, 1.0),
        ("bars_dagster_wall_over_empty", real[1] / empty[1], "ratio", None, 1.0),
        ("bars_dagster_cpu_over_empty", real[0] / empty[0], "ratio", None, 1.0),
        ("bars_empty_stock_wall", stock[1], "s", None, None),
    ]
    for name, value, unit, goal, baseline in figures:
        said = {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "baseline": baseline}
        print(json.dumps(said))


def _through_dagster(folder: Path, root: Path, symbols: Sequence[str]) -> list[Any]:
    """Return CPU and wall of the range with our assets, empty ones, and empty ones on stock Dagster."""
    chosen = [f"data.root={root}", f"data.start_date={FIRST}", f"data.end_date={LAST}", "universe.context=[]"]
    chosen += [f"universe.tickers=[{', '.join(symbols)}]"]
    measured = []
    for kind in ("real", "empty", "stock"):
        names = ("storage_root", "artifacts_root", "dagster_home")
        places = [f"data.{name}={folder}/{kind}/{name}" for name in names]
        runtime = load_runtime([*chosen, *places], profile="dev", environ={})
        repository = build_definitions(runtime) if kind == "real" else empty_assets(grid(runtime.settings))
        with (
            opened(runtime, report=lambda range_run, done: None) as command,
            _instance(command, folder, kind) as instance,
        ):
            found = repository.get_repository_def()
            measured.append(spent(lambda r=found, i=instance: ranged(r, i, symbols)))
    assert STAGES["bars"] == tuple(key.path[-1] for key in (*GRIDS, REPORT))
    return measured


@contextmanager
def _instance(command: CommandContext, folder: Path, kind: str) -> Iterator[dg.DagsterInstance]:
    """Yield the command line's own instance, or for ``stock`` a plain one that writes events one by one."""
    if kind != "stock":
        yield command.engine.instance
        return
    batches = os.environ.pop("DAGSTER_EVENT_BATCH_SIZE")
    home = folder / "stock-home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = batches


if __name__ == "__main__":
    main()

"""A year from bars to gates with answers that are paid for, over the same graph whose assets do nothing (P6, P11).

Run: python -m timegpt_assets_tests.benchmarks.backfill [SESSIONS] [--until features] [--stock]
Eight symbols and two of context of the synthetic market, profile dev, TimeGPT of a local server as the champion. One
house pays; then a house with tables and records of its own, and the cache of the first, makes everything from bars on.
Empty assets have the same keys, partitions, inputs and checks, note a row count beside each partition and store
nothing; the same engine makes them, on the batched event log, with ``--stock`` on Dagster's own, too. Each house is a
process of its own, and prints nothing of its start. One JSON line per figure.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from timegpt_assets.cli.context import opened
from timegpt_assets.engine.engine import Engine, Rectangle, asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import EVERYDAY, STAGES
from timegpt_assets.instance.internals import note_partitions
from timegpt_assets.partitions import graph_context
from timegpt_assets.runtime import load_runtime
from timegpt_assets_tests.roads import sessions
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

YEAR = sessions(date(2024, 1, 2), date(2024, 12, 31))
SAID = (
    "data.source=synthetic",
    "universe.tickers=[AAPL, MSFT, NVDA, AMZN, GOOGL, META, TSLA, AVGO]",
    "universe.context=[SPY, QQQ]",
    f"data.start_date={YEAR[0]}",
    f"data.end_date={YEAR[-1]}",
    "gates.oos_start=2024-10-01",
    "forecast.backend=nixtla",
    "forecast.api_budget.per_run=100000",
    "forecast.api_budget.per_day=100000",
    "forecast.api_budget.cooldown_sec=0",
)
UNTIL = {
    "features": (*STAGES["bars"], *STAGES["features"]),
    "forecasts": ("raw_forecasts",),
    "gates": tuple(name for name in EVERYDAY if name not in STAGES["reports"]),
}
"""The last stage -> the assets that are asked for."""
RATIO, MS = 1.25, 5.0


def nothing(repository: dg.RepositoryDefinition) -> dg.Definitions:
    """Return the graph of a repository with assets and checks that do nothing but note each partition."""
    graph = repository.asset_graph

    def asset(key: dg.AssetKey) -> dg.AssetsDefinition:
        node = graph.get(key)

        @dg.asset(
            key=key,
            partitions_def=node.partitions_def,
            deps=[
                dg.AssetDep(parent, partition_mapping=graph.get_partition_mapping(key, parent))
                for parent in sorted(node.parent_keys)
            ],
            metadata=node.metadata,
            backfill_policy=node.backfill_policy,
        )
        def nothing(context: dg.AssetExecutionContext) -> None:
            note_partitions(context, {partition: {"rows": 0} for partition in list(context.partition_keys)})

        return nothing

    def check(key: dg.AssetCheckKey) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            asset=key.asset_key, name=key.name, blocking=True, partitions_def=graph.get(key.asset_key).partitions_def
        )
        def nothing() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)

        return nothing

    checks = [check(key) for key in sorted(graph.asset_check_keys)]
    return dg.Definitions([asset(key) for key in sorted(graph.get_all_asset_keys())], asset_checks=checks)


def made(kind: str, folder: Path, url: str, days: list[date], until: str) -> dict[str, Any]:
    """Return what one house of this kind takes, made in this process: ``paid``, ``real``, ``empty`` or ``stock``."""
    places = [f"data.{name}={folder}/{kind}/{name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    purse = [f"forecast.cache_dir={folder}/cache", f"forecast.api_budget.ledger_file={folder}/ledger.sqlite"]
    overrides = [*SAID, *places, *purse, f"forecast.base_url={url}"]
    environ = {"TIMEGPT_API_KEY": "of-the-local-server"}
    if kind == "stock":
        home = folder / kind / "dagster_home"
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with opened(load_runtime(overrides, profile="dev", environ=environ), report=lambda run, done: None) as command:
        engine = command.engine if kind in ("paid", "real") else empty(command.engine)
        asked = asked_for(engine, days, "forecasts" if kind == "paid" else until)
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = engine.run(asked)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if outcome.pending or outcome.incomplete:
        sys.exit(f"not everything was made: {outcome.why} {outcome.incomplete}")
    return {"cpu": cpu, "wall": wall, "made": outcome.made, "runs": len(outcome.range_runs)}


def empty(engine: Engine) -> Engine:
    """Return the engine with assets that do nothing in place of its own."""
    with warnings.catch_warnings(action="ignore"):  # as the definitions say of theirs
        repository = nothing(engine.repository).get_repository_def()
    return replace(engine, repository=repository, budget_planner=None)


def asked_for(engine: Engine, days: list[date], until: str) -> Rectangle:
    """Return the rectangle of these days up to a stage."""
    graph = graph_context(engine.runtime.settings)
    return rectangle(graph, asset_nodes(engine.repository), days=days, assets=UNTIL[until])


def measured(kind: str, folder: Path, url: str, days: int, until: str) -> dict[str, Any]:
    """Return what a house takes in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, str(days), "--until", until, "--one", kind, str(folder), url]
    environment = dict(os.environ)
    if kind == "stock":
        environment["DAGSTER_EVENT_BATCH_SIZE"] = "0"
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(kinds: dict[str, dict[str, Any]], until: str) -> Iterator[tuple[str, float, str, float | None, Any]]:
    """Yield name, value, unit, goal and baseline of what the houses took."""
    whole = until == "gates"
    for kind, took in kinds.items():
        yield f"backfill_{until}_{kind}_cpu", took["cpu"], "s", None, None
        yield f"backfill_{until}_{kind}_wall", took["wall"], "s", None, None
        each = 1e3 * took["cpu"] / took["made"]
        yield (
            f"backfill_{until}_{kind}_a_partition",
            each,
            "CPU ms",
            MS if kind == "real" and whole else None,
            took["made"],
        )
    real = kinds["real"]
    for kind in kinds.keys() - {"real", "paid"}:
        for clock in ("cpu", "wall"):
            ratio = real[clock] / kinds[kind][clock]
            yield f"backfill_{until}_{clock}_over_{kind}", ratio, "ratio", RATIO, kinds[kind][clock]


def main(days: int = len(YEAR), until: str = "gates", *, stock: bool = False) -> None:
    """Measure the houses and print the figures."""
    with tempfile.TemporaryDirectory() as folder, TimeGPTServer() as server:
        order = [*(["paid"] if until == "gates" else []), "real", "empty", *(["stock"] if stock else [])]
        kinds = {kind: measured(kind, Path(folder), server.url, days, until) for kind in order}
    for name, value, unit, goal, baseline in figures(kinds, until):
        figure = {"name": name, "value": float(f"{value:.4g}"), "unit": unit, "goal": goal, "baseline": baseline}
        print(json.dumps(figure | {"sessions": days, "load": os.getloadavg()[0]}), flush=True)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sessions", nargs="?", type=int, default=len(YEAR))
    parser.add_argument("--until", choices=UNTIL, default="gates")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("KIND", "FOLDER", "URL"))
    return parser.parse_args()


if __name__ == "__main__":
    asked = _asked()
    if asked.one:
        kind, folder, url = asked.one
        print(json.dumps(made(kind, Path(folder), url, YEAR[: asked.sessions], asked.until)))
    else:
        main(asked.sessions, asked.until, stock=asked.stock)

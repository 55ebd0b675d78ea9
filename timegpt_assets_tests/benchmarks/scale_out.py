"""The whole graph, bars to gates, backfilled over one Celery worker and over two, and over two of which one is killed.

PostgreSQL, Redis and a local Cloud Storage and TimeGPT server on this machine; nothing is made beforehand. Asked for
closure by closure, as the UI is. Prints one JSON line per figure: wall seconds, runs of each stratum, requests and
snapshots, the load beside the seconds. ``python -m timegpt_assets_tests.benchmarks.scale_out [1 2 killed]``.
"""

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from datetime import date
from pathlib import Path

import dagster as dg

from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.engine import asset_nodes, sessions_before
from timegpt_assets.engine.plans import AssetNode, closures, strata
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stale import InputWindow, input_windows
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.roads import sessions
from timegpt_assets_tests.scaled_house import House, house
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

DAYS = sessions(date(2025, 1, 24), date(2025, 1, 31))
SETTINGS = ("automation.backfill_days=3", "data.start_date=2025-01-02", "forecast.api_budget.per_run=200")
PAID = dg.AssetKey(["forecasts", "answers"])
LONGEST_SEC = 3000.0


def main(ways: Sequence[str] = ("1", "2", "killed")) -> None:
    """Print the figures of each way."""
    for way in ways:
        with (
            tempfile.TemporaryDirectory() as folder,
            TimeGPTServer(input_size=60, key=KEY) as server,
            house(Path(folder), server, *SETTINGS, workers=1 if way == "1" else 2, is_half_made=False) as built,
        ):
            built.until(lambda built=built: all("ready." in worker.log.read_text() for worker in built.workers))
            load, began = os.getloadavg()[0], time.monotonic()
            runs = backfilled(built, kills=way == "killed")
            seconds = time.monotonic() - began
            show("wall_seconds", round(seconds, 1), way, load=round(load, 1))
            show("runs_by_stratum", runs, way)
            told(built, server, way)


def backfilled(built: House, *, kills: bool) -> list[int]:
    """Make the whole graph and return its runs, of the days before and of each stratum; ``kills`` one worker of two."""
    repository = build_definitions(built.runtime).get_repository_def()
    nodes, windows = asset_nodes(repository), input_windows(repository)
    asked = rectangle(graph_context(built.runtime.settings), nodes, days=DAYS)
    counts = []
    # what the first days look back on: no backfill makes what was not asked for
    for assets, count in asked.history:
        backfill(built, nodes, windows, assets, sessions_before(asked, count), kills=False)
    counts.append(len(built.instance.get_runs()))
    for level in strata({key: nodes[key] for key in asked.assets}):
        backfill(built, nodes, windows, frozenset(level), DAYS, kills=kills)
        counts.append(len(built.instance.get_runs()) - sum(counts))
    return counts


def backfill(
    built: House,
    nodes: Mapping[dg.AssetKey, AssetNode],
    windows: Mapping[tuple[dg.AssetKey, dg.AssetKey], InputWindow],
    assets: Set[dg.AssetKey],
    days: Sequence[date],
    *,
    kills: bool,
) -> None:
    """Ask for these assets of these days closure by closure, as a person in the UI does, and wait for each."""
    # in one backfill with what it reads, a window has Dagster ask for later sessions than were named
    apart = {key for (key, read), window in windows.items() if {key, read} <= assets and (window.first or window.last)}
    for closure in closures({key: nodes[key] for key in assets}, alone={PAID} | apart):
        found = nodes[closure[0]].partitions(days, built.runtime.settings.universe.everyone)
        partitions = sorted(one.key for one in found)
        asked = built.backfill([key.to_user_string() for key in closure], partitions)
        if kills and PAID in closure:
            built.until(lambda: len(built.started()) == len(built.workers))
            built.worker_of(built.in_the_middle(within_sec=300.0)).kill()
        built.until(lambda one=asked: built.status(one).startswith("COMPLETED"), within_sec=LONGEST_SEC)
        made(built, closure, partitions)


def made(built: House, assets: Sequence[dg.AssetKey], partitions: Sequence[str]) -> None:
    """Raise AssertionError for a partition that is not there: a gate that fails makes its run red, and is there."""
    for key in assets:
        missing = {*partitions} - set(built.instance.get_materialized_partitions(key))
        assert not missing, (key, sorted(missing), failed(built))


def failed(built: House) -> list[str]:
    """Return what the failed steps said."""
    runs = built.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    events = [built.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE) for run in runs]
    return [
        str(one.dagster_event.event_specific_data)[:600] for entries in events for one in entries if one.dagster_event
    ]


def told(built: House, server: TimeGPTServer, way: str) -> None:
    """Print what was asked and paid for."""
    calls = [call for call in built.calls() if call["kind"] == "forecast"]
    states = Counter(call["state"] for call in calls)
    answered = Counter(call["snapshot_key"] for call in calls if call["state"] == "ANSWERED")
    show("requests", server.counts["/v2/forecast"], way)
    show("snapshots", len(answered), way)
    show("mismatches_answered_twice", sum(count > 1 for count in answered.values()), way)
    show("unknown", states["UNKNOWN"], way)
    over = [run for run in built.instance.get_runs() if not run.is_finished]
    show("mismatches_stuck_runs", len(over), way)


def show(name: str, value: object, way: str, **more: object) -> None:
    """Print one figure."""
    print(json.dumps({"name": name, "workers": way, "value": value, "goal": None, "baseline": None} | more), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ("1", "2", "killed"))

"""The watch over the source of bars: which month files are new or revised, and the partitions that must follow.

Belongs here: the sensor, its cursor and its job. Comparing contents is revisions.py; the day itself is automation.py.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import dagster as dg
import orjson

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.automation.day import asked_by, failed_run
from timegpt_assets.core import calendar
from timegpt_assets.engine.deliveries import Dated, touched
from timegpt_assets.engine.engine import Engine, RunFailed
from timegpt_assets.engine.revisions import refresh, revised
from timegpt_assets.instance.internals import job_about
from timegpt_assets.partitions import graph_context, grid, symbols
from timegpt_assets.runtime import MarketData, Runtime, market_data

FILES_A_TICK = 64
"""Month files compared in one tick: a tick may take a minute."""
TOLD = 5
"""Damaged files named in what a tick says."""


class RevisedConfig(dg.Config):
    """The raw_bars partitions the source has revised."""

    partitions: list[str]


def refresh_bars(runtime: Runtime, assets: Sequence[dg.AssetKey] = ()) -> dg.JobDefinition:
    """Return the job that makes revised partitions of raw_bars, and the bars on them, again; ``assets`` are these."""
    graph = graph_context(runtime.settings)

    @dg.op(name="refresh_revised")
    def refresh_revised(context: dg.OpExecutionContext, config: RevisedConfig) -> None:
        """Make just these partitions again; what reads them shows as stale until it is asked for."""
        engine = Engine(
            runtime=runtime, repository=context.repository_def, instance=context.instance, tags=asked_by(context)
        )
        try:
            outcome = refresh(engine, graph, config.partitions)
        except RunFailed as failure:
            raise failed_run(failure) from None
        context.add_output_metadata({"made": outcome.made, "partitions": ", ".join(config.partitions[:20])})

    @dg.graph(name="refresh_bars")
    def revised_bars() -> None:
        refresh_revised()

    return job_about(revised_bars, assets, description="Partitions whose month file was revised; nothing downstream.")


def revised_source(
    runtime: Runtime, *, source: Callable[[], MarketData] | None = None, files_a_tick: int = FILES_A_TICK
) -> dg.SensorDefinition:
    """Return the sensor that asks for the raw_bars partitions whose content in the source has changed.

    The cursor holds modification time and size, or generation, of every month file that agrees with what is stored: a
    file is looked at again until it does, and asked for under one run key. A file that has gone or is damaged asks for
    nothing: what was good is not given up for it.
    """
    opened = source or (lambda: market_data(runtime))

    @dg.sensor(
        name="revised_source",
        job_name="refresh_bars",
        minimum_interval_seconds=runtime.settings.automation.look_every_sec,
        description="Month files of the source that are new or revised: asks for the days whose content changed.",
    )
    def revised_source(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        bars = opened()
        if not isinstance(bars, Dated):
            return dg.SkipReason("a made-up market is never revised.")
        agreed = _agreed(context)
        try:
            states = _states(bars, runtime)
            changed = sorted(name for name, state in states.items() if agreed.get(name) != state)
            found, unread = _compared(bars, runtime, changed, at_most=files_a_tick)
        except (ObjectStoreError, MarketDataError, OSError) as error:
            return dg.SkipReason(f"the source cannot be read now: {error}")
        # only what agrees enters the cursor: a revised file is found again until its refresh has stored it
        agreed |= {name: states[name] for name, keys in found.items() if not keys}
        context.update_cursor(orjson.dumps(agreed, option=orjson.OPT_SORT_KEYS).decode())
        if keys := sorted({key for keys in found.values() for key in keys}):
            return _request(keys, {name: states[name] for name, keys in found.items() if keys})
        left = len(changed) - len(found) - len(unread)
        told = "".join(f" {text}" for text in unread[:TOLD]) + (
            f" And {len(unread) - TOLD} more." * (len(unread) > TOLD)
        )
        return dg.SkipReason(f"{len(found)} files compared, nothing stored differs, {left} left to compare.{told}")

    return revised_source


def _agreed(context: dg.SensorEvaluationContext) -> dict[str, str]:
    """Return what the cursor says; one that cannot be read is begun anew, which costs a comparison and no more."""
    try:
        found = orjson.loads(context.cursor or "{}")
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict) and all(isinstance(state, str) for state in found.values()):
        return found
    context.log.warning("the cursor could not be read (%.60s): every month file is compared anew.", context.cursor)
    return {}


def _states(source: Dated, runtime: Runtime) -> dict[str, str]:
    """Return ``SYMBOL YYYY-MM`` -> state of every month file the grid can mean."""
    data, today = runtime.settings.data, runtime.clock().date()
    last = min(data.end_date or today, today)
    firsts = sorted({s.day.replace(day=1) for s in calendar.sessions(grid(runtime.settings).first_day, last)})
    return {
        f"{symbol} {first:%Y-%m}": state
        for (symbol, first), state in source.states(symbols(runtime.settings), firsts).items()
    }


def _compared(
    source: MarketData, runtime: Runtime, names: Sequence[str], *, at_most: int
) -> tuple[dict[str, list[str]], list[str]]:
    """Return by file the stored partitions it has other content for, and what is wrong with files that are damaged.

    Damaged files do not count towards ``at_most``: they would be the first ones again at every tick.
    """
    store, data = ParquetStore(runtime.storage), runtime.settings.data
    # recent partitions that had no rows are the daily run's to make, when their bars have come
    first_recent = calendar.shifted(calendar.last_closed_session(runtime.clock()), 1 - data.recent_sessions)
    found: dict[str, list[str]] = {}
    unread: list[str] = []
    for name in names:
        if len(found) == at_most:
            break
        symbol, _, month = name.partition(" ")
        try:
            days = touched(date.fromisoformat(f"{month}-01"))
            found[name] = revised(source, store, [symbol], days, delivered_before=first_recent)
        except MarketDataError as error:
            unread.append(str(error))
    return found, unread


def _request(keys: Sequence[str], files: Mapping[str, str]) -> dg.RunRequest:
    """Return the request for these partitions; the same files in the same state are the same request."""
    # over the files' states too: the same partitions revised a second time are another request
    digest = hashlib.sha256(orjson.dumps([keys, files], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    config = {"ops": {"refresh_revised": {"config": {"partitions": list(keys)}}}}
    tags = {"timegpt_assets/revised": ", ".join(sorted(files)[:5])}
    return dg.RunRequest(run_key=f"revised-{digest}", run_config=config, tags=tags)

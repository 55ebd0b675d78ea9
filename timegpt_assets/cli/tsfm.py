"""The verb about prediction markets: what a cycle or a replay made, and how the watch stands.

Belongs here: the order of things, and what is printed. What runs is engine/tsfm.py and engine/tsfm_cycle.py.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta
from typing import Any

import orjson
import polars as pl

from timegpt_assets.adapters.storage.parquet_files import row_count
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.context import dagster_home, opened
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.engine import tsfm_cycle
from timegpt_assets.engine.stages import STAGES, TSFM
from timegpt_assets.engine.tsfm import refuse_silent, utc_days_asked, utc_rectangle
from timegpt_assets.runtime import Runtime
from timegpt_assets.runtime_tsfm import market_days, market_source, tape

FORECASTS, ASKED = f"{TSFM}/tsfm_forecasts", ("market_id", "as_of", "reason")


def replay(runtime: Runtime, start: date, end: date, *, force: bool, as_json: bool) -> None:
    """Make past UTC days from what is kept or lies in files, and print what they hold. Raises Refused."""
    days = utc_days_asked(runtime.settings, start, end, at=runtime.clock())
    refuse_silent(market_days(runtime), days, runtime.settings)
    kept = tape(runtime) if market_source(runtime).live else None
    progress = Progress(Terminal(stderr=True))
    with opened(runtime, report=progress.heard, listener=progress) as command:
        outcome = command.engine.run(utc_rectangle(command.engine, runtime.settings, days, tape=kept, force=force))
        found = {
            "profile": runtime.settings.profile,
            "first_day": days[0],
            "last_day": days[-1],
            "runs": len(outcome.range_runs),
            "partitions_made": outcome.made,
            "partitions_there": outcome.there,
            "seconds": round(progress.seconds, 1),
            **_held(command.store, days),
        }
    _tell(found, as_json=as_json)


def cycle(runtime: Runtime, *, as_json: bool) -> None:
    """Run the cycle of now and print what came of it. Raises Refused, VenueFailed, TapeDamaged, RunFailed."""
    progress = Progress(Terminal(stderr=True))
    with (
        tsfm_cycle.alone(dagster_home(runtime)),
        opened(runtime, report=progress.heard, listener=progress) as command,
    ):
        done = tsfm_cycle.cycle(command.engine, market_source(runtime), tape(runtime))
        found = {
            "profile": runtime.settings.profile,
            "at": done.at,
            "first_look": done.is_new,
            "markets": done.markets,
            "selected": done.selected,
            "histories_fetched": done.fetched,
            "lacking": done.lacking,
            "first_day": done.days[0],
            "last_day": done.days[-1],
            "runs": len(done.outcome.range_runs),
            "partitions_made": done.outcome.made,
            "seconds": round(progress.seconds, 1),
            "within_slo": progress.seconds <= runtime.settings.tsfm.slo.cycle_s,
            **_held(command.store, done.days),
        }
    _tell(found, as_json=as_json)


def status(runtime: Runtime, *, as_json: bool) -> None:
    """Print which UTC days are made, how today's cycles stand, and when anybody last looked."""
    now, store = runtime.clock().astimezone(UTC), ParquetStore(runtime.storage)
    today = now.date()
    cycles = tape(runtime).cycles(today) or tape(runtime).cycles(today - timedelta(days=1))
    settings = runtime.settings.tsfm
    due = int((tsfm_cycle.moment(runtime.settings, now) - now.replace(hour=0, minute=0, second=0, microsecond=0))
              / timedelta(minutes=settings.cycle_min)) + 1  # fmt: skip
    found: dict[str, Any] = {
        "profile": runtime.settings.profile,
        "source": settings.markets.source,
        "last_cycle": cycles[-1] if cycles else None,
        "cycles_today": sum(one.date() == today for one in cycles),
        "cycles_due_today": due if settings.markets.source == "polymarket" else 0,
        "tables": {name: _span(store.files(f"{TSFM}/{name}")) for name in STAGES[TSFM]},
    }
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
        return
    out = Terminal()
    table = Table(
        ("table", "days or months", "first", "last"), title=f"{found['profile']}: prediction markets, UTC days"
    )
    for name, span in found["tables"].items():
        table.add(name, f"{span['days']:,}", span["first"] or "–", span["last"] or "–")
    out.print(table)
    if found["cycles_due_today"]:
        out.print(f"Last cycle {found['last_cycle'] or 'never'}; {found['cycles_today']} of the day's "
                  f"{found['cycles_due_today']} so far were looked at.", soft_wrap=True)  # fmt: skip


def _span(files: Sequence[str]) -> dict[str, Any]:
    return {"days": len(files), "first": files[0] if files else None, "last": files[-1] if files else None}


def _held(store: ParquetStore, days: Sequence[date]) -> dict[str, Any]:
    """Return what the tables of these days hold: rows by table, forecasts by why the model did not answer."""
    rows: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for name in STAGES[TSFM]:
        files = {str(day) if STORED[name].span == "day" else f"{day:%Y-%m}" for day in days}
        facts = store.read_facts(f"{TSFM}/{name}", sorted(files), missing="ok")
        rows[name] = sum(row_count(fact) for fact in facts.values())
    for day in days:
        told = store.read(FORECASTS, [str(day)], missing="ok", empty=pl.DataFrame(), columns=ASKED)
        for reason, count in tsfm_cycle.told(told).items() if told.height else ():
            reasons[reason] = reasons.get(reason, 0) + count
    return {"rows": rows, "forecasts": reasons}


def _tell(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
        return
    out = Terminal()
    table = Table(("table", "rows"), title=f"{found['profile']}: UTC days {found['first_day']} to {found['last_day']}")
    for name, rows in found["rows"].items():
        table.add(name, f"{rows:,}")
    out.print(table)
    if reasons := found["forecasts"]:
        each = ", ".join(f"{why or 'by the model'} {count:,}" for why, count in sorted(reasons.items()))
        out.print(f"Forecasts: {each}.", soft_wrap=True)
    if "at" in found:
        late = "" if found["within_slo"] else " That is more than tsfm.slo.cycle_s."
        again = "" if found["first_look"] else " (looked at before: nothing was asked again)"
        out.print(
            f"Cycle {found['at']}{again}: {found['markets']:,} markets, {found['selected']:,} selected, history of "
            f"{found['histories_fetched']:,} fetched.{late}",
            soft_wrap=True,
        )
    out.print(f"{found['partitions_made']} partitions made in {found['runs']} runs, {found['seconds']} s.")

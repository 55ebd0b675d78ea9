"""What the command line prints: the figures after a run.

Belongs here: words and tables for people. The figures themselves are the report's (reports/figures.py).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
from dagster import AssetKey
from rich.text import Text

from timegpt_assets.cli.context import CommandContext
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.backtest.funnel import FATES, TRADED
from timegpt_assets.core.bars.quality_report import is_outside
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import GATES, VERDICTS
from timegpt_assets.engine.daily import COMPLETE, sessions
from timegpt_assets.engine.engine import Outcome
from timegpt_assets.engine.plans import PartitionRef

SESSIONS_TOLD = 10
"""Sessions that are not plainly complete, of which the command line prints what became of them."""


def figures(command: CommandContext, days: Sequence[date], outcome: Outcome, progress: Progress) -> dict[str, Any]:
    """Return what the command found: runs and partitions, the last month's summary, gates, calls, report path."""
    months = sorted({f"{day:%Y-%m}" for day in days})
    report = command.table("reports/report", months[-1:])
    stored = [command.table(f"gates/{name}", months[-1:]) for name in (*VERDICTS, "promotion")]
    gates = pl.concat([GATES.empty(), *(t.select(*GATES.columns) for t in stored if t.height)])
    # what is traded is judged here; the gates of the others stand in their tables
    gates = gates.filter(forecaster=command.graph.settings.forecast.champion)
    compared = command.table("evaluation/comparison", months[-1:])
    failed = gates.filter(~pl.col("passed"))
    return {
        "profile": command.graph.settings.profile,
        "first_day": days[0],
        "last_day": days[-1],
        "days": len(days),
        "runs": len(outcome.range_runs),
        "partitions_made": outcome.made,
        "partitions_there": outcome.there,
        "seconds": round(progress.seconds, 1),
        "days_waiting": [str(day) for day in outcome.pending],
        "why_waiting": outcome.why,
        "days_awaiting_bars": [str(day) for day in sorted(outcome.held)],
        "remade": outcome.remade,
        "sessions": sessions(command.engine, days, outcome),
        "incomplete": {name: sorted(set(skipped)) for name, skipped in outcome.incomplete.items()},
        "untaught": outcome.untaught,
        "verdicts": _verdicts(command, days),
        "summary": {f"{row['section']}: {row['name']}": row["value"] for row in report.iter_rows(named=True)},
        "comparison": compared.filter(symbol=WILDCARD).to_dicts() if compared.height else [],
        "forecasts": fates(command.table("backtest/funnel", days), command.graph.settings.forecast.champion),
        "gates": gates.to_dicts(),
        "gates_failed": [f"{g['gate']} {g['criterion']} ({g['symbol']})" for g in failed.iter_rows(named=True)],
        "report": command.runtime.artifacts.shown(report["path"][0]) if report.height else None,
    }


def fates(funnel: pl.DataFrame, champion: str) -> dict[str, int]:
    """Return how many of the champion's forecasts met which fate, in the order in which they are asked."""
    if funnel.is_empty():
        return {}
    counted = dict(funnel.filter(forecaster=champion).group_by("fate").agg(pl.col("n").sum()).iter_rows())
    order = [*FATES, *sorted(counted.keys() - FATES.keys())]
    return {fate: counted[fate] for fate in order if counted.get(fate)}


def funnel_text(found: Mapping[str, int]) -> str:
    """Return in a line how many forecasts were traded, and how many fell at which rule."""
    fell = {fate: count for fate, count in found.items() if fate != TRADED}
    told = f"{found.get(TRADED, 0):,} of {sum(found.values()):,} forecasts were traded"
    if not fell:
        return f"{told}."
    most = max(fell, key=fell.__getitem__)
    rules = ", ".join(f"{count:,} at {fate}" for fate, count in fell.items())
    return f"{told}; fell: {rules}. {most} means: {FATES.get(most, 'see docs/reference/rules.md')}."


def left_old(found: Mapping[str, Mapping[AssetKey, Collection[PartitionRef]]]) -> dict[str, Any]:
    """Return what stays although it is old: partition keys by asset name, and how many for which reason."""
    stale: dict[AssetKey, set[str]] = {}
    for by_asset in found.values():
        for key, partitions in by_asset.items():
            stale.setdefault(key, set()).update(partition.key for partition in partitions)
    return {
        "stale": {key.path[-1]: sorted(keys) for key, keys in sorted(stale.items())},
        "why_stale": {why: sum(map(len, by_asset.values())) for why, by_asset in sorted(found.items())},
    }


def _verdicts(command: CommandContext, days: Sequence[date]) -> dict[str, int]:
    """Return how many symbol days have each verdict; sessions before the data begin are outside, and no failure."""
    quality = command.table("bars/quality_report", days)
    if quality.is_empty():
        return {}
    outside = is_outside(command.graph.settings.data.start_date)
    told = quality.select(verdict=pl.when(outside).then(pl.lit("outside")).otherwise("verdict"))
    return dict(told.group_by("verdict").len().sort("verdict").iter_rows())


def show(found: dict[str, Any], messages: Terminal) -> None:
    """Print the figures as tables on standard output."""
    out = Terminal()
    if found["summary"]:
        table = Table(("figure", "value"), title=f"{found['profile']}: {found['first_day']} to {found['last_day']}")
        for name, value in found["summary"].items():
            table.add(name, value)
        out.print(table)
    if found["comparison"]:
        out.print(_comparison_table(found["comparison"]))
    if found["gates"]:
        out.print(_gate_table(found["gates"]))
    if found["forecasts"]:
        out.print(funnel_text(found["forecasts"]), soft_wrap=True)
    for name, skipped in found["incomplete"].items():
        out.print(
            f"{name} left out on {len(skipped)} days: not everything it reads is there. "
            "Run without --symbols and --stale."
        )
    for name, months in found["untaught"].items():
        out.print(
            f"{name} left out for {len(months)} months, {months[0]} to {months[-1]}: no session of theirs is there. "
            f"To learn from them: timegpt-assets train --profile {found['profile']}",
            soft_wrap=True,
        )
    for why, counts in found["remade"].items():
        out.print(
            f"made again, being {why}: {', '.join(f'{n} of {name}' for name, n in counts.items())}.", soft_wrap=True
        )
    told = [f"{day}: {said}" for day, said in found["sessions"].items() if said != COMPLETE]
    for line in [
        *told[:SESSIONS_TOLD],
        *([f"And {len(told) - SESSIONS_TOLD} more sessions."] if len(told) > SESSIONS_TOLD else []),
    ]:
        out.print(line, soft_wrap=True, highlight=False)
    if found["days_waiting"]:
        out.print(
            f"{len(found['days_waiting'])} days from {found['days_waiting'][0]} to {found['days_waiting'][-1]} wait: "
            f"{found['why_waiting']} Run the same again on the next budget day, or let the sensor resume_backfill.",
            soft_wrap=True,
        )
    if stale := found.get("stale"):
        counted = ", ".join(f"{len(keys)} of {name}" for name, keys in stale.items())
        why = ", ".join(f"{count} {reason}" for reason, count in found["why_stale"].items())
        out.print(
            f"{sum(map(len, stale.values()))} partitions are old and stay: {why} ({counted}). Make them again: "
            f"timegpt-assets backfill --stale --start {found['first_day']} --end {found['last_day']}",
            soft_wrap=True,
        )
    out.print(
        f"{found['partitions_made']} partitions made in {found['runs']} runs, {found['partitions_there']} already "
        f"there, {found['seconds']} s. Data verdicts: {found['verdicts'] or 'none'}."
    )
    if found["report"]:
        out.print(f"report: {found['report']}", soft_wrap=True)


def _comparison_table(pairs: Sequence[dict[str, Any]]) -> Table:
    """Return one row per pair of forecasters; losses below 1 are better, p is Holm's."""
    columns = (
        "forecaster",
        "against",
        "common",
        "pinball loss",
        "p",
        "error",
        "in 80 %",
        "P&L, USD",
        "USD / 1,000",
        "USD / bp",
    )
    table = Table(columns, title="who is better: pinball loss and error relative to the other's")
    for pair in sorted(pairs, key=lambda pair: (pair["against"], pair["rpinball"] or 0.0)):
        table.add(
            pair["forecaster"],
            pair["against"],
            f"{pair['n']:,}",
            _with_interval(pair, "rpinball", ".3f"),
            _figure(pair["rpinball_p_holm"], ".2g"),
            _figure(pair["rmae"], ".3f"),
            _figure(pair["coverage_80"], ".1%"),
            _with_interval(pair, "pnl_difference", "+,.0f"),
            _figure(pair["spent_per_thousand"], ",.2f"),
            _figure(pair["spent_per_bp"], ",.2f"),
        )
    return table


def _with_interval(row: Mapping[str, Any], name: str, form: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return _figure(row[name], form) + ("" if low is None or high is None else f" [{low:{form}}, {high:{form}}]")


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _gate_table(gates: Sequence[dict[str, Any]]) -> Table:
    """Return one row per gate and reason: criteria and symbols that share a verdict share a row."""
    table = Table(("gate", "passed", "criteria", "why"), title="gates")
    rows: dict[tuple[str, bool, str], list[dict[str, Any]]] = {}
    for gate in gates:
        rows.setdefault((gate["gate"], gate["passed"], gate["reason"]), []).append(gate)
    for (name, passed, reason), alike in rows.items():
        criteria = ", ".join(dict.fromkeys(gate["criterion"] for gate in alike))
        who = ", ".join(dict.fromkeys(gate["symbol"] for gate in alike if gate["symbol"] != WILDCARD))
        table.add(
            name,
            Text("yes", "green") if passed else Text("no", "red"),
            criteria + (f" of {who}" if who else ""),
            reason,
        )
    return table

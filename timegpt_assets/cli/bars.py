"""What the command line says about bars: the verdicts of a window per rule, and the report it leaves on disk.

Belongs here: words and tables for people about data quality. What is counted is core/quality_report.py.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import orjson
import polars as pl

from timegpt_assets.assets.bars import verdicts
from timegpt_assets.cli.context import CommandContext
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import core_inputs
from timegpt_assets.core.bars import quality_report

LISTED = 20
"""Symbol days, or symbols, printed; the report on disk has all of them."""
COLOURS = {"fail": "red", "quarantine": "red", "warn": "yellow", "ignore": "dim"}


def quality_of(command: CommandContext, days: Sequence[date], symbols: Sequence[str]) -> pl.DataFrame:
    """Return the stored verdicts of these days and symbols (all when empty), whoever made them."""
    facts = command.store.read_facts("bars/bars", days, symbols or None, missing="ok")
    return verdicts({f"{day}|{symbol}": fact for (day, symbol), fact in facts.items()})


def reported(command: CommandContext, days: Sequence[date], symbols: Sequence[str]) -> dict[str, Any]:
    """Write ``<artifacts>/validation/<profile>/dq_report.json`` and return what it holds, with its path."""
    policy = core_inputs.quality_policy(command.graph.settings)
    since = command.graph.settings.data.start_date
    report = quality_report.dq_report(quality_of(command, days, symbols), policy, since=since)
    name = f"validation/{command.graph.settings.profile}/dq_report.json"
    command.runtime.artifacts.update(name, lambda _: orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return report | {"path": command.runtime.artifacts.shown(name)}


def failures(report: dict[str, Any]) -> list[str]:
    """Return a line per rule of severity fail that is broken, ending with what helps."""
    broken = [rule for rule in report["rules"] if rule["severity"] == "fail" and rule["days"]]
    lines = [f"{r['rule']} is broken on {r['days']:,} symbol days, {r['first']} first. {r['remedy']}." for r in broken]
    return lines or ["nothing was judged. Name sessions that have closed with --start and --end."]


def shown(report: dict[str, Any], out: Terminal) -> None:
    """Print the report as tables: per rule, the days that broke one, symbols without rows, minutes without a print."""
    rules = Table(("rule", "severity", "symbol days", "rows", "first"), title="verdicts per rule")
    for row in report["rules"]:
        colour = COLOURS[row["severity"]] if row["days"] else "dim"
        counts = (f"{row['days']:,}", f"{row['rows']:,}", row["first"] or "")
        rules.add(row["rule"], row["severity"], *counts, style=colour)
    out.print(rules)
    _listed(out, "not ok", report["findings"], ("day", "symbol", "verdict", "reason"))
    _listed(out, "sessions without rows", report["absences"], ("symbol", "first", "last", "sessions", "kind"))
    _listed(out, "minutes without a print", report["missing_minutes"], ("symbol", "days", "minutes"))
    totals = ", ".join(f"{count:,} {verdict}" for verdict, count in report["verdicts"].items())
    out.print(f"{report['symbol_days']:,} symbol days of {report['symbols']} symbols: {totals}.")
    if report["outside"]:
        out.print(f"{report['outside']:,} more lie before data.start_date and have no rows: outside the data.")
    out.print(f"data quality report: {report['path']}", soft_wrap=True)


def _listed(out: Terminal, title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    if not rows:
        return
    more = f", the first {LISTED} of {len(rows):,}" if len(rows) > LISTED else ""
    table = Table(columns, title=title + more)
    for row in rows[:LISTED]:
        table.add(*(row[column] for column in columns))
    out.print(table)

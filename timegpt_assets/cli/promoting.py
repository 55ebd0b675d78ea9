"""The verbs that say what is live: promote records what passed every criterion, demote what shall be live no more.

Belongs here: what is asked, recorded and printed. What is judged stands in core/gates/, the page in
reports/promotion.py.
"""

import getpass
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import typer

from timegpt_assets.adapters.storage.promotion_record import PromotionRecord
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.cli.context import CommandContext, opened
from timegpt_assets.cli.exit_codes import GATES_FAILED
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.scorecard import Scorecard, scorecard
from timegpt_assets.core.backtest.whitelist import DEMOTE, PROMOTE, live
from timegpt_assets.core.gates import counted
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import GATES, VERDICTS
from timegpt_assets.engine import promoting
from timegpt_assets.engine.stages import Refused
from timegpt_assets.partitions import is_month
from timegpt_assets.reports.promotion import Promoted, page
from timegpt_assets.runtime import Runtime

LAST = 20
"""Entries of the record that a page shows."""


def promote(runtime: Runtime, month: str, card: Path | None, *, as_json: bool) -> None:
    """Record what passed of a month (none: the last with a portfolio), write the page, and print both."""
    _refuse_elsewhere(runtime)
    review, record = scorecard(card) if card else None, PromotionRecord(runtime.storage)
    if month and not is_month(month):
        raise Refused(f"--month {month} is no month. Write it as 2025-12.")
    record.entries()  # a broken one is refused before anything is made
    progress = Progress(Terminal(stderr=True))
    with opened(runtime, report=progress.heard, listener=progress) as command:
        day = promoting.last_day(runtime.storage, month)
        command.engine.run(promoting.verdict(command.engine, command.graph, day))
        found = _judged(command, f"{day:%Y-%m}", review)
    passed = found.promoted()
    if passed:
        record.add(
            PROMOTE,
            forecaster=found.forecaster,
            symbols=passed,
            who=getpass.getuser(),
            why=f"every criterion of {found.month} holds",
            evidence=_evidence(runtime, found),
            clock=runtime.clock,
        )
    found = found.recorded(record.entries()[-LAST:])
    name = f"reports/{runtime.settings.profile}/promotion-{found.month}.html"
    runtime.artifacts.update(name, lambda _: page(found).encode())
    _tell(found, passed, runtime.artifacts.shown(name), live(record.recorded()), as_json=as_json)
    if not passed:
        raise typer.Exit(GATES_FAILED)


def demote(
    runtime: Runtime, reason: str, symbols: Sequence[str], *, everything: bool, forecaster: str | None, as_json: bool
) -> None:
    """Record that the symbols are live no more, and print it."""
    _refuse_elsewhere(runtime)
    record, whose = PromotionRecord(runtime.storage), forecaster or runtime.settings.forecast.champion
    there = sorted(symbol for who, symbol in live(record.recorded()) if who == whose)
    said = f"Live for {whose}: {', '.join(there) or 'none'}."
    if everything == bool(symbols):
        raise Refused(f"name the symbols, or say --all, and not both. {said}")
    if unknown := sorted(set(symbols) - set(there)):
        raise Refused(f"{', '.join(unknown)} is not live for {whose}. {said}")
    if not there or not reason.strip():
        raise Refused(f"nothing to demote. {said}" if reason.strip() else "--reason is empty. Say why, for the record.")
    entry = record.add(
        DEMOTE,
        forecaster=whose,
        symbols=there if everything else symbols,
        who=getpass.getuser(),
        why=reason,
        evidence={},
        clock=runtime.clock,
    )
    if as_json:
        sys.stdout.write(orjson.dumps(entry).decode() + "\n")
    else:
        Terminal().print(
            f"demoted for {whose}: {', '.join(entry['symbols'])}; from the next session on", soft_wrap=True
        )


def _refuse_elsewhere(runtime: Runtime) -> None:
    """Raise Refused in every profile but prod: what they trade is not live."""
    if runtime.settings.run_source != counted.LIVE["run_source"]:
        raise Refused(
            f"profile {runtime.settings.profile} promotes nothing and has nothing to demote. Say --profile prod."
        )


def _judged(command: CommandContext, month: str, review: Scorecard | None) -> Promoted:
    """Return the champion's verdict of the month and the rows behind it, as they were just made."""
    champion = command.graph.settings.forecast.champion
    rows = pl.concat(command.table(f"gates/{name}", [month]) for name in VERDICTS).filter(forecaster=champion)
    verdict = command.table("gates/promotion", [month])
    return Promoted(
        month=month,
        forecaster=champion,
        criteria=rows,
        verdict=verdict.select(*GATES.columns),
        trials=TrialStore(command.runtime.storage).ever(verdict["as_of"][0]),
        luck=strategy_inputs.luck(command.graph.settings),
        scorecard=review.model_dump() if review else None,
    )


def _evidence(runtime: Runtime, found: Promoted) -> dict[str, Any]:
    """Return what a promotion rests on: rows and their lineage, what was asked of them, trials, and the review."""
    rows = found.criteria.select(*GATES.columns).sort(GATES.key)
    return {
        "month": found.month,
        "as_of": str(found.verdict["as_of"][0]),
        "criteria": rows.height,
        "rows_sha256": hashlib.sha256(rows.write_csv().encode()).hexdigest(),
        "lineage_ids": sorted(found.criteria["lineage_id"].unique()),
        "sources": counted.LIVE,
        "trials": len(found.trials),
        "asked": runtime.settings.gates.model_dump(mode="json"),
        "scorecard": found.scorecard,
    }


def _tell(found: Promoted, passed: Sequence[str], place: str, now: set[tuple[str, str]], *, as_json: bool) -> None:
    """Print what was promoted, what was refused and why."""
    refused = {row["symbol"]: row["reason"] for row in found.verdict.filter(~pl.col("passed")).iter_rows(named=True)}
    reasons = found.criteria.filter(~pl.col("passed")).sort("gate", "symbol", "criterion")
    doubtful = sorted(symbol for who, symbol in now if who == found.forecaster and symbol not in passed)
    told = {
        "month": found.month,
        "forecaster": found.forecaster,
        "promoted": list(passed),
        "refused": refused,
        "not_passed": reasons.select("gate", "symbol", "criterion", "reason").to_dicts(),
        "trials": len(found.trials),
        "live": sorted(symbol for who, symbol in now if who == found.forecaster),
        "live_and_not_passed": doubtful,
        "scorecard": found.scorecard,
        "page": place,
    }
    if as_json:
        sys.stdout.write(orjson.dumps(told).decode() + "\n")
        return
    out = Terminal()
    if reasons.height:
        out.print(_table(reasons))
    names = [symbol for symbol in refused if symbol != WILDCARD]
    out.print(f"{found.month}, {found.forecaster}: promoted {', '.join(passed) or 'nobody'}", soft_wrap=True)
    if names:
        out.print(f"refused: {', '.join(names)}", soft_wrap=True)
    if refused.get(WILDCARD, "").startswith("stored rows"):
        out.print(refused[WILDCARD], soft_wrap=True)
    if doubtful:
        out.print(
            f"live and not passed: {', '.join(doubtful)}. They stay live until: timegpt-assets demote", soft_wrap=True
        )
    out.print(f"trials counted: {found.trials.counted()}; scorecard: {'kept' if found.scorecard else 'none'}")
    out.print(f"page: {place}", soft_wrap=True)


def _table(reasons: pl.DataFrame) -> Table:
    columns = ("gate", "symbol", "criterion", "reason")
    table = Table(columns, title="not passed")
    for row in reasons.select(columns).iter_rows():
        table.add(*row)
    return table

"""The gates on real bars: what they say of free forecasters as it stands, and what they would say had it been live.

Run: TIMEGPT_ASSETS_REAL_DATA=/path python -m timegpt_assets_tests.benchmarks.gate_tables [SET[=SYMBOLS] ...]
Profile dev, every session of a set, all its symbols unless some are named, joined by commas; through the engine, with
the shipped thresholds. Nothing that dev makes is live, so as it stands nothing is judged; the table relabels the stored
figures, lets as few as they are be enough, and says what the thresholds make of them. Houses are kept in the folder
REAL_HOUSES when that is set.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets.declare import Span
from timegpt_assets.assets.gates import FORECAST_TABLES, RISK_TABLES, TRADING_TABLES, of_forecasts, of_risk, of_trading
from timegpt_assets.assets.luck import of_luck
from timegpt_assets.cli.context import CommandContext
from timegpt_assets.core.backtest import books
from timegpt_assets.core.gates.counted import LIVE, status
from timegpt_assets.core.tables.columns import ORIGIN_KEY, WILDCARD
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.partitions import GraphContext
from timegpt_assets.reports.pictures.gates import judged
from timegpt_assets_tests.benchmarks.trading_results import kept, markdown
from timegpt_assets_tests.real_houses import SPANS, backfilled, opened_house, sessions

SEATS = ("zero", "climatology", "persistence", "size")
"""Seated beside ridge, the champion of dev."""
OF_A_REFERENCE = "baseline+prod+maintenance_replay"
"""What the comparison says of references that answered in prod."""


def as_if_live(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows under the names of live ones; those of dev have one triple."""
    named = {name: pl.lit(value) for name, value in LIVE.items()}
    against = {"against_sources": pl.lit(OF_A_REFERENCE)} if "against_sources" in frame.columns else {}
    return frame.with_columns(**named, **against)


def few_are_enough(graph: GraphContext) -> GraphContext:
    """Return the graph with gates that ask no number of forecasts and sessions: two months have too few of both."""
    gates = graph.settings.gates.model_copy(update={"min_forecasts": 1, "min_observation_days": 1})
    return replace(graph, settings=replace(graph.settings, gates=gates))


def verdicts(command: CommandContext, month: str, days: list[date]) -> pl.DataFrame:
    """Return what the gates would say of the last month had its rows been live and enough; all but the contract."""
    graph, span = few_are_enough(command.graph), Span(month=month, as_of=days[-1], sessions=tuple(days))
    names = dict.fromkeys((*FORECAST_TABLES, *TRADING_TABLES, *RISK_TABLES))
    tables = {name: as_if_live(command.table(f"evaluation/{name}", [month])) for name in names}
    book, scores = (as_if_live(command.table(name, days)) for name in ("backtest/portfolio", "evaluation/day_scores"))
    asked = books.with_books(scores.select("day", *ORIGIN_KEY).unique(), champion=graph.settings.forecast.champion)
    of_scores = [make(graph)(span, tables) for make in (of_forecasts, of_trading, of_risk)]
    return pl.concat([*of_scores, of_luck(graph)(span, book, asked, TrialStore(command.runtime.storage))])


def beside_each_other(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a row per criterion and a column per forecaster: value and sign; of symbols the median and how many."""
    sign = pl.col("outcome").replace_strict({"passed": "✓", "failed": "✗", "insufficient": "?"})
    of_symbols = (pl.col("symbol") != WILDCARD).alias("each")
    found = judged(rows).group_by("gate", "criterion", of_symbols, "forecaster", maintain_order=True)
    figures = found.agg(
        pl.col("threshold").first(), pl.col("value").median(), pl.col("passed").sum(), n=pl.len(), sign=sign.first()
    )
    value = pl.col("value").round(3).cast(pl.String).fill_null("–")
    counted = pl.format("{} ({} of {})", value, "passed", "n")
    shown = figures.with_columns(shown=pl.when("each").then(counted).otherwise(pl.format("{} {}", value, "sign")))
    # the threshold of some is another for each book
    asked = pl.when(pl.col("criterion") != "min_track_record").then("threshold")
    wide = shown.with_columns(threshold=asked).pivot(
        "forecaster", index=["gate", "criterion", "threshold"], values="shown", aggregate_function="first"
    )
    return wide.sort("gate", "criterion", maintain_order=True)


def said(command: CommandContext, month: str) -> Iterator[str]:
    """Yield what the stored gates say of the champion, with the first reason of each."""
    champion = command.graph.settings.forecast.champion
    for name in (*VERDICTS, "promotion"):
        rows = command.table(f"gates/{name}", [month]).filter(forecaster=champion)
        told: Mapping[str, object] = status(rows)
        reason = rows.filter(~pl.col("passed"))["reason"].first()
        yield f"* {name}: {told['status']}, {told['passed']} of {told['criteria']} passed. {reason or ''}"


def eligible(command: CommandContext, last: date) -> Iterator[str]:
    """Yield how many symbols were eligible on the last session, by forecaster: each by the rows of its own sources."""
    rows = command.table("gates/symbol_gates", [last]).filter(criterion="eligibility")
    counts = rows.group_by("forecaster", "verdict").len().sort("forecaster", "verdict")
    told = counts.group_by("forecaster", maintain_order=True).agg(pl.format("{} {}", "len", "verdict").str.join(", "))
    for forecaster, words in told.iter_rows():
        yield f"* symbol_gates of {last}, {forecaster}: {words}"


def main() -> None:
    """Print the tables of the sets named, or of all."""
    if "TIMEGPT_ASSETS_REAL_DATA" not in os.environ:
        print("gate_tables: set TIMEGPT_ASSETS_REAL_DATA to judge real bars", file=sys.stderr)
        return
    data = Path(os.environ["TIMEGPT_ASSETS_REAL_DATA"])
    for named in sys.argv[1:] or list(SPANS):
        name, _, symbols = named.partition("=")
        days, chosen = sessions(name), symbols.split(",") if symbols else ()
        with kept(f"{name}-gates") as folder, opened_house(data, name, folder, seats=SEATS, symbols=chosen) as one:
            took, month = backfilled(one, days, assets=(*VERDICTS, "promotion")), f"{days[-1]:%Y-%m}"
            print(f"\n## {name}: {len(days)} sessions, {took.outcome.made} partitions in {took.cpu:.0f} CPU s\n")
            for line in (*eligible(one, days[-1]), *said(one, month)):
                print(line)
            print("\nHad these rows been live, and as few as they are enough:\n")
            for line in markdown(beside_each_other(verdicts(one, month, days))):
                print(line, flush=True)


if __name__ == "__main__":
    main()

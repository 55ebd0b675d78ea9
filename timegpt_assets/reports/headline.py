"""What a report says first: one sentence to act on, and the key figures, each with what it rests on.

Belongs here: which words figures allow. Fewer observations than a verdict asks for allow none but how many are missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from timegpt_assets.core.backtest.funnel import FATES, TRADED
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.reports.figures import Report, dollars_between, percent_between
from timegpt_assets.reports.pictures.gates import judged
from timegpt_assets.reports.pictures.pnl import dollars
from timegpt_assets.reports.pictures.style import latest, sources

Card = tuple[str, str, str]
"""Name, figure and what it rests on."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """``sentence`` is what to do and why, ``basis`` what it rests on, ``tone`` early, bad or good."""

    sentence: str
    basis: str
    tone: str


def headline(report: Report) -> Headline:
    """Return what the report comes to, and on how many observations it says so."""
    scored, sessions = report.forecasts.height, report.forecasts["day"].n_unique()
    basis = _basis(report, scored, sessions)
    if not scored:
        words = f"Nothing can be said of {report.month}: no forecast has met its outcome yet."
        return Headline(sentence=words, basis=basis, tone="early")
    if missing := _missing(report, sessions):
        words = f"Too early for a verdict: {missing}. Collect more; nothing below is a claim yet."
        return Headline(sentence=words, basis=basis, tone="early")
    failing = judged(latest(report.gates)).filter(pl.col("outcome") != "passed")
    why = "; ".join(part for part in (_money(report), _bands(report), _failing(failing)) if part)
    if failing.is_empty() and report.gates.height:
        return Headline(sentence=f"Every criterion is passed: ask for its promotion. {why}.", basis=basis, tone="good")
    return Headline(sentence=f"Do not trade this: {why}.", basis=basis, tone="bad")


def _missing(report: Report, sessions: int) -> str:
    """Return what a verdict still lacks, in words; nothing where enough was seen."""
    least = report.forecasts.group_by("symbol").len()["len"].min()
    asked = report.asked
    lacks = []
    if sessions < asked.sessions:
        lacks.append(f"{sessions:,} of {asked.sessions:,} sessions are there")
    if isinstance(least, int) and least < asked.forecasts:
        lacks.append(f"{least:,} of {asked.forecasts:,} forecasts of each symbol")
    return " and ".join(lacks)


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _basis(report: Report, scored: int, sessions: int) -> str:
    costs = plain_costs(report.costs)
    trades = int(costs["trades"]) if costs else 0
    days = f", {min(report.days)} to {max(report.days)}" if report.days else ""
    made_by = f"; {sources(report.forecasts)}" if scored else ""
    said = (
        f"Rests on {_count(scored, 'scored forecast', 'scored forecasts')} and {_count(trades, 'trade', 'trades')} of "
        f"{report.champion or 'nobody'} over {_count(sessions, 'session', 'sessions')}{days}{made_by}."
    )
    if report.planted_predictability is None:
        return said
    return (
        f"{said} The bars are synthetic, planted with a correlation of {report.planted_predictability:g}: figures say "
        "whether the machinery works, nothing about any market."
    )


def _money(report: Report) -> str:
    row = plain_costs(report.costs)
    if not row or not row["trades"]:
        return no_trade(report)
    low, high = row["net_pnl_low"], row["net_pnl_high"]
    amount = f"{dollars(row['net_pnl'])} after costs{dollars_between(low, high)} on {row['trades']:,} trades"
    if low is None or high is None or low <= 0 <= high:
        return f"it is not shown to earn or to lose: {amount}"
    return f"it earned {amount}" if low > 0 else f"it lost: {amount}"


def no_trade(report: Report) -> str:
    """Return why the champion has no trade, in words."""
    own = report.funnel.filter(forecaster=report.champion).group_by("fate").agg(pl.col("n").sum())
    fell = own.filter(pl.col("fate") != TRADED).sort("n", "fate", descending=[True, False])
    if fell.is_empty():
        return "nothing was traded"
    fate, n = fell.row(0)
    meaning = FATES.get(fate, "its rule")
    return f"nothing was traded: {n:,} of {own['n'].sum():,} forecasts fell at {fate} ({meaning})"


def _bands(report: Report) -> str:
    row = final_scores(report.diagnostics)
    low, high = (row.get(f"coverage_80_day_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return ""
    held = f"{row['coverage_80']:.1%} of outcomes{percent_between(low, high)}"
    if low <= 0.8 <= high:
        return f"its 80 % band held {held}, as promised"
    return f"its 80 % band held {held}: {'less' if high < 0.8 else 'more'} than promised"


def _failing(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return ""
    first = rows.sort("outcome", "gate", "criterion", "symbol").row(0, named=True)
    whose = "" if first["symbol"] == WILDCARD else f" of {first['symbol']}"
    return f"{rows.height:,} criteria are not passed, first {first['gate']} {first['criterion']}{whose}"


def plain_costs(costs: pl.DataFrame) -> Mapping[str, Any]:
    """Return the last month's row at the costs as configured, of several sources the one with most trades."""
    rows = latest(costs).filter(cost_multiplier=1.0).sort("trades", "score_source", descending=[True, False])
    return rows.row(0, named=True) if rows.height else {}


def final_scores(diagnostics: pl.DataFrame, *, stage: str = "calibrated", symbol: str = WILDCARD) -> Mapping[str, Any]:
    """Return the last month's row of a stage, of several sources the one with most forecasts."""
    rows = latest(diagnostics).filter(symbol=symbol, stage=stage).sort("n", "score_source", descending=[True, False])
    return rows.row(0, named=True) if rows.height else {}


def cards(report: Report) -> list[Card]:
    """Return the key figures with what each rests on; a dash where nothing was measured."""
    return [*_money_cards(plain_costs(report.costs)), *_forecast_cards(report), _spent(report), _gates(report)]


def _money_cards(row: Mapping[str, Any]) -> list[Card]:
    if not row:
        return [("Net P&L after costs", "–", "no book yet")]
    over = f"{row['trades']:,} trades over {_count(row['observation_days'], 'session', 'sessions')}"
    interval = dollars_between(row["net_pnl_low"], row["net_pnl_high"]) or " no interval"
    sharpe, unknown = row["sharpe_daily"], "daily returns do not vary, or are too few"
    sure = f"[{row['sharpe_daily_low']:.2f}, {row['sharpe_daily_high']:.2f}]" if _known(row, "sharpe_daily") else ""
    method = f"{sure} {row['sharpe_method']}: yearly, of daily net returns".strip()
    below = f"longest below its best: {_count(row['drawdown_days'], 'session', 'sessions')}"
    return [
        ("Net P&L after costs", dollars(row["net_pnl"]), f"{interval.strip()}; {over}"),
        ("Sharpe ratio", "–" if sharpe is None else f"{sharpe:.2f}", unknown if sharpe is None else method),
        ("Deepest drawdown", f"{row['max_drawdown']:.2%}", f"of the capital; {below}"),
    ]


def _known(row: Mapping[str, Any], name: str) -> bool:
    return row.get(f"{name}_low") is not None and row.get(f"{name}_high") is not None


def _forecast_cards(report: Report) -> list[Card]:
    after = final_scores(report.diagnostics)
    before = final_scores(report.diagnostics, stage="raw")
    own = after or before
    if not own:
        return [("80 % band", "–", "no scored forecast")]
    said = [f"{_share(row)} {words}" for row, words in ((after, "calibrated"), (before, "before")) if row]
    said, n = said if _known(own, "coverage_80_day") else ["no interval", *said], f"n {own['n']:,}"
    loss = "–" if own["rmae"] is None else f"{own['rmae']:.3f}"
    sure = f"[{own['rmae_low']:.3f}, {own['rmae_high']:.3f}]; " if _known(own, "rmae") else "no interval; "
    return [
        ("80 % band held", "–" if own["coverage_80"] is None else f"{own['coverage_80']:.1%}", "; ".join([*said, n])),
        ("Error against persistence", loss, f"{sure}below 1 is better; n {own['rmae_n'] or 0:,}"),
    ]


def _share(row: Mapping[str, Any]) -> str:
    if row["coverage_80"] is None:
        return "–"
    return f"{row['coverage_80']:.1%}{percent_between(row['coverage_80_day_low'], row['coverage_80_day_high'])}"


def _spent(report: Report) -> Card:
    paid = sum(n for _, n in report.requests)
    if not paid:
        return ("Calls to the provider", "0", f"{report.champion or 'nobody'} answers on this machine, for nothing")
    price = report.price_per_call
    money = "no price_per_call is set" if price is None else f"USD {paid * price:,.2f} at {price:g} a call"
    return ("Calls to the provider", f"{paid:,}", money)


def _gates(report: Report) -> Card:
    now = judged(latest(report.gates))
    passed, unknown = (now["outcome"] == "passed").sum(), (now["outcome"] == "insufficient").sum()
    return ("Criteria passed", f"{passed:,} of {now.height:,}", f"{unknown:,} with too little to judge")

"""The tables of a report's page: which rows and columns of the stored tables a reader is shown.

Belongs here: choosing and naming. How a table looks is html.py.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import polars as pl

from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.backtest.funnel import FATES
from timegpt_assets.core.tables.columns import CONTROL, HOSTED, SOURCE_KEY, WILDCARD
from timegpt_assets.reports import html
from timegpt_assets.reports.figures import (
    Lineage,
    Report,
    champion_first,
    percent_between,
    summary_rows,
)
from timegpt_assets.reports.pictures.gates import judged
from timegpt_assets.reports.pictures.style import ZONE, latest, sources
from timegpt_assets.reports.runs import HEAD, amount, pairs_of, ratio

MOST_TRADES, MOST_CRITERIA = 300, 150
"""Rows shown of a list that grows with the days, and of one gate."""
ON_PAPER = 60
"""Rows of such a list that are printed; page.css hides the others."""
MOST_AT_ONCE = 20
"""Symbols that stand below each other; more are scrolled through."""


def about(report: Report) -> list[tuple[str, str]]:
    """Return what the report is about."""
    names = report.symbols
    some = ", ".join(names[:12]) + (f" and {len(names) - 12:,} more" if len(names) > 12 else "")
    told = [(name, value) for section, name, value in summary_rows(report) if section == "about"]
    return [*told, ("symbols", f"{len(names):,} symbols: {some}" if names else "no symbol")]


def costs(found: pl.DataFrame) -> str:
    """Return the account at each multiple of the costs."""
    columns = ["cost_multiplier", "trades", "observation_days", "gross_pnl", "cost", "net_pnl", "max_drawdown",
               "drawdown_days", "sharpe_daily", "hit_rate", "reject_rate"]  # fmt: skip
    now = latest(found)
    several = [*SOURCE_KEY] if now.select(SOURCE_KEY).n_unique() > 1 else []
    return html.table([*columns, *several], now.sort(*SOURCE_KEY, "cost_multiplier").select(*columns, *several).rows())


def trades(portfolio: pl.DataFrame) -> str:
    """Return the admitted trades, the newest first."""
    own = portfolio.filter("admitted").sort("entry_ts", "symbol", descending=[True, False])
    if own.is_empty():
        return html.said("No trade was admitted in these sessions.")
    clock = "%H:%M"
    shown = own.select(
        "day",
        "symbol",
        pl.when(pl.col("side") > 0).then(pl.lit("long")).otherwise(pl.lit("short")).alias("side"),
        pl.col("entry_ts").dt.convert_time_zone(ZONE).dt.strftime(clock).alias("entry"),
        pl.col("exit_ts").dt.convert_time_zone(ZONE).dt.strftime(clock).alias("exit"),
        pl.col("entry_price").round(2),
        pl.col("exit_price").round(2),
        pl.col("exit_reason").alias("left by"),
        *(pl.col(name).round(0).alias(words) for name, words in _AMOUNTS.items()),
    )
    on_paper = f"On paper the newest {ON_PAPER} are listed." if own.height > ON_PAPER else ""
    listed = html.table(shown.columns, shown.rows(), sortable=True, most=MOST_TRADES)
    return f'<div class="tall">{listed}</div><p class="paper">{on_paper}</p>'


_AMOUNTS = {"gross_pnl": "gross", "cost": "cost", "net_pnl": "net"}


def funnel(counts: pl.DataFrame, champion: str) -> str:
    """Return how many forecasts fell at which rule, a column per forecaster, the rules in the order they are asked."""
    if counts.is_empty():
        return html.said("No forecast of these sessions has come to the rules.")
    total = counts.group_by("forecaster", "fate").agg(pl.col("n").sum())
    names = champion_first(total["forecaster"].unique(), champion)
    of = {(who, fate): n for who, fate, n in total.select("forecaster", "fate", "n").iter_rows()}
    asked = {name: sum(n for (who, _), n in of.items() if who == name) for name in names}
    met = {fate for _, fate in of}
    order = [fate for fate in FATES if fate in met] + sorted(met - FATES.keys())
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("what became of it", *names))
    lines = [_fates("forecasts", [(asked[name], 1.0) for name in names], "asked and calibrated")]
    for fate in order:
        shares = [(of.get((name, fate), 0), of.get((name, fate), 0) / asked[name]) for name in names]
        lines.append(_fates(fate, shares, FATES.get(fate, "")))
    days = counts["day"].n_unique()
    words = html.said(f"Of {sum(asked.values()):,} forecasts on {days:,} sessions; each fell at the first rule it met.")
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'{words}<div class="wide"><table>{body}</table></div>'


def _fates(fate: str, shares: Sequence[tuple[int, float]], meaning: str) -> str:
    cells = "".join(
        f'<td class="number share" style="--of:{share:.1%}">{n:,}{f" <small>{share:.0%}</small>" if n else ""}</td>'
        for n, share in shares
    )
    name = f"<b>{escape(fate.replace('_', ' '))}</b> <small>{escape(meaning)}</small>"
    return f'<tr><th scope="row" class="fate">{name}</th>{cells}</tr>'


def seats(report: Report) -> list[str]:
    """Return every forecaster of the report, the champion first."""
    pairs_, books = latest(report.comparison), latest(report.book_costs).filter(pl.col("book") != LIVE)
    met = {*pairs_["forecaster"], *pairs_["against"], *books["book"], *report.funnel["forecaster"], report.champion}
    return champion_first(met - {""}, report.champion)


def forecasters(report: Report) -> str:
    """Return a row per forecaster: losses against champion and control arm, coverage, money and price."""
    pairs_ = latest(report.comparison).filter(symbol=WILDCARD)
    books = latest(report.book_costs).filter(pl.col("book") != LIVE, cost_multiplier=1.0)
    names = seats(report)
    against = list(dict.fromkeys((report.champion, CONTROL)))
    losses = [f"loss / {who}'s" for who in against]
    head = ["forecaster", "common", *losses, "80 % band", "trades", "net P&L", "Sharpe", "USD a 1,000 forecasts"]
    return html.table(head, [_forecaster(name, pairs_, books, report.champion, against) for name in names])


def _forecaster(
    name: str, pairs_: pl.DataFrame, books: pl.DataFrame, champion: str, against: Sequence[str]
) -> tuple[object, ...]:
    own = pairs_.filter(forecaster=name).sort("n", descending=True)
    met = {who: _first(own.filter(against=who)) for who in against}
    mine = next((row for row in met.values() if row), _first(own))
    money = _first(books.filter(book=name).sort("trades", descending=True))
    covered, price = mine.get("coverage_80"), mine.get("spent_per_thousand")
    return (
        f"{name} (champion)" if name == champion else name,
        mine.get("n"),
        *("1" if name == who else ratio(row, "rpinball") for who, row in met.items()),
        None if covered is None else f"{covered:.1%}",
        money.get("trades"),
        amount(money, "net_pnl"),
        money.get("sharpe_daily"),
        "free" if name != HOSTED else price,
    )


def _first(rows: pl.DataFrame) -> dict[str, Any]:
    return rows.row(0, named=True) if rows.height else {}


def pairs(comparison: pl.DataFrame) -> str:
    """Return the pairs of all symbols pooled; every symbol's stand in the table comparison."""
    return html.table(HEAD, [one.told() for one in pairs_of(comparison)])


def symbols(report: Report) -> str:
    """Return a row per symbol: forecasts, coverage, error, trades and money."""
    money = _by_symbol(latest(report.trading), "trades")
    scores = _by_symbol(latest(report.diagnostics).filter(stage="calibrated"), "n")
    usable = report.quality.group_by("symbol").agg(usable=pl.col("verdict").is_in(["ok", "warned"]).mean())
    good = dict(usable.iter_rows())
    head = ["symbol", "days usable", "forecasts", "in the 80 % band", "error / persistence", "trades", "net P&L",
            "hit rate"]  # fmt: skip
    names = sorted({*report.symbols, *money} - {WILDCARD})
    if not names:
        return html.said("No symbol is in the universe.")
    lines = [_symbol(name, scores.get(name, {}), money.get(name, {}), good.get(name)) for name in names]
    shown = html.table(head, lines, sortable=len(names) > 1)
    return f'<div class="tall">{shown}</div>' if len(names) > MOST_AT_ONCE else shown


def _by_symbol(rows: pl.DataFrame, most: str) -> dict[str, dict[str, Any]]:
    """Return a row per symbol, of several sources the one with most of a column."""
    first = rows.sort(most, "score_source", descending=[True, False]).unique("symbol", keep="first")
    return {row["symbol"]: row for row in first.iter_rows(named=True)}


def _symbol(name: str, scores: dict[str, Any], own: dict[str, Any], usable: float | None) -> tuple[object, ...]:
    covered = scores.get("coverage_80")
    ends = (scores.get("coverage_80_day_low"), scores.get("coverage_80_day_high"))
    return (
        name,
        None if usable is None else f"{usable:.0%}",
        scores.get("n"),
        None if covered is None else f"{covered:.1%}{percent_between(*ends)}",
        ratio(scores, "rmae"),
        own.get("trades"),
        amount(own, "net_pnl"),
        own.get("hit_rate"),
    )


def gates(found: pl.DataFrame) -> str:
    """Return each gate folded: how many criteria it passed, the first that failed, all of them inside."""
    now = judged(latest(found))
    if now.is_empty():
        return html.said("No gate was judged.")
    return "".join(_gate(str(name), own) for (name,), own in sorted(now.partition_by("gate", as_dict=True).items()))


def _gate(name: str, own: pl.DataFrame) -> str:
    """Return one gate, what is not passed first."""
    rank = pl.col("outcome").replace_strict(["failed", "insufficient", "passed"], [0, 1, 2], return_dtype=pl.Int64)
    ranked = own.sort(rank, "criterion", "symbol", *SOURCE_KEY)
    worst = ranked.row(0, named=True)
    passed = (own["outcome"] == "passed").sum()
    whose = "" if worst["symbol"] == WILDCARD else f" of {worst['symbol']}"
    why = "" if worst["outcome"] == "passed" else f"; first {worst['criterion']}{whose}: {worst['reason']}"
    columns = ["outcome", "criterion", "symbol", "value", "threshold", "low", "high", "n", "reason"]
    several = [*SOURCE_KEY] if own.select(SOURCE_KEY).n_unique() > 1 else []
    names = ["verdict" if column == "outcome" else column for column in (*columns, *several)]
    inside = html.table(names, ranked.select(*columns, *several).rows(), most=MOST_CRITERIA)
    whence = "" if several else html.said(f"Rows judged: {sources(own)}.")
    return html.folded(f"{name}: {passed:,} of {own.height:,} passed{why}", inside, whence, tone=worst["outcome"])


def quality(report: Report) -> list[tuple[str, str]]:
    """Return how many symbol days have each verdict."""
    return [(name, value) for section, name, value in summary_rows(report) if section == "data quality"]


def faults(found: pl.DataFrame) -> str:
    """Return the verdicts that are not ok, with their reasons, folded."""
    own = found.filter(pl.col("verdict") != "ok").sort("day", "symbol")
    if own.is_empty():
        return html.said("Every verdict is ok." if found.height else "No verdict is there.")
    columns = ["day", "symbol", "verdict", "completeness", "reason"]
    return html.folded(
        f"{own.height:,} symbol days are not ok", html.table(columns, own.select(columns).rows(), most=MOST_TRADES)
    )


def budget(report: Report) -> list[tuple[str, str]]:
    """Return what the report's forecasts were paid for, and what may be spent."""
    price = report.price_per_call
    paid = [
        (f"requests of {name}", f"{n:,}" + ("" if price is None else f", USD {n * price:,.2f}"))
        for name, n in report.requests
    ]
    return [*(paid or [("requests paid for", "none")]), *report.limits, ("left now", "timegpt-assets budget prints it")]


def settings(report: Report) -> str:
    """Return every setting with where it was said, folded; secrets are redacted by who reads them."""
    if not report.settings:
        return ""
    said = [(row.key, row.value, row.origin) for row in report.settings]
    listed = html.table(["key", "value", "from"], said)
    return html.folded(f"{len(said):,} settings and where each was said", listed, printed=False)


def lineage(entries: Iterable[Lineage]) -> str:
    """Return every lineage id and what it stands for, folded."""
    rows = [
        (e.lineage_id, ", ".join(sorted(e.tables)), "; ".join(f"{k}: {v}" for k, v in sorted(e.stands_for.items())))
        for e in sorted(entries, key=lambda entry: entry.lineage_id)
    ]
    listed = html.table(["lineage_id", "tables", "stands for"], rows, most=200)
    return html.folded(f"{len(rows):,} lineage ids", listed, printed=False)

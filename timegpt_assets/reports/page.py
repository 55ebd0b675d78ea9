"""The report's page: one self-contained HTML file of figures and pictures.

Belongs here: what stands where, and how a table looks. The figures are in report_figures.py, the pictures in pictures/.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from html import escape

import polars as pl

from timegpt_assets.core.tables.columns import SOURCE_KEY, WILDCARD
from timegpt_assets.reports.figures import Lineage, Report, Row, summary_rows
from timegpt_assets.reports.pictures.comparison import books, losses
from timegpt_assets.reports.pictures.coverage import coverage, reliability
from timegpt_assets.reports.pictures.day_bars import day_bars
from timegpt_assets.reports.pictures.drawdown import drawdown
from timegpt_assets.reports.pictures.fan import fan
from timegpt_assets.reports.pictures.gates import judged, lights, strip
from timegpt_assets.reports.pictures.intervals import drift, histogram, widths
from timegpt_assets.reports.pictures.pnl import pnl
from timegpt_assets.reports.pictures.quality import quality
from timegpt_assets.reports.pictures.render import FAILURES, figure
from timegpt_assets.reports.pictures.style import Picture, latest, nothing
from timegpt_assets.reports.pictures.waterfall import waterfall

MOST_ROWS = 500
"""Rows of a table that are shown; all of them are stored."""
_LOG = logging.getLogger(__name__)


def page(report: Report) -> str:
    """Return the report as one HTML file: style, pictures and figures inline, no script, nothing fetched.

    No part of it is worth the run: one that cannot be made is a sentence in its place, a long table is cut and says so.
    """
    rows = summary_rows(report)
    parts = [
        section("What this is", _notice(report), _pairs(rows, "about")),
        section("Headline", _pairs(rows, "headline")),
        section(
            "Data quality",
            figure("verdicts per day and symbol", lambda: quality(report.quality), pixels=True),
            figure("the day with the most filled minutes", lambda: _worst_day(report)),
            _pairs(rows, "data quality"),
            _part("verdicts", lambda: _faults(report)),
        ),
        section("Forecasts", figure("forecast fans", lambda: _fan(report))),
        section(
            "Calibration",
            figure("coverage", lambda: coverage(report.diagnostics)),
            figure("reliability", lambda: reliability(report.reliability)),
            figure("histogram", lambda: histogram(report.reliability)),
            figure("drift", lambda: drift(report.drift)),
            figure("widths", lambda: widths(report.widths)),
        ),
        section(
            "Backtest",
            figure("profit and loss", lambda: pnl(report.portfolio, days=report.days)),
            figure("drawdown", lambda: drawdown(report.portfolio, days=report.days)),
            figure("from gross to net", lambda: waterfall(report.portfolio)),
            _part("costs", lambda: _cost_table(report.costs)),
        ),
        section(
            "Comparison",
            figure("losses compared", lambda: losses(report.comparison, champion=report.champion)),
            figure("books compared", lambda: books(report.books, days=report.days)),
            _part("comparison", lambda: _comparison_table(report.comparison)),
        ),
        section(
            "Gates",
            figure("gate verdicts", lambda: strip(report.gates)),
            figure("gates over time", lambda: lights(report.gate_history)),
            _part("gates", lambda: _gate_table(report.gates)),
        ),
        section("Lineage", _part("lineage", lambda: _lineage_table(report.lineage))),
    ]
    return document(f"timegpt_assets, {report.month}, {report.profile}", parts)


def document(words: str, parts: Sequence[str]) -> str:
    """Return the whole file under a title."""
    title = escape(words)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_CSS}</style>'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body><h1>{title}</h1>\n{"".join(parts)}</body></html>\n'
    )


def _part(words: str, make: Callable[[], str]) -> str:
    """Return the part, or why it is not there, in words."""
    try:
        return make()
    except FAILURES as error:
        _LOG.warning("%s: this part of the report could not be made", words, exc_info=True)
        told = f"{words}: this part could not be made ({type(error).__name__}). Its rows are stored all the same."
        return f'<p class="notice">{escape(told)}</p>'


def _fan(report: Report) -> Picture:
    """Return the fans of the day asked for, or of the last one with forecasts."""
    last = report.forecasts["day"].max() if report.forecasts.height else None
    day = report.fan_day or (last if isinstance(last, date) else date.fromisoformat(f"{report.month}-01"))
    return fan(report.forecasts, report.bars, report.portfolio, day=day)


def _worst_day(report: Report) -> Picture:
    """Return the chart of the usable day with the most filled minutes, of equal ones the last; blamed rows in it."""
    drawn = report.bars.select("day", "symbol").unique()
    own = report.quality.join(drawn, on=["day", "symbol"], how="semi").sort("filled", "day", "symbol")
    if own.is_empty():
        return nothing("The day with the most filled minutes")
    worst = own.row(-1, named=True)
    about = {"verdict": worst["verdict"], "offending": worst["offending"]}
    return day_bars(report.bars, day=worst["day"], symbol=worst["symbol"], **about)


def _notice(report: Report) -> str:
    if report.planted_predictability is None:
        return ""
    words = (
        "The bars are synthetic: neighbouring 15-minute returns were planted with a correlation of "
        f"{report.planted_predictability:g}. Scores and P&L say whether the machinery works, nothing about any market."
    )
    return f'<p class="notice">{escape(words)}</p>'


def _faults(report: Report) -> str:
    """Return the verdicts that are not ok, with their reasons."""
    faults = report.quality.filter(pl.col("verdict") != "ok").sort("day", "symbol")
    columns = ["day", "symbol", "verdict", "completeness", "reason"]
    return table(columns, faults.select(columns).rows()) if faults.height else "<p>Every verdict is ok.</p>"


def _cost_table(costs: pl.DataFrame) -> str:
    columns = ["cost_multiplier", "trades", "observation_days", "gross_pnl", "cost", "net_pnl", "max_drawdown",
               "sharpe_daily", "hit_rate", "reject_rate", *SOURCE_KEY]  # fmt: skip
    return table(columns, latest(costs).sort("score_source", "cost_multiplier").select(columns).rows())


def _gate_table(gates: pl.DataFrame) -> str:
    columns = ["gate", "symbol", "criterion", "value", "threshold", "low", "high", "n", "outcome", "reason",
               *SOURCE_KEY]  # fmt: skip
    now = judged(latest(gates)).sort("gate", "criterion", "symbol", *SOURCE_KEY)
    return table(["verdict" if c == "outcome" else c for c in columns], now.select(columns).rows())


def _comparison_table(comparison: pl.DataFrame) -> str:
    """Return the pairs of all symbols pooled; every symbol's stand in the table comparison."""
    columns = ["forecaster", "against", "n", "not_common", "rpinball", "rpinball_low", "rpinball_high",
               "rpinball_p_holm", "rmae", "coverage_50", "coverage_80", "coverage_95", "pnl_difference",
               "pnl_difference_low", "pnl_difference_high", "spent", "spent_per_thousand", "spent_per_bp",
               *SOURCE_KEY]  # fmt: skip
    now = latest(comparison).filter(symbol=WILDCARD).sort("against", "rpinball", "forecaster")
    return table(columns, now.select(columns).rows())


def _lineage_table(entries: Sequence[Lineage]) -> str:
    rows = [
        (e.lineage_id, ", ".join(sorted(e.tables)), "; ".join(f"{k}: {v}" for k, v in sorted(e.stands_for.items())))
        for e in sorted(entries, key=lambda entry: entry.lineage_id)
    ]
    return table(["lineage_id", "tables", "stands for"], rows)


def section(title: str, *parts: str) -> str:
    """Return the parts under a heading."""
    return f"<section><h2>{escape(title)}</h2>\n{''.join(parts)}</section>\n"


def _pairs(rows: Iterable[Row], section: str) -> str:
    chosen = [(name, value) for of, name, value in rows if of == section]
    lines = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in chosen)
    return f'<table class="pairs">{"".join(lines)}</table>'


def table(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> str:
    """Return the rows as a table, every value as text and never as markup; the first MOST_ROWS of them."""
    if not rows:
        return "<p>no rows</p>"
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in columns)
    lines = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows[:MOST_ROWS])
    cut = f"<p>The first {MOST_ROWS:,} of {len(rows):,} rows.</p>" if len(rows) > MOST_ROWS else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>{cut}'


def _cell(value: object) -> str:
    if value is None:
        return "<td>–</td>"
    if isinstance(value, float):
        return f'<td class="number">{value:,.4g}</td>' if abs(value) < 1000 else f'<td class="number">{value:,.0f}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    # tickers and reasons come from files: text, never markup
    words = escape(str(value))
    known = words if words in ("passed", "failed", "insufficient") else ""
    return f'<td class="{known}">{words}</td>' if known else f"<td>{words}</td>"


_CSS = """
body{margin:2rem auto;max-width:60rem;padding:0 1.5rem;color:#1f2933;background:#fff;
font:15px/1.5 "Liberation Sans",Arial,Helvetica,sans-serif}
h1{font-size:1.5rem;margin:0 0 1rem}h2{font-size:1.15rem;margin:2.4rem 0 .8rem;border-bottom:1px solid #e4e7eb}
figure{margin:1rem 0}figure svg{max-width:100%;height:auto}figure img{max-width:640px;width:100%}
table{border-collapse:collapse;font-size:13px;margin:.6rem 0}.wide{overflow-x:auto}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #eef0f2;vertical-align:top}
thead th{color:#616e7c;font-weight:normal}.pairs th{font-weight:normal;color:#616e7c;min-width:14rem}
td.number{text-align:right;font-variant-numeric:tabular-nums}
td.passed{color:#00598c;font-weight:600}td.failed{color:#b34700;font-weight:600}td.insufficient{color:#616e7c}
.notice{background:#fdf3dc;border-left:4px solid #e69f00;padding:.7rem 1rem;margin:0 0 1rem}
""".strip()

"""The report: its figures as rows, and one self-contained HTML page of them with the pictures.

Belongs here: words, figures and their order. The pictures themselves are in pictures/, the numbers are made in core/.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from html import escape
from typing import Any

import polars as pl

from timegpt_assets.core.tables.columns import BANDS
from timegpt_assets.core.tables.evaluation import COVERAGE_DRIFT, INTERVAL_WIDTHS
from timegpt_assets.pictures.coverage import coverage, reliability
from timegpt_assets.pictures.day_bars import day_bars
from timegpt_assets.pictures.fan import fan
from timegpt_assets.pictures.gates import judged, strip
from timegpt_assets.pictures.intervals import drift, histogram, widths
from timegpt_assets.pictures.pnl import dollars, pnl
from timegpt_assets.pictures.quality import quality
from timegpt_assets.pictures.render import data_uri, svg
from timegpt_assets.pictures.style import Picture, by_source, latest, nothing, sources

Row = tuple[str, str, str]
"""Section, name and value as printed: a row of the report table and of the command line's summary."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """One lineage id, the tables stamped with it, and what it stands for (config digest, code version, ...)."""

    lineage_id: str
    tables: Sequence[str]
    stands_for: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report is about: frames as declared in core/tables/, of the report's period, each possibly empty.

    ``planted_predictability`` is null for real bars, else the correlation of neighbouring 15-minute returns that the
    synthetic market plants.
    Forecasts, bars and trades of ``fan_day`` are drawn; it defaults to the last day that has forecasts.
    """

    month: str
    profile: str
    days: Sequence[date]
    symbols: Sequence[str]
    data_source: str
    planted_predictability: float | None
    quality: pl.DataFrame
    forecasts: pl.DataFrame
    bars: pl.DataFrame
    diagnostics: pl.DataFrame
    reliability: pl.DataFrame
    portfolio: pl.DataFrame
    costs: pl.DataFrame
    gates: pl.DataFrame
    drift: pl.DataFrame = field(default_factory=COVERAGE_DRIFT.empty)
    widths: pl.DataFrame = field(default_factory=INTERVAL_WIDTHS.empty)
    lineage: Sequence[Lineage] = field(default_factory=tuple)
    fan_day: date | None = None


def summary_rows(report: Report) -> list[Row]:
    """Return the report's figures as (section, name, value), in reading order; a name is unique in its section."""
    return [*_about(report), *_headline(report), *_data_quality(report), *_gate_counts(report)]


def page(report: Report) -> str:
    """Return the report as one HTML file: style, pictures and figures inline, no script, nothing fetched."""
    rows = summary_rows(report)
    parts = [
        _section("What this is", _notice(report), _pairs(rows, "about")),
        _section("Headline", _pairs(rows, "headline")),
        _section(
            "Data quality",
            _png(quality(report.quality)),
            _svg(_worst_day(report)),
            _pairs(rows, "data quality"),
            _faults(report),
        ),
        _section("Forecasts", _svg(_fan(report))),
        _section(
            "Calibration",
            _svg(coverage(report.diagnostics)),
            _svg(reliability(report.reliability)),
            _svg(histogram(report.reliability)),
            _svg(drift(report.drift)),
            _svg(widths(report.widths)),
        ),
        _section("Backtest", _svg(pnl(report.portfolio, days=report.days)), _cost_table(report.costs)),
        _section("Gates", _svg(strip(report.gates)), _gate_table(report.gates)),
        _section("Lineage", _lineage_table(report.lineage)),
    ]
    title = escape(f"timegpt_assets, {report.month}, {report.profile}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_CSS}</style>'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body><h1>{title}</h1>\n{"".join(parts)}</body></html>\n'
    )


def _about(report: Report) -> list[Row]:
    period = f"{min(report.days)} to {max(report.days)}" if report.days else "no session"
    planted = report.planted_predictability
    frames = [f for f in (report.forecasts, report.diagnostics, report.portfolio) if f.height]
    triples = sorted({name for f in frames for name, _ in by_source(f)})
    return [
        ("about", "month", report.month),
        ("about", "profile", report.profile),
        ("about", "period", period),
        ("about", "bars", report.data_source),
        ("about", "planted predictability", "none: real bars" if planted is None else f"correlation {planted:g}"),
        ("about", "sources of the numbers", "; ".join(triples) or "no rows"),
    ]


def _headline(report: Report) -> list[Row]:
    rows = [
        ("headline", "symbols", f"{len(report.symbols)}: {', '.join(report.symbols)}"),
        ("headline", "days", f"{len(report.days):,}"),
        ("headline", "forecasts", f"{report.forecasts.height:,}"),
    ]
    figures = [*_forecast_figures(report.diagnostics), *_cost_figures(report.costs)]
    return rows + [("headline", name, value) for name, value in figures]


def _forecast_figures(diagnostics: pl.DataFrame) -> Iterable[tuple[str, str]]:
    """Yield the last month's figures of all symbols pooled, each with its 95 % interval over whole days."""
    pooled = latest(diagnostics.filter(pl.col("symbol") == "*"))
    for source, part in by_source(pooled):
        suffix = _suffix(source, pooled)
        stages = {row["stage"]: row for row in part.iter_rows(named=True)}
        final = stages.get("calibrated", stages.get("raw"))
        if final is not None:
            yield f"forecasts scored{suffix}", f"{final['n']:,}"
            yield f"calibrated share{suffix}", _percent(final["calibrated_share"])
        for level in BANDS:
            values = [_covered(stages.get(stage, {}), level) for stage in ("raw", "calibrated")]
            yield f"coverage of the {level} % band{suffix}", f"raw {values[0]}, calibrated {values[1]}"
        if final is not None:
            for words, column in _AGAINST.items():
                yield f"{words}{suffix}", _against(final, column)


_AGAINST = {
    "error against persistence": "rmae",
    "error against a zero return": "rmae_zero",
    "error against climatology": "rmae_climatology",
    "pinball loss against climatology": "rpinball_climatology",
    "pinball loss against uncalibrated": "rpinball_raw",
}
"""Words for a ratio of losses, below 1 is better -> its column. A zero return alone scores 0.71 against persistence."""


def _covered(row: Mapping[str, Any], level: int) -> str:
    name = f"coverage_{level}"
    low, high = row.get(f"{name}_day_low"), row.get(f"{name}_day_high")
    return _percent(row.get(name)) + ("" if low is None or high is None else f" [{low:.1%}, {high:.1%}]")


def _against(row: Mapping[str, Any], name: str) -> str:
    """Return a ratio of losses with its interval, the one-sided p of being below 1, and the forecasts behind it."""
    value, low, high, p, n = (row[f"{name}{end}"] for end in ("", "_low", "_high", "_p", "_n"))
    if value is None:
        return "–"
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{interval}" + ("" if p is None else f", {_likelihood(p)}") + f", n {n:,}"


def _likelihood(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p {p:.2g}"


def _cost_figures(costs: pl.DataFrame) -> Iterable[tuple[str, str]]:
    """Yield admitted trades and net P&L per cost multiplier of the last month."""
    now = latest(costs)
    for source, part in by_source(now):
        suffix = _suffix(source, now)
        ordered = part.sort("cost_multiplier").rows(named=True)
        yield f"trades{suffix}", f"{ordered[0]['trades']:,} over {ordered[0]['observation_days']:,} sessions"
        for row in ordered:
            yield f"P&L at {row['cost_multiplier']:g}x costs{suffix}", dollars(row["net_pnl"])


def _suffix(source: str, rows: pl.DataFrame) -> str:
    """Return the source's name where the rows have several, so that names stay unique."""
    return f" ({source})" if ";" in sources(rows) else ""


def _data_quality(report: Report) -> list[Row]:
    counts = report.quality.group_by("verdict").len().sort("verdict")
    rows = [("data quality", verdict, f"{n:,} of {report.quality.height:,}") for verdict, n in counts.iter_rows()]
    if not rows:
        return [("data quality", "verdicts", "no rows")]
    return [*rows, ("data quality", "mean completeness", f"{report.quality['completeness'].mean():.2%}")]


def _gate_counts(report: Report) -> list[Row]:
    now = judged(latest(report.gates))
    counts = now.group_by("gate").agg(
        *((pl.col("outcome") == name).sum().alias(name) for name in ("passed", "failed", "insufficient"))
    )
    words = "{passed} passed, {failed} failed, {insufficient} with too little to judge"
    rows = [("gates", row["gate"], words.format(**row)) for row in counts.sort("gate").iter_rows(named=True)]
    return rows or [("gates", "verdicts", "no rows")]


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
    return _table(columns, faults.select(columns).rows()) if faults.height else "<p>Every verdict is ok.</p>"


def _cost_table(costs: pl.DataFrame) -> str:
    columns = ["cost_multiplier", "trades", "observation_days", "gross_pnl", "cost", "net_pnl", "max_drawdown",
               "sharpe_daily", "hit_rate", "reject_rate", "score_source", "run_source", "data_regime"]  # fmt: skip
    return _table(columns, latest(costs).sort("score_source", "cost_multiplier").select(columns).rows())


def _gate_table(gates: pl.DataFrame) -> str:
    columns = ["gate", "symbol", "criterion", "value", "threshold", "low", "high", "n", "outcome", "reason",
               "score_source", "run_source", "data_regime"]  # fmt: skip
    now = judged(latest(gates)).sort("gate", "criterion", "symbol", "score_source", "run_source", "data_regime")
    return _table(["verdict" if c == "outcome" else c for c in columns], now.select(columns).rows())


def _lineage_table(entries: Sequence[Lineage]) -> str:
    rows = [
        (e.lineage_id, ", ".join(sorted(e.tables)), "; ".join(f"{k}: {v}" for k, v in sorted(e.stands_for.items())))
        for e in sorted(entries, key=lambda entry: entry.lineage_id)
    ]
    return _table(["lineage_id", "tables", "stands for"], rows)


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{''.join(parts)}</section>\n"


def _pairs(rows: Iterable[Row], section: str) -> str:
    chosen = [(name, value) for of, name, value in rows if of == section]
    lines = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in chosen)
    return f'<table class="pairs">{"".join(lines)}</table>'


def _table(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> str:
    if not rows:
        return "<p>no rows</p>"
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in columns)
    lines = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cell(value: object) -> str:
    if value is None:
        return "<td>–</td>"
    if isinstance(value, float):
        return f'<td class="number">{value:,.4g}</td>' if abs(value) < 1000 else f'<td class="number">{value:,.0f}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    words = escape(str(value))
    known = words if words in ("passed", "failed", "insufficient") else ""
    return f'<td class="{known}">{words}</td>' if known else f"<td>{words}</td>"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _svg(picture: Picture) -> str:
    """Return the picture as inline SVG; in HTML its name space declarations are not needed."""
    plain = svg(picture)
    for name_space in (' xmlns="http://www.w3.org/2000/svg"', ' xmlns:xlink="http://www.w3.org/1999/xlink"'):
        plain = plain.replace(name_space, "", 1)
    return f"<figure>{plain}</figure>"


def _png(picture: Picture) -> str:
    """Return the picture as an image of twice the resolution: the heat map's cells would make a large SVG."""
    return f'<figure><img alt="verdicts per day and symbol" src="{data_uri(picture, scale=2.0)}"></figure>'


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

"""The report's figures as rows, for its page, its table and the command line.

Belongs here: words, figures and their order. The numbers themselves are made in core/.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.tables.backtest import FUNNEL, PORTFOLIO
from timegpt_assets.core.tables.columns import BANDS, REFERENCES, SOURCE_KEY, WILDCARD
from timegpt_assets.core.tables.evaluation import (
    COMPARISON,
    COST_SENSITIVITY,
    COVERAGE_DRIFT,
    INTERVAL_WIDTHS,
    TRADING_SCORES,
)
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets.reports import ladder, news
from timegpt_assets.reports.ladder import Ladder
from timegpt_assets.reports.news import News
from timegpt_assets.reports.pictures.gates import judged
from timegpt_assets.reports.pictures.pnl import dollars
from timegpt_assets.reports.pictures.style import by_source, latest, sources

Row = tuple[str, str, str]
"""Section, name and value as printed: a row of the report table and of the command line's summary."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """One lineage id, the tables stamped with it, and what it stands for (config digest, code version, ...)."""

    lineage_id: str
    tables: Sequence[str]
    stands_for: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The fewest observations a verdict asks for: sessions, and forecasts of each symbol."""

    sessions: int = 60
    forecasts: int = 1000


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting as it is shown: secrets are redacted, ``origin`` says where it was said."""

    key: str
    value: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report is about: frames as declared in core/tables/, of the report's period, each possibly empty.

    ``planted_predictability`` is null for real bars, else the correlation of neighbouring 15-minute returns that the
    synthetic market plants.
    All but ``comparison``, ``books``, ``book_costs`` and ``funnel`` is the champion's alone.
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
    champion: str = ""
    comparison: pl.DataFrame = field(default_factory=COMPARISON.empty)
    books: pl.DataFrame = field(default_factory=PORTFOLIO.empty)
    book_costs: pl.DataFrame = field(default_factory=COST_SENSITIVITY.empty)
    funnel: pl.DataFrame = field(default_factory=FUNNEL.empty)
    trading: pl.DataFrame = field(default_factory=TRADING_SCORES.empty)
    """TRADING_SCORES of the book live, by symbol."""
    gate_history: pl.DataFrame = field(default_factory=GATES.empty)
    """The gates of this month and of those before it."""
    lineage: Sequence[Lineage] = field(default_factory=tuple)
    fan_day: date | None = None
    asked: Asked = Asked()
    requests: Sequence[tuple[str, int]] = ()
    """Forecaster and requests that were paid for behind the period's forecasts."""
    price_per_call: float | None = None
    limits: Sequence[tuple[str, str]] = ()
    """What may be spent, in words."""
    settings: Sequence[Setting] = ()
    ladder: Ladder = field(default_factory=Ladder)
    """Falsy where no rung of the model ladder is seated: nothing is said of it then."""
    news: News = field(default_factory=News)
    """Falsy where no source of news is listed and nothing was measured: nothing is said of it then."""


def summary_rows(report: Report) -> list[Row]:
    """Return the report's figures as (section, name, value), in reading order; a name is unique in its section."""
    of_ladder = [("ladder", name, value) for name, value in ladder.figures(report.ladder)]
    of_news = [("news", name, value) for name, value in news.figures(report.news)]
    return [*_about(report), *_headline(report), *_data_quality(report), *_gate_counts(report), *of_ladder, *of_news]


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
    figures = [*_forecast_figures(report.diagnostics), *_reference_figures(report), *_cost_figures(report.costs)]
    return rows + [("headline", name, value) for name, value in figures]


def _forecast_figures(diagnostics: pl.DataFrame) -> Iterable[tuple[str, str]]:
    """Yield the last month's figures of all symbols pooled, each with its 95 % interval over whole days."""
    pooled = latest(diagnostics.filter(pl.col("symbol") == WILDCARD))
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
                yield f"{words}{suffix}", _against(final, column, final[f"{column}_n"])


_AGAINST = {
    "error against persistence": "rmae",
    "error against a zero return": "rmae_zero_return",
    "pinball loss against uncalibrated": "rpinball_raw",
}
"""Words for a ratio of losses, below 1 is better -> its column. A zero return alone scores 0.71 against persistence."""


def _reference_figures(report: Report) -> Iterable[tuple[str, str]]:
    """Yield the last month's ratios of the champion's losses and each reference's, of all symbols pooled."""
    own = latest(report.comparison.filter(symbol=WILDCARD, forecaster=report.champion))
    for reference in REFERENCES:
        pairs = own.filter(against=reference).sort(*SOURCE_KEY, "against_sources")
        for row in pairs.iter_rows(named=True):
            named = " / ".join(row[name] for name in (*SOURCE_KEY, "against_sources"))
            suffix = f" ({named})" if pairs.height > 1 else ""
            yield f"error against {reference}{suffix}", _against(row, "rmae", row["n"])
            yield f"pinball loss against {reference}{suffix}", _against(row, "rpinball", row["n"])


def _covered(row: Mapping[str, Any], level: int) -> str:
    name = f"coverage_{level}"
    low, high = row.get(f"{name}_day_low"), row.get(f"{name}_day_high")
    return _percent(row.get(name)) + percent_between(low, high)


def _against(row: Mapping[str, Any], name: str, n: int) -> str:
    """Return a ratio of losses with its interval, the one-sided p of being below 1, and the forecasts behind it."""
    value, low, high, p = (row[f"{name}{end}"] for end in ("", "_low", "_high", "_p"))
    if value is None:
        return "–"
    return f"{value:.3f}{ratio_between(low, high)}" + ("" if p is None else f", {_likelihood(p)}") + f", n {n:,}"


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
    completeness = report.quality.select(pl.col("completeness").mean()).item()
    return [*rows, ("data quality", "mean completeness", f"{completeness:.2%}")]


def _gate_counts(report: Report) -> list[Row]:
    now = judged(latest(report.gates))
    counts = now.group_by("gate").agg(
        *((pl.col("outcome") == name).sum().alias(name) for name in ("passed", "failed", "insufficient"))
    )
    words = "{passed} passed, {failed} failed, {insufficient} with too little to judge"
    rows = [("gates", row["gate"], words.format(**row)) for row in counts.sort("gate").iter_rows(named=True)]
    return rows or [("gates", "verdicts", "no rows")]


def champion_first(names: Iterable[str], champion: str) -> list[str]:
    """Return forecasters in the order of every table and picture: the champion, then the others by name."""
    return sorted(names, key=lambda name: (name != champion, name))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def percent_between(low: float | None, high: float | None) -> str:
    """Return an interval of shares, nothing where there is none."""
    return "" if low is None or high is None else f" [{low:.1%}, {high:.1%}]"


def ratio_between(low: float | None, high: float | None) -> str:
    """Return an interval of ratios, nothing where there is none."""
    return "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"


def dollars_between(low: float | None, high: float | None) -> str:
    """Return an interval of USD, nothing where there is none."""
    return "" if low is None or high is None else f" [{dollars(low)}, {dollars(high)}]"

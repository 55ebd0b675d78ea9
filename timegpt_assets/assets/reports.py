"""Reports: per month a page with its pictures, the same in Markdown, how robust it is, and the figures as rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.models.publishing import Publisher
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, Partitions
from timegpt_assets.adapters.storage.rollout_record import RolloutRecord
from timegpt_assets.assets import previews
from timegpt_assets.assets.declare import Span, declared, judged_months, stored_in, trailing
from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.bars.content import data_version
from timegpt_assets.core.models.importance import moved_most
from timegpt_assets.core.tables.columns import HOSTED
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.core.tables.models import ATTRIBUTION
from timegpt_assets.core.tables.news import INFORMATION_VALUE, SOURCE_HEALTH
from timegpt_assets.core.tables.reports import REPORT
from timegpt_assets.core.tables.research import TRADING_GRID
from timegpt_assets.partitions import GraphContext, month_window
from timegpt_assets.resources import ApiBudget, AppliedSettings

if TYPE_CHECKING:
    from timegpt_assets.reports.figures import Lineage, Report
    from timegpt_assets.reports.ladder import Ladder
    from timegpt_assets.reports.news import News

MONTHLY = (
    "forecast_diagnostics",
    "pit_reliability",
    "coverage_drift",
    "interval_widths",
    "cost_sensitivity",
    "trading_scores",
    "comparison",
)
OF_LADDER = ("model_report", "feature_drift")
"""What is told of the model ladder where a rung of it is seated."""
MONTHS_SHOWN = 12
"""Months of the gates that a page shows beside each other."""
BOARD = "eval/grid/scoreboard.csv"
"""Where the scoreboard of the last forecast grid lies, below data.artifacts_root."""


def report(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's report."""
    ins = {name: stored_in("evaluation", name=name) for name in MONTHLY}
    ins |= {name: stored_in("gates", month_window(MONTHS_SHOWN - 1), name=name, missing="ok") for name in VERDICTS}
    ladder, listed = graph.settings.forecast.ladder, bool(graph.settings.news.sources)
    ins |= {"source_health": trailing(graph, "news", "source_health")} if listed else {}
    ins |= {name: stored_in("models", name=name) for name in OF_LADDER if ladder}
    ins |= {
        "day_scores": trailing(graph, "evaluation", "day_scores"),
        "portfolio": trailing(graph, "backtest", "portfolio"),
        "funnel": trailing(graph, "backtest", "funnel"),
        "quality_report": trailing(graph, "bars", "quality_report"),
        "panel": stored_in("features", month_window(0), name="panel", missing="ok", columns=previews.PATH),
    }

    @declared(
        REPORT,
        group="reports",
        partitions=graph.grid.month,
        settings=(
            "data.source",
            "data.synthetic.predictability",
            "gates.lookback_sessions",
            "gates.min_forecasts",
            "gates.min_observation_days",
            "forecast.backend",
            "universe.tickers",
        ),
        ins=ins,
    )
    def report(
        context: dg.AssetExecutionContext,
        artifacts: dg.ResourceParam[ObjectStore],
        lineage_book: dg.ResourceParam[LineageStore],
        settings: dg.ResourceParam[AppliedSettings],
        api_budget: dg.ResourceParam[ApiBudget],
        stored_tables: dg.ResourceParam[ParquetStore],
        publisher: dg.ResourceParam[Publisher],
        rollouts: dg.ResourceParam[RolloutRecord],
        day_scores: Partitions,
        portfolio: Partitions,
        **frames: Any,
    ) -> pl.DataFrame:
        """One page per month: what to make of it, money, trades and why there are none, calibration, gates, lineage."""
        read = frames | {"day_scores": day_scores.frame, "portfolio": portfolio.frame}
        beside = surroundings(lineage_book, settings, api_budget)

        def published(span: Span) -> pl.DataFrame:
            rungs = of_ladder(span, read, ladder, publisher, rollouts)
            if ladder:
                rungs = replace(rungs, importance=_importance(stored_tables, span))
            news = of_news(graph.settings, span, read, stored_tables)
            found = reported(graph.settings, span, read, beside | {"ladder": rungs, "news": news})
            grid = partial(_grid, stored_tables, span.month)
            return _published(artifacts, found, span, storage=settings.storage, grid=grid)

        return judged_months(context, REPORT, portfolio, published)

    return report


def of_ladder(
    span: Span, read: Mapping[str, Any], rungs: Sequence[str], publisher: Publisher, rollouts: RolloutRecord
) -> "Ladder":
    """Return what a month's page tells of the model ladder: how rungs did, what they took, who was rolled out."""
    from timegpt_assets.reports.ladder import Ladder, Phase, Timing

    recorded = rollouts.recorded().filter(pl.col("time").dt.date() <= span.as_of)
    phases = recorded.select("time", "forecaster", "phase", "share", "why", "who").iter_rows(named=True)
    tables = {
        name: span.of(read[table]) for name, table in (("report", OF_LADDER[0]), ("drift", OF_LADDER[1])) if rungs
    }
    return Ladder(
        timings=[Timing(forecaster=word, training_s=publisher.took(word, span.month)) for word in rungs],
        rollout=[Phase(**phase) for phase in phases],
        **tables,
    )


def of_news(settings: Settings, span: Span, read: Mapping[str, Any], tables: ParquetStore) -> "News":
    """Return what a month's page tells of the news: how its sources answered, and what it was worth where measured.

    The worth is no input: it is measured on request, and a report measures nothing.
    """
    from timegpt_assets.reports.news import News

    months = [calendar.months_later(date.fromisoformat(f"{span.month}-01"), -n) for n in range(MONTHS_SHOWN)]
    keys = [f"{month:%Y-%m}" for month in sorted(months)]
    days = span.sessions[-settings.gates.lookback_sessions :]
    health = read.get("source_health", SOURCE_HEALTH.empty())
    return News(
        health=health.filter(pl.col("day").is_in(days)),
        values=tables.read("news/information_value", keys, missing="ok", empty=INFORMATION_VALUE.empty()),
        switched_on="news" in settings.features.groups,
        **(settings.news.goals.model_dump() if settings.news.sources else {}),
    )


def _importance(tables: ParquetStore, span: Span) -> pl.DataFrame:
    """Return what moved the month's forecasts, as far as they were explained. Not an input: a report explains none."""
    days = [str(day) for day in span.sessions if f"{day:%Y-%m}" == span.month]
    told = tables.read("models/attribution", days, missing="ok", empty=ATTRIBUTION.empty())
    return moved_most(told)


def surroundings(book: LineageStore, settings: AppliedSettings, budget: ApiBudget) -> dict[str, Any]:
    """Return what a report says beside its tables: lineage, settings and budget, as fields of Report."""
    from timegpt_assets.reports.figures import Setting

    per_month = "no limit" if budget.per_month is None else f"{budget.per_month:,} calls"
    limits = {"limit of a run": f"{budget.per_run:,} calls", "limit of a day": f"{budget.per_day:,} calls"}
    return {
        "lineage": lineage_entries(book),
        "settings": [Setting(key=row.key, value=str(row.value), origin=row.origin) for row in settings.every],
        "price_per_call": budget.price_per_call,
        "limits": [*limits.items(), ("limit of a month", per_month)],
    }


def reported(settings: Settings, span: Span, frames: Mapping[str, pl.DataFrame], beside: Mapping[str, Any]) -> "Report":
    """Return what the page of one month is about: the sessions the month's gates look back on."""
    from timegpt_assets.reports.figures import Asked, Report

    # the sessions that the gates judge, so that page and verdict are about the same days
    days = span.sessions[-settings.gates.lookback_sessions :]
    # one page is about what is traded; how the others do beside it is said by comparison, books and funnel
    champion, everybodys = settings.forecast.champion, frames
    frames = {name: _of(frame, champion) for name, frame in frames.items()}
    gates = pl.concat([frames[name] for name in VERDICTS])
    within = pl.col("day").is_in(days)
    recent = {name: frame.filter(within) for name, frame in frames.items() if "day" in frame.columns}
    synthetic, data = settings.data.source == "synthetic", data_version(recent["quality_report"])
    lineage = [replace(one, stands_for={**one.stands_for, "data_version": data}) for one in beside["lineage"]]
    return Report(
        month=span.month,
        profile=settings.profile,
        days=days,
        symbols=settings.universe.tickers,
        data_source=settings.data.source,
        planted_predictability=settings.data.synthetic.predictability if synthetic else None,
        quality=recent["quality_report"],
        forecasts=recent["day_scores"],
        bars=previews.price_path(recent["panel"]),
        diagnostics=span.of(frames["forecast_diagnostics"]),
        reliability=span.of(frames["pit_reliability"]),
        drift=span.of(frames["coverage_drift"]),
        widths=span.of(frames["interval_widths"]),
        portfolio=recent["portfolio"],
        costs=span.of(frames["cost_sensitivity"]),
        trading=span.of(frames["trading_scores"]),
        champion=champion,
        comparison=span.of(everybodys["comparison"]),
        books=everybodys["portfolio"].filter(within, pl.col("book") != LIVE),
        book_costs=span.of(everybodys["cost_sensitivity"]),
        funnel=everybodys["funnel"].filter(within),
        gates=span.of(gates),
        gate_history=gates.filter(pl.col("month") <= span.month),
        asked=Asked(sessions=settings.gates.min_observation_days, forecasts=settings.gates.min_forecasts),
        requests=_paid(recent["day_scores"]),
        **{**beside, "lineage": lineage},
    )


def _of(frame: pl.DataFrame, champion: str) -> pl.DataFrame:
    """Return the champion's rows of a table that has a row for each forecaster, the book live's where it has books."""
    if "book" in frame.columns:
        return frame.filter(book=LIVE)
    return frame.filter(forecaster=champion) if "forecaster" in frame.columns else frame


def _paid(scores: pl.DataFrame) -> list[tuple[str, int]]:
    """Return the requests behind the hosted forecaster's scores; who answers on this machine is paid nothing."""
    hosted = scores.filter(forecaster=HOSTED)["request_hash"].drop_nulls().n_unique()
    return [(HOSTED, hosted)] if hosted else []


def lineage_entries(book: LineageStore) -> "list[Lineage]":
    """Return every lineage id of the storage root with what it stands for."""
    from timegpt_assets.reports.figures import Lineage

    return [
        Lineage(lineage_id=key, tables=[record.asset], stands_for=record.contract())
        for key, record in book.records().items()
    ]


def folder(profile: str, month: str) -> str:
    """Return where a month's report lies, below data.artifacts_root."""
    return f"reports/{profile}/{month}"


def _published(
    artifacts: ObjectStore, found: "Report", span: Span, *, storage: str, grid: Callable[[], pl.DataFrame]
) -> pl.DataFrame:
    """Write the page, its Markdown and its settings, and return its figures as REPORT rows."""
    from timegpt_assets.reports.figures import summary_rows
    from timegpt_assets.reports.markdown import report_text, robustness_text
    from timegpt_assets.reports.page import page
    from timegpt_assets.reports.runs import SETTINGS, settings_file

    where = folder(found.profile, span.month)
    files = {
        "report.html": page(found).encode(),
        f"{REPORT.name}.md": report_text(found).encode(),
        "robustness_report.md": robustness_text(found, grid=grid, board=lambda: _board(artifacts)).encode(),
        SETTINGS: settings_file(found, storage=storage),
    }
    for name, data in files.items():
        _put(artifacts, f"{where}/{name}", data)
    rows = [
        {"position": position, "section": section, "name": name, "value": value}
        for position, (section, name, value) in enumerate(summary_rows(found))
    ]
    about = {"month": span.month, "as_of": span.as_of, "path": f"{where}/report.html"}
    return pl.DataFrame([about | row for row in rows], schema=REPORT.schema)


def _put(artifacts: ObjectStore, name: str, data: bytes) -> None:
    artifacts.update(name, lambda _: data)


def _grid(tables: ParquetStore, month: str) -> pl.DataFrame:
    """Return the month's trading grid; empty where no sweep was made. Not an input: a report asks for no sweep."""
    return tables.read("research/trading_grid", [month], missing="ok", empty=TRADING_GRID.empty())


def _board(artifacts: ObjectStore) -> pl.DataFrame:
    """Return the scoreboard of the last forecast grid; empty where none was made."""
    found = artifacts.read(BOARD)
    return pl.DataFrame() if found is None else pl.read_csv(found.data)

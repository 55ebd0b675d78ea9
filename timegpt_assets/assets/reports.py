"""Reports: one HTML page per month with the pictures, and its figures as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets import previews
from timegpt_assets.assets.declare import Span, declared, judged_months, stored_in, trailing
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.bars.content import data_version
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.core.tables.reports import REPORT
from timegpt_assets.partitions import GraphContext, month_window

if TYPE_CHECKING:
    from timegpt_assets.reports.figures import Lineage, Report

MONTHLY = (
    "forecast_diagnostics",
    "pit_reliability",
    "coverage_drift",
    "interval_widths",
    "cost_sensitivity",
    "comparison",
)
MONTHS_SHOWN = 12
"""Months of the gates that a page shows beside each other."""


def report(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's report."""
    ins = {name: stored_in("evaluation", name=name) for name in MONTHLY}
    ins |= {name: stored_in("gates", month_window(MONTHS_SHOWN - 1), name=name, missing="ok") for name in VERDICTS}
    ins |= {
        "day_scores": trailing(graph, "evaluation", "day_scores"),
        "portfolio": trailing(graph, "backtest", "portfolio"),
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
            "forecast.backend",
            "universe.tickers",
        ),
        ins=ins,
    )
    def report(
        context: dg.AssetExecutionContext,
        artifacts: dg.ResourceParam[ObjectStore],
        lineage_book: dg.ResourceParam[LineageStore],
        day_scores: Partitions,
        portfolio: Partitions,
        **frames: Any,
    ) -> pl.DataFrame:
        """One page per month: data quality, fans, calibration, P&L after costs, gates and lineage."""
        read = frames | {"day_scores": day_scores.frame, "portfolio": portfolio.frame}
        return judged_months(
            context,
            REPORT,
            portfolio,
            lambda span: _published(
                artifacts, reported(graph.settings, span, read, lineage_entries(lineage_book)), span
            ),
        )

    return report


def reported(
    settings: Settings, span: Span, frames: Mapping[str, pl.DataFrame], lineage: "Sequence[Lineage]"
) -> "Report":
    """Return what the page of one month is about: the sessions the month's gates look back on."""
    from timegpt_assets.reports.figures import Report

    # the sessions that the gates judge, so that page and verdict are about the same days
    days = span.sessions[-settings.gates.lookback_sessions :]
    # one page is about what is traded; how the others do beside it is said by the comparison
    champion, books = settings.forecast.champion, frames["portfolio"].filter(pl.col("day").is_in(days))
    compared = span.of(frames["comparison"])
    frames = {name: _of(frame, champion) for name, frame in frames.items()}
    gates = pl.concat([frames[name] for name in VERDICTS])
    recent = {name: frame.filter(pl.col("day").is_in(days)) for name, frame in frames.items() if "day" in frame.columns}
    synthetic, data = settings.data.source == "synthetic", data_version(recent["quality_report"])
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
        champion=champion,
        comparison=compared,
        books=books.filter(pl.col("book") != LIVE),
        gates=span.of(gates),
        gate_history=gates.filter(pl.col("month") <= span.month),
        lineage=[replace(one, stands_for={**one.stands_for, "data_version": data}) for one in lineage],
    )


def _of(frame: pl.DataFrame, champion: str) -> pl.DataFrame:
    """Return the champion's rows of a table that has a row for each forecaster, the book live's where it has books."""
    if "book" in frame.columns:
        return frame.filter(book=LIVE)
    return frame.filter(forecaster=champion) if "forecaster" in frame.columns else frame


def lineage_entries(book: LineageStore) -> "list[Lineage]":
    """Return every lineage id of the storage root with what it stands for."""
    from timegpt_assets.reports.figures import Lineage

    return [
        Lineage(lineage_id=key, tables=[record.asset], stands_for=record.contract())
        for key, record in book.records().items()
    ]


def _published(artifacts: ObjectStore, found: "Report", span: Span) -> pl.DataFrame:
    """Write the page and return its figures as REPORT rows."""
    from timegpt_assets.reports.figures import summary_rows
    from timegpt_assets.reports.page import page

    name = f"reports/{found.profile}/{span.month}.html"
    artifacts.update(name, lambda _: page(found).encode())
    rows = [
        {"position": position, "section": section, "name": name, "value": value}
        for position, (section, name, value) in enumerate(summary_rows(found))
    ]
    about = {"month": span.month, "as_of": span.as_of, "path": name}
    return pl.DataFrame([about | row for row in rows], schema=REPORT.schema)

"""The news in a report: is it worth anything, in a sentence first, and how its sources answered.

Belongs here: words, figures and their order. The numbers are made in core/evaluation/information_value.py and
core/news/health.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from timegpt_assets.core.tables.columns import TREE
from timegpt_assets.core.tables.news import INFORMATION_VALUE, SOURCE_HEALTH

SOURCE_HEAD = [
    "source",
    "primary",
    "sessions",
    "good on",
    "answered",
    "attempts",
    "failed",
    "empty",
    "refused",
    "to ingest, p95",
    "breaker",
]
WORTH_HEAD = ["month", "forecaster", "rows", "sessions", "pinball ratio", "p", "net P&L", "without", "verdict"]


@dataclass(frozen=True, kw_only=True)
class News:
    """What a report knows of the news; all of it empty where no source is listed and nothing was measured."""

    health: pl.DataFrame = field(default_factory=SOURCE_HEALTH.empty)
    """SOURCE_HEALTH of the report's sessions."""
    values: pl.DataFrame = field(default_factory=INFORMATION_VALUE.empty)
    """INFORMATION_VALUE of the month and of those before it."""
    switched_on: bool = False
    """Whether the group news is in features.groups."""
    success_min: float = 0.0
    publish_to_ingest_p95_s: float = 0.0

    def __bool__(self) -> bool:
        """Return whether there is anything to say."""
        return bool(self.health.height or self.values.height or self.switched_on)


def verdict(news: News) -> str:
    """Return whether the group news is worth anything by the newest month measured, and what follows."""
    seat = "it is switched on" if news.switched_on else "it is switched off"
    measured = _measured(news.values)
    if measured.is_empty():
        why = next(iter(news.values.filter(forecaster=TREE).sort("month", descending=True)["reason"]), "never asked")
        against = "without evidence for it: take news out of features.groups" if news.switched_on else "and stays so"
        return f"Nothing is measured of what the news is worth ({why}); {seat}, {against}."
    row = measured.sort("month").row(-1, named=True)
    told = f"{_change(row)} and {_dollars(row['pnl_difference'])} net P&L in {row['month']}"
    if row["seated"]:
        follows = "" if news.switched_on else " and may be switched on: add news to features.groups"
        return f"The news was worth something on sessions never shown: {told}; {seat}{follows}."
    if news.switched_on:
        return f"The news is not worth its seat: it cost {told}; take news out of features.groups."
    return f"The news is not worth a seat, {seat} and stays so: it would have cost {told}."


def basis(news: News) -> str:
    """Return how it is measured, and in how many months."""
    measured = _measured(news.values)
    seated = int(measured["seated"].sum())
    return (
        f"Seated in {seated} of {measured.height} months measured. The same tree is learnt from the months before with "
        "the group, without it, and with that of other sessions in its place, and each answers the month: worth "
        "something is less pinball loss than in every other arm, each one-sided Diebold-Mariano p below a quarter of "
        "gates.ladder.dm_p_lt, and no less net P&L than without by the same rules on every snapshot, after costs, "
        "without calibration, gates or limits."
    )


def worth_table(news: News) -> list[tuple[object, ...]]:
    """Return a line a month and forecaster below WORTH_HEAD, the newest month first; why where nothing is measured."""
    rows = news.values.sort("month", "forecaster", descending=[True, False])
    return [_worth(row) for row in rows.iter_rows(named=True)]


def source_table(news: News) -> list[tuple[object, ...]]:
    """Return a line a source below SOURCE_HEAD, over all sessions of the report."""
    total = (
        news.health.sort("source", "day")
        .group_by("source", maintain_order=True)
        .agg(
            pl.col("primary").last(),
            pl.len().alias("sessions"),
            pl.col("good").sum(),
            pl.col("answered").mean(),
            pl.col("attempts", "failure", "empty_result_count", "rate_limit_count").sum(),
            pl.col("publish_to_ingest_p95_s").max(),
            pl.col("breaker").last(),
        )
    )
    return [_source(row) for row in total.iter_rows(named=True)]


def figures(news: News) -> list[tuple[str, str]]:
    """Return names and values for the report table and the command line; none where there is nothing to say."""
    if not news:
        return []
    good = {
        f"{source}, sessions good": f"{good:,} of {sessions:,}" for source, _, sessions, good, *_ in source_table(news)
    }
    return [("verdict", verdict(news)), *good.items()]


def _measured(values: pl.DataFrame) -> pl.DataFrame:
    return values.filter(pl.col("forecaster") == TREE, pl.col("reason") == "")


def _worth(row: Mapping[str, Any]) -> tuple[object, ...]:
    said = row["reason"] or ("worth it" if row["seated"] else "not worth it")
    money = (row["net_pnl"], row["without_net_pnl"])
    return (row["month"], row["forecaster"], row["n"], row["sessions"], _ratio(row), _p(row["dm_p"]), *money, said)


def _source(row: Mapping[str, Any]) -> tuple[object, ...]:
    delay = row["publish_to_ingest_p95_s"]
    return (
        row["source"],
        "yes" if row["primary"] else "no",
        row["sessions"],
        row["good"],
        None if row["answered"] is None else f"{row['answered']:.1%}",
        row["attempts"],
        row["failure"],
        row["empty_result_count"],
        row["rate_limit_count"],
        None if delay is None else f"{delay:,.0f} s",
        row["breaker"],
    )


def _change(row: Mapping[str, Any]) -> str:
    change, p = row["pinball_ratio"] - 1, _p(row["dm_p"])
    return f"{change:+.2%} pinball loss (p {p})"


def _dollars(value: float) -> str:
    return f"{'-' if value < 0 else '+'}${abs(value):,.0f}"


def _ratio(row: Mapping[str, Any]) -> str | None:
    value, low, high = (row[f"pinball_ratio{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return None
    return f"{value:.4f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.2g}"

"""What Prometheus reads of minute bars: calls and money, answers, bars, forecasts, coverage, gates and trades.

Belongs here: names, help and values of these metrics. Where each is read is cli/metrics.py, how they are written
metrics.py. Everything is of the newest session or month, or of a period that is bounded: however much is stored, a
scrape reads as much.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from timegpt_assets.adapters.ledger.tables import SPENT
from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.tables.columns import ORIGIN_KEY, WILDCARD

PREFIX = "timegpt_assets"
LEVELS = (50, 80, 95)
FIGURES = ("trades", "net_pnl", "sharpe_daily", "max_drawdown", "hit_rate")
QUANTILES = (0.5, 0.95)
Values = dict[tuple[str, ...], Any]
FOUND, PAID = "cache", "provider"


class Family(NamedTuple):
    """A gauge: its name, what it means, the names of its labels, and its value for each combination of theirs."""

    name: str
    told: str
    labels: Sequence[str]
    values: Mapping[tuple[str, ...], float]


@dataclass(frozen=True, kw_only=True)
class House:
    """What is stored of a house now; frames without rows where nothing is."""

    newest: Mapping[str, date] = field(default_factory=dict)
    """Table -> its newest session."""
    calls: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(day or month, state) -> calls of the account."""
    left: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    frozen: bool | None = None
    """None: nobody is paid."""
    price_per_call: float | None = None
    logged: Sequence[Mapping[str, Any]] = ()
    """Lines of forecast.log of the last day."""
    quality: pl.DataFrame = field(default_factory=pl.DataFrame)
    forecasts: pl.DataFrame = field(default_factory=pl.DataFrame)
    coverage: pl.DataFrame = field(default_factory=pl.DataFrame)
    drift: pl.DataFrame = field(default_factory=pl.DataFrame)
    verdicts: pl.DataFrame = field(default_factory=pl.DataFrame)
    trading: pl.DataFrame = field(default_factory=pl.DataFrame)


NOTHING = House()
"""A house in which nothing is made yet."""


def families(house: House) -> Iterator[Family]:
    """Yield every family; one without values has none to tell."""
    yield from _money(house)
    yield from _answers(house.logged)
    closes = {(table,): calendar.session(day).close.timestamp() for table, day in house.newest.items()}
    yield _family("session_timestamp_seconds", "Close of the newest session that is stored.", ["table"], closes)
    yield from _bars(house.quality)
    yield from _crossings(house.forecasts)
    yield from _coverage(house.coverage, house.drift)
    yield from _gates(house.verdicts)
    yield _trading(house.trading)


def _money(house: House) -> Iterator[Family]:
    told = "Calls of the budget day, or of its month, by what became of them; RESERVED: not sent yet."
    yield _family("calls", told, ["period", "state"], house.calls)
    yield _family("calls_left", "Calls that a limit leaves.", ["limit"], _one_label(house.left))
    yield _family("calls_limit", "Calls that a limit allows.", ["limit"], _one_label(house.limits))
    frozen = {} if house.frozen is None else {(): float(house.frozen)}
    yield _family("calls_frozen", "1: every send is stopped (timegpt-assets budget thaw).", [], frozen)
    sent = Counter[tuple[str, ...]]()
    for (period, state), count in house.calls.items():
        if state in SPENT:
            sent[period,] += count
    price = house.price_per_call
    spent = {} if price is None else {period: calls * price for period, calls in sent.items()}
    yield _family("money_spent", "Calls that were sent, times price_per_call.", ["period"], spent)


def _answers(logged: Sequence[Mapping[str, Any]]) -> Iterator[Family]:
    days = [line for line in logged if line["event"] == "day answered"]
    asked = {(FOUND,): sum(line["calls_cached"] for line in days), (PAID,): sum(line["calls_used"] for line in days)}
    yield _family(
        "answers", "Answers that this machine's runs of the last day used.", ["source"], asked if days else {}
    )
    total = sum(asked.values())
    ratio = {(): asked[FOUND,] / total} if total else {}
    yield _family("cache_hit_ratio", "Share of those that were found in the cache.", [], ratio)
    seconds = pl.Series([second for line in days for second in line.get("seconds", ())], dtype=pl.Float64)
    taken = {(str(q),): float(seconds.quantile(q) or 0.0) for q in QUANTILES} if len(seconds) else {}
    yield _family("call_seconds", "Seconds a call of the last day took, whatever came back.", ["quantile"], taken)
    faults = Counter((str(line["error"]),) for line in logged if line["level"] == "error")
    yield _family("faults", "Days that runs of the last day could not have answered, by why.", ["error"], faults)


def _bars(quality: pl.DataFrame) -> Iterator[Family]:
    verdicts = _counted(quality, "verdict")
    yield _family("bars", "Symbols of the newest session by what its bars were found to be.", ["verdict"], verdicts)
    complete = quality["completeness"] if quality.height else pl.Series(dtype=pl.Float64)
    shares: Values = {("mean",): complete.mean(), ("worst",): complete.min()}
    yield _family("bars_completeness", "Minutes with a usable row, of the session's.", ["of"], _known(shares))


def _crossings(forecasts: pl.DataFrame) -> Iterator[Family]:
    counts = _counted(forecasts, "forecaster")
    yield _family("forecasts", "Forecasts of the newest session.", ["forecaster"], counts)
    crossed: Values = {}
    for stage, column in (("raw", "crossings"), ("calibrated", "calibration_crossings")):
        if forecasts.height:
            sums = forecasts.group_by("forecaster").agg((pl.col(column) > 0).sum())
            crossed |= {(str(who), stage): float(count) for who, count in sums.iter_rows()}
    told = "Forecasts of the newest session whose quantiles crossed before they were put in order."
    yield _family("forecasts_crossed", told, ["forecaster", "stage"], crossed)


def _coverage(coverage: pl.DataFrame, drift: pl.DataFrame) -> Iterator[Family]:
    whole = coverage.filter(symbol=WILDCARD, snapshot_time=WILDCARD) if coverage.height else coverage
    labels = (*ORIGIN_KEY, "stage")
    shares: Values = {}
    deviations: Values = {}
    for row in whole.iter_rows(named=True):
        key = tuple(row[name] for name in labels)
        shares |= {(*key, str(level)): row[f"coverage_{level}"] for level in LEVELS}
        deviations[key] = row["pit_deviation"]
    told = "Share of outcomes inside a band, newest month, all symbols."
    yield _family("coverage", told, [*labels, "level"], _known(shares))
    yield _family("pit_deviation", "|coverage_50 - 0.5| of the same.", labels, _known(deviations))
    alarms = Counter[tuple[str, ...]]()
    if drift.height:
        for row in drift.filter(pl.col("day") == pl.col("day").max()).iter_rows(named=True):
            alarms[tuple(row[name] for name in labels)] += int(row["alarm"])
    told = "Bands of the newest session too far from nominal, over symbols and levels."
    yield _family("coverage_alarms", told, labels, alarms)


def _gates(verdicts: pl.DataFrame) -> Iterator[Family]:
    labels, counts = ("gate", "run_source", "data_regime"), Counter[tuple[str, ...]]()
    for row in verdicts.iter_rows(named=True):
        counts[(*(row[name] for name in labels), "passed" if row["passed"] else "refused")] += 1
    yield _family("gate_criteria", "Criteria of the newest month's gates, by result.", [*labels, "result"], counts)


def _trading(scores: pl.DataFrame) -> Family:
    account = scores.filter(book=LIVE, symbol=WILDCARD) if scores.height else scores
    labels = ("run_source", "data_regime")
    found = {
        (*(row[name] for name in labels), figure): row[figure]
        for row in account.iter_rows(named=True)
        for figure in FIGURES
    }
    return _family("trading", "The account's figures, newest month.", [*labels, "figure"], _known(found))


def _family(name: str, told: str, labels: Sequence[str], values: Mapping[Any, float]) -> Family:
    return Family(f"{PREFIX}_{name}", told, labels, values)


def _one_label(values: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(name,): float(value) for name, value in values.items()}


def _counted(rows: pl.DataFrame, column: str) -> dict[tuple[str, ...], float]:
    counts = rows[column].value_counts().iter_rows() if rows.height else ()
    return {(str(name),): float(count) for name, count in counts}


def _known(values: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, ...], float]:
    return {key: float(value) for key, value in values.items() if value is not None}

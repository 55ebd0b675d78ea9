"""Every number of every gate is that of the live rows alone, whatever else lies in the window; and each is enough.

By the shipped thresholds of observation: a number that is insufficient_observation on both sides proves nothing.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import books
from timegpt_assets.core.evaluation import comparison, diagnostics, intervals, runs, trading
from timegpt_assets.core.gates import contract, forecast, hard_metrics, luck
from timegpt_assets.core.gates import trading as account
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.columns import BANDS, ORIGIN_KEY, QUANTILES, REFERENCES, SOURCE_KEY
from timegpt_assets.core.tables.evaluation import DAY_SCORES
from timegpt_assets.core.tables.gates import INSUFFICIENT
from timegpt_assets_tests.core.gates import made, made_books, test_luck

AS_OF = date(2025, 11, 28)
DAYS = [calendar.shifted(AS_OF, -back) for back in range(251, -1, -1)]
SYMBOLS = ("AAA",)
Z = dict(zip(QUANTILES, (-1.96, -1.282, -0.674, 0.0, 0.674, 1.282, 1.96), strict=True))
STRANGERS = (
    ("model", "prod", "maintenance_replay"),
    ("model", "maintenance", "maintenance_replay"),
    ("model", "async_test", "maintenance_replay"),
    ("simulated", "maintenance", "maintenance_replay"),
    ("baseline", "smoke", "maintenance_replay"),
    ("fallback", "prod", "maintenance_replay"),
)
"""Triples that count for nothing: replayed, maintenance, tests, a local server, the demo, a stand-in."""
REPLAYED = {"score_source": "baseline", "run_source": "prod", "data_regime": "maintenance_replay"}
STRANGE_DAYS = {day: STRANGERS[i % len(STRANGERS)] for i, day in enumerate(DAYS[::9])}
"""Sessions, over the whole window, on which the champion was asked otherwise."""
WINDOW: dict[str, Any] = {"month": "2025-11", "as_of": AS_OF, "lookback_sessions": 252}
MONTH: dict[str, Any] = {"month": "2025-11", "as_of": AS_OF}
SAMPLING = Sampling(draws=100, cluster_days=1)
CAPITAL = trading.Account(capital=100_000.0, symbols=SYMBOLS, annualization_days=252)


def scored(forecaster: str, days: Sequence[date], sources: dict[str, str], *, skill: float, seed: int) -> pl.DataFrame:
    """Return DAY_SCORES of five snapshots a day and symbol, by a forecaster that sees ``skill`` of what comes."""
    market, own = np.random.default_rng(1), np.random.default_rng(seed)
    n = len(DAYS) * len(SYMBOLS) * 5
    sigma = 0.002 * np.exp(market.normal(0, 0.5, n))
    y, last = sigma * market.normal(size=n), sigma * market.normal(size=n)
    q50 = skill * y + (1 - skill) * 0.01 * sigma * own.normal(size=n)
    spread = sigma * np.sqrt(1 - skill) * np.sqrt(1 - skill)
    snapshots = [
        (day, symbol, calendar.session(day).open + timedelta(minutes=30 * k))
        for day in DAYS for symbol in SYMBOLS for k in range(1, 6)
    ]  # fmt: skip
    frame = pl.DataFrame(
        snapshots, schema={"day": pl.Date, "symbol": pl.String, "snapshot_ts": pl.Datetime("us", "UTC")}, orient="row"
    )
    frame = frame.with_columns(
        target_ts=pl.col("snapshot_ts") + timedelta(minutes=15), horizon_min=pl.lit(15, pl.Int64),
        forecaster=pl.lit(forecaster), calibration=pl.lit("affine"), label_aligned=pl.lit(True),
        request_hash=pl.lit(None, pl.String), sigma=pl.Series(sigma), y=pl.Series(y), y_last=pl.Series(last),
        **{name: pl.lit(value) for name, value in sources.items()},
        **{f"{p}{q}": pl.Series(q50 + spread * z) for p in ("", "raw_") for q, z in Z.items()},
    )  # fmt: skip
    error, gone = (pl.col("y") - pl.col("q50")), (pl.col("y") - pl.col("y_last"))
    covered = {
        f"{p}covered_{b}": pl.col("y").is_between(low, high) for p in ("", "raw_") for b, (low, high) in BANDS.items()
    }
    frame = frame.with_columns(
        abs_error=error.abs(), sq_error=error**2, raw_abs_error=error.abs(), raw_sq_error=error**2,
        abs_error_last=gone.abs(), sq_error_last=gone**2, abs_error_zero=pl.col("y").abs(),
        pinball=error.abs() / 2, raw_pinball=error.abs() / 2, **covered,
    )  # fmt: skip
    return DAY_SCORES.conformed(frame.filter(pl.col("day").is_in(list(days))).select(*DAY_SCORES.columns))


@cache
def scores(*, mixed: bool) -> pl.DataFrame:
    """Return what the champion showed live and the references beside it; mixed: all that does not count, too."""
    live = [day for day in DAYS if day not in STRANGE_DAYS]
    parts = [scored("timegpt", live, LIVE, skill=0.5, seed=2)]
    parts += [
        scored(name, DAYS, REPLAYED, skill=skill, seed=3) for name, skill in zip(REFERENCES, (0.0, -0.1), strict=True)
    ]
    if mixed:
        for seed, triple in enumerate(STRANGERS):
            sources, own = (
                dict(zip(SOURCE_KEY, triple, strict=True)),
                [d for d, t in STRANGE_DAYS.items() if t == triple],
            )
            parts += [
                scored("timegpt", own, sources, skill=-1.0, seed=seed),
                scored("size", live, sources, skill=-2.0, seed=seed),
            ]
    return pl.concat(parts)


@cache
def portfolio(*, mixed: bool) -> pl.DataFrame:
    """Return the champion's book: earning live, ruined on every other road."""
    net = dict(zip(DAYS, test_luck.earning(0.25, len(DAYS)).tolist(), strict=True))
    live = {day: pnl for day, pnl in net.items() if day not in STRANGE_DAYS}
    parts = [made_books.portfolio(live, cost=5.0)]
    for day, triple in STRANGE_DAYS.items() if mixed else ():
        sources = dict(zip(SOURCE_KEY, triple, strict=True))
        lost = made_books.portfolio({day: -50_000.0}, sources, cost=900.0)
        parts.append(lost.with_columns(admitted=pl.lit(True), refused_by=pl.lit("")))
        parts.append(
            lost.with_columns(admitted=pl.lit(False), refused_by=pl.lit("position_limit"), symbol=pl.lit("BBB"))
        )
    return pl.concat(parts)


@cache
def gates(*, mixed: bool) -> pl.DataFrame:
    """Return every row of the champion's gates. The pure window has no session of another road: none is silent."""
    frame, book = scores(mixed=mixed), portfolio(mixed=mixed)
    asked = books.with_books(frame.select("day", *ORIGIN_KEY).unique(), champion="timegpt")
    sessions = [day for day in DAYS if mixed or day not in STRANGE_DAYS]
    counted: dict[str, Any] = {**WINDOW, "sessions": sessions, "account": CAPITAL, "sampling": SAMPLING}
    terms = comparison.Terms(champion="timegpt", draws=100, cluster_days=1, price_per_call=None)
    oos = trading.oos_summary(book, asked, **counted, oos_start=DAYS[150], multipliers=(1.0, 1.5))
    figures = trading.trading_scores(book, asked, **counted)
    costs = trading.cost_sensitivity(book, asked, **counted, multipliers=(1.0, 1.5))
    made_on = runs.backtest_runs(book, asked, **WINDOW, sessions=sessions, config="{}")
    of_forecasts = forecast.Measured(
        diagnostics=diagnostics.diagnostics(frame, **WINDOW, draws=100),
        comparison=comparison.comparison(frame, book, **WINDOW, terms=terms),
        widths=intervals.widths(frame, **WINDOW),
    )
    books_of: dict[str, Any] = {**MONTH, "books": ["timegpt"], "judged": made.JUDGED}
    days = set(frame.filter(forecaster="timegpt", **LIVE)["day"])
    rows = [
        forecast.forecast_gate(
            of_forecasts, **MONTH, symbols=SYMBOLS, forecasters=made.SEATED, judged=made.JUDGED, gate=made.FORECAST,
            promotion=made.ASKED_OF_FORECASTS,
        ),
        account.trading_gate(
            account.Measured(scores=figures, costs=costs, oos=oos), **books_of, gate=made.TRADING,
            promotion=made.ASKED_OF_ACCOUNT,
        ),
        hard_metrics.hard_metrics(figures, made_on, **books_of, asked=made.HARD),
        contract.contract(days, dict.fromkeys(DAYS, made.HOLDS), **MONTH, champion="timegpt", asked=made.CONTRACT),
        luck.luck_gate(
            book, asked, test_luck.tried([0.0, 0.1], last=DAYS[150]), **WINDOW, sessions=sessions,
            books={"timegpt": "timegpt"}, asked=test_luck.ASKED,
        ),
    ]  # fmt: skip
    return pl.concat(rows).filter(forecaster="timegpt").sort("gate", "symbol", "criterion")


def test_each_criterion_says_of_a_mixed_window_what_it_says_of_the_live_rows_alone() -> None:
    mixed, pure = gates(mixed=True), gates(mixed=False)
    assert_frame_equal(mixed, pure, check_exact=True)
    assert set(mixed["gate"]) == {"forecast_gate", "trading_gate", "hard_metrics", "contract", "promotion"}
    assert mixed.select(*SOURCE_KEY).unique().rows() == [tuple(LIVE.values())]


def test_none_of_them_is_left_without_enough_to_judge() -> None:
    rows = gates(mixed=True)
    assert rows.filter(pl.col("reason").str.contains(INSUFFICIENT))["criterion"].to_list() == []
    assert rows["value"].null_count() == 0
    assert rows.height == 37


def test_the_rows_that_do_not_count_would_have_changed_nearly_every_number() -> None:
    """Guard: the strangers differ from the live rows, or purity would be seen of anything."""
    assert scores(mixed=True).height > 2 * scores(mixed=False).height
    asked = books.with_books(scores(mixed=True).select("day", *ORIGIN_KEY).unique(), champion="timegpt")
    counted: dict[str, Any] = {**WINDOW, "sessions": DAYS, "account": CAPITAL, "sampling": SAMPLING}
    figures = trading.trading_scores(portfolio(mixed=True), asked, **counted).filter(symbol="*", book="timegpt")
    assert figures.height == 1 + len(STRANGERS)
    live = figures.filter(**LIVE).row(0, named=True)
    for other in figures.filter(pl.col("score_source") != "model").iter_rows(named=True):
        assert other["net_pnl"] < 0 < live["net_pnl"]
        assert other["max_drawdown"] > live["max_drawdown"]
        assert (other["reject_rate"], live["reject_rate"]) == (0.5, 0.0)


@pytest.mark.parametrize("gate", ["forecast", "trading", "luck"])
def test_backtest_and_forecasts_are_filtered_alike(gate: str) -> None:
    """Parity: the sessions that the account is judged on are those whose forecasts are judged, and no other."""
    rows = gates(mixed=True)
    sessions = len(DAYS) - len(STRANGE_DAYS)
    n = {
        "forecast": rows.filter(gate="forecast_gate", symbol="AAA", criterion="coverage_50")["n"].item() / 5,
        "trading": rows.filter(gate="trading_gate", criterion="observation_days")["n"].item(),
        "luck": rows.filter(gate="promotion", criterion="deflated_sharpe")["n"].item(),
    }[gate]
    assert n == sessions == rows.filter(gate="hard_metrics", criterion="completed_runs")["n"].item()
    assert n == rows.filter(gate="contract", criterion="model_version")["n"].item()

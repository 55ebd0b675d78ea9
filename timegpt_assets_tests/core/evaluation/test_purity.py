"""Nobody's figure is moved by another's rows: five forecasters and three regimes in one window, and each one alone.

Belongs here: every table of a window but the comparison, which is about two forecasters (test_comparison.py).
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.evaluation import diagnostics, forecast, intervals, stress, trading
from timegpt_assets.core.gates import eligibility
from timegpt_assets.core.tables.columns import BOOK_KEY, ORIGIN_KEY, REFERENCES, SOURCE_KEY
from timegpt_assets_tests.core.evaluation.test_forecast import AS_OF, days, scored
from timegpt_assets_tests.core.evaluation.test_stress import EVENTS, NO_GAPS
from timegpt_assets_tests.core.evaluation.test_trading import ACCOUNT, SAMPLING, portfolio
from timegpt_assets_tests.core.gates.made import ELIGIBILITY

FORECASTERS = ("timegpt", "ridge", "size", *REFERENCES)
REGIMES = (
    ("model", "prod", "prod_live"),
    ("baseline", "prod", "maintenance_replay"),
    ("baseline", "smoke", "maintenance_replay"),
)
ORIGINS = [dict(zip(ORIGIN_KEY, (name, *regime), strict=True)) for name in FORECASTERS for regime in REGIMES]
SESSIONS = days(12)
MONTH: dict[str, Any] = {"month": "2025-02", "as_of": AS_OF}
WINDOW = MONTH | {"lookback_sessions": 9}


def everybody() -> pl.DataFrame:
    """Return DAY_SCORES of every origin at the same snapshots, each with losses of its own, not each on every day."""
    base, parts = scored(SESSIONS), []
    for place, origin in enumerate(ORIGINS):
        draws = np.random.default_rng(place).uniform(0.5, 2.0, base.height)
        own = base.with_columns(**{name: pl.lit(word) for name, word in origin.items()})
        losses = [f"{prefix}{loss}" for prefix in ("", "raw_") for loss in ("abs_error", "sq_error", "pinball")]
        own = own.with_columns(pl.col(name) * pl.Series(draws) for name in losses)
        own = own.with_columns(covered_50=pl.Series(draws < 1.2), q50=pl.col("q50") * pl.Series(draws))
        parts.append(own.filter(pl.col("day") != SESSIONS[4 + place % 5]))
    return pl.concat(parts)


SCORES = everybody()
TABLES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "forecast_diagnostics": lambda rows: diagnostics.diagnostics(rows, **WINDOW, draws=100),
    "pit_reliability": lambda rows: forecast.reliability(rows, **WINDOW, draws=100),
    "coverage_report": lambda rows: intervals.coverage_report(rows, **MONTH),
    "interval_widths": lambda rows: intervals.widths(rows, **WINDOW),
    "coverage_drift": lambda rows: intervals.drift(rows, **MONTH, sessions=3, tolerance=0.03),
}
"""Table -> how it is made of DAY_SCORES."""


def assert_pure(mixed: pl.DataFrame, alone: pl.DataFrame, told: dict[str, str]) -> None:
    """Assert that the rows of one origin are those that its own rows alone give, bit for bit."""
    assert mixed.height > 0, told
    assert_frame_equal(mixed, alone, check_exact=True)


@pytest.mark.parametrize("table", TABLES)
def test_a_figure_of_forecasts_is_that_of_the_origins_own_rows(table: str) -> None:
    mixed, seen = TABLES[table](SCORES), set[str]()
    for origin in ORIGINS:
        alone = TABLES[table](SCORES.filter(**origin))
        assert_pure(mixed.filter(**origin), alone, origin)
        seen.add(alone.drop(*ORIGIN_KEY).write_csv())
    assert len(seen) > 10, "guard: the origins differ"


def test_a_verdict_of_eligibility_is_that_of_the_own_rows_and_the_references() -> None:
    """A reference has one row per symbol and snapshot: here those of one regime."""
    asked = {
        "day": date(2025, 2, 24),
        "symbols": ("AAA", "BBB"),
        "forecasters": FORECASTERS,
        "eligibility": ELIGIBILITY,
    }
    met = pl.col("forecaster").is_in(REFERENCES)
    rows = SCORES.filter(~met | (pl.col("run_source") == "smoke"))
    mixed, seen = eligibility.symbol_gates(rows, **asked), 0
    for origin in ORIGINS:
        own = (pl.col(name) == word for name, word in origin.items())
        alone = eligibility.symbol_gates(rows.filter(pl.all_horizontal(own) | met), **asked).filter(**origin)
        assert_frame_equal(mixed.filter(**origin), alone, check_exact=True)
        seen += alone.filter(pl.col("value").is_not_null()).height
    assert seen > 100


def traded() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return trades of every book under every regime, and on which days each was asked: not all on the same."""
    rng, trades, asked = np.random.default_rng(8), list[dict[str, Any]](), list[dict[str, Any]]()
    for place, origin in enumerate(ORIGINS):
        sources = {name: origin[name] for name in SOURCE_KEY}
        book = {"book": origin["forecaster"], "forecaster": origin["forecaster"]}
        own = [day for at, day in enumerate(SESSIONS) if at % 3 == place % 3 and at != place // 3 + 4]
        asked += [{"day": day, "book": book["book"], **sources} for day in own]
        for day in own[:-1]:
            for symbol in ("AAA", "BBB"):
                money = {"gross_pnl": float(rng.normal(0, 30)), "cost": float(rng.uniform(1, 4))}
                trades.append({"day": day, "symbol": symbol, **book, **sources, **money})
    return portfolio(*trades), pl.DataFrame(asked, schema={"day": pl.Date, **dict.fromkeys(BOOK_KEY, pl.String)})


TRADES, ASKED = traded()
COUNTED = WINDOW | {"sessions": SESSIONS, "sampling": SAMPLING}
ACCOUNTS: dict[str, Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]] = {
    "trading_scores": lambda p, a: trading.trading_scores(p, a, **COUNTED, account=ACCOUNT),
    "cost_sensitivity": lambda p, a: trading.cost_sensitivity(
        p, a, **COUNTED, account=ACCOUNT, multipliers=(1.0, 1.5, 2.0)
    ),
    "oos_summary": lambda p, a: trading.oos_summary(
        p, a, **COUNTED, account=ACCOUNT, oos_start=SESSIONS[5], multipliers=(1.0, 1.5)
    ),
    "stress_phases": lambda p, a: stress.stress_phases(p, a, NO_GAPS, **COUNTED, events=EVENTS),
}
"""Table -> how it is made of PORTFOLIO and of who was asked when."""


@pytest.mark.parametrize("table", ACCOUNTS)
def test_a_figure_of_money_is_that_of_the_books_own_rows(table: str) -> None:
    mixed = ACCOUNTS[table](TRADES, ASKED)
    for name in FORECASTERS:
        alone = ACCOUNTS[table](TRADES.filter(book=name), ASKED.filter(book=name))
        assert_pure(mixed.filter(book=name), alone, {"book": name})
    assert mixed.select("book", *SOURCE_KEY).unique().height == len(ORIGINS)

"""Backtest runs: complete sessions counted once, each triple by itself, and the regime of the whole window."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation.runs import backtest_runs
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.columns import SOURCE_KEY
from timegpt_assets_tests.core.gates.made_books import asked_on, portfolio

AS_OF = date(2025, 2, 28)
DAYS = [calendar.shifted(AS_OF, -back) for back in range(9, -1, -1)]
REPLAYED = LIVE | {"data_regime": "maintenance_replay"}
MAINTENANCE = REPLAYED | {"run_source": "maintenance"}


def counted(book: pl.DataFrame, asked: pl.DataFrame, **changes: Any) -> dict[tuple[str, ...], dict[str, Any]]:
    given: Any = {"month": "2025-02", "as_of": AS_OF, "sessions": DAYS, "lookback_sessions": 8, "config": "{}"}
    rows = backtest_runs(book, asked, **given | changes).iter_rows(named=True)
    return {tuple(row[name] for name in SOURCE_KEY): row for row in rows}


def test_sessions_with_trades_or_forecasts_in_the_window_are_counted_and_no_others() -> None:
    book = portfolio(dict.fromkeys((DAYS[0], DAYS[3], DAYS[4]), 1.0))
    (row,) = counted(book, asked_on([DAYS[4], DAYS[6]]), sessions=[day for day in DAYS if day != DAYS[6]]).values()
    assert (row["runs"], row["first"], row["last"]) == (2, DAYS[3], DAYS[4]), "DAYS[0] is too old, DAYS[6] incomplete"
    assert row["regime"] == "prod_live"
    assert counted(PORTFOLIO.empty(), asked_on([DAYS[1]])) == {}


def test_a_session_that_was_run_twice_is_one_run() -> None:
    book, asked = portfolio(dict.fromkeys(DAYS[-3:], 1.0)), asked_on(DAYS[-3:])
    again = portfolio({DAYS[-1]: -5.0})
    once, twice = counted(book, asked), counted(pl.concat([book, again, again]), pl.concat([asked, asked]))
    assert once == twice
    assert [row["runs"] for row in once.values()] == [3]


@pytest.mark.parametrize(("others", "regime"), [(REPLAYED, "mixed"), (MAINTENANCE, "mixed"), (LIVE, "prod_live")])
def test_a_window_of_more_than_one_regime_is_mixed_and_its_runs_are_counted_apart(
    others: dict[str, str], regime: str
) -> None:
    live, other = portfolio(dict.fromkeys(DAYS[-3:], 1.0)), portfolio(dict.fromkeys(DAYS[-7:-3], 1.0), others)
    rows = counted(pl.concat([live, other]), pl.concat([asked_on(DAYS[-3:]), asked_on(DAYS[-7:-3], others)]))
    assert {row["regime"] for row in rows.values()} == {regime}
    runs = {key: row["runs"] for key, row in rows.items()}
    assert runs == (
        {tuple(LIVE.values()): 7} if others == LIVE else {tuple(LIVE.values()): 3, tuple(others.values()): 4}
    )


def test_the_regime_is_that_of_one_book() -> None:
    live, other = portfolio({DAYS[-1]: 1.0}), portfolio({DAYS[-1]: 1.0}, REPLAYED, book="ridge")
    asked = pl.concat([asked_on(DAYS[-1:]), asked_on(DAYS[-1:], REPLAYED, book="ridge")])
    rows = counted(pl.concat([live, other]), asked)
    assert {row["book"]: row["regime"] for row in rows.values()} == {
        "timegpt": "prod_live", "ridge": "maintenance_replay",
    }  # fmt: skip


def test_what_the_blend_was_on_the_window_s_sessions_stands_in_its_own_book_s_config_alone() -> None:
    asked = pl.concat([asked_on(DAYS[-4:]), asked_on(DAYS[-4:], book="blend")])
    policies = {DAYS[0]: "nn_only", DAYS[-4]: "tabular_only", DAYS[-2]: "blend_alpha_0.3", DAYS[-1]: "tabular_only"}
    blended = pl.DataFrame({"day": policies.keys(), "policy": policies.values()})
    given: Any = {"month": "2025-02", "as_of": AS_OF, "sessions": DAYS, "lookback_sessions": 8, "config": '{"k": 1}'}
    rows = backtest_runs(PORTFOLIO.empty(), asked, blended=pl.concat([blended, blended]), **given)
    config = dict(rows.select("book", "config").iter_rows())
    assert config["blend"] == '{"k": 1, "blend": ["tabular_only", "blend_alpha_0.3"]}', "in order, each once"
    assert {book: said for book, said in config.items() if book != "blend"} == {"timegpt": '{"k": 1}'}

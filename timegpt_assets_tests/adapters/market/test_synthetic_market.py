"""The synthetic market: the same bars however they are asked for, and the planted law."""

import subprocess
import sys
import time
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.adapters.market import synthetic_market
from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.market.synthetic_market import HORIZON, MAX_PREDICTABILITY, SyntheticMarket, drift_share
from timegpt_assets.core.calendar import minutes, sessions
from timegpt_assets.core.tables.bars import RAW_BARS

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
DAYS = [s.day for s in sessions(date(2025, 1, 2), date(2025, 2, 28))]
MARKET = SyntheticMarket(symbols=SYMBOLS)


def log_closes(bars: pl.DataFrame) -> np.ndarray:
    """Return ln P at the open and after each minute: one row per (symbol, day), 391 columns."""
    bars = bars.sort("symbol", "ts")
    closes = bars["close"].to_numpy().reshape(-1, 390)
    return np.log(np.column_stack([bars["open"].to_numpy().reshape(-1, 390)[:, 0], closes]))


def neighbouring_correlation(bars: pl.DataFrame) -> float:
    y = np.diff(log_closes(bars)[:, ::HORIZON], axis=1)
    return float(np.corrcoef(y[:, :-1].ravel(), y[:, 1:].ravel())[0, 1])


def test_whole_window_equals_day_by_day_and_symbol_by_symbol() -> None:
    days, symbols = DAYS[:4], ["SPY", "AAA", "BBB"]
    market = SyntheticMarket(symbols=SYMBOLS, predictability=0.4, interaction=0.3, missing_rate=0.05)
    whole = market.bars(symbols, days)
    synthetic_market._path.cache_clear()
    synthetic_market._daily.cache_clear()
    parts = [market.bars([symbol], [day]) for day in reversed(days) for symbol in reversed(symbols)]
    assert whole.height > 0.9 * 12 * 390
    assert whole.equals(pl.concat(parts).sort(RAW_BARS.key))


def test_a_symbol_is_the_same_whatever_other_symbols_the_market_has() -> None:
    alone = SyntheticMarket(symbols=("BBB",), context=("SPY",))
    assert alone.bars(["BBB", "SPY"], DAYS[:2]).equals(MARKET.bars(["BBB", "SPY"], DAYS[:2]))


def test_another_process_with_another_hash_seed_makes_the_same_bars() -> None:
    script = (
        "from datetime import date\n"
        "from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket\n"
        "bars = SyntheticMarket(symbols=('AAA',)).bars(['AAA', 'SPY'], [date(2025, 1, 3)])\n"
        "print(bars.hash_rows().sum())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONHASHSEED": "123"}, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) == MARKET.bars(["AAA", "SPY"], [date(2025, 1, 3)]).hash_rows().sum()


def test_seeds_symbols_and_days_differ() -> None:
    day, other_day = DAYS[:2]
    base = MARKET.bars(["AAA"], [day])["close"].to_list()
    assert base != SyntheticMarket(symbols=SYMBOLS, seed=8).bars(["AAA"], [day])["close"].to_list()
    assert base != MARKET.bars(["BBB"], [day])["close"].to_list()
    assert base != MARKET.bars(["AAA"], [other_day])["close"].to_list()


def test_predictability_and_missing_minutes_leave_the_other_draws_alone() -> None:
    holes = SyntheticMarket(symbols=SYMBOLS, missing_rate=0.2).bars(["AAA"], DAYS[:2])
    full = SyntheticMarket(symbols=SYMBOLS, missing_rate=0).bars(["AAA"], DAYS[:2])
    assert full.height == 780
    assert 0.7 * 780 < holes.height < 0.9 * 780
    assert holes.drop("row").equals(full.drop("row").join(holes.select("ts"), on="ts", how="semi"))
    assert holes.filter(day=DAYS[1])["row"].to_list() == list(range(holes.filter(day=DAYS[1]).height))


@settings(max_examples=15, deadline=None)
@given(
    symbol=st.sampled_from([*SYMBOLS, "SPY", "QQQ"]),
    position=st.integers(0, 9000),
    seed=st.integers(0, 2**40),
    predictability=st.sampled_from([0.0, 0.6, MAX_PREDICTABILITY]),
)
def test_bars_keep_the_order_of_prices_and_are_whole_cents_and_shares(
    symbol: str, position: int, seed: int, predictability: float
) -> None:
    session = sessions(date(2000, 1, 1), date(2035, 12, 31))[position]
    market = SyntheticMarket(symbols=SYMBOLS, seed=seed, predictability=predictability, missing_rate=0)
    bars = market.bars([symbol], [session.day])
    assert bars["ts"].to_list() == minutes([session.day])["ts"].to_list()
    assert (bars["low"] <= bars.select(pl.min_horizontal("open", "close")).to_series()).all()
    assert (bars["high"] >= bars.select(pl.max_horizontal("open", "close")).to_series()).all()
    for name in ("open", "high", "low", "close"):
        assert (bars[name] > 0).all()
        assert all(price == round(price, 2) for price in bars[name])
    assert (bars["volume"] == bars["volume"].round()).all()
    assert (bars["volume"] >= 1).all()


def test_early_closes_have_210_minutes_and_clock_changes_move_the_open() -> None:
    market = SyntheticMarket(symbols=SYMBOLS, missing_rate=0)
    days = [date(2025, 3, 7), date(2025, 3, 10), date(2024, 11, 29)]
    bars = market.bars(["AAA"], days)
    assert bars["ts"].to_list() == minutes(days)["ts"].to_list()
    assert bars.group_by("day").len().sort("day")["len"].to_list() == [210, 390, 390]


def test_days_without_a_session_have_no_rows() -> None:
    assert MARKET.bars(["AAA"], [date(2025, 1, 9), date(2025, 4, 18), date(2025, 1, 4)]).equals(RAW_BARS.empty())
    assert MARKET.bars(["AAA"], []).equals(MARKET.bars([], DAYS))


def test_the_next_open_follows_the_close_by_a_gap_and_not_by_a_jump_in_level() -> None:
    bars = MARKET.bars(SYMBOLS, DAYS).sort("symbol", "ts")
    ends = bars.group_by("symbol", "day", maintain_order=True).agg(pl.col("open").first(), pl.col("close").last())
    gaps = ends.select((pl.col("open") / pl.col("close").shift(1).over("symbol")).log()).to_series().drop_nulls()
    moves = ends.select((pl.col("close") / pl.col("open")).log()).to_series()
    assert 0.5 < gaps.var() / moves.var() < 1.5
    assert (gaps != 0).mean() > 0.9


def test_prices_stay_in_range_for_decades() -> None:
    first_days = [sessions(date(year, 6, 1), date(year, 6, 10))[0].day for year in range(2000, 2036)]
    closes = SyntheticMarket(symbols=SYMBOLS, predictability=0.6).bars([*SYMBOLS, "SPY"], first_days)["close"]
    assert closes.min() > 20
    assert closes.max() < 5000


@pytest.mark.parametrize(("planted", "tolerance"), [(0.0, 0.03), (0.3, 0.06), (0.6, 0.06), (0.85, 0.06)])
def test_neighbouring_returns_correlate_as_planted(planted: float, tolerance: float) -> None:
    market = SyntheticMarket(symbols=SYMBOLS, predictability=planted, missing_rate=0)
    assert abs(neighbouring_correlation(market.bars(SYMBOLS, DAYS)) - planted) < tolerance


@pytest.mark.parametrize("planted", [0.1, 0.6, MAX_PREDICTABILITY])
def test_the_drift_share_agrees_with_a_loop_over_pairs_of_minutes(planted: float) -> None:
    share = drift_share(planted)
    assert 0 < share < 1

    def covariance(i: int, j: int) -> float:
        return share * synthetic_market.DRIFT_MEMORY ** abs(i - j) + (1 - share) * (i == j)

    past, following = range(HORIZON), range(HORIZON, 2 * HORIZON)
    across = sum(covariance(i, j) for i in past for j in following)
    within = sum(covariance(i, j) for i in past for j in past)
    assert across / within == pytest.approx(planted, rel=1e-12)


def test_without_predictability_no_lag_of_a_minute_return_says_anything() -> None:
    bars = SyntheticMarket(symbols=SYMBOLS, missing_rate=0).bars(SYMBOLS, DAYS)
    r = np.diff(log_closes(bars), axis=1)
    r = r / r.std(axis=0)
    found = [abs(np.corrcoef(r[:, k:].ravel(), r[:, :-k].ravel())[0, 1]) for k in (1, 2, 5, 15, 60, 200)]
    assert max(found) < 4 / np.sqrt(r.size / 2)


def test_with_strong_predictability_the_conditional_mean_is_often_large_beside_the_residual() -> None:
    market = SyntheticMarket(symbols=SYMBOLS, predictability=0.6, missing_rate=0)
    y = np.diff(log_closes(market.bars(SYMBOLS, DAYS))[:, ::HORIZON], axis=1)
    past, following = y[:, :-1].ravel(), y[:, 1:].ravel()
    slope = (past @ following) / (past @ past)
    residual = (following - slope * past).std()
    assert (np.abs(slope * past) > 0.7 * residual).mean() > 0.15


@pytest.mark.parametrize("planted", [0.0, 0.3, 0.6])
def test_the_sign_of_a_block_times_its_volumes_says_what_the_next_does_and_neither_alone(planted: float) -> None:
    bars = SyntheticMarket(symbols=SYMBOLS, interaction=planted, missing_rate=0).bars(SYMBOLS, DAYS)
    y = np.diff(log_closes(bars)[:, ::HORIZON], axis=1)
    past, following = y[:, :-1] / y[:, :-1].std(axis=0), y[:, 1:] / y[:, 1:].std(axis=0)
    shares = bars.sort("symbol", "ts")["volume"].to_numpy().reshape(len(SYMBOLS), len(DAYS), 26, HORIZON).sum(axis=-1)
    high = np.sign(shares - np.median(shares, axis=1, keepdims=True)).reshape(-1, 26)[:, :-1]

    def correlation(seen: np.ndarray) -> float:
        return float(np.corrcoef(seen.ravel(), following.ravel())[0, 1])

    # a tenth is lost: volumes do not show every state, and a block's deviation is not known before
    assert abs(correlation(np.sign(past) * high) - 0.9 * planted) < 0.05
    assert abs(correlation(past)) < 0.05
    assert abs(correlation(high)) < 0.05


def test_the_interaction_leaves_index_funds_and_the_first_block_of_a_session_alone() -> None:
    planted = SyntheticMarket(symbols=SYMBOLS, interaction=0.5, missing_rate=0).bars(["AAA", "SPY"], DAYS[:2])
    plain = SyntheticMarket(symbols=SYMBOLS, missing_rate=0).bars(["AAA", "SPY"], DAYS[:2])
    assert planted.filter(symbol="SPY").equals(plain.filter(symbol="SPY"))
    own, other = (bars.filter(symbol="AAA")["close"].to_numpy().reshape(2, 390) for bars in (planted, plain))
    assert (own[:, :HORIZON] == other[:, :HORIZON]).all()
    assert not (own[:, HORIZON:] == other[:, HORIZON:]).all(axis=1).any()


def test_symbols_move_with_the_index_funds() -> None:
    bars = SyntheticMarket(symbols=SYMBOLS, missing_rate=0).bars([*SYMBOLS, "SPY", "QQQ"], DAYS)
    returns = {key[0]: np.diff(log_closes(part), axis=1).ravel() for key, part in bars.group_by("symbol")}
    assert np.corrcoef(returns["SPY"], returns["QQQ"])[0, 1] > 0.9
    for symbol in SYMBOLS:
        assert 0.2 < np.corrcoef(returns[symbol], returns["SPY"])[0, 1] < 0.9


def test_ten_symbols_and_sixty_days_take_under_two_seconds() -> None:
    market = SyntheticMarket(symbols=tuple("ABCDEFGH"), seed=99)
    days = [s.day for s in sessions(date(2025, 1, 2), date(2025, 4, 30))][:60]

    def took() -> float:
        start = time.process_time()
        assert market.bars([*"ABCDEFGH", "SPY", "QQQ"], days).height > 0.99 * 600 * 390
        return time.process_time() - start

    # the best of a few: two processes that share a core's caches make each other's seconds longer
    assert any(took() < 2 for _ in range(4))


@pytest.mark.parametrize(
    "change",
    [
        {"predictability": -0.1},
        {"predictability": 0.95},
        {"interaction": -0.1},
        {"interaction": 1.0},
        {"missing_rate": 1.0},
        {"missing_rate": -0.1},
    ],
)
def test_settings_the_law_cannot_keep_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(MarketDataError, match="Choose one that is"):
        SyntheticMarket(symbols=SYMBOLS, **change)  # type: ignore[arg-type]


def test_a_symbol_the_market_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(MarketDataError, match=r"has no YYY, ZZZ\. Add them to the universe"):
        MARKET.bars(["AAA", "ZZZ", "YYY"], DAYS[:1])

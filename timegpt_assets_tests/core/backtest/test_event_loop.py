"""The event loop: every money rule as an example worked by hand, then what must hold for any market."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import event_loop
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest import signals as signals_module
from timegpt_assets.core.backtest.costs import PARTS, Costs
from timegpt_assets.core.events import EventCalendar, UnknownEvent
from timegpt_assets.core.tables.backtest import TRADES
from timegpt_assets.core.tables.bars import BARS
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets_tests.core.house_rules import RULES

DAY = date(2025, 1, 2)
EARLY = date(2025, 7, 3)
MINUTE = timedelta(minutes=1)
SIGMA = 0.01
CAPITAL = 100_000.0
COSTS = Costs(fees_bps={"*": 0.5}, half_spread_ticks={"*": 1.0}, tick_size=0.01)
FREE = Costs(fees_bps={"*": 0.0}, half_spread_ticks={"*": 0.0}, tick_size=0.01)
NO_GATES = SYMBOL_GATES.empty()
NO_EVENTS = EventCalendar({})
TAKE, STOP = 100 * math.exp(SIGMA), 100 * math.exp(-SIGMA)
LONG = {"q25": 0.008, "q50": 0.010, "q75": 0.012}
SHORT = {"q25": -0.012, "q50": -0.010, "q75": -0.008}


def at(clock: str, day: date = DAY) -> datetime:
    hour, minute = map(int, clock.split(":"))
    session = calendar.session(day)
    return session.open + timedelta(minutes=hour * 60 + minute - 570)


def bars(
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    day: date = DAY,
    symbol: str = "AAA",
    price: float = 100.0,
) -> pl.DataFrame:
    """A session on which nothing moves, but for the minutes that are changed."""
    session = calendar.session(day)
    rows = []
    for minute in range(session.minutes):
        flat = dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": 100.0, "is_filled": False}
        rows.append({"day": day, "symbol": symbol, "ts": session.open + minute * MINUTE} | flat)
    for clock, change in (changes or {}).items():
        row = rows[int((at(clock, day) - session.open) / MINUTE)]
        row |= change
        present = [row["open"], row["close"]]
        row["high"] = max(*present, change.get("high", -math.inf))
        row["low"] = min(*present, change.get("low", math.inf))
    return BARS.conformed(pl.DataFrame(rows, schema=BARS.schema))


def forecasts(*rows: Mapping[str, Any]) -> pl.DataFrame:
    full = []
    for row in rows:
        day = row.get("day", DAY)
        snapshot = at(row.get("clock", "10:00"), day)
        base: dict[str, Any] = {
            "day": day,
            "symbol": "AAA",
            "snapshot_ts": snapshot,
            "target_ts": snapshot + 15 * MINUTE,
            "horizon_min": 15,
            "asked_at": snapshot,
            "sigma": SIGMA,
            "forecaster": "ridge",
            "backend": "baseline",
            "model": "ridge",
            "score_source": "baseline",
            "run_source": "smoke",
            "data_regime": "maintenance_replay",
            "request_hash": "",
            "stale_input": False,
            "label_aligned": True,
            "crossings": 0,
            "calibration": "none",
            "calibration_pool": "",
            "calibration_n": 0,
            "calibration_reason": "none",
        }
        full.append(base | LONG | {k: v for k, v in row.items() if k != "clock"})
    return FORECASTS.conformed(pl.DataFrame(full, schema=FORECASTS.schema))


def inputs(made: pl.DataFrame, market: pl.DataFrame, **known: Any) -> signals_module.Inputs:
    """What engines are given where nobody was judged before and nothing is announced, but for what is ``known``."""
    nothing = {"symbol_gates": NO_GATES, "events": NO_EVENTS}
    return signals_module.Inputs(forecasts=made, bars=market, **(nothing | known))


def ledger(
    made: pl.DataFrame,
    market: pl.DataFrame,
    *,
    gates: pl.DataFrame = NO_GATES,
    rules: trading.Rules = RULES,
    costs: Costs = COSTS,
    **more: Any,
) -> pl.DataFrame:
    """A row per signal."""
    asked = {name: more.pop(name) for name in ("events", "liquidity") if name in more}
    base = {"rules": rules, "costs": costs, "capital": CAPITAL, "bootstrap": "trade", "sigma_column": "sigma_60m"}
    base["participation"] = 0.1
    spec = signals_module.TradingSpec(**(base | more))
    return event_loop.trades(inputs(made, market, symbol_gates=gates, **asked), spec)


def traded(made: pl.DataFrame, market: pl.DataFrame, **more: Any) -> pl.DataFrame:
    """The signals that came to the market: filled, or met by a halt."""
    frame = ledger(made, market, **more)
    return frame.filter((pl.col("quantity") != 0) | (pl.col("entry_reason") == event_loop.HALTED))


def reasons(made: pl.DataFrame, market: pl.DataFrame, **more: Any) -> list[str]:
    return ledger(made, market, **more)["entry_reason"].to_list()


def one(made: pl.DataFrame, market: pl.DataFrame, **more: Any) -> dict[str, Any]:
    frame = traded(made, market, **more)
    assert frame.height == 1
    return frame.row(0, named=True)


def test_a_long_trade_enters_a_minute_after_the_snapshot_and_leaves_at_the_forecasts_close() -> None:
    market = bars(
        {"10:00": {"open": 99.0, "close": 99.0}, "10:01": {"open": 100.5, "close": 100.5}, "10:14": {"close": 101.0}}
    )
    row = one(forecasts({}), market)
    assert (row["entry_ts"], row["entry_price"]) == (at("10:01"), 100.5)
    assert (row["exit_ts"], row["exit_price"], row["exit_reason"]) == (at("10:15"), 101.0, "forecast_ts")
    quantity = 1.0 * CAPITAL / 100.5
    assert row["quantity"] == pytest.approx(quantity)
    assert row["gross_pnl"] == pytest.approx(quantity * 0.5)
    assert row["cost"] == pytest.approx(quantity * (0.00005 * 201.5 + 0.02))
    assert row["net_pnl"] == pytest.approx(row["gross_pnl"] - row["cost"])
    assert (row["side"], row["size"], row["entry_reason"]) == (1, 1.0, "enhancement")


def test_a_short_trade_mirrors_a_long_one() -> None:
    row = one(forecasts(SHORT), bars({"10:14": {"close": 99.5}}))
    assert (row["side"], row["quantity"]) == (-1, pytest.approx(-1000.0))
    assert row["gross_pnl"] == pytest.approx(500.0)
    assert row["cost"] == pytest.approx(1000 * (0.00005 * 199.5 + 0.02))


def test_the_snapshot_bar_itself_cannot_be_entered_nor_stop_the_trade() -> None:
    row = one(forecasts({}), bars({"10:00": {"low": 50.0, "high": 200.0}}))
    assert (row["entry_ts"], row["exit_reason"]) == (at("10:01"), "forecast_ts")


def test_the_entry_bar_counts_for_the_stop() -> None:
    row = one(forecasts({}), bars({"10:01": {"low": 98.0}}))
    assert (row["exit_reason"], row["exit_price"], row["exit_ts"]) == ("stop", pytest.approx(STOP), at("10:02"))


def test_a_touched_take_fills_at_the_level() -> None:
    row = one(forecasts({}), bars({"10:05": {"high": 102.0}}))
    assert (row["exit_reason"], row["exit_price"], row["exit_ts"]) == ("take", pytest.approx(TAKE), at("10:06"))


def test_a_bar_that_touches_both_counts_as_the_stop() -> None:
    both = bars({"10:05": {"high": 102.0, "low": 98.0}})
    assert one(forecasts({}), both)["exit_reason"] == "stop"
    assert one(forecasts(SHORT), both)["exit_reason"] == "stop"


def test_a_gap_through_a_level_fills_at_the_open() -> None:
    down = one(forecasts({}), bars({"10:05": {"open": 97.0, "close": 97.0}}))
    assert (down["exit_reason"], down["exit_price"]) == ("stop", 97.0)
    up = one(forecasts({}), bars({"10:05": {"open": 103.0, "close": 103.0, "low": 90.0}}))
    assert (up["exit_reason"], up["exit_price"]) == ("take", 103.0)
    short = one(forecasts(SHORT), bars({"10:05": {"open": 103.0, "close": 103.0}}))
    assert (short["exit_reason"], short["exit_price"]) == ("stop", 103.0)


@pytest.mark.parametrize(
    ("changes", "mae", "mfe", "minutes"),
    [
        ({"10:03": {"high": 100.5}, "10:05": {"low": 99.6}, "10:14": {"close": 100.2}}, 99.6, 100.5, 14),
        ({"10:03": {"low": 99.6}, "10:14": {"high": 100.6, "low": 99.4}}, 99.4, 100.6, 14),  # held through the last bar
        (
            {"10:03": {"low": 99.6}, "10:05": {"high": 103.0, "low": 99.1}},
            99.6,
            TAKE,
            5,
        ),  # left at the take: nobody knows
        ({"10:03": {"high": 100.5}, "10:05": {"open": 97.0, "close": 97.0}}, 97.0, 100.5, 5),
        ({"10:05": {"is_filled": True, "low": 50.0, "high": 200.0}}, 100.0, 100.0, 14),
        ({"10:00": {"low": 98.0, "high": 102.0}, "10:15": {"low": 98.0, "high": 102.0}}, 100.0, 100.0, 14),
    ],
)
def test_excursions_are_those_of_the_prices_that_met_the_position(
    changes: Mapping[str, Any], mae: float, mfe: float, minutes: int
) -> None:
    row = one(forecasts({}), bars(changes))
    assert row["mae"] == pytest.approx(math.log(mae / 100), abs=1e-15)
    assert row["mfe"] == pytest.approx(math.log(mfe / 100), abs=1e-15)
    assert row["holding_min"] == minutes


def test_a_short_is_hurt_by_what_helps_a_long() -> None:
    row = one(forecasts(SHORT), bars({"10:03": {"high": 100.5}, "10:05": {"low": 99.6}}))
    assert row["mae"] == pytest.approx(-math.log(1.005))
    assert row["mfe"] == pytest.approx(-math.log(0.996))


def test_capacity_is_a_share_of_what_the_session_traded_a_minute_until_the_snapshot() -> None:
    market = bars({"09:45": {"volume": 3100.0}, "10:00": {"volume": 1e9}, "09:59": {"open": 50.0, "close": 50.0}})
    row = one(forecasts({}), market)
    assert row["capacity"] == pytest.approx(0.1 * (29 * 100 + 3100) / 30 * 50.0)


def test_what_happens_after_the_exit_changes_nothing() -> None:
    row = one(forecasts({}), bars({"10:15": {"low": 50.0, "high": 200.0}}))
    assert row["exit_reason"] == "forecast_ts"


def test_without_the_forecast_exit_the_time_stop_closes_at_the_close_known_at_1555() -> None:
    rules = replace(RULES, exit_at_forecast_ts=False)
    row = one(forecasts({}), bars({"15:54": {"close": 100.7}, "15:55": {"close": 100.9}}), rules=rules)
    assert (row["exit_ts"], row["exit_price"], row["exit_reason"]) == (at("15:55"), 100.7, "time_stop")


def test_the_time_stop_comes_before_a_forecast_that_ends_later() -> None:
    row = one(forecasts({"clock": "15:45"}), bars())
    assert (row["exit_ts"], row["exit_reason"]) == (at("15:55"), "time_stop")
    level = one(forecasts({"clock": "15:40"}), bars())
    assert (level["exit_ts"], level["exit_reason"]) == (at("15:55"), "forecast_ts")


def test_on_an_early_close_the_time_stop_falls_five_minutes_before_it() -> None:
    row = one(forecasts({"clock": "12:45", "day": EARLY}), bars(day=EARLY))
    assert (row["exit_ts"], row["exit_reason"]) == (at("12:55", EARLY), "time_stop")


def test_nothing_is_entered_at_or_after_the_time_stop() -> None:
    assert traded(forecasts({"clock": "15:54"}), bars()).is_empty()
    assert traded(forecasts({"clock": "15:53"}), bars()).height == 1


def test_an_entry_minute_without_a_print_is_no_fill_and_costs_nothing() -> None:
    made = forecasts({}, {"clock": "10:03"})
    halted, filled = traded(made, bars({"10:01": {"is_filled": True}})).rows(named=True)
    assert (halted["entry_reason"], halted["quantity"], halted["net_pnl"], halted["cost"]) == ("halted", 0.0, 0.0, 0.0)
    assert halted["entry_price"] is halted["exit_ts"] is halted["exit_price"] is None
    assert halted["exit_reason"] == ""
    assert filled["entry_ts"] == at("10:04")


def halt(first: str, last: str, reopening: float | None = None) -> pl.DataFrame:
    """A flat session without a print from ``first`` to the minute before ``last``, where it reopens."""
    span = range(int((at(last) - at(first)) / MINUTE))
    minutes = [f"{t:%H:%M}" for t in ((at(first) + i * MINUTE).astimezone(ZoneInfo(calendar.ZONE)) for i in span)]
    reopened = {} if reopening is None else {last: {"open": reopening, "close": reopening}}
    return bars({clock: {"is_filled": True} for clock in minutes} | reopened)


@pytest.mark.parametrize("reopening", [90.0, 99.9, 110.0])
def test_an_exit_due_in_a_halt_is_filled_at_the_first_print_after_it(reopening: float) -> None:
    row = one(forecasts({"clock": "09:45"}), halt("09:50", "10:31", reopening))
    assert (row["exit_ts"], row["exit_price"], row["exit_reason"]) == (at("10:32"), reopening, "forecast_ts")
    pause = one(forecasts({"clock": "09:45"}), halt("09:57", "10:02", reopening))
    assert (pause["exit_ts"], pause["exit_price"]) == (at("10:03"), reopening)


def test_a_halt_over_the_time_stop_is_left_at_the_next_print() -> None:
    rules = replace(RULES, exit_at_forecast_ts=False)
    row = one(forecasts({}), halt("15:50", "15:58", 90.0), rules=rules)
    assert (row["exit_ts"], row["exit_price"], row["exit_reason"]) == (at("15:59"), 90.0, "time_stop")


def test_a_level_touched_in_a_minute_without_a_print_fills_nothing() -> None:
    market = bars({"10:05": {"is_filled": True, "low": 50.0, "high": 200.0}})
    assert one(forecasts({}), market)["exit_reason"] == "forecast_ts"


def test_a_symbol_that_never_prints_again_is_valued_at_its_last_print_and_says_so() -> None:
    row = one(forecasts({}), halt("10:05", "16:00"))
    assert (row["exit_ts"], row["exit_price"], row["exit_reason"]) == (at("16:00"), 100.0, "halted")


def test_a_halt_that_ends_before_anything_is_due_changes_nothing() -> None:
    row = one(forecasts({}), halt("10:03", "10:09", 100.2))
    assert (row["exit_ts"], row["exit_reason"]) == (at("10:15"), "forecast_ts")
    gap = one(forecasts({}), halt("10:03", "10:09", 90.0))
    assert (gap["exit_ts"], gap["exit_price"], gap["exit_reason"]) == (at("10:10"), 90.0, "stop")


def test_five_whole_bars_pass_between_an_exit_and_the_next_entry() -> None:
    market = bars({"10:05": {"high": 102.0}})  # left in the bar of 10:05, cool are 10:06 .. 10:10
    clocks = traded(forecasts({}, {"clock": "10:09"}, {"clock": "10:10"}), market)["entry_ts"].to_list()
    assert clocks == [at("10:01"), at("10:11")]


def test_one_position_at_a_time() -> None:
    frame = traded(forecasts({}, {"clock": "10:05"}, {"clock": "10:10"}), bars())
    assert frame["entry_ts"].to_list() == [at("10:01")]


def test_several_entries_of_one_side_may_be_open_where_they_are_asked_for() -> None:
    made = forecasts({}, {"clock": "10:02"}, {"clock": "10:04"}, {"clock": "10:06"} | SHORT, {"clock": "10:22"} | SHORT)
    two = replace(RULES, max_open_per_symbol=2, daily_trade_cap=None)
    assert reasons(made, bars(), rules=two) == [
        "enhancement", "enhancement", "position_open", "position_open", "enhancement",
    ]  # fmt: skip
    assert reasons(made, bars(), rules=RULES)[:4] == ["enhancement", *["position_open"] * 3]
    early = {"10:05": {"open": 102.0, "high": 102.0}}  # both take their profit at 10:06: five bars rest
    more = forecasts({}, {"clock": "10:02"}, {"clock": "10:09"}, {"clock": "10:10"})
    assert reasons(more, bars(early), rules=two) == ["enhancement", "enhancement", "cooldown", "enhancement"]


TRAILING = replace(RULES, s_trail=0.5, s_take=3.0)
BEHIND = math.exp(-0.5 * SIGMA)


def test_a_trailing_stop_follows_the_best_price_of_the_bars_before() -> None:
    market = bars({"10:03": {"high": 102.0}, "10:05": {"low": 101.0}})
    row = one(forecasts({}), market, rules=TRAILING)
    # at 10:04 the session's flat price of 100 lies below 102 less half a sigma: the open is beyond it
    assert (row["exit_ts"], row["exit_price"], row["exit_reason"]) == (at("10:05"), 100.0, "trail")
    rising = {f"10:{m:02d}": {"open": 101.5, "close": 101.5, "high": 102.0, "low": 101.5} for m in range(3, 9)}
    touched = one(
        forecasts({}), bars(rising | {"10:06": {"open": 101.6, "close": 101.6, "low": 101.0}}), rules=TRAILING
    )
    assert (touched["exit_ts"], touched["exit_reason"]) == (at("10:07"), "trail")
    assert touched["exit_price"] == pytest.approx(102.0 * BEHIND)


def test_a_trailing_stop_hears_nothing_of_its_own_bar_and_mirrors_for_a_short() -> None:
    alone = bars({"10:01": {"high": 102.0, "low": 99.6}})
    assert one(forecasts({}), alone, rules=TRAILING)["exit_ts"] == at("10:03"), (
        "a high of the entry bar counts after it"
    )
    short = one(forecasts(SHORT), bars({"10:03": {"low": 98.0}}), rules=TRAILING)
    assert (short["exit_ts"], short["exit_price"], short["exit_reason"]) == (at("10:05"), 100.0, "trail")


def test_a_trailing_stop_is_named_only_where_it_lies_nearer_than_the_fixed_one() -> None:
    far = replace(RULES, s_trail=1.5)
    row = one(forecasts({}), bars({"10:03": {"low": 98.0}}), rules=far)
    assert (row["exit_reason"], row["exit_price"]) == ("stop", pytest.approx(STOP))
    off = bars({"10:03": {"high": 100.9}, "10:04": {"low": 99.5}})
    assert one(forecasts({}), off)["exit_reason"] == "forecast_ts"


def test_a_symbol_trades_the_horizons_it_is_said_to_and_any_where_nothing_is_said() -> None:
    made = forecasts({}, {"symbol": "BBB"})
    market = pl.concat([bars(), bars(symbol="BBB")])
    assert reasons(made, market, horizons_min={"AAA": (5, 10)}) == ["other_horizon", "enhancement"]
    assert reasons(made, market, horizons_min={"AAA": (15, 15), "CCC": (1, 2)}) == ["enhancement", "enhancement"]
    assert reasons(made, market, horizons_min={"AAA": (16, 30)}) == ["other_horizon", "enhancement"]


def test_the_daily_cap_counts_filled_entries_of_one_symbol_and_day() -> None:
    clocks = ("10:00", "11:00", "12:00", "13:00", "14:00")
    made = forecasts(*({"clock": c, "symbol": s} for c in clocks for s in ("AAA", "BBB")))
    market = pl.concat([bars({"11:01": {"is_filled": True}}), bars(symbol="BBB")])
    frame = traded(made, market, rules=replace(RULES, daily_trade_cap=2))
    assert frame.filter(symbol="AAA")["entry_reason"].to_list() == ["enhancement", "halted", "enhancement"]
    assert frame.filter(symbol="BBB").height == 2
    assert traded(made, market, rules=replace(RULES, daily_trade_cap=None)).filter(symbol="BBB").height == 5


def test_a_session_without_bars_has_no_trades() -> None:
    made = forecasts({"symbol": "AAA"}, {"symbol": "BBB"})
    assert traded(made, bars(symbol="BBB"))["symbol"].to_list() == ["BBB"]
    assert traded(made, BARS.empty()).is_empty()


def test_bars_without_forecasts_have_no_trades() -> None:
    assert ledger(FORECASTS.empty(), bars()).rows() == []
    assert ledger(forecasts({}), bars(), rules=EAGER).height == 1


def test_days_of_a_skipped_event_are_kept_clear_and_an_event_without_days_is_refused() -> None:
    events = EventCalendar({"event_fomc": (DAY,), "event_cpi": (EARLY,)})
    assert traded(forecasts({}), bars(), events=events, skip_events=("event_fomc",)).is_empty()
    assert traded(forecasts({}), bars(), events=events, skip_events=("event_cpi",)).height == 1
    with pytest.raises(UnknownEvent, match="event_nfp"):
        traded(forecasts({}), bars(), events=events, skip_events=("event_nfp",))


@pytest.mark.parametrize(("clock", "entered"), [("9:51", 0), ("10:11", 0), ("9:50", 1), ("10:12", 1)])
def test_nothing_is_entered_near_a_timed_event_both_ends_included(clock: str, entered: int) -> None:
    events = EventCalendar({"event_pmi": (DAY,)}, {"event_pmi": (at(clock),)})
    assert traded(forecasts({}), bars(), events=events, no_trade_buffer_min=10).height == entered


def test_snapshots_in_abnormal_liquidity_are_not_entered_and_say_so() -> None:
    made = forecasts({}, {"clock": "11:00"}, {"clock": "12:00"}, {"clock": "13:00"})
    judged = made.select("day", "symbol", "snapshot_ts").with_columns(
        liquidity=pl.Series(["thin", "normal", "wide_range", "liquidity_unknown"])
    )
    said = ["thin", "enhancement", "wide_range", "liquidity_unknown"]
    assert reasons(made, bars(), liquidity=judged) == said
    assert reasons(made, bars(), liquidity=judged, unjudged="trade") == [*said[:3], "enhancement"]
    assert ledger(made, bars(), liquidity=judged)["liquidity"].to_list() == judged["liquidity"].to_list()


def test_a_snapshot_that_nobody_judged_is_not_taken_for_a_normal_one() -> None:
    nobody = pl.DataFrame(schema=forecasts({}).select("day", "symbol", "snapshot_ts").schema | {"liquidity": pl.String})
    assert reasons(forecasts({}), bars(), liquidity=nobody) == ["liquidity_unknown"]
    assert reasons(forecasts({}), bars()) == ["enhancement"]


def test_every_signal_leaves_a_row_that_says_what_became_of_it() -> None:
    clocks = ("10:00", "10:05", "10:15", "11:00", "12:00", "13:00", "15:54")
    made = forecasts(*({"clock": clock} for clock in clocks), {"clock": "14:00", "q25": -0.1})
    market = bars({"11:01": {"is_filled": True}, "10:15": {"close": 101.0}})
    found = ledger(made, market, rules=replace(RULES, daily_trade_cap=2))
    assert found["entry_reason"].to_list() == [
        "enhancement", "position_open", "cooldown", "halted", "enhancement", "daily_cap", "too_late",
    ]  # fmt: skip
    empty = found.filter(pl.col("quantity") == 0)
    assert empty.height == 5
    assert empty.select(pl.col("net_pnl", "gross_pnl", "cost").abs().sum()).row(0) == (0.0, 0.0, 0.0)
    assert empty.select(pl.col("entry_price", "exit_price", "exit_ts").is_null().all()).row(0) == (True, True, True)


def test_a_signal_turned_away_uses_up_neither_cap_nor_cooldown() -> None:
    made = forecasts({}, {"clock": "10:01"}, {"clock": "10:02"})
    judged = made.select("day", "symbol", "snapshot_ts").with_columns(liquidity=pl.Series(["thin", "thin", "normal"]))
    rules = replace(RULES, daily_trade_cap=1)
    assert reasons(made, bars(), liquidity=judged, rules=rules) == ["thin", "thin", "enhancement"]


def test_sigma_that_is_no_number_asks_for_nothing() -> None:
    for sigma in (math.nan, math.inf, 0.0, None):
        for kind in (LONG, SHORT):
            made = forecasts(kind).with_columns(sigma=pl.lit(sigma, pl.Float64))
            assert ledger(made, bars(), rules=EAGER).is_empty(), sigma


def test_a_price_next_to_nothing_is_too_dear_to_trade_and_one_of_zero_is_none() -> None:
    cheap, void = bars(price=1e-9), bars(price=0.0)
    assert ledger(forecasts({}), cheap).is_empty()
    assert ledger(forecasts({}), void, rules=EAGER).is_empty()
    assert reasons(forecasts({}), bars({"10:01": {"open": 0.0}}), rules=EAGER) == ["halted"]


def test_unaligned_forecasts_are_never_traded() -> None:
    assert traded(forecasts({"label_aligned": False}), bars()).is_empty()


def test_the_cost_of_the_decision_uses_the_price_known_at_the_snapshot() -> None:
    market = bars({"09:59": {"close": 50.0}})
    row = one(forecasts({}), market)
    assert row["ev"] == pytest.approx(0.010 - 2 * (0.00005 + 0.01 / 50.0) - 0.25 * 0.002)


def gate(
    verdict: str,
    *,
    source: str = "baseline",
    bootstrap: str = "block",
    symbol: str = "AAA",
    forecaster: str = "ridge",
) -> pl.DataFrame:
    row = {
        "day": DAY,
        "symbol": symbol,
        "forecaster": forecaster,
        "score_source": source,
        "run_source": "smoke",
        "data_regime": "maintenance_replay",
        "n": 300,
        "passed": verdict == "eligible",
        "reason": verdict,
        "verdict": verdict,
        "bootstrap": bootstrap,
    }
    rows = [row | {"criterion": name} for name in ("eligibility", "rmae")]
    return SYMBOL_GATES.conformed(pl.DataFrame(rows, schema=SYMBOL_GATES.schema))


@pytest.mark.parametrize(
    ("gates", "bootstrap", "eligibility"),
    [
        (gate("eligible"), "block", "eligible"),
        (gate("ineligible"), "trade", None),
        (gate("insufficient_observation", bootstrap="trade"), "block", "insufficient_observation"),
        (gate("insufficient_observation", bootstrap="block"), "trade", None),
        (gate("eligible", source="model"), "block", None),
        (gate("ineligible", source="model"), "trade", "insufficient_observation"),
        (gate("eligible", symbol="BBB"), "block", None),
        (gate("eligible", forecaster="zero"), "block", None),
        (gate("ineligible", forecaster="zero"), "trade", "insufficient_observation"),
    ],
)
def test_a_forecast_needs_the_verdict_of_its_own_forecaster_and_source_triple(
    gates: pl.DataFrame, bootstrap: str, eligibility: str | None
) -> None:
    frame = traded(forecasts({}), bars(), gates=gates, bootstrap=bootstrap)
    assert frame["eligibility"].to_list() == ([] if eligibility is None else [eligibility])


def test_bars_that_end_before_the_exit_are_an_error_with_a_remedy() -> None:
    with pytest.raises(trading.TradingError, match=r"AAA 2025-01-02 end before .* Materialise bars again"):
        traded(forecasts({}), bars().filter(pl.col("ts") < at("10:05")))


def test_a_bootstrap_nobody_knows_is_refused() -> None:
    with pytest.raises(trading.TradingError, match=r"gates\.bootstrap is 'maybe'\. Use one of trade, block"):
        traded(forecasts({}), bars(), bootstrap="maybe")


def walk(seed: int, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
    """Random sessions with jumps and minutes without prints."""
    frames = []
    for day in days:
        for i, symbol in enumerate(symbols):
            rng = np.random.default_rng([seed, i, day.toordinal()])
            n = calendar.session(day).minutes
            close = 100 * np.exp(np.cumsum(rng.normal(0, 0.002, n)))
            filled = rng.random(n) < 0.05
            close = np.array(
                [
                    close[np.flatnonzero(~filled[: k + 1])[-1]] if (~filled[: k + 1]).any() else close[0]
                    for k in range(n)
                ]
            )
            opened = np.where(filled, close, np.r_[close[0], close[:-1]] * np.exp(rng.normal(0, 0.001, n)))
            high = np.where(filled, close, np.maximum(opened, close) * (1 + rng.random(n) * 0.003))
            low = np.where(filled, close, np.minimum(opened, close) * (1 - rng.random(n) * 0.003))
            flat = bars(day=day, symbol=symbol)
            frames.append(
                flat.with_columns(
                    *(
                        pl.Series(c, v)
                        for c, v in zip(("open", "high", "low", "close"), (opened, high, low, close), strict=True)
                    ),
                    pl.Series("is_filled", filled),
                )
            )
    return BARS.conformed(pl.concat(frames))


def signals(seed: int, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for day in days:
        for symbol in symbols:
            for clock in ("10:00", "10:08", "10:20", "11:30", "12:40"):
                q50, low, high = rng.choice([-0.01, 0.0, 0.01]), *rng.uniform(0.001, 0.009, 2)
                q25, q75 = q50 - low, q50 + high
                rows.append({"day": day, "symbol": symbol, "clock": clock, "q25": q25, "q50": q50, "q75": q75})
    return forecasts(*rows)


DAYS = (DAY, date(2025, 1, 3), EARLY)
EVERY = replace(
    COSTS, slippage_ticks={"*": 0.5, "*@10": 2.0}, slippage_bps={"*": 0.2}, borrow_bps={"*": 30.0}, impact=1.0
)
"""Costs of which no part is zero."""
EAGER = replace(RULES, require_positive_ev=False, k_sigma=0.0, daily_trade_cap=5)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_costs_never_help_and_inventory_stays_within_one(seed: int) -> None:
    made, market = signals(seed, ("AAA", "BBB"), DAYS), walk(seed, ("AAA", "BBB"), DAYS)
    free, paid, dear = (
        traded(made, market, rules=EAGER, costs=costs) for costs in (FREE, EVERY, replace(EVERY, multiplier=2.0))
    )
    assert_frame_equal(paid.select(pl.sum_horizontal(*PARTS).alias("cost")), paid.select("cost"))
    assert_frame_equal(paid.select(pl.col("cost") * 2), dear.select("cost"))
    assert_frame_equal(paid.select(net_pnl=pl.col("gross_pnl") - pl.col("cost")), paid.select("net_pnl"))
    priced = ("cost", "net_pnl", "ev", *PARTS)
    assert_frame_equal(free.drop(priced), dear.drop(priced))
    filled = pl.col("quantity") != 0
    assert (free.filter(filled)["net_pnl"] > paid.filter(filled)["net_pnl"]).all()
    assert (paid.filter(filled)["net_pnl"] > dear.filter(filled)["net_pnl"]).all()
    for (_, _), own in free.filter(filled).partition_by("day", "symbol", as_dict=True).items():
        assert (own["exit_ts"].shift(1) <= own["entry_ts"]).drop_nulls().all()
        assert own["quantity"].sign().is_in([-1.0, 1.0]).all()
    assert free.filter(filled).height > 3
    ended = pl.col("side") * (pl.col("exit_price") / pl.col("entry_price")).log()
    done = free.filter(filled)
    assert done.select(((pl.col("mae") <= ended + 1e-12) & (ended <= pl.col("mfe") + 1e-12)).all()).item()
    assert (done["mae"] <= 0).all()
    assert (done["mfe"] >= 0).all()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_day_by_day_and_symbol_by_symbol_equal_all_at_once_in_any_order(seed: int) -> None:
    symbols = ("AAA", "BBB", "CCC")
    made, market = signals(seed, symbols, DAYS), walk(seed, symbols, DAYS)
    whole = traded(made, market, rules=EAGER)
    parts = [
        traded(made.filter(day=day, symbol=symbol), market.filter(day=day, symbol=symbol), rules=EAGER)
        for day in DAYS
        for symbol in symbols
    ]
    assert_frame_equal(TRADES.conformed(pl.concat(parts)), whole)
    shuffled = [frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (made, market)]
    assert_frame_equal(traded(*shuffled, rules=EAGER), whole)
    assert whole.height > 5


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), lag=st.integers(0, 3))
def test_no_trade_opens_before_its_forecast_could_be_known_nor_at_a_price_from_then(seed: int, lag: int) -> None:
    made, market = signals(seed, ("AAA",), (DAY,)), walk(seed, ("AAA",), (DAY,))
    found = traded(made, market, rules=replace(EAGER, entry_lag_bars=lag)).filter(pl.col("quantity") != 0)
    assume(found.height)  # now and then a walk gives nobody a reason
    assert (found["entry_ts"] >= found["snapshot_ts"]).all()
    opens = found.join(market, left_on="entry_ts", right_on="ts")
    assert opens["entry_price"].to_list() == opens["open"].to_list()
    known = pl.col("ts") < found["snapshot_ts"].min()
    prices = ("open", "high", "low")
    other = market.with_columns(pl.when(known).then(pl.col(prices) * 7).otherwise(pl.col(prices)))
    assert_frame_equal(
        traded(made, other, rules=replace(EAGER, entry_lag_bars=lag)).filter(pl.col("quantity") != 0), found
    )


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.5, 2.0, 1000.0]))
def test_scaling_positions_scales_profit_and_cost_and_nothing_else(seed: int, factor: float) -> None:
    made, market = signals(seed, ("AAA",), (DAY,)), walk(seed, ("AAA",), (DAY,))
    linear = replace(EVERY, impact=0.0)
    one = traded(made, market, rules=EAGER, costs=linear)
    other = traded(made, market, rules=EAGER, costs=linear, capital=CAPITAL * factor)
    money = ("quantity", "gross_pnl", *PARTS, "cost", "net_pnl")
    assert_frame_equal(other.drop(money), one.drop(money))
    assert_frame_equal(other.select(money), one.select(pl.col(money) * factor))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_exchanged_names_exchange_the_trades(seed: int) -> None:
    made, market = signals(seed, ("AAA", "BBB"), (DAY,)), walk(seed, ("AAA", "BBB"), (DAY,))
    other = pl.col("symbol").replace({"AAA": "BBB", "BBB": "AAA"})
    exchanged = traded(made.with_columns(other), market.with_columns(other), rules=EAGER)
    assert_frame_equal(TRADES.conformed(exchanged.with_columns(other)), traded(made, market, rules=EAGER))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), minute=st.integers(60, 380))
def test_trades_that_have_ended_do_not_change_when_the_future_does(seed: int, minute: int) -> None:
    made, market = signals(seed, ("AAA",), (DAY,)), walk(seed, ("AAA",), (DAY,))
    then = calendar.session(DAY).open + minute * MINUTE
    prices = ("open", "high", "low", "close")
    shocked = market.with_columns(pl.when(pl.col("ts") >= then).then(pl.col(prices) * 3).otherwise(pl.col(prices)))
    before = pl.col("exit_ts") <= then
    assert_frame_equal(
        traded(made, shocked, rules=EAGER).filter(before), traded(made, market, rules=EAGER).filter(before)
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_zero_signal_gives_no_trades(seed: int) -> None:
    market = walk(seed, ("AAA",), (DAY,))
    zero = forecasts(*({"clock": c, "q25": 0.0, "q50": 0.0, "q75": 0.0} for c in ("10:00", "12:00")))
    for rules in (RULES, EAGER):
        assert traded(zero, market, rules=rules, costs=FREE).is_empty()


def clerk(made: pl.DataFrame, market: pl.DataFrame, rules: trading.Rules) -> list[tuple[Any, ...]]:
    """Trade with a pencil: entry minute, exit minute, exit price, reason; quantity 0 where nothing printed."""
    book: list[tuple[Any, ...]] = []
    tape = {row["ts"]: row for row in market.iter_rows(named=True)}
    busy, count = at("09:30"), 0
    for f in made.sort("snapshot_ts").iter_rows(named=True):
        side = 1 if f["q25"] > 0 and f["q50"] > 0 else -1 if f["q75"] < 0 and f["q50"] < 0 else 0
        now = f["snapshot_ts"] + MINUTE
        wide = f["q75"] - f["q25"] > 4 * f["sigma"]
        if side == 0 or wide or now < busy or count == rules.daily_trade_cap:
            continue
        bar = tape[now]
        if bar["is_filled"]:
            book.append((now, None, None, ""))
            continue
        fixed, take = (bar["open"] * math.exp(-side * SIGMA), bar["open"] * math.exp(side * SIGMA))
        price, why, best = None, "", bar["open"]
        while not why:
            bar = tape[now]
            low, high = (bar["low"], bar["high"])
            trail = best * math.exp(-side * (rules.s_trail or math.inf) * SIGMA)
            stop, name_of_stop = max((side * fixed, "stop"), (side * trail, "trail"))
            stop *= side
            hit_stop, hit_take = (low <= stop, high >= take) if side == 1 else (high >= stop, low <= take)
            gap_stop, gap_take = (
                (bar["open"] <= stop, bar["open"] >= take) if side == 1 else (bar["open"] >= stop, bar["open"] <= take)
            )
            printed, overdue = not bar["is_filled"], now >= f["target_ts"]
            now += MINUTE
            events = [
                (not printed and now == at("16:00"), bar["close"], "halted"),
                (overdue, bar["open"], "forecast_ts"),
                (gap_stop, bar["open"], name_of_stop),
                (gap_take, bar["open"], "take"),
                (hit_stop, stop, name_of_stop),
                (hit_take, take, "take"),
                (now == f["target_ts"], bar["close"], "forecast_ts"),
            ]
            for hit, fill, name in events:
                if hit and (printed or name == "halted"):
                    price, why = fill, name
                    break
            if printed:
                best = max(best, high) if side == 1 else min(best, low)
        book.append((f["snapshot_ts"] + MINUTE, now, price, why))
        busy, count = now + 5 * MINUTE, count + 1
    return book


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), s_trail=st.sampled_from([None, 0.3, 0.8, 1.5]))
def test_the_loop_equals_a_clerk_with_a_pencil(seed: int, s_trail: float | None) -> None:
    made, market = signals(seed, ("AAA",), (DAY,)), walk(seed, ("AAA",), (DAY,))
    rules = replace(EAGER, s_trail=s_trail)
    found = traded(made, market, rules=rules).select("entry_ts", "exit_ts", "exit_price", "exit_reason").rows()
    assert found == [tuple(row) for row in clerk(made, market, rules)]


def test_the_same_input_gives_the_same_rows_twice() -> None:
    made, market = signals(3, ("AAA", "BBB"), DAYS), walk(3, ("AAA", "BBB"), DAYS)
    assert traded(made, market, rules=EAGER).equals(traded(made, market, rules=EAGER))


def test_every_exit_reason_is_told_in_the_docs_and_none_besides() -> None:
    made, market = signals(3, ("AAA", "BBB"), DAYS), walk(3, ("AAA", "BBB"), DAYS)
    seen = set(traded(made, market, rules=EAGER)["exit_reason"]) - {""}
    assert seen <= set(event_loop.EXITS)
    entered = {RULES.rule_set, *event_loop.NOT_ENTERED, *signals_module.TURNED_AWAY}
    assert set(ledger(made, market, rules=EAGER)["entry_reason"]) <= entered
    assert set(event_loop.EXITS) == {"stop", "trail", "take", "forecast_ts", "time_stop", "halted"}
    assert "trail" in set(traded(made, market, rules=replace(EAGER, s_trail=0.5))["exit_reason"])

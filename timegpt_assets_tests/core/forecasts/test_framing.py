"""What a frame must be: returns known by the snapshot, all of them, on one axis that ends there, and nothing later."""

import math
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar, targets
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import framing
from timegpt_assets.core.forecasts.framing import HISTORY, Frame, FrameSpec, frames
from timegpt_assets.core.forecasts.snapshots import Preset, SnapshotSpec, snapshots
from timegpt_assets.core.targets import Target
from timegpt_assets_tests.core.panels import panel

DAY, HALF_DAY = date(2025, 7, 7), date(2025, 7, 3)
WINDOW = (date(2025, 7, 1), date(2025, 7, 2), HALF_DAY, DAY)
SYMBOLS = ("AAA", "BBB")
PANEL = panel(WINDOW, SYMBOLS)
PRESET = Preset(name="p", times=(time(9, 45), time(10, 15), time(15, 15)))
SNAPSHOTS = snapshots([DAY], SnapshotSpec(preset=PRESET, horizon_min=15, calendar=EventCalendar({})))
FIRST, SECOND, LAST = SNAPSHOTS["snapshot_ts"]
KNOWN_AT = pl.col("known_at")


def framed(rows: pl.DataFrame = PANEL, *, asked: pl.DataFrame = SNAPSHOTS, **changed: Any) -> tuple[Frame, ...]:
    usual = {"symbols": SYMBOLS, "target": Target(), "history_days": 3, "sigma_column": "sigma_60m"}
    day = changed.pop("day", DAY)
    return frames(rows, asked, FrameSpec(**(usual | changed)), day=day)


def same(left: Frame, right: Frame) -> bool:
    return left.history.equals(right.history) and left.sigma.equals(right.sigma) and left.left_out == right.left_out


def disturbed(rows: pl.DataFrame, later_than: datetime) -> pl.DataFrame:
    late = later_than < KNOWN_AT
    return rows.with_columns(
        pl.when(late).then(pl.col(name) * 1.5).otherwise(pl.col(name)).alias(name)
        for name in ("clock_price", "sigma_60m", "vol_ewm_60m")
    ).with_columns(is_filled=late | pl.col("is_filled"))


def without(rows: pl.DataFrame, *, symbol: str, since: datetime) -> pl.DataFrame:
    """Return the panel with no print of the symbol from ``since`` on: the last close stands in."""
    halted = (pl.col("symbol") == symbol) & (since <= KNOWN_AT) & (pl.col("day") == since.date())
    return rows.with_columns(is_filled=halted | pl.col("is_filled"))


def test_y_of_every_row_is_the_return_that_became_known_then_by_an_oracle_loop() -> None:
    for frame in framed():
        for symbol in SYMBOLS:
            mine = PANEL.filter(pl.col("symbol") == symbol)
            price = dict(zip(mine["known_at"], mine["clock_price"], strict=True))
            price |= {s.open: 100.0 for s in map(calendar.session, WINDOW)}
            expected = [
                (at, math.log(price[at]) - math.log(price[at - timedelta(minutes=15)]))
                for s in map(calendar.session, WINDOW)
                for at in sorted(price)
                if s.open + timedelta(minutes=15) <= at <= s.close and at <= frame.snapshot_ts
            ]
            got = frame.history.filter(pl.col("symbol") == symbol)
            assert got["known_at"].to_list() == [at for at, _ in expected]
            assert got["y"].to_list() == pytest.approx([y for _, y in expected], abs=1e-15)
            assert len(expected) == 376 + 376 + 196 + (frame.snapshot_ts - FIRST).seconds // 60 + 1


def test_past_returns_reach_back_their_minutes_or_to_the_open_by_an_oracle_loop() -> None:
    history = framed()[-1].history.filter((pl.col("symbol") == "AAA") & (pl.col("day") == DAY))
    mine = PANEL.filter((pl.col("symbol") == "AAA") & (pl.col("day") == DAY))
    prices = [100.0, *mine["clock_price"]]
    assert history["minute"].to_list() == list(range(15, 346))
    for k in framing.PAST_MINUTES:
        expected = [math.log(prices[n]) - math.log(prices[max(n - k, 0)]) for n in history["minute"]]
        assert history[f"past_{k}m"].to_list() == pytest.approx(expected, abs=1e-15)


def test_every_symbol_ends_at_the_snapshot_on_a_gapless_minute_axis() -> None:
    gap = (pl.col("symbol") == "BBB") & (pl.col("day") == date(2025, 7, 2))
    for frame in framed(PANEL.filter(~gap)):
        assert frame.history.schema == HISTORY
        for _, part in frame.history.group_by("symbol"):
            back = range(part.height - 1, -1, -1)
            assert part["ds"].to_list() == [frame.snapshot_ts - timedelta(minutes=n) for n in back]
            assert part["known_at"][-1] == frame.snapshot_ts
            assert part["known_at"].is_sorted()
        sizes = dict(frame.history.group_by("symbol").len().rows())
        assert sizes["AAA"] - sizes["BBB"] == 376


def changes_with_the_future(rows: pl.DataFrame) -> bool:
    seen = framed(rows)
    assert seen[0].history.height > 1000, "a comparison of empty frames would prove nothing"
    return not all(same(frame, framed(disturbed(rows, frame.snapshot_ts))[n]) for n, frame in enumerate(seen))


def test_no_bar_after_the_snapshot_changes_its_frame_and_the_last_one_known_does() -> None:
    assert not changes_with_the_future(PANEL)
    for n, frame in enumerate(framed()):
        just_before = frame.snapshot_ts - timedelta(minutes=1)
        assert not same(frame, framed(disturbed(PANEL, just_before), max_stale_min=999)[n])


@settings(max_examples=15, deadline=None)
@given(minute=st.integers(15, 375), history_days=st.integers(1, 3))
def test_at_any_minute_the_frame_is_the_one_of_a_panel_that_ends_there(minute: int, history_days: int) -> None:
    at = (datetime.combine(DAY, time(9, 30)) + timedelta(minutes=minute)).time()
    spec = SnapshotSpec(preset=Preset(name="p", times=(at,)), horizon_min=15, calendar=EventCalendar({}))
    asked = snapshots([DAY], spec)
    (whole,) = framed(asked=asked, history_days=history_days)
    (live,) = framed(
        PANEL.filter(pl.col("known_at") <= asked["snapshot_ts"][0]), asked=asked, history_days=history_days
    )
    assert same(whole, live)
    assert not whole.left_out


def test_a_forward_label_in_place_of_y_leaves_no_symbol_in(monkeypatch: pytest.MonkeyPatch) -> None:
    known_returns = targets.known_returns

    def forward(rows: pl.DataFrame, *, horizon_min: int) -> pl.DataFrame:
        return known_returns(rows, horizon_min=horizon_min).with_columns(KNOWN_AT.dt.offset_by(f"-{horizon_min}m"))

    monkeypatch.setattr(targets, "known_returns", forward)
    for frame in framed():
        assert frame.history.is_empty()
        assert frame.left_out == dict.fromkeys(SYMBOLS, "no scaled return is known at the snapshot")


def test_a_forward_label_made_beforehand_is_caught_by_the_past_only_test(monkeypatch: pytest.MonkeyPatch) -> None:
    known_returns = targets.known_returns

    def leaking(rows: pl.DataFrame, *, horizon_min: int) -> pl.DataFrame:
        ahead = KNOWN_AT.dt.offset_by(f"-{horizon_min}m")
        y = known_returns(source[0], horizon_min=horizon_min).with_columns(ahead)
        return y.join(rows.select("day", "symbol", "known_at"), on=["day", "symbol", "known_at"], how="semi")

    source = [PANEL]
    monkeypatch.setattr(targets, "known_returns", leaking)
    seen = framed()[1]
    source[0] = disturbed(PANEL, seen.snapshot_ts)
    assert not same(seen, framed(source[0])[1])


def test_sessions_outside_the_window_and_other_symbols_do_not_enter() -> None:
    narrow = framed(history_days=1)
    assert narrow[0].history["day"].unique().sort().to_list() == [HALF_DAY, DAY]
    more = pl.concat([PANEL, panel(WINDOW, ["CCC"])])
    assert all(same(a, b) for a, b in zip(framed(), framed(more), strict=True))
    inside = PANEL.filter(pl.col("day") >= HALF_DAY)
    assert all(same(a, b) for a, b in zip(narrow, framed(inside, history_days=1), strict=True))


def test_all_at_once_equals_symbol_by_symbol_and_snapshot_by_snapshot() -> None:
    whole = framed(PANEL.sample(fraction=1, shuffle=True, seed=1), asked=SNAPSHOTS.reverse(), symbols=SYMBOLS[::-1])
    for n, frame in enumerate(whole):
        (alone,) = framed(asked=SNAPSHOTS.filter(pl.col("snapshot_ts") == frame.snapshot_ts))
        assert same(frame, alone)
        parts = [framed(PANEL.filter(pl.col("symbol") == s), symbols=[s])[n] for s in SYMBOLS]
        assert_frame_equal(frame.history, pl.concat(p.history for p in parts), check_exact=True)
        assert_frame_equal(frame.sigma, pl.concat(p.sigma for p in parts), check_exact=True)


def test_snapshots_that_are_not_asked_or_of_another_day_give_no_frame() -> None:
    unasked = SNAPSHOTS.with_columns(asked=pl.col("snapshot_ts") != SECOND)
    assert [f.snapshot_ts for f in framed(asked=unasked)] == [FIRST, LAST]
    assert framed(asked=SNAPSHOTS.with_columns(day=pl.lit(HALF_DAY))) == ()


def test_a_symbol_without_a_print_of_late_is_left_out_to_the_minute() -> None:
    since = SECOND - timedelta(minutes=4)
    silent = without(PANEL, symbol="BBB", since=since)
    assert framed(silent, max_stale_min=5)[1].left_out == {}
    assert framed(silent, max_stale_min=4)[1].left_out == {"BBB": "stale: no print for 5 minutes, at most 4"}
    assert framed(silent, max_stale_min=4)[0].left_out == {}
    assert framed(silent, max_stale_min=4)[1].history["symbol"].unique().to_list() == ["AAA"]


@pytest.mark.parametrize("sigma", [None, 0.0, float("nan"), float("inf")])
def test_a_symbol_without_variance_is_left_out(sigma: float | None) -> None:
    now = (pl.col("symbol") == "AAA") & (KNOWN_AT == SECOND)
    flat = PANEL.with_columns(sigma_60m=pl.when(now).then(pl.lit(sigma, pl.Float64)).otherwise(pl.col("sigma_60m")))
    frame = framed(flat)[1]
    assert frame.left_out == {"AAA": "no_variance: sigma_60m is null or zero at the snapshot"}
    assert frame.sigma["symbol"].to_list() == ["BBB"]


def test_a_symbol_without_rows_or_whose_first_print_came_late_is_left_out() -> None:
    today = (pl.col("symbol") == "AAA") & (pl.col("day") == DAY)
    assert framed(PANEL.filter(~today))[1].left_out == {"AAA": "no print of the day is known"}
    early = today & (FIRST + timedelta(minutes=25) >= KNOWN_AT)
    late = PANEL.with_columns(
        clock_open=pl.when(today).then(None).otherwise(pl.col("clock_open")),
        clock_price=pl.when(early).then(None).otherwise(pl.col("clock_price")),
    )
    assert [f.left_out.get("AAA", "") for f in framed(late)] == [
        "no print of the day is known",
        "no scaled return is known at the snapshot",
        "",
    ]
    assert framed(late, symbols=("AAA", "ZZZ"))[2].left_out == {"ZZZ": "no print of the day is known"}


def test_short_history_is_left_out_by_both_minima_and_the_provider_s_only_when_given() -> None:
    rows = 376 + 376 + 196 + 1
    assert framed(min_history_samples=rows)[0].left_out == {}
    reason = f"short history: {rows} samples, at least {rows + 1}"
    assert framed(min_history_samples=rows + 1)[0].left_out == dict.fromkeys(SYMBOLS, reason)
    assert framed(provider_min_samples=rows + 1)[0].left_out == dict.fromkeys(SYMBOLS, reason)
    assert framed(provider_min_samples=rows + 1)[1].left_out == {}


def test_y_in_units_of_volatility_is_divided_by_the_volatility_of_its_own_moment() -> None:
    plain, scaled = framed()[1], framed(target=Target(mode="volatility_z"))[1]
    rows = scaled.history.join(PANEL, on=["symbol", "day", "known_at"], how="left").sort("symbol", "ds")
    assert rows["target_scale"].to_list() == rows["vol_ewm_60m"].to_list()
    again = scaled.history.select("symbol", "known_at", y=pl.col("y") * pl.col("target_scale"))
    assert_frame_equal(again, plain.history.select("symbol", "known_at", "y"), abs_tol=1e-15)
    now = PANEL.filter(KNOWN_AT == SECOND).sort("symbol")
    assert scaled.sigma["target_scale"].to_list() == now["vol_ewm_60m"].to_list()
    assert scaled.sigma["sigma"].to_list() == now["sigma_60m"].to_list()


def test_rows_that_cannot_be_scaled_leave_the_axis_and_a_snapshot_that_cannot_leaves_the_symbol_out() -> None:
    holes = (pl.col("symbol") == "AAA") & (pl.col("day") == date(2025, 7, 2)) & (KNOWN_AT.dt.minute() < 10)
    now = (pl.col("symbol") == "BBB") & (KNOWN_AT == SECOND)
    gone = PANEL.with_columns(vol_ewm_60m=pl.when(holes | now).then(None).otherwise(pl.col("vol_ewm_60m")))
    frame = framed(gone, target=Target(mode="volatility_z"))[1]
    assert frame.left_out == {"BBB": "no scaled return is known at the snapshot"}
    assert frame.history["y"].is_finite().all()
    assert frame.history.height == 376 + (376 - 61) + 196 + 31  # 10:00..10:09, ..., 15:09 and 16:00
    assert (frame.history["ds"].diff().drop_nulls() == timedelta(minutes=1)).all()


def test_a_one_minute_target_has_its_own_longer_axis() -> None:
    frame = framed(target=Target(mode="log_return"))[0]
    assert frame.horizon_min == 15
    assert frame.history.height == 2 * (390 + 390 + 210 + 15)
    assert frame.history["y"].to_list() == frame.history["past_1m"].to_list()


def test_a_panel_without_the_volatility_asked_for_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"no column sigma_9m\. Name a volatility feature"):
        framed(sigma_column="sigma_9m")

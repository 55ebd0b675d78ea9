"""What is sent beside y: the clock of history and horizon agree, and the horizon knows what the snapshot knew."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import bulk, framing
from timegpt_assets.core.forecasts.exogenous import CLOCK, PROJECTED, STEP, Exogenous
from timegpt_assets.core.forecasts.framing import Frame, FrameSpec
from timegpt_assets.core.forecasts.snapshots import Preset, SnapshotSpec, snapshots
from timegpt_assets.core.targets import Target
from timegpt_assets_tests.core.panels import panel

DAY, EVENT = date(2025, 1, 29), date(2025, 1, 29)
WINDOW = (*(calendar.shifted(DAY, -back) for back in range(6, 0, -1)), DAY)
SYMBOLS = ("AAA", "BBB")
FLAGS = tuple(name for name in PROJECTED if name.startswith("regime_"))
EVERY = Exogenous(future=("weekday", STEP, *PROJECTED), historic=("sigma_60m",))


def ahead(asked: Exogenous, day: date, snapshot_ts: datetime, horizon: int, symbols: list[str]) -> pl.DataFrame:
    """Return what is told of the horizon of symbols whose history holds nothing that is projected."""
    history = pl.DataFrame({"symbol": symbols})
    return asked.ahead(history, day=day, snapshot_ts=snapshot_ts, horizon_min=horizon)


@cache
def whole() -> pl.DataFrame:
    """Return a panel with a bucket and flags drawn anew every minute: what is carried is told from what comes."""
    made = panel(WINDOW, SYMBOLS)
    draws = np.random.default_rng(11)
    buckets = pl.Series("liquidity_bucket", draws.integers(-1, 3, made.height), dtype=pl.Int8)
    flags = [pl.Series(name, draws.integers(0, 2, made.height)).cast(pl.Boolean) for name in FLAGS]
    return made.with_columns(buckets, *flags)


def asked_at(*times: str, horizon: int = 15) -> pl.DataFrame:
    preset = Preset(name="p", times=tuple(time.fromisoformat(at) for at in times))
    return snapshots([DAY], SnapshotSpec(preset=preset, horizon_min=horizon, calendar=EventCalendar({})))


def framed(asked: pl.DataFrame, rows: pl.DataFrame | None = None, *, make: Any = framing.frames) -> tuple[Frame, ...]:
    spec = FrameSpec(
        symbols=SYMBOLS, target=Target(mode="bp"), history_days=6, sigma_column="sigma_60m", exogenous=EVERY
    )
    return tuple(make(whole() if rows is None else rows, asked, spec, day=DAY))


def told(frame: Frame) -> pl.DataFrame:
    """Return everything that is sent of a frame: history, then horizon."""
    return pl.concat([framing.series(frame).drop("y"), frame.ahead.cast({pl.Float64: pl.Float32})], how="diagonal")


def disturbed(rows: pl.DataFrame, after: datetime) -> pl.DataFrame:
    """Return the panel with every number after a moment another one."""
    later = pl.col("known_at") > after
    return rows.with_columns(
        *(pl.when(later).then(pl.col(n) * 1.5).otherwise(n).alias(n) for n in ("clock_price", "sigma_60m")),
        *(pl.when(later).then(~pl.col(name)).otherwise(name).alias(name) for name in FLAGS),
        liquidity_bucket=pl.when(later).then(1 - pl.col("liquidity_bucket")).otherwise("liquidity_bucket"),
    )


def test_the_minutes_ahead_are_counted_as_a_clerk_would_count_them() -> None:
    session = calendar.session(DAY)
    asked = Exogenous(
        future=("minutes_since_open", "minutes_to_close", "weekday", "event_x", STEP), events={"event_x": (EVENT,)}
    )
    rows = ahead(asked, DAY, session.open + timedelta(minutes=30), 15, ["B", "A"])
    assert rows["symbol"].to_list() == ["A"] * 15 + ["B"] * 15
    for k, row in enumerate(rows.head(15).iter_rows(named=True), start=1):
        assert row["ds"] == session.open + timedelta(minutes=30 + k)
        assert row["minutes_since_open"] == 30 + k
        assert row["minutes_to_close"] == 390 - 30 - k
        assert (row["weekday"], row["event_x"], row[STEP]) == (3, 1.0, k)


def test_history_and_horizon_are_the_same_function_of_the_moment() -> None:
    session = calendar.session(DAY)
    asked = Exogenous(future=tuple(CLOCK))
    moments = pl.DataFrame(
        {"day": [DAY] * 390, "known_at": [session.open + timedelta(minutes=m) for m in range(1, 391)]}
    )
    past = moments.with_columns(open=pl.lit(session.open), close=pl.lit(session.close)).select(
        "known_at", *asked.known()
    )
    assert ahead(asked, DAY, session.open, 390, ["A"]).select(*CLOCK).equals(past.select(*CLOCK))


def test_what_stands_ahead_comes_before_what_does_not() -> None:
    assert Exogenous(future=("weekday",), historic=("sigma_60m",)).names == ("weekday", "sigma_60m")


def test_another_day_does_not_carry_the_event() -> None:
    asked = Exogenous(future=("event_x",), events={"event_x": (EVENT,)})
    other = date(2025, 1, 30)
    assert ahead(asked, other, calendar.session(other).open, 3, ["A"])["event_x"].to_list() == [0.0] * 3


def test_a_name_that_nobody_knows_ahead_is_an_error() -> None:
    with pytest.raises(KeyError):
        ahead(Exogenous(future=("close",)), DAY, calendar.session(DAY).open, 3, ["A"])


@pytest.mark.parametrize("horizon", [7, 15, 20])
def test_the_past_is_counted_in_blocks_as_long_as_the_horizon_the_last_of_which_ends_at_the_snapshot(
    horizon: int,
) -> None:
    (frame,) = framed(asked_at("12:00", horizon=horizon))
    own = frame.history.filter(pl.col("symbol") == "AAA")
    today = own.filter(pl.col("day") == DAY)[STEP].to_list()
    assert today == [(horizon - back % horizon) for back in range(len(today))][::-1]
    by_minute = own.group_by("minute").agg(pl.col(STEP).n_unique())
    assert by_minute[STEP].max() == 1, "the same minute of another session is the same step"
    assert frame.ahead.filter(pl.col("symbol") == "AAA")[STEP].to_list() == list(range(1, horizon + 1))


def test_a_bucket_ahead_is_the_most_frequent_of_earlier_sessions_at_that_minute_by_a_clerk() -> None:
    asked = asked_at("10:00", "15:15")
    for frame in framed(asked):
        for symbol, ds, found in frame.ahead.select("symbol", "ds", "liquidity_bucket").iter_rows():
            counts: Counter[int] = Counter()
            for day in WINDOW[:-1]:
                at = calendar.session(day).open + (ds - calendar.session(DAY).open)
                mine = (pl.col("symbol") == symbol) & (pl.col("known_at") == at)
                counts[whole().filter(mine)["liquidity_bucket"].item()] += 1
            del counts[-1]
            most = max(counts.values(), default=0)
            assert found == min((bucket for bucket, n in counts.items() if n == most), default=-1), (symbol, ds)


def test_a_minute_at_which_no_earlier_bucket_is_known_is_unknown() -> None:
    rows = whole().with_columns(liquidity_bucket=pl.lit(-1, pl.Int8))
    (frame,) = framed(asked_at("10:00"), rows)
    assert set(frame.ahead["liquidity_bucket"]) == {-1.0}


def test_a_regime_ahead_is_the_last_one_known() -> None:
    for frame in framed(asked_at("10:00", "12:00", "15:15")):
        now = whole().filter(pl.col("known_at") == frame.snapshot_ts)
        for symbol in SYMBOLS:
            mine = frame.ahead.filter(pl.col("symbol") == symbol)
            for name in FLAGS:
                assert mine[name].to_list() == [float(now.filter(pl.col("symbol") == symbol)[name].item())] * 15


def test_the_past_of_what_is_projected_is_what_came_true() -> None:
    (frame,) = framed(asked_at("12:00"))
    held = frame.history.join(whole(), on=["symbol", "known_at"], suffix="_true", maintain_order="left")
    assert held.height == frame.history.height > 2_000
    for name in PROJECTED:
        assert held[name].equals(held[f"{name}_true"].cast(pl.Float64), check_names=False)


def test_nothing_told_of_a_snapshot_changes_with_what_comes_after_it_and_the_last_minute_known_does() -> None:
    asked = asked_at("10:00", "12:00", "15:15")
    for n, frame in enumerate(framed(asked)):
        at = frame.snapshot_ts
        assert told(framed(asked, disturbed(whole(), at))[n]).equals(told(frame))
        before = framed(asked, disturbed(whole(), at - timedelta(minutes=1)))[n]
        assert not before.ahead.select(FLAGS).equals(frame.ahead.select(FLAGS))
        other = framed(asked, disturbed(whole(), calendar.session(WINDOW[-2]).open))[n]
        assert not other.ahead["liquidity_bucket"].equals(frame.ahead["liquidity_bucket"])


def test_in_bulk_every_horizon_is_told_what_its_own_snapshot_would_have_been_told() -> None:
    times = ("10:00", "10:15", "11:30", "15:15")
    (frame,) = framed(asked_at(*times), make=bulk.frames)
    assert [window.snapshot_ts for window in frame.windows] == asked_at(*times)["snapshot_ts"].to_list()
    for window in frame.windows:
        end = window.snapshot_ts + timedelta(minutes=15)
        horizon = frame.history.filter(pl.col("known_at").is_between(window.snapshot_ts, end, closed="right"))
        expected = window.ahead.select("symbol", *EVERY.future)
        assert horizon.select("symbol", *EVERY.future).equals(expected)
    first = frame.windows[0]
    past = frame.history.filter(pl.col("known_at") <= first.snapshot_ts)
    assert past.drop("ds").equals(first.history.drop("ds"))
    assert (frame.history["ds"] == frame.history.sort("symbol", "known_at")["ds"]).all()


def test_in_bulk_no_horizon_changes_with_what_comes_after_it_begins() -> None:
    times = ("10:00", "10:15", "11:30")
    asked = asked_at(*times)
    (frame,) = framed(asked, make=bulk.frames)
    for window in frame.windows:
        (other,) = framed(asked, disturbed(whole(), window.snapshot_ts), make=bulk.frames)
        end = window.snapshot_ts + timedelta(minutes=15)
        until, names = pl.col("known_at") <= end, ["symbol", "known_at", *EVERY.future]
        assert other.history.filter(until).select(names).equals(frame.history.filter(until).select(names))


def test_a_symbol_whose_regime_is_not_known_is_left_out_with_the_names_of_the_columns() -> None:
    now = (pl.col("symbol") == "AAA") & (pl.col("known_at") == asked_at("12:00")["snapshot_ts"][0])
    unknown = pl.when(now).then(None).otherwise("regime_up")
    (frame,) = framed(asked_at("12:00"), whole().with_columns(regime_up=unknown))
    reason = "no scaled return or no liquidity_bucket or no regime_up or no regime_volatile or no regime_stress or no "
    assert frame.left_out == {"AAA": f"{reason}sigma_60m is known at the snapshot"}

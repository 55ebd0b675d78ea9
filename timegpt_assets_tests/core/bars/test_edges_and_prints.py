"""The session's edges and lone prints: crosses, hours that lie off, wicks, levels, ticks, and shares of nothing."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.quality_rules import RULES, QualityPolicy
from timegpt_assets.core.tables.bars import QUALITY
from timegpt_assets_tests.core.bars.bars_factory import (
    DAYS,
    keys_of,
    needs_real_data,
    raw_bars,
    real_raw,
    with_extended_hours,
    without,
)

DAY = DAYS[1]
POLICY = QualityPolicy()
OPEN = calendar.session(DAY).open
MINUTE = timedelta(minutes=1)


def verdicts(raw: pl.DataFrame, policy: QualityPolicy = POLICY, keys: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the verdicts of every session and symbol of the rows."""
    keys = keys_of(raw) if keys is None else keys
    return session_grid.quality(raw, keys=keys, sessions=calendar.sessions_frame(keys["day"].unique()), policy=policy)


def gridded(raw: pl.DataFrame, policy: QualityPolicy = POLICY) -> pl.DataFrame:
    """Return the grid of the days that may be used."""
    sessions = calendar.sessions_frame(raw["day"].unique())
    return session_grid.grid(raw, verdicts(raw, policy), sessions=sessions, policy=policy)


def moved(raw: pl.DataFrame, minutes: int) -> pl.DataFrame:
    """Return the rows stamped so many minutes off."""
    stamped = raw.with_columns(pl.col("ts") + timedelta(minutes=minutes))
    return stamped.with_columns(day=pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date())


def one(raw: pl.DataFrame, symbol: str = "AAA") -> dict[str, object]:
    """Return the verdict of DAY."""
    return verdicts(raw).row(by_predicate=(pl.col("symbol") == symbol) & (pl.col("day") == DAY), named=True)


def at(raw: pl.DataFrame, minute: int, symbol: str = "AAA") -> pl.Expr:
    """Return whether a row is that minute of DAY."""
    return (pl.col("symbol") == symbol) & (pl.col("ts") == OPEN + minute * MINUTE)


def changed(raw: pl.DataFrame, minute: int, **values: pl.Expr) -> pl.DataFrame:
    """Return the rows with values of one minute of AAA on DAY replaced."""
    return raw.with_columns(pl.when(at(raw, minute)).then(v).otherwise(c).alias(c) for c, v in values.items())


@pytest.mark.parametrize("wanted", ["merge", "keep", "drop"])
def test_extended_hours_change_no_bar_of_the_session_whatever_becomes_of_crosses(wanted: str) -> None:
    policy = QualityPolicy(auction_open=wanted, auction_close=wanted)
    raw = without(raw_bars(), "BBB", DAY, range(0, 1))
    assert_frame_equal(gridded(with_extended_hours(raw), policy), gridded(raw, policy))
    assert verdicts(with_extended_hours(raw), policy)["crosses"].sum() == 0


def test_a_name_without_its_first_minute_gets_a_cross_for_it_but_no_trade_of_extended_hours() -> None:
    raw = without(raw_bars(), "AAA", DAY, range(0, 1))
    print_before = raw.filter(at(raw, 1)).with_columns(ts=pl.lit(OPEN - MINUTE).cast(pl.Datetime("us", "UTC")), row=-1)
    before = pl.concat([raw, print_before.cast(raw.schema)])
    first = gridded(before).filter(at(raw, 0)).row(0, named=True)
    assert not first["is_filled"]
    for minutes, name in ((-30, "an earlier row"), (391 + 30, "a later row")):
        other = print_before.with_columns(ts=pl.lit(OPEN + minutes * MINUTE).cast(pl.Datetime("us", "UTC")), row=-2)
        grid = gridded(pl.concat([before, other.cast(raw.schema)]))
        assert grid.filter(at(raw, 0)).select("is_filled", "open").row(0) == (True, None), name


def test_a_closing_cross_is_a_print_at_the_close_that_nothing_follows() -> None:
    merging, raw = QualityPolicy(auction_close="merge"), raw_bars()
    last = raw.filter(at(raw, 389)).with_columns(pl.col("ts") + MINUTE, row=pl.lit(9_000, pl.Int64), close=101.0)
    last = last.with_columns(high=pl.max_horizontal("high", "close"), low=pl.min_horizontal("low", "close"))
    crossed = pl.concat([raw, last])
    assert gridded(crossed, merging).filter(at(raw, 389))["close"].to_list() == [101.0]
    later = last.with_columns(pl.col("ts") + MINUTE, pl.col("row") + 1)
    assert_frame_equal(gridded(pl.concat([crossed, later]), merging), gridded(raw, merging))


@needs_real_data
def test_the_real_session_inside_made_hours_keeps_its_bars_and_moved_by_hours_no_day_passes() -> None:
    raw = real_raw("mag7_spy_2025")
    wide = with_extended_hours(raw)
    assert_frame_equal(gridded(wide), gridded(raw))
    for minutes in (-300, -240, -60, 60, 300):
        found = verdicts(moved(wide, minutes), keys=keys_of(raw))
        assert found["verdict"].unique().to_list() == ["quarantined"]
        assert found["shifted_min"].unique().to_list() == [minutes]


@needs_real_data
@pytest.mark.parametrize("until", ["15:00", "15:23", "14:30"])
def test_a_real_day_cut_short_inside_made_hours_is_incomplete_and_not_moved(until: str) -> None:
    raw = with_extended_hours(real_raw("mag7_spy_2025"))
    clock = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.strftime("%H:%M")
    found = verdicts(raw.filter((pl.col("day") < raw["day"].max()) | (clock < until)))
    assert found["shifted_min"].unique().to_list() == [0]
    assert found.filter(day=raw["day"].max())["verdict"].unique().to_list() == ["quarantined"]


@pytest.mark.parametrize("hours", [1, -1, 5, -4])
def test_a_session_without_volume_that_lies_hours_off_is_told_by_its_rows(hours: int) -> None:
    silent = moved(raw_bars().with_columns(volume=0.0), 60 * hours)
    found = verdicts(silent.filter(pl.col("day").is_in(DAYS)), keys=keys_of(raw_bars()))
    assert found["shifted_min"].unique().to_list() == [60 * hours]


@pytest.mark.parametrize("hours", [1, -1, 3, -4, 0])
def test_where_volume_is_the_same_all_day_the_ends_of_extended_hours_tell(hours: int) -> None:
    flat = moved(with_extended_hours(raw_bars()).with_columns(volume=100.0), 60 * hours)
    found = verdicts(flat.filter(pl.col("day").is_in(DAYS)), keys=keys_of(raw_bars()))
    assert found["shifted_min"].unique().to_list() == [60 * hours]
    assert found["verdict"].unique().to_list() == ["quarantined" if hours else "ok"]


def test_early_news_and_late_trade_do_not_move_a_session() -> None:
    raw = with_extended_hours(raw_bars(days=DAYS[:2]))
    minute = (pl.col("ts") - pl.col("ts").dt.truncate("1d")).dt.total_minutes()
    news = minute.is_between(13 * 60 + 30, 14 * 60 + 29)  # 08:30 to 09:30: the hour after the numbers
    late = minute.is_between(21 * 60, 22 * 60)
    loud = raw.with_columns(volume=pl.when(news | late).then(pl.col("volume") * 12).otherwise("volume"))
    assert verdicts(loud)["verdict"].unique().to_list() == ["ok"]


def test_edges_seen_an_hour_early_move_nothing_that_holds_more_volume_in_its_place() -> None:
    """Early news and a heavy half hour before three draw edges; late trade hides the close. The day is where it is."""
    raw = with_extended_hours(raw_bars(days=DAYS[:2], symbols=["AAA"]))
    slot = (pl.col("ts") - pl.col("ts").dt.truncate("1d")).dt.total_minutes().floordiv(30) - 29
    heavy = pl.when(slot.is_between(0, 12)).then(100.0).when(slot.is_between(-2, -1)).then(12.0).otherwise(5.0)
    volume = pl.when(slot == 10).then(250.0).when(slot == 13).then(80.0).otherwise(heavy)
    found = verdicts(raw.with_columns(volume=volume))
    assert found.select("verdict", "shifted_min").unique().rows() == [("ok", 0)]


@pytest.mark.parametrize("minute", [1, 5, 100, 389])
@pytest.mark.parametrize("side", ["high", "low"])
def test_a_lone_print_is_flagged_named_and_held_to_the_rest_of_its_minute(minute: int, side: str) -> None:
    raw = raw_bars()
    bad = changed(raw, minute, **{side: pl.col(side) * (1.12 if side == "high" else 0.88)})
    row = one(bad)
    assert (row["verdict"], row["rules"], row["wicks"]) == ("warned", "wicks", 1)
    assert f'"ts": "{OPEN + minute * MINUTE:%Y-%m-%dT%H:%M:%SZ}"' in str(row["offending"])
    held, plain = (gridded(frame).filter(at(raw, minute)).row(0, named=True) for frame in (bad, raw))
    assert held[side] == (max if side == "high" else min)(plain["open"], plain["close"])
    assert {n: held[n] for n in held if n != side} == {n: plain[n] for n in plain if n != side}
    assert_frame_equal(gridded(bad).filter(~at(raw, minute)), gridded(raw).filter(~at(raw, minute)))
    kept = gridded(bad, QualityPolicy(wicks="keep")).filter(at(raw, minute))[side]
    assert kept.to_list() == bad.filter(at(raw, minute))[side].to_list()


def test_a_lone_first_print_opens_its_minute_at_the_close_before() -> None:
    raw = raw_bars()
    bad = changed(raw, 100, open=pl.col("open") * 0.9, low=pl.col("low") * 0.9)
    held = gridded(bad).filter(at(raw, 100)).row(0, named=True)
    before = raw.filter(at(raw, 99))["close"][0]
    assert held["open"] == before
    assert held["low"] == min(before, held["close"])


def test_what_comes_after_a_minute_decides_nothing_about_its_prints() -> None:
    raw = changed(raw_bars(), 200, high=pl.col("high") * 1.05)
    later = (pl.col("ts") > OPEN + 200 * MINUTE) & (pl.col("day") == DAY)
    prices = [pl.when(later).then(pl.col(c) * 1.05).otherwise(c).alias(c) for c in ("open", "high", "low", "close")]
    until = pl.col("ts") <= OPEN + 200 * MINUTE
    assert_frame_equal(gridded(raw).filter(until), gridded(raw.with_columns(prices)).filter(until))


def test_a_price_that_moves_as_fast_as_its_high_has_no_lone_print() -> None:
    raw = raw_bars()
    rising = changed(raw, 100, close=pl.col("close") * 1.03, high=pl.col("high") * 1.05)
    assert one(rising)["wicks"] == 0
    assert one(changed(raw, 0, high=pl.col("high") * 1.03))["wicks"] == 0, "an opening has nothing to be compared with"
    assert one(changed(raw, 0, high=pl.col("high") * 1.08))["wicks"] == 1


@pytest.mark.parametrize("factor", [6.5, 0.154, 1e9, 1.75])
def test_an_opening_far_from_the_close_before_is_quarantined_at_any_ratio_until_it_is_named(factor: float) -> None:
    raw = raw_bars()
    from_day = pl.col("day") >= DAY
    level = raw.with_columns(
        pl.when(from_day).then(pl.col(c) * factor).otherwise(c).alias(c) for c in ("open", "high", "low", "close")
    )
    closes = session_grid.previous_closes(level, days=DAYS)
    known = {"keys": keys_of(level), "sessions": calendar.sessions_frame(DAYS), "closes": closes}
    found = session_grid.quality(level, policy=QualityPolicy(max_price=1e15), **known).filter(day=DAY)
    assert found["rules"].unique().to_list() == ["overnight"]
    real = QualityPolicy(max_price=1e15, splits={(symbol, DAY): 1.0 for symbol in ("AAA", "BBB", "SPY")})
    assert session_grid.quality(level, policy=real, **known)["verdict"].unique().to_list() == ["ok"]


@pytest.mark.parametrize("price", [4.0, 0.5, 30.0])
def test_a_stock_that_moves_by_single_ticks_has_no_outliers(price: float) -> None:
    """Half of the moves are zero, as at a dollar or four: the median deviation is then next to nothing."""
    raw, random = raw_bars(), np.random.default_rng(3)
    tick = 0.01 if price >= 1 else 0.0001
    steps = pl.Series(random.choice([-1, 0, 0, 0, 1], raw.height))
    close = pl.lit(price) + tick * (steps.cum_sum() % 20)
    ticking = raw.with_columns(dict.fromkeys(("open", "high", "low", "close"), close)["close"].alias(c) for c in
        ("open", "high", "low", "close"))  # fmt: skip
    assert verdicts(ticking)["outliers"].sum() == 0
    factor = {4.0: 2.2, 0.5: 1.1, 30.0: 1.1}[price]  # a tick is a cent, and a hundredth of one under a dollar
    spike = changed(ticking, 100, close=pl.col("close") * factor, high=pl.col("high") * factor)
    assert verdicts(spike, QualityPolicy(max_minute_move=5.0))["outliers"].sum() == 2


def test_every_rule_is_silent_where_there_is_nothing_to_take_a_share_of() -> None:
    empty = pl.DataFrame(
        [{name: 0 if dtype == pl.Int64 else None for name, dtype in QUALITY.schema.items()} | {"rows_raw": 5}],
        schema=QUALITY.schema,
    )
    for name, rule in RULES.items():
        broken = empty.with_columns(rows_expected=pl.lit(0)).select(rule.is_broken(POLICY)).item()
        assert not broken, name


def test_a_day_of_rows_none_of_which_is_usable_breaks_no_rule_about_shares_of_them() -> None:
    raw = raw_bars().with_columns(pl.when(pl.col("day") == DAY).then(-pl.col("low")).otherwise("low").alias("low"))
    row = one(raw)
    assert (row["rows_session"], row["verdict"]) == (0, "quarantined")
    assert "zero_volume" not in str(row["rules"])
    assert "without volume" not in str(row["reason"])


def test_each_message_ends_with_the_remedy_of_its_own_cause() -> None:
    remedies = [rule.remedy for rule in RULES.values()]
    shared = {remedy for remedy in remedies if remedies.count(remedy) > 1}
    assert shared == set()
    assert all(remedy[0].isupper() and not remedy.endswith(".") for remedy in remedies)

"""Facts, verdicts and the session grid."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.quality_rules import DEFAULT_SEVERITY, QualityPolicy
from timegpt_assets.core.tables.bars import BARS, QUALITY
from timegpt_assets_tests.core.bars.bars_factory import (
    DAYS,
    LENIENT,
    grid_of,
    keys_of,
    needs_real_data,
    raw_bars,
    real_raw,
    without,
)

DAY, HALF_DAY = DAYS[1], DAYS[2]
FATES = ("rows_session", "auction", "duplicates", "conflicts", "outside", "off_minute", "broken_ohlc")
DEFAULT = QualityPolicy()


def verdicts(raw: pl.DataFrame, policy: QualityPolicy = DEFAULT, keys: pl.DataFrame | None = None) -> pl.DataFrame:
    keys = keys_of(raw) if keys is None else keys
    return session_grid.quality(raw, keys=keys, sessions=calendar.sessions_frame(keys["day"]), policy=policy)


def row_of(frame: pl.DataFrame, symbol: str, day: date) -> dict[str, object]:
    return frame.row(by_predicate=(pl.col("symbol") == symbol) & (pl.col("day") == day), named=True)


def changed(raw: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    """Return the rows with some values of one row of AAA replaced."""
    here = (pl.col("symbol") == "AAA") & (pl.col("row") == row)
    return raw.with_columns(pl.when(here).then(pl.lit(v)).otherwise(c).alias(c) for c, v in values.items())


def cross(raw: pl.DataFrame, *, price: float, volume: float) -> pl.DataFrame:
    """Return one print of AAA a minute before the open of DAY."""
    first = raw.filter(pl.col("symbol") == "AAA", pl.col("day") == DAY).head(1)
    prices = {c: pl.lit(price) for c in ("open", "high", "low", "close")}
    return first.with_columns(ts=pl.col("ts") - timedelta(minutes=1), row=pl.lit(-1, pl.Int64), volume=volume, **prices)


def test_complete_sessions_are_ok_and_half_days_count_their_own_minutes():
    quality = verdicts(raw_bars())
    assert quality["verdict"].unique().to_list() == ["ok"]
    assert quality["reason"].unique().to_list() == [""]
    assert row_of(quality, "AAA", HALF_DAY)["rows_expected"] == 210
    assert row_of(quality, "AAA", DAY)["rows_expected"] == 390
    assert QUALITY.errors(quality) == []


def test_a_key_without_rows_is_no_data_and_has_no_bars():
    raw = raw_bars().filter(~((pl.col("symbol") == "BBB") & (pl.col("day") == DAY)))
    quality = verdicts(raw)
    row = row_of(quality, "BBB", DAY)
    assert (row["verdict"], row["rows_raw"], row["longest_fill"], row["filled"]) == ("no_data", 0, 390, 390)
    grid = session_grid.grid(raw, quality, sessions=calendar.sessions_frame(DAYS), policy=DEFAULT)
    assert grid.filter(pl.col("symbol") == "BBB", pl.col("day") == DAY).is_empty()
    assert quality.height == len(DAYS) * 3


def test_no_rows_at_all_is_a_verdict_for_every_key():
    raw = raw_bars()
    quality = verdicts(raw.clear(), keys=keys_of(raw))
    assert quality["verdict"].to_list() == ["no_data"] * 12
    assert (
        session_grid.grid(raw.clear(), quality, sessions=calendar.sessions_frame(DAYS), policy=DEFAULT).schema
        == BARS.schema
    )


@pytest.mark.parametrize(("missing", "verdict"), [(19, "ok"), (20, "quarantined")])
def test_completeness_below_95_percent_of_the_session_quarantines(missing: int, verdict: str):
    scattered = [range(2 * n, 2 * n + 1) for n in range(1, missing + 1)]
    raw = raw_bars()
    for minutes in scattered:
        raw = without(raw, "AAA", DAY, minutes)
    row = row_of(verdicts(raw), "AAA", DAY)
    assert (row["verdict"], row["filled"], row["longest_fill"]) == (verdict, missing, 1)


@pytest.mark.parametrize(("minutes", "verdict"), [(range(50, 55), "ok"), (range(50, 56), "quarantined")])
def test_a_sustained_hole_quarantines_though_the_day_is_complete_enough(minutes: range, verdict: str):
    row = row_of(verdicts(without(raw_bars(), "AAA", DAY, minutes)), "AAA", DAY)
    assert (row["verdict"], row["longest_fill"]) == (verdict, len(minutes))


@pytest.mark.parametrize("minutes", [range(0, 6), range(384, 390)])
def test_a_hole_at_either_end_of_the_session_counts(minutes: range):
    assert row_of(verdicts(without(raw_bars(), "AAA", DAY, minutes)), "AAA", DAY)["longest_fill"] == 6


@pytest.mark.parametrize(
    "values",
    [
        {"high": 1.0},
        {"low": 1e6},
        {"volume": -1.0},
        {"close": float("nan")},
        {"open": None},
        {"volume": None},
        {"high": float("inf")},
        {"low": -5.0},
    ],
)
def test_an_impossible_row_quarantines_its_key_and_never_reaches_the_grid(values: dict[str, object]):
    raw = changed(raw_bars(), 400, **values)
    row = row_of(verdicts(raw), "AAA", DAY)
    assert (row["verdict"], row["broken_ohlc"], row["filled"]) == ("quarantined", 1, 1)
    assert "impossible" in str(row["reason"])
    grid = grid_of(raw)
    assert BARS.errors(grid) == []
    assert grid.filter("is_filled").height == 1


def test_identical_duplicates_are_dropped_with_a_warning_and_conflicts_quarantine():
    raw = raw_bars()
    again = raw.filter(pl.col("symbol") == "AAA", pl.col("row") == 400).with_columns(row=pl.lit(9000, pl.Int64))
    twice = verdicts(pl.concat([raw, again]))
    assert (row_of(twice, "AAA", DAY)["verdict"], row_of(twice, "AAA", DAY)["duplicates"]) == ("warned", 1)
    assert_frame_equal(grid_of(pl.concat([raw, again])), grid_of(raw))
    other = again.with_columns(volume=pl.col("volume") + 1)
    row = row_of(verdicts(pl.concat([raw, other])), "AAA", DAY)
    assert (row["verdict"], row["conflicts"], row["reason"]) == (
        "quarantined",
        1,
        "1 rows contradict another of their minute. Keep one row a minute, the one that is right. "
        "1 rows out of time order. Sort the file by ts.",
    )
    assert_frame_equal(grid_of(pl.concat([other, raw])), grid_of(raw))


def test_rows_outside_the_session_are_dropped_and_are_no_fault():
    raw = raw_bars()
    night = raw.filter(pl.col("day") == HALF_DAY).with_columns(
        ts=pl.col("ts") + timedelta(hours=5), row=pl.col("row") + 10_000
    )
    row = row_of(verdicts(pl.concat([raw, night])), "AAA", HALF_DAY)
    assert (row["verdict"], row["outside"]) == ("ok", 210)
    assert_frame_equal(grid_of(pl.concat([raw, night])), grid_of(raw))


def test_a_row_that_does_not_begin_on_a_minute_quarantines():
    raw = raw_bars()
    odd = raw.filter(pl.col("symbol") == "AAA", pl.col("row") == 400).with_columns(
        ts=pl.col("ts") + timedelta(seconds=7)
    )
    row = row_of(verdicts(pl.concat([raw, odd])), "AAA", DAY)
    assert (row["verdict"], row["off_minute"]) == ("quarantined", 1)


def test_an_outlier_only_warns():
    row = row_of(verdicts(changed(raw_bars(), 400, close=120.0, high=120.0)), "AAA", DAY)
    assert (row["verdict"], row["outliers"]) == ("warned", 2)


def test_several_broken_rules_are_all_named_and_the_gravest_decides():
    raw = without(changed(raw_bars(), 400, volume=-1.0), "AAA", DAY, range(100, 140))
    row = row_of(verdicts(raw), "AAA", DAY)
    assert row["verdict"] == "quarantined"
    assert str(row["reason"]).startswith("349 of 390 minutes, under 95.0%. Fetch the whole day, name it in")
    assert "1 rows of impossible prices or volume. Mend or delete" in str(row["reason"])
    assert row_of(verdicts(raw, LENIENT), "AAA", DAY)["verdict"] == "warned"
    ignoring = QualityPolicy(severity=dict.fromkeys(DEFAULT_SEVERITY, "ignore"))
    assert row_of(verdicts(raw, ignoring), "AAA", DAY)["reason"] == ""


def test_the_opening_cross_joins_the_first_minute():
    raw = raw_bars()
    first = raw.row(by_predicate=(pl.col("symbol") == "AAA") & (pl.col("row") == 390), named=True)
    crossed = pl.concat([raw, cross(raw, price=150.0, volume=5000.0)])
    row = row_of(verdicts(crossed), "AAA", DAY)
    assert (row["verdict"], row["auction"], row["rows_session"]) == ("ok", 1, 390)
    merged = grid_of(crossed).row(by_predicate=(pl.col("symbol") == "AAA") & (pl.col("ts") == first["ts"]), named=True)
    assert (merged["open"], merged["high"], merged["low"]) == (150.0, 150.0, first["low"])
    assert (merged["close"], merged["volume"]) == (first["close"], first["volume"] + 5000.0)


def test_keep_takes_the_price_of_the_cross_and_drop_nothing():
    raw = raw_bars()
    crossed = pl.concat([raw, cross(raw, price=150.0, volume=5000.0)])
    plain = grid_of(raw)
    kept = grid_of(crossed, QualityPolicy(auction_open="keep"))
    assert_frame_equal(kept.select("ts", "symbol", "volume", "close"), plain.select("ts", "symbol", "volume", "close"))
    assert kept.filter(pl.col("open") == 150.0).height == 1
    dropping = QualityPolicy(auction_open="drop")
    assert_frame_equal(grid_of(crossed, dropping), plain)
    assert row_of(verdicts(crossed, dropping), "AAA", DAY)["outside"] == 1


def test_the_cross_stands_for_a_missing_first_minute():
    raw = without(raw_bars(), "AAA", DAY, range(0, 1))
    grid = grid_of(pl.concat([raw, cross(raw, price=99.0, volume=5000.0)]))
    row = grid.filter(pl.col("symbol") == "AAA", pl.col("day") == DAY).row(0, named=True)
    assert (row["open"], row["close"], row["volume"], row["is_filled"]) == (99.0, 99.0, 5000.0, False)


def test_minutes_without_a_print_carry_the_last_close_and_leading_ones_nothing():
    raw = without(
        without(without(raw_bars(), "AAA", DAY, range(0, 3)), "AAA", DAY, range(50, 60)), "AAA", DAY, range(380, 390)
    )
    session = grid_of(raw).filter(pl.col("symbol") == "AAA", pl.col("day") == DAY)
    prices = ["open", "high", "low", "close"]
    assert session.height == 390
    assert session["is_filled"].arg_true().to_list() == [*range(3), *range(50, 60), *range(380, 390)]
    assert session[:3].select(prices).null_count().row(0) == (3, 3, 3, 3)
    for first, last in ((50, 60), (380, 390)):
        held = session["close"][first - 1]
        assert set(session[first:last].select(prices).to_numpy().ravel()) == {held}
    assert session.filter("is_filled")["volume"].unique().to_list() == [0.0]


def test_nothing_is_carried_from_one_session_to_the_next():
    grid = grid_of(
        without(raw_bars(), "AAA", DAYS[3], range(0, 390)).vstack(
            raw_bars().filter(pl.col("symbol") == "AAA", pl.col("day") == DAYS[3]).tail(1)
        )
    )
    session = grid.filter(pl.col("symbol") == "AAA", pl.col("day") == DAYS[3])
    assert session["close"].null_count() == 389


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dropped=st.floats(0, 0.5))
def test_every_delivered_row_has_one_fate_and_the_grid_keeps_its_table(seed: int, dropped: float):
    raw = raw_bars(days=DAYS[1:3], symbols=["AAA", "BBB"])
    messy = pl.concat([
        raw.sample(fraction=1 - dropped, seed=seed),
        raw.sample(n=20, seed=seed + 1).with_columns(row=pl.col("row") + 10_000),
        raw.sample(n=20, seed=seed + 2).with_columns(row=pl.col("row") + 20_000, close=pl.col("close") * 1.1),
        raw.sample(n=20, seed=seed + 3).with_columns(row=pl.col("row") + 30_000, ts=pl.col("ts") - timedelta(hours=8)),
    ])  # fmt: skip
    quality = verdicts(messy)
    assert quality["rows_raw"].sum() == messy.height
    assert (quality.select(pl.sum_horizontal(FATES)).to_series() == quality["rows_raw"]).all()
    grid = grid_of(messy)
    assert BARS.errors(grid) == []
    assert grid.height == 2 * (390 + 210)
    assert grid.filter(~pl.col("is_filled")).height == quality["rows_session"].sum()


def test_facts_and_grid_are_the_same_day_by_day_and_whatever_the_order_delivered():
    raw = without(raw_bars(), "AAA", DAY, range(50, 60))
    whole = verdicts(raw.sample(fraction=1.0, shuffle=True, seed=3))
    single = [verdicts(raw, keys=keys_of(raw).filter(pl.col("day") == day)) for day in DAYS]
    assert_frame_equal(whole, pl.concat(single).sort("day", "symbol"))
    assert_frame_equal(grid_of(raw), grid_of(raw.sample(fraction=1.0, shuffle=True, seed=4)))


def test_a_day_that_is_no_session_names_the_day_and_the_remedy():
    raw = raw_bars()
    with pytest.raises(ValueError, match=r"2024-11-29 .*ask for sessions only\.$"):
        session_grid.quality(
            raw, keys=keys_of(raw), sessions=calendar.sessions_frame([DAYS[0], DAYS[1], DAYS[3]]), policy=DEFAULT
        )


@pytest.mark.parametrize(
    "values", [{"auction_open": "guess"}, {"severity": {"incomplete": "shrug"}}, {"severity": {"x": "warn"}}]
)
def test_a_policy_of_unknown_names_is_refused_with_the_names_known(values: dict[str, object]):
    with pytest.raises(ValueError, match="is unknown; write one of"):
        QualityPolicy(**values)


def test_a_named_halt_keeps_the_day_of_its_symbol_with_what_was_printed_before_it_and_no_other():
    raw = without(without(raw_bars(), "AAA", DAY, range(20, 61)), "BBB", DAY, range(20, 61))
    unnamed, named = QualityPolicy(), QualityPolicy(halts={("AAA", DAY)})
    for policy, expected in ((unnamed, ["quarantined", "quarantined"]), (named, ["ok", "quarantined"])):
        quality = verdicts(raw, policy).filter(pl.col("day") == DAY, pl.col("symbol").is_in(["AAA", "BBB"]))
        assert quality.sort("symbol")["verdict"].to_list() == expected
        assert quality["longest_fill"].to_list() == [41, 41], "the minutes are still counted"
    grid = grid_of(raw, named).filter(pl.col("day") == DAY, pl.col("symbol") == "AAA")
    assert (grid.height, grid["is_filled"].sum()) == (390, 41)


@needs_real_data
def test_the_real_set_of_2025_is_all_ok_and_seven_minutes_of_meta_are_filled():
    raw = real_raw("mag7_spy_2025")
    quality = verdicts(raw)
    assert dict(quality["verdict"].value_counts().iter_rows()) == {"ok": 8 * 39 - 2, "warned": 2}
    assert quality.filter(pl.col("filled") > 0)["symbol"].unique().to_list() == ["META"]
    grid = grid_of(raw, DEFAULT)
    assert (grid.height, grid["is_filled"].sum()) == (8 * 39 * 390, 7)


@needs_real_data
def test_the_real_set_of_2018_has_crosses_merged_delisted_names_without_data_and_three_holed_keys():
    quality = verdicts(real_raw("us_large_cap_2018"))
    counts = dict(quality["verdict"].value_counts().iter_rows())
    assert (counts["no_data"], counts["quarantined"]) == (63, 3)
    assert quality.filter(pl.col("verdict") == "no_data")["symbol"].unique().sort().to_list() == ["CPN", "JUNO"]
    assert quality["auction"].sum() > 1900


def test_a_split_that_is_named_is_taken_out_of_the_opening() -> None:
    raw = raw_bars(days=DAYS[:2], symbols=("AAA",))
    split = raw.with_columns(
        pl.when(pl.col("day") == DAY).then(pl.col(c) / 2).otherwise(c).alias(c)
        for c in ("open", "high", "low", "close")
    )
    closes = session_grid.previous_closes(split, days=[DAY])
    assert closes["previous_close"].to_list() == split.filter(pl.col("day") == DAYS[0])["close"].to_list()[-1:]

    def gap(ratio: float | None) -> tuple[float, int, int]:
        policy = QualityPolicy(splits={} if ratio is None else {("AAA", DAY): ratio})
        keys = pl.DataFrame({"day": [DAY], "symbol": ["AAA"]})
        sessions = calendar.sessions_frame([DAY])
        row = session_grid.quality(split, keys=keys, sessions=sessions, policy=policy, closes=closes).row(0, named=True)
        return round(row["gap"], 2), row["split_like"], row["overnight"]

    assert gap(None) == (-0.69, 1, 0)
    assert gap(2.0) == (0.0, 0, 0)
    assert gap(1.0) == (-0.69, 0, 0), "somebody said that it is real"
    assert gap(4.0) == (0.69, 1, 0), "a wrong ratio is found too"


def test_rows_in_time_order_are_not_unsorted_and_a_step_back_is_one() -> None:
    raw = raw_bars(days=[DAY], symbols=("AAA",))
    assert row_of(verdicts(raw), "AAA", DAY)["unsorted"] == 0
    moved = raw.with_columns(row=pl.when(pl.col("row") == 200).then(0).otherwise("row"))
    assert row_of(verdicts(moved), "AAA", DAY)["unsorted"] == 1

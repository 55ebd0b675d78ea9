"""What came of a forecast is what was seen at its moment, and what followed within the day."""

from datetime import date, datetime, timedelta

import polars as pl

from timegpt_assets.core.tables.tsfm import TSFM_FORECASTS, TSFM_OUTCOMES
from timegpt_assets.core.tsfm.outcomes import followed, outcomes
from timegpt_assets.core.tsfm.series import series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, SPEC, at, market, markets, prices

DAY = NOON.date()


def forecast(as_of: datetime, step: int = 1, name: str = "m") -> dict[str, object]:
    return {
        "day": as_of.date(), "market_id": name, "event_id": "event", "as_of": as_of, "step": step,
        "target_ts": as_of + timedelta(minutes=5 * step), "liquidity_bucket": "MID", "tte_bucket": "1-6h",
        "category": "UNKNOWN", "last_price": 0.5, "lower": 0.4, "median": 0.5, "upper": 0.6, "baseline_lower": 0.3,
        "baseline_median": 0.5, "baseline_upper": 0.7, "score_source": "model", "runtime": "tollama", "model": "mock",
        "model_version": None, "fallback_used": False, "reason": None, "baseline": "EWMA", "crossed": False,
        "width_flag": None, "input_len": 288, "carried_share": 0.0, "live": False,
    }  # fmt: skip


def came(forecasts: list[dict[str, object]], points: list[tuple[float, float]], day: date = DAY) -> pl.DataFrame:
    rows = series(markets(market()), prices(points), [day], SPEC).rows
    made = TSFM_FORECASTS.conformed(pl.DataFrame(forecasts, schema=TSFM_FORECASTS.schema))
    found = outcomes(made, rows, [day], follow_through_hours=6.0)
    assert TSFM_OUTCOMES.errors(found) == []
    return found


def test_a_forecast_meets_the_price_of_its_moment_on_the_day_of_that_moment() -> None:
    midnight = at(-720)
    points = [(-720 + 5 * k, 0.2 + 0.01 * k) for k in range(20)]
    found = came([forecast(midnight - timedelta(minutes=10), 2), forecast(midnight - timedelta(minutes=10), 1)], points)
    assert found.select("day", "made_on", "step", "y").rows() == [(DAY, DAY - timedelta(days=1), 2, 0.2)]


def test_the_target_at_the_next_midnight_is_of_the_next_day() -> None:
    assert came([forecast(at(715), 1)], [(715, 0.3)]).is_empty()


def test_a_carried_price_is_no_outcome_and_neither_is_none() -> None:
    found = came([forecast(at(0), 1), forecast(at(0), 2), forecast(at(600), 1)], [(0, 0.3), (5, 0.4)])
    assert found.select("step", "y").rows() == [(1, 0.4)]


def test_what_followed_is_the_most_within_the_hours_both_ways_and_not_what_was_before() -> None:
    points = [(-5, 0.9), (5, 0.4), (60, 0.5), (200, 0.35), (365, 0.6), (370, 0.05)]
    found = came([forecast(at(0), 1)], points).row(0, named=True)
    assert (round(found["rise"], 9), round(found["fall"], 9)) == (0.2, 0.05)


def test_hours_that_reach_beyond_the_day_are_unknown_and_not_short() -> None:
    points = [(5 * k, 0.5) for k in range(144)]
    found = came([forecast(at(350), 1), forecast(at(355), 1)], points)
    assert found["rise"].to_list() == [0.0, None]
    assert found["fall"].to_list() == [0.0, None]


def test_what_followed_over_midnight_is_told_when_its_hours_are_over() -> None:
    points = [(-5, 0.5), (700, 0.4), (715, 0.5), (800, 0.7), (1000, 0.3), (1065, 0.9)]
    made = [forecast(at(-10)), forecast(at(695)), forecast(at(710))]
    late = came(made, [point for point in points if point[0] < 720])
    assert late["rise"].to_list() == [0.0, None, None]
    days = [DAY, DAY + timedelta(days=1)]
    known = series(markets(market()), prices(points), days, SPEC).rows
    for until, rise, fall in (
        (1055, [0.0, None, None], [0.0, None, None]),
        (1060, [0.0, 0.3, None], [0.0, 0.1, None]),
        (1075, [0.0, 0.3, 0.4], [0.0, 0.1, 0.2]),
    ):
        found = followed(late, known.filter(pl.col("ts") <= at(until)), follow_through_hours=6.0)
        assert found.columns == late.columns
        assert [one and round(one, 9) for one in found["rise"]] == rise, until
        assert [one and round(one, 9) for one in found["fall"]] == fall, until


def test_markets_do_not_mix() -> None:
    rows = series(
        markets(market(), market("n")),
        pl.concat([prices([(5, 0.4), (60, 0.5)]), prices([(5, 0.7), (60, 0.1)], "n")]),
        [DAY],
        SPEC,
    ).rows
    made = TSFM_FORECASTS.conformed(
        pl.DataFrame([forecast(at(0)), forecast(at(0), name="n")], schema=TSFM_FORECASTS.schema)
    )
    found = outcomes(made, rows, [DAY], follow_through_hours=6.0)
    told = found.select("market_id", "y", pl.col("rise", "fall").round(9)).rows()
    assert told == [
        ("m", 0.4, 0.1, 0.0), ("n", 0.7, 0.0, 0.6),
    ]  # fmt: skip

"""What every local forecaster must do: know earlier days alone, answer alike in any company, and nest its bands."""

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import Learnt, Local, Outlook, answered, row_quantiles
from timegpt_assets.core.forecasts.local.evidence import Lessons, known
from timegpt_assets.core.forecasts.quantiles import violations
from timegpt_assets_tests.core.forecasts.local.made import (
    DAY,
    DAYS,
    FIVE,
    HOURS,
    LEVELS,
    PANEL,
    RETURNS,
    SIX,
    SYMBOLS,
    answers,
    framed,
    frames_in,
    said,
    usual_frames,
    with_history,
)  # fmt: skip
from timegpt_assets_tests.core.panels import panel

GOLDEN = Path(__file__).parents[3] / "golden" / "local_forecasters.csv"
each = pytest.mark.parametrize("forecaster", SIX, ids=lambda one: one.word)
by_minute = pytest.mark.parametrize("forecaster", FIVE, ids=lambda one: one.word)
"""Those of whose day the snapshot's own minute alone counts, and every minute of earlier ones."""
KEY = ["snapshot_ts", "symbol"]


@cache
def alone(symbol: str) -> tuple[Frame, ...]:
    return framed(PANEL, symbols=[symbol])


@cache
def two_days() -> tuple[tuple[Frame, ...], ...]:
    rows = panel(DAYS[:12], SYMBOLS, momentum=0.3)
    return tuple(framed(rows, day=day, preset=HOURS) for day in DAYS[10:12])


@cache
def short_frames(days: int) -> tuple[Frame, ...]:
    return framed(preset=HOURS, history_days=days)


@cache
def first_without_one() -> tuple[Frame, ...]:
    first = (pl.col("symbol") == "AAA") & (pl.col("known_at") == usual_frames()[0].snapshot_ts)
    return framed(PANEL.with_columns(sigma_60m=pl.when(first).then(None).otherwise("sigma_60m")))


@cache
def shaken_afterwards() -> list[tuple[Frame, Frame]]:
    """Return frames beside those of a panel whose prices and volatility differ after their snapshot."""
    pairs = []
    for n, made in enumerate(framed(preset=HOURS)):
        late = pl.col("known_at") > made.snapshot_ts
        shaken = PANEL.with_columns(
            pl.when(late).then(pl.col(c) * 1.5).otherwise(c).alias(c) for c in ("clock_price", "sigma_60m")
        )
        pairs.append((made, framed(shaken, preset=HOURS)[n]))
    return pairs


@cache
def without_volatility(instead: float | None) -> tuple[Frame, ...]:
    """Return frames of a panel whose earlier days know no volatility at every quarter of an hour."""
    some = (pl.col("known_at").dt.minute() % 15 == 0) & (pl.col("day") < DAY)
    return framed(PANEL.with_columns(sigma_60m=pl.when(some).then(instead).otherwise("sigma_60m")))


@each
def test_frames_one_at_a_time_reversed_or_together_answer_bit_for_bit_alike(forecaster: Local) -> None:
    made = usual_frames()
    assert len(made) == 25
    together = answers(made, forecaster)
    assert together.height == 25 * len(SYMBOLS)
    assert_frame_equal(pl.concat(answers([f], forecaster) for f in made), together, check_exact=True)
    assert_frame_equal(answers(made[::-1], forecaster, levels=LEVELS[::-1]), together, check_exact=True)


@each
def test_a_symbol_alone_is_answered_as_in_company(forecaster: Local) -> None:
    parts = [answers(alone(symbol), forecaster) for symbol in SYMBOLS]
    assert_frame_equal(pl.concat(parts).sort(KEY), answers(usual_frames(), forecaster), check_exact=True)


@each
def test_symbols_renamed_into_another_order_get_the_same_numbers(forecaster: Local) -> None:
    other = {"AAA": "ZZZ", "BBB": "MMM"}
    renamed = [with_history(f, lambda rows: rows.with_columns(pl.col("symbol").replace(other))) for f in usual_frames()]
    expected = answers(usual_frames(), forecaster).with_columns(pl.col("symbol").replace(other)).sort(KEY)
    assert_frame_equal(answers(renamed, forecaster), expected, check_exact=True)


@each
def test_days_together_answer_as_each_alone(forecaster: Local) -> None:
    days = two_days()
    apart = pl.concat(answers(made, forecaster) for made in days)
    assert_frame_equal(answers([*days[1], *days[0]], forecaster), apart, check_exact=True)


@each
def test_frames_of_one_day_with_longer_and_shorter_history_do_not_borrow_each_other_s_lessons(
    forecaster: Local,
) -> None:
    short, long = short_frames(5)[2:3], usual_frames()[10:11]
    apart = pl.concat([answers(short, forecaster), answers(long, forecaster)])
    assert apart.height == 2 * len(SYMBOLS)
    assert_frame_equal(answers([*short, *long], forecaster), apart, check_exact=True)
    assert_frame_equal(answers([*long, *short], forecaster), apart, check_exact=True)


@by_minute
def test_a_symbol_left_out_of_the_first_frame_is_answered_when_it_appears(forecaster: Local) -> None:
    made = first_without_one()
    usual = answers(usual_frames(), forecaster)
    assert list(made[0].left_out) == ["AAA"]
    others = (pl.col("snapshot_ts") > made[0].snapshot_ts) | (pl.col("symbol") != "AAA")
    assert_frame_equal(answers(made, forecaster), usual.filter(others), check_exact=True)


@by_minute
def test_only_earlier_days_teach_and_only_the_snapshot_is_answered(forecaster: Local) -> None:
    made = usual_frames()[12]
    today = (pl.col("day") == made.day) & (pl.col("known_at") < made.snapshot_ts)
    usual = answers([made], forecaster)
    for which, equal in ((today, True), (pl.col("day") < made.day, False)):
        tripled = [pl.when(which).then(pl.col(c) * 3).otherwise(c).alias(c) for c in RETURNS]
        other = with_history(made, lambda rows, tripled=tripled: rows.with_columns(tripled))
        assert answers([other], forecaster).equals(usual) is equal


@each
def test_no_bar_after_the_snapshot_changes_the_answer(forecaster: Local) -> None:
    for made, shaken in shaken_afterwards():
        assert_frame_equal(answers([shaken], forecaster), answers([made], forecaster), check_exact=True)


@each
def test_twice_the_returns_and_volatility_are_twice_the_answer_bit_for_bit(forecaster: Local) -> None:
    doubled = [pl.col(c) * 2 for c in [*RETURNS, "sigma"]]
    wild = [with_history(f, lambda rows: rows.with_columns(doubled)) for f in usual_frames()]
    numbers = pl.exclude(*KEY, "step")
    expected = answers(usual_frames(), forecaster).with_columns(numbers * 2)
    assert_frame_equal(answers(wild, forecaster), expected, check_exact=True)


@each
def test_returns_turned_around_turn_the_answer_around(forecaster: Local) -> None:
    around = [-pl.col(c) for c in RETURNS]
    turned = [with_history(f, lambda rows: rows.with_columns(around)) for f in usual_frames()]
    swapped = {f"{a}_{level}": -pl.col(f"{b}_{level}") for level in LEVELS for a, b in (("lo", "hi"), ("hi", "lo"))}
    expected = answers(usual_frames(), forecaster).with_columns(mean=-pl.col("mean"), **swapped)
    assert_frame_equal(answers(turned, forecaster), expected, rel_tol=1e-9, abs_tol=1e-15)


@each
def test_the_answer_in_other_units_is_the_same_return(forecaster: Local) -> None:
    plain, bp = (answers(frames_in(mode), forecaster) for mode in ("log_return_15m", "bp"))
    assert_frame_equal(bp.with_columns(pl.exclude(*KEY, "step") / 10_000), plain, rel_tol=1e-9, abs_tol=1e-15)


@each
def test_answers_keep_the_contract_of_a_local_request(forecaster: Local) -> None:
    for frame in usual_frames():
        asked = {"symbols": sorted(set(frame.history["symbol"])), "steps": [frame.horizon_min], "levels": LEVELS}
        assert violations(answers([frame], forecaster), **asked) == []


@by_minute
def test_moments_without_volatility_teach_nothing(forecaster: Local) -> None:
    holes, flat = without_volatility(None), without_volatility(0.0)
    rows = answers(holes, forecaster)
    assert rows.height == 25 * len(SYMBOLS)
    # climatology is not in volatilities
    assert rows.equals(answers(usual_frames(), forecaster)) is (forecaster.word == "climatology")
    assert_frame_equal(answers(flat, forecaster), rows, check_exact=True)


@each
def test_without_earlier_days_everything_is_refused_and_the_frames_stay_typed(forecaster: Local) -> None:
    made, usual = framed(preset=HOURS, history_days=0, min_history_samples=1), said(usual_frames(), forecaster)
    none = said(made, forecaster)
    assert none.rows.is_empty()
    assert none.refused.height == len(made) * len(SYMBOLS)
    assert none.refused["reason"].str.starts_with("short history: 0 ").all()
    assert usual.refused.is_empty()
    for empty in (none, said([], forecaster), said(framed(preset=HOURS, symbols=["CCC"]), forecaster)):
        assert empty.rows.schema == usual.rows.schema
        assert empty.refused.schema == usual.refused.schema


@each
def test_every_symbol_of_every_frame_is_answered_or_refused(forecaster: Local) -> None:
    made = [*short_frames(2), *usual_frames()]
    found = said(made, forecaster)
    assert found.rows.height > 0
    assert found.rows.height + found.refused.height == len(made) * len(SYMBOLS)


@each
def test_no_forecaster_may_write_into_what_another_reads(forecaster: Local) -> None:
    seen = known(usual_frames()[:1])
    before = [array.copy() for array in (seen[0].lessons.past, seen[0].lessons.sigma, seen[0].lessons.came)]
    answered(seen, forecaster, levels=LEVELS)
    for array, was in zip((seen[0].lessons.past, seen[0].lessons.sigma, seen[0].lessons.came), before, strict=True):
        np.testing.assert_array_equal(array, was)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_the_five_answer_what_they_answered_when_this_was_written() -> None:
    hourly = framed(preset=HOURS)[::2]
    found = pl.concat(answers(hourly, one).with_columns(forecaster=pl.lit(one.word)) for one in FIVE)
    written = pl.read_csv(GOLDEN, try_parse_dates=True, schema_overrides={"snapshot_ts": pl.Datetime("us", "UTC")})
    assert found.height == len(FIVE) * len(SYMBOLS) * 3
    assert_frame_equal(found, written.select(found.columns), rel_tol=1e-9, abs_tol=1e-15)


finite = st.floats(-4, 4, allow_nan=False)
rows = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.lists(finite | st.just(np.nan), min_size=n, max_size=n), min_size=1, max_size=4)
)


@given(rows, st.lists(st.floats(0.005, 0.995), min_size=1, max_size=6))
def test_quantiles_of_rows_with_holes_are_numpy_s_bit_for_bit(
    values: list[list[float]], probabilities: list[float]
) -> None:
    held = np.array([row for row in values if not np.isnan(row).all()] or [[0.0]])
    expected = [np.quantile(row[~np.isnan(row)], probabilities) for row in held]
    np.testing.assert_array_equal(row_quantiles(held, np.array(probabilities)), expected)


class Said:
    """A forecaster that says what it is told to."""

    word = "said"
    __dataclass_fields__: dict[str, object] = {}

    def __init__(self, centre: float, errors: list[float], unit: float) -> None:
        self.told = (centre, errors, unit)

    def learnt(self, lessons: Lessons) -> Learnt:
        centre, errors, unit = self.told
        n = len(SYMBOLS)
        return lambda seen: Outlook(
            centre=np.full(n, centre), errors=np.tile(np.array(errors, float), (n, 1)), unit=np.full(n, unit), least=1
        )


@given(
    finite,
    st.lists(finite, min_size=1, max_size=30),
    st.floats(1e-8, 1e3),
    st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True),
)
def test_bands_nest_around_the_mean_whatever_is_said(
    centre: float, errors: list[float], unit: float, levels: list[int]
) -> None:
    frame = usual_frames()[0]
    found = answered(known([frame]), Said(centre, errors, unit), levels=levels).rows
    assert violations(found, symbols=SYMBOLS, steps=[15], levels=levels) == []


def test_who_has_too_few_errors_is_refused_and_counted() -> None:
    few = Said(0.0, [1.0, np.nan, 2.0], 1.0)
    seen = known(usual_frames()[:1])
    assert answered(seen, few, levels=(50,)).refused.is_empty()
    few.told = (0.0, [np.nan, np.nan], 1.0)
    refused = answered(seen, few, levels=(50,)).refused
    assert set(refused["reason"]) == {"short history: 0 residuals near this time, at least 1"}
    assert refused["symbol"].to_list() == list(SYMBOLS)

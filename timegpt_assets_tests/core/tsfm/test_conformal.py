"""Adjusted bands hold what they promise of what is like what they learnt from, and learn from nothing later."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS
from timegpt_assets.core.tsfm.conformal import ConformalSpec, adjusted, fitted, rank
from timegpt_assets.core.tsfm.transform import Transform
from timegpt_assets_tests.core.tsfm.outcome_rows import DAY, SPEC, before, outcomes

POOLS = ["liquidity_bucket+tte_bucket+category", "liquidity_bucket+tte_bucket", "liquidity_bucket", "all"]


def drawn(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).beta(4, 4, n)


def adjustment(rows: pl.DataFrame, *, level: float = 0.9, band: str = "tsfm", pool: str = "all") -> float | None:
    found = rows.filter(pl.col("level") == level, pl.col("band") == band, pl.col("pool") == pool)
    return found["adjustment"][0] if found.height else None


PRICED = replace(SPEC, price_cuts=(0.1, 0.9), least_scale=0.05)
"""As bands are served: by price level, in widths of the baseline's band."""


def as_forecasts(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(day=pl.lit(DAY))


def test_parameters_are_those_of_a_naive_loop() -> None:
    told = [
        outcomes(drawn(40, 1), day=before(1), market="a", tte_bucket="<1h"),
        outcomes(drawn(25, 2), day=before(3), market="b", liquidity_bucket="MID", category="Politics"),
        outcomes(drawn(30, 3), day=before(14), market="c", step=2, lower=0.3, upper=0.45, median=0.4),
        outcomes(drawn(7, 4), day=before(2), market="d", category="Politics"),
    ]
    rows = pl.concat(told).with_columns(last_price=pl.Series(np.resize([0.05, 0.5, 0.95], sum(map(len, told)))))
    found = fitted(rows, DAY, PRICED)
    naive = {}
    columns = ["price_bucket", *SPEC.segments]
    for band, prefix in (("tsfm", ""), ("baseline", "baseline_")):
        for kept in (4, 3, 2, 1, 0):
            pool = columns[:kept]
            groups: dict[tuple[object, ...], list[float]] = {}
            for row in rows.iter_rows(named=True):
                level = {0.05: "<=.1", 0.5: ".1-.9", 0.95: ">.9"}[row["last_price"]]
                of = row | {"price_bucket": level}
                key = (*(of[name] if name in pool else "*" for name in columns), row["step"])
                by = max(row[f"{prefix}lower"] - row["y"], row["y"] - row[f"{prefix}upper"])
                by /= row["baseline_upper"] - row["baseline_lower"]
                groups.setdefault(key, []).append(by)
            for key, scores in groups.items():
                for level in SPEC.levels:
                    place = math.ceil(round((len(scores) + 1) * level, 9))
                    if len(scores) >= SPEC.min_samples and place <= len(scores):
                        name = "+".join(pool) or "all"
                        naive[(level, band, name, *key)] = (len(scores), sorted(scores)[place - 1])
    told_by = {
        tuple(row[c] for c in ("level", "band", "pool", *columns, "step")): (row["samples"], row["adjustment"])
        for row in found.to_dicts()
    }
    assert told_by == naive
    assert CONFORMAL_PARAMETERS.errors(found) == []


@pytest.mark.parametrize(
    ("n", "level", "place"), [(9, 0.9, 9), (8, 0.9, None), (4, 0.8, 4), (3, 0.8, None), (499, 0.9, 450)]
)
def test_the_rank_is_that_of_one_more_and_too_few_have_none(n: int, level: float, place: int | None) -> None:
    assert rank(n, level) == place


def test_too_few_for_the_level_make_no_number_up() -> None:
    few = ConformalSpec(window_days=14, target=0.9, levels=(0.8, 0.9), min_samples=1, segments=())
    found = fitted(outcomes(drawn(8)), DAY, few)
    assert set(found["level"]) == {0.8}


def test_nothing_on_or_after_the_day_or_before_the_window_is_learnt_from() -> None:
    inside = pl.concat([outcomes(drawn(60, 1), day=before(1)), outcomes(drawn(60, 2), day=before(14))])
    outside = [outcomes([1.0] * 500, day=before(days), market="x") for days in (0, -1, -30, 15)]
    told = fitted(inside, DAY, SPEC)
    assert fitted(pl.concat([inside, *outside]), DAY, SPEC).equals(told)
    assert (told["first_day"].min(), told["last_day"].max()) == (before(14), before(1))


def test_an_embargo_leaves_days_out() -> None:
    rows = pl.concat([outcomes(drawn(60, 1), day=before(1)), outcomes(drawn(60, 2), day=before(3))])
    later = ConformalSpec(**({n: getattr(SPEC, n) for n in SPEC.__slots__} | {"embargo_days": 2}))
    assert set(fitted(rows, DAY, later)["last_day"]) == {before(3)}


def test_a_coarser_pool_speaks_where_a_finer_has_too_few_and_says_so() -> None:
    rows = pl.concat([
        outcomes(drawn(30, 1), market="a"),
        outcomes(drawn(19, 2), market="b", category="Politics"),
        outcomes(drawn(19, 3), market="c", tte_bucket="<1h"),
        outcomes(drawn(19, 4), market="d", liquidity_bucket="LOW"),
    ])  # fmt: skip
    told = adjusted(as_forecasts(rows), fitted(rows, DAY, SPEC), SPEC, level=0.9)
    pools = told.group_by("market_id").agg(pl.col("pool").unique()).sort("market_id")["pool"].to_list()
    assert pools == [[name] for name in POOLS]


def test_the_finest_pool_that_speaks_says_by_how_much() -> None:
    rows = pl.concat([
        outcomes([0.5 + 0.01 * (-1) ** n for n in range(60)], market="calm", category="Sports"),
        outcomes([0.5 + 0.30 * (-1) ** n for n in range(60)], market="wild", category="Art"),
    ])  # fmt: skip
    told = adjusted(as_forecasts(rows), fitted(rows, DAY, SPEC), SPEC, level=0.9)
    widths = told.group_by("category").agg((pl.col("adjusted_upper") - pl.col("adjusted_lower")).mean().alias("width"))
    width = dict(widths.rows())
    assert width["Sports"] < 0.2 < width["Art"]


def test_where_all_have_too_few_nothing_is_adjusted() -> None:
    rows = outcomes(drawn(19))
    told = adjusted(as_forecasts(rows), fitted(rows, DAY, SPEC), SPEC, level=0.9)
    assert (
        told.select("adjusted_lower", "adjusted_median", "adjusted_upper", "parameters_day", "pool").null_count().row(0)
        == (19,) * 5
    )


def test_parameters_of_another_day_do_not_speak() -> None:
    rows = outcomes(drawn(50))
    told = adjusted(as_forecasts(rows), fitted(rows, DAY + timedelta(days=1), SPEC), SPEC, level=0.9)
    assert told["pool"].null_count() == 50


def test_each_band_is_judged_by_its_own_scores() -> None:
    found = fitted(outcomes(drawn(200)), DAY, SPEC)
    assert adjustment(found) == pytest.approx(adjustment(found, band="baseline") + 0.1)  # type: ignore[operator]
    base = adjusted(as_forecasts(outcomes([0.5])), found, SPEC, level=0.9, band="baseline")
    ours = adjusted(as_forecasts(outcomes([0.5])), found, SPEC, level=0.9)
    assert base["adjusted_upper"][0] == pytest.approx(ours["adjusted_upper"][0])


@given(st.integers(20, 200), st.integers(0, 9), st.floats(0.0, 0.45), st.floats(0.55, 1.0))
@settings(max_examples=25, deadline=None)
def test_order_does_not_matter_and_higher_levels_are_wider(n: int, seed: int, lower: float, upper: float) -> None:
    rows = outcomes(drawn(n, seed), lower=lower, upper=upper)
    found = fitted(rows, DAY, SPEC)
    assert found.equals(fitted(rows.sample(fraction=1.0, shuffle=True, seed=seed), DAY, SPEC))
    assert adjustment(found, level=0.9) >= adjustment(found, level=0.8)  # type: ignore[operator]


@given(st.integers(0, 9), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(max_examples=25, deadline=None)
def test_adjusted_bands_are_bands(seed: int, a: float, b: float, c: float) -> None:
    lower, median, upper = sorted((a, b, c))
    learnt = (
        outcomes(drawn(60, seed), lower=0.0, upper=1.0) if seed % 2 else outcomes(drawn(60, seed), lower=0.5, upper=0.5)
    )
    rows = as_forecasts(outcomes([0.5], lower=lower, median=median, upper=upper))
    told = adjusted(rows, fitted(learnt, DAY, SPEC), SPEC, level=0.9).row(0, named=True)
    assert 0 <= told["adjusted_lower"] <= told["adjusted_median"] <= told["adjusted_upper"] <= 1
    assert told["adjusted_median"] == median


def test_exchangeable_prices_are_held_as_promised_for_any_sample_size() -> None:
    """n scores and one more: over many draws it is held at least at the level, and at most 1 / (n + 1) above it."""
    few = ConformalSpec(window_days=14, target=0.9, levels=(0.8, 0.9), min_samples=1, segments=())
    held, draws, n = {0.8: 0, 0.9: 0}, 3000, 24
    prices = np.random.default_rng(3).beta(3, 5, (draws, n + 1))
    steps = np.arange(draws)
    learnt = outcomes(prices[:, :n].ravel().tolist(), step=np.repeat(steps, n))
    new = outcomes(prices[:, n].tolist(), step=steps)
    found = fitted(learnt, DAY, few)
    for level in held:
        told = adjusted(as_forecasts(new), found, few, level=level)
        held[level] = told.filter(pl.col("y").is_between("adjusted_lower", "adjusted_upper")).height
    for level, count in held.items():
        spread = 3 * math.sqrt(level * (1 - level) / draws)
        assert level - spread <= count / draws <= level + 1 / (n + 1) + spread


def test_each_price_level_is_held_though_one_moves_little_and_another_much() -> None:
    few = ConformalSpec(window_days=14, target=0.9, levels=(0.9,), min_samples=20, segments=())
    quiet, loud = ((np.random.default_rng(seed).normal(at, by, 4000).clip(0, 1)) for seed, at, by in
                   ((1, 0.05, 0.001), (2, 0.5, 0.1)))  # fmt: skip
    rows = pl.concat([
        outcomes(quiet, market="quiet", last_price=0.05, lower=0.04, median=0.05, upper=0.06),
        outcomes(loud, market="loud", last_price=0.5, lower=0.49, median=0.5, upper=0.51),
    ])  # fmt: skip
    held = {}
    for cuts in ((), (0.1, 0.9)):
        spec = replace(few, price_cuts=cuts)
        learnt, judged = rows.gather_every(2), as_forecasts(rows.gather_every(2, offset=1))
        told = adjusted(judged, fitted(learnt, DAY, spec), spec, level=0.9)
        inside = pl.col("y").is_between("adjusted_lower", "adjusted_upper").mean()
        held[cuts] = dict(told.group_by("market_id").agg(inside).rows())
    assert held[()]["quiet"] > 0.99
    assert held[()]["loud"] < 0.85
    assert all(abs(share - 0.9) < 0.03 for share in held[(0.1, 0.9)].values())


def test_a_price_level_of_too_few_is_spoken_for_by_all_and_a_price_that_is_not_known_is_one() -> None:
    rows = pl.concat([
        outcomes(drawn(30, 1), market="a", last_price=0.1),
        outcomes(drawn(30, 2), market="b", last_price=0.1, category="Politics", tte_bucket="<1h"),
        outcomes(drawn(19, 3), market="c", last_price=0.95),
        outcomes(drawn(25, 4), market="d", last_price=None),
    ])  # fmt: skip
    found = fitted(rows, DAY, PRICED)
    assert set(found["price_bucket"]) == {"<=.1", "UNKNOWN", "*"}
    told = adjusted(as_forecasts(rows), found, PRICED, level=0.9)
    pools = told.group_by("market_id").agg(pl.col("pool").unique()).sort("market_id")["pool"].to_list()
    finest = f"price_bucket+{POOLS[0]}"
    assert pools == [[finest], [finest], ["all"], [finest]]
    assert told.columns == adjusted(as_forecasts(rows), found, SPEC, level=0.9).columns


def test_a_band_is_moved_by_as_many_widths_of_the_baseline_as_prices_lay_outside_of_theirs() -> None:
    spec = replace(PRICED, segments=(), price_cuts=())
    calm = outcomes([0.61] * 60, baseline_lower=0.45, baseline_upper=0.55)
    parameters = fitted(calm, DAY, spec)
    assert adjustment(parameters) == pytest.approx(0.1)
    for width, moved in ((0.1, 0.01), (0.4, 0.04), (0.0, 0.005)):
        now = outcomes([0.5], baseline_lower=0.5 - width / 2, baseline_upper=0.5 + width / 2)
        told = adjusted(as_forecasts(now), parameters, spec, level=0.9).row(0, named=True)
        assert told["adjusted_upper"] == pytest.approx(0.6 + moved)
        assert told["adjusted_lower"] == pytest.approx(0.4 - moved)


def test_an_end_at_0_or_1_is_never_drawn_in() -> None:
    """Else the prices beside 0, which move by next to nothing, would all leave their band below."""
    prices = np.random.default_rng(1).uniform(0.0001, 0.0009, 200)
    low = outcomes(prices, lower=0.0, median=0.0005, upper=0.02, last_price=0.0005)
    parameters = fitted(low, DAY, SPEC)
    assert adjustment(parameters) == pytest.approx(np.sort(prices)[180] - 0.02)
    told = adjusted(as_forecasts(low), parameters, SPEC, level=0.9)
    assert told["adjusted_lower"].unique().to_list() == [0.0]
    high = low.with_columns(
        lower=1 - pl.col("upper"), median=1 - pl.col("median"), upper=pl.lit(1.0), y=1 - pl.col("y")
    )
    told = adjusted(as_forecasts(high), fitted(high, DAY, SPEC), SPEC, level=0.9)
    assert told["adjusted_upper"].unique().to_list() == [1.0]
    both = low.with_columns(upper=pl.lit(1.0))
    told = adjusted(as_forecasts(both), fitted(both, DAY, SPEC), SPEC, level=0.9)
    assert told.select("adjusted_lower", "adjusted_upper").unique().row(0) == (0.0, 1.0)


def test_a_price_that_stands_still_is_held_by_a_band_without_width_whatever_rounding_says() -> None:
    """What went to the space of forecasts and back is not the same to the last bit, and half of it lies above."""
    still = np.linspace(0.0005, 0.6, 400)
    space = Transform("logit", 1e-6)
    back = space.back(space.forward(still))
    assert (back != still).mean() > 0.1, "else nothing is shown"
    parameters = fitted(outcomes(drawn(60)), DAY, SPEC).with_columns(adjustment=-0.1)
    now = as_forecasts(outcomes(still, lower=back, median=back, upper=back))
    told = adjusted(now, parameters, SPEC, level=0.9)
    assert told["y"].is_between(told["adjusted_lower"], told["adjusted_upper"]).all()

"""Adjusted bands hold what they promise of what is like what they learnt from, and learn from nothing later."""

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS
from timegpt_assets.core.tsfm.conformal import ConformalSpec, adjusted, adjusted_one, fitted, rank
from timegpt_assets_tests.core.tsfm.outcome_rows import DAY, SPEC, before, outcomes

POOLS = ["liquidity_bucket+tte_bucket+category", "liquidity_bucket+tte_bucket", "liquidity_bucket", "all"]


def drawn(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).beta(4, 4, n)


def adjustment(rows: pl.DataFrame, *, level: float = 0.9, band: str = "tsfm", pool: str = "all") -> float | None:
    found = rows.filter(pl.col("level") == level, pl.col("band") == band, pl.col("pool") == pool)
    return found["adjustment"][0] if found.height else None


def as_forecasts(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(day=pl.lit(DAY))


def test_parameters_are_those_of_a_naive_loop() -> None:
    told = [
        outcomes(drawn(40, 1), day=before(1), market="a", tte_bucket="<1h"),
        outcomes(drawn(25, 2), day=before(3), market="b", liquidity_bucket="MID", category="Politics"),
        outcomes(drawn(30, 3), day=before(14), market="c", step=2, lower=0.3, upper=0.45, median=0.4),
        outcomes(drawn(7, 4), day=before(2), market="d", category="Politics"),
    ]
    rows = pl.concat(told)
    found = fitted(rows, DAY, SPEC)
    naive = {}
    for band, prefix in (("tsfm", ""), ("baseline", "baseline_")):
        for kept in (3, 2, 1, 0):
            pool = SPEC.segments[:kept]
            groups: dict[tuple[object, ...], list[float]] = {}
            for row in rows.iter_rows(named=True):
                key = (*(row[name] if name in pool else "*" for name in SPEC.segments), row["step"])
                by = max(row[f"{prefix}lower"] - row["y"], row["y"] - row[f"{prefix}upper"])
                groups.setdefault(key, []).append(by)
            for key, scores in groups.items():
                for level in SPEC.levels:
                    place = math.ceil(round((len(scores) + 1) * level, 9))
                    if len(scores) >= SPEC.min_samples and place <= len(scores):
                        name = "+".join(pool) or "all"
                        naive[(level, band, name, *key)] = (len(scores), sorted(scores)[place - 1])
    columns = ["level", "band", "pool", *SPEC.segments, "step"]
    told_by = {tuple(row[c] for c in columns): (row["samples"], row["adjustment"]) for row in found.to_dicts()}
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


def test_one_is_adjusted_as_many_are() -> None:
    rows = pl.concat(
        [outcomes(drawn(60, step), step=step, category=who) for step in (1, 2) for who in ("Sports", "Art")]
    )
    found = fitted(rows, DAY, SPEC)
    values = np.array([[0.1, 0.3, 0.5, 0.7, 0.98], [0.2, 0.2, 0.2, 0.2, 0.2]])
    segment = {"liquidity_bucket": "HIGH", "tte_bucket": "1-6h", "category": "nobody's"}
    one = adjusted_one(values, segment, found, SPEC)
    many = adjusted(
        as_forecasts(pl.concat([
            outcomes([0.5], step=step, lower=row[0], median=row[2], upper=row[4], **segment)
            for step, row in enumerate(values, start=1)
        ])), found, SPEC, level=0.9,
    ).sort("step")  # fmt: skip
    assert one.values is not None
    assert (
        one.values[:, [0, 2, 4]].tolist()
        == many.select("adjusted_lower", "adjusted_median", "adjusted_upper").to_numpy().tolist()
    )
    assert one.pools == tuple(many["pool"])
    assert one.parameters_day == DAY
    assert (np.diff(one.values, axis=1) >= 0).all()


def test_one_with_a_step_that_nobody_speaks_for_stays_as_it_is_and_says_so() -> None:
    found = fitted(outcomes(drawn(60)), DAY, SPEC)
    segment = {"liquidity_bucket": "HIGH", "tte_bucket": "1-6h", "category": "Sports"}
    one = adjusted_one(np.array([[0.1, 0.5, 0.9]] * 2), segment, found, SPEC)
    assert (one.values, one.parameters_day, one.pools) == (None, None, (POOLS[0], None))

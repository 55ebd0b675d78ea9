"""What each method learns from a pool: oracles, parity with scikit-learn and crepes, promises on exchangeable data."""

import math
from dataclasses import replace

import numpy as np
import pytest
from crepes import ConformalRegressor
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from timegpt_assets.core.calibration import isotonic, methods
from timegpt_assets.core.calibration.methods import METHODS, Fit
from timegpt_assets.core.calibration.samples import Samples
from timegpt_assets_tests.core.calibration.pools import LEVELS, calibration_spec, pool


def bands(fit: Fit, row: Samples) -> dict[int, tuple[float, float] | None]:
    """Return the calibrated band of a single outcome's forecast at each level, applied by hand."""
    found: dict[int, tuple[float, float] | None] = {}
    q50 = float(row.q50[0])
    unit = 1.0 if fit.score == "own" else float(row.unit(fit.score)[0])
    centre = fit.slope * q50 + fit.offset * unit
    if fit.knots[0].size:
        centre = unit * float(np.interp(q50 / unit, *fit.knots))
    for at, level in enumerate(row.levels):
        half = fit.promises[level].half_width
        if half is None:
            found[level] = None
        elif fit.score == "own":
            found[level] = (q50 - half * float(row.low[0, at]), q50 + half * float(row.high[0, at]))
        else:
            found[level] = (centre - half * unit, centre + half * unit)
    return found


def test_the_affine_residuals_are_those_of_a_line_fitted_without_the_outcome() -> None:
    own, rule = pool(60, np.random.default_rng(3)), calibration_spec(method="affine")
    unit = own.unit("band_50")
    x, v = own.q50 / unit, own.y / unit
    noise = np.mean((v - x) ** 2)

    def line(kept: np.ndarray) -> tuple[float, float]:
        design = np.stack([x[kept], np.ones(kept.size)], axis=1)
        ridge = np.diag([noise / rule.slope_spread**2, noise / rule.offset_spread**2])
        change = np.linalg.solve(design.T @ design + ridge, design.T @ (v - x)[kept])
        return 1 + change[0], change[1]

    left_out = []
    for i in range(60):
        slope, offset = line(np.delete(np.arange(60), i))
        left_out.append(abs(v[i] - slope * x[i] - offset))
    fit = methods.affine(own, rule)
    assert (fit.slope, fit.offset) == pytest.approx(line(np.arange(60)))
    for level in LEVELS:
        expected = sorted(left_out)[math.ceil(round(61 * level / 100, 9)) - 1]
        assert fit.promises[level].half_width == pytest.approx(expected, rel=1e-9)


def test_a_negative_slope_is_shrunk_and_one_that_stays_negative_is_refused_with_the_reason() -> None:
    turned = pool(300, np.random.default_rng(4), slope=-1.3)
    shrunk = methods.affine(turned, calibration_spec(method="affine", slope_spread=0.08))
    assert shrunk.fitted_slope is not None
    assert shrunk.fitted_slope < -0.5
    assert 0 <= shrunk.slope < 1
    assert "shrunk to" in shrunk.note
    refused = methods.affine(turned, calibration_spec(method="affine", slope_spread=100.0))
    assert (refused.slope, refused.offset) == (1.0, 0.0)
    assert "refused: it would turn forecasts over" in refused.note


def test_two_samples_cannot_turn_a_forecast_over() -> None:
    two = pool(2, np.random.default_rng(1), slope=-1.3)
    fit = methods.affine(two, calibration_spec(method="affine"))
    assert fit.slope > 0.5
    assert fit.promises[95].half_width is None
    assert fit.promises[95].reason == "95 %: rank 3 > n 2"


def test_equal_forecasts_and_constant_outcomes_keep_the_slope_at_one() -> None:
    own = pool(50, np.random.default_rng(2))
    flat = replace(own, q50=np.zeros(50), low=np.full_like(own.low, 1e-3), high=np.full_like(own.high, 1e-3))
    assert methods.affine(flat, calibration_spec(method="affine")).note == "slope kept at 1: all forecasts are equal"
    right = replace(own, y=own.q50)
    fit = methods.affine(right, calibration_spec(method="affine"))
    assert fit.note == "slope kept at 1: no outcome differs from its forecast"
    assert fit.promises[50].half_width == 0.0


@pytest.mark.parametrize("ties", [False, True])
def test_the_isotonic_curve_equals_scikit_learns(ties: bool) -> None:
    rng = np.random.default_rng(8)
    for n in (1, 2, 3, 10, 200, 1000):
        x = rng.normal(size=n).round(1 if ties else 12)
        y = 0.5 * x + rng.normal(size=n)
        theirs = IsotonicRegression(out_of_bounds="clip").fit(x, y)
        ours = isotonic.curve(x, y)
        places = np.concatenate([x, rng.normal(size=50) * 2])
        assert isotonic.at(ours, places) == pytest.approx(theirs.predict(places), abs=1e-12)
        assert isotonic.fitted(x[None], y[None])[0] == pytest.approx(theirs.predict(x), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-5, 5), min_size=6, max_size=6), min_size=1, max_size=5))
def test_many_cells_at_once_equal_each_alone_and_rise(rows: list[list[float]]) -> None:
    y = np.array(rows)
    x = np.tile(np.array([3.0, 1.0, 1.0, 2.0, 5.0, 4.0]), (y.shape[0], 1))
    together = isotonic.fitted(x, y)
    for i in range(y.shape[0]):
        assert together[i] == pytest.approx(isotonic.at(isotonic.curve(x[i], y[i]), x[i]), abs=1e-9)
    assert (np.diff(together[:, np.argsort(x[0], kind="stable")], axis=1) >= -1e-12).all()
    assert together.sum(axis=1) == pytest.approx(y.sum(axis=1), abs=1e-9)


@pytest.mark.parametrize("n", [20, 33, 100, 1000])
def test_conformal_ranks_equal_those_of_crepes(n: int) -> None:
    """Where (n + 1) p is whole (n = 19, 80 %) crepes takes the next rank: 1 - 0.8 is not 0.2 in floats."""
    own = pool(n, np.random.default_rng(n))
    fit = methods.conformal(own, calibration_spec(score="absolute"))
    theirs = ConformalRegressor().fit(residuals=np.abs(own.y - own.q50))
    for level in LEVELS:
        low, high = theirs.predict_int(y_hat=np.array([0.0]), confidence=level / 100)[0]
        assert fit.promises[level].half_width == pytest.approx((high - low) / 2)


def test_widening_never_narrows_and_says_when_a_side_has_no_width() -> None:
    rng = np.random.default_rng(5)
    wide, narrow = pool(100, rng, band=3.0), pool(100, rng, band=0.5)
    assert {p.half_width for p in methods.widening(wide, calibration_spec()).promises.values()} == {1.0}
    widened = methods.widening(narrow, calibration_spec())
    inside = [
        sum(
            -p.half_width * lo <= y - m <= p.half_width * hi
            for y, m, lo, hi in zip(narrow.y, narrow.q50, narrow.low[:, at], narrow.high[:, at], strict=True)
        )
        for at, p in enumerate(widened.promises.values())
    ]
    assert inside == [p.rank for p in widened.promises.values()] == [51, 81, 96]
    one_sided = replace(narrow, low=np.zeros_like(narrow.low))
    assert "no width to widen" in methods.widening(one_sided, calibration_spec()).promises[80].reason


def test_the_adaptive_level_equals_a_clerks_walk_through_the_sessions() -> None:
    own = pool(24 * 20, np.random.default_rng(6), a_session=24)
    rule = calibration_spec(method="adaptive", recent_samples=72, recent_days=3, step=0.2)
    scores = np.abs(own.y - own.q50) / own.sigma
    for level in LEVELS:
        in_force = {day: float(level) for day in range(22)}
        for day in range(20):  # session `day` is known two sessions later: embargo 1
            past = scores[(own.known <= day - 2) & (own.known > day - 5)]
            in_force[day + 2] = in_force[day + 1]
            if past.size and math.ceil((past.size + 1) * level / 100) <= past.size:
                seat = min(max(math.ceil(round((past.size + 1) * in_force[day] / 100, 9)), 1), past.size)
                held = np.mean(scores[own.known == day] <= sorted(past)[seat - 1])
                in_force[day + 2] = min(max(in_force[day + 1] + 0.2 * (level - 100 * held), 1.0), 99.9)
        found = methods.adaptive(own, rule).promises[level]
        last = np.sort(scores[own.known >= 17])
        assert found.level == pytest.approx(in_force[21], abs=1e-5)
        assert found.half_width == last[min(math.ceil((last.size + 1) * found.level / 100), last.size) - 1]


def test_after_a_break_in_volatility_the_tracker_covers_before_the_static_method() -> None:
    rng = np.random.default_rng(9)
    calm, wild = pool(24 * 30, rng, a_session=24), pool(24 * 30, rng, a_session=24)
    y = np.concatenate([calm.y, wild.q50 + 2.5 * (wild.y - wild.q50)])
    days = np.concatenate([calm.known, wild.known + 30])
    joined = {name: np.concatenate([getattr(calm, name), getattr(wild, name)]) for name in
              ("asked", "target_ts", "symbol", "snapshot_time", "q50", "sigma", "low", "high")}  # fmt: skip
    everything = Samples(levels=LEVELS, y=y, known=days, **joined)

    def sessions_until_covered(method: str) -> int:
        rule = calibration_spec(method=method)
        for day in range(30, 60):
            window = everything.of((days >= day - 31) & (days <= day - 2))
            today = everything.of(days == day)
            half = METHODS[method](window, rule).promises[80].half_width
            assert half is not None
            if np.mean(np.abs(today.y - today.q50) <= half * today.sigma) >= 0.75:
                return day - 30
        return 30

    tracker, static = sessions_until_covered("adaptive"), sessions_until_covered("conformal")
    assert tracker < static
    assert tracker <= 12


@pytest.mark.parametrize("noise", ["normal", "skewed"])
@pytest.mark.parametrize("n", [20, 33, 60, 250, 1000, 5000])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_on_exchangeable_outcomes_coverage_lies_in_the_binomial_band_of_the_promise(
    method: str, n: int, noise: str
) -> None:
    """The promise: at least nominal, at most one rank more; fewer outcomes than a rank needs are refused, with n."""
    rng, draws = np.random.default_rng(n), 600 if n < 1000 else 150
    rule = calibration_spec(method=method)
    hits = dict.fromkeys(LEVELS, 0)
    below = {(level, side): 0 for level in LEVELS for side in (0, 1)}
    refused = set()
    ranked = 0
    for _ in range(draws):
        drawn = pool(n + 1, rng, noise=noise, a_session=max(1, n // 20))
        fit = METHODS[method](drawn.of(np.arange(n)), rule)
        last, ranked = drawn.of(np.array([n])), fit.n
        y = float(last.y[0])
        for level, band in bands(fit, last).items():
            if band is None:
                refused.add(level)
                continue
            hits[level] += band[0] <= y <= band[1]
            below[level, 0] += y < band[0]
            below[level, 1] += y <= band[1]
    for level in LEVELS:
        if level in refused:
            assert methods.rank(ranked, level=level) > ranked
            continue
        nominal, most = level / 100, methods.rank(ranked, level=level) / (ranked + 1)
        slack = 3.5 * math.sqrt(nominal * (1 - nominal) / draws)
        slack += 0.03 if method == "adaptive" else 0.0  # its level wanders around nominal on purpose
        assert nominal - slack <= hits[level] / draws <= most + slack, (level, hits[level] / draws)
        if noise == "normal":  # bands are symmetric: tails are equal where outcomes are
            for side, tail in ((0, (1 - nominal) / 2), (1, (1 + nominal) / 2)):
                room = 3.5 * math.sqrt(tail * (1 - tail) / draws) + (most - nominal) / 2 + (slack if side > 1 else 0)
                room += 0.02 if method == "adaptive" else 0.0
                assert abs(below[level, side] / draws - tail) <= room, (level, side, below[level, side] / draws)


def test_nineteen_ranks_promise_ninety_five_percent_and_eighteen_do_not() -> None:
    rng = np.random.default_rng(0)
    assert methods.affine(pool(19, rng), calibration_spec(method="affine")).promises[95].half_width is not None
    assert methods.affine(pool(18, rng), calibration_spec(method="affine")).promises[95].half_width is None

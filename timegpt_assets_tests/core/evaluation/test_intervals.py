"""Scores of bands against scoringrules and a clerk; drift, widths by volatility, the report by time of day."""

import sys
from datetime import date

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.evaluation import diagnostics, forecast, intervals
from timegpt_assets.core.tables.columns import BANDS, QUANTILES
from timegpt_assets.core.tables.evaluation import DAY_SCORES, RELATIVE
from timegpt_assets_tests.core.evaluation.test_forecast import AS_OF, WINDOW, days, scored

with pytest.MonkeyPatch.context() as hidden:
    # where numba is, scoringrules compiles 58 kernels of its own when imported, 40 seconds in every worker of a run
    hidden.setitem(sys.modules, "numba", None)
    import scoringrules

MONTH = {"month": "2025-02", "as_of": AS_OF}


def test_winkler_and_weighted_interval_scores_equal_those_of_scoringrules() -> None:
    frame = scored(days(6))
    for prefix in forecast.STAGES.values():
        found = frame.select(**intervals.row_scores(prefix))
        y, q50 = frame["y"].to_numpy(), frame[f"{prefix}q50"].to_numpy()
        lower = np.stack([frame[f"{prefix}{low}"].to_numpy() for low, _ in BANDS.values()], axis=1)
        upper = np.stack([frame[f"{prefix}{high}"].to_numpy() for _, high in BANDS.values()], axis=1)
        alpha = np.array([1 - level / 100 for level in BANDS])
        for at, level in enumerate(BANDS):
            theirs = scoringrules.interval_score(y, lower[:, at], upper[:, at], alpha[at])
            assert found[f"winkler_{level}"].to_numpy() == pytest.approx(theirs)
        # scoringrules 0.8.0 adds half the median itself where half of its distance from y is meant
        theirs = scoringrules.weighted_interval_score(y, np.abs(y - q50), lower, upper, alpha)
        assert found["wis"].to_numpy() == pytest.approx(theirs)


def test_pinball_equals_that_of_scoringrules() -> None:
    frame = scored(days(4))
    theirs = [
        scoringrules.quantile_score(frame["y"].to_numpy(), frame[q].to_numpy(), p)
        for q, p in forecast.PROBABILITIES.items()
    ]
    assert frame["pinball"].to_numpy() == pytest.approx(np.mean(theirs, axis=0))


def test_a_band_that_was_not_promised_counts_in_no_mean() -> None:
    frame = scored(days(3)).with_columns(q025=pl.lit(None, pl.Float64), q975=pl.lit(None, pl.Float64))
    found = intervals.means(frame, "calibrated")
    assert found["width_95"] is None
    two = {50: ("q25", "q75"), 80: ("q10", "q90")}
    parts = [(frame["y"] - frame["q50"]).abs().to_numpy() / 2]
    for level, (low, high) in two.items():
        alpha = 1 - level / 100
        score = scoringrules.interval_score(frame["y"].to_numpy(), frame[low].to_numpy(), frame[high].to_numpy(), alpha)
        parts.append(alpha / 2 * score)
    assert found["wis"] == pytest.approx(np.mean(np.sum(parts, axis=0) / 2.5))


def test_the_histogram_is_a_clerks_count_between_the_stored_quantiles() -> None:
    frame = scored(days(10))
    rows = forecast.reliability(frame, **WINDOW, draws=400).filter(symbol="*", stage="calibrated")
    edges = [-np.inf, *QUANTILES]
    for i, row in enumerate(rows.iter_rows(named=True)):
        count = 0
        for one in frame.iter_rows(named=True):
            low = -np.inf if i == 0 else one[edges[i]]
            count += low < one["y"] <= one[edges[i + 1]]
        assert row["bin_share"] == pytest.approx(count / frame.height)
    assert rows["uniform_p"].null_count() == rows.height  # forty outcomes: a bin of one is no evidence
    many = pl.concat([frame] * 6)
    for shift, least, most in ((0.0, 0.05, 1.0), (0.004, 0.0, 0.02)):  # six copies of forty outcomes are forty
        moved = forecast.reliability(many.with_columns(pl.col("y") + shift), **WINDOW, draws=400)
        assert least < moved.filter(symbol="*", stage="calibrated")["uniform_p"][0] < most


def test_the_report_by_time_of_day_reads_the_months_own_sessions_only() -> None:
    frame = scored(days(30))
    found = intervals.coverage_report(frame, **MONTH)
    own = frame.filter(pl.col("day") >= date(2025, 2, 1))
    assert set(found["snapshot_time"]) == {"*", "10:00", "14:30"}
    row = found.filter(symbol="AAA", snapshot_time="10:00", stage="calibrated").row(0, named=True)
    at_ten = own.filter(pl.col("symbol") == "AAA", pl.col("snapshot_ts").dt.hour() == 15)
    assert row["n"] == at_ten.height == own["day"].n_unique()
    assert row["coverage_80"] == pytest.approx(at_ten["covered_80"].mean())
    assert row["width_50"] == pytest.approx((at_ten["q75"] - at_ten["q25"]).mean())
    assert found.filter(symbol="*", snapshot_time="*", stage="raw")["n"].item() == own.height


def test_every_row_of_the_report_is_what_its_own_forecasts_add_up_to() -> None:
    """Groups are measured in one pass; here one by one, bands that were not promised among them."""
    third = pl.int_range(pl.len()) % 3 == 0
    bare = {name: pl.when(~third).then(pl.col(name)) for name in ("q025", "q975", "covered_95", "abs_error_last")}
    frame = scored(days(30)).with_columns(**bare).with_columns(snapshot_time=pl.col("snapshot_ts").dt.strftime("%H:%M"))
    own = frame.filter(pl.col("day") >= date(2025, 2, 1))
    report = intervals.coverage_report(frame, **MONTH).with_columns(
        snapshot_time=pl.col("snapshot_time").replace({"10:00": "15:00", "14:30": "19:30"})
    )
    assert report.height == 3 * 3 * 2
    for row in report.iter_rows(named=True):
        part = own.filter(**{name: row[name] for name in ("symbol", "snapshot_time") if row[name] != "*"})
        expected = forecast.summary(part, row["stage"]) | intervals.means(part, row["stage"])
        told = {name: value for name, value in row.items() if name in expected}
        assert len(told) >= 20
        assert told == pytest.approx({name: expected[name] for name in told}, rel=1e-12)


def test_tenths_of_volatility_are_each_symbols_own() -> None:
    frame = (
        scored(days(10))
        .with_row_index()
        .with_columns(sigma=pl.when(pl.col("symbol") == "AAA").then(1.0).otherwise(100.0) * (1 + pl.col("index")))
    )
    found = intervals.widths(frame.drop("index"), **WINDOW)
    for symbol, n in (("AAA", 2), ("BBB", 2), ("*", 4)):
        own = found.filter(symbol=symbol, stage="calibrated")
        assert own["decile"].to_list() == list(range(1, 11))
        assert set(own["n"]) == {n}
        assert own["sigma"].is_sorted()
    assert found["width_50"].to_numpy() == pytest.approx(np.where(found["stage"] == "raw", 0.001, 0.002))


def test_the_drift_alarm_rings_when_coverage_leaves_its_promise_and_not_before() -> None:
    sessions = days(40)
    frame = scored(sessions)
    rng = np.random.default_rng(4)
    broken = sessions[30]
    share = np.where(frame["day"].to_numpy() >= np.datetime64(broken), 0.1, 0.5)
    frame = frame.with_columns(covered_50=pl.Series(rng.random(frame.height) < share))
    found = intervals.drift(frame, **MONTH, sessions=5, tolerance=0.03).filter(symbol="*", level=50)
    assert found["day"].min() == date(2025, 2, 3)
    last = found.filter(pl.col("day") == AS_OF)
    assert last["alarm"].item()
    assert last["n"].item() == 5 * frame.filter(pl.col("day") == AS_OF).height
    before = found.filter(pl.col("day") < broken)
    assert before["alarm"].mean() < 0.3
    own = frame.filter(pl.col("day").is_in(days(5)))
    assert last["coverage"].item() == pytest.approx(own["covered_50"].mean())


def test_differences_and_coverages_carry_day_block_intervals() -> None:
    row = (
        diagnostics.diagnostics(scored(days(14)), **WINDOW, draws=200)
        .filter(symbol="*", stage="calibrated")
        .row(0, named=True)
    )
    for name in RELATIVE:
        assert row[f"{name}_diff_low"] <= row[f"{name}_diff"] <= row[f"{name}_diff_high"], name
    own = scored(days(14)).filter(pl.col("day") >= days(10)[0])
    assert row["rpinball_raw_diff"] == pytest.approx((own["pinball"] - own["raw_pinball"]).mean())
    assert row["coverage_50_day_low"] <= row["coverage_50"] <= row["coverage_50_day_high"]


def test_nothing_scored_gives_empty_band_tables() -> None:
    empty = DAY_SCORES.empty()
    assert intervals.coverage_report(empty, **MONTH).is_empty()
    assert intervals.widths(empty, **WINDOW).is_empty()
    assert intervals.drift(empty, **MONTH, sessions=5, tolerance=0.03).is_empty()


def covered(hits: list[int], sessions: list[date]) -> pl.DataFrame:
    """Return DAY_SCORES of four forecasts a session, of which so many are covered by every band."""
    frame = scored(sessions).with_columns(nth=pl.int_range(pl.len()).over("day"))
    told = pl.DataFrame({"day": sessions, "hits": hits}, schema_overrides={"day": pl.Date})
    is_hit = (pl.col("nth") < pl.col("hits")).alias
    return frame.join(told, on="day").with_columns(is_hit(f"covered_{level}") for level in BANDS).drop("nth", "hits")


def drifted(frame: pl.DataFrame, tolerance: float, sessions: int = 4) -> list[tuple[date, float, bool]]:
    found = intervals.drift(frame, **MONTH, sessions=sessions, tolerance=tolerance).filter(symbol="*", level=50)
    return found.select("day", "coverage", "alarm").rows()


def test_the_alarm_needs_distance_beyond_the_tolerance_and_nominal_outside_the_interval() -> None:
    sessions = days(4)
    narrow = covered([3, 3, 3, 3], sessions)  # 75 % on each day: an interval without width
    assert drifted(narrow, 0.24) == [(AS_OF, 0.75, True)]
    assert drifted(narrow, 0.25) == [(AS_OF, 0.75, False)]
    assert drifted(covered([4, 0, 4, 4], sessions), 0.2) == [(AS_OF, 0.75, False)]
    assert drifted(covered([1, 1, 1, 1], sessions), 0.24) == [(AS_OF, 0.25, True)]


def test_sessions_too_old_are_no_recent_coverage() -> None:
    last, hits = days(3), [3, 3, 3, 3]
    assert drifted(covered(hits, [days(8)[0], *last]), 0.2) != []
    assert drifted(covered(hits, [days(9)[0], *last]), 0.2) == []


def test_a_width_counts_what_a_symbol_would_have_lost_without_a_forecast() -> None:
    frame = scored(days(10))
    row = intervals.widths(frame, **WINDOW).filter(symbol="AAA", stage="raw", decile=1).row(0, named=True)
    own = frame.filter(symbol="AAA").head(row["n"])  # sigma is level: ties keep their order
    assert row["n"] == 2
    assert row["mae_zero"] == pytest.approx(own["y"].abs().mean())
    assert row["coverage_95"] == pytest.approx(own["raw_covered_95"].mean())


def test_the_median_width_of_a_tenth_is_a_clerks() -> None:
    frame = scored(days(25))
    skewed = (pl.int_range(pl.len()) * 7 % 11) ** 2 * 1e-4
    frame = frame.with_columns(q75=pl.col("q25") + skewed.over("symbol"))
    found = intervals.widths(frame, month="2025-02", as_of=AS_OF, lookback_sessions=25).filter(stage="calibrated")
    own = forecast.window(frame, AS_OF, 25).filter(symbol="AAA")
    per_tenth = [own[start : start + 5] for start in range(0, own.height, 5)]  # sigma is level: ties keep their order
    assert len(per_tenth) == 10
    medians = [float(np.median((part["q75"] - part["q25"]).to_numpy())) for part in per_tenth]
    assert found.filter(symbol="AAA").sort("decile")["median_width_50"].to_list() == pytest.approx(medians)


@pytest.mark.parametrize(
    ("quantiles", "crossed"),
    [
        ({}, 0),
        ({"q25": 9.0}, 1),
        ({"q25": 9.0, "q75": -9.0}, 1),
        ({"q025": None, "q975": None}, 0),
        ({"q10": 9.0, "q25": None, "q50": None}, 1),
        ({"q50": None, "q25": 0.0, "q75": 0.0}, 0),
    ],
)
def test_a_row_with_a_quantile_above_a_higher_one_is_crossed_once(
    quantiles: dict[str, float | None], crossed: int
) -> None:
    flat = {q: pl.lit(0.0) for q in QUANTILES} | {name: pl.lit(v, pl.Float64) for name, v in quantiles.items()}
    frame = scored(days(2)).head(3)
    named = [f"{p}{name}" for p in ("", "raw_") for name in QUANTILES]
    frame = frame.with_columns(**{name: pl.lit(0.0) for name in named})
    spoilt = pl.concat([frame.head(1).with_columns(**flat), frame.tail(2)])
    assert intervals.crossed(spoilt, "calibrated") == crossed
    assert intervals.crossed(spoilt, "raw") == 0

"""The month's forecasts: what passes, what counts, and what must be beaten."""

from collections.abc import Mapping

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.gates import references
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets_tests.core.gates.made import (
    SMOKE,
    beside_zero,
    compared,
    diagnostics,
    failures,
    forecast_rows,
    widths,
)

NOBODY = ("forecast_gate", "*", "symbols_passed")


def test_good_live_forecasts_pass_every_criterion() -> None:
    frame = forecast_rows(diagnostics("AAA", "BBB", "*"))
    assert failures(frame) == set()
    assert frame.filter(gate="forecast_gate", symbol="AAA").height == 5
    assert frame.filter(gate="promotion").height == 2 + 2 * len(references.CRITERIA)


@pytest.mark.parametrize(
    "sources", [SMOKE, LIVE | {"data_regime": "maintenance_replay"}, LIVE | {"score_source": "simulated"}]
)
def test_only_prod_model_live_counts_and_what_was_found_instead_is_named(sources: Mapping[str, str]) -> None:
    symbols = ("AAA", "BBB")
    frame = forecast_rows(
        diagnostics(*symbols, "*", sources=sources),
        beside=compared(sources=sources),
        zero=beside_zero(symbols, sources=sources),
        bands=widths(symbols, sources=sources),
    )
    assert not frame["passed"].any()
    reason = frame.filter(symbol="AAA", criterion="rmae")["reason"].item()
    assert reason.startswith("insufficient_observation: 0 forecasts, 1000 needed: none is model+prod+prod_live, found ")
    assert "+".join(sources.values()) in reason


def test_a_thousand_forecasts_are_needed() -> None:
    assert failures(forecast_rows(diagnostics("AAA", "BBB", "*", n=1000))) == set()
    frame = forecast_rows(diagnostics("AAA", "BBB", "*", n=999))
    bands = frame.filter(criterion="width_spearman")
    assert bands["passed"].all(), "they are counted by themselves"
    few = forecast_rows(diagnostics("AAA", "BBB", "*"), bands=widths(("AAA", "BBB"), n=99))
    assert failures(few) == {("forecast_gate", s, "width_spearman") for s in ("AAA", "BBB")} | {NOBODY}
    assert (
        frame.filter(pl.col("criterion") != "width_spearman", symbol="AAA")["reason"]
        .str.starts_with("insufficient_observation: 999")
        .all()
    )


def test_one_weak_symbol_fails_alone_and_every_symbol_must_be_seen_for_the_medians() -> None:
    weak = pl.concat([diagnostics("AAA", "CCC", "*"), diagnostics("BBB", rmae=0.95)])
    assert failures(forecast_rows(weak, ("AAA", "BBB", "CCC"))) == {("forecast_gate", "BBB", "rmae")}
    unseen = failures(forecast_rows(diagnostics("AAA", "*")))
    assert ("promotion", "*", "median_rmae") in unseen
    assert ("forecast_gate", "*", "symbols_passed") not in unseen


def test_coverage_passes_within_the_tolerance_or_when_nominal_lies_in_its_interval() -> None:
    def passes(value: float, low: float, high: float) -> bool:
        frame = diagnostics("AAA", "*", coverage_50=value, coverage_50_day_low=low, coverage_50_day_high=high)
        return bool(forecast_rows(frame, ("AAA",)).filter(symbol="AAA", criterion="coverage_50")["passed"].item())

    assert passes(0.515, 0.51, 0.53)
    assert passes(0.54, 0.49, 0.59)
    assert not passes(0.54, 0.51, 0.57)


def test_one_symbol_that_passes_is_enough_for_the_gate() -> None:
    one = forecast_rows(pl.concat([diagnostics("AAA", "*"), diagnostics("BBB", rmae=0.99)]))
    assert one.filter(criterion="symbols_passed").select("value", "threshold", "n", "passed").row(0) == (1, 1, 2, True)
    alone = forecast_rows(diagnostics("AAA", "*"), ("AAA",))
    assert alone.filter(criterion="symbols_passed")["passed"].item()


def test_a_median_is_undefined_when_one_symbol_has_no_value() -> None:
    frame = forecast_rows(pl.concat([diagnostics("AAA", "*"), diagnostics("BBB", pit_deviation=None)]))
    assert frame.filter(criterion="median_pit_deviation")["reason"].item().startswith("median_pit_deviation is undefi")
    two = forecast_rows(pl.concat([diagnostics("AAA", "*", rmae=0.5), diagnostics("BBB", rmae=0.7)]))
    assert two.filter(criterion="median_rmae")["value"].item() == pytest.approx(0.6)


def test_a_reference_is_beaten_below_one_and_surely() -> None:
    good, beaten = diagnostics("AAA", "BBB", "*"), compared(against=["zero"])
    equal = pl.concat([beaten, compared(against=["climatology"], rmae=1.0)])
    assert failures(forecast_rows(good, beside=equal)) == {("promotion", "*", "rmae_climatology")}
    unsure = pl.concat([beaten, compared(against=["climatology"], rpinball_p=0.05)])
    assert failures(forecast_rows(good, beside=unsure)) == {("promotion", "*", "rpinball_climatology_p")}
    frame = forecast_rows(good, beside=pl.concat([beaten, compared(against=["climatology"], rmae=0.8, rmae_p=0.03)]))
    figure = ("value", "low", "high", "threshold", "n")
    assert frame.filter(criterion="rmae_climatology").select(figure).row(0) == (0.8, 0.85, 0.95, 1.0, 1200)
    assert frame.filter(criterion="rmae_climatology_p").select(figure).row(0) == (0.03, None, None, 0.05, 1200)
    assert frame.filter(criterion="rmae_zero")["value"].item() == 0.9


def test_of_the_comparison_only_the_own_live_rows_against_what_references_answered_in_prod_count() -> None:
    good, worse = diagnostics("AAA", "BBB", "*"), {"rmae": 2.0, "rpinball": 2.0, "rmae_p": 1.0, "rpinball_p": 1.0}
    strange = [
        compared("ridge", **worse),
        compared(sources=SMOKE, **worse),
        compared(answered="baseline+smoke+maintenance_replay", n=9999, **worse),
        compared(n=7, **worse).with_columns(against_sources=pl.lit("model+prod+prod_live")),  # met less often
        compared(**worse).with_columns(symbol=pl.lit("AAA")),
        compared(against=["ridge", "size"], **worse),
    ]
    for order in (1, -1):
        frame = forecast_rows(good, beside=pl.concat([compared(), *strange][::order]))
        assert failures(frame) == set()
        assert_frame_equal(frame, forecast_rows(good))
    alone = forecast_rows(good, beside=pl.concat(strange[1:3])).filter(criterion="rmae_zero")
    assert alone["reason"].item() == "insufficient_observation: 0 common forecasts, 1000 needed"


def test_a_thousand_common_forecasts_are_needed_of_each_reference() -> None:
    few = pl.concat([compared(against=["zero"], n=1000), compared(against=["climatology"], n=999)])
    frame = forecast_rows(diagnostics("AAA", "BBB", "*"), beside=few)
    names = {name for _, _, name in failures(frame)}
    assert names == {f"{ratio}_climatology{end}" for ratio in ("rmae", "rpinball") for end in ("", "_p")}
    reasons = set(frame.filter(~pl.col("passed"))["reason"])
    assert reasons == {"insufficient_observation: 999 common forecasts, 1000 needed"}


def test_what_zero_scores_stands_beside_each_ratio_and_must_be_beaten_where_the_threshold_is_passable_by_it() -> None:
    good = diagnostics("AAA", "*")
    rows = forecast_rows(good, ("AAA",))
    assert rows.filter(symbol="AAA", criterion="rmae")["zero"].item() == 0.71
    assert (
        "zero passes it, too, and must be beaten: 0.65 < 0.71 holds" in rows.filter(criterion="rmae")["reason"].item()
    )
    assert rows.filter(criterion="median_rmae")["zero"].item() == 0.71
    assert rows.filter(~pl.col("criterion").is_in(["rmae", "rrmse", "median_rmae"]))["zero"].null_count() > 5
    worse = beside_zero(["AAA"], against_rmae_last=0.64)
    frame = forecast_rows(good, ("AAA",), zero=worse)
    assert failures(frame) == {("forecast_gate", "AAA", "rmae"), NOBODY}
    assert "must be beaten: 0.65 < 0.64 does not hold" in frame.filter(criterion="rmae")["reason"].item()
    even = beside_zero(["AAA"], against_rrmse_last=0.65)
    assert failures(forecast_rows(good, ("AAA",), zero=even)) == {("forecast_gate", "AAA", "rrmse"), NOBODY}
    # on common rows the own may be worse than on all of its rows: like is compared with like
    common = beside_zero(["AAA"], rmae_last=0.72)
    assert failures(forecast_rows(good, ("AAA",), zero=common)) == {("forecast_gate", "AAA", "rmae"), NOBODY}
    hard = forecast_rows(good, ("AAA",), zero=beside_zero(["AAA"], against_rmae_last=0.95, rmae_last=0.99))
    assert failures(hard) == set(), "0.95 is asked, and zero does not get below it"
    assert hard.filter(criterion="rmae", symbol="AAA")["reason"].item() == "0.65 < 0.95 holds; zero scores 0.95"


def test_a_symbol_that_zero_never_met_passes_no_ratio_and_names_the_remedy() -> None:
    frame = forecast_rows(diagnostics("AAA", "*"), ("AAA",), zero=beside_zero([]))
    assert failures(frame) == {("forecast_gate", "AAA", name) for name in ("rmae", "rrmse")} | {NOBODY}
    said = "insufficient_observation: zero answered none of these forecasts: add it to forecast.challengers"
    assert set(frame.filter(~pl.col("passed"), symbol="AAA")["reason"]) == {said}


def test_zero_itself_is_not_below_zero() -> None:
    good = diagnostics("AAA", "*").with_columns(forecaster=pl.lit("zero"))
    rows = forecast_rows(good, ("AAA",), zero=beside_zero([]), own="zero").filter(symbol="AAA", criterion="rmae")
    assert rows.select("value", "zero", "passed").row(0) == (0.65, 0.65, False)


@pytest.mark.parametrize(
    ("changed", "value", "passed"),
    [
        ({}, 1.0, True),
        ({"d1": 0.0035, "d2": 0.0031}, 1 - 6 * (4 + 4) / 990, True),
        ({f"d{d}": (11 - d) / 1000 for d in range(1, 11)}, -1.0, False),
        ({f"d{d}": (d if d < 6 else 16 - d) / 1000 for d in range(1, 11)}, 1 - 6 * (16 + 4 + 4 + 16) / 990, False),
        ({f"d{d}": 0.001 for d in range(1, 11)}, None, False),
    ],
)
def test_bands_must_widen_with_volatility(changed: dict[str, float], value: float | None, passed: bool) -> None:
    """By pencil: 1 - 6 x sum of squared rank differences / (n (n^2 - 1)), n = 10."""
    frame = forecast_rows(diagnostics("AAA", "*"), ("AAA",), bands=widths(["AAA"], **changed))
    row = frame.filter(criterion="width_spearman").row(0, named=True)
    assert row["value"] == (None if value is None else pytest.approx(value))
    assert row["passed"] is passed
    assert failures(frame) == (set() if passed else {("forecast_gate", "AAA", "width_spearman"), NOBODY})


def test_one_crossed_quantile_is_one_too_many() -> None:
    frame = forecast_rows(diagnostics("AAA", "*", crossed=1), ("AAA",))
    assert failures(frame) == {("forecast_gate", "AAA", "crossed_quantiles"), NOBODY}

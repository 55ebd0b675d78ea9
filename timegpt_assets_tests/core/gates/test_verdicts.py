"""Gates: who may trade, who may be promoted, and what is never enough."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.gates import references
from timegpt_assets.core.gates import verdicts as gates
from timegpt_assets.core.tables.columns import REFERENCES
from timegpt_assets.core.tables.evaluation import (
    COMPARISON,
    COST_SENSITIVITY,
    FORECAST_DIAGNOSTICS,
    FORECAST_SCORES,
    OOS_SUMMARY,
    RELATIVE,
    TRADING_SCORES,
)
from timegpt_assets.core.tables.gates import GATES

DAY = date(2025, 2, 21)
MONTH = {"month": "2025-02", "as_of": date(2025, 2, 28)}
SMOKE = {"score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay"}
SEATED = ("timegpt", *REFERENCES)
IN_PROD = "baseline+prod+maintenance_replay"
"""What the rows of a reference say where they come from in prod."""
ELIGIBILITY = gates.Eligibility(
    lookback_sessions=60,
    min_forecasts=200,
    rmae_lt=1.0,
    rrmse_lt=1.0,
    coverage_tol=0.02,
    bootstrap="trade",
)
FORECAST = gates.ForecastGate(min_forecasts=1000, rmae_lt=0.95, rrmse_lt=0.97, coverage_tol=0.02)
TRADING = gates.TradingGate(
    min_observation_days=60,
    min_completed_runs=5,
    oos_sharpe_gte=0.5,
    hit_rate_gte=0.48,
    stress_multiplier=1.5,
    stressed_pnl_gte=0.0,
)
PROMOTION = gates.Promotion(
    pit_dev_max=0.03,
    rmae_max=0.7,
    dm_p_lt=0.05,
    oos_sharpe_gte=0.5,
    sharpe_cost_multiplier=1.5,
    stressed_pnl_gt=0.0,
    pnl_cost_multiplier=1.5,
    min_observation_days=14,
    sharpe_daily_gte=0.7,
    max_drawdown_lte=0.1,
    reject_rate_lte=0.2,
)


def sessions(n: int, last: date = DAY) -> list[date]:
    return [calendar.shifted(last, -back) for back in range(n, 0, -1)]


def scores(
    days: Sequence[date],
    *,
    skill: float = 0.5,
    symbol: str = "AAA",
    sources: Mapping[str, str] = SMOKE,
    coverage: float = 0.5,
    per_day: int = 5,
) -> pl.DataFrame:
    """Scores of a forecaster whose error is (1 - skill) of y, and whose 50 % band covers a given share."""
    rng = np.random.default_rng(11)
    rows = []
    for i, day in enumerate(days):
        for k in range(per_day):
            snapshot = calendar.session(day).open + timedelta(minutes=30 + 60 * k)
            y, last = rng.normal(0, 0.002, 2)
            error = (1 - skill) * y
            covered = (i * per_day + k) % 100 < 100 * coverage
            rows.append(
                {
                    "day": day, "symbol": symbol, "snapshot_ts": snapshot, "horizon_min": 15,
                    "target_ts": snapshot + timedelta(minutes=15),
                    "y": y, "y_last": last, "abs_error": abs(error), "sq_error": error**2,
                    "abs_error_last": abs(y - last), "sq_error_last": (y - last) ** 2, "abs_error_zero": abs(y),
                    "pinball": abs(error) / 2, "raw_pinball": abs(error) / 2, "label_aligned": True,
                    "calibration": "conformal", "forecaster": "timegpt",
                    **{f"{p}covered_{level}": covered for p in ("", "raw_") for level in (50, 80, 95)},
                }
                | sources
            )  # fmt: skip
    return FORECAST_SCORES.conformed(pl.DataFrame(rows, schema=FORECAST_SCORES.schema))


def of_references(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what zero and climatology scored at the snapshots of a frame: zero's error is y, climatology is worse."""
    own = frame.unique(["symbol", "snapshot_ts"], maintain_order=True)
    parts = [
        own.with_columns(
            forecaster=pl.lit(name),
            abs_error=pl.col("abs_error_zero") * factor,
            sq_error=(pl.col("abs_error_zero") * factor) ** 2,
            pinball=pl.col("abs_error_zero") * factor / 2,
            **{source: pl.lit(value) for source, value in SMOKE.items()},
        )
        for name, factor in zip(REFERENCES, (1.0, 1.1), strict=True)
    ]
    return pl.concat(parts)


def everyones(
    frame: pl.DataFrame, symbols: Sequence[str] = ("AAA",), seated: Sequence[str] = SEATED, **changes: Any
) -> pl.DataFrame:
    eligibility = replace(ELIGIBILITY, **changes)
    return gates.symbol_gates(frame, day=DAY, symbols=symbols, forecasters=seated, eligibility=eligibility)


def judged(frame: pl.DataFrame, *args: Any, **changes: Any) -> pl.DataFrame:
    """Return the verdicts on a frame's forecaster, with the references beside it."""
    found = everyones(pl.concat([frame, of_references(frame)]), *args, **changes)
    return found.filter(~pl.col("forecaster").is_in(REFERENCES))


def verdicts(frame: pl.DataFrame) -> dict[tuple[str, str], str]:
    rows = frame.filter(criterion="eligibility").select("symbol", "score_source", "verdict").iter_rows()
    return {(symbol, source): verdict for symbol, source, verdict in rows}


def test_a_forecaster_better_than_every_reference_is_eligible() -> None:
    frame = judged(scores(sessions(60)))
    assert verdicts(frame) == {("AAA", "baseline"): "eligible"}
    assert frame["passed"].all()
    assert set(frame["criterion"]) == {"eligibility", "rmae", "rrmse", "coverage_50", *references.CRITERIA}
    rmae = frame.filter(criterion="rmae").row(0, named=True)
    assert (rmae["n"], rmae["threshold"]) == (300, 1.0)
    assert rmae["low"] < rmae["value"] < rmae["high"] < 1


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"skill": 0.0}, {"rmae_zero", "rpinball_zero"}),
        ({"skill": -0.15}, {"rmae_zero", "rpinball_zero", "rmae_climatology", "rpinball_climatology"}),
        ({"coverage": 0.8}, {"coverage_50"}),
        ({"skill": -1.0}, {"rmae", "rrmse", "rmae_zero", "rmae_climatology", "rpinball_zero", "rpinball_climatology"}),
    ],
)
def test_one_criterion_that_does_not_hold_makes_a_symbol_ineligible(
    changes: dict[str, float], failed: set[str]
) -> None:
    frame = judged(scores(sessions(60), **changes))  # type: ignore[arg-type]
    assert verdicts(frame) == {("AAA", "baseline"): "ineligible"}
    assert failed <= set(frame.filter(~pl.col("passed"))["criterion"]) - {"eligibility"}
    assert all(name in frame.filter(criterion="eligibility")["reason"].item() for name in failed)


def test_fewer_than_the_minimum_is_insufficient_even_for_a_bad_forecaster() -> None:
    frame = judged(scores(sessions(39), skill=-1.0))
    assert verdicts(frame) == {("AAA", "baseline"): "insufficient_observation"}
    assert frame.filter(criterion="rmae")["reason"].item() == "insufficient_observation: 195 forecasts, 200 needed"
    assert not frame["passed"].any() or set(frame.filter("passed")["criterion"]).isdisjoint({"rmae", "eligibility"})
    assert set(frame["bootstrap"]) == {"trade"}
    assert verdicts(judged(scores(sessions(40)))) == {("AAA", "baseline"): "eligible"}


def test_a_symbol_never_scored_has_one_row_that_says_so() -> None:
    frame = judged(scores(sessions(60)), symbols=("AAA", "ZZZ"))
    assert verdicts(frame) == {("AAA", "baseline"): "eligible", ("ZZZ", "*"): "insufficient_observation"}
    assert not frame.filter(symbol="ZZZ")["passed"].item()


def test_each_source_triple_has_its_own_verdict() -> None:
    mixed = pl.concat([scores(sessions(60)), scores(sessions(60), sources=gates.LIVE, skill=-1.0)])
    assert verdicts(judged(mixed)) == {("AAA", "baseline"): "eligible", ("AAA", "model"): "ineligible"}


def test_scores_of_the_day_itself_or_before_the_window_are_not_read() -> None:
    own = scores(sessions(60))
    poison = scores([DAY, calendar.shifted(DAY, 1), calendar.shifted(DAY, -61)], skill=-9.0)
    assert_frame_equal(judged(pl.concat([own, poison])), judged(own))
    bad_yesterday = scores([calendar.shifted(DAY, -1)], skill=-9.0).with_columns(
        pl.col("snapshot_ts").dt.offset_by("1m")
    )
    assert not judged(pl.concat([own, bad_yesterday])).equals(judged(own))


def test_symbols_together_or_one_by_one_give_the_same_rows() -> None:
    both = pl.concat([scores(sessions(60)), scores(sessions(60), symbol="BBB", skill=0.1)])
    single = pl.concat([judged(both, symbols=(symbol,)) for symbol in ("AAA", "BBB")])
    assert_frame_equal(judged(both.sample(fraction=1, shuffle=True, seed=1), symbols=("BBB", "AAA")), single)


def test_forecasts_that_are_not_aligned_cannot_earn_eligibility() -> None:
    frame = judged(scores(sessions(60)).with_columns(label_aligned=pl.lit(False)))
    assert verdicts(frame) == {("AAA", "*"): "insufficient_observation"}


def diagnostics(
    *symbols: str, sources: Mapping[str, str] = gates.LIVE, n: int = 1200, **changes: float | None
) -> pl.DataFrame:
    rows = []
    for symbol in symbols:
        row: dict[str, Any] = {
            "forecaster": "timegpt",
            "symbol": symbol, "stage": "calibrated", "n": n, "calibrated_share": 1.0, "mae": 0.001, "rmse": 0.002,
            "pinball": 0.0005, "coverage_50": 0.51, "coverage_50_low": 0.48, "coverage_50_high": 0.54,
            "pit_deviation": 0.01,
        }  # fmt: skip
        for name in RELATIVE:
            row |= {name: 0.65, f"{name}_low": 0.6, f"{name}_high": 0.7, f"{name}_n": n, f"{name}_p": 0.01}
        rows.append(row | MONTH | sources | changes)
    return FORECAST_DIAGNOSTICS.conformed(pl.DataFrame(rows, schema=FORECAST_DIAGNOSTICS.schema))


def compared(
    own: str = "timegpt",
    *,
    against: Sequence[str] = REFERENCES,
    sources: Mapping[str, str] = gates.LIVE,
    answered: str = IN_PROD,
    n: int = 1200,
    **changes: float | None,
) -> pl.DataFrame:
    """Return rows of the comparison, all symbols pooled: the own better than each of the others."""
    row: dict[str, Any] = {"symbol": "*", "forecaster": own, "against_sources": answered, "n": n, "not_common": 0}
    row |= {"sessions": 60, "requests": 0}
    for name in ("rmae", "rpinball"):
        row |= {name: 0.9, f"{name}_low": 0.85, f"{name}_high": 0.95, f"{name}_p": 0.01, f"{name}_p_holm": 0.02}
    rows = [row | MONTH | sources | {"against": other} | changes for other in against]
    return COMPARISON.conformed(pl.DataFrame(rows, schema=COMPARISON.schema))


def forecast_rows(
    frame: pl.DataFrame,
    symbols: Sequence[str] = ("AAA", "BBB"),
    beside: pl.DataFrame | None = None,
    seated: Sequence[str] = SEATED,
    own: str = "timegpt",
) -> pl.DataFrame:
    """Return the rows of one forecaster (those of the references beside it say that nothing of them was measured)."""
    rows = gates.forecast_gate(
        frame,
        compared() if beside is None else beside,
        **MONTH,  # type: ignore[arg-type]
        symbols=symbols,
        forecasters=seated,
        gate=FORECAST,
        promotion=PROMOTION,
    )
    return rows.filter(forecaster=own)


def failures(frame: pl.DataFrame) -> set[tuple[str, str, str]]:
    return set(frame.filter(~pl.col("passed")).select("gate", "symbol", "criterion").iter_rows())


def test_good_live_forecasts_pass_every_criterion() -> None:
    frame = forecast_rows(diagnostics("AAA", "BBB", "*"))
    assert failures(frame) == set()
    assert frame.filter(gate="forecast_gate", symbol="AAA").height == 3
    assert frame.filter(gate="promotion").height == 2 + 2 * len(references.CRITERIA)


@pytest.mark.parametrize(
    "sources", [SMOKE, gates.LIVE | {"data_regime": "maintenance_replay"}, gates.LIVE | {"score_source": "simulated"}]
)
def test_only_prod_model_live_counts_and_what_was_found_instead_is_named(sources: Mapping[str, str]) -> None:
    frame = forecast_rows(diagnostics("AAA", "BBB", "*", sources=sources), beside=compared(sources=sources))
    assert not frame["passed"].any()
    reason = frame.filter(symbol="AAA", criterion="rmae")["reason"].item()
    assert reason.startswith("insufficient_observation: 0 forecasts, 1000 needed: none is model+prod+prod_live, found ")
    assert "+".join(sources.values()) in reason


def test_a_thousand_forecasts_are_needed() -> None:
    assert failures(forecast_rows(diagnostics("AAA", "BBB", "*", n=1000))) == set()
    frame = forecast_rows(diagnostics("AAA", "BBB", "*", n=999))
    assert frame.filter(symbol="AAA")["reason"].str.starts_with("insufficient_observation: 999").all()


def test_one_weak_symbol_fails_alone_and_every_symbol_must_be_seen_for_the_medians() -> None:
    weak = pl.concat([diagnostics("AAA", "CCC", "*"), diagnostics("BBB", rmae=0.95)])
    assert failures(forecast_rows(weak, ("AAA", "BBB", "CCC"))) == {("forecast_gate", "BBB", "rmae")}
    unseen = failures(forecast_rows(diagnostics("AAA", "*")))
    assert ("promotion", "*", "median_rmae") in unseen
    assert ("forecast_gate", "*", "symbols_passed") not in unseen


def test_coverage_passes_within_the_tolerance_or_when_nominal_lies_in_its_interval() -> None:
    def passes(value: float, low: float, high: float) -> bool:
        frame = diagnostics("AAA", "*", coverage_50=value, coverage_50_low=low, coverage_50_high=high)
        return bool(forecast_rows(frame, ("AAA",)).filter(symbol="AAA", criterion="coverage_50")["passed"].item())

    assert passes(0.515, 0.51, 0.53)
    assert passes(0.54, 0.49, 0.59)
    assert not passes(0.54, 0.51, 0.57)


def figures(table: Any, *, sources: Mapping[str, str] = gates.LIVE, days: int = 60, **changes: Any) -> pl.DataFrame:
    row: dict[str, Any] = {
        "book": "timegpt",
        "symbol": "*", "observation_days": days, "trades": 100, "signals": 110, "reject_rate": 0.1, "hit_rate": 0.5,
        "cost": 50.0, "net_pnl": 150.0, "max_drawdown": 0.01, "sharpe_daily": 0.8,
        "sharpe_method": "daily_agg_v1", "vol_floor_applied": False, "drawdown_days": 2,
        "month_net_pnl": 40.0, "oos_start": date(2025, 1, 1),
    }  # fmt: skip
    row |= changes
    row["gross_pnl"] = row["net_pnl"] + row["cost"]
    rows = [row | MONTH | sources | {"cost_multiplier": m} for m in (1.0, 1.5)]
    frame = pl.DataFrame(rows if "cost_multiplier" in table.schema else rows[:1], schema=table.schema)
    return table.conformed(frame)


def trading_rows(
    scored: pl.DataFrame | None = None,
    stressed: pl.DataFrame | None = None,
    oos: pl.DataFrame | None = None,
    runs: int = 60,
    promotion: gates.Promotion = PROMOTION,
) -> pl.DataFrame:
    return gates.trading_gate(
        figures(TRADING_SCORES) if scored is None else scored,
        figures(COST_SENSITIVITY) if stressed is None else stressed,
        figures(OOS_SUMMARY) if oos is None else oos,
        **MONTH,  # type: ignore[arg-type]
        books=["timegpt"],
        completed_runs=runs,
        gate=TRADING,
        promotion=promotion,
    )


@pytest.mark.parametrize(
    ("criterion", "changed"),
    [
        ("sharpe_daily", {"sharpe_daily": 0.69}),
        ("max_drawdown", {"max_drawdown": 0.11}),
        ("reject_rate", {"reject_rate": 0.21}),
    ],
)
def test_each_hard_metric_stands_in_the_way_of_a_promotion(criterion: str, changed: dict[str, float]) -> None:
    frame = trading_rows(figures(TRADING_SCORES, **changed))
    assert failures(frame) == {("promotion", "*", criterion)}


def test_hard_metrics_need_their_own_days_of_observation() -> None:
    few = trading_rows(figures(TRADING_SCORES, days=13)).filter(gate="promotion")
    hard = few.filter(pl.col("criterion").is_in(["observation_days", "sharpe_daily", "max_drawdown", "reject_rate"]))
    assert hard.height == 4
    assert not hard["passed"].any()
    assert hard["reason"].str.starts_with("insufficient_observation: 13 days, 14 needed").all()
    enough = trading_rows(figures(TRADING_SCORES, days=14)).filter(gate="promotion", criterion="observation_days")
    assert enough["passed"].all()


def test_promotion_reads_the_pnl_at_its_own_multiple() -> None:
    stressed = pl.concat(
        [figures(COST_SENSITIVITY), figures(COST_SENSITIVITY, net_pnl=-1.0)[1:].with_columns(cost_multiplier=2.0)]
    )
    frame = trading_rows(stressed=stressed, promotion=replace(PROMOTION, pnl_cost_multiplier=2.0))
    assert failures(frame) == {("promotion", "*", "pnl_at_2x_costs")}


def test_a_good_account_passes() -> None:
    assert failures(trading_rows()) == set()


def test_fewer_than_sixty_days_are_insufficient_observation() -> None:
    frame = trading_rows(figures(TRADING_SCORES, days=59), oos=figures(OOS_SUMMARY, days=59))
    assert {c for _, _, c in failures(frame)} == {
        "observation_days",
        "hit_rate",
        "oos_sharpe",
        "oos_sharpe_at_1.5x_costs",
    }
    assert (
        frame.filter(~pl.col("passed"))["reason"].str.starts_with("insufficient_observation: 59 days, 60 needed").all()
    )
    assert {c for _, _, c in failures(trading_rows(runs=4))} == {"completed_runs"}


def test_the_gate_allows_a_stressed_pnl_of_zero_and_promotion_does_not() -> None:
    frame = trading_rows(stressed=figures(COST_SENSITIVITY, net_pnl=0.0))
    assert failures(frame) == {("promotion", "*", "pnl_at_1.5x_costs")}


def test_a_null_sharpe_never_passes() -> None:
    frame = trading_rows(oos=figures(OOS_SUMMARY, sharpe_daily=None, vol_floor_applied=True))
    assert {c for _, _, c in failures(frame)} == {"oos_sharpe", "oos_sharpe_at_1.5x_costs"}


def test_replayed_trading_is_named_and_does_not_count() -> None:
    tables_ = (TRADING_SCORES, COST_SENSITIVITY, OOS_SUMMARY)
    frame = trading_rows(*(figures(table, sources=SMOKE) for table in tables_))
    assert set(frame.filter("passed")["criterion"]) == {"completed_runs"}
    assert "found baseline+smoke+maintenance_replay" in frame.filter(criterion="hit_rate")["reason"].item()


def test_a_cost_multiplier_that_was_not_computed_is_an_error_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"no figures at 1\.5x costs\. Add 1\.5 to backtest\.cost_multipliers"):
        trading_rows(stressed=figures(COST_SENSITIVITY).filter(cost_multiplier=1.0))


def promoted(forecast: pl.DataFrame, trading: pl.DataFrame) -> dict[str, bool]:
    frame = gates.promotion(forecast, trading, **MONTH, champion="timegpt")  # type: ignore[arg-type]
    return dict(frame.select("symbol", "passed").iter_rows())


def test_promotion_needs_the_account_and_the_symbol() -> None:
    good = forecast_rows(diagnostics("AAA", "BBB", "*"))
    assert promoted(good, trading_rows()) == {"*": True, "AAA": True, "BBB": True}
    weak = forecast_rows(pl.concat([diagnostics("AAA", "*"), diagnostics("BBB", rrmse=0.98)]))
    assert promoted(weak, trading_rows()) == {"*": True, "AAA": True, "BBB": False}
    poor = trading_rows(figures(TRADING_SCORES, hit_rate=0.47))
    assert promoted(good, poor) == {"*": False, "AAA": False, "BBB": False}
    withheld = gates.promotion(good, good, **MONTH, champion="timegpt", withheld="not here")  # type: ignore[arg-type]
    assert not withheld["passed"].any(), "whatever passed"
    assert set(withheld["reason"]) == {"not here"}
    reason = gates.promotion(good, poor, **MONTH, champion="timegpt")["reason"]  # type: ignore[arg-type]
    assert set(reason) == {"not passed: trading_gate.hit_rate"}


def test_nothing_measured_promotes_nothing() -> None:
    empty = forecast_rows(FORECAST_DIAGNOSTICS.empty(), beside=COMPARISON.empty())
    nothing = trading_rows(TRADING_SCORES.empty(), COST_SENSITIVITY.empty(), OOS_SUMMARY.empty(), runs=0)
    assert not empty["passed"].any()
    assert promoted(empty, nothing) == {"*": False, "AAA": False, "BBB": False}
    assert promoted(GATES.empty(), GATES.empty()) == {"*": False}


def test_a_verdict_counts_what_passed_of_all() -> None:
    frame = judged(scores(sessions(60), skill=0.0)).filter(symbol="AAA")
    of_criteria, verdict = frame.filter(pl.col("criterion") != "eligibility"), frame.filter(criterion="eligibility")
    assert verdict.select("value", "threshold", "n").row(0) == (of_criteria["passed"].sum(), 7.0, 300)
    assert 0 < of_criteria["passed"].sum() < 7
    asked: Any = {**MONTH, "champion": "timegpt"}
    of_symbol = gates.promotion(forecast_rows(diagnostics("AAA", "*")), trading_rows(), **asked)
    account, seen = of_symbol.filter(symbol="*").row(0, named=True), of_symbol.filter(symbol="AAA").row(0, named=True)
    failed = len(failures(forecast_rows(diagnostics("AAA", "*"), ("AAA",)))) + 2  # both medians
    assert (account["threshold"], account["value"]) == (account["n"], account["n"] - failed)
    assert (seen["n"] - account["n"], seen["value"] - account["value"]) == (3, 3)


def test_what_was_never_seen_counts_nothing() -> None:
    unseen = judged(scores(sessions(60)), symbols=("ZZZ",)).row(0, named=True)
    assert (unseen["n"], unseen["threshold"]) == (0, 200.0)
    nothing = trading_rows(TRADING_SCORES.empty(), COST_SENSITIVITY.empty(), OOS_SUMMARY.empty())
    assert set(nothing.filter(pl.col("criterion") != "completed_runs")["n"]) == {0}
    medians = pl.col("criterion").str.starts_with("median_")
    assert set(forecast_rows(diagnostics("AAA", "*")).filter(medians)["n"]) == {0}, "BBB is the one seen least"
    assert set(forecast_rows(diagnostics("*"), ()).filter(medians)["n"]) == {0}
    nobody = forecast_rows(FORECAST_DIAGNOSTICS.empty(), beside=COMPARISON.empty())
    assert set(nobody["n"]) == {0, 2}, "two symbols are asked of"


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


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_that_is_not_seated_is_named_with_the_remedy_and_never_passed(reference: str) -> None:
    seated = [name for name in SEATED if name != reference]
    said = f"insufficient_observation: {reference} is not seated: add it to forecast.challengers"
    month = forecast_rows(diagnostics("AAA", "BBB", "*"), seated=seated)
    missed = month.filter(pl.col("criterion").str.contains(f"_{reference}"))
    assert missed.height == 4
    assert set(missed["reason"]) == {said}
    assert not missed["passed"].any()
    assert failures(month) == set(missed.select("gate", "symbol", "criterion").iter_rows())
    day = judged(scores(sessions(60)), seated=seated)
    assert verdicts(day) == {("AAA", "baseline"): "insufficient_observation"}
    assert set(day.filter(pl.col("criterion").str.ends_with(f"_{reference}"))["reason"]) == {said}
    assert failures(day.with_columns(gate=pl.lit("day"))) == {
        ("day", "AAA", name) for name in (f"rmae_{reference}", f"rpinball_{reference}", "eligibility")
    }


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_does_not_beat_itself_and_is_promoted_by_nobody(reference: str) -> None:
    said = f"{reference} is what must be beaten: it does not beat itself"
    other = next(name for name in REFERENCES if name != reference)
    good = diagnostics("AAA", "BBB", "*").with_columns(forecaster=pl.lit(reference))
    month = forecast_rows(good, beside=compared(reference, against=[other]), seated=REFERENCES, own=reference)
    own = month.filter(pl.col("criterion").str.contains(f"_{reference}"))
    assert set(own["reason"]) == {said}
    assert own.height == 4
    assert not own["passed"].any()
    assert failures(month) == set(own.select("gate", "symbol", "criterion").iter_rows())
    asked: Any = {**MONTH, "champion": reference}
    assert not gates.promotion(month, month, **asked)["passed"].any()
    frame = scores(sessions(60))
    day = everyones(pl.concat([frame, of_references(frame)])).filter(forecaster=reference)
    assert set(day["verdict"]) == {"ineligible"}
    assert set(day.filter(pl.col("criterion").str.ends_with(f"_{reference}"))["reason"]) == {said}


def test_a_symbol_meets_the_references_on_common_rows_alone() -> None:
    own = scores(sessions(60))
    beside = of_references(own)
    row = judged(own).filter(criterion="rpinball_climatology").row(0, named=True)
    theirs = beside.filter(forecaster="climatology")
    assert (row["n"], row["threshold"]) == (300, 1.0)
    assert row["value"] == pytest.approx(own["pinball"].sum() / theirs["pinball"].sum())
    early = pl.col("day") < sessions(30)[0]
    strange = beside.with_columns(
        calibration=pl.when(early).then(pl.lit("none")).otherwise("calibration"),
        pinball=pl.when(early).then(0.0).otherwise("pinball"),
    )
    frame = everyones(pl.concat([own, strange])).filter(forecaster="timegpt")
    late = pl.concat([own.filter(~early), theirs.filter(~early)])
    reasons = dict(frame.select("criterion", "reason").iter_rows())
    assert reasons["rpinball_climatology"] == "insufficient_observation: 150 common forecasts, 200 needed"
    seen = frame.filter(criterion="rpinball_climatology")["value"].item()
    sums = dict(late.group_by("forecaster").agg(pl.col("pinball").sum()).iter_rows())
    assert seen == pytest.approx(sums["timegpt"] / sums["climatology"])


def test_the_scores_of_another_symbol_or_forecaster_move_no_verdict() -> None:
    own = pl.concat([scores(sessions(60)), of_references(scores(sessions(60)))])
    others = [scores(sessions(60), symbol="BBB", skill=-2.0), scores(sessions(60), skill=0.99)]
    bad = [frame.with_columns(forecaster=pl.lit("size")) for frame in others]
    frame = pl.concat([own, *bad, of_references(others[0])])
    assert_frame_equal(everyones(frame).filter(forecaster="timegpt"), everyones(own).filter(forecaster="timegpt"))


def test_the_hit_rate_and_the_sharpe_pass_at_what_is_asked() -> None:
    at = trading_rows(figures(TRADING_SCORES, hit_rate=0.48, sharpe_daily=0.7, max_drawdown=0.1, reject_rate=0.2))
    assert failures(at) == set()
    assert failures(trading_rows(oos=figures(OOS_SUMMARY, sharpe_daily=0.5))) == set()

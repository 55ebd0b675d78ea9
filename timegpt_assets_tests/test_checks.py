"""Checks: a broken table is seen where it lies, and a bad verdict stops one partition but not a range."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, ParquetStore
from timegpt_assets.checks import (
    MEND,
    SHOWN,
    checks,
    coverage_holds,
    embargo_kept,
    features_hold,
    matches_table,
    primary_sources_meet_their_goals,
)
from timegpt_assets.core import calendar
from timegpt_assets.core.news.goals import missed
from timegpt_assets.core.tables.calibration import CALIBRATION_MODELS
from timegpt_assets.core.tables.evaluation import COVERAGE_DRIFT
from timegpt_assets.core.tables.models import FEATURE_DRIFT
from timegpt_assets.core.tables.news import SOURCE_HEALTH
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.engine import RANGE_END, RANGE_START
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets_tests.reports.pictures import newsrooms
from timegpt_assets_tests.roads import Road, road

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

DAY = date(2025, 1, 16)
BARS, RAW = dg.AssetKey(["bars", "bars"]), dg.AssetKey(["bars", "raw_bars"])
LABELS, CONTEXT = dg.AssetKey(["features", "labels"]), dg.AssetKey(["features", "market_context"])
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class WithoutNVDA:
    """The made-up market, whose source has no NVDA."""

    def __init__(self) -> None:
        self.market = SyntheticMarket(
            symbols=("AAPL", "NVDA"), context=("SPY",), seed=7, predictability=0.3, missing_rate=0.0001
        )

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        return self.market.bars(symbols, days).filter(pl.col("symbol") != "NVDA")


@pytest.fixture
def found(tmp_path) -> Iterator[Road]:
    with road(tmp_path, "universe.tickers=[AAPL, NVDA]", overriding={"market_data": WithoutNVDA()}) as house:
        yield house


def run(
    house: Road, *assets: dg.AssetKey, span: tuple[str, str] | None = None, partition: str | None = None
) -> dg.ExecuteInProcessResult:
    """Materialise assets with the tags of a range, or one partition, as the UI does."""
    job = house.engine.repository.get_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=house.engine.instance,
        asset_selection=list(assets),
        partition_key=partition,
        tags={RANGE_START: span[0], RANGE_END: span[1]} if span else None,
        run_config=QUIET,
        raise_on_error=False,
    )


def checked(house: Road, asset: dg.AssetKey, name: str, partition: str) -> dg.AssetCheckEvaluation:
    """Return what a check alone says of a stored partition."""
    whole = build_definitions(house.runtime)
    job = dg.define_asset_job("check", dg.AssetSelection.checks(dg.AssetCheckKey(asset, name)))
    job_defs = dg.Definitions.merge(whole, dg.Definitions(jobs=[job]))
    result = job_defs.resolve_job_def("check").execute_in_process(
        instance=house.engine.instance,
        tags={RANGE_START: partition, RANGE_END: partition},
        run_config=QUIET,
        raise_on_error=False,
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def evaluation(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    """Return what a check says of the run: of all of its partitions, or of the only one."""
    return [e for e in result.get_asset_check_evaluations() if e.check_name == name][-1]


def made(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events()}


def spoil(house: Road, asset: str, day: date, change: Callable[[pl.DataFrame], pl.DataFrame], symbol: str) -> None:
    """Rewrite a stored partition behind the IO manager's back."""
    store = ParquetStore(house.runtime.storage)
    store.write(asset, day, change(store.read(asset, [day], [symbol])), keys=[symbol])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.with_columns(volume=-pl.col("volume")), "rule volume"),
        (lambda f: f.with_columns(high=pl.col("low") / 2), "rule "),
        (lambda f: pl.concat([f, f.head(1)]), "rule unique_key broken by 2 rows"),
        (lambda f: f.with_columns(close=pl.lit(float("inf"))), "rule close_finite broken by 390 rows"),
    ],
)
def test_a_stored_table_with_a_broken_rule_fails_its_check_in_the_rule_s_words(found, change, said):
    assert run(found, RAW, BARS, partition=f"{DAY}|AAPL").success
    assert checked(found, BARS, "matches_table", f"{DAY}|AAPL").passed
    spoil(found, "bars/bars", DAY, change, "AAPL")
    after = checked(found, BARS, "matches_table", f"{DAY}|AAPL")
    assert not after.passed
    assert after.severity == dg.AssetCheckSeverity.ERROR
    assert any(error.startswith(said) for error in after.metadata["errors"].value)
    assert str(after.description).startswith("; ".join(after.metadata["errors"].value)[:40])


def test_a_missing_column_is_named_by_the_check():
    house = _house()
    asset = next(a for a in _assets() if a.key == BARS)
    stored = LazyPartitions(lambda files: pl.DataFrame({"day": [DAY]}), [str(DAY)], {})
    result = next(matches_table(asset)(stored))
    assert not result.passed
    assert "column symbol is missing" in result.metadata["errors"].value
    assert len(checks(house, _assets())) == len(_assets()) + 6


def test_bad_bars_stop_what_stands_on_them_in_a_run_of_one_partition(found):
    result = run(found, RAW, BARS, LABELS, partition=f"{DAY}|NVDA")
    assert not result.success
    seen = evaluation(result, "quality")
    assert (seen.passed, seen.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert seen.metadata["unusable"].value.keys() == {f"{DAY}|NVDA"}
    assert seen.metadata["unusable"].value[f"{DAY}|NVDA"].startswith("no_data")
    assert seen.description == seen.metadata["unusable"].value[f"{DAY}|NVDA"], "read without a click"
    assert made(result) == {RAW, BARS}, "the verdict is stored, nothing is built on it"
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.event_specific_data.error_display_string
    assert said.startswith(f"{DAY}|NVDA has no usable bars: no_data: ")
    assert said.strip().endswith(MEND), "our sentence and what to do, and no trace"


@pytest.mark.parametrize("symbols", [("AAPL", "SPY"), ("NVDA", "NVDA")])
def test_bad_bars_in_a_range_warn_and_the_others_go_on(found, symbols):
    result = run(found, RAW, BARS, LABELS, span=(f"{DAY}|{symbols[0]}", f"{DAY}|{symbols[1]}"))
    assert result.success
    seen = evaluation(result, "quality")
    assert (seen.passed, seen.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert seen.metadata["count"].value == 1
    assert made(result) == {RAW, BARS, LABELS}
    (named,) = [e for e in result.get_asset_check_evaluations() if e.partition]
    assert (named.partition, named.passed, named.severity) == (f"{DAY}|NVDA", False, dg.AssetCheckSeverity.WARN)
    assert named.description.startswith("no_data")


def test_what_is_stored_is_the_same_whichever_colour_the_check_has(found, tmp_path):
    run(found, RAW, BARS, partition=f"{DAY}|NVDA")
    alone = found.bytes()
    run(found, RAW, BARS, span=(f"{DAY}|NVDA", f"{DAY}|NVDA"))
    assert found.bytes() == alone


def test_a_run_below_a_failed_check_reads_the_verdict_from_the_data(found):
    assert not run(found, RAW, BARS, partition=f"{DAY}|NVDA").success
    assert run(found, RAW, BARS, span=(f"{DAY}|AAPL", f"{DAY}|SPY")).success
    assert run(found, CONTEXT, dg.AssetKey(["bars", "quality_report"]), partition=str(DAY)).success
    verdicts = found.tables()["bars/quality_report"].select("symbol", "verdict").rows()
    assert verdicts == [("AAPL", "ok"), ("NVDA", "no_data"), ("SPY", "ok")]


def test_the_gate_check_names_what_failed_and_stops_at_what_can_be_read():
    (gates_passed,) = (c for c in checks(_house(), _assets()) if c.check_key.name == "gates_passed")
    row = {"gate": "trading_gate", "criterion": "sharpe", "reason": "below 1", "passed": False}
    good = {**row, "passed": True}
    failed = next(gates_passed(pl.DataFrame([row] * (SHOWN + 5) + [good])))
    assert not failed.passed
    assert failed.metadata["failed"].value == ["trading_gate sharpe: below 1"] * SHOWN
    assert str(failed.description).endswith("trading_gate sharpe: below 1 And 52 more.")
    (passed,) = gates_passed(pl.DataFrame([good]))
    assert passed.passed
    assert passed.description is None


def test_sessions_before_the_data_begin_are_outside_of_a_range_and_no_failure(tmp_path):
    class Begins(WithoutNVDA):
        def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
            return self.market.bars(symbols, days).filter(pl.col("day") >= DAY)

    before = calendar.shifted(DAY, -1)
    with road(tmp_path, "universe.tickers=[AAPL, NVDA]", overriding={"market_data": Begins()}) as house:
        start = house.runtime.settings.data.start_date
        result = run(house, RAW, BARS, span=(f"{before}|AAPL", f"{DAY}|SPY"))
        assert evaluation(result, "quality").metadata["count"].value == (0 if start == DAY else 3)
    with road(
        tmp_path / "begun", "universe.tickers=[AAPL, NVDA]", f"data.start_date={DAY}",
        overriding={"market_data": Begins()},
    ) as house:  # fmt: skip
        result = run(house, RAW, BARS, span=(f"{before}|AAPL", f"{DAY}|SPY"))
        seen = evaluation(result, "quality")
        assert (seen.passed, seen.metadata["count"].value, seen.metadata["outside"].value) == (True, 0, 3)
        assert [e for e in result.get_asset_check_evaluations() if e.partition and not e.passed] == []
        alone = evaluation(run(house, RAW, BARS, partition=f"{before}|AAPL"), "quality")
        assert not alone.passed, "asked for by itself, it is told"


def _house() -> GraphContext:
    with_settings = _settings()
    return graph_context(with_settings)


def _settings():
    from timegpt_assets.config.settings import load_settings

    return load_settings(profile="demo", config_dir=None, environment={})


def _assets() -> list[dg.AssetsDefinition]:
    from timegpt_assets.definitions import ASSETS

    house = _house()
    return [make(house) for make in ASSETS]


def test_a_model_that_saw_the_embargo_fails_the_check_with_its_dates() -> None:
    last = calendar.shifted(DAY, -2)
    row = {
        "day": DAY,
        "window_first": calendar.shifted(DAY, -31),
        "window_last": last,
        "last_target_ts": calendar.session(last).close,
    }
    kept = pl.DataFrame([row], schema={**CALIBRATION_MODELS.schema})
    check = embargo_kept(_house())
    assert next(check(kept)).passed
    peeked = kept.with_columns(last_target_ts=pl.lit(calendar.session(calendar.shifted(DAY, -1)).close))
    result = next(check(peeked))
    assert not result.passed
    assert str(calendar.shifted(DAY, -1)) in result.metadata["breaches"].value[0]
    assert check.check_specs_by_output_name.popitem()[1].blocking


def test_drifted_features_are_a_warning_that_names_each_once() -> None:
    row = {
        "month": "2025-02",
        "as_of": DAY,
        "feature": "ret_1m",
        "psi": 0.4,
        "threshold": 0.25,
        "drifted": True,
        "n": 90,
    }
    rows = [row | {"forecaster": word} for word in ("lightgbm", "tsmixer")]
    drifted = pl.DataFrame(rows, schema=FEATURE_DRIFT.schema)
    check = features_hold(_house())
    result = check(drifted)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.description == "ret_1m: 0.40"
    assert check(drifted.with_columns(drifted=pl.lit(False))).passed
    assert check(FEATURE_DRIFT.empty()).passed


def test_a_primary_source_that_misses_its_goals_rings_and_stops_nothing() -> None:
    check = primary_sources_meet_their_goals(_house())
    result = check(newsrooms.health())
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.description == missed(newsrooms.health(), success_min=0.95, publish_to_ingest_p95_s=120.0)[0]
    assert check(newsrooms.health().with_columns(primary=pl.lit(False))).passed
    assert check(SOURCE_HEALTH.empty()).passed


def test_the_drift_alarm_is_a_warning_on_the_months_last_session() -> None:
    row = {
        "day": DAY,
        "symbol": "*",
        "level": 80,
        "coverage": 0.61,
        "n": 400,
        "forecaster": "ridge",
        "score_source": "baseline",
        "alarm": True,
    }
    ringing = pl.DataFrame([row], schema={**COVERAGE_DRIFT.schema})
    check = coverage_holds(_house())
    assert not check(ringing).passed
    assert check(ringing).severity == dg.AssetCheckSeverity.WARN
    assert check(ringing.with_columns(symbol=pl.lit("AAPL"))).passed
    later = ringing.with_columns(day=pl.lit(calendar.shifted(DAY, 1)), alarm=pl.lit(False))
    assert check(pl.concat([ringing, later])).passed

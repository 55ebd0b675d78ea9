"""A run's folder holds what is stored under the plans' names; checksums are those of the bytes; nothing is replaced."""

import contextlib
import hashlib
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import timegpt_assets as ta
from timegpt_assets.adapters.storage.object_store import Bytes, LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.calibration import export as calibration
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.definitions import build_definitions
from timegpt_assets.reports.run_export import KEY_FIGURES, META, RunExport, RunTaken, summary
from timegpt_assets.reports.run_files import READ as RUN_READ
from timegpt_assets.reports.run_files import STEPS, Window, with_targets, with_truth
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.read_house import READ, ReadHouse

NAMED = {
    "check-data": {"validation/clean.parquet", "validation/dq_report.json"},
    "build-features": {"features/features.parquet", "features/AAPL.parquet", "features/SPY.parquet"},
    "forecast": {"forecasts/quantiles.csv", "models/calibration.json"},
    "calibrate": {"models/calibration.json"},
    "backtest": {"trades/bt_trades.csv", "eval/bt_summary.csv", "eval/stress_phases.csv"},
    "evaluate": {
        "eval/forecast_diagnostics.csv",
        "eval/pit_reliability.csv",
        "eval/cost_sensitivity.csv",
        "eval/oos_summary.csv",
        "eval/gates.csv",
    },
    "report": {"report.md", "robustness_report.md"},
}
"""Step -> the files that the plans name."""
NOW = datetime(2025, 2, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(read_house: ReadHouse) -> Settings:
    return read_house.open().settings


def export(house: ReadHouse, settings: Settings, folder: Path, at: datetime = NOW) -> RunExport:
    """Return what writes runs of the house into a folder."""
    tables = ParquetStore(LocalStore(house.root))
    return RunExport(artifacts=LocalStore(folder), tables=tables, settings=settings, clock=lambda: at)


@pytest.fixture(scope="module")
def folder(read_house: ReadHouse, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of every step that has tables."""
    made = tmp_path_factory.mktemp("artifacts")
    export(read_house, settings, made).add("demo", READ, list(STEPS))
    return made / "runs" / "demo"


def stored(house: ReadHouse, name: str) -> pl.DataFrame:
    days = READ if STORED[name].span == "day" else ["2025-01"]
    return ParquetStore(LocalStore(house.root)).read(STORED[name].asset, days, missing="ok", empty=pl.DataFrame())


def meta(folder: Path) -> dict[str, Any]:
    return json.loads((folder / META).read_text())


def test_every_file_that_the_plans_name_is_there(folder: Path) -> None:
    steps = meta(folder)["steps"]
    assert {step: NAMED[step] - set(steps[step]["files"]) for step in STEPS} == {step: set() for step in STEPS}
    told = {name for step in steps.values() for name in step["files"]}
    lying = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in lying if not Path(name).name.startswith(".")} == told | {META}


def test_checksums_sizes_and_rows_are_those_of_the_files(folder: Path) -> None:
    rows = {".parquet": pl.read_parquet, ".csv": lambda file: pl.read_csv(file, infer_schema=False)}
    seen = 0
    for step in meta(folder)["steps"].values():
        for name, said in step["files"].items():
            data = (folder / name).read_bytes()
            assert (said["sha256"], said["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data)), name
            if read := rows.get(Path(name).suffix):
                assert read(folder / name).height == said["rows"], name
            seen += 1
    assert seen > 20
    record = json.loads((folder / META).read_text())
    assert record["days"] == [str(day) for day in READ]


def test_clean_bars_are_the_stored_ones(folder: Path, read_house: ReadHouse) -> None:
    clean = pl.read_parquet(folder / "validation/clean.parquet")
    assert_frame_equal(clean, stored(read_house, "bars"), check_row_order=False)
    assert clean.height > 1000
    report = json.loads((folder / "validation/dq_report.json").read_text())
    assert sum(report["verdicts"].values()) == len(report["symbols_of_days"]) == 4 * len(READ)


def test_quantiles_stand_beside_what_came_true(folder: Path, read_house: ReadHouse) -> None:
    found = pl.read_csv(folder / "forecasts/quantiles.csv", try_parse_dates=True)
    assert found.columns[:5] == ["day", "symbol", "snapshot_utc", "forecast_ts", "horizon_min"]
    assert {"q10", "q25", "q50", "q75", "q90", "y_true", "backend", "model", "score_source"} <= set(found.columns)
    scored = stored(read_house, "day_scores").select("day", "symbol", "snapshot_ts", "forecaster", "y")
    both = found.join(scored, left_on=["day", "symbol", "snapshot_utc", "forecaster"], right_on=scored.columns[:4])
    assert both.height == scored.height == found["y_true"].is_not_null().sum() > 50
    assert (both["y_true"] - both["y"]).abs().max() == 0.0
    ordered = pl.all_horizontal(pl.col(low) <= pl.col(high) for low, high in pairwise(("q10", "q25", "q50", "q75")))
    assert found.select(ordered).to_series().all()


def test_features_carry_targets_of_the_minutes_after_them_alone(folder: Path, read_house: ReadHouse) -> None:
    made = pl.read_parquet(folder / "features/features.parquet")
    labels = stored(read_house, "labels").filter(horizon_min=15)
    known = made.filter(pl.col("target_log_return_15m").is_not_null())
    assert known.height > 1000
    assert (known["label_timestamp"] - known["known_at"]).unique().to_list() == [timedelta(minutes=15)]
    joined = known.join(labels, on=["day", "symbol", "ts"])
    assert joined.height == known.height
    assert (joined["target_log_return_15m"] == joined["y"]).all()
    assert (joined["target_bp_15m"] == joined["y_bp"]).all()
    one = pl.read_parquet(folder / "features/AAPL.parquet")
    assert_frame_equal(one, made.filter(symbol="AAPL"))


def test_trades_are_the_admitted_ones_and_symbols_add_up_to_the_account(folder: Path, read_house: ReadHouse) -> None:
    trades = pl.read_csv(folder / "trades/bt_trades.csv")
    admitted = stored(read_house, "portfolio").filter("admitted")
    assert trades.height == admitted.height > 0
    assert trades["net_pnl"].sum() == pytest.approx(admitted["net_pnl"].sum())
    summary = pl.read_csv(folder / "eval/bt_summary.csv")
    by_symbol, account = summary.filter(pl.col("symbol") != "*"), summary.filter(symbol="*")
    of_books = by_symbol.group_by("book").agg(pl.col("net_pnl").sum()).join(account, on="book", suffix="_account")
    assert of_books.height == account["book"].n_unique()
    assert of_books["net_pnl"].to_list() == pytest.approx(of_books["net_pnl_account"].to_list())


def test_the_record_tells_settings_snapshots_calibration_gates_and_figures(folder: Path, read_house: ReadHouse) -> None:
    told = meta(folder)
    assert told["configs"]["forecast.horizon_min"] == "15"
    assert told["configs"]["profile"] == told["profile"] == "dev"
    asked = stored(read_house, "snapshots").filter("asked").group_by("day").len()
    assert told["snapshots_per_day"] == {str(day): count for day, count in asked.iter_rows()} != {}
    assert str(READ[1]) not in told["snapshots_per_day"], "the day of a rate decision is skipped"
    assert told["validation"]["status"] == "passed"
    assert sum(told["calibration"]["methods"].values()) == stored(read_house, "forecasts").height
    assert told["gates"]["trading_gate"] == "failed"
    assert told["metrics"]["2025-01"]["trades"] >= 0
    assert {row["forecaster"] for row in told["forecasts"]} >= {"timegpt", "ridge"}


def test_the_same_again_moves_nothing_and_something_else_is_refused_before_anything_is_written(
    read_house: ReadHouse, settings: Settings, tmp_path: Path
) -> None:
    export(read_house, settings, tmp_path).add("r1", READ[:1], ["check-data"])
    files = lambda: {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}  # noqa: E731
    before = files()
    export(read_house, settings, tmp_path, NOW.replace(year=2026)).add("r1", READ[:1], ["check-data"])
    assert files() == before
    with pytest.raises(RunTaken, match=r"clean\.parquet is of another run: .* Say another --run-id"):
        export(read_house, settings, tmp_path).add("r1", READ[:2], ["build-features", "check-data"])
    assert files() == before


def test_a_run_whose_writer_was_killed_is_readable_and_finished_by_the_same_step(
    read_house: ReadHouse, settings: Settings, tmp_path: Path
) -> None:
    class Dying(LocalStore):
        """A folder whose writer is killed at its third file."""

        def write_new(self, name: str, data: Bytes) -> None:
            """Write like any other, twice."""
            if len([found for found, _ in self.names() if found.startswith("runs/")]) == 2:
                raise KeyboardInterrupt
            super().write_new(name, data)

    whole = export(read_house, settings, tmp_path / "whole")
    whole.add("r1", READ[:1], ["check-data", "evaluate"])
    halved = RunExport(artifacts=Dying(tmp_path / "half"), tables=whole.tables, settings=settings, clock=lambda: NOW)
    with pytest.raises(KeyboardInterrupt):
        halved.add("r1", READ[:1], ["check-data", "evaluate"])
    half = tmp_path / "half" / "runs" / "r1"
    assert pl.read_parquet(half / "validation/clean.parquet").height > 0
    assert not (half / META).exists(), "what is not told of is not whole"
    export(read_house, settings, tmp_path / "half").add("r1", READ[:1], ["check-data", "evaluate"])
    read = lambda at: {p.relative_to(at).as_posix(): p.read_bytes() for p in at.rglob("*") if p.is_file()}  # noqa: E731
    assert read(half) == read(tmp_path / "whole" / "runs" / "r1")


def test_the_record_is_of_the_sessions_of_all_its_steps(
    read_house: ReadHouse, settings: Settings, tmp_path: Path
) -> None:
    export(read_house, settings, tmp_path).add("r1", READ[:1], ["check-data"])
    export(read_house, settings, tmp_path).add("r1", READ[2:3], ["forecast"])
    told = meta(tmp_path / "runs" / "r1")
    assert told["days"] == [*told["snapshots_per_day"]] == [str(READ[0]), str(READ[2])]
    assert [step["last_day"] for step in told["steps"].values()] == [str(READ[0]), str(READ[2])]


def told_of(**tables: pl.DataFrame) -> dict[str, Any]:
    """Return what a run's record says of these tables alone."""
    return summary(Window(read=lambda name: tables.get(name, pl.DataFrame()), horizon_min=15, profile="dev"))


def test_a_session_that_is_held_back_fails_the_validation_and_its_rows_are_blamed() -> None:
    row = {"day": READ[0], "symbol": "AAPL", "verdict": "ok", "rules": "", "offending": "[]"}
    held = {"verdict": "quarantined", "rules": "monotonic", "offending": '[{"rule": "monotonic", "row": 7}]'}
    assert told_of(quality_report=pl.DataFrame([row]))["validation"]["status"] == "passed"
    told = told_of(quality_report=pl.DataFrame([row, row | {"symbol": "MSFT"} | held]))["validation"]
    assert (told["status"], told["verdicts"]) == ("failed", {"ok": 1, "quarantined": 1})
    assert [(one["symbol"], one["rows"]) for one in told["offending"]] == [("MSFT", [{"rule": "monotonic", "row": 7}])]
    assert told_of()["validation"]["status"] == "none"


def test_key_figures_are_those_of_the_whole_account_in_the_book_that_is_traded() -> None:
    figures = dict.fromkeys(KEY_FIGURES, 1.0) | {"month": "2025-01", "book": LIVE, "symbol": "*"}
    others = [figures | {"book": "zero", "net_pnl": 9.0}, figures | {"symbol": "AAPL", "net_pnl": 8.0}]
    told = told_of(trading_scores=pl.DataFrame([*others, figures, *others]))["metrics"]
    assert told == {"2025-01": dict.fromkeys(KEY_FIGURES, 1.0)}


def test_a_gate_has_passed_when_all_its_criteria_have() -> None:
    rows = [{"gate": "trading_gate", "passed": passed} for passed in (True, False)]
    told = told_of(trading_gate=pl.DataFrame(rows), contract=pl.DataFrame([{"gate": "contract", "passed": True}]))
    assert told["gates"] == {"trading_gate": "failed", "contract": "passed"}


def test_of_labels_of_several_horizons_each_forecast_and_feature_has_its_own() -> None:
    at, about = NOW, {"day": [READ[0]] * 2, "symbol": ["AAPL"] * 2}
    labels = pl.DataFrame(
        about
        | {"ts": [at] * 2, "target_ts": [at] * 2, "horizon_min": [15, 30]}
        | {"y": [0.1, 0.9], "y_bp": [1.0, 9.0], "y_volatility_z": [2.0, 8.0]}
    )
    asked = {"snapshot_ts": [at] * 2, "target_ts": [at] * 2, "horizon_min": [30, 15], "forecaster": ["a", "b"]}
    truth = with_truth(pl.DataFrame(about | asked), labels)
    assert dict(zip(truth["horizon_min"], truth["y_true"], strict=True)) == {15: 0.1, 30: 0.9}
    (row,) = with_targets(pl.DataFrame(about | {"ts": [at] * 2}).head(1), labels, 15).to_dicts()
    assert (row["target_log_return_15m"], row["target_bp_15m"], row["target_volatility_z_15m"]) == (0.1, 1.0, 2.0)


def test_models_are_those_of_the_newest_session(folder: Path, read_house: ReadHouse) -> None:
    document = (folder / "models/calibration.json").read_bytes()
    models = stored(read_house, "calibration_models")
    newest = models["day"].max()
    assert models["day"].n_unique() > 1
    assert document == calibration.document(models, day=newest, profile="dev")


@pytest.fixture(scope="module")
def exported(read_house: ReadHouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the asset wrote a named run of two days, and a run without a name of its own."""
    place = tmp_path_factory.mktemp("exported")
    shutil.copytree(read_house.root, place / "data" / "dev")
    said = read_house.settings(place / "data" / "dev") | {"data.artifacts_root": str(place / "artifacts")}
    runtime = Runtime(settings=ta.open("dev", settings=said).settings, root=place, environment={}, clock=lambda: NOW)
    job = build_definitions(runtime).get_repository_def().get_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        for name, last in (("named", READ[1]), ("named", READ[1]), ("", READ[0])):
            days = {"start": str(READ[0]), "end": str(last)}
            ran = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(["reports", "run_export"])],
                tags={f"dagster/asset_partition_range_{end}": day for end, day in days.items()},
                run_config={"ops": {"reports__run_export": {"config": {"run_id": name}}}} if name else {},
            )
            assert ran.success
        (place / "last_run").write_text(ran.run_id)
    return place


def test_the_asset_writes_every_step_of_its_sessions_under_the_name_of_its_config(
    exported: Path, read_house: ReadHouse, settings: Settings
) -> None:
    folder = exported / "artifacts" / "runs" / "named"
    told = meta(folder)
    assert {step: NAMED[step] - set(told["steps"][step]["files"]) for step in STEPS} == {step: set() for step in STEPS}
    assert told["days"] == [str(day) for day in READ[:2]]
    export(read_house, settings, exported / "again").add("named", READ[:2], list(STEPS))
    for name in ("validation/clean.parquet", "forecasts/quantiles.csv", "eval/gates.csv"):
        assert (folder / name).read_bytes() == (exported / "again/runs/named" / name).read_bytes(), name


def test_the_asset_s_rows_are_the_files_and_a_run_without_a_name_is_called_by_its_id(exported: Path) -> None:
    rows = ParquetStore(LocalStore(exported / "data" / "dev")).read("reports/run_export", READ[:2])
    by_day = dict(rows.group_by("day").agg(pl.col("run_id").unique()).iter_rows())
    assert by_day == {READ[0]: [(exported / "last_run").read_text()], READ[1]: ["named"]}
    for row in rows.iter_rows(named=True):
        data = (exported / "artifacts" / "runs" / row["run_id"] / row["file"]).read_bytes()
        assert (row["sha256"], row["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data)), row["file"]
    assert rows.height > 40


def test_what_the_asset_writes_has_every_table_as_a_dependency() -> None:
    read = set[str]()

    def noted(name: str) -> pl.DataFrame:
        read.add(name)
        return pl.DataFrame()

    window = Window(read=noted, horizon_min=15, profile="dev")
    with contextlib.suppress(pl.exceptions.PolarsError):
        summary(window)
    for step in STEPS.values():
        with contextlib.suppress(pl.exceptions.PolarsError):
            list(step(window))
    assert read <= set(RUN_READ)
    assert set(RUN_READ) - read <= {"report"}


def test_steps_gather_in_one_record_and_say_under_which_other_settings(
    read_house: ReadHouse, settings: Settings, tmp_path: Path
) -> None:
    export(read_house, settings, tmp_path).add("r1", READ[:1], ["check-data"])
    other = ta.open("dev", settings=read_house.settings() | {"gates.min_forecasts": 7}).settings
    export(read_house, other, tmp_path).add("r1", READ[:1], ["evaluate"])
    steps = meta(tmp_path / "runs" / "r1")["steps"]
    assert (sorted(steps), steps["check-data"]["other_configs"]) == (["check-data", "evaluate"], {})
    assert steps["evaluate"]["other_configs"] == {"gates.min_forecasts": "7"}


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", ".hidden", "a b", "x" * 101])
def test_a_name_that_is_no_folder_is_refused(
    read_house: ReadHouse, settings: Settings, tmp_path: Path, name: str
) -> None:
    with pytest.raises(RunTaken, match="names no folder"):
        export(read_house, settings, tmp_path).add(name, [date(2025, 1, 28)], ["check-data"])
    assert list(tmp_path.iterdir()) == []

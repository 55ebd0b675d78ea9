"""check-data: the table per rule, the report on disk, the exit code; and the pictures beside what it made."""

import json
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from timegpt_assets.cli import app as cli
from timegpt_assets.cli.exit_codes import DATA_FAILED
from timegpt_assets_tests.bad_files import CASES_BY_NAME, DAY, DAYS, month
from timegpt_assets_tests.test_bad_files import laid_out

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]


def checked(folder: Path, *more: str, market: Path | None = None) -> tuple[int, str]:
    """Return exit code and standard output of check-data over AAA and BBB."""
    chosen = {
        "data.source": "local", "data.root": market or folder / "market", "universe.tickers": "[AAA, BBB]",
        "universe.context": "[]", "data.start_date": DAYS[0], "data.end_date": DAYS[-1],
        "data.storage_root": folder / "s", "data.artifacts_root": folder / "a", "data.dagster_home": folder / "d",
        "trading.half_spread_ticks": "{default: 1}",
    }  # fmt: skip
    settings = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
    home = {"DAGSTER_HOME": str(folder / "d")}  # a verb leaves its own in the process
    done = CliRunner().invoke(cli.app, ["check-data", "--profile", "dev", *settings, *more], env=home)
    return done.exit_code, done.stdout


def test_check_data_prints_verdicts_per_rule_and_leaves_a_report(tmp_path: Path) -> None:
    laid_out(tmp_path / "market", CASES_BY_NAME["identical rows"])
    code, said = checked(tmp_path, "--start", str(DAYS[0]), "--end", str(DAYS[-1]))
    assert code == 0, said
    assert "duplicates" in said
    report = json.loads((tmp_path / "a/validation/dev/dq_report.json").read_text())
    rules = {row["rule"]: row for row in report["rules"]}
    assert (rules["duplicates"]["days"], rules["duplicates"]["rows"]) == (1, 2)
    assert rules["duplicates"]["first"] == f"{DAY} AAA"
    assert report["verdicts"] == {"ok": 11, "warned": 1}
    assert [finding["offending"][0]["row"] for finding in report["findings"]] == [2 * 390 + 101]


def test_a_rule_of_severity_fail_makes_the_exit_code_say_so(tmp_path: Path) -> None:
    laid_out(tmp_path / "market", CASES_BY_NAME["conflicting rows"])
    code, said = checked(tmp_path, "--json")
    found = json.loads(said)["data_quality"]
    assert (code, found["passed"]) == (DATA_FAILED, False)
    assert found["verdicts"] == {"ok": 11, "quarantined": 1}


def test_a_split_is_quarantined_until_the_events_name_it(tmp_path: Path) -> None:
    laid_out(tmp_path / "market", CASES_BY_NAME["two for one, not adjusted"])
    assert json.loads(checked(tmp_path, "--json")[1])["data_quality"]["verdicts"] == {"ok": 11, "quarantined": 1}
    named = f"events.splits=[{{symbol: AAA, day: {DAY}, ratio: 2}}]"
    found = json.loads(checked(tmp_path, "--json", "--force", "--set", named)[1])
    assert found["data_quality"]["verdicts"] == {"ok": 12}


def test_one_symbol_alone_gets_its_table_too(tmp_path: Path) -> None:
    month("AAA", DAYS).write_parquet(_place(tmp_path / "market", "AAA"))
    report = json.loads(checked(tmp_path, "--json", "--symbols", "AAA")[1])["data_quality"]
    assert (report["symbols"], report["verdicts"]) == (1, {"ok": 6})


def _place(root: Path, symbol: str) -> Path:
    path = root / f"stocks/1m/{symbol}/2025/{symbol}_2025_01.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_pictures_stand_beside_the_window_and_beside_what_is_not_ok(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out(tmp_path / "market", CASES_BY_NAME["half of the session"])
    assert checked(tmp_path)[0] == 0
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "d"))
    with dg.DagsterInstance.from_config(str(tmp_path / "d")) as instance:
        for asset, partition, name in (
            ("quality_report", str(DAYS[-1]), "verdict_map"),
            ("bars", f"{DAY}|AAA", "bars"),
        ):
            events = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(["bars", asset]), asset_partitions=[partition]), limit=1
            )
            metadata = events.records[0].asset_materialization.metadata
            assert metadata[name].value.startswith("![")
        whole = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(["bars", "bars"]), asset_partitions=[f"{DAY}|BBB"]), limit=1
        )
        assert "bars" not in whole.records[0].asset_materialization.metadata

"""`compare RUN RUN`: two reports that were made before, by profile and month or by folder."""

import json
from pathlib import Path

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli import comparing
from timegpt_assets.cli.app import app
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.reports import REPORT
from timegpt_assets.runtime import load_runtime
from timegpt_assets_tests.core.evaluation.test_comparison import DAYS, score, scores, trade
from timegpt_assets_tests.reports.pictures import frames
from timegpt_assets_tests.reports.pictures.frames import framed

LOSSES = {"2025-01": 2.0, "2025-02": 1.0}


def _made(root: Path, month: str, loss: float, *, k_sigma: str) -> None:
    """Write what a report leaves behind: its settings, and the tables they point to."""
    tables = ParquetStore(LocalStore(root / "data" / month))
    for day in DAYS:
        tables.write("evaluation/day_scores", str(day), scores([score("ridge", day, loss=loss)]))
        tables.write("backtest/portfolio", str(day), framed(PORTFOLIO, [trade("ridge", day, 10.0 / loss)]))
    row = {"month": month, "as_of": DAYS[-1], "position": 0, "section": "headline", "name": "trades", "value": "4"}
    tables.write("reports/report", f"{month}-01", framed(REPORT, [row]))
    settings = {"trading.k_sigma": {"value": k_sigma, "origin": "--set"}, "profile": {"value": "demo", "origin": "x"}}
    said = {
        "month": f"{month}-01",
        "profile": "demo",
        "champion": "ridge",
        "storage": str(root / "data" / month),
        "sessions": [str(day) for day in DAYS],
        "settings": settings,
    }
    folder = root / "artifacts" / "reports" / "demo" / month
    folder.mkdir(parents=True)
    (folder / "settings.json").write_bytes(orjson.dumps(said))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("runs")
    for month, loss in LOSSES.items():
        _made(found, month, loss, k_sigma=str(loss))
    return found


def _said(root: Path, *words: str):
    return CliRunner().invoke(app, ["compare", *words, "--set", f"data.artifacts_root={root / 'artifacts'}"])


def test_two_months_are_set_side_by_side_with_what_differs_and_a_page(root: Path) -> None:
    result = _said(root, "demo:2025-01", "demo:2025-02", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["settings"] == [["trading.k_sigma", "2.0", "1.0"]]
    (row,) = (one["row"] for one in said["differences"])
    assert (row["n"], row["rpinball"], row["pnl_difference"]) == (4, 2.0, -20.0)
    assert said["figures"]["demo:2025-01"] == {"trades": "4"}
    page = Path(said["page"])
    assert page == root / "artifacts" / "reports" / "compare" / "demo-2025-01_demo-2025-02.html"
    assert "ridge in demo:2025-01" in page.read_text()


def test_a_run_may_be_a_profile_a_month_or_the_folder_of_a_report(root: Path) -> None:
    folder = root / "artifacts" / "reports" / "demo" / "2025-01"
    for first in ("2025-01", str(folder)):
        result = _said(root, first, "demo", "--profile", "demo")
        assert result.exit_code == 0, result.output
        for words in ("trading.k_sigma", "figures side by side", "common forecasts a pair", "page: "):
            assert words in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("demo:2025-07", "demo"), "there is one of 2025-01, 2025-02"),
        (("nonsense", "demo"), "nonsense is no run: say a profile (demo, dev, offline, prod), a month"),
        (("dev", "demo"), "no report of any month lies in"),
        (("demo",), "one run alone"),
    ],
)
def test_a_run_that_is_not_there_is_named_with_what_is(root: Path, words: tuple[str, ...], told: str) -> None:
    result = _said(root, *words)
    assert result.exit_code != 0
    assert told in " ".join(result.output.split())


def test_a_damaged_settings_file_is_said_with_the_remedy(root: Path, tmp_path: Path) -> None:
    for text in ("{", "[]", '{"storage": 3}', '{"storage": "x", "sessions": 7}'):
        (tmp_path / "settings.json").write_text(text)
        result = _said(root, str(tmp_path), "demo:2025-01")
        assert result.exit_code == 1, (text, result.output)
        assert "timegpt-assets report --force" in " ".join(result.output.split())


def test_the_forecasters_of_a_month_have_the_same_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [f"data.storage_root={tmp_path / 'data'}", f"data.artifacts_root={tmp_path / 'artifacts'}"]
    runtime = load_runtime(places, profile="demo", environ={})
    comparing.forecasters(runtime, frames.sessions(3))
    assert not (tmp_path / "artifacts").exists(), "where nothing was compared there is nothing to show"
    tables = ParquetStore(runtime.storage)
    tables.write("evaluation/comparison", "2024-03", frames.comparison())
    tables.write("evaluation/cost_sensitivity", "2024-03", frames.costs().with_columns(book=pl.lit("size")))
    comparing.forecasters(runtime, frames.sessions(3))
    page = tmp_path / "artifacts" / "reports" / "demo" / "2024-03" / "forecasters.html"
    assert f"page: {page}" in capsys.readouterr().err.replace("\n", "")
    text = page.read_text()
    assert "Surely less lost: size than ridge, size than timegpt. Surely more lost: climatology than" in text
    assert "All of them were made under the same settings." in text
    assert "+$2,960 [-$300, +$6,000]" in text

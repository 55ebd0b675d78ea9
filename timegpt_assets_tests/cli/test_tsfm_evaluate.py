"""Held out, judged and told: what is stored of prediction markets is evaluated, and nobody's page is written over."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.app import app
from timegpt_assets.core.tsfm.holdout import held_events
from timegpt_assets_tests.core.tsfm.outcome_rows import outcomes

FIRST, DAYS, EVENTS, PRICES = date(2025, 11, 1), 15, 6, 24
ENOUGH = ("tsfm.conformal.min_samples=20", "tsfm.conformal.rolling_window_days=5", "tsfm.evaluation.levels=[0.9]")


def came() -> pl.DataFrame:
    """Return prices of events of two categories, three a day each; the last hours of a market move more."""
    draws = np.random.default_rng(3)
    return pl.concat(
        outcomes(
            np.clip(0.5 + draws.normal(0, 0.04 if n % 3 else 0.15, PRICES), 0, 1).tolist(),
            day=FIRST + timedelta(days=day), market=f"m{day}-{n}", category=("crypto", "sports")[n % 2],
            tte_bucket="1-6h" if n % 3 else "<1h", lower=0.49, upper=0.51, baseline_lower=0.45, baseline_upper=0.55,
            step=[1, 2] * (PRICES // 2), rise=0.05,
        )
        for day in range(DAYS)
        for n in range(EVENTS)
    )  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    store = ParquetStore(LocalStore(folder))
    for (day,), rows in came().partition_by("day", as_dict=True).items():
        store.write("tsfm/tsfm_outcomes", str(day), rows, facts={"*": {}})
    return folder


@pytest.fixture
def house(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    places = [f"data.{name}={tmp_path / name}" for name in ("artifacts_root", "dagster_home")]
    settings = [f"data.storage_root={stored}", *places, "calibration.evaluation.bootstrap_draws=100", *ENOUGH]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join(settings))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["tsfm", "evaluate", *words, "--profile", "demo"])


def test_held_out_days_and_events_are_judged_with_and_without_the_floor_each_band_on_the_same_rows(house: Path) -> None:
    found = json.loads(run("--json").stdout)
    assert (found["first_day"], found["last_day"], found["first_held_day"]) == (
        "2025-11-01",
        "2025-11-15",
        "2025-11-13",
    )
    held = held_events(came(), 0.2)
    assert found["categories"] == {name: {"events": 45, "held_out": 9} for name in ("crypto", "sports")}
    rows = pl.DataFrame(found["rows"], infer_schema_length=None)
    counts = rows.filter(segment="all").group_by("split", "floor", "level").agg(pl.col("samples", "arm").n_unique())
    assert counts.select("samples", "arm").unique().rows() == [(1, 4)]
    whole = {(row["split"], row["floor"]): row["samples"] for row in rows.filter(segment="all").to_dicts()}
    assert whole["time", True] == 3 * EVENTS * PRICES
    # the first held-out events have nothing before them to be judged by
    assert 0 < whole["event", True] < len(held) * PRICES
    assert "time" not in {split for split, floor in whole if not floor}, "every band of the model stands at the floor"
    assert found["holds"] == found["verdict"].startswith("Bands hold")
    named = {(row["split"], row["segment"], row["band"]) for row in found["failed_segments"]}
    off = rows.filter(~pl.col("within_tolerance"), pl.col("arm").str.contains("conformal"), level=0.9, floor=True)
    assert named == {
        (row["split"], row["segment"], row["arm"].replace("_", ", "))
        for row in off.filter(pl.col("segment") != "all").to_dicts()
    }


def test_without_the_floor_bands_that_stand_at_it_are_left_out(house: Path) -> None:
    narrower = json.loads(run("--json", "--set", "tsfm.guards.min_width=0.015").stdout)
    rows = pl.DataFrame(narrower["rows"], infer_schema_length=None).filter(segment="all", split="time", level=0.9)
    assert rows["samples"].unique().to_list() == [3 * EVENTS * PRICES], "none of them does"
    assert set(rows["floor"]) == {True, False}
    none = json.loads(run("--json", "--set", "tsfm.guards.min_width=0").stdout)
    assert {row["floor"] for row in none["rows"]} == {False}


def test_what_is_printed_names_what_fails_and_where_the_page_lies(house: Path) -> None:
    said = run()
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert lines[0] == "# demo: bands that promise 90%, 2025-11-01 to 2025-11-15"
    assert lines[1].split("\t")[:4] == ["split", "floor", "band", "held"]
    assert "# segments further off than the tolerance, after conformal" in lines
    page = Path(said.stdout.split("page: ")[1].strip())
    assert page.parent == house / "artifacts_root" / "reports" / "demo"
    text = page.read_text()
    failed = json.loads(run("--json").stdout)["failed_segments"]
    assert failed
    assert all(f"<td>{row['segment'].replace('<', '&lt;').replace('>', '&gt;')}</td>" in text for row in failed)
    assert "could not be" not in text


def test_a_page_is_written_once_and_what_somebody_changed_in_it_stays(house: Path) -> None:
    (first, again) = (json.loads(run("--json").stdout)["page"] for _ in range(2))
    assert first == again
    other = json.loads(run("--json", "--end", "2025-11-14").stdout)["page"]
    assert other != first
    Path(first).write_text("mine")
    refused = run()
    assert refused.exit_code == 1
    assert "was changed by somebody and is left as it is. Move it away" in refused.output.replace("\n", " ")
    assert Path(first).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--start", "2026-01-01"),
            "is stored of 2026-01-01 to today; there are 2025-11-01 to 2025-11-15. Make UTC days",
        ),
        (("--end", "2025-11-01"), "144 prices are stored of 2025-11-01 to 2025-11-01, and before none"),
        (("--set", "tsfm.conformal.min_samples=100000"), "there 100,000 of one step in 5 days"),
    ],
)
def test_too_little_is_said_with_what_helps(house: Path, words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 1, result.output
    told = result.output.replace("\n", " ")
    assert said in told
    assert "timegpt-assets tsfm --profile demo replay --start DAY --end DAY" in told
    assert not (house / "artifacts_root" / "reports").exists()

"""The notebooks run without a browser, and what they say is what an independent count of the stored files says."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.reports.pictures.pnl import dollars
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.read_house import ReadHouse

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.py"))
Ran = tuple[str, dict[str, Any]]


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PROJECT / "notebooks" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Return the function that runs a notebook under settings: everything it shows as one text, and what it made."""

    def ran(name: str, profile: str, settings: dict[str, Any]) -> Ran:
        said = "\n".join(f"{key}={json.dumps(value, default=str)}" for key, value in settings.items())
        monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", profile)
        monkeypatch.setenv("TIMEGPT_ASSETS_SET", said)
        monkeypatch.delenv("TIMEGPT_ASSETS_CONFIG_DIR", raising=False)
        outputs, made = loaded(name).app.run()
        return "\n".join(str(getattr(one, "text", one)) for one in outputs if one is not None), dict(made)

    return ran


def stored(house: ReadHouse, asset: str) -> pl.DataFrame:
    return pl.read_parquet(house.root / asset / "*.parquet")


def test_what_happened_counts_what_is_stored(run, read_house):
    shown, made = run("what_happened", "dev", read_house.settings())
    day = stored(read_house, "evaluation/day_scores").filter(pl.col("day") == pl.col("day").max(), forecaster="timegpt")
    banded = day.filter(pl.col("q10").is_not_null() & pl.col("q90").is_not_null())
    inside = banded.filter(pl.col("y").is_between("q10", "q90")).height
    assert made["said_of_session"].startswith(
        f"{day.height} forecasts were made, and the outcomes of {day.height} are known. {banded.height} of these had "
        f"an 80 % band, and {inside} outcomes fell inside it."
    )
    assert made["session"].value == str(day["day"][0])
    rows = stored(read_house, "evaluation/day_scores").filter(forecaster="timegpt")
    known = rows.filter(pl.col("q25").is_not_null() & pl.col("q75").is_not_null())
    share = known.select(pl.col("y").is_between("q25", "q75").mean()).item()
    assert made["said_of_coverage"][0].startswith(f"50 % bands held {share:.1%} of {rows.height} outcomes (simulated;")
    assert made["trace"]["what"].to_list()[-1] == "source of the bars"
    assert made["fans"].to_dict()["title"]["text"]
    assert len(made["pictures"]) == 2
    assert "What was a number made from?" in shown


def test_is_timegpt_worth_it_says_what_the_intervals_say_and_claims_nothing_of_a_simulation(run, read_house):
    shown, made = run("is_timegpt_worth_it", "dev", read_house.settings())
    pairs = stored(read_house, "evaluation/comparison").filter(symbol="*", forecaster="timegpt").sort("against")
    assert made["judged"] == "timegpt"
    assert [words.split(" ")[0] for words in made["cautions"]] == ["Simulated", "These"]
    assert len(made["said_of_errors"]) == pairs.height == 3
    for words, row in zip(made["said_of_errors"], pairs.to_dicts(), strict=True):
        assert f"against {row['against']} (simulated, {row['n']} forecasts of {row['sessions']} sessions)" in words
        assert f"ratio {row['rpinball']:.3f}" in words
    asked = stored(read_house, "forecasts/answers")["request_hash"].n_unique()
    assert f"took {asked} paid requests. What one costs is not said" in made["said_of_price"][0]
    assert "Does its book earn more?" in shown
    drawn = json.dumps(made["picture_of_books"].to_dict())
    earned = stored(read_house, "backtest/portfolio").filter("admitted", book="ridge")["net_pnl"].sum()
    assert f"ridge: {dollars(earned)}" in drawn


def test_where_timegpt_was_never_asked_somebody_else_is_judged_and_it_is_said(run, read_house, tmp_path):
    pairs = stored(read_house, "evaluation/comparison")
    free = pairs.filter((pl.col("forecaster") != "timegpt") & (pl.col("against") != "timegpt"))
    ParquetStore(LocalStore(tmp_path)).write("evaluation/comparison", "2025-01", free)
    for group in ("backtest/portfolio", "evaluation/day_scores"):
        shutil.copytree(read_house.root / group, tmp_path / group)
    local = {"forecast.backend": "baseline"}
    _, made = run("is_timegpt_worth_it", "dev", read_house.settings(tmp_path) | local)
    assert made["judged"] == "ridge"
    assert made["cautions"][0].startswith("TimeGPT was never asked here: nothing can be said of it. Below, ridge")
    assert made["said_of_price"] == [f"{made['pooled']['n'][0]} forecasts, none of them paid for."]


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_without_data_a_notebook_says_what_to_do(run, name, tmp_path):
    shown, made = run(name, "demo", {"data.storage_root": str(tmp_path / "nothing")})
    assert "Nothing is stored of" in shown
    assert "Make it: timegpt-assets demo" in shown
    assert "Traceback" not in shown
    assert not {"fans", "said_of_errors"} & made.keys()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_a_profile_that_does_not_exist_is_told_in_words(run, name):
    shown, _ = run(name, "demoo", {})
    assert "allowed is demo | dev | offline | prod" in shown


@pytest.fixture(scope="module")
def worth() -> ModuleType:
    return loaded("is_timegpt_worth_it")


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (0.8, 0.99, 0.01, "Erred less"),
        (0.8, 0.99, 0.2, "No difference that could be told from luck"),
        (0.8, 0.99, None, "No difference that could be told from luck"),
        (0.8, 1.01, 0.01, "No difference that could be told from luck"),
        (1.01, 1.2, 0.9, "Erred more"),
        (None, None, None, "Not told"),
    ],
)
def test_only_an_interval_without_one_and_a_small_p_call_a_forecaster_better(worth, low, high, p, verdict):
    row = {"rpinball": 0.95, "rpinball_low": low, "rpinball_high": high, "rpinball_p_holm": p, "against": "zero"}
    assert worth.erred(row | {"score_source": "model", "n": 9, "sessions": 2}).startswith(f"**{verdict}**")


@pytest.mark.parametrize(
    ("gap", "low", "high", "verdict"),
    [
        (5.0, 1.0, 9.0, "Earned more"),
        (-5.0, -9.0, -1.0, "Earned less"),
        (5.0, -1.0, 9.0, "No difference that could be told from luck"),
        (5.0, None, None, "Not told"),
        (None, None, None, "Not told"),
    ],
)
def test_only_an_interval_without_zero_calls_a_book_richer(worth, gap, low, high, verdict):
    row = {"pnl_difference": gap, "pnl_difference_low": low, "pnl_difference_high": high, "against": "zero"}
    assert worth.earned(row).startswith(f"**{verdict}**")


def test_a_price_is_said_with_what_it_bought(worth):
    row = {"n": 1000, "requests": 50, "spent": 5.0, "spent_per_thousand": 5.0, "spent_per_bp": 2.5, "against": "zero"}
    said = "1,000 forecasts cost USD 5.00, USD 5.00 a thousand: USD 2.50 a basis point won on zero."
    assert worth.priced(row) == said
    assert worth.priced(row | {"spent_per_bp": None}).endswith("a thousand: nothing was won against zero.")


def test_a_band_without_a_promise_and_one_without_an_interval_are_told_so():
    held = loaded("what_happened").held
    row = {
        "coverage_80": None,
        "coverage_80_day_low": None,
        "coverage_80_day_high": None,
        "n": 5,
        "score_source": "model",
    }
    assert held(row, 80) == "No 80 % band was promised (model): too few outcomes to learn from."
    assert (
        held(row | {"coverage_80": 0.6}, 80)
        == "80 % bands held 60.0% of 5 outcomes (model; too few sessions for an interval)."
    )


def test_the_notebooks_are_as_marimo_would_write_them():
    assert len(NOTEBOOKS) == 2
    command = [sys.executable, "-m", "marimo", "check", "--strict", *NOTEBOOKS]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr

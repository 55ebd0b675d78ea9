"""The how-to as it stands: its package installed into an environment of its own, seated, and asked by the console."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import polars as pl
import pytest

PROJECT = Path(__file__).parents[1]
HOW_TO = PROJECT / "docs" / "how-to" / "add-a-forecaster.md"
DAY = "2025-01-15"
SMALL = [
    "universe.tickers=[AAPL]", "universe.context=[SPY]", "data.start_date=2025-01-06", "forecast.history_days=6",
    "forecast.challengers=[last_week, statsforecast]", "forecast.skip_events=[]",
    "forecast.statsforecast.min_residuals=20",
]  # fmt: skip


def blocks() -> dict[str, str]:
    """Return language -> the first block of it in the how-to."""
    found = re.findall(r"```(\w+)\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), flags=re.DOTALL)
    return dict(reversed(found))


def installed(folder: Path) -> Path:
    """Return the interpreter of an environment that has this one's packages and the how-to's."""
    package, environment, own = folder / "last-week", folder / "venv", Path(sys.executable).parent
    package.mkdir()
    (package / "last_week.py").write_text(blocks()["python"], encoding="utf-8")
    (package / "pyproject.toml").write_text(blocks()["toml"], encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n{PROJECT}\n", encoding="utf-8")
    command = [own / "uv", "pip", "install", "--python", environment / "bin" / "python"]
    subprocess.run([*command, "--offline", "--no-deps", "--no-build-isolation", package], check=True)
    return environment / "bin" / "python"


def test_the_example_has_about_twenty_lines() -> None:
    assert len([line for line in blocks()["python"].splitlines() if line.strip()]) <= 20


@pytest.mark.timeout(900)
def test_the_example_answers_beside_everybody_and_its_rows_reach_the_scores(tmp_path: Path) -> None:
    python, data = installed(tmp_path), tmp_path / "data"
    places = [f"data.storage_root={data}", f"data.artifacts_root={tmp_path}/a", f"data.dagster_home={tmp_path}/home"]
    chosen = [word for setting in (*SMALL, *places) for word in ("--set", setting)]
    start = "from timegpt_assets.cli.app import app; app()"
    run = [python, "-c", start, "run-day", DAY, "--profile", "demo", "--json", *chosen]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    json.loads(done.stdout)
    for group, asset in (("forecasts", "base_answers"), ("evaluation", "day_scores")):
        rows = pl.read_parquet(data / group / asset / f"{DAY}.parquet")
        heights = dict(rows.group_by("forecaster").len().rows())
        assert heights["last_week"] == heights["statsforecast"] == heights["ridge"] > 0

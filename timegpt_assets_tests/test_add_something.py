"""The how-tos of adding something, as they stand: all their files and patches in one copy of the project, and one run.

The forecaster is installed into an environment of its own, which reads the copy; bars come by the page's connector,
from files that are written here. Each test then asks for what its page promises.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.core import calendar
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.secret_search import leaking

HOW_TO = PROJECT / "docs" / "how-to"
PATCHED = ("add-a-feature", "add-a-feature-group", "add-a-trading-rule", "add-a-gate", "add-a-source-of-bars")
COPIED = ("timegpt_assets", "timegpt_assets_tests", "configs", "pyproject.toml", "dagster.yaml", "workspace.yaml")
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.M | re.S)
NEW_FILE = re.compile(r"`([\w/]+\.py)`, a new file:\n\n```python\n(.*?)^```$", re.M | re.S)
OWN_FILE = re.compile(r"`(\w+\.yaml)`:\n\n *```yaml\n(.*?)^ *```$", re.M | re.S)
DAY, SYMBOLS = "2025-01-15", ("AAPL", "IBM", "SPY")
SMALL = [
    "universe.tickers=[AAPL, IBM]", "universe.context=[SPY]", "data.source=csv_days", "data.start_date=2025-01-06",
    "forecast.history_days=6", "forecast.challengers=[last_week, statsforecast]", "forecast.skip_events=[]",
    "forecast.statsforecast.min_residuals=20", "trading.rule_set=median", "trading.k_sigma=0",
    "trading.require_positive_ev=false", "trading.max_width_sigma=null", "trading.skip_events=[]",
]  # fmt: skip
RUN = """
import json, sys
from timegpt_assets.cli.app import app
for words in json.loads(sys.argv[1]):
    try:
        app(words)
    except SystemExit as end:
        if end.code:
            raise
"""


@cache
def page(name: str) -> str:
    return (HOW_TO / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Return the blocks of a language in a how-to, in their order."""
    return [text for found, text in BLOCK.findall(page(name)) if found == language]


def copied(folder: Path) -> Path:
    """Return a copy of the project's code and settings."""
    ignored = shutil.ignore_patterns("benchmarks/results")  # and what is compiled already need not be again
    for name in COPIED:
        source, target = PROJECT / name, folder / name
        shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(source, target)
    for path in leaking(folder):  # the keys of the tests are in one place of this machine
        path.unlink()
        path.symlink_to(PROJECT / path.relative_to(folder))
    return folder


def apply(name: str, project: Path, *options: str) -> None:
    """Write the new files of a how-to into a project, and make its patches as the page says."""
    for patch in blocks(name, "diff"):
        command = ["git", "apply", *options, "-"]
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(project.parent)}
        done = subprocess.run(
            command, input=patch, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
    for path, text in NEW_FILE.findall(page(name)):
        (project / path).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project into which every how-to was carried."""
    folder = copied(tmp_path_factory.mktemp("project"))
    for name in PATCHED:
        apply(name, folder, "--check")
    for name in PATCHED:
        apply(name, folder)
    return folder


def installed(folder: Path, project: Path) -> Path:
    """Return the interpreter of an environment that has this one's packages, the project's and the how-to's."""
    package, environment, own = folder / "last-week", folder / "venv", Path(sys.executable).parent
    package.mkdir()
    (package / "last_week.py").write_text(blocks("add-a-forecaster", "python")[0], encoding="utf-8")
    (package / "pyproject.toml").write_text(blocks("add-a-forecaster", "toml")[0], encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    # the project first: this environment names its own folder in a file of its packages
    (site / "here.pth").write_text(f"{project}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    command = [own / "uv", "pip", "install", "--python", environment / "bin" / "python"]
    subprocess.run([*command, "--offline", "--no-deps", "--no-build-isolation", package], check=True)
    return environment / "bin" / "python"


def delivered(folder: Path) -> pl.DataFrame:
    """Write a made-up market as the connector's page says it lies, and return it."""
    days = [session.day for session in calendar.sessions(date(2025, 1, 6), date.fromisoformat(DAY))]
    market = SyntheticMarket(symbols=SYMBOLS, predictability=0.8).bars(SYMBOLS, days)
    folder.mkdir()
    stamps = pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    for (day,), rows in market.partition_by("day", as_dict=True).items():
        rows.select("symbol", stamps, "open", "high", "low", "close", "volume").write_csv(folder / f"{day}.csv")
    return market


def acme_file(market: pl.DataFrame, path: Path) -> None:
    """Write bars as the vendor of the page does: ends of minutes in New York."""
    ends = pl.col("ts").dt.offset_by("1m").dt.convert_time_zone("America/New_York").dt.strftime("%Y-%m-%d %H:%M")
    prices, quantity = ("open", "high", "low", "close"), pl.col("volume").cast(pl.Int64)
    market.select(ends.alias("minute"), "symbol", *prices, quantity.alias("acme_qty")).write_csv(path)


@dataclass(frozen=True)
class Ran:
    """Where the run stored its tables, and the objects that its commands printed."""

    data: Path
    said: tuple[Any, ...]

    def table(self, asset: str, partition: str = DAY) -> pl.DataFrame:
        return pl.read_parquet(self.data / asset / f"{partition}.parquet")


@pytest.fixture(scope="module")
def ran(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return what became of one day, run with everything that the how-tos add."""
    folder = tmp_path_factory.mktemp("house")
    own, data = folder / "configs", folder / "data"
    own.mkdir()
    for name, text in OWN_FILE.findall(page("add-a-symbol")):
        (own / name).write_text(text, encoding="utf-8")
    market = delivered(folder / "days")
    acme_file(market, folder / "minutes.csv")
    places = [f"data.root={folder}/days", f"data.storage_root={data}", f"data.artifacts_root={folder}/artifacts"]
    places += [f"data.dagster_home={folder}/home"]
    chosen = [word for setting in (*SMALL, *places) for word in ("--set", setting)]
    day = ["run-day", DAY, "--profile", "dev", "--json", *chosen]
    look = ["import-bars", str(folder / "minutes.csv"), "--look", "--json", "--profile", "dev", *chosen]
    environment = {**os.environ, "TIMEGPT_ASSETS_CONFIG_DIR": str(own)}
    command = [installed(folder, project), "-c", RUN, json.dumps([look, day])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Ran(data, tuple(objects(done.stdout)))


def objects(text: str) -> Iterator[Any]:
    """Yield the JSON objects that stand one behind the other."""
    while text := text.strip():
        found, end = json.JSONDecoder().raw_decode(text)
        yield found
        text = text[end:]


def test_the_forecaster_has_about_twenty_lines() -> None:
    lines = blocks("add-a-forecaster", "python")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


@pytest.mark.timeout(900)
def test_the_forecaster_answers_beside_everybody_and_its_rows_reach_the_scores(ran: Ran) -> None:
    for asset in ("forecasts/base_answers", "evaluation/day_scores"):
        heights = dict(ran.table(asset).group_by("forecaster").len().rows())
        assert heights["last_week"] == heights["statsforecast"] == heights["ridge"] > 0


@pytest.mark.parametrize("column", ["ret_45m", "body_share"])
def test_the_feature_and_the_group_are_in_the_panel(ran: Ran, column: str) -> None:
    values = ran.table("features/panel")[column]
    assert values.null_count() < 0.5 * len(values)
    assert column == "ret_45m" or values.drop_nulls().is_between(0, 1.0001).all()


def test_the_symbol_has_its_sector_its_costs_and_its_forecasts(ran: Ran) -> None:
    assert "IBM" in ran.table("calibration/forecasts")["symbol"]
    features = ran.table("features/features").filter(symbol="IBM")
    assert not features["sector_missing"].any(), "AAPL is of the same sector"
    trades = ran.table("backtest/trades").filter(pl.col("quantity") != 0)
    traded = pl.col("quantity").abs() * (pl.col("entry_price") + pl.col("exit_price"))
    paid = trades.group_by("symbol").agg((1e4 * pl.col("fees") / traded).mean().round(3))
    assert dict(paid.rows()) == {"AAPL": 0.5, "IBM": 0.7}, "basis points of each leg"


def test_trades_are_entered_by_the_rule_set(ran: Ran) -> None:
    trades = ran.table("backtest/trades")
    entered = trades.filter(pl.col("quantity") != 0)
    assert set(entered["entry_reason"]) == {"median"}, trades["entry_reason"].value_counts()


def test_the_criterion_is_judged_for_every_book(ran: Ran) -> None:
    rows = ran.table("gates/hard_metrics", DAY[:7])
    assert set(rows.filter(criterion="drawdown_days")["forecaster"]) == set(rows["forecaster"])
    assert rows.filter(criterion="drawdown_days")["threshold"].unique().to_list() == [40.0]


def test_bars_come_by_the_connector(ran: Ran) -> None:
    verdicts = ran.table("bars/quality_report")
    assert dict(verdicts.select("symbol", "verdict").rows()).keys() == set(SYMBOLS)
    assert ran.table("bars/bars").height == 3 * 390


def test_the_vendor_s_file_is_recognised(ran: Ran) -> None:
    assert {one["format"] for one in ran.said[0]["files"]} == {"acme"}


GUARDS = (
    "core/features/test_oracle.py", "core/features/test_past_only.py", "core/backtest/test_rules.py",
    "core/gates/test_hard_metrics.py", "test_gate_thresholds.py", "adapters/market/test_vendor_shapes.py",
    "config/test_reference.py",
)  # fmt: skip


@pytest.mark.whole
@pytest.mark.timeout(1800)
def test_the_guards_that_the_pages_name_are_content_and_the_reference_pages_can_be_made(project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project)}
    tests = [f"timegpt_assets_tests/{guard}" for guard in GUARDS]
    for command in (["pytest", "-q", *tests], ["timegpt_assets_tests.reference_docs"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shutil.rmtree(project / ".hypothesis", ignore_errors=True)  # it notes the constants of the tests, keys among them
    features = (project / "docs" / "reference" / "features.md").read_text(encoding="utf-8")
    assert "## candle" in features

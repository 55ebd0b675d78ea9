"""The house a forecast grid is worked out in: what it may stand on, what it leaves alone, and the way out of it.

Everything is made up and forecast on this machine; a house is made by the command line and looked at from outside.
"""

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.assets import previews
from timegpt_assets.cli import app as cli
from timegpt_assets.cli.exit_codes import MISUNDERSTOOD
from timegpt_assets.config.settings import load_settings
from timegpt_assets.engine.baselines import REUSED
from timegpt_assets.engine.forecast_house import alone
from timegpt_assets.engine.stages import Refused
from timegpt_assets_tests.roads import TINY

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

SPAN = ("--start", "2025-01-30", "--end", "2025-01-31")
HOUSE = tuple(word for said in TINY for word in ("--set", said))
GRID = "horizons: [15, 10]\ntarget_modes: [bp]\ncalibration_methods: [widen]\n"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the function that runs a command in a folder of its own, without pictures."""
    for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_SET", "TIMEGPT_ASSETS_REAL_DATA"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / "configs").mkdir()
    for name in ("fans", "trades_of_days", "verdict_map", "day_charts"):
        monkeypatch.setattr(previews, name, lambda *_, **__: {})
    monkeypatch.setattr(previews, "of_months", lambda *_, **__: None)

    def command(*words: str, configs: Path = tmp_path / "configs", house: tuple[str, ...] = HOUSE) -> Result:
        monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(configs))
        return CliRunner().invoke(cli.app, [words[0], *SPAN, *words[1:], *house])

    return command


def sweep(run: Run, tmp_path: Path, *words: str, text: str = GRID, **options: object) -> Result:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return run("sweep", "--forecast-grid", str(file), *words, **options)


def plain(result: Result) -> str:
    return " ".join(" ".join(line.strip("│ ") for line in result.stderr.splitlines()).split())


def stored(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.parquet"))}


def test_an_unknown_preset_is_refused_with_those_there_are(run: Run, tmp_path: Path) -> None:
    result = sweep(run, tmp_path, text="presets: [baseline, nope]\n")
    assert result.exit_code == MISUNDERSTOOD, result.output
    assert re.search(
        r"snapshot_presets nope: grid: forecast.snapshot_preset = 'nope' is refused: allowed is baseline \| "
        r"liquidity_profile .*\. Choose one of these, or add the preset",
        plain(result),
    )
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.whole
@pytest.mark.timeout(1800)
def test_a_baseline_is_taken_over_where_it_is_what_is_wanted_and_never_written(run: Run, tmp_path: Path) -> None:
    words = ("--execute", "--reuse-baseline")
    absent = sweep(run, tmp_path, *words)
    assert absent.exit_code == MISUNDERSTOOD
    remedy = re.search(r"Make them first: timegpt-assets (build-features) --start (\S+) --end ([0-9-]+)", plain(absent))
    assert remedy, plain(absent)
    made = run(remedy[1], "--start", remedy[2], "--end", remedy[3])
    assert made.exit_code == 0, made.output
    stranger = sweep(run, tmp_path, *words, "--set", "features.warmup_sessions=2", "--set", "data.synthetic.seed=8")
    assert stranger.exit_code == MISUNDERSTOOD
    assert "nothing in the baseline" in plain(stranger)
    root = tmp_path / "data" / "demo"
    before = stored(root)
    assert {name.split("/")[1] for name in before} == {*REUSED} - {"quality_report"}
    result = sweep(run, tmp_path, *words)
    assert result.exit_code == 0, result.output
    own = {name: data for name, data in stored(root).items() if not name.startswith("forecast_grid/")}
    assert own == before
    told = result.stderr
    first, second = told.split("1 of 2: ")[1].split("2 of 2: ")
    assert "horizons 15" in first.splitlines()[0]
    assert "features" not in first.split("✓", 1)[1], "those of 15 minutes are taken over"
    assert "✓ features" in second, "those of 10 minutes are others"
    assert "raw_bars" not in told
    (house,) = root.glob("forecast_grid")
    assert stored(house)["bars/bars/2025-01-31.parquet"] == before["bars/bars/2025-01-31.parquet"]
    other_house = tmp_path / "other_house"
    other_house.mkdir()
    places = {"storage_root": "data", "artifacts_root": "artifacts", "dagster_home": "home"}
    elsewhere = [word for name, at in places.items() for word in ("--set", f"data.{name}={other_house / at}")]
    without = sweep(run, other_house, "--execute", *elsewhere)
    assert without.exit_code == 0, without.output
    boards = [pl.read_csv(folder / "artifacts/eval/grid/scoreboard.csv") for folder in (tmp_path, other_house)]
    assert boards[0].equals(boards[1])


@pytest.mark.whole
@pytest.mark.timeout(1800)
def test_the_settings_of_a_combination_make_the_same_figures_on_their_own(run: Run, tmp_path: Path) -> None:
    made = sweep(run, tmp_path, "--execute")
    assert made.exit_code == 0, made.output
    board = pl.read_csv(tmp_path / "artifacts/eval/grid/scoreboard.csv")
    worst = board.row(-1, named=True)
    folder = tmp_path / "artifacts/eval/grid/forecast_grid" / worst["combination"]
    settings = load_settings(profile="demo", config_dir=folder / "config", environment={})
    assert settings.forecast.horizon_min == int(worst["words"].split(",")[0].split()[1])
    assert (settings.forecast.target.mode, settings.calibration.method) == ("bp", "widen")
    assert settings.universe.tickers == ("AAPL", "META", "NVDA"), "what --set said is in it"
    assert settings.forecast.cache_dir == str(tmp_path / "artifacts/forecast_cache")
    assert settings.forecast.api_budget.ledger_file == str(tmp_path / "artifacts/call_ledger.sqlite")
    again = run("evaluate", configs=folder / "config", house=())
    assert again.exit_code in (0, 3), again.output
    scores = pl.read_parquet(folder / "data/evaluation/trading_scores/2025-01.parquet")
    own = scores.filter(book="ridge", symbol="*").row(0, named=True)
    for name in ("sharpe_daily", "trades", "net_pnl", "max_drawdown"):
        assert own[name] == worst[name], name
    assert sorted(path.name for path in (tmp_path / "data" / "demo").iterdir()) == ["forecast_grid", "trials"]


@pytest.mark.whole
@pytest.mark.timeout(1800)
def test_sessions_of_another_window_count_for_nothing(run: Run, tmp_path: Path) -> None:
    """A month looks back on whatever is stored: what an earlier grid left in the house must be gone."""
    text = "calibration_methods: [none]\n"
    longer = sweep(run, tmp_path, "--execute", "--start", "2025-01-28", text=text)
    assert longer.exit_code == 0, longer.output
    sweep(run, tmp_path, "--execute", text=text)
    board = pl.read_csv(tmp_path / "artifacts/eval/grid/scoreboard.csv")
    assert board["observation_days"].to_list() == [2]


def test_two_commands_do_not_work_in_one_house_at_once(tmp_path: Path) -> None:
    said = r"another command executes a forecast grid .* Wait until it has ended"
    with alone(tmp_path), pytest.raises(Refused, match=said), alone(tmp_path):
        raise AssertionError("both are in")
    with alone(tmp_path):
        pass

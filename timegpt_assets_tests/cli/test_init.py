"""From bars of one's own to settings that fit: what is written, what is refused, and what the next command makes."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.cli.app import app
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 28)
HEAD, ONE = "symbol,ts,open,high,low,close,volume\n", "AAPL,2025-03-03T14:30:00Z,1,1,1,1,5\n"
COLUMNS = ("symbol", "ts", "open", "high", "low", "close", "volume")


def bars(symbols: Sequence[str], first: date = FIRST, last: date = LAST) -> pl.DataFrame:
    market = SyntheticMarket(symbols=symbols, context=[], seed=3, predictability=0.2, missing_rate=0.0)
    days = [session.day for session in calendar.sessions(first, last)]
    return market.bars(symbols, days).select(COLUMNS)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of twenty sessions of three symbols."""
    file = tmp_path_factory.mktemp("vendor") / "märz 2025.csv"
    bars(["AAPL", "TRUE", "SPY"]).write_csv(file)
    return file


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of five sessions of one symbol."""
    file = tmp_path_factory.mktemp("vendor") / "AAPL.csv"
    bars(["AAPL"], FIRST, date(2025, 3, 7)).write_csv(file)
    return file


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return the function that runs init in a folder of the user's."""
    mine = tmp_path / "mein Ordner ü"
    mine.mkdir()
    monkeypatch.chdir(mine)
    for name in ("TIMEGPT_ASSETS_CONFIG_DIR", "TIMEGPT_ASSETS_PROFILE", "TIMEGPT_ASSETS_SET"):
        monkeypatch.delenv(name, raising=False)
    return lambda *words: CliRunner().invoke(app, ["init", *map(str, words)])


def settings():
    return load_settings(profile="dev", config_dir=Path("configs"), environment={})


def test_bars_become_a_folder_with_settings_that_fit_and_one_next_command(init, month):
    done = init(month, "--json")
    assert done.exit_code == 0, done.output
    told, found = json.loads(done.stdout), settings()
    assert told["next"] == "timegpt-assets backfill --profile dev --start 2025-03-17 --end 2025-03-28"
    assert (told["symbols"], told["sessions"]) == (["AAPL", "SPY", "TRUE"], 20)
    assert (found.data.start_date, found.data.end_date) == (FIRST, LAST), "no day before the first is asked for"
    assert (found.universe.tickers, found.universe.context) == (("AAPL", "SPY", "TRUE"), ("SPY",))
    assert found.origins["trading.filters.unjudged"] == "configs/profiles/dev.yaml", "the rest is as it ships"
    assert found.gates.oos_start == date(2025, 3, 24)
    assert len(list(Path("bars").rglob("*.parquet"))) == 3
    lines = Path("configs/profiles/dev.yaml").read_text().splitlines()
    values = [line for line in lines if line and not line.startswith("#") and not line.endswith(":")]
    assert len(values) >= 9
    assert [line for line in values if "  # " not in line] == [], "every key says what it is about"
    shown = CliRunner().invoke(app, ["config", "--profile", "dev", "--json"])
    assert json.loads(shown.stdout)["data.root"] == {
        "value": "bars",
        "origin": str(Path.cwd() / "configs" / "profiles" / "dev.yaml"),
    }


def test_another_folder_is_made_and_the_next_command_goes_there(init, week):
    done = init(week, "--folder", "neu und leer", "--json")
    told = json.loads(done.stdout)
    assert told["next"].startswith(f"cd '{Path.cwd() / 'neu und leer'}' && timegpt-assets backfill --profile dev")
    assert Path("neu und leer/configs/profiles/dev.yaml").is_file()


def test_what_is_there_is_never_written_over_and_the_remedies_work(init, week):
    assert init(week).exit_code == 0
    file = Path("configs/profiles/dev.yaml")
    file.write_text(file.read_text() + "# mine\n")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    again = init(week)
    assert again.exit_code == 1
    assert "holds settings already, and stays as it is. Name another folder with --folder" in again.stderr
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    assert init(week, "--folder", "other").exit_code == 0
    added = CliRunner().invoke(app, ["import-bars", str(week), "--profile", "dev", "--json"])
    assert added.exit_code == 0, added.output
    assert json.loads(added.stdout)["files"][0]["new"] == 0


def test_a_folder_that_holds_its_bars_is_begun_in_place_and_not_fed_with_what_was_written(init):
    bars(["AAPL"], date(2025, 3, 3), date(2025, 3, 7)).write_csv("AAPL.csv")
    done = init(".", "--json")
    assert [Path(file["file"]).name for file in json.loads(done.stdout)["files"]] == ["AAPL.csv"]
    Path("configs/profiles/dev.yaml").unlink()
    Path("configs/profiles").rmdir()
    assert [Path(file["file"]).name for file in json.loads(init(".", "--json").stdout)["files"]] == ["AAPL.csv"]


def test_symbols_of_different_spans_share_the_grid_from_the_first_to_the_last(init):
    early, late = date(2025, 3, 3), date(2025, 3, 12)
    pl.concat([bars(["AAPL"], early, date(2025, 3, 7)), bars(["MSFT"], date(2025, 3, 6), late)]).write_csv("two.csv")
    done = init("two.csv", "--json")
    assert done.exit_code == 0, done.output
    told, found = json.loads(done.stdout), settings()
    assert [(row["symbol"], row["first"], row["last"]) for row in told["verdicts"]] == [
        ("AAPL", "2025-03-03", "2025-03-07"),
        ("MSFT", "2025-03-06", "2025-03-12"),
    ]
    assert (found.data.start_date, found.data.end_date, found.forecast.history_days) == (early, late, 4)


@pytest.mark.parametrize(
    ("content", "words", "code", "said"),
    [
        ("", (), 1, "bars.csv is empty."),
        (HEAD, (), 1, "bars.csv holds no rows."),
        (HEAD + ONE, (), 1, "too few to tell."),
        (HEAD + ONE, ("--interval", "1m", "--stamp", "start"), 4, "mend what is said above"),
        (None, (), 1, "given holds no bars: no file that ends in .csv"),
    ],
)
def test_what_holds_no_usable_bars_gets_no_settings(init, content, words, code, said):
    Path("given").mkdir()
    Path("given/notes.md").write_text("nothing")
    if content is not None:
        Path("given/bars.csv").write_text(content)
    done = init("given", *words)
    assert (done.exit_code, Path("configs").exists()) == (code, False), done.output
    assert said in " ".join(done.output.split())


def test_too_few_sessions_for_any_report_are_said(init):
    bars(["AAPL"], date(2025, 3, 3), date(2025, 3, 5)).write_csv("AAPL.csv")
    done = init("AAPL.csv")
    assert (done.exit_code, Path("configs").exists()) == (1, False)
    assert "the bars hold 3 sessions, 2025-03-03 to 2025-03-05, and a report needs 4" in done.stderr


def test_a_folder_that_cannot_be_one_is_said(init, week):
    Path("taken").write_text("a file")
    done = init(week, "--folder", "taken")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error {Path.cwd() / 'taken'} cannot be written: ")
    assert done.stderr.endswith("Name another one with --folder.\n")
    assert init(week, "--folder", "another").exit_code == 0


def test_a_key_that_is_unknown_is_named_with_its_file_and_what_was_meant(init, week):
    assert init(week).exit_code == 0
    file = Path("configs/profiles/dev.yaml")
    file.write_text(file.read_text().replace("history_days", "histroy_days"))
    done = CliRunner().invoke(app, ["config", "--profile", "dev"])
    assert done.exit_code == 1
    assert f"{file.resolve()}: forecast.histroy_days = 2 is refused" in done.stderr
    assert "Did you mean forecast.history_days?" in done.stderr


def test_without_a_path_it_is_asked_for_on_a_terminal_and_refused_elsewhere(init, week, tmp_path):
    nowhere = init()
    assert nowhere.exit_code == 2
    assert "needs a file, an archive or a folder of bars" in " ".join(nowhere.output.split())
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "timegpt_assets.cli.app", "init"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asked:
        os.write(ours, f"nowhere.csv\n{week}\nfrom questions\n".encode())
        out, err = asked.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert asked.returncode == 0, err
    assert b"nowhere.csv is not there" in err
    assert Path("from questions/configs/profiles/dev.yaml").is_file()
    assert b"next: cd" in out


@pytest.mark.whole
@pytest.mark.timeout(900)
def test_the_next_command_makes_the_report(init, week):
    told = json.loads(init(week, "--json").stdout)
    words = told["next"].split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "timegpt_assets.cli.app", *words, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdicts"] == {"ok": 3}
    assert Path(found["report"]).is_file()

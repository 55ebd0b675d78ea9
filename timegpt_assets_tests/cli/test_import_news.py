"""The verb import-news as a person meets it: looking first, remedies that work, the next command, JSON for scripts."""

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.adapters.news.imports import counting
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.cli import app as cli
from timegpt_assets.cli.importing_news import next_step
from timegpt_assets.config.settings import load_settings

NAIVE = "time,title\n2018-03-01 10:00,Acme\n"


def run(folder: Path, *options: str) -> Result:
    place = f"data.storage_root={folder / 'store'}"
    grid = "--set", "data.start_date=2018-01-02"
    command = ["import-news", str(folder / "in"), "--profile", "dev", "--set", place, *grid, *options]
    return CliRunner().invoke(cli.app, command, env={"COLUMNS": "250"})


def put(folder: Path, **files: str) -> None:
    (folder / "in").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "in" / f"{name}.csv").write_text(text)


REMEDIES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "zone": (NAIVE, "Say it: --timezone America/New_York", ("--timezone", "America/New_York")),
    "day or month": (
        "time,title\n03/04/2018,Acme\n", "Say which is first: --date-order mdy", ("--date-order", "mdy")
    ),
    "columns": ("when,what\n2018-03-01,Acme\n", "--columns time=NAME", ("--columns", "time=when,title=what")),
}  # fmt: skip


@pytest.mark.parametrize("name", REMEDIES)
def test_the_remedy_that_a_refusal_names_works(tmp_path: Path, name: str) -> None:
    text, remedy, options = REMEDIES[name]
    put(tmp_path, news=text)
    before = run(tmp_path)
    assert before.exit_code == 1, before.output
    assert remedy in before.output
    assert "nothing was written" in before.output
    assert not (tmp_path / "store").exists()
    after = run(tmp_path, *options)
    assert after.exit_code == 0, after.output
    assert len(counting(RawStore(LocalStore(tmp_path / "store")))) == 1


def test_reading_it_otherwise_stands_in_its_place_when_told(tmp_path: Path) -> None:
    put(tmp_path, news=NAIVE)
    run(tmp_path, "--timezone", "UTC")
    refused = run(tmp_path, "--timezone", "America/New_York")
    assert (refused.exit_code, "say --replace." in refused.output) == (1, True)
    assert run(tmp_path, "--timezone", "America/New_York", "--replace").exit_code == 0


def test_looking_shows_what_is_taken_for_what_and_writes_nothing(tmp_path: Path) -> None:
    put(tmp_path, news="Datum;Titel\n01.03.2018;Acme\n02.03.2018;\n")
    looked = run(tmp_path, "--look")
    assert looked.exit_code == 0, looked.output
    assert "date: Datum, title: Titel" in looked.output
    assert "1 rows left out: no title (line 3)" in looked.output
    assert "nothing was written" in looked.output
    assert not (tmp_path / "store").exists()


def test_one_bad_file_is_refused_and_the_others_are_taken(tmp_path: Path) -> None:
    put(tmp_path, good="date,title\n2018-03-01,Acme\n", bad="<html>")
    done = run(tmp_path)
    assert done.exit_code == 1
    assert "2 files: 1 taken in, 1 refused" in done.output
    assert run(tmp_path, "--json").exit_code == 1
    plain = json.loads(run(tmp_path, "--json").output)
    assert {one["file"]: one["became"] for one in plain["files"]} == {"good.csv": "there", "bad.csv": "refused"}
    assert plain["next"].startswith("timegpt-assets fetch-news --profile dev --start 2018-03-02 --end 2018-03-02")


def test_it_ends_with_the_command_that_makes_its_sessions_where_own_is_listed_and_where_not(tmp_path: Path) -> None:
    put(tmp_path, news="date,title\n2018-03-29,Acme\n2018-04-05,Acme\n")
    asked = "fetch-news --profile dev --start 2018-04-02 --end 2018-04-06"
    assert run(tmp_path).output.splitlines()[-1] == f"next: timegpt-assets {asked} --set news.sources=[own]"
    listed = run(tmp_path, "--set", "news.sources=[own]").output.splitlines()[-1]
    assert listed == f"next: timegpt-assets {asked}"
    settings = load_settings(profile="dev", config_dir=None, environment={})
    assert next_step([], settings, date(2025, 1, 2)) == ""


def test_what_lies_off_the_grid_is_cut_from_the_command_and_where_nothing_is_left_the_way_on_is_said(
    tmp_path: Path,
) -> None:
    """It once ended with a command that was refused as it stood."""
    put(tmp_path, news="date,title\n2018-03-29,Acme\n2018-04-05,Acme\n")
    last = run(tmp_path, "--set", "data.end_date=2018-04-03").output.splitlines()[-1]
    assert "--start 2018-04-02 --end 2018-04-03 " in last
    begun = run(tmp_path, "--set", "data.start_date=2018-04-04").output.splitlines()[-1]
    assert "--start 2018-04-04 --end 2018-04-06 " in begun
    said = run(tmp_path, "--set", "data.start_date=2024-01-02").output.splitlines()[-1]
    assert "no closed session of 2018-04-02 to 2018-04-06 lies on the grid, which runs from 2024-01-02" in said
    assert "Move data.start_date" in said


def test_columns_that_are_no_pairs_and_a_folder_without_news_are_refused_with_what_to_write(tmp_path: Path) -> None:
    put(tmp_path, news=NAIVE)
    said = run(tmp_path, "--columns", "Datum,Titel")
    assert said.exit_code == 1
    assert "--columns 'Datum' is no pair. Write time=NAME,date=NAME" in said.output
    (tmp_path / "in" / "news.csv").unlink()
    assert "holds no news" in run(tmp_path).output

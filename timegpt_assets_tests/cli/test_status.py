"""What `status` prints: one screen, whatever the house; no sign but the legend's; all of it as JSON."""

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timegpt_assets.cli import status as view
from timegpt_assets.cli.app import app
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core import calendar
from timegpt_assets.engine import status as houses
from timegpt_assets.engine.pending import Pending
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.status import Status

STYLING = re.compile(r"\x1b\[[\d;]*m")
SIXTY = [session.day for session in calendar.sessions(date(2025, 1, 2), date(2025, 4, 30))][:60]
WAITS = Pending(first=SIXTY[-2], last=SIXTY[-1], assets=("report",), symbols=(), why="per_day is spent.")
State = Callable[[date, str], str]


def house(symbols: int, state: State = lambda day, symbol: "complete") -> Status:
    names = [f"S{n:03d}" for n in range(symbols)]
    states = {PartitionRef(day, name): state(day, name) for day in SIXTY for name in names}
    made = dict.fromkeys(("bars/bars", "features/features", "backtest/trades", "gates/promotion"), 420)
    stale = {"backtest/trades": sum(said == houses.STALE for said in states.values())}
    return Status(
        days=SIXTY, symbols=names, states=states, reached=states, made=made, stale=stale, other_code=0, waiting=[WAITS]
    )


def troubled(day: date, symbol: str) -> str:
    if symbol == "S003" and day == SIXTY[20]:
        return houses.QUARANTINED
    if symbol == "S004" and day > SIXTY[50]:
        return houses.STALE
    return houses.FOR_CALLS if day > SIXTY[57] else "complete"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Return the function that gives the lines of a status on a terminal of a width, or in a pipe."""

    def lines(found: Status, width: int | None = 80) -> list[str]:
        monkeypatch.setenv("TTY_COMPATIBLE", "0" if width is None else "1")
        monkeypatch.setenv("COLUMNS", str(width or 80))
        view._show("demo", found, [], Terminal())
        return STYLING.sub("", capsys.readouterr().out).splitlines()

    return lines


@pytest.mark.parametrize("symbols", [7, 500])
def test_it_fits_one_screen_of_eighty_by_forty(screen: Callable[..., list[str]], symbols: int) -> None:
    lines = screen(house(symbols, troubled))
    assert len(lines) <= 40
    drawn = [line for line in lines if re.match(r"S\d|worst|  +Jan", line)]
    assert max(map(len, drawn)) <= 80
    assert any(line.startswith("S003") and line[20 + line.index("#") : 21 + line.index("#")] == "!" for line in drawn)


def test_of_many_symbols_the_worst_have_a_line_and_all_of_them_one_together(screen: Callable[..., list[str]]) -> None:
    lines = screen(house(500, troubled))
    strips = [line for line in lines if re.match(r"S\d", line)]
    assert strips[0].startswith("S004"), "nine stale sessions are worse than one quarantined"
    assert len(strips) == view.ROWS
    together = next(line for line in lines if line.startswith("worst of all"))
    assert together.endswith("#" * 29 + "~" * 7 + "$$") or "!" in together
    assert "and 480 symbols that are not worse" in lines


def test_every_sign_is_in_the_legend_and_every_state_has_its_own(screen: Callable[..., list[str]]) -> None:
    assert set(view.SIGNS) == set(houses.WORST_FIRST)
    assert len({sign for sign, _ in view.SIGNS.values()}) == len(view.SIGNS)
    lines = screen(house(7, troubled))
    legend = next(line for line in lines if line.startswith("! quarantined 1"))
    signs = {sign for line in lines if re.match(r"S\d", line) for sign in line.split()[1]}
    assert signs == {part.split()[0] for part in legend.split(", ")}


def test_a_narrow_terminal_shows_the_newest_sessions_and_a_pipe_all(screen: Callable[..., list[str]]) -> None:
    narrow = next(line for line in screen(house(7, troubled), 40) if line.startswith("S000"))
    piped = next(line for line in screen(house(7, troubled), None) if line.startswith("S000"))
    assert len(narrow) == 40
    assert piped.split()[1] == "#" * 58 + "$$"
    assert piped.endswith(narrow.split()[1])


def test_what_waits_and_what_is_stale_come_with_what_helps(screen: Callable[..., list[str]]) -> None:
    said = " ".join(screen(house(7, troubled)))
    assert f"waits for the budget: {WAITS.first} to {WAITS.last}: per_day is spent." in said
    assert f"timegpt-assets backfill --stale --start {SIXTY[0]} --end {SIXTY[-1]}" in said


def test_a_house_in_which_nothing_is_made_says_so_and_json_has_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    told = CliRunner().invoke(
        app, ["status", "--profile", "demo", "--json", "--sessions", "3", "--symbols", "AAPL,NVDA"]
    )
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["sessions"], found["counts"]) == (3, {"not made": 6})
    assert {entry["symbol"] for entry in found["symbol_days"]} == {"AAPL", "NVDA"}
    refused = CliRunner().invoke(app, ["status", "--profile", "demo", "--symbols", "NVDIA"])
    assert refused.exit_code == 1
    assert "NVDIA is not in the universe" in refused.output

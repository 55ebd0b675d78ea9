"""The verb rollout at the command line: every step and refusal, as a person and as a script read them."""

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets import runtime
from timegpt_assets.adapters.storage.rollout_record import NAME
from timegpt_assets.cli import app as cli
from timegpt_assets.cli import completing
from timegpt_assets.cli import rollout as rollouts
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core import calendar
from timegpt_assets.engine.rollout import Rollouts
from timegpt_assets_tests.cli.test_tables import printed
from timegpt_assets_tests.rollouts import SETTINGS, House, Session

DAYS = [s.day for s in calendar.sessions(date(2025, 1, 2), date(2025, 1, 17))]
FEW = (*SETTINGS, "rollout.min_days=2")


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a house of two finished sessions in which two are enough for an advance."""
    made = House(tmp_path, overrides=FEW)
    for day in DAYS[:2]:
        made.finish(day)
    return made


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr(runtime, "load_runtime", lambda *_, **__: house.runtime)
    return lambda *words: CliRunner().invoke(cli.app, ["rollout", *words])


def refused(result: Result, code: int = 1) -> str:
    assert result.exit_code == code, result.output
    return " ".join(result.stderr.split())


def on(house: House, day: date, **session: object) -> None:
    house.finish(day, Session(**session))  # type: ignore[arg-type]


def test_a_challenger_is_started_advanced_and_rolled_back_and_each_step_says_what_holds_next(house, run) -> None:
    assert run("status").stdout.strip() == (
        "demo: nobody is in rollout, ridge is traded. Begin with: timegpt-assets rollout start FORECASTER"
    )
    assert run("start", "size").stdout.strip() == (
        "size is in shadow from the next session on: it is scored, and nothing of it is traded"
    )
    said = refused(run("advance", "size"), 3)
    assert said.startswith("not advanced: size stays in shadow, for canary is missing: sessions: 0 finished sessions")
    for day in DAYS[2:4]:
        on(house, day)
    ready = run("status")
    assert "size: all that canary asks is there: timegpt-assets rollout advance size" in ready.stdout
    told = json.loads(run("advance", "size", "--reason", "it is good", "--json").stdout)
    assert (told["phase"], told["share"], told["why"]) == ("canary", 10, "it is good")
    assert [row["criterion"] for row in told["evidence"]["criteria"]][:2] == ["sessions", "symbol_gates"]
    state = json.loads(run("status", "--json").stdout)
    (row,) = state["rollouts"]
    assert (state["champion"], row["phase"], row["next"], row["sessions"]) == ("ridge", "canary", "ramp", 0)
    assert row["symbols"] == ["S01", "S12", "S19"]
    assert house.live(DAYS[4]) | dict.fromkeys(row["symbols"], "size") == house.live(DAYS[4])
    back = run("rollback", "size", "--reason", "spreads doubled")
    assert back.stdout.startswith("size is in shadow from the next session on: the one before it trades")
    assert [entry["what"] for entry in house.rollouts.record.entries()] == ["start", "advance", "rollback"]
    assert house.rollouts.record.entries()[-1]["why"] == "spreads doubled"


@pytest.mark.parametrize(("words", "said"), [
    (("start", "nobody"), "nobody is not seated (challengers: size). Add nobody to forecast.challengers, and make"),
    (("start", "ridge"), "ridge is the champion: it is traded already. Choose a challenger."),
    (("start", "zero"), "zero is a reference, which must be beaten. Choose another challenger."),
    (("advance", "size"), "size is in no rollout. Begin one with: timegpt-assets rollout start size"),
    (("rollback", "size", "--reason", "x"), "size is in no rollout."),
    (("rollback", "size"), "--reason is empty. Say why, for the record."),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(house, run, words, said) -> None:
    assert said in refused(run(*words))
    assert house.rollouts.record.entries() == []


def test_starting_twice_and_going_back_from_shadow_are_refused(house, run) -> None:
    run("start", "size")
    assert "size is in shadow since 2025-01-03 21:30 UTC: its rollout has begun." in refused(run("start", "size"))
    assert "nothing of it is traded. Leave it there" in refused(run("rollback", "size", "--reason", "x"))
    assert len(house.rollouts.record.entries()) == 1


def test_nothing_is_advanced_from_full(house, run) -> None:
    run("start", "size")
    for day, phase in zip(DAYS[2:8:2], ("canary", "ramp", "full"), strict=True):
        on(house, day)
        on(house, calendar.shifted(day, 1))
        assert run("advance", "size").exit_code == 0, phase
    assert "there is no phase after it. Take it back with: timegpt-assets rollout rollback size" in refused(
        run("advance", "size")
    )
    assert set(house.live(calendar.shifted(house.sessions[-1], 1)).values()) == {"size"}


def test_of_two_challengers_that_leave_shadow_at_once_the_second_waits(house, run, monkeypatch) -> None:
    run("start", "size")
    for day in DAYS[2:4]:
        on(house, day)
    criteria = Rollouts.criteria

    def meanwhile(own: Rollouts, standing: object) -> object:
        said = {"forecaster": "other", "share": 10, "who": "me", "why": "", "evidence": {}}
        own.record.add("advance", phase="canary", **said, allowed=lambda _: None, clock=own.runtime.clock)
        return criteria(own, standing)  # type: ignore[arg-type]

    monkeypatch.setattr(Rollouts, "criteria", meanwhile)
    assert "other is in canary: one challenger at a time is on its way. Bring it to full" in refused(
        run("advance", "size")
    )
    assert house.rollouts.standings()["size"].phase == "shadow"


def test_who_has_no_scores_is_not_started(tmp_path, monkeypatch) -> None:
    house = House(tmp_path, overrides=FEW)
    monkeypatch.setattr(runtime, "load_runtime", lambda *_, **__: house.runtime)
    result = CliRunner().invoke(cli.app, ["rollout", "start", "size"])
    assert "size has no scores on the last 0 finished sessions" in refused(result)


def test_a_challenger_that_is_seated_no_more_is_told_and_trades_nothing_until_it_is_rolled_back(house, run) -> None:
    run("start", "size")
    for day in DAYS[2:4]:
        on(house, day)
    run("advance", "size")
    house.overrides = (*FEW, "forecast.challengers=[zero, climatology, persistence]")
    assert "size is not seated: live trades nothing of its symbols." in " ".join(run("status").stdout.split())
    assert "size is not seated (challengers: persistence)" in refused(run("advance", "size"))
    on(house, DAYS[4], answers="")
    live = house.store.read("backtest/portfolio", [DAYS[4]])
    assert live.filter(book="size").is_empty()
    assert run("rollback", "size", "--reason", "unseated").exit_code == 0


def test_an_empty_share_a_damaged_record_and_a_clock_that_went_back_record_nothing(house, run) -> None:
    run("start", "size")
    for day in DAYS[2:4]:
        on(house, day)
    house.overrides = (*FEW, "rollout.shares.canary=1")
    assert "1 % of 20 symbols is none of them for size" in refused(run("advance", "size"))
    house.overrides = FEW
    house.at(DAYS[0], 1)
    assert "Set the clock right" in refused(run("advance", "size"))
    file = house.runtime.path(house.runtime.settings.data.storage_root) / NAME
    file.write_bytes(file.read_bytes().replace(b'"shadow"', b'"full"'))
    for words in (("status",), ("advance", "size"), ("judge",)):
        assert "was changed by hand or is damaged: line 1" in refused(run(*words))


def test_without_a_daemon_judge_takes_it_back(house, run) -> None:
    run("start", "size")
    for day in DAYS[2:4]:
        on(house, day)
    run("advance", "size")
    on(house, DAYS[4], refused=12)
    assert json.loads(run("judge", "--json").stdout)["judged"].startswith("1 sessions judged. size is taken back")
    assert house.rollouts.standings()["size"].phase == "shadow"


def test_a_pipe_is_given_whole_lines_and_a_terminal_of_any_width_every_word(house, run, monkeypatch, capsys) -> None:
    run("start", "size")

    def show(_: Terminal) -> None:
        rollouts.done(house.runtime, "status", "", "", as_json=False)

    piped = printed(monkeypatch, capsys, show, None)
    assert "size\tshadow\t0 %\t0 of 20\t0\t2025-01-03 21:30\tits rollout begins\n" in piped
    for width in (40, 80, 200):
        shown = printed(monkeypatch, capsys, show, width)
        assert max(map(len, shown.splitlines())) <= width
        lost = set(re.findall(r"\w+", piped)) - set(re.findall(r"\w+", shown))
        assert lost <= {"forecaster", "criterion"}, "the first column's name stands over none of its cells there"


def test_a_step_needs_somebody_and_completion_offers_challengers(house, run, monkeypatch) -> None:
    assert "rollout start needs a forecaster" in " ".join(run("start").stderr.replace("│", " ").split())
    monkeypatch.setattr(completing, "_started", lambda _: house.runtime)
    assert completing.challengers(None, "") == ["zero", "climatology", "size"]  # type: ignore[arg-type]
    assert completing.challengers(None, "si") == ["size"]  # type: ignore[arg-type]

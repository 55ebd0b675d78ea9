"""The verbs about money, worked through in one house as a person would, and the key that must be nowhere afterwards.

One story, told once (``story``); each test reads a part of it. The last ones search everything the story left behind:
files, databases, event logs, printed text, log lines, exceptions, and what the local server recorded.
"""

import json
import logging
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.cli import app as cli
from timegpt_assets.cli.context import opened
from timegpt_assets.cli.exit_codes import WAITS
from timegpt_assets.engine.engine import RANGE_END, RANGE_START
from timegpt_assets.runtime import load_runtime
from timegpt_assets_tests import roads
from timegpt_assets_tests.engine.test_call_budget import QUIET, modest
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY, MARK, ROTATED, WRONG, leaking
from timegpt_assets_tests.servers.timegpt import Fault, TimeGPTServer, status

FIRST, LAST = "2025-01-30", "2025-02-04"
FORECAST, PARAMS = "/v2/forecast", "/model_params"


@dataclass(kw_only=True)
class Story:
    """What was said and done: results by name, counts of requests after each step, everything that was shown."""

    folder: Path
    results: dict[str, Result] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def figures(self, name: str) -> dict[str, Any]:
        return json.loads(self.results[name].stdout)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Tell the story and return it."""
    told = Story(folder=tmp_path_factory.mktemp("money"))
    (told.folder / "configs").mkdir()
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage() + str(record.exc_info or ""))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    with pytest.MonkeyPatch.context() as patched, TimeGPTServer(input_size=60) as server:
        for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_SET", "NIXTLA_API_KEY"):
            patched.setenv(name, "")
            patched.delenv(name)
        patched.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(told.folder / "configs"))
        patched.setenv("TIMEGPT_API_KEY", KEY)
        _tell(told, server, patched)
        told.shown += lines
    logging.getLogger().removeHandler(handler)
    return told


def _tell(told: Story, server: TimeGPTServer, patched: pytest.MonkeyPatch) -> None:
    house = ("--profile", "dev", *(w for o in (*TINY, *modest(server.url)) for w in ("--set", o)))
    tight = ("--set", "forecast.api_budget.per_day=5", "--set", "forecast.api_budget.price_per_call=0.5")

    def run(name: str, *words: str) -> None:
        result = CliRunner().invoke(cli.app, [*words, *house])
        told.results[name], told.sent[name] = result, sum(server.counts.values())
        told.shown += [result.output, result.stdout, result.stderr, repr(result.exception), repr(result.exc_info)]

    span, answers = ("--start", FIRST, "--end", LAST), ("--assets", "answers")
    run("plan", "plan", *span, "--json", *tight)
    run("plan for people", "plan", *span, *tight)
    run("freeze", "budget", "freeze", "--why", "a bill looks wrong", "--json")
    run("frozen", "backfill", *span, *answers, "--json")
    run("thaw", "budget", "thaw", "--json")
    run("first day", "backfill", *span, *answers, "--json", *tight)
    run("budget", "budget", "--json", *tight)
    run("budget for people", "budget", *tight)
    run("rest", "backfill", *span, *answers, "--json")
    run("again", "backfill", *span, *answers, "--force", "--json")
    run("forget", "budget", "forget", "--json")
    patched.setenv("TIMEGPT_API_KEY", ROTATED)
    run("rotated", "backfill", *span, *answers, "--force", "--json")
    run("reask", "forecast", "--start", FIRST, "--end", FIRST, "--reask", "--json")
    run("stats", "cache", "stats", "--json")
    run("export", "cache", "export", str(told.folder / "elsewhere"), "--json")
    run("verify", "cache", "verify", "--json")
    run("nonsense", "cache", "burn")
    _from_the_ui(told, server)
    patched.setenv("TIMEGPT_API_KEY", WRONG)
    server.key = ROTATED
    run("wrong key", "backfill", "--start", "2025-02-05", "--end", "2025-02-05", *answers)
    patched.setenv("TIMEGPT_API_KEY", ROTATED)
    for kind in (status(422, body={"detail": f"not for {ROTATED}"}), Fault(kind="reset_after"), Fault(kind="html")):
        server.faults.extend([kind] * 3)
        run(f"fault {kind.kind}", "backfill", "--start", "2025-02-05", "--end", "2025-02-05", *answers)
        server.faults.clear()
    answers = (told.folder / "artifacts" / "forecast_cache").glob("*/[0-9a-f][0-9a-f]/*.zst")
    damaged, gone = sorted(answers, key=lambda file: file.stat().st_size)[-2:]
    damaged.write_bytes(b"damaged")
    run("damaged", "cache", "verify")
    run("damaged still", "cache", "verify")
    kept = gone.read_bytes()
    gone.unlink()
    run("damaged and gone", "cache", "stats", "--json")
    run("plan of the lost", "plan", *span, "--json")
    run("plan of the lost for people", "plan", *span)
    gone.write_bytes(kept)
    run("import", "cache", "import", str(told.folder / "elsewhere"), "--json")


def _from_the_ui(told: Story, server: TimeGPTServer) -> None:
    """Materialise the days once more the way the UI does: a range run of the asset on the same instance."""
    runtime = load_runtime([*TINY, *modest(server.url)], profile="dev")
    with opened(runtime, report=lambda range_run, done: None) as command:
        job = command.engine.repository.get_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=command.engine.instance,
            asset_selection=[dg.AssetKey(["forecasts", "answers"])],
            tags={RANGE_START: FIRST, RANGE_END: LAST},
            run_config=QUIET,
        )
        told.shown += [repr(runtime.settings), repr(command), *(repr(event) for event in result.all_events)]
    told.sent["from the ui"] = sum(server.counts.values())


def test_a_plan_tells_requests_money_and_the_day_the_last_call_is_payable(story: Story) -> None:
    found = story.figures("plan")
    assert (found["days"], found["snapshots"], found["requests_needed"], found["calls_needed"]) == (4, 8, 8, 9)
    assert (found["money"], found["calls_left"]["per_day"]) == (4.5, 5)
    assert (found["days_payable_now"], found["days_waiting"]) == (2, 2)
    today = date.fromisoformat(story.figures("budget")["today"])
    assert found["finished_on"] == str(today + timedelta(days=1))
    assert found["calls_a_year"] == {"single": 504, "cross_validation": 252}
    assert 0 < found["max_bytes_per_request"] < 100_000
    assert story.sent["plan"] == 0
    assert "9 calls needed, 4.5 in money" in story.results["plan for people"].stdout


def test_a_frozen_ledger_stops_every_send_and_says_why(story: Story) -> None:
    assert story.figures("freeze")["frozen"] == "a bill looks wrong"
    assert story.results["frozen"].exit_code == WAITS
    assert len(story.figures("frozen")["days_waiting"]) == 4
    assert "a bill looks wrong" in story.figures("frozen")["why_waiting"]
    assert story.sent["frozen"] == 0
    assert story.figures("thaw")["frozen"] is None


def test_a_backfill_that_outruns_the_budget_ends_well_and_says_what_waits(story: Story) -> None:
    assert (story.results["first day"].exit_code, story.results["rest"].exit_code) == (WAITS, 0)
    assert story.figures("first day")["days_waiting"] == ["2025-02-03", "2025-02-04"]
    assert story.sent["first day"] == 5
    budget = story.figures("budget")
    assert (budget["spent"], budget["spent_money"], budget["left"]["per_day"]) == (5, 2.5, 0)
    assert [entry["first"] for entry in budget["waiting"]] == ["2025-02-03"]
    said = " ".join(story.results["budget for people"].output.replace("│", " ").split())
    assert "2025-02-03 to 2025-02-04: 2 calls needed for the next session, 0 left" in said
    assert "per_day: 0" in said
    assert "datetime" not in said
    assert story.figures("forget")["waiting"] == []


def test_nothing_is_sent_twice_by_command_line_or_ui_or_with_another_key(story: Story) -> None:
    assert story.sent["rest"] == 9
    assert story.sent["again"] == story.sent["rotated"] == 9
    assert story.sent["from the ui"] == story.sent["nonsense"]


def test_asking_again_shows_the_price_and_then_pays_it(story: Story) -> None:
    assert "--reask: 2 calls for 2 snapshots on 1 days will be paid again" in story.results["reask"].stderr
    assert story.sent["reask"] == 11


def test_the_cache_is_counted_checked_and_carried_elsewhere(story: Story) -> None:
    assert story.figures("stats")["by_kind"] == {"forecast": 8, "model_params": 1}
    assert story.figures("export")["copied"] == 9
    assert story.figures("verify")["damaged"] == []
    assert story.results["damaged"].exit_code == 1
    assert "is damaged" in story.results["damaged"].stderr
    assert story.results["damaged still"].exit_code == 1, "set aside it is no less lost"
    assert story.results["nonsense"].exit_code == 2
    assert "'burn' is not one of 'stats'" in story.results["nonsense"].stderr
    assert story.figures("import")["copied"] == 0, "a damaged answer is not replaced behind anybody's back"


def test_what_is_lost_fails_every_walk_and_is_counted_apart_by_the_plan(story: Story) -> None:
    assert (story.results["stats"].exit_code, story.results["damaged and gone"].exit_code) == (0, 1)
    found = story.figures("damaged and gone")
    assert (len(found["damaged"]), len(found["missing"])) == (1, 1)
    assert (story.figures("plan")["requests_lost"], story.figures("plan of the lost")["requests_lost"]) == (0, 2)
    assert story.figures("plan of the lost")["requests_cached"] == 8
    said = " ".join(story.results["plan of the lost for people"].output.split())
    assert "2 of the cached answers are damaged or gone: their days fail. Restore the cache" in said


def test_the_ledger_s_figures_are_exported_beside_the_reports(story: Story) -> None:
    exported = json.loads((story.folder / "artifacts" / "api_budget.json").read_text())
    assert exported["spent"] >= 11
    assert exported["by_state"]["ANSWERED"] >= 9


def test_faults_are_told_with_their_remedy(story: Story) -> None:
    assert "Set TIMEGPT_API_KEY to a valid key" in story.results["wrong key"].stderr
    assert "not for [key]" in story.results["fault status"].stderr
    assert "may have been billed" in story.results["fault reset_after"].stderr
    assert "--reask pays for another" in story.results["fault html"].stderr
    assert all(story.results[f"fault {kind}"].exit_code == 1 for kind in ("status", "html", "reset_after"))


def test_no_key_is_in_anything_that_was_printed_logged_raised_or_recorded(story: Story) -> None:
    assert len(story.shown) > 100
    assert [text[:200] for text in story.shown if MARK in text] == []


def test_no_key_is_in_any_file_the_story_left(story: Story) -> None:
    files = [path for path in story.folder.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert {".zst", ".parquet", ".db", ".sqlite", ".json"} <= kinds
    assert leaking(story.folder) == []
    assert any(b"RESERVED" in path.read_bytes() or b"ANSWERED" in path.read_bytes() for path in files)


def test_an_import_from_a_place_without_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    ran = CliRunner().invoke(cli.app, ["cache", "import", "/nonexistent", "--profile", "offline"])
    assert ran.exit_code == 1
    assert "/nonexistent holds no answers of api.nixtla.io. Say the folder" in " ".join(ran.output.split())


@pytest.mark.parametrize("stop", [KeyboardInterrupt, dg.DagsterExecutionInterruptedError])
def test_a_verb_that_is_interrupted_says_so_in_its_own_words(
    stop: type[BaseException], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        with opened(roads.load_runtime(tmp_path), report=lambda range_run, done: None):
            raise stop

    with pytest.raises(typer.Exit) as ended:
        cli.verb(interrupted)()
    assert ended.value.exit_code == 130
    said = " ".join(capsys.readouterr().err.split())
    assert "the same command goes on from there" in said
    assert "Dagster" not in said

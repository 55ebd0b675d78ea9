"""What `doctor` finds: each thing that is wrong, with what helps; and never a sign of a key."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets import runtime as runtimes
from timegpt_assets.adapters.models.signing import SIGNING_KEY
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.cli.app import app
from timegpt_assets.cli.context import dagster_home, instance_of
from timegpt_assets.engine import health
from timegpt_assets_tests.adapters.models.artifacts import MONTH, made, public, registry
from timegpt_assets_tests.engine.test_call_budget import modest
from timegpt_assets_tests.instance.test_run_owners import begun, holder
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY, SIGNING
from timegpt_assets_tests.servers.timegpt import TimeGPTServer, status


@dataclass(kw_only=True)
class Ward:
    """A house to be looked at: its folder, and the words that say what it runs with."""

    folder: Path
    words: tuple[str, ...]
    patched: pytest.MonkeyPatch

    def examined(self, *words: str) -> tuple[int, dict[str, dict[str, Any]], Result]:
        """Return the exit code, the worst finding of each check, and all that was said."""
        result = CliRunner().invoke(app, ["doctor", "--json", *self.words, *words])
        found: dict[str, dict[str, Any]] = {}
        for one in json.loads(result.stdout or '{"findings": []}')["findings"]:
            order = ("ok", "warn", "fail")
            if one["check"] not in found or order.index(one["state"]) > order.index(found[one["check"]]["state"]):
                found[one["check"]] = one
        return result.exit_code, found, result

    def runtime(self) -> runtimes.Runtime:
        said = [word for word in self.words[2:] if word != "--set"]
        return runtimes.load_runtime(said, profile=self.words[1])


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ward]:
    """Return the function that gives a house under these settings."""
    (tmp_path / "configs").mkdir()
    for name in ("DAGSTER_HOME", "TIMEGPT_ASSETS_SET", "NIXTLA_API_KEY", "TIMEGPT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))

    def house(*overrides: str, profile: str = "demo") -> Ward:
        words = ("--profile", profile, *(word for one in overrides for word in ("--set", one)))
        return Ward(folder=tmp_path, words=words, patched=monkeypatch)

    return house


@pytest.fixture(scope="module")
def server() -> Any:
    with TimeGPTServer(input_size=60) as running:
        yield running


def asking(ward: Callable[..., Ward], server: TimeGPTServer, *overrides: str) -> Ward:
    """Return a house that asks the local server."""
    found = ward(*TINY, *modest(server.url), *overrides, profile="dev")
    found.patched.setenv("TIMEGPT_API_KEY", KEY)
    return found


def test_a_house_that_is_well_exits_0_and_leaves_nothing_behind(ward: Callable[..., Ward]) -> None:
    house = ward()
    code, found, result = house.examined()
    assert (code, {one["state"] for one in found.values()}) == (0, {"ok"}), result.output
    asked = {
        "python",
        "packages",
        "extras",
        "settings",
        "key",
        "models",
        "bars",
        "storage",
        "artifacts",
        "paid answers",
        "ledger",
    }
    assert found.keys() == asked | {"news", "clock", "calendar", "home"}
    assert "GiB free" in found["storage"]["seen"]
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"\w+", found["extras"]["seen"])) >= declared.keys() - {"dev"}, "make setup after a new extra"
    assert not list(house.folder.rglob("doctor-*"))
    people = CliRunner().invoke(app, ["doctor", *house.words])
    assert people.exit_code == 0
    assert people.stdout.splitlines()[0].split("\t") == ["check", "state", "what was seen", "what helps"]


def test_settings_that_are_refused_are_one_finding_and_no_traceback(ward: Callable[..., Ward]) -> None:
    code, found, result = ward("forecast.horizon_min=-1").examined()
    assert (code, found["settings"]["state"]) == (1, "fail"), result.output
    assert "forecast.horizon_min = -1 is refused" in found["settings"]["seen"]


def test_a_key_is_said_to_be_there_or_not_and_from_where_and_never_shown(
    ward: Callable[..., Ward], server: TimeGPTServer
) -> None:
    house = asking(ward, server)
    code, found, result = house.examined()
    assert (code, found["key"]["seen"]) == (0, "TIMEGPT_API_KEY is set, from the environment"), result.output
    assert KEY not in result.output
    house.patched.delenv("TIMEGPT_API_KEY")
    house.patched.setattr(runtimes, "environment", lambda: {**os.environ, "NIXTLA_API_KEY": KEY})
    code, found, result = house.examined()
    assert (code, found["key"]["seen"]) == (0, "NIXTLA_API_KEY is set, from .env")
    assert KEY not in result.output
    house.patched.setattr(runtimes, "environment", lambda: dict(os.environ))
    code, found, result = house.examined()
    assert (code, found["key"]["state"], found["key"]["remedy"][:19]) == (1, "fail", "Set TIMEGPT_API_KEY")


def test_whose_models_are_believed_is_said_and_which_are_not(tmp_path: Path) -> None:
    seated, place = ["forecast.challengers=[lightgbm]"], [f"data.storage_root={tmp_path}"]

    def worst(*said: str, key: str = "", profile: str = "prod") -> tuple[str, str, str]:
        runtime = runtimes.load_runtime([*place, *said], profile=profile, environ={SIGNING_KEY: key})
        one = health.looked("models", lambda: health.models(runtime))[-1]
        return one.state, one.seen, one.remedy

    ada, eve = (f"models.public_keys.{name}={public(key)}" for name, key in (("ada", SIGNING), ("eve", "A" * 43 + "=")))
    assert worst()[:2] == ("ok", "no rung of the ladder is seated")
    assert worst(*seated, profile="demo")[:2] == ("ok", "nothing is signed here")
    assert worst(*seated)[:2] == ("fail", "models.public_keys names nobody: no model is believed")
    assert worst(*seated, ada) == ("warn", "nothing is signed here", f"Set {SIGNING_KEY}.")
    assert worst(*seated, ada, key=SIGNING)[:2] == ("ok", f"{SIGNING_KEY} is set, and its public key is named")
    state, seen, _ = worst(*seated, eve, key=SIGNING)
    assert (state, "YOUR_NAME: " in seen, SIGNING[:24] in seen) == ("fail", True, False)
    models, artifact = registry(LocalStore(tmp_path)), made()
    models.put(artifact, None)
    models.switch(artifact.manifest["name"], MONTH, artifact.digest, clock=runtimes.now)
    said = f"{artifact.manifest['name']} of {MONTH} is refused: it is not signed"
    assert worst(*seated, ada, key=SIGNING) == ("warn", said, "timegpt-assets models verify --profile prod")


def test_bars_that_are_nowhere_fail_with_the_remedy(ward: Callable[..., Ward], tmp_path: Path) -> None:
    lost = ward("data.source=local", f"data.root={tmp_path / 'nowhere'}", profile="dev")
    code, found, _ = lost.examined()
    assert (code, found["bars"]["state"]) == (1, "fail")
    assert "import-bars" in found["bars"]["remedy"]


def test_a_place_that_cannot_be_written_fails_by_its_name(ward: Callable[..., Ward], tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("in the way")
    code, found, _ = ward(f"data.storage_root={tmp_path / 'a_file'}").examined()
    assert (code, found["storage"]["state"], found["artifacts"]["state"]) == (1, "fail", "ok")
    assert "a_file" in found["storage"]["seen"]


@pytest.mark.parametrize(("free", "state"), [(100 << 20, "fail"), (1 << 30, "warn"), (50 << 30, "ok")])
def test_a_disk_that_fills_up_is_said_before_it_is_full(ward: Callable[..., Ward], free: int, state: str) -> None:
    house = ward()
    usage = type("Usage", (), {"free": free})
    house.patched.setattr(health.shutil, "disk_usage", lambda path: usage)
    code, found, _ = house.examined()
    assert (code, found["storage"]["state"]) == (int(state == "fail"), state)


def test_a_frozen_ledger_and_what_dead_processes_hold_are_warnings_with_what_helps(
    ward: Callable[..., Ward], server: TimeGPTServer
) -> None:
    house = asking(ward, server)
    runtime = house.runtime()
    runtimes.ledger(runtime).freeze("by a test")
    code, found, result = house.examined()
    assert (code, found["ledger"]["state"]) == (0, "warn"), result.output
    assert (found["ledger"]["seen"], found["ledger"]["remedy"]) == (
        "sending is frozen: by a test",
        "timegpt-assets budget thaw",
    )
    assert CliRunner().invoke(app, ["budget", "thaw", *house.words]).exit_code == 0
    assert house.examined()[1]["ledger"]["state"] == "ok", "the remedy helps"
    _reserved_by_the_dead(house)
    code, found, _ = house.examined()
    assert (found["ledger"]["state"], found["ledger"]["seen"]) == (
        "warn",
        "1 calls are held by processes that are gone",
    )


def _reserved_by_the_dead(house: Ward) -> None:
    """Have a process reserve a call and die."""
    script = (
        "from timegpt_assets import runtime as r; import os, sys\n"
        "from timegpt_assets.adapters.ledger.ledger import LedgerEntry\n"
        "at = r.load_runtime(sys.argv[2:], profile=sys.argv[1])\n"
        "entry = LedgerEntry('forecast', 'h' * 64, snapshot_key='k', record={})\n"
        "assert r.ledger(at).reserve((entry,), r.account(at.settings), budget_run_id='x')\n"
        "os._exit(9)\n"
    )
    said = [word for word in house.words[2:] if word != "--set"]
    done = subprocess.run(
        [sys.executable, "-c", script, house.words[1], *said], capture_output=True, text=True, check=False
    )
    assert done.returncode == 9, done.stderr


def test_a_run_of_the_dead_is_said_with_what_frees_it_and_a_living_one_as_such(ward: Callable[..., Ward]) -> None:
    house = ward()
    home = dagster_home(house.runtime())
    with instance_of(home) as instance:
        run_id = begun(instance)
        with holder(instance, run_id):
            code, found, result = house.examined()
            assert (code, found["home"]["state"]) == (0, "warn"), result.output
            assert found["home"]["remedy"] == "Let it end before you make the same days."
    code, found, result = house.examined()
    assert (code, found["home"]["state"]) == (0, "warn"), result.output
    assert f"run {run_id[:8]}" in found["home"]["seen"]
    assert "was killed and still holds its slots" in found["home"]["seen"]
    assert found["home"]["remedy"].endswith("timegpt-assets budget")
    assert CliRunner().invoke(app, ["budget", *house.words]).exit_code == 0
    assert house.examined()[1]["home"]["state"] == "ok", "the remedy helps"


def test_a_home_of_another_profile_fails_and_stays_as_it_is(ward: Callable[..., Ward], tmp_path: Path) -> None:
    house = ward()
    assert CliRunner().invoke(app, ["budget", *house.words]).exit_code == 0
    house.patched.setenv("DAGSTER_HOME", str(dagster_home(house.runtime())))
    other = ward(f"data.storage_root={tmp_path / 'elsewhere'}")
    code, found, _ = other.examined()
    assert (code, found["home"]["state"]) == (1, "fail")
    assert "keeps the records of" in found["home"]["seen"]
    assert CliRunner().invoke(app, ["budget", *house.words]).exit_code == 0


def test_a_clock_outside_the_calendar_fails(ward: Callable[..., Ward]) -> None:
    house = ward()
    load = runtimes.load_runtime

    def late(*words: Any, **named: Any) -> runtimes.Runtime:
        return replace(load(*words, **named), clock=lambda: datetime(2036, 1, 2, 22, tzinfo=UTC))

    house.patched.setattr(runtimes, "load_runtime", late)
    code, found, _ = house.examined()
    assert (code, found["clock"]["state"], found["clock"]["remedy"]) == (1, "fail", "Set the machine's clock.")


def test_live_spends_one_announced_call_through_the_ledger_and_compares_the_clocks(
    ward: Callable[..., Ward], server: TimeGPTServer
) -> None:
    house = asking(ward, server)
    before = sum(server.counts.values())
    for n, (offset, state) in enumerate(((0, "ok"), (-120, "warn"), (3600, "fail")), 1):
        server.date = format_datetime(datetime.now(UTC) + timedelta(seconds=offset), usegmt=True)
        code, found, result = house.examined("--live", "--yes")
        assert (found["provider"]["state"], found["clock"]["state"]) == ("ok", state), result.output
        assert code == int(state == "fail")
        assert f"--live spends one call of account {_account(house)}" in result.stderr
        assert sum(server.counts.values()) - before == n, "one request each time, whatever is stored"
        assert len(runtimes.ledger(house.runtime()).calls(runtimes.account(house.runtime().settings))) == n
        assert KEY not in result.output
    server.date = None


def _account(house: Ward) -> str:
    return runtimes.account(house.runtime().settings).name


def test_live_sends_nothing_unasked_nor_where_nobody_is_asked_anything(
    ward: Callable[..., Ward], server: TimeGPTServer
) -> None:
    before = sum(server.counts.values())
    code, _, result = asking(ward, server).examined("--live")
    assert (code, "Say --yes to spend it unasked." in result.stderr) == (1, True)
    code, _, result = ward().examined("--live", "--yes")
    assert (code, "--live has nobody to call" in result.stderr) == (1, True)
    assert sum(server.counts.values()) == before


def test_a_call_that_fails_is_a_finding_and_is_not_tried_again(
    ward: Callable[..., Ward], server: TimeGPTServer
) -> None:
    before = sum(server.counts.values())
    server.params_faults.append(status(503))
    code, found, result = asking(ward, server).examined("--live", "--yes")
    assert (code, found["provider"]["state"]) == (1, "fail"), result.output
    assert sum(server.counts.values()) - before == 1

"""The desk: the instance lies where the UI finds it, and a home that cannot be used is named."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from timegpt_assets.cli.context import HomeError, dagster_home, foreign_home, opened, spoken
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core import calendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.definitions import defs as load_defs
from timegpt_assets.engine.home_owner import MARKER, HomeOfAnother, claim
from timegpt_assets.engine.stages import last_closed_session
from timegpt_assets.event_storage import BatchedSqliteEventLogStorage
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import LATER, SMALL


@pytest.fixture
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ``opened`` set Dagster's variables, and take them back after the test."""
    for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return


def settings_with(*overrides: str) -> Settings:
    return load_settings(profile="demo", config_dir=None, overrides=[*SMALL, *overrides], environment={})


def runtime(folder: Path, **environment: str) -> Runtime:
    return Runtime(settings=settings_with(), root=folder, environment=environment, clock=lambda: LATER)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("/x/timegpt-assets backfill --json --symbols AAPL", "timegpt-assets backfill --symbols AAPL"),
        ("app.py demo --set forecast.base_url=http://me:secret@x --force", "timegpt-assets demo --force"),
        ("timegpt-assets demo --set=a.b=secret", "timegpt-assets demo"),
        ("timegpt-assets demo --set", "timegpt-assets demo"),
        ("/x/ipykernel_launcher.py -f secret.json", "ipykernel_launcher"),
    ],
)
def test_runs_carry_the_words_of_the_command_that_made_them_and_no_settings(argv: str, words: str) -> None:
    assert spoken(argv.split()) == words
    assert len(spoken(["timegpt-assets", "backfill", "--symbols", ",".join(["AAPL"] * 500)])) <= 120


def test_each_profile_has_a_home_of_its_own_below_the_project(tmp_path):
    home = dagster_home(runtime(tmp_path))
    assert home == tmp_path / ".dagster" / "demo"
    assert sorted(p.name for p in home.iterdir()) == ["dagster.yaml"], "the probe is taken away"


def test_the_environment_s_home_stands_over_the_profile_s(tmp_path):
    assert dagster_home(runtime(tmp_path, DAGSTER_HOME=str(tmp_path / "other"))) == tmp_path / "other"
    assert not (tmp_path / ".dagster").exists()


def below_the_signature(home: Path) -> str:
    return (home / "dagster.yaml").read_text().partition("\n")[2]


def test_the_home_is_given_the_project_s_dagster_yaml_and_keeps_up_with_it(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    home = dagster_home(runtime(tmp_path))
    assert below_the_signature(home) == "telemetry: {enabled: false}\n", "what lies beside the configs comes first"
    (tmp_path / "dagster.yaml").unlink()
    dagster_home(runtime(tmp_path))
    assert below_the_signature(home) == (PROJECT / "dagster.yaml").read_text()
    assert foreign_home(runtime(tmp_path), home) == ""


OWN = """# my own instance: other teams' pipelines run here
run_queue:
  max_concurrent_runs: 7
retention:
  sensor:
    purge_after_days: 90
"""


def test_a_dagster_yaml_of_the_user_s_is_left_as_it_is_and_what_it_lacks_is_said(tmp_path):
    home = tmp_path / ".dagster" / "demo"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(OWN)
    assert dagster_home(runtime(tmp_path)) == home
    assert (home / "dagster.yaml").read_text() == OWN
    said = foreign_home(runtime(tmp_path), home)
    assert said.startswith(f"{home}/dagster.yaml is your own and stays as it is. It does not have what ours sets for ")
    assert "run_launcher: the daemon does not see that a run was killed" in said


def test_a_home_that_several_machines_share_lacks_nothing(tmp_path):
    home = tmp_path / ".dagster" / "demo"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text((PROJECT / "deploy" / "scale_out" / "dagster.yaml").read_text())
    assert foreign_home(runtime(tmp_path), home) == ""


LEDGER = "forecast.api_budget.ledger_url=postgresql://timegpt@db.example.org/timegpt"


@pytest.mark.parametrize(
    ("records", "environment", "is_refused"),
    [
        ("storage: {postgres: {postgres_url: {env: URL}}}", {"URL": "postgresql+psycopg2://dagster@DB/timegpt"}, True),
        ("storage: {postgres: {postgres_url: {env: URL}}}", {"URL": "postgresql+psycopg2://dagster@DB/dagster"}, False),
        ("storage: {postgres: {postgres_url: 'postgresql://DB:5432/timegpt'}}", {}, True),
        ("storage: {postgres: {postgres_url: 'postgresql://DB:5433/timegpt'}}", {}, False),
        ("storage: {postgres: {postgres_url: 'postgresql://DB/timegpt?options=-csearch_path%3Dother'}}", {}, False),
        ("storage: {postgres: {postgres_db: {hostname: DB, db_name: {env: NAME}}}}", {"NAME": "timegpt"}, True),
        ("storage: {postgres: {postgres_db: {hostname: DB, db_name: timegpt, port: 5433}}}", {}, False),
        ("run_storage: {module: m, class: C, config: {postgres_url: 'postgresql://DB/timegpt'}}", {}, True),
        ("storage: {postgres: {postgres_url: {env: NOT_SET}}}", {}, False),
        ("storage: {postgres: [", {}, False),
    ],
)
def test_a_home_whose_records_are_to_lie_in_the_ledger_s_database_is_refused_before_it_is_opened(
    tmp_path: Path, records: str, environment: dict[str, str], is_refused: bool
) -> None:
    home = tmp_path / ".dagster" / "demo"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(records.replace("DB", "db.example.org"))
    environment = {name: value.replace("DB", "db.example.org") for name, value in environment.items()}
    here = replace(runtime(tmp_path, **environment), settings=settings_with(LEDGER))
    if not is_refused:
        assert dagster_home(here) == home
        return
    with pytest.raises(HomeError) as error:
        dagster_home(here)
    assert str(error.value) == (
        f"{home / 'dagster.yaml'} has Dagster's records lie in the database of the call ledger, "
        "postgresql://timegpt@db.example.org/timegpt: both have a table named snapshots. "
        "Set forecast.api_budget.ledger_url to a database of its own."
    )


def test_the_names_of_this_machine_are_one_place(tmp_path: Path) -> None:
    home = tmp_path / ".dagster" / "demo"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("storage: {postgres: {postgres_url: 'postgresql://a@127.0.0.1:5432/one'}}")
    ledger = "forecast.api_budget.ledger_url=postgresql://b@localhost/one"
    with pytest.raises(HomeError, match="both have a table named snapshots"):
        dagster_home(replace(runtime(tmp_path), settings=settings_with(ledger)))


def test_one_of_ours_that_was_changed_is_the_user_s(tmp_path):
    home = dagster_home(runtime(tmp_path))
    changed = (home / "dagster.yaml").read_text().replace("max_concurrent_runs: 1", "max_concurrent_runs: 3")
    (home / "dagster.yaml").write_text(changed)
    dagster_home(runtime(tmp_path))
    assert (home / "dagster.yaml").read_text() == changed
    assert foreign_home(runtime(tmp_path), home) == "", "all that this project stands on is still there"


@pytest.mark.usefixtures("quiet_environment")
@pytest.mark.parametrize(
    "text",
    [
        "no_such_section: 1\n",
        "telemetry: [\n",
        "- a list\n",
        "local_artifact_storage:\n  module: dagster._core.storage.root\n  class: LocalArtifactStorage\n"
        "  config: {base_dir: /proc/sys/home}\n",
    ],
)
def test_a_home_that_dagster_cannot_open_is_named_with_the_remedy_and_untouched(tmp_path, text):
    home = tmp_path / ".dagster" / "demo"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(text)
    with (
        pytest.raises(HomeError, match=f"DAGSTER_HOME {home} cannot be used: .*Mend its dagster.yaml"),
        opened(runtime(tmp_path), report=lambda range_run, done: None),
    ):
        pass
    assert (home / "dagster.yaml").read_text() == text


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_the_place_of_the_home_is_named_with_the_remedy(tmp_path, below):
    file = tmp_path / "home"
    file.write_text("a file")
    objects = file / below if below else file
    with pytest.raises(HomeError) as error:
        dagster_home(runtime(tmp_path, DAGSTER_HOME=str(objects)))
    said = str(error.value)
    assert said.startswith(f"DAGSTER_HOME {objects} cannot be written: ")
    assert said.endswith("set DAGSTER_HOME or data.dagster_home to a folder that is.")
    assert file.read_text() == "a file"


def test_a_home_that_takes_no_files_is_named(tmp_path):
    with pytest.raises(HomeError, match="DAGSTER_HOME /proc/sys/home cannot be written"):
        dagster_home(runtime(tmp_path, DAGSTER_HOME="/proc/sys/home"))


@pytest.mark.usefixtures("quiet_environment")
def test_a_home_that_fails_while_it_is_used_is_named_with_the_remedy(tmp_path):
    with (
        pytest.raises(HomeError, match=r"cannot be used: .*database or disk is full.*make room"),
        opened(runtime(tmp_path), report=lambda range_run, done: None),
    ):
        raise OperationalError("INSERT INTO runs", {}, sqlite3.OperationalError("database or disk is full"))


def test_a_clock_that_was_never_set_is_an_expected_error():
    with pytest.raises(calendar.OutsideCalendar, match="set the machine's clock"):
        last_closed_session(datetime(1970, 1, 1, tzinfo=UTC))
    assert issubclass(calendar.OutsideCalendar, Explained)


@pytest.mark.usefixtures("quiet_environment")
def test_the_desk_opens_the_instance_with_the_batched_event_log_and_reads_absent_tables_as_empty(tmp_path):
    with opened(runtime(tmp_path), report=lambda range_run, done: None) as command:
        assert isinstance(command.engine.instance.event_log_storage, BatchedSqliteEventLogStorage)
        assert Path(command.engine.instance.root_directory) == tmp_path / ".dagster" / "demo"
        assert command.table("bars/bars", ["2025-01-16"]).is_empty()


@pytest.mark.usefixtures("quiet_environment")
def test_a_home_remembers_whose_it_is_and_refuses_another_profile_and_another_storage_root(tmp_path):
    """The records of one would count as made for the other: nothing is opened, and the first one's go on."""
    shared = {"DAGSTER_HOME": str(tmp_path / "home")}
    with opened(runtime(tmp_path, **shared), report=lambda range_run, done: None):
        assert os.environ["DAGSTER_HOME"] == shared["DAGSTER_HOME"]
    assert "DAGSTER_HOME" not in os.environ, "a notebook's next profile is not opened in this one's home"
    moved = load_settings(
        profile="demo", config_dir=None, overrides=[*SMALL, "data.storage_root=elsewhere"], environment={}
    )
    dev = load_settings(
        profile="dev", config_dir=None, overrides=[*SMALL, "data.storage_root=data/demo"], environment={}
    )
    for settings, ours, theirs in (
        (dev, "'dev'", "profile 'demo'"),
        (moved, f"'{tmp_path / 'elsewhere'}'", f"storage_root '{tmp_path / 'data' / 'demo'}'"),
    ):
        other = Runtime(settings=settings, root=tmp_path, environment=shared, clock=lambda: LATER)
        with pytest.raises(HomeOfAnother) as refused, opened(other, report=lambda range_run, done: None):
            pass
        assert str(refused.value) == (
            f"DAGSTER_HOME {tmp_path / 'home'} keeps the records of {theirs}, not {ours}. Give each its own: unset "
            "DAGSTER_HOME, or set it or data.dagster_home to another folder. If the tables were moved along, delete "
            f"{tmp_path / 'home' / MARKER} first."
        )
        with opened(replace(other, environment={"DAGSTER_HOME": str(tmp_path / ours)}), report=lambda *_: None):
            pass  # the remedy
    with opened(runtime(tmp_path, **shared), report=lambda range_run, done: None):
        pass


@pytest.mark.usefixtures("quiet_environment")
@pytest.mark.parametrize("said", [b"", b"[]", b'{"profile": "demo"}', b"\xff"])
def test_a_marker_that_says_nothing_is_named_and_once_deleted_the_home_opens(tmp_path, said):
    home = tmp_path / ".dagster" / "demo"
    home.mkdir(parents=True)
    (home / MARKER).write_bytes(said)
    with pytest.raises(HomeOfAnother, match="does not say whose DAGSTER_HOME it lies in"):
        claim(home, runtime(tmp_path))
    (home / MARKER).unlink()
    claim(home, runtime(tmp_path))


def test_the_ui_s_definitions_refuse_the_home_of_another_profile(tmp_path, monkeypatch):
    """A daemon started by hand with another profile in the environment would take every day for made."""
    (tmp_path / "configs").mkdir()
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "demo")
    assert load_defs().get_repository_def()
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    with pytest.raises(HomeOfAnother, match="keeps the records of profile 'demo', not 'dev'"):
        load_defs()

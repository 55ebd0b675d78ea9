"""The desk: the instance lies where the UI finds it, and a home that cannot be used is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from timegpt_assets.cli.context import HomeError, dagster_home, opened
from timegpt_assets.config.settings import load_settings
from timegpt_assets.definitions import PROJECT
from timegpt_assets.event_storage import BatchedSqliteEventLogStorage
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.roads import LATER, SMALL


@pytest.fixture
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ``opened`` set Dagster's variables, and take them back after the test."""
    for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return


def runtime(folder: Path, **environment: str) -> Runtime:
    settings = load_settings(profile="demo", config_dir=None, overrides=SMALL, environment={})
    return Runtime(settings=settings, root=folder, environment=environment, clock=lambda: LATER)


def test_each_profile_has_a_home_of_its_own_below_the_project(tmp_path):
    home = dagster_home(runtime(tmp_path))
    assert home == tmp_path / ".dagster" / "demo"
    assert sorted(p.name for p in home.iterdir()) == ["dagster.yaml"], "the probe is taken away"


def test_the_environment_s_home_stands_over_the_profile_s(tmp_path):
    assert dagster_home(runtime(tmp_path, DAGSTER_HOME=str(tmp_path / "other"))) == tmp_path / "other"
    assert not (tmp_path / ".dagster").exists()


def test_the_home_is_given_the_project_s_dagster_yaml_and_keeps_up_with_it(tmp_path):
    home = dagster_home(runtime(tmp_path))
    assert (home / "dagster.yaml").read_bytes() == (PROJECT / "dagster.yaml").read_bytes()
    (home / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    dagster_home(runtime(tmp_path))
    assert (home / "dagster.yaml").read_bytes() == (PROJECT / "dagster.yaml").read_bytes()


def test_a_dagster_yaml_beside_the_configs_stands_over_the_project_s(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    home = dagster_home(runtime(tmp_path))
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


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
def test_the_desk_opens_the_instance_with_the_batched_event_log_and_reads_absent_tables_as_empty(tmp_path):
    with opened(runtime(tmp_path), report=lambda range_run, done: None) as command:
        assert isinstance(command.engine.instance.event_log_storage, BatchedSqliteEventLogStorage)
        assert Path(command.engine.instance.root_directory) == tmp_path / ".dagster" / "demo"
        assert command.table("bars/bars", ["2025-01-16"]).is_empty()

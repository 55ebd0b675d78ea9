"""What is printed has no secret, whoever prints it: on the streams, and where Dagster keeps what a step printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timegpt_assets import definitions
from timegpt_assets.adapters.standard_streams import redact_streams, redacted_streams
from timegpt_assets.cli import forgetting
from timegpt_assets.cli.app import app
from timegpt_assets.config.redaction import Redaction
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY

SECRET = "s3cret-word"
HIDE = Redaction({"SOME_KEY": SECRET})
PRINTS = f"""
import logging, sys, warnings
import dagster as dg
from timegpt_assets.adapters.standard_streams import redacted_streams, redact_streams
from timegpt_assets.config.redaction import Redaction

secret = "{SECRET}"
redact_streams(Redaction({{"SOME_KEY": secret}}))

@dg.asset
def printing():
    print("asked with", secret, flush=True)
    print("a library's trace of", secret, file=sys.stderr)
    sys.stdout.writelines(["one ", secret, "\\n"])
    warnings.warn("deprecated: " + secret)
    logging.getLogger("http").warning("sent %s", secret)
    raise RuntimeError("refused " + secret)

job = dg.Definitions(assets=[printing]).resolve_implicit_global_asset_job_def()
with dg.DagsterInstance.get() as instance:
    ran = job.execute_in_process(instance=instance, raise_on_error=False)
raise SystemExit("a last word: " + secret)
"""


def test_what_a_step_prints_is_kept_beside_the_records_without_the_secret(tmp_path: Path) -> None:
    """In a process of its own, whose streams are real ones, as of the daemon and of a run's process."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-W", "default", "-c", PRINTS]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    kept = {file.suffix: file.read_text() for file in tmp_path.rglob("compute_logs/*") if file.suffix != ".complete"}
    assert kept[".out"].splitlines() == ["asked with [REDACTED]", "one [REDACTED]"]
    for said in ("a library's trace of", "deprecated:", "sent", "refused"):
        assert f"{said} [REDACTED]" in kept[".err"], kept
    assert "a last word: [REDACTED]" in ran.stderr
    assert SECRET not in "".join((*kept.values(), ran.stdout, ran.stderr))


def test_within_a_command_they_are_redacted_and_afterwards_they_are_its_own_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sys.stdout, sys.stderr
    with redacted_streams(HIDE):
        print("to", SECRET)  # noqa: T201 - asked about
        redact_streams(HIDE)
        assert print(SECRET, file=sys.stderr) is None  # noqa: T201 - asked about
        assert sys.stdout.isatty() is before[0].isatty()
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("to [REDACTED]\n", "[REDACTED]\n")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the key in the environment of a house; the streams of this process are put back afterwards."""
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *places]))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "demo")
    monkeypatch.setenv("TIMEGPT_API_KEY", SECRET)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    return SECRET


def test_whoever_loads_the_definitions_prints_no_secret(house: str, capsys: pytest.CaptureFixture[str]) -> None:
    definitions.defs()
    print("asked with", house)  # noqa: T201 - asked about
    assert capsys.readouterr().out.endswith("asked with [REDACTED]\n")


def test_nothing_that_runs_within_a_command_prints_a_secret(house: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(*_: object, **__: object) -> tuple[int, int]:
        print("asked with", house)  # noqa: T201 - asked about
        return 0, 0

    monkeypatch.setattr(forgetting, "forget", forget)
    found = CliRunner().invoke(app, ["forget-events", "--profile", "demo"])
    assert found.exit_code == 0, found.output
    assert "asked with [REDACTED]\n" in found.output
    assert house not in found.output

"""What lies in deploy/: every command it names is one, every path lies where it says, and its files agree.

Nothing is built or installed: image and cluster are not to be had here.
"""

import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from dagster._config import ConfigType, resolve_to_config_type, validate_config
from dagster._core.instance.config import dagster_instance_config_schema

from timegpt_assets.cli import app as cli
from timegpt_assets.config.settings import load_settings
from timegpt_assets_tests.project import PROJECT

DEPLOY = PROJECT / "deploy"
INSTALLED = "/opt/timegpt_assets"
UNITS = sorted((DEPLOY / "systemd").glob("*.*"))
SCALED = DEPLOY / "scale_out"
HANDED_ON = ("runCoordinator", "runMonitoring", "runRetries")
"""Sections of the daemon for which the chart has words of its own."""


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def loaded(path: Path) -> Any:
    return yaml.safe_load(read(path))


def understood(words: list[str]) -> None:
    """Let the program's own parser read its words, as it would when it is started."""
    if words[0] == "timegpt-assets":
        command: Any = typer.main.get_command(cli.app)
    else:
        assert words[0] == "dagster-celery"
        from dagster_celery.cli import create_worker_cli_group

        assert words[1] == "worker"
        command, words = create_worker_cli_group(), words[1:]
    verb = command.commands[words[1]]
    with verb.make_context(words[1], [word.replace(INSTALLED, str(PROJECT)) for word in words[2:]]) as context:
        assert context.params


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield what units, container and compose file start, with the file's name."""
    for unit in UNITS:
        for line in re.findall(r"^ExecStart=(.*)$", read(unit), re.M):
            words = shlex.split(line)
            yield unit.name, words[2].split()[1:] if words[0] == "/bin/sh" else words
    for name, service in loaded(DEPLOY / "compose.yaml")["services"].items():
        if "command" in service:
            yield f"compose {name}", [*service.get("entrypoint", ["timegpt-assets"]), *service["command"]]


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in commands()])
def test_every_command_of_deploy_is_understood_by_its_program(words: list[str]) -> None:
    program = Path(words[0].replace(INSTALLED, str(PROJECT)))
    if program.suffix == ".sh":  # what it does is asked in test_backups.py
        assert program.stat().st_mode & stat.S_IXUSR
    else:
        understood([program.name, *words[1:]])


def test_a_verb_that_is_none_is_noticed() -> None:
    with pytest.raises(KeyError):
        understood(["timegpt-assets", "start-everything"])
    with pytest.raises(Exception, match="No such option: --profil"):
        understood(["timegpt-assets", "ui", "--profil", "prod"])


def test_every_path_below_the_installation_exists() -> None:
    named = {
        path
        for file in DEPLOY.rglob("*")
        if file.is_file()
        for path in re.findall(rf"{INSTALLED}/([\w./@-]+)", read(file))
    }
    assert [path for path in sorted(named) if not path.startswith(".venv/") and not (PROJECT / path).exists()] == []
    assert {path.rpartition("/")[2] for path in named if path.startswith(".venv/bin/")} == {
        "timegpt-assets",
        "dagster-celery",
    }


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_no_fault_in_a_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@1")
    for one in UNITS:
        text = re.sub(r"^User=.*$", "User=root", read(one).replace(INSTALLED, str(PROJECT)), flags=re.M)
        (tmp_path / one.name.replace("@", "@1")).write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)], capture_output=True, text=True
    )
    assert [line for line in said.stderr.splitlines() if unit.name.partition(".")[0].rstrip("@") in line] == []


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_a_unit_runs_as_somebody_who_can_do_little(unit: Path) -> None:
    lines = read(unit).splitlines()
    for asked in ("User=timegpt", "NoNewPrivileges=true", "ProtectSystem=strict", "PrivateTmp=true", "UMask=0077"):
        assert asked in lines
    assert not [line for line in lines if re.match(r"Environment=.*(KEY|PASSWORD|SECRET)", line)]


def test_the_container_is_nobody_s_root_and_installs_what_the_lock_says() -> None:
    text = re.sub(r"\\\n\s*", "", read(DEPLOY / "Containerfile"))
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    known = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in steps} <= known
    assert steps[0][0] == "FROM"
    assert ":" in steps[0][1], "a tag, never latest"
    assert not steps[0][1].endswith(":latest")
    users = [rest for word, rest in steps if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert any("make setup" in rest for word, rest in steps if word == "RUN")
    assert not re.search(r"pip install|curl|wget", text)
    ignored = read(PROJECT / ".dockerignore").split()
    assert {".env", ".git", "artifacts", "data"} <= set(ignored)


def test_compose_opens_no_port_to_others_and_carries_no_secret() -> None:
    services = loaded(DEPLOY / "compose.yaml")["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("KEY|PASSWORD", name) or value.startswith("${"), name


def test_all_files_limit_the_same_and_keep_records_as_long() -> None:
    """A worker more in one place alone would wait in Celery's queue and be taken for one that does not start."""
    home, chart = loaded(SCALED / "dagster.yaml"), loaded(DEPLOY / "kubernetes" / "values.yaml")
    slots = home["concurrency"]["runs"]["max_concurrent_runs"]
    assert home["concurrency"]["pools"]["default_limit"] == slots
    assert loaded(DEPLOY / "compose.yaml")["services"]["worker"]["deploy"]["replicas"] == slots
    same = ("concurrency", "run_monitoring", "run_retries", "retention")
    assert chart["additionalInstanceConfig"] == {name: home[name] for name in same}
    own_words = (*(chart["dagsterDaemon"][name] for name in HANDED_ON), chart["retention"])
    assert [words["enabled"] for words in own_words] == [False] * 4, "said twice, the chart's would be a second key"
    worker = loaded(SCALED / "worker.yaml")["execution"]["config"]
    assert worker.pop("config_source")["worker_disable_prefetch"] is True
    assert worker == {name: home["run_launcher"]["config"][name] for name in ("broker", "backend")}


def test_the_settings_of_scale_out_load_for_prod() -> None:
    settings = load_settings(
        profile="prod", config_dir=SCALED / "configs", overrides=["data.bucket=my-bars"], environment={}
    )
    assert settings.data.storage_root == "gs://my-tables/prod"
    assert settings.automation.backfill_days == 5
    assert settings.forecast.api_budget.ledger_url


def faults(told: Mapping[str, Any]) -> list[str]:
    """Return what the Dagster that is installed finds wrong in a dagster.yaml."""
    kind = resolve_to_config_type(dagster_instance_config_schema())
    assert isinstance(kind, ConfigType)
    return [error.message for error in validate_config(kind, told).errors or ()]


def test_dagster_understands_every_line_that_is_handed_on_to_it() -> None:
    chart = loaded(DEPLOY / "kubernetes" / "values.yaml")["additionalInstanceConfig"]
    assert faults(chart) == []
    assert faults(loaded(SCALED / "dagster.yaml")) == []
    misspelt = chart | {"run_monitoring": chart["run_monitoring"] | {"maxRuntimeSeconds": 1}}
    assert [said for said in faults(misspelt) if "maxRuntimeSeconds" in said] != []


@pytest.mark.whole  # fifty megabytes of packages: uv pip install dagster-k8s==0.29.27, and take them out again
def test_kubernetes_and_its_launcher_know_every_field_of_the_values() -> None:
    launchers = pytest.importorskip("dagster_k8s")
    parts, client = pytest.importorskip("dagster_k8s.models"), pytest.importorskip("kubernetes.client")
    chart = loaded(DEPLOY / "kubernetes" / "values.yaml")
    asked = chart["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    known = {
        # what the chart itself gives it
        "instance_config_map": "instance",
        "job_namespace": "here",
        "service_account_name": "timegpt-assets",
        "run_k8s_config": {_snake(k): v for k, v in asked.items()},
    }
    kind = resolve_to_config_type(launchers.K8sRunLauncher.config_type())
    assert [error.message for error in validate_config(kind, known).errors or ()] == []
    (deployed,) = chart["dagster-user-deployments"]["deployments"]
    parts.k8s_model_from_dict(
        client.V1Container, {"name": "run"} | parts.k8s_snake_case_dict(client.V1Container, asked["containerConfig"])
    )
    of_fields = {"podSecurityContext": client.V1PodSecurityContext, "securityContext": client.V1SecurityContext}
    for name, model in of_fields.items():
        parts.k8s_model_from_dict(model, parts.k8s_snake_case_dict(model, deployed[name]))
    for model, found in ((client.V1EnvVar, deployed["env"]), (client.V1SecretEnvSource, deployed["envSecrets"])):
        for one in found:
            parts.k8s_model_from_dict(model, parts.k8s_snake_case_dict(model, one))


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)

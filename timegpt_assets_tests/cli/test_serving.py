"""The command `serve` as it is run: a forecast by the model, by the baseline when that fails, and its end."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.tollama import TollamaServer, refusal

BODY = {
    "market_id": "m1",
    "as_of_ts": "2026-02-20T12:00:00Z",
    "y": [0.4 + 0.001 * n for n in range(40)],
    "volume_24h": 1e5,
}


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TollamaServer]:
    """Yield a model server that the settings name."""
    with TollamaServer() as server:
        places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
        model = [
            "tsfm.model.provider=tollama",
            f"tsfm.tollama.base_url={server.url}",
            "tsfm.tollama.retry_count=0",
            "tsfm.model.model_name=mock",
        ]
        monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*places, *model]))
        yield server


def test_it_serves_what_the_model_says_or_the_baseline_and_ends_well(said: TollamaServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "timegpt_assets.cli.app", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        first = json.loads(started.stderr.readline())
        assert (first["event"], first["profile"]) == ("serving", "demo")
        with httpx.Client(base_url=first["url"], timeout=20) as client:
            good = client.post("/tsfm/forecast", json=BODY)
            said.rule = lambda asked: refusal(500, "the runner broke")
            bad = client.post("/tsfm/forecast", json=BODY | {"market_id": "m2"})
        started.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in started.stderr.read().splitlines()]
        assert started.wait(20) == 0
    assert (good.status_code, bad.status_code) == (200, 200)
    meta = good.json()["meta"]
    assert (meta["runtime"], meta["model_name"], meta["fallback_used"]) == ("tollama", "mock", False)
    assert good.json()["yhat_q"]["0.5"][0] == pytest.approx(BODY["y"][-1], abs=0.02)
    meta = bad.json()["meta"]
    assert (meta["runtime"], meta["fallback_reason"]) == ("baseline", "tollama_error:server_error")
    assert [line["event"] for line in lines if line["event"] != "answered"] == ["stopped"]


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["serve", *words, "--profile", "demo"])
    return result.exit_code, " ".join(result.output.split())


def test_beyond_this_machine_it_demands_a_token() -> None:
    code, told = run("--host", "0.0.0.0", "--port", "0")  # noqa: S104 - refused
    assert code == 1
    assert "TSFM_SERVICE_TOKEN is not set" in told


def test_a_token_from_the_environment_is_demanded_of_callers(
    said: TollamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSFM_SERVICE_TOKEN", KEY)
    command = [sys.executable, "-m", "timegpt_assets.cli.app", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        url = json.loads(started.stderr.readline())["url"]
        codes = [
            httpx.post(f"{url}/tsfm/forecast", json=BODY, headers=headers, timeout=20).status_code
            for headers in ({}, {"authorization": f"Bearer {KEY}"})
        ]
        started.send_signal(signal.SIGTERM)
        assert KEY not in started.stderr.read()
    assert codes == [401, 200]


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client"])
def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    for name in [name for name in sys.modules if name.startswith("timegpt_assets.serving.tsfm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    code, told = run()
    assert code == 1
    assert f"{package} is not installed" in told
    assert "timegpt-assets[serve]" in told

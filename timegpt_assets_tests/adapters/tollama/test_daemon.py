"""The same client against a real tollama daemon: TIMEGPT_ASSETS_TOLLAMA_URL names one that has its model ``mock``.

Where it is not set and ``tollamad`` is on PATH, one is started. No part of CI: its code is none of ours.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from timegpt_assets.adapters.tollama.answers import ModelFailed
from timegpt_assets_tests.adapters.tollama.askers import HORIZON, PROBING, forecast, series, tollama

NAMED = os.environ.get("TIMEGPT_ASSETS_TOLLAMA_URL")
DAEMON = shutil.which("tollamad")
KEY = "local-1"
"""The key of a daemon that lives as long as its test: nobody's secret."""
PATIENT = replace(PROBING, timeout_s=5.0, warm_up_s=30.0)
# asked in a soak alone: CI, which has no daemon, fails over what it skips
pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(
        not (NAMED or DAEMON), reason="TIMEGPT_ASSETS_TOLLAMA_URL is not set and tollamad is not on PATH"
    ),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if NAMED:
        pulled(NAMED)
        yield NAMED
        return
    with started(tmp_path_factory.mktemp("tollama")) as (url, _):
        pulled(url)
        yield url


@contextmanager
def started(home: Path, *, port: int = 0) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run a daemon that lives in a folder."""
    with socket.create_server(("127.0.0.1", port)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {"PATH": os.environ["PATH"], "TOLLAMA_HOME": str(home), "TOLLAMA_HOST": host}
    out = subprocess.DEVNULL
    process = subprocess.Popen([str(DAEMON)], env=environment, stdout=out, stderr=out)
    try:
        yield f"http://{host}", process
    finally:
        process.terminate()
        process.wait(30)


def pulled(url: str, key: str | None = None) -> None:
    """Wait for the daemon, and have it install the model that needs no download."""
    head = {"Authorization": f"Bearer {key}"} if key else {}
    asked = {"model": "mock", "stream": False}
    for _ in range(120):
        try:
            httpx.post(f"{url}/api/pull", json=asked, headers=head, timeout=30).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(f"no daemon at {url}")


def test_it_warms_up_and_forecasts_the_last_value(url: str) -> None:
    one = tollama(url)

    one.probing = replace(one.probing, warm_up_s=30.0, timeout_s=5.0)
    assert one.warm_up().healthy
    assert one.probe().healthy
    told = forecast(one)
    assert (told.faults, told.model_version, told.warnings) == ({}, "local", ())
    assert (told.values["m1"] == series().y[-1]).all()
    assert told.values["m1"].shape == (HORIZON, 3)


def test_two_hundred_series_of_a_day_are_one_request(url: str) -> None:
    asked = [series(f"m{number}", y=np.full(288, -4 + number / 25), horizon=12) for number in range(200)]
    told = forecast(tollama(url), *asked, timeout_s=20.0)
    assert (told.faults, len(told.values)) == ({}, 200)
    assert all((told.values[one.market_id] == one.y[-1]).all() for one in asked)


def test_a_model_it_has_not_and_a_path_it_has_not_are_told_apart(url: str) -> None:
    for one, kind in ((tollama(url, model="nope"), "not_installed"), (tollama(f"{url}/no"), "no_such_path")):
        with pytest.raises(ModelFailed) as told:
            forecast(one)
        assert told.value.kind == kind


def test_what_it_takes_for_a_series_and_is_none_never_reaches_it(url: str) -> None:
    told = forecast(tollama(url), series(y=[0.1, np.nan, 0.2]), series("m2"))
    assert (told.faults, list(told.values)) == ({"m1": "unusable_input"}, ["m2"])


def test_it_refuses_what_a_local_server_refuses(url: str) -> None:
    with pytest.raises(ModelFailed) as told:
        forecast(tollama(url), series(quantiles=(0.9, 0.1)))
    assert told.value.kind == "bad_request"
    with pytest.raises(ModelFailed, match="HTTP 400"):
        forecast(tollama(url), series(horizon=0))


def test_a_time_too_short_is_over_in_its_time(url: str) -> None:
    one = tollama(url)
    assert one.http
    began = time.monotonic()
    with pytest.raises(ModelFailed) as told:
        forecast(one, timeout_s=0.001)
    assert (told.value.kind, time.monotonic() - began < 0.2) == ("timeout", True)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A daemon of one's own, that wants a key."""
    if not DAEMON:
        pytest.skip("tollamad is not on PATH: what is stopped and killed must be one's own")
    (tmp_path / "config.json").write_text(json.dumps({"auth": {"api_keys": [KEY]}}))
    with started(tmp_path) as (url, process):
        pulled(url, KEY)
        yield url, process


def test_it_wants_its_key_of_forecasts_and_probes(own: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    url, _ = own
    assert not tollama(url, probing=PATIENT).probe().healthy
    for key in (None, "local-2"):
        with pytest.raises(ModelFailed) as told:
            forecast(tollama(url, key=lambda key=key: key))
        assert told.value.kind == "unauthorized"
    mine = tollama(url, key=lambda: KEY, probing=PATIENT)
    assert mine.warm_up().healthy
    assert forecast(mine).model_version == "local"


def test_a_model_that_hangs_is_over_in_its_time_though_the_daemon_calls_itself_ready(
    own: tuple[str, "subprocess.Popen[bytes]"],
) -> None:
    url, process = own
    mine = tollama(url, key=lambda: KEY, probing=PATIENT)
    assert mine.warm_up().healthy
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    runners = [child for thread in threads for child in (thread / "children").read_text().split()]
    assert runners
    for runner in runners:
        os.kill(int(runner), signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(ModelFailed) as told:
        forecast(mine, timeout_s=1.0)
    assert (told.value.kind, 0.9 < time.monotonic() - began < 1.2) == ("timeout", True)
    assert httpx.get(f"{url}/health/ready", headers={"Authorization": f"Bearer {KEY}"}).json()["healthy"]
    for runner in runners:
        with suppress(ProcessLookupError):  # the daemon has ended it
            os.kill(int(runner), signal.SIGCONT)


def test_a_daemon_that_is_killed_and_one_that_takes_its_place(tmp_path: Path) -> None:
    if not DAEMON:
        pytest.skip("tollamad is not on PATH: what is killed must be one's own")
    with started(tmp_path) as (url, process):
        pulled(url)
        one = tollama(url, probing=PATIENT)
        assert one.warm_up().healthy
        process.kill()
        process.wait(20)
        with pytest.raises(ModelFailed) as told:
            forecast(one)
        assert told.value.kind in ("connection", "broken")
        with started(tmp_path, port=int(url.rpartition(":")[2])):
            pulled(url)
            assert one.warm_up().healthy

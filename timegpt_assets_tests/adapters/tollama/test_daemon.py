"""The same client against a real tollama daemon: TIMEGPT_ASSETS_TOLLAMA_URL names one that has its model ``mock``.

Where it is not set and ``tollamad`` is on PATH, one is started. No part of CI: its code is none of ours.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from timegpt_assets.adapters.tollama.answers import ModelFailed
from timegpt_assets_tests.adapters.tollama.askers import HORIZON, forecast, series, tollama

NAMED = os.environ.get("TIMEGPT_ASSETS_TOLLAMA_URL")
DAEMON = shutil.which("tollamad")
pytestmark = pytest.mark.skipif(
    not (NAMED or DAEMON), reason="TIMEGPT_ASSETS_TOLLAMA_URL is not set and tollamad is not on PATH"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if NAMED:
        yield NAMED
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    home: Path = tmp_path_factory.mktemp("tollama")
    process = subprocess.Popen(
        [str(DAEMON)],
        env={"PATH": os.environ["PATH"], "TOLLAMA_HOME": str(home), "TOLLAMA_HOST": host},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        pulled(f"http://{host}")
        yield f"http://{host}"
    finally:
        process.terminate()
        process.wait(20)


def pulled(url: str) -> None:
    """Wait for the daemon, and have it install the model that needs no download."""
    for _ in range(120):
        try:
            httpx.post(f"{url}/api/pull", json={"model": "mock", "stream": False}, timeout=30).raise_for_status()
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

"""Where the service listens and where it may not, and that being told to stop is no failure."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from timegpt_assets.serving.tsfm.run import NotServed, address, listening
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.serving.tsfm.made import GOOD

SERVED = """
import sys, time
from timegpt_assets.serving.tsfm.run import address, listening, serve
from timegpt_assets.serving.tsfm.service import application
from timegpt_assets_tests.serving.tsfm.made import Service
service = Service()
service.forecaster.before = lambda asked: time.sleep(0.6)
listener = listening("127.0.0.1", 0, None)
print(address(listener), flush=True)
serve(application(service.desk), listener, shutdown_s=5)
assert "dagster" not in sys.modules
print("ended", flush=True)
"""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "example.org"])  # noqa: S104 - refused
def test_beyond_this_machine_a_token_is_demanded(host: str) -> None:
    with pytest.raises(NotServed, match="TSFM_SERVICE_TOKEN is not set"):
        listening(host, 0, None)


@pytest.mark.parametrize("token", ["", "a b", "schlüssel", "a\nb"])
def test_a_token_that_no_header_can_bear_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(NotServed, match="TSFM_SERVICE_TOKEN holds") as caught:
        listening("127.0.0.1", 0, token)
    assert not token or token not in str(caught.value)


def test_with_a_token_every_address_is_listened_at() -> None:
    with listening("0.0.0.0", 0, KEY) as listener:  # noqa: S104 - closed at once
        assert address(listener).startswith("http://0.0.0.0:")
    with listening("localhost", 0, None) as listener:
        assert listener.getsockname()[1] > 0


def test_an_address_that_is_taken_or_nobody_s_is_said_with_what_helps() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(
            NotServed, match=r":\d+ cannot be listened at \(Address already in use\)\. Set tsfm\.serve\.host"
        ),
    ):
        listening("127.0.0.1", taken.getsockname()[1], None)
    with pytest.raises(NotServed, match=r"192\.0\.2\.1:0 cannot be listened at"):
        listening("192.0.2.1", 0, KEY)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_answers_what_is_under_way_and_ends_well(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVED], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        url = started.stdout.readline().strip()
        # it listens before it says so: whoever asks waits until it accepts
        with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=url, timeout=20) as client:
            assert client.get("/healthz").status_code == 200
            late = pool.submit(client.post, "/tsfm/forecast", json=GOOD)
            time.sleep(0.3)
            started.send_signal(number)
            assert late.result().status_code == 200
        assert started.stdout.read().strip() == "ended"
        assert started.wait(20) == 0

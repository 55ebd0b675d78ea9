"""A probe is a forecast: a server that says it is ready while its model hangs is not healthy."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from timegpt_assets_tests.adapters.tollama.askers import PROBING, tollama
from timegpt_assets_tests.servers.tollama import Fault, TollamaServer, changed, refusal


@pytest.fixture
def server() -> Iterator[TollamaServer]:
    with TollamaServer() as running:
        yield running


def test_a_small_forecast_in_the_shape_of_every_other_is_asked_for(server: TollamaServer) -> None:
    found = tollama(server.url, clock=lambda: datetime(2026, 2, 20, 12, 3, 59, tzinfo=UTC)).probe()
    assert (found.healthy, found.why, found.latency_ms > 0) == (True, "", True)
    (question,) = server.questions
    assert (question["horizon"], question["quantiles"]) == (12, [0.1, 0.5, 0.9])
    assert question["series"][0]["timestamps"][-1] == "2026-02-20T12:00:00Z"
    assert len(question["series"][0]["target"]) == 32
    assert (server.ids[0] or "").startswith("probe-")


def test_ready_is_not_healthy_where_the_model_hangs(server: TollamaServer) -> None:
    assert httpx.get(f"{server.url}/health/ready").json()["healthy"]
    server.faults += [Fault(kind="hang")]
    one = tollama(server.url)
    assert one.http
    began = time.monotonic()
    found = one.probe()
    assert time.monotonic() - began < PROBING.timeout_s + 0.2
    assert (found.healthy, found.why.partition(":")[0]) == (False, "timeout")
    assert math.isnan(found.latency_ms)


@pytest.mark.parametrize(
    ("fault", "why"),
    [(refusal(500, "no"), "server_error: "), (changed(lambda told: []), "missing_series")],
    ids=["refused", "a forecast that is none"],
)
def test_what_is_no_forecast_is_not_healthy(server: TollamaServer, fault: Fault, why: str) -> None:
    server.faults += [fault]
    found = tollama(server.url).probe()
    assert not found.healthy
    assert found.why.startswith(why)


def test_a_first_forecast_is_given_time_to_load_the_model(server: TollamaServer) -> None:
    slow = Fault(kind="slow", seconds=PROBING.timeout_s + 0.1)
    server.faults += [slow, None, slow]  # None: the question of versions
    one = tollama(server.url)
    assert one.warm_up().healthy
    assert not tollama(server.url).probe().healthy


def test_a_server_that_does_not_say_its_versions_is_healthy(server: TollamaServer) -> None:
    server.faults += [None, Fault(kind="status", status=404, body="")]
    one = tollama(server.url)
    assert one.probe().healthy
    server.faults += [None, Fault(kind="hang")]
    assert one.probe().healthy

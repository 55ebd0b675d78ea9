"""The service over real HTTP: what comes back, what is refused, what is asked once, kept, counted and logged."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.runtime import load_runtime
from timegpt_assets.serving.tsfm import desk
from timegpt_assets.serving.tsfm.contract import ForecastResponse
from timegpt_assets.serving.tsfm.metrics import Metrics
from timegpt_assets.serving.tsfm.service import application
from timegpt_assets.serving.tsfm.windows import Window
from timegpt_assets_tests.benchmarks.tsfm_load import question
from timegpt_assets_tests.live_house import SMALL
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.roads import load_runtime as load_roads_runtime
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.uvicorned import Uvicorned
from timegpt_assets_tests.serving.tsfm.made import GOOD, Service

PATH = "/tsfm/forecast"


@pytest.fixture
def service() -> Service:
    """Return a service that nobody has asked yet."""
    return Service()


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """Yield a client of it."""
    with Uvicorned(application(service.desk)) as served, httpx.Client(base_url=served.url, timeout=10) as client:
        yield client


def wait_for(ask: Callable[[], object], wanted: object) -> object:
    """Return what is said as soon as it is what is wanted, or the last word after five seconds."""
    ends = time.monotonic() + 5
    while (said := ask()) != wanted and time.monotonic() < ends:
        time.sleep(0.02)
    return said


def figure(client: httpx.Client, name: str) -> float:
    """Return a metric's value."""
    lines = client.get("/metrics").text.splitlines()
    (found,) = (line for line in lines if line.startswith(f"{name} "))
    return float(found.split()[-1])


def test_a_forecast_comes_with_every_band_and_how_it_came(client: httpx.Client) -> None:
    response = client.post(PATH, json=GOOD, headers={"x-request-id": "mine-1"})
    assert response.status_code == 200
    found = response.json()
    assert [*found] == [*ForecastResponse.model_fields]
    assert [*found["yhat_q"]] == ["0.1", "0.5", "0.9"]
    assert [round(found["yhat_q"][q][11], 9) for q in found["yhat_q"]] == [0.45, 0.5, 0.55]
    assert found["target_ts"][0] == "2026-02-20T12:05:00Z"
    assert found["target_ts"][11] == "2026-02-20T13:00:00Z"
    bands = found["bands"]
    ends = {
        name: [round(bands[name][end][0], 9) for end in ("lower", "median", "upper")] for name in ("raw", "adjusted")
    }
    assert ends == {"raw": [0.45, 0.5, 0.55], "adjusted": [0.35, 0.5, 0.65]}
    assert round(bands["baseline"]["lower"][0], 9) == 0.44
    assert (bands["band_source"], bands["parameters_day"], bands["pool"]) == ("tsfm_conformal", "2026-02-20", "all")
    meta = found["meta"]
    assert (meta["runtime"], meta["model_name"], meta["model_version"]) == ("tollama", "chronos2", "3")
    assert (meta["fallback_used"], meta["fallback_reason"], meta["cached"]) == (False, None, False)
    assert (meta["input_len"], round(meta["missingness"], 6), meta["transform"]) == (3, 0.333333, "logit")
    assert meta["request_id"] == response.headers["x-request-id"] == "mine-1"
    assert [one.partition(":")[0] for one in meta["warnings"]] == [
        "from the runner",
        "from conformal",
    ]


def test_a_wrong_request_is_422_with_place_and_remedy_and_asks_nobody(service: Service, client: httpx.Client) -> None:
    body = json.dumps(GOOD | {"y": [0.4, float("nan")], "freq": "7m"})
    response = client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    (fault,) = response.json()["detail"]
    assert fault["loc"] == ["y", 1]
    assert fault["remedy"] == "Send prices as JSON numbers from 0 to 1, and null where no price was known."
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert service.forecaster.asked == []
    assert figure(client, 'tsfm_requests_total{status="422"}') == 1


def test_too_long_a_body_is_refused_before_it_is_read_whole(service: Service, client: httpx.Client) -> None:
    sent = []

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            sent.append(1)
            yield b" " * 50_000

    response = client.post(PATH, content=parts(), headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert "100000 bytes (tsfm.serve.max_body_bytes)" in response.json()["detail"][0]["remedy"]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_body_that_a_page_in_a_browser_could_send_is_refused(client: httpx.Client) -> None:
    response = client.post(PATH, content=json.dumps(GOOD), headers={"content-type": "text/plain"})
    assert response.status_code == 415


def test_the_same_question_within_a_minute_is_answered_from_what_is_kept(
    service: Service, client: httpx.Client
) -> None:
    first, second = client.post(PATH, json=GOOD), client.post(PATH, json=GOOD | {"horizon_steps": 12})
    assert (first.json()["meta"]["cached"], second.json()["meta"]["cached"]) == (False, True)
    assert len(service.forecaster.asked) == 1
    assert first.json()["bands"] == second.json()["bands"]
    assert first.json()["meta"]["request_id"] != second.json()["meta"]["request_id"]
    service.ahead = 61.0
    assert client.post(PATH, json=GOOD).json()["meta"]["cached"] is False
    assert len(service.forecaster.asked) == 2


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        ("tollama_error:timeout", 2),
        ("circuit_breaker_open", 2),
        ("degradation_baseline_only", 2),
        ("too_few_points", 1),
    ],
)
def test_what_may_be_gone_in_a_second_is_not_kept(
    service: Service, client: httpx.Client, reason: str, asked: int
) -> None:
    service.forecaster.reason = reason
    for _ in range(2):
        meta = client.post(PATH, json=GOOD).json()["meta"]
        assert (meta["fallback_used"], meta["fallback_reason"], meta["model_name"]) == (True, reason, "EWMA")
    assert len(service.forecaster.asked) == asked


def test_fifty_who_ask_the_same_at_once_ask_once(service: Service, client: httpx.Client) -> None:
    begun = threading.Event()
    service.forecaster.before = lambda asked: bool(begun.wait(5))
    with ThreadPoolExecutor(50) as pool:
        futures = [pool.submit(client.post, PATH, json=GOOD) for _ in range(50)]
        while not service.forecaster.asked:
            time.sleep(0.01)
        time.sleep(0.2)
        begun.set()
        found = [future.result().json() for future in futures]
    assert len(service.forecaster.asked) == 1
    assert sum(not one["meta"]["cached"] for one in found) == 1
    assert len({json.dumps(one["bands"]) for one in found}) == 1


@pytest.mark.parametrize("how", ["disconnected", "cancelled"])
def test_who_began_may_leave_and_who_joined_is_answered(service: Service, client: httpx.Client, how: str) -> None:
    """A server that cancels the handler of a caller who left is told by ASGI alone: uvicorn lets it end."""
    begun, go = threading.Event(), threading.Event()
    service.forecaster.before = lambda asked: (begun.set(), go.wait(5))[1] and None
    cancels = httpx.ASGITransport(app=application(service.desk)) if how == "cancelled" else None

    async def both() -> int:
        async with httpx.AsyncClient(base_url=client.base_url, transport=cancels) as peer:
            leaving = asyncio.create_task(peer.post(PATH, json=GOOD))
            await asyncio.to_thread(begun.wait, 5)
            joined = asyncio.create_task(peer.post(PATH, json=GOOD))
            await asyncio.sleep(0.1)
            leaving.cancel()
            await asyncio.sleep(0.1)
            go.set()
            return (await joined).status_code

    assert asyncio.run(both()) == 200
    assert len(service.forecaster.asked) == 1


def test_what_nobody_can_answer_is_an_error_and_no_number(service: Service, client: httpx.Client) -> None:
    service.forecaster.silent = True
    response = client.post(PATH, json=GOOD)
    assert response.status_code == 503
    assert response.json()["detail"][0]["msg"] == "baseline_error:too_few_points"
    service.forecaster.silent = False
    assert client.post(PATH, json=GOOD).status_code == 200, "it was not kept"


def test_a_fault_of_ours_is_500_with_an_id_that_the_log_explains(service: Service, client: httpx.Client) -> None:
    def broken(asked: object) -> None:
        raise RuntimeError("disk on fire")

    service.forecaster.before = broken
    response = client.post(PATH, json=GOOD, headers={"x-request-id": "mine-2"})
    assert response.status_code == 500
    assert "fire" not in response.text
    (line,) = (line for line in service.lines() if line["event"] == "broken")
    assert line["request_id"] == "mine-2"
    assert "disk on fire" in line["exception"]
    service.forecaster.before = lambda asked: None
    assert client.post(PATH, json=GOOD).status_code == 200


@pytest.mark.parametrize("given", ["a b", "x" * 129, "ä", ""])
def test_an_id_that_is_none_is_replaced(client: httpx.Client, given: str) -> None:
    made = client.get("/healthz", headers={"x-request-id": given.encode()}).headers["x-request-id"]
    assert made != given
    assert len(made) == 32


def test_with_a_token_only_probes_are_open_and_the_token_is_in_no_log() -> None:
    service = Service(token=KEY)
    with Uvicorned(application(service.desk)) as served, httpx.Client(base_url=served.url) as client:
        for wrong in (None, "Bearer", "Bearer nö", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}"):
            headers = {} if wrong is None else {"authorization": wrong.encode()}
            response = client.post(PATH, json=GOOD, headers=headers)
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer"), wrong
            assert client.get("/metrics", headers=headers).status_code == 401
        assert "TSFM_SERVICE_TOKEN" in response.json()["detail"][0]["remedy"]
        assert service.forecaster.asked == []
        assert client.post(PATH, json=GOOD, headers={"authorization": f"bearer {KEY}"}).status_code == 200
        assert client.get("/metrics", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    assert KEY not in service.stream.getvalue() + repr(service.desk)


def test_an_answer_s_line_has_every_field(service: Service, client: httpx.Client) -> None:
    client.post(PATH, json=GOOD | {"market_id": 'a"b'}, headers={"x-request-id": "mine-3"})
    (line,) = service.lines()
    assert line.pop("latency_ms") > 0
    assert line == {
        "ts": "2026-02-20T12:00:30+00:00", "level": "info", "event": "answered", "request_id": "mine-3",
        "market_id": 'a"b', "as_of": "2026-02-20T12:00:00Z", "runtime": "tollama", "model": "chronos2",
        "version": "3", "input_len": 3, "missingness": pytest.approx(1 / 3), "fallback_used": False,
        "fallback_reason": None, "band_source": "tsfm_conformal", "cached": False,
        "warnings": [
            "from the runner",
            "from conformal",
        ],
    }  # fmt: skip


def test_metrics_have_the_names_of_the_seed(service: Service, client: httpx.Client) -> None:
    client.post(PATH, json=GOOD)
    service.forecaster.reason = "tollama_error:timeout"
    client.post(PATH, json=GOOD | {"market_id": "m2"})
    client.post(PATH, json=GOOD)
    assert figure(client, "tollama_error_rate") == 0.5
    assert figure(client, "fallback_rate") == 0.5
    assert figure(client, "quantile_crossing_rate") == pytest.approx(2 / 24)
    assert figure(client, "tollama_latency_ms_count") == 1
    assert figure(client, "breach_rate") == 0.1
    assert figure(client, "tsfm_stored_readable") == 1
    service.forecaster.reason = "too_few_points"
    client.post(PATH, json=GOOD | {"market_id": "m3"})
    client.post(PATH, json={})
    who = ("model", "fallback", "in_vain", "cache", "nobody")
    served = {one: figure(client, f'tsfm_request_latency_ms_count{{served="{one}"}}') for one in who}
    assert served == dict.fromkeys(who, 1)
    assert 0 < figure(client, "tsfm_fallback_p95_ms") <= figure(client, "tsfm_request_p95_ms")
    service.ahead = 601
    assert np.isnan(figure(client, "fallback_rate"))


def test_other_paths_and_methods_are_refused(client: httpx.Client) -> None:
    assert client.get(PATH).status_code == 405
    assert client.get("/tsfm").status_code == 404
    assert client.get("/docs").status_code == 404, "pages would load scripts of others"


def test_readiness_says_who_answers(service: Service, client: httpx.Client) -> None:
    ready = {"ready": True, "mode": "model", "model_healthy": True, "why": ""}
    assert wait_for(lambda: client.get("/readyz").json(), ready) == ready


def test_requests_under_way_are_answered_when_it_stops(service: Service) -> None:
    go = threading.Event()
    service.forecaster.before = lambda asked: bool(go.wait(5))
    with ThreadPoolExecutor(1) as pool, Uvicorned(application(service.desk)) as served:
        late = pool.submit(httpx.post, served.url + PATH, json=GOOD, timeout=10)
        while not service.forecaster.asked:
            time.sleep(0.01)
        threading.Timer(0.3, go.set).start()
    assert late.result().status_code == 200


def test_a_table_that_cannot_be_read_takes_no_other_figure_along() -> None:
    def unreadable() -> dict[str, float]:
        raise StoreError("a day is damaged")

    service = Service()
    metrics = Metrics(Window(600, service.monotonic), {}, unreadable)
    with Uvicorned(application(replace(service.desk, metrics=metrics))) as served, httpx.Client() as client:
        text = client.get(f"{served.url}/metrics").text
    assert "tsfm_stored_readable 0.0" in text
    assert "breach_rate" not in text


def test_of_one_price_there_is_the_widest_band_and_a_reason(tmp_path: Path) -> None:
    """The real desk, with nothing at the model server's address: a market of one price is not asked for."""
    places = {name: str(tmp_path / name) for name in ("storage_root", "artifacts_root", "dagster_home")}
    runtime = load_runtime([f"data.{n}={p}" for n, p in places.items()], profile="demo", environ={})
    with Uvicorned(application(desk.desk(runtime, io.StringIO()))) as served, httpx.Client(timeout=20) as client:
        found = client.post(served.url + PATH, json=GOOD | {"y": [0.5]}).json()
    assert (found["meta"]["fallback_used"], found["meta"]["fallback_reason"]) == (True, "too_few_points")
    assert [round(found["yhat_q"][q][0], 9) for q in ("0.1", "0.5", "0.9")] == [0.2, 0.5, 0.8]
    assert found["meta"]["width_flags"] == ["wide"] * 12
    assert found["bands"]["band_source"] == "baseline", "no rollout has begun"


def test_a_fallback_takes_no_more_of_the_processor_than_it_may_of_the_clock(tmp_path: Path) -> None:
    """Processor time of server and client together: whatever else the machine does, it is all that can be promised."""
    runtime = load_roads_runtime(tmp_path, *SMALL, base=TINY)
    allowed, asked = runtime.settings.tsfm.slo.fallback_ms, 40
    made = desk.desk(runtime, io.StringIO())  # its model server is not there
    with Uvicorned(application(made)) as served, httpx.Client(base_url=served.url, timeout=30) as client:
        client.post(PATH, json=question(0))
        began = time.process_time()
        found = [client.post(PATH, json=question(1 + number)) for number in range(asked)]
        took_ms = 1000 * (time.process_time() - began) / asked
    assert all(response.json()["meta"]["fallback_used"] for response in found)
    assert took_ms <= allowed == 50.0, f"{took_ms:.1f} ms of the processor a request"

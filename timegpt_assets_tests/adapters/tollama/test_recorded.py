"""Every exchange recorded from the real daemon, answered again by a local server and read by the real client."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets.adapters.tollama.answers import ModelFailed
from timegpt_assets_tests.adapters.tollama.askers import Hands, forecast, series, tollama
from timegpt_assets_tests.servers.tollama import TollamaServer, recorded

ROOT = os.environ.get("TIMEGPT_ASSETS_REAL_DATA")
FOLDER = Path(ROOT or ".") / "extras" / "tollama_recorded"
pytestmark = pytest.mark.skipif(
    not (ROOT and FOLDER.is_dir()), reason="TIMEGPT_ASSETS_REAL_DATA names no folder with extras/tollama_recorded"
)
BAD = (
    *("v1_stream_forbidden", "int_quantile", "unsorted_q", "horizon0", "horizon_str", "unknown_field", "len_mismatch"),
    *("null_target", "past_cov_strict", "fut_cov_bad_len", "bad_json", "empty_body"),
)
FAILS: dict[str, str] = dict.fromkeys(BAD, "bad_request") | {
    "noauth_forecast": "unauthorized",
    "bad_bearer": "unauthorized",
    "basic_scheme": "unauthorized",
    "rate3": "rate_limited",
    "body_too_big": "too_large",
    "stopped_2": "unavailable",
    "stopped_3": "unavailable",
    "after": "unavailable",
    "stream_err": "not_installed",
    "not_installed": "not_installed",
    "not_installed_mock": "not_installed",
    "unknown_model": "not_installed",
    "get_forecast": "no_such_path",
    "wrong_path": "no_such_path",
    "ok_stream_default": "streamed",
    "big_horizon": "invalid_json",  # the recording is cut off
}
"""Case -> the name of its failure."""
FAULTS: dict[str, dict[str, str]] = {
    "no_quantiles": {"m1": "missing_quantiles"},
    "empty_quantiles": {"m1": "missing_quantiles"},
    "dup_series_id": {"m1": "duplicate_series"},
}
"""Case -> the faults of its series."""


def exchanges() -> list[dict[str, Any]]:
    """Return what was asked of a path of forecasts, all three recordings."""
    found = [json.loads(line) for file in sorted(FOLDER.glob("*.jsonl")) for line in file.read_text().splitlines()]
    return [one for one in found if one["path"].endswith("forecast")]


@pytest.fixture(scope="module")
def server() -> Iterator[TollamaServer]:
    with TollamaServer() as running:
        yield running


def test_every_recorded_exchange_is_told_as_what_it_is(server: TollamaServer) -> None:
    told = dict[str, Any]()
    for exchange in exchanges():
        server.faults.clear()
        server.faults += [recorded(exchange)] * 2
        asked = [series(one) for one in ("m1", "m2")[: 2 if exchange["case"] == "two_series" else 1]]
        try:
            found = forecast(tollama(server.url, Hands()), *asked)
        except ModelFailed as error:
            told[exchange["case"]] = error.kind
        else:
            told[exchange["case"]] = found.faults
            assert all(values.shape == (3, 3) for values in found.values.values())
            assert found.values.keys() | found.faults.keys() == {one.market_id for one in asked}
    assert len(told) >= 50
    assert told == {case: FAILS.get(case, FAULTS.get(case, {})) for case in told}
    assert FAILS.keys() | FAULTS.keys() <= told.keys()


def test_what_the_recorded_mock_said_is_the_last_value_and_its_warning_is_handed_on(server: TollamaServer) -> None:
    by_case = {one["case"]: one for one in exchanges()}
    server.faults.clear()
    server.faults += [recorded(by_case["ok_api_warm"]), recorded(by_case["past_cov_best_effort"])]
    last = by_case["ok_api_warm"]["request_body"]["series"][0]["target"][-1]
    assert (forecast(tollama(server.url)).values["m1"] == last).all()
    (warning,) = forecast(tollama(server.url)).warnings
    assert warning.startswith("ignoring unsupported covariate")


def test_a_local_server_takes_and_refuses_what_the_real_one_did(server: TollamaServer) -> None:
    server.faults.clear()
    unlike, http = [], tollama(server.url).http
    for one in exchanges():
        if one["case"] in UNLIKE or not isinstance(one["request_body"], dict) or one["method"] != "POST":
            continue
        came = http.post(server.url + one["path"], content=json.dumps(one["request_body"]))
        if came.status_code != one["status"]:
            unlike.append((one["case"], one["status"], came.status_code))
    assert unlike == []


UNLIKE = {
    "noauth_forecast", "bad_bearer", "basic_scheme", "rate3", "stopped_2", "stopped_3", "after", "not_installed_mock",
    "past_cov_strict", "fut_cov_bad_len", "response_options",
}  # fmt: skip
"""Cases whose answer depends on more than the question, or on covariates, which are never sent."""

"""The model server asked over the network by the real client: every fault has its name and is over in its time."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from timegpt_assets.adapters.tollama import client
from timegpt_assets.adapters.tollama.answers import KINDS, ModelFailed
from timegpt_assets.adapters.tollama.client import Patience
from timegpt_assets_tests.adapters.tollama.askers import HORIZON, NOW, Hands, forecast, series, tollama
from timegpt_assets_tests.secret_search import KEY, WRONG
from timegpt_assets_tests.servers.tollama import API, TAGS, V1, Fault, TollamaServer, changed, refusal

SHORT, AT_MOST = 0.25, 0.4
"""Seconds that a question may take where a server hangs, and by which it must be over, on a busy machine."""


@pytest.fixture(scope="module")
def running() -> Iterator[TollamaServer]:
    with TollamaServer() as server:
        yield server


@pytest.fixture
def server(running: TollamaServer) -> TollamaServer:
    running.faults.clear()
    running.asked.clear()
    running.questions.clear()
    running.ids.clear()
    running.keyed, running.keys, running.paths, running.models = 0, frozenset(), frozenset({API, V1}), {"mock": "local"}
    return running


def said(text: str, status: int = 200, **headers: str) -> Fault:
    return Fault(kind="status", status=status, body=text, headers=headers)


def quantiles(change: Any) -> Fault:
    """Return an answer whose first series has other quantiles."""

    def changes(told: list[dict[str, Any]]) -> list[Any]:
        told[0]["quantiles"] = change(told[0]["quantiles"])
        return told

    return changed(changes)


WHOLE = {
    "503, its runner hung": (refusal(503, "runner call timed out after 1.00s"), "unavailable", 2),
    "503, its own breaker": (refusal(503, "circuit breaker is open"), "unavailable", 2),
    "502": (refusal(502, "runner error"), "unavailable", 2),
    "504 of a proxy, HTML": (said("<html>504</html>", 504), "unavailable", 2),
    "429 without Retry-After": (refusal(429, "rate limit exceeded"), "rate_limited", 2),
    "500": (refusal(500, "internal error"), "server_error", 1),
    "507": (said("", 507), "server_error", 1),
    "401, no key": (refusal(401, "missing bearer token", WWW_Authenticate="Bearer"), "unauthorized", 1),
    "401, another scheme": (refusal(401, "authorization scheme must be Bearer"), "unauthorized", 1),
    "403, a licence": (refusal(403, "license not accepted"), "licence", 1),
    "403, a role": (refusal(403, "insufficient role"), "unauthorized", 1),
    "409, a licence": (refusal(409, "model requires license acceptance"), "licence", 1),
    "409, something else": (refusal(409, "busy"), "bad_request", 1),
    "404, not installed": (refusal(404, "model 'mock' is not installed"), "not_installed", 1),
    "404 of a proxy": (said("<html>nothing here</html>", 404), "not_installed", 1),
    "405": (refusal(405, "Method Not Allowed"), "no_such_path", 1),
    "400": (said('{"detail":[{"loc":["body","foo"],"msg":"Extra inputs are not permitted"}]}', 400), "bad_request", 1),
    "422": (refusal(422, "no"), "bad_request", 1),
    "413": (refusal(413, "request body too large: 1200008 bytes exceeds 1 MB limit"), "too_large", 1),
    "418": (said("", 418), "unexpected_status", 1),
    "204": (said("", 204), "unexpected_status", 1),
    "301": (said("", 301, Location="http://127.0.0.1:9/"), "redirected", 1),
    "307 to itself": (said("", 307, Location=API), "redirected", 1),
    "reset": (Fault(kind="reset"), "broken", 2),
    "closed at once": (Fault(kind="closed"), "broken", 2),
    "half a body": (Fault(kind="half"), "broken", 2),
    "said to be gzip": (Fault(kind="garbled"), "broken", 2),
    "half a body as if it were all": (Fault(kind="torn"), "invalid_json", 1),
    "no byte": (said(""), "invalid_json", 1),
    "HTML": (said("<html><body>It works!</body></html>", **{"Content-Type": "text/html"}), "invalid_json", 1),
    "no UTF-8": (Fault(kind="status", body="\udcff"), "invalid_json", 1),
    "ten thousand brackets": (said("[" * 100_000), "invalid_json", 1),
    "line by line": (Fault(kind="streamed"), "streamed", 1),
    "a list": (said("[]"), "invalid_response", 1),
    "null": (said("null"), "invalid_response", 1),
    "no forecasts": (said('{"model":"mock","forecasts":null}'), "invalid_response", 1),
    "another model": (said('{"model":"mock2","forecasts":[]}'), "invalid_response", 1),
    "more than any answer has": (Fault(kind="bomb"), "too_large", 1),
}


@pytest.mark.parametrize(("fault", "kind", "attempts"), WHOLE.values(), ids=WHOLE)
def test_every_fault_has_its_name_and_only_what_may_be_mended_is_asked_again(
    server: TollamaServer, fault: Fault, kind: str, attempts: int
) -> None:
    server.faults += [fault] * 2
    with pytest.raises(ModelFailed) as told:
        forecast(tollama(server.url))
    assert (told.value.kind, len(server.asked)) == (kind, attempts)
    assert kind in KINDS
    assert str(told.value).endswith((".", "--accept-license."))


HANGS = {
    "silence": Fault(kind="hang"),
    "later than the time": Fault(kind="slow", seconds=0.6),
    "a byte at a time": Fault(kind="drip", seconds=0.01),
    "a byte and no more": Fault(kind="stall"),
    "headers without an end": Fault(kind="tarpit", seconds=0.02),
}


@pytest.mark.parametrize("fault", HANGS.values(), ids=HANGS)
def test_whatever_hangs_is_over_in_its_time_and_not_asked_again(server: TollamaServer, fault: Fault) -> None:
    server.faults += [fault] * 2
    one = tollama(server.url)
    assert one.http
    began = time.monotonic()
    with pytest.raises(ModelFailed) as told:
        forecast(one, timeout_s=SHORT)
    assert time.monotonic() - began < AT_MOST
    assert (told.value.kind, len(server.asked)) == ("timeout", 1)


def test_a_body_without_an_end_is_left_where_any_answer_ends(
    server: TollamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_BYTES", 1 << 20)
    server.faults += [Fault(kind="flood")]
    with pytest.raises(ModelFailed, match="unpacks to more than 1 MiB") as told:
        forecast(tollama(server.url))
    assert told.value.kind == "too_large"


def test_a_first_attempt_that_took_long_leaves_the_second_what_is_left(server: TollamaServer) -> None:
    server.faults += [refusal(503, "starting"), Fault(kind="hang")]
    began = time.monotonic()
    with pytest.raises(ModelFailed) as told:
        forecast(tollama(server.url), timeout_s=SHORT)
    assert time.monotonic() - began < AT_MOST
    assert (told.value.kind, len(server.asked)) == ("timeout", 2)


def test_a_wait_that_would_pass_the_time_is_not_waited_for(server: TollamaServer) -> None:
    server.faults += [refusal(503, "starting")]
    slow = Patience(retries=1, backoff_s=0.3, jitter_s=0.0)
    began = time.monotonic()
    with pytest.raises(ModelFailed) as told:
        forecast(tollama(server.url, patience=slow), timeout_s=SHORT)
    assert time.monotonic() - began < 0.2
    assert (told.value.kind, len(server.asked)) == ("unavailable", 1)


def test_what_is_mended_meanwhile_is_answered_after_backoff_and_jitter(server: TollamaServer) -> None:
    waits = []
    for _ in range(5):
        server.faults += [Fault(kind="reset"), None]
        hands = Hands()
        assert forecast(tollama(server.url, hands, patience=Patience(retries=1, backoff_s=0.2, jitter_s=0.1))).values
        waits += hands.slept
    assert all(0.2 <= wait <= 0.3 for wait in waits)
    assert len(set(waits)) == 5


def test_a_wait_that_is_asked_for_is_granted_where_it_fits(server: TollamaServer) -> None:
    server.faults += [refusal(429, "rate limit exceeded", Retry_After="2"), None]
    hands = Hands()
    assert forecast(tollama(server.url, hands)).values
    assert hands.slept == [2.0]
    server.faults += [refusal(429, "rate limit exceeded", Retry_After="60")]
    with pytest.raises(ModelFailed):
        forecast(tollama(server.url, hands))
    assert hands.slept == [2.0]


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (3, 4)])
def test_no_more_is_asked_than_is_set(server: TollamaServer, retries: int, attempts: int) -> None:
    server.faults += [refusal(503, "no")] * 9
    with pytest.raises(ModelFailed):
        forecast(tollama(server.url, Hands(), patience=Patience(retries=retries, backoff_s=0.2, jitter_s=0.1)))
    assert len(server.asked) == attempts


def test_nobody_there_and_a_name_nobody_knows_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ModelFailed) as told:
        forecast(tollama(f"http://127.0.0.1:{port}"))
    assert told.value.kind == "connection"

    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ModelFailed) as told:
        forecast(tollama("http://model.invalid:11435"))
    assert told.value.kind == "dns"


def test_a_name_that_is_looked_up_for_ever_takes_no_longer_than_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: free.wait(5) or [])
    one = tollama("http://model.example:11435")
    assert one.http
    began = time.monotonic()
    with pytest.raises(ModelFailed) as told:
        forecast(one, timeout_s=SHORT)
    assert (told.value.kind, time.monotonic() - began < AT_MOST) == ("timeout", True)
    free.set()


def gone(told: list[dict[str, Any]]) -> list[Any]:
    return told[1:]


def renamed(told: list[dict[str, Any]]) -> list[Any]:
    return [told[0] | {"id": "M1"}, *told[1:]]


def twice(told: list[dict[str, Any]]) -> list[Any]:
    return [told[0], *told]


SERIES = {
    "null quantiles": (quantiles(lambda told: None), "missing_quantiles"),
    "a list for quantiles": (quantiles(list), "missing_quantiles"),
    "one quantile less": (quantiles(lambda told: {name: told[name] for name in ("0.1", "0.9")}), "missing_quantiles"),
    "a null quantile": (quantiles(lambda told: told | {"0.5": None}), "missing_quantiles"),
    "other quantiles": (quantiles(lambda told: {"0.2": told["0.1"], "0.5": [0], "0.9": [0]}), "missing_quantiles"),
    "a step less": (quantiles(lambda told: {name: told[name][:-1] for name in told}), "wrong_horizon"),
    "a step more": (quantiles(lambda told: {name: [*told[name], 0.5] for name in told}), "wrong_horizon"),
    "one column shorter": (quantiles(lambda told: told | {"0.9": [0.5]}), "wrong_horizon"),
    "NaN": (quantiles(lambda told: told | {"0.9": [0.5, float("nan"), 0.5]}), "non_finite"),
    "infinity": (quantiles(lambda told: told | {"0.1": [float("-inf")] * 3}), "non_finite"),
    "a null step": (quantiles(lambda told: told | {"0.9": [0.5, None, 0.5]}), "non_finite"),
    "an integer beyond every float": (quantiles(lambda told: told | {"0.9": [10**400] * 3}), "non_finite"),
    "text": (quantiles(lambda told: told | {"0.9": ["0.5"] * 3}), "invalid_response"),
    "true": (quantiles(lambda told: told | {"0.9": [True] * 3}), "invalid_response"),
    "a list in a list": (quantiles(lambda told: told | {"0.9": [[0.5]] * 3}), "invalid_response"),
    "a number for a list": (quantiles(lambda told: told | {"0.9": 0.5}), "invalid_response"),
    "left out": (changed(gone), "missing_series"),
    "under another id": (changed(renamed), "missing_series"),
    "twice": (changed(twice), "duplicate_series"),
    "not an object": (changed(lambda told: [None, *told[1:]]), "missing_series"),
}


@pytest.mark.parametrize(("fault", "kind"), SERIES.values(), ids=SERIES)
def test_what_is_wrong_with_one_series_is_its_own_and_the_others_are_believed(
    server: TollamaServer, fault: Fault, kind: str
) -> None:
    server.faults += [fault]
    told = forecast(tollama(server.url), series(), series("m2"), series("m3"))
    assert told.faults == {"m1": kind}
    assert told.values.keys() == {"m2", "m3"}
    assert len(server.asked) == 1


def test_quantiles_that_cross_are_left_to_the_guards(server: TollamaServer) -> None:
    server.faults += [quantiles(lambda told: told | {"0.1": told["0.9"], "0.9": told["0.1"]})]
    told = forecast(tollama(server.url))
    assert not told.faults
    assert (told.values["m1"][:, 0] > told.values["m1"][:, 2]).all()


def test_series_that_nobody_asked_for_are_counted_and_left_out(server: TollamaServer) -> None:
    server.faults += [changed(lambda told: [*told, told[0] | {"id": "m9"}, {}, 7])]
    told = forecast(tollama(server.url))
    assert told.values.keys() == {"m1"}
    assert told.warnings == ("3 forecasts of series that nobody asked for were left out",)


def test_a_good_answer_is_read_whatever_its_nulls_stamps_and_names_of_quantiles(server: TollamaServer) -> None:
    def odd(told: list[dict[str, Any]]) -> list[Any]:
        told[0] |= {"start_timestamp": None, "mean": None, "freq": "M"}
        told[0]["quantiles"] = {f"{float(name):.3f}": told[0]["quantiles"][name] for name in ("0.9", "0.5", "0.1")}
        return told

    plain = forecast(tollama(server.url)).values["m1"]
    server.faults += [changed(odd)]
    told = forecast(tollama(server.url))
    np.testing.assert_array_equal(told.values["m1"], plain)
    assert plain.shape == (HORIZON, 3)
    assert plain[0].tolist() == pytest.approx([0.378, 0.478, 0.578])
    assert (np.diff(plain[:, 2]) > 0).all()


def test_what_is_sent_is_what_the_server_insists_on(server: TollamaServer) -> None:
    params = {"num_samples": 20}
    forecast(tollama(server.url, params=params), series(y=[np.nan, np.nan, 1, 2]), series("m2", y=[3]), timeout_s=2)
    assert server.asked == [f"POST {API}"]
    (question,) = server.questions
    assert question == {
        "model": "mock",
        "horizon": HORIZON,
        "quantiles": [0.1, 0.5, 0.9],
        "series": [
            {
                "id": "m1",
                "freq": "5min",
                "timestamps": ["2026-02-20T11:55:00Z", "2026-02-20T12:00:00Z"],
                "target": [1.0, 2.0],
            },
            {"id": "m2", "freq": "5min", "timestamps": ["2026-02-20T12:00:00Z"], "target": [3.0]},
        ],
        "options": params,
        "timeout": 2.0,
        "parameters": {"covariates_mode": "best_effort"},
        "stream": False,
    }


def test_covariates_are_sent_where_there_are_any_cut_with_their_prices(server: TollamaServer) -> None:
    past = {"volume": np.array([1.0, 2.0, 3.0, 4.0]), "spread": np.array([0.1, 0.2, 0.3, 0.4])}
    ahead = {"volume": np.array([5.0] * HORIZON)}
    forecast(tollama(server.url), series(y=[np.nan, np.nan, 1, 2], x_past=past, x_future=ahead), series("m2", y=[3]))
    first, second = server.questions[0]["series"]
    assert first["past_covariates"] == {"volume": [3.0, 4.0], "spread": [0.3, 0.4]}
    assert first["future_covariates"] == {"volume": [5.0] * HORIZON}
    assert not {"past_covariates", "future_covariates"} & second.keys()


def test_stamps_are_utc_whatever_zone_as_of_is_in(server: TollamaServer) -> None:
    from zoneinfo import ZoneInfo

    forecast(tollama(server.url), series(y=[1, 2], as_of=NOW.astimezone(ZoneInfo("Asia/Tokyo"))))
    assert server.questions[0]["series"][0]["timestamps"] == ["2026-02-20T11:55:00Z", "2026-02-20T12:00:00Z"]


@pytest.mark.parametrize("y", [[], [np.nan] * 9, [0.1, np.nan, 0.2], [0.1, np.inf], [0.1, np.nan]])
def test_a_series_that_is_no_series_is_not_sent_and_the_others_are(server: TollamaServer, y: Sequence[float]) -> None:
    told = forecast(tollama(server.url), series("bad", y=y), series())
    assert (told.faults, list(told.values)) == ({"bad": "unusable_input"}, ["m1"])
    alone = forecast(tollama(server.url), series("bad", y=y))
    assert (alone.faults, alone.values, len(server.asked)) == ({"bad": "unusable_input"}, {}, 1)


def test_nothing_is_asked_where_nothing_is_to_be_asked(server: TollamaServer) -> None:
    assert tollama(server.url).forecast([], timeout_s=1, request_id="").values == {}
    assert server.asked == []


@pytest.mark.parametrize(
    "other", [series("m1"), series("m2", horizon=4), series("m2", quantiles=(0.2, 0.8))], ids=["twice", "h", "q"]
)
def test_what_cannot_be_told_apart_in_one_request_is_refused(server: TollamaServer, other: Any) -> None:
    with pytest.raises(ModelFailed) as told:
        forecast(tollama(server.url), series(), other)
    assert (told.value.kind, server.asked) == ("bad_request", [])


def test_only_a_path_that_does_not_exist_is_left_for_the_other_and_for_good(server: TollamaServer) -> None:
    server.paths = frozenset({V1})
    one = tollama(server.url)
    for _ in range(2):
        assert forecast(one).values
    assert server.asked == [f"POST {API}", f"POST {V1}", f"POST {V1}"]
    assert "stream" not in server.questions[0]
    server.paths = frozenset({API})
    assert forecast(one).values
    assert server.asked[3:] == [f"POST {V1}", f"POST {API}"]
    assert server.questions[-1]["stream"] is False
    server.paths = frozenset()
    with pytest.raises(ModelFailed, match="neither") as told:
        forecast(one)
    assert told.value.kind == "no_such_path"


def test_a_model_that_is_not_installed_is_no_reason_to_ask_elsewhere(server: TollamaServer) -> None:
    with pytest.raises(ModelFailed, match=r"'nope' is not installed.*tollama pull") as told:
        forecast(tollama(server.url, model="nope"))
    assert (told.value.kind, server.asked) == ("not_installed", [f"POST {API}"])


@pytest.mark.parametrize(
    ("auth", "key", "keyed", "kind"),
    [
        ("none", KEY, 0, None),
        ("bearer_optional", None, 0, None),
        ("bearer_optional", KEY, 1, None),
        ("bearer_optional", "  ", 0, None),
        ("bearer_required", KEY, 1, None),
        ("bearer_required", None, 0, "no_key"),
        ("bearer_required", "two words", 0, "no_key"),
        ("bearer_optional", "käse", 0, "no_key"),
    ],
)
def test_the_key_is_sent_where_it_is_to_be_sent_and_demanded_where_it_must_be(
    server: TollamaServer, auth: str, key: str | None, keyed: int, kind: str | None
) -> None:
    one = tollama(server.url, auth=auth, key=lambda: key)
    if kind is None:
        assert forecast(one).values
    else:
        with pytest.raises(ModelFailed) as told:
            forecast(one)
        assert (told.value.kind, server.asked) == (kind, [])
    assert server.keyed == keyed


def test_a_key_that_is_not_taken_is_said_and_stands_nowhere(
    server: TollamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.keys = frozenset({KEY})
    one = tollama(server.url, key=lambda: WRONG)
    with pytest.raises(ModelFailed) as told:
        forecast(one)
    assert told.value.kind == "unauthorized"
    server.faults += [Fault(kind="echo"), Fault(kind="echo", status=400)]
    mine = tollama(server.url, key=lambda: KEY)
    for _ in range(2):
        with pytest.raises(ModelFailed, match="repeats the key") as told:
            forecast(mine)
        assert told.value.kind == "invalid_response"
    assert not any(
        key in text for key in (KEY, WRONG) for text in (caplog.text, repr(one), repr(mine), str(told.value))
    )


def test_the_key_goes_with_a_probe_and_with_the_question_of_versions(server: TollamaServer) -> None:
    server.keys = frozenset({KEY})
    assert tollama(server.url, key=lambda: KEY).probe().healthy
    assert (server.asked, server.keyed) == ([f"POST {API}", f"GET {TAGS}"], 2)
    assert not tollama(server.url).probe().healthy


def test_every_request_has_its_id_on_every_attempt(server: TollamaServer) -> None:
    server.faults += [refusal(503, "no"), None]
    forecast(tollama(server.url), request_id="cycle-7.m1")
    assert server.ids == ["cycle-7.m1"] * 2
    forecast(tollama(server.url), request_id="a\r\nb c")
    forecast(tollama(server.url), request_id="x" * 500)
    forecast(tollama(server.url), request_id="")
    assert server.ids[2] == "a--b-c"
    assert [len(found or "") for found in server.ids[3:]] == [128, 32]


def test_a_refusal_s_own_words_are_told_short_and_without_the_request(server: TollamaServer) -> None:
    echo = {"loc": ["body", "series", 0], "msg": "length must match", "input": {"secret": "x" * 9000}}
    server.faults += [
        said(json.dumps({"detail": [echo]}), 400),
        said('{"detail":"a\\u001b[31m\\nb' + "c" * 900 + '"}', 400),
    ]
    with pytest.raises(ModelFailed, match=r"HTTP 400: length must match \(body\.series\.0\)\. See") as told:
        forecast(tollama(server.url))
    with pytest.raises(ModelFailed, match=r"HTTP 400: a \[31m bccc") as told:
        forecast(tollama(server.url))
    assert len(str(told.value)) < 330


def test_a_version_that_is_set_is_demanded_and_one_that_is_not_is_told(server: TollamaServer) -> None:
    server.models = {"mock": "abc123"}
    one = tollama(server.url)
    assert forecast(one).model_version is None
    assert one.warm_up().healthy
    assert forecast(one).model_version == "abc123"
    assert forecast(tollama(server.url, version="abc123")).model_version == "abc123"
    with pytest.raises(ModelFailed, match=r"has version abc123 of mock.*model_version=auto") as told:
        forecast(tollama(server.url, version="other"))
    assert told.value.kind == "wrong_version"


def test_a_server_changed_under_a_pinned_version_is_found_by_the_next_probe(server: TollamaServer) -> None:
    server.models = {"mock": "abc"}
    one = tollama(server.url, version="abc")
    assert forecast(one).values
    server.models = {"mock": "def"}
    one.probe()
    with pytest.raises(ModelFailed) as told:
        forecast(one)
    assert told.value.kind == "wrong_version"


@pytest.mark.parametrize("text", ["", "[]", '{"models":7}', '{"models":[7]}', "{"])
def test_a_list_of_models_that_cannot_be_read_is_said(server: TollamaServer, text: str) -> None:
    server.faults += [said(text)]
    with pytest.raises(ModelFailed) as told:
        forecast(tollama(server.url, version="abc"))
    assert told.value.kind == "invalid_response"


def test_many_threads_ask_at_once_and_each_is_told_its_own(server: TollamaServer) -> None:
    one, found = tollama(server.url), dict[int, float]()

    def ask(number: int) -> None:
        told = forecast(one, series(f"m{number}", y=[float(number)] * 5))
        found[number] = float(told.values[f"m{number}"][0, 1])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: float(number) for number in range(32)}


def test_two_hundred_series_of_a_day_are_one_request(server: TollamaServer) -> None:
    asked = [series(f"m{number}", y=np.full(288, number / 200)) for number in range(200)]
    told = forecast(tollama(server.url), *asked)
    assert (len(told.values), told.faults, len(server.asked)) == (200, {}, 1)
    assert [told.values[one.market_id][0, 1] for one in asked] == [number / 200 for number in range(200)]


def test_how_long_it_took_is_told(server: TollamaServer) -> None:
    server.faults += [Fault(kind="slow", seconds=0.1)]
    assert 100 <= forecast(tollama(server.url)).latency_ms < 1000
    assert timedelta(milliseconds=forecast(tollama(server.url)).latency_ms) < timedelta(seconds=1)

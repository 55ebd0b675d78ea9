"""What a failing provider costs: requests sent, ledger states, what the user reads and what a re-run does."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from timegpt_assets.adapters.call_errors import (
    AnswerLost,
    CallError,
    CircuitOpen,
    Frozen,
    InvalidAnswer,
    KeyRefused,
    NoFurtherAttempt,
    NotSent,
    QuotaExhausted,
    RequestRefused,
    ServiceUnavailable,
    TooManyRequests,
)
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, lively, timegpt
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import Fault, TimeGPTServer, status, too_many

RESET_BEFORE, RESET_AFTER = Fault(kind="reset_before"), Fault(kind="reset_after")
LIMIT = "You have reached your request limit"
NONSENSE = ("html", "bad_json", "nan", "null", "crossed", "missing_band", "wrong_rows", "missing_series")


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(key=KEY, input_size=20, horizon=30) as running:
        yield running


@pytest.fixture
def forecaster(server: TimeGPTServer, tmp_path: Path) -> TimeGPT:
    """Return a forecaster that has answered one snapshot, so that model parameters are out of the way."""
    ready = timegpt(server.url, tmp_path)
    ready.answers([frame(14)], budget_run_id="before")
    return ready


def states(forecaster: TimeGPT) -> dict[str, int]:
    """Return the ledger's states without the two calls that came before."""
    counts = dict(forecaster.ledger.view(forecaster.account)["by_state"])
    counts["ANSWERED"] -= 2
    return {state: n for state, n in counts.items() if n}


def sent(server: TimeGPTServer) -> int:
    return server.counts["/v2/forecast"] - 1


def is_never_underpaid(server: TimeGPTServer, forecaster: TimeGPT) -> bool:
    return sum(server.counts.values()) <= forecaster.ledger.view(forecaster.account)["spent"]


@pytest.mark.parametrize(
    ("fault", "settled"),
    [
        (too_many("A20"), "REJECTED"),
        (too_many("A20", retry_after="0.01"), "REJECTED"),
        (status(408), "UNKNOWN"),
        (status(409), "UNKNOWN"),
        (status(502), "UNKNOWN"),
        (status(503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), "UNKNOWN"),
        (status(504), "UNKNOWN"),
        (RESET_BEFORE, "UNKNOWN"),
        (RESET_AFTER, "UNKNOWN"),
        (Fault(kind="truncated"), "UNKNOWN"),
    ],
)
def test_a_passing_failure_is_charged_and_asked_once_more(
    server: TimeGPTServer, forecaster: TimeGPT, fault: Fault, settled: str
) -> None:
    server.faults.append(fault)
    answered = forecaster.answers([frame(15)], budget_run_id="a")
    assert answered.rows.height == 3 * 15
    assert (answered.sent, sent(server)) == (2, 2)
    assert states(forecaster) == {"ANSWERED": 1, settled: 1}
    assert forecaster.answers([frame(15)], budget_run_id="b").sent == 0
    assert is_never_underpaid(server, forecaster)


@pytest.mark.parametrize(
    ("fault", "error", "settled"),
    [(too_many("A20"), TooManyRequests, "REJECTED"), (status(503), AnswerLost, "UNKNOWN")],
)
def test_a_lasting_failure_ends_after_three_attempts_and_a_re_run_starts_over(
    server: TimeGPTServer, forecaster: TimeGPT, fault: Fault, error: type[CallError], settled: str
) -> None:
    server.faults.extend([fault] * 3)
    with pytest.raises(error, match=r"T15:00.*Run again later"):
        forecaster.answers([frame(15), frame(16)], budget_run_id="a")
    assert sent(server) == 3
    assert states(forecaster) == {settled: 3, "REFUNDED": 1}
    assert forecaster.answers([frame(15), frame(16)], budget_run_id="b").sent == 2
    assert is_never_underpaid(server, forecaster)


@pytest.mark.parametrize(
    ("fault", "error", "settled", "remedy"),
    [
        (status(401), KeyRefused, "REJECTED", "TIMEGPT_API_KEY"),
        (status(403), KeyRefused, "REJECTED", "TIMEGPT_API_KEY"),
        (status(402), QuotaExhausted, "REJECTED", "dashboard"),
        (too_many("A21"), QuotaExhausted, "REJECTED", "dashboard"),
        (status(422, body={"detail": f"bad model, key {KEY}"}), RequestRefused, "REJECTED", r"bad model, key \[key\]"),
        (status(400), RequestRefused, "REJECTED", "forecast.model"),
        (status(307), RequestRefused, "REJECTED", "forecast.base_url to the final address"),
        (status(404), RequestRefused, "REJECTED", "Mend forecast.base_url"),
        (status(413), RequestRefused, "REJECTED", "Lower forecast.max_bytes_per_call"),
        (status(202), RequestRefused, "UNKNOWN", "where forecast.base_url leads"),
        (status(400, body={"message": None}), RequestRefused, "REJECTED", "does not say why.*status page"),
        (status(429, body={"message": LIMIT, "code": "A20"}), QuotaExhausted, "REJECTED", f"{LIMIT}.*dashboard"),
        (status(500), ServiceUnavailable, "UNKNOWN", "status page"),
        (too_many("A20", retry_after="3600"), TooManyRequests, "REJECTED", "Run again later"),
    ],
)
def test_a_failure_that_another_attempt_cannot_mend_stops_the_day_at_once(
    server: TimeGPTServer, forecaster: TimeGPT, fault: Fault, error: type[CallError], settled: str, remedy: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(error, match=remedy) as stopped:
        forecaster.answers([frame(15), frame(16)], budget_run_id="a")
    assert KEY not in str(stopped.value)
    assert sent(server) == 1
    assert states(forecaster) == {settled: 1, "REFUNDED": 1}


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_spent_kept_and_not_asked_again(server: TimeGPTServer, forecaster: TimeGPT, kind: str) -> None:
    server.faults.append(Fault(kind=kind))
    for _ in range(2):
        with pytest.raises(InvalidAnswer, match=r"T15:00.*--reask"):
            forecaster.answers([frame(15)], budget_run_id="a")
    assert sent(server) == 1
    assert states(forecaster) == {"ANSWERED": 1}
    again = forecaster.answers([frame(15)], budget_run_id="b", reask=True)
    assert (again.sent, again.rows.height) == (1, 3 * 15)


@pytest.mark.parametrize(
    ("kind", "said"), [("swapped", "NVDA moves 7 times as much as"), ("demo", "AAPL is said to be 437.84")]
)
def test_an_answer_about_something_else_is_spent_and_used_only_when_doubts_are_kept(
    server: TimeGPTServer, forecaster: TimeGPT, kind: str, said: str
) -> None:
    server.faults.append(Fault(kind=kind))
    for _ in range(2):
        with pytest.raises(InvalidAnswer, match=rf"{said}.*forecast\.on_doubt=keep"):
            forecaster.answers([lively(15)], budget_run_id="a")
    assert sent(server) == 1
    forecaster.on_doubt = "keep"
    assert forecaster.answers([lively(15)], budget_run_id="a").rows.height == 3 * 15
    assert sent(server) == 1


def test_nonsense_ends_the_day_before_the_next_snapshot_is_paid_for(server: TimeGPTServer, forecaster: TimeGPT) -> None:
    server.faults.append(Fault(kind="html"))
    with pytest.raises(InvalidAnswer):
        forecaster.answers([frame(15), frame(16), frame(17)], budget_run_id="a")
    assert sent(server) == 1
    assert states(forecaster) == {"ANSWERED": 1, "REFUNDED": 2}


def test_a_day_that_keeps_failing_opens_the_circuit_and_says_so(server: TimeGPTServer, forecaster: TimeGPT) -> None:
    well = [None, None]
    server.faults.extend([status(503), *well[:1], status(503), status(502), *well[:1], status(504), status(503)])
    with pytest.raises(CircuitOpen, match=r"5 of 7 calls of the day failed.*max_failed_calls = 5.*Run again later"):
        forecaster.answers([frame(15), frame(16), frame(17), frame(18)], budget_run_id="a")
    assert sent(server) == 7
    assert states(forecaster) == {"ANSWERED": 2, "REFUNDED": 1, "UNKNOWN": 5}
    assert forecaster.answers([frame(15), frame(16), frame(17), frame(18)], budget_run_id="b").sent == 2


def test_nonsense_for_model_parameters_is_mended_by_asking_again_on_purpose(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    server.params_faults.append(Fault(kind="html"))
    ready = timegpt(server.url, tmp_path)
    for _ in range(2):
        with pytest.raises(InvalidAnswer, match="model parameters of timegpt-1"):
            ready.answers([frame(14)], budget_run_id="a")
    assert server.counts == {"/model_params": 1}
    assert ready.answers([frame(14)], budget_run_id="b", reask=True).sent == 2


def test_a_refused_connection_is_refunded(tmp_path: Path) -> None:
    with TimeGPTServer() as gone:
        url = gone.url
    forecaster = timegpt(url, tmp_path)
    with pytest.raises(NotSent, match="cannot be reached"):
        forecaster.answers([frame(14)], budget_run_id="a")
    assert forecaster.ledger.view(forecaster.account)["by_state"] == {"REFUNDED": 3}
    assert forecaster.ledger.view(forecaster.account)["spent"] == 0


@pytest.mark.parametrize("fault", [Fault(kind="slow", seconds=1.5), Fault(kind="drip", seconds=0.01)])
def test_an_answer_slower_than_the_timeout_is_unknown_and_the_wait_is_bounded(
    server: TimeGPTServer, forecaster: TimeGPT, fault: Fault
) -> None:
    forecaster.timeout_sec, forecaster.on_ambiguous = 0.4, "fail"
    server.faults.append(fault)
    began = time.monotonic()
    with pytest.raises(AnswerLost, match="ReadTimeout"):
        forecaster.answers([frame(15)], budget_run_id="a")
    assert time.monotonic() - began < 5
    assert (sent(server), states(forecaster)) == (1, {"UNKNOWN": 1})


def test_by_policy_an_ambiguous_failure_is_not_asked_again(server: TimeGPTServer, forecaster: TimeGPT) -> None:
    forecaster.on_ambiguous = "fail"
    server.faults.append(status(503))
    with pytest.raises(AnswerLost):
        forecaster.answers([frame(15)], budget_run_id="a")
    assert sent(server) == 1


def test_further_attempts_stay_within_the_budget(server: TimeGPTServer, tmp_path: Path) -> None:
    server.faults.extend([status(503)] * 3)
    short = timegpt(server.url, tmp_path, limits={"per_run": 3})
    with pytest.raises(
        NoFurtherAttempt, match=r"answered 503.*would pass forecast\.api_budget\.per_run, which leaves 0"
    ):
        short.answers([frame(15)], budget_run_id="a")
    assert server.counts == {"/model_params": 1, "/v2/forecast": 2}


def test_what_the_provider_asks_to_wait_is_waited_and_backoff_grows(server: TimeGPTServer, tmp_path: Path) -> None:
    waits: list[float] = []
    patient = timegpt(server.url, tmp_path, sleep=waits.append)
    server.faults.extend([too_many("A20", retry_after="17"), status(503)])
    patient.answers([frame(15)], budget_run_id="a")
    assert waits[0] == 17
    assert 2 <= waits[1] <= 4


def test_a_frozen_ledger_sends_nothing_until_it_is_thawed(server: TimeGPTServer, forecaster: TimeGPT) -> None:
    forecaster.ledger.freeze("a bill looks wrong")
    with pytest.raises(Frozen, match=r"a bill looks wrong.*thaw"):
        forecaster.answers([frame(15)], budget_run_id="a")
    assert sent(server) == 0
    assert forecaster.answers([frame(14)], budget_run_id="a").cached == 1
    forecaster.ledger.thaw()
    assert forecaster.answers([frame(15)], budget_run_id="a").sent == 1


def test_the_cooldown_lies_between_all_sends(server: TimeGPTServer, tmp_path: Path) -> None:
    spaced = timegpt(server.url, tmp_path, limits={"cooldown_sec": 0.1}, sleep=time.sleep)
    spaced.answers([frame(14), frame(15)], budget_run_id="a")
    walls = [call["sent_wall"] for call in spaced.ledger.calls(spaced.account)]
    assert len(walls) == 3
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(walls))


def test_a_reservation_for_another_attempt_is_given_back_when_sending_is_stopped(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    def asleep(seconds: float) -> None:
        if server.counts["/v2/forecast"] == 0:
            time.sleep(seconds)
        elif seconds <= 0.5:
            stopped.ledger.freeze("stop")

    server.faults.append(status(503))
    stopped = timegpt(server.url, tmp_path, limits={"cooldown_sec": 0.5}, sleep=asleep)
    with pytest.raises(Frozen):
        stopped.answers([frame(15)], budget_run_id="a")
    assert stopped.ledger.view(stopped.account)["by_state"] == {"ANSWERED": 1, "REFUNDED": 1, "UNKNOWN": 1}

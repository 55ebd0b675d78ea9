"""Every fault a provider can have, done to a real client: what it costs, what is read, what a re-run does.

The page docs/explanation/fault-matrix.md is this test's own record:
``python -m timegpt_assets_tests.adapters.timegpt.test_fault_matrix --renew`` writes it.
"""

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from timegpt_assets.adapters.call_errors import CallError
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets_tests.adapters.timegpt.paid_calls import lively, timegpt
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import Fault, TimeGPTServer, status, too_many

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "fault-matrix.md"
LASTING = 3
"""A fault is struck as often as there are attempts, so that every row shows what is read when it does not pass."""
FAULTS: dict[str, Fault | None] = {
    "429 A20, no Retry-After": too_many("A20"),
    "429 A20, Retry-After 0.01": too_many("A20", retry_after="0.01"),
    "429 A20, Retry-After 3600": too_many("A20", retry_after="3600"),
    "429 A21 (payment)": too_many("A21"),
    "429, request limit": status(429, body={"message": "You have reached your request limit", "code": "A20"}),
    "401": status(401),
    "403": status(403),
    "402": status(402),
    "400": status(400),
    "400 without words": status(400, body={"data": None, "message": None}),
    "400, a page": status(400, body="<html>Bad gateway</html>"),
    "404": status(404),
    "413": status(413),
    "422": status(422),
    "202": status(202),
    "307": status(307),
    "408": status(408),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "504": status(504),
    "connection refused": None,
    "reset before the work": Fault(kind="reset_before"),
    "reset after the work": Fault(kind="reset_after"),
    "read timeout": Fault(kind="slow", seconds=0.6),
    "slow drip": Fault(kind="drip", seconds=0.005),
    "truncated body": Fault(kind="truncated"),
    "200, bad JSON": Fault(kind="bad_json"),
    "200, HTML": Fault(kind="html"),
    "200, NaN": Fault(kind="nan"),
    "200, null": Fault(kind="null"),
    "200, crossed bands": Fault(kind="crossed"),
    "200, missing band": Fault(kind="missing_band"),
    "200, wrong row count": Fault(kind="wrong_rows"),
    "200, missing series": Fault(kind="missing_series"),
    "200, series swapped": Fault(kind="swapped"),
    "200, demo data": Fault(kind="demo"),
    "200, all zero without width": Fault(kind="zero"),
    "200, a gzip bomb": Fault(kind="bomb"),
}
HEAD = """# Fault matrix

What each fault of the provider costs. Written by a test that does every one of them to the real client against a local
server, `max_attempts` 3, `on_ambiguous: retry`; it turns red when a row is no longer true. A fault is struck at every
attempt; one that passes is mended by the next attempt, which is charged like any other.

**Sent**: requests the server received. **Ledger**: the states of these calls. **Re-run**: what the same command does
afterwards, with the provider well again.

| fault | sent | ledger | what is read | re-run |
|---|---|---|---|---|
"""


def row(name: str, folder: Path) -> str:
    """Return the matrix row of one fault, done to a client that has answered one snapshot before."""
    fault = FAULTS[name]
    with TimeGPTServer(key=KEY, input_size=20) as server:
        forecaster = timegpt(server.url, folder)
        forecaster.answers([lively(14)], budget_run_id="before")
        before = Counter(call["state"] for call in forecaster.ledger.calls(forecaster.account))
        sent, port = server.counts["/v2/forecast"], int(server.host.partition(":")[2])
        forecaster.timeout_sec = 0.3 if name in ("read timeout", "slow drip") else 60.0
        if fault:
            server.faults.extend([fault] * LASTING)
            said, states = asked(forecaster, server.host, before)
            received = server.counts["/v2/forecast"] - sent
            server.faults.clear()
            return _row(name, received, states, said, again(forecaster, server))
    said, states = asked(forecaster, server.host, before)
    with TimeGPTServer(port=port, key=KEY, input_size=20) as server:
        return _row(name, 0, states, said, again(forecaster, server))


def asked(forecaster: TimeGPT, host: str, before: Counter[str]) -> tuple[str, str]:
    """Return what the user reads and the states of the calls the snapshot took."""
    with pytest.raises(CallError) as failure:
        forecaster.answers([lively(15)], budget_run_id="a")
    assert KEY not in str(failure.value)
    after = Counter(call["state"] for call in forecaster.ledger.calls(forecaster.account))
    states = ", ".join(f"{n} {state}" for state, n in sorted((after - before).items()))
    message = str(failure.value).replace(host, "HOST").replace("|", "/")
    return re.sub(r"\s+", " ", re.sub(r"[0-9a-f]{64}", "HASH", message)), states


def again(forecaster: TimeGPT, server: TimeGPTServer) -> str:
    """Return what the same question does once the provider is well."""
    forecaster.timeout_sec = 60.0
    counted = server.counts["/v2/forecast"]
    try:
        forecaster.answers([lively(15)], budget_run_id="b")
    except CallError as failure:
        assert server.counts["/v2/forecast"] == counted
        return f"sends nothing, {type(failure).__name__} again"
    assert server.counts["/v2/forecast"] == counted + 1
    return "sends 1, answered"


def _row(name: str, sent: int, states: str, said: str, then: str) -> str:
    return f"| {name} | {sent} | {states} | {said} | {then} |"


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_matrix_says_what_happens(name: str, tmp_path: Path) -> None:
    assert row(name, tmp_path) in PAGE.read_text().splitlines(), "renew the page, and read the diff"


def test_the_fault_matrix_has_no_row_that_is_not_tested() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in rows] == list(FAULTS)


def main() -> None:
    """Write the page."""
    rows = []
    for name in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(name, Path(folder)))
    PAGE.write_text(HEAD + "\n".join(rows) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--renew"]:
        sys.exit("usage: python -m timegpt_assets_tests.adapters.timegpt.test_fault_matrix --renew")
    main()

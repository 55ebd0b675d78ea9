"""The page of a promotion: who is promoted, what was tried, and nothing of it is markup."""

from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage.trial_store import EARNED, TRIED
from timegpt_assets.core.gates import counted
from timegpt_assets.core.gates.luck import Luck, Trials
from timegpt_assets.reports.promotion import Promoted, page

AS_OF = date(2025, 2, 28)
LUCK = Luck(
    min_observation_days=60, oos_start=None, dsr_gte=0.95, pbo_lte=0.5, pbo_blocks=8, track_record_confidence=0.95,
    trials_in_oos_lte=0,
)  # fmt: skip


def promoted(passed: dict[str, bool], **changes: Any) -> Promoted:
    row = {"forecaster": "timegpt", "gate": "promotion", "criterion": "promoted", "n": 1, "reason": "said <b>so</b>"}
    rows = [row | {"symbol": symbol, "passed": ok, "value": 1.0, "threshold": 1.0} for symbol, ok in passed.items()]
    frame = counted.stamped(rows, "2025-02", AS_OF)
    tried = [("sweep", date(2024, 1, 2), date(2024, 6, 28), "timegpt", name) for name in ("a", "b")]
    trials = Trials(tried=pl.DataFrame(tried, TRIED, orient="row"), days=pl.DataFrame(schema=EARNED))
    about = {"month": "2025-02", "forecaster": "timegpt", "criteria": frame, "verdict": frame, "trials": trials}
    return Promoted(**(about | {"luck": LUCK, "scorecard": None} | changes))


def test_symbols_are_promoted_that_passed_when_the_account_did() -> None:
    assert promoted({"*": True, "AAPL": True, "MSFT": False}).promoted() == ["AAPL"]
    assert promoted({"*": False, "AAPL": True}).promoted() == []
    assert promoted({"AAPL": True}).promoted() == []
    assert promoted({"*": True}).promoted() == []


def test_the_page_says_what_was_tried_and_recorded_and_takes_no_word_for_markup() -> None:
    entry = {"time": "2025-03-03T12:00:00+00:00", "what": "demote", "forecaster": "timegpt", "symbols": ["AAPL"]}
    found = promoted({"*": True, "AAPL": True}).recorded([entry | {"who": "<script>", "why": "spreads"}])
    html = page(found)
    assert "<script>" not in html
    assert "said &lt;b&gt;so&lt;/b&gt;" in html
    for words in ("sweep", "2024-06-28", "demote", "spreads", "No scorecard was given."):
        assert words in html

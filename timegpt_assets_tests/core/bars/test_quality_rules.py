"""When a symbol's day breaks a rule, how grave that is, and in which words it is said."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.bars.quality_rules import OF_FILE, RULES, QualityPolicy, judged, rule_counts

DAY = date(2025, 1, 2)
FACTS = {
    "halted": 0,
    "day": DAY, "symbol": "A", "rows_raw": 390, "rows_expected": 390, "rows_session": 390, "completeness": 1.0,
    "filled": 0, "longest_fill": 0, **{rule.counted: 0 for rule in RULES.values() if rule.counted != "rows_session"},
}  # fmt: skip
FACTS |= {"rows_session": 390, "filled": 0}


def verdict(policy: QualityPolicy | None = None, awaited: tuple[date, ...] = (), **facts: Any) -> tuple[str, str, str]:
    frame = pl.DataFrame([FACTS | facts], schema_overrides={"completeness": pl.Float64})
    row = judged(frame, policy or QualityPolicy(), awaited=awaited).row(0, named=True)
    return row["verdict"], row["rules"], row["reason"]


def test_a_day_of_which_nothing_is_amiss_is_ok() -> None:
    assert verdict() == ("ok", "", "")


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"completeness": 0.95}, ""), ({"completeness": 0.949}, "incomplete"),
        ({"longest_fill": 5}, ""), ({"longest_fill": 6}, "sustained_fill"),
        ({"filled": 19}, ""), ({"filled": 20}, "too_filled"), ({"filled": 1, "rows_expected": 20}, ""),
        ({"zero_volume": 5, "rows_session": 100}, ""), ({"zero_volume": 6, "rows_session": 100}, "zero_volume"),
        ({"zero_volume": 1, "rows_session": 0}, ""),
        ({"shifted_min": -60}, "shifted"), ({"shifted_min": 60}, "shifted"),
        ({"conflicts": 1}, "conflicts"), ({"duplicates": 1}, "duplicates"), ({"wicks": 1}, "wicks"),
        ({"outside": 9, "crosses": 1}, ""),
    ],
)  # fmt: skip
def test_a_rule_is_broken_beyond_its_limit(facts: dict[str, Any], rule: str) -> None:
    found, rules, _ = verdict(**facts)
    assert rules == rule
    assert found == ("ok" if not rule else "warned" if RULES[rule].severity == "warn" else "quarantined")


def test_what_is_said_names_the_count_the_limit_and_the_remedy() -> None:
    assert verdict(rows_session=300, completeness=300 / 390)[2] == (
        "300 of 390 minutes, under 95.0%. Fetch the whole day, name it in events.halts where it was halted, "
        "or lower dq_policy.min_completeness."
    )
    assert verdict(jumps=2, duplicates=3)[2] == (
        "2 one-minute moves beyond 0.5 in log price. Mend the prices named in offending, or raise "
        "dq_policy.max_minute_move where they are real. 3 identical rows dropped. Deliver each row once."
    )
    assert "over 1,000,000,000. Write" in verdict(absurd_volume=1)[2]


def test_a_day_without_rows_is_late_or_has_no_data_unless_its_file_is_at_fault() -> None:
    nothing = {"rows_raw": 0, "rows_session": 0, "completeness": 0.0, "longest_fill": 390, "filled": 390}
    assert verdict(**nothing)[:2] == ("no_data", "")
    assert verdict(awaited=(DAY,), **nothing)[:2] == ("late", "")
    assert "Run the day again" in verdict(awaited=(DAY,), **nothing)[2]
    assert verdict(unreadable=1, **nothing)[:2] == ("quarantined", "unreadable")
    assert verdict(holiday=1, **nothing)[:2] == ("no_data", "holiday")
    assert verdict(awaited=(DAY,), rows_raw=1)[0] == "ok"


def test_a_policy_changes_how_grave_a_rule_is_and_refuses_what_it_does_not_know() -> None:
    assert verdict(QualityPolicy(severity={"conflicts": "warn"}), conflicts=1)[:2] == ("warned", "conflicts")
    assert verdict(QualityPolicy(severity={"conflicts": "ignore"}), conflicts=1)[:2] == ("ok", "")
    assert verdict(QualityPolicy(severity={"outside": "fail"}), outside=1)[:2] == ("quarantined", "outside")
    for unknown in ({"severity": {"x": "warn"}}, {"severity": {"split": "x"}}, {"wicks": "x"}, {"auction_open": "x"}):
        with pytest.raises(ValueError, match="is unknown; write one"):
            QualityPolicy(**unknown)  # type: ignore[arg-type]


def test_rules_count_days_and_what_they_count_there() -> None:
    rows = [FACTS | {"shifted_min": 60}, FACTS | {"symbol": "B", "shifted_min": -60}, FACTS | {"symbol": "C"}]
    counted = rule_counts(pl.DataFrame(rows), QualityPolicy())
    assert counted["rule"].to_list() == list(RULES)
    shifted = counted.filter(rule="shifted").select("severity", "days", "rows", "first").row(0)
    assert shifted == ("quarantine", 2, 120, "2025-01-02 A")
    assert counted.filter(rule="split").select("days", "rows", "first").row(0) == (0, 0, None)


def test_the_rules_of_files_and_which_rows_others_blame() -> None:
    assert OF_FILE == ("unreadable", "oversized", "columns", "foreign", "timeless", "other_month", "holiday")
    rows = pl.DataFrame({"row_class": ["broken", "conflict", "off_minute", "duplicate", "auction", "outside"]})
    named = ("impossible", "conflicts", "off_minute", "duplicates", "auction", "outside")
    blames = [rows.select(RULES[name].offending).to_series().arg_true().to_list() for name in named]  # type: ignore[arg-type]
    assert blames == [[n] for n in range(6)]

"""What verdicts come to: a clerk who counts row by row agrees, and what the real sets hold is told correctly."""

import json
import math
from datetime import date, timedelta
from itertools import pairwise
from statistics import median

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.quality_report import absences, dq_report, hard_violations, missing_minutes
from timegpt_assets.core.bars.quality_rules import RULES, QualityPolicy, rule_counts
from timegpt_assets_tests.core.bars.bars_factory import DAYS, keys_of, needs_real_data, raw_bars, real_raw, without

POLICY = QualityPolicy(max_minute_volume=90_000, outlier_z=8.0, max_minute_move=0.05, max_wick=0.0004, wick_moves=0.3)
Row = dict[str, object]


def judged(raw: pl.DataFrame, policy: QualityPolicy = POLICY, keys: pl.DataFrame | None = None) -> pl.DataFrame:
    keys = keys_of(raw) if keys is None else keys
    days = keys["day"].unique().sort().to_list()
    closes = session_grid.previous_closes(raw, days=days)
    return session_grid.quality(raw, keys=keys, sessions=calendar.sessions_frame(days), policy=policy, closes=closes)


def clerk(rows: list[Row], day: date, policy: QualityPolicy) -> dict[str, object]:
    """Count one (day, symbol) with a pencil, from its rows as delivered."""
    session, counts = calendar.session(day), dict.fromkeys(("outside", "off_minute", "broken_ohlc", "duplicates",
        "conflicts", "crosses", "zero_volume", "absurd_volume", "unsorted"), 0)  # fmt: skip
    ordered = sorted(rows, key=lambda row: (row["ts"], row["row"]))
    counts["unsorted"] = sum(b["row"] < a["row"] for a, b in pairwise(ordered))
    first: dict[object, Row] = {}
    early = session.open - timedelta(minutes=1)
    extended = any(row["ts"] < early or row["ts"] > session.close for row in rows)
    for row in ordered:
        crosses = row["ts"] == early and not extended
        prices = [row[name] for name in ("open", "high", "low", "close")]
        if not (crosses or session.open <= row["ts"] < session.close):
            counts["outside"] += 1
        elif row["ts"].second or row["ts"].microsecond:
            counts["off_minute"] += 1
        elif (
            any(p is None or not math.isfinite(p) or p <= 0 for p in prices)
            or row["volume"] < 0
            or (row["low"] > min(prices) or row["high"] < max(prices))
        ):
            counts["broken_ohlc"] += 1
        elif row["ts"] in first:
            same = all(row[name] == first[row["ts"]][name] for name in ("open", "high", "low", "close", "volume"))
            counts["duplicates" if same else "conflicts"] += 1
        else:
            first[row["ts"]] = row
            counts["crosses"] += crosses
            counts["zero_volume"] += row["volume"] == 0
            counts["absurd_volume"] += row["volume"] > policy.max_minute_volume
    printed = [row for ts, row in first.items() if ts >= session.open]
    minutes = {max(ts, session.open) for ts in first}
    moves = [math.log(b["close"] / a["close"]) for a, b in pairwise(printed)]
    middle = median(moves) if moves else 0.0
    price = median([row["close"] for row in printed]) if printed else 1.0
    tick = math.log1p((policy.tick_size if price >= 1 else policy.tick_size / 100) / price)
    spread = max(tick, median([abs(move - middle) for move in moves])) if moves else tick
    gaps = [*sorted(minutes), session.close]
    holes = [(b - a) // timedelta(minutes=1) - 1 for a, b in zip([session.open - timedelta(minutes=1), *gaps], gaps,
        strict=False)]  # fmt: skip
    return counts | {
        "rows_raw": len(rows),
        "rows_session": len(minutes),
        "filled": session.minutes - len(minutes),
        "longest_fill": max(holes),
        "jumps": sum(abs(move) > policy.max_minute_move for move in moves),
        "outliers": sum(abs(m - middle) > policy.outlier_z * 1.4826 * spread for m in moves),
        "wicks": sum(
            is_wick(printed[max(0, n - 30) : n + 1], first=n == 0, policy=policy) for n in range(len(printed))
        ),
    }


def is_wick(last: list[Row], *, first: bool, policy: QualityPolicy) -> bool:
    """Judge the last of some minutes by its own close, the one before and the moves so far."""
    row, before = last[-1], last[-2] if len(last) > 1 else last[-1]
    moved = [abs(math.log(b["close"] / a["close"])) for a, b in pairwise(last)]
    far = max(policy.max_wick, policy.wick_moves * (policy.max_wick if first else max(moved)))
    above = math.log(row["high"] / max(row["close"], before["close"]))
    below = math.log(min(row["close"], before["close"]) / row["low"])
    return max(above, below) > far


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kept=st.floats(0.5, 1.0))
def test_facts_equal_those_of_a_clerk_with_a_pencil(seed: int, kept: float) -> None:
    raw = raw_bars(days=DAYS[1:3], symbols=["AAA", "BBB"])
    some = raw.sample(n=12, seed=seed)
    moved = pl.col("close") * 1.1
    messy = pl.concat([
        raw.sample(fraction=kept, seed=seed),
        some[:2].with_columns(pl.col("row") + 10_000),
        some[2:4].with_columns(pl.col("row") + 20_000, close=moved, high=moved),
        some[4:6].with_columns(pl.col("row") + 30_000, ts=pl.col("ts") + timedelta(seconds=9)),
        some[6:8].with_columns(pl.col("row") + 40_000, low=-pl.col("low")),
        some[8:10].with_columns(pl.col("row") + 50_000, ts=pl.col("ts") - timedelta(hours=8)),
        some[10:].with_columns(pl.col("row") + 60_000, volume=pl.lit(0.0)),
        raw.filter(pl.col("ts") == calendar.session(DAYS[1]).open).with_columns(pl.col("row") + 70_000,
            ts=pl.col("ts") - timedelta(minutes=1)),
    ])  # fmt: skip
    quality = judged(messy)
    for row in quality.iter_rows(named=True):
        own = messy.filter(pl.col("day") == row["day"], pl.col("symbol") == row["symbol"])
        told = clerk(own.rows(named=True), row["day"], POLICY)
        assert {name: row[name] for name in told} == told


def test_the_gap_is_measured_from_the_last_close_of_the_session_before_and_of_no_other() -> None:
    raw = without(raw_bars(), "AAA", DAYS[1], range(380, 390))
    quality = judged(raw, QualityPolicy()).filter(symbol="AAA").sort("day")
    for before, day, row in zip(DAYS, DAYS[1:], quality[1:].rows(named=True), strict=False):
        last = raw.filter(pl.col("day") == before, pl.col("symbol") == "AAA").sort("ts")["close"][-1]
        first = raw.filter(pl.col("day") == day, pl.col("symbol") == "AAA").sort("ts")["open"][0]
        assert row["previous_close"] == last
        assert math.isclose(row["gap"], math.log(first / last), abs_tol=1e-12)
    assert quality["previous_close"][0] is None
    assert quality["verdict"][0] == "ok", "without a close before, no split is seen"


def test_sessions_without_rows_are_told_as_runs_with_their_kind() -> None:
    raw = raw_bars(symbols=["AAA", "BBB", "CCC", "DDD"])
    absent = {"AAA": DAYS[2:], "BBB": DAYS[:1], "CCC": DAYS[1:2], "DDD": DAYS}
    gone = pl.any_horizontal(*((pl.col("symbol") == s) & pl.col("day").is_in(list(d)) for s, d in absent.items()))
    runs = absences(judged(raw.filter(~gone), QualityPolicy(), keys=keys_of(raw)))
    assert runs.rows() == [
        ("AAA", DAYS[2], DAYS[3], 2, "ends_early"),
        ("BBB", DAYS[0], DAYS[0], 1, "late_start"),
        ("CCC", DAYS[1], DAYS[1], 1, "gap"),
        ("DDD", DAYS[0], DAYS[3], 4, "never"),
    ]


def test_the_report_is_plain_json_counts_every_rule_and_fails_on_hard_violations_only() -> None:
    raw = without(raw_bars(), "AAA", DAYS[1], range(100, 140))
    other = raw.filter(pl.col("symbol") == "BBB").head(1).with_columns(pl.col("row") + 1, pl.col("volume") + 1)
    soft, hard = judged(raw, QualityPolicy()), judged(pl.concat([raw, other]), QualityPolicy())
    report = json.loads(json.dumps(dq_report(hard, QualityPolicy())))
    assert [rule["rule"] for rule in report["rules"]] == list(RULES)
    assert (dq_report(soft, QualityPolicy())["passed"], report["passed"]) == (True, False)
    assert hard_violations(hard, QualityPolicy())["rule"].to_list() == ["conflicts"]
    assert report["verdicts"] == {"ok": 10, "quarantined": 2}
    found = {row["symbol"]: row for row in report["findings"]}
    assert found["BBB"]["rules"] == ["conflicts", "unsorted"][: len(found["BBB"]["rules"])]
    assert found["BBB"]["offending"][0]["rule"] == "conflicts"
    assert found["AAA"]["rules"] == ["incomplete", "sustained_fill", "too_filled"]


@needs_real_data
def test_the_set_of_2018_is_told_correctly() -> None:
    quality = judged(real_raw("us_large_cap_2018"), QualityPolicy())
    counts = {row["rule"]: (row["days"], row["rows"]) for row in rule_counts(quality, QualityPolicy()).to_dicts()}
    assert dict(quality["verdict"].value_counts().iter_rows()) == {
        "ok": 2736,
        "warned": 14,
        "quarantined": 3,
        "no_data": 63,
    }
    assert counts["auction"] == (1941, 1941), "rows stamped 09:29: the opening cross, merged into the first minute"
    assert quality["auction"].sum() == 1932, "in nine of them the cross is all that the first minute has"
    broken = {"incomplete", "too_filled", "outliers", "wicks", "auction"}
    assert {name for name, (days, _) in counts.items() if days} == broken
    assert counts["wicks"] == (9, 9), "lone lows and highs of 1 to 2.8 %, gone by the close of their minute"
    assert absences(quality).rows() == [
        ("CPN", date(2018, 3, 9), date(2018, 4, 20), 30, "ends_early"),
        ("JUNO", date(2018, 3, 6), date(2018, 4, 20), 33, "ends_early"),
    ]
    bad = quality.filter(verdict="quarantined").sort("day").select("day", "symbol", "filled").rows()
    assert bad == [
        (date(2018, 2, 26), "CPN", 21), (date(2018, 3, 7), "CPN", 35), (date(2018, 4, 18), "GOOGL", 22),
    ]  # fmt: skip


@needs_real_data
def test_the_set_of_2025_lacks_seven_minutes_of_meta_and_has_two_lone_prints_and_nothing_else() -> None:
    quality = judged(real_raw("mag7_spy_2025"), QualityPolicy())
    assert missing_minutes(quality).rows() == [("META", 5, 7)]
    assert rule_counts(quality, QualityPolicy()).filter(pl.col("days") > 0).select("rule", "rows").rows() == [
        ("wicks", 2)
    ]
    lone = quality.filter(pl.col("wicks") > 0).sort("day").select("day", "symbol").rows()
    assert lone == [(date(2025, 1, 10), "NVDA"), (date(2025, 2, 28), "AAPL")], "139.92 at 137, and 230.20 at 235.5"


def test_sessions_before_the_first_day_of_the_data_count_nowhere_but_as_outside() -> None:
    raw = raw_bars().filter(pl.col("day") >= DAYS[2])
    quality = judged(raw, QualityPolicy(), keys=keys_of(raw_bars()))
    assert dq_report(quality, QualityPolicy())["verdicts"] == {"no_data": 6, "ok": 6}
    report = dq_report(quality, QualityPolicy(), since=DAYS[2])
    assert (report["outside"], report["symbol_days"], report["verdicts"]) == (6, 6, {"ok": 6})
    assert (report["absences"], report["first_day"], report["passed"]) == ([], str(DAYS[2]), True)
    late = dq_report(quality, QualityPolicy(), since=DAYS[1])
    assert (late["outside"], late["absences"][0]["kind"]) == (3, "late_start")
    broken = quality.with_columns(rules=pl.lit("unreadable"))
    assert dq_report(broken, QualityPolicy(), since=DAYS[2])["outside"] == 0, "a file at fault is never outside"


def test_a_symbol_without_a_missing_minute_is_not_told_of() -> None:
    quality = judged(without(raw_bars(), "BBB", DAYS[1], range(40, 43)), QualityPolicy())
    assert missing_minutes(quality).rows() == [("BBB", 1, 3)]
    assert dq_report(quality, POLICY)["version"] == 1

"""Every rule's remedy helps: done as its message says, the rule is broken no more; settings it names exist."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.market.limits import Limits
from timegpt_assets.adapters.market.market_data import LocalMarketData
from timegpt_assets.config.schema import field_at
from timegpt_assets.core.bars.quality_rules import RULES, QualityPolicy
from timegpt_assets.core.bars.vendor_columns import Reading
from timegpt_assets_tests.bad_files import CASES_BY_NAME as CASES
from timegpt_assets_tests.bad_files import DAY, Bad, month
from timegpt_assets_tests.test_bad_files import judged, laid_out, objects

Frame = Callable[[pl.DataFrame], pl.DataFrame]


def nothing(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows as they are: the remedy is a setting."""
    return frame


def usual(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a good file."""
    return month("AAA", CASES["extra column"].days)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What was done about a case: to the rows of the file, or to the settings."""

    case: str
    rows: Frame = nothing
    policy: dict[str, object] = field(default_factory=dict)
    settings: Sequence[str] = ()
    reading: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)


def unique(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the first row of each minute."""
    return frame.unique("ts", keep="first", maintain_order=True)


ALL: dict[str, Sequence[Done]] = {
    "unreadable": [Done(case="truncated parquet", rows=usual)],
    "oversized": [
        Done(case="more rows than a month can have", limits=Limits(rows=2_000_000), settings=["data.limits"]),
    ],
    "columns": [Done(case="strings for prices", rows=usual)],
    "foreign": [Done(case="one row of another ticker", rows=lambda f: f.filter(pl.col("symbol") == "AAA"))],
    "timeless": [Done(case="rows without a time", rows=usual)],
    "other_month": [Done(case="two years mixed in one month file", rows=lambda f: f.filter(
        pl.col("ts").dt.year() == 2025))],
    "holiday": [Done(case="holiday with prints", rows=usual)],
    "shifted": [
        Done(case="wall-clock times taken for UTC", reading=Reading(zone="America/New_York"),
            settings=["data.timezone"]),
        Done(case="extended hours, an hour early", rows=lambda f: f.with_columns(pl.col("ts").dt.offset_by("1h"))),
    ],
    "incomplete": [
        Done(case="half of the session", rows=usual),
        Done(case="half of the session", policy={"halts": {("AAA", DAY)}}, settings=["events.halts"]),
        Done(case="half of the session", policy={"min_completeness": 0.5}, settings=["dq_policy.min_completeness"]),
    ],
    "impossible": [Done(case="NaN price", rows=lambda f: f.drop_nans())],
    "absurd_volume": [
        Done(case="absurd volume", rows=usual),
        Done(case="absurd volume", policy={"max_minute_volume": 1e10}, settings=["dq_policy.max_minute_volume"]),
    ],
    "absurd_price": [
        Done(case="fixed-point prices", rows=lambda f: f.with_columns(pl.col("open", "high", "low", "close") / 1e9)),
        Done(case="fixed-point prices", policy={"max_price": 1e13}, settings=["dq_policy.max_price"]),
    ],
    "conflicts": [Done(case="conflicting rows", rows=unique)],
    "off_minute": [Done(case="stamps that are no whole minute", rows=lambda f: f.with_columns(
        pl.col("ts").dt.truncate("1m")))],
    "jump": [
        Done(case="ten times the price within the day", rows=usual),
        Done(case="ten times the price within the day", policy={"max_minute_move": 3.0},
            settings=["dq_policy.max_minute_move"]),
    ],
    "split": [
        Done(case="two for one, not adjusted", policy={"splits": {("AAA", DAY): 2.0}}, settings=["events.splits"]),
        Done(case="two for one, not adjusted", policy={"splits": {("AAA", DAY): 1.0}}, settings=["events.splits"]),
    ],
    "overnight": [
        Done(case="six and a half times the price from one day on", rows=usual),
        Done(case="six and a half times the price from one day on", policy={"splits": {("AAA", DAY): 1.0}},
            settings=["events.splits"]),
    ],
    "sustained_fill": [
        Done(case="six minutes in a row missing", rows=usual),
        Done(case="six minutes in a row missing", policy={"sustained_fill_run": 6},
            settings=["dq_policy.sustained_ffill_run"]),
        Done(case="six minutes in a row missing", policy={"halts": {("AAA", DAY)}}, settings=["events.halts"]),
    ],
    "too_filled": [
        Done(case="every tenth minute missing", rows=usual),
        Done(case="every tenth minute missing", policy={"halts": {("AAA", DAY)}}, settings=["events.halts"]),
        Done(case="every tenth minute missing", policy={"max_fill_share": 0.1}, settings=["dq_policy.max_fill_share"]),
    ],
    "duplicates": [Done(case="identical rows", rows=unique)],
    "unsorted": [Done(case="unsorted", rows=lambda f: f.sort("ts"))],
    "outliers": [
        Done(case="a spike", rows=usual),
        Done(case="a spike", policy={"outlier_z": 1e3}, settings=["dq_policy.outlier_z"]),
    ],
    "wicks": [
        Done(case="a lone high", rows=usual),
        Done(case="a lone high", policy={"max_wick": 0.2}, settings=["dq_policy.max_wick"]),
    ],
    "zero_volume": [
        Done(case="a day without volume", rows=usual),
        Done(case="a day without volume", policy={"max_zero_volume_share": 1.0},
            settings=["dq_policy.max_zero_volume_share"]),
    ],
    "auction": [
        Done(case="the opening cross", policy={"auction_open": "drop", "auction_close": "drop"},
            settings=["dq_policy.auction_open"]),
    ],
    "outside": [Done(case="the closing cross", rows=usual)],
}  # fmt: skip


def broken(root: Path, bad: Bad, done: Done) -> set[str]:
    """Return the rules, also those ignored by default, that the case still breaks on its days when that is done."""
    source = laid_out(root, bad)
    policy = QualityPolicy(**{"severity": {"auction": "warn", "outside": "warn"}} | done.policy)  # type: ignore[arg-type]
    if done.rows is not nothing:
        for path in (objects(root, "AAA", first) for first in {day.replace(day=1) for day in bad.days}):
            frame = usual(pl.DataFrame()) if done.rows is usual else done.rows(pl.read_parquet(path))
            path.unlink() if path.is_file() else None
            frame.write_parquet(path)
    reading = LocalMarketData(source.root, reading=done.reading, limits=done.limits)
    found = judged(reading, bad.days, policy).filter(symbol="AAA").filter(pl.col("day").is_in(bad.hit))
    return {rule for text in found["rules"] for rule in text.split(",")}


@pytest.mark.parametrize("rule", RULES)
def test_the_remedy_of_a_rule_ends_it(tmp_path: Path, rule: str) -> None:
    for n, done in enumerate(ALL[rule]):
        bad = CASES[done.case]
        assert rule in broken(tmp_path / f"{n}-before", bad, Done(case=done.case)), "the case breaks the rule"
        assert rule not in broken(tmp_path / f"{n}-after", bad, done)


@pytest.mark.parametrize("rule", RULES)
def test_every_setting_a_remedy_names_exists_and_is_tried(rule: str) -> None:
    named = set(re.findall(r"\b(?:dq_policy|data|events|forecast)\.\w+", RULES[rule].remedy))
    for setting in named:
        assert field_at(tuple(setting.split("."))) is not None, setting
    assert named == {setting for done in ALL[rule] for setting in done.settings}


@pytest.mark.parametrize("rule", RULES)
def test_a_message_ends_with_the_remedy_of_its_rule(tmp_path: Path, rule: str) -> None:
    bad = CASES[ALL[rule][0].case]
    policy = QualityPolicy(severity={"auction": "warn", "outside": "warn"})
    quality = judged(laid_out(tmp_path, bad), bad.days, policy).filter(symbol="AAA")
    (reason, *_) = quality.filter(pl.col("day").is_in(bad.hit))["reason"]
    said = [words for words in RULES[rule].words.split("{}") if words.strip() and "{" not in words]
    assert f". {RULES[rule].remedy}." in reason
    assert all(words.strip() in reason for words in said)

"""Each bad file gets the verdict it must, by rule, symbol, day and rows, and nobody else's changes."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.market import market_data
from timegpt_assets.adapters.market.market_data import LocalMarketData, MarketDataError
from timegpt_assets.adapters.market.month_file import MonthFile
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.quality_rules import RULES, QualityPolicy
from timegpt_assets.core.bars.vendor_columns import Reading
from timegpt_assets.core.tables.bars import QUALITY
from timegpt_assets_tests.bad_files import BAD, DAY, DAYS, Bad, month
from timegpt_assets_tests.bad_files import CASES_BY_NAME as CASES

POLICY = QualityPolicy()


def objects(root: Path, symbol: str, month: object) -> Path:
    path = root / f"stocks/1m/{symbol}/{month:%Y}/{symbol}_{month:%Y_%m}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def laid_out(root: Path, bad: Bad) -> LocalMarketData:
    """Write AAA as the case says and BBB as it should be, and return the source."""
    for symbol in ("AAA", "BBB"):
        frame = month(symbol, bad.days)
        by_month = frame.group_by(pl.col("ts").dt.truncate("1mo"), maintain_order=True)
        for (first,), part in by_month:
            path = objects(root, symbol, first)
            (bad.frame(part) if symbol == "AAA" else part).write_parquet(path, row_group_size=1000)
            if symbol == "AAA":
                bad.file(path)
    return LocalMarketData(root)


def judged(source: LocalMarketData, days: object, policy: QualityPolicy = POLICY) -> pl.DataFrame:
    """Return the verdicts of AAA and BBB, by the road the assets take."""
    found = source.delivery(["AAA", "BBB"], days)
    keys = pl.DataFrame({"day": list(days)}).join(pl.DataFrame({"symbol": ["AAA", "BBB"]}), how="cross")
    closes = session_grid.previous_closes(found.bars, days=days)
    sessions = calendar.sessions_frame(days)
    known = {"keys": keys, "sessions": sessions, "policy": policy, "faults": found.faults, "closes": closes}
    quality = session_grid.quality(found.bars, **known)
    grid = session_grid.grid(found.bars, quality, sessions=sessions, policy=policy)
    usable = quality.filter(pl.col("verdict").is_in(["ok", "warned"]))
    assert grid.height == usable["rows_expected"].sum()
    return quality


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_gets_its_verdict_by_rule_symbol_day_and_rows(tmp_path: Path, name: str) -> None:
    bad = CASES[name]
    quality = judged(laid_out(tmp_path, bad), bad.days)
    assert QUALITY.errors(quality) == []
    of_aaa = quality.filter(symbol="AAA")
    hit = of_aaa.filter(pl.col("day").is_in(bad.hit))
    assert hit.height == len(bad.hit)
    assert hit["rules"].unique().to_list() == [bad.rules]
    assert hit["verdict"].unique().to_list() == [bad.verdict]
    if bad.counted:
        assert hit[bad.counted].unique().to_list() == [bad.rows]
    assert {len(json.loads(text)) for text in hit["offending"]} == {bad.blamed}
    others = pl.concat([of_aaa.filter(~pl.col("day").is_in(bad.hit)), quality.filter(symbol="BBB")])
    assert others["verdict"].unique().to_list() == ["ok"]
    assert others["rules"].unique().to_list() == [""]


def test_there_are_cases_enough_and_every_rule_has_one() -> None:
    assert len(CASES) == len(BAD) > 60
    said = {rule for bad in BAD for rule in bad.rules.split(",")} | {bad.counted for bad in BAD}
    assert [name for name, rule in RULES.items() if name not in said and rule.counted not in said] == []


def test_offending_rows_are_named_by_place_and_time_and_capped(tmp_path: Path) -> None:
    quality = judged(laid_out(tmp_path, CASES["identical rows"]), DAYS, QualityPolicy(max_offenders=1))
    row = quality.row(by_predicate=(pl.col("symbol") == "AAA") & (pl.col("day") == DAY), named=True)
    at = calendar.session(DAY).open + timedelta(minutes=100)
    assert json.loads(row["offending"]) == [
        {"rule": "duplicates", "row": 2 * 390 + 101, "ts": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    ]
    assert row["duplicates"] == 2


def test_a_named_split_frees_its_day_and_one_named_wrongly_does_not(tmp_path: Path) -> None:
    source = laid_out(tmp_path, CASES["two for one, not adjusted"])
    verdicts = {
        ratio: judged(source, DAYS, QualityPolicy(splits={("AAA", DAY): ratio})).filter(symbol="AAA", day=DAY)
        for ratio in (2.0, 4.0, 1.0, 1.7)
    }
    assert {ratio: rows["verdict"][0] for ratio, rows in verdicts.items()} == {
        2.0: "ok", 4.0: "quarantined", 1.0: "ok", 1.7: "ok",
    }  # fmt: skip
    assert abs(verdicts[2.0]["gap"][0]) < 0.01
    assert verdicts[2.0]["split"][0] == 2.0


def test_a_split_named_where_the_bars_are_adjusted_already_is_found(tmp_path: Path) -> None:
    source = laid_out(tmp_path, CASES["extra column"])
    quality = judged(source, DAYS, QualityPolicy(splits={("AAA", DAY): 2.0}))
    assert quality.filter(symbol="AAA", day=DAY).select("verdict", "rules").rows() == [("quarantined", "split")]


def test_a_session_without_rows_is_late_while_its_bars_are_awaited_and_no_data_then(tmp_path: Path) -> None:
    assert calendar.deadline(date(2025, 1, 16), 0) == datetime(2025, 1, 16, 21, tzinfo=UTC)
    assert calendar.deadline(date(2025, 1, 16), 2) == datetime(2025, 1, 21, 21, tzinfo=UTC), "a weekend and a holiday"
    keys = pl.DataFrame({"day": DAYS[-2:], "symbol": ["AAA", "AAA"]})
    found = LocalMarketData(tmp_path).delivery(["AAA"], DAYS[-2:]).bars
    known = {"keys": keys, "sessions": calendar.sessions_frame(DAYS), "policy": POLICY}
    quality = session_grid.quality(found, awaited=[DAYS[-1]], **known)
    assert quality["verdict"].to_list() == ["no_data", "late"]
    told = [reason.partition(".")[0] for reason in quality["reason"]]
    assert told == ["the source has no rows", "the source has no rows yet"]


class Replaced:
    """A month file that is replaced by another while it is read, so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, times: int) -> None:
        self.readings, self.path, self.times, self.read = 0, path, times, MonthFile.delivery
        monkeypatch.setattr(MonthFile, "delivery", lambda file, *asked: self.delivery(file, *asked))

    def delivery(self, file: MonthFile, *asked: object) -> object:
        found = self.read(file, *asked)
        self.readings += 1
        if self.readings <= self.times:
            fresh = self.path.with_suffix(".new")
            frame = pl.read_parquet(self.path).with_columns(volume=pl.lit(float(self.readings)))
            frame.write_parquet(fresh)
            os.replace(fresh, self.path)  # noqa: PTH105 - what a writer does
        return found


def test_a_file_replaced_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = laid_out(tmp_path, CASES["extra column"])
    replaced = Replaced(monkeypatch, objects(tmp_path, "AAA", DAY), times=1)
    found = source.delivery(["AAA"], DAYS)
    assert replaced.readings == 2
    assert found.bars["volume"].unique().to_list() == [1.0], "every row is of the newer file"
    assert found.faults.is_empty()


def test_a_file_that_never_rests_is_told_and_no_row_of_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = laid_out(tmp_path, CASES["extra column"])
    Replaced(monkeypatch, objects(tmp_path, "AAA", DAY), times=99)
    quality = judged(source, DAYS)
    assert quality.filter(symbol="AAA")["rules"].unique().to_list() == ["unreadable"]
    assert "is being written" in quality.filter(symbol="AAA")["detail"][0]
    assert market_data.ATTEMPTS == 3


@pytest.mark.parametrize("symbol", ["../AAA", "..", "A/B", "A\\B", ""])
def test_a_ticker_that_is_a_path_stops_the_run_with_the_remedy(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(MarketDataError, match=r"is no ticker.*Mend the universe"):
        LocalMarketData(tmp_path).delivery([symbol], DAYS)


@pytest.mark.parametrize("spelled", ["BRK.B", "BRK/B", "brk-b", "BRK B"])
def test_a_share_class_is_found_however_the_vendor_spells_it(tmp_path: Path, spelled: str) -> None:
    frame = month("BRK.B", DAYS).with_columns(symbol=pl.lit(spelled))
    frame.write_parquet(objects(tmp_path, "BRK.B", DAY))
    found = LocalMarketData(tmp_path).delivery(["BRK.B"], DAYS)
    assert found.faults.is_empty()
    assert found.bars["symbol"].unique().to_list() == ["BRK.B"]
    assert found.bars.height == 6 * 390


@pytest.mark.parametrize("stamp", ["start", "end"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin"])
def test_naive_stamps_of_either_end_in_any_zone_are_the_same_bars(tmp_path: Path, stamp: str, zone: str) -> None:
    frame = month("AAA", DAYS)
    local = pl.col("ts").dt.offset_by("1m" if stamp == "end" else "0m").dt.convert_time_zone(zone)
    frame.with_columns(local.dt.replace_time_zone(None)).write_parquet(objects(tmp_path, "AAA", DAY))
    found = LocalMarketData(tmp_path, reading=Reading(stamp=stamp, zone=zone)).delivery(["AAA"], DAYS)
    assert found.bars["ts"].to_list() == frame["ts"].to_list()
    assert found.faults.is_empty()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String])
def test_epochs_of_any_unit_are_the_same_bars(tmp_path: Path, unit: str, dtype: type[pl.DataType]) -> None:
    frame = month("AAA", DAYS)
    frame.with_columns(pl.col("ts").dt.epoch(unit).cast(dtype)).write_parquet(objects(tmp_path, "AAA", DAY))
    found = LocalMarketData(tmp_path).delivery(["AAA"], DAYS)
    assert found.bars["ts"].to_list() == frame["ts"].to_list()


def test_rows_of_another_ticker_are_left_out_even_where_they_only_warn(tmp_path: Path) -> None:
    source = laid_out(tmp_path, CASES["one row of another ticker"])
    quality = judged(source, DAYS, QualityPolicy(severity={"foreign": "warn"})).filter(symbol="AAA", day=DAY)
    assert quality.select("verdict", "foreign", "rows_raw", "rows_session").rows() == [("warned", 1, 389, 389)]

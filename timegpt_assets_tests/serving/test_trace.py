"""A row leads to the request and the bytes it was made from, and to its bars."""

from pathlib import Path

import orjson
import polars as pl
import pytest

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.config.addresses import host
from timegpt_assets.core.lineage import path_to_bars
from timegpt_assets.serving.question import ReadingError
from timegpt_assets_tests.read_house import ReadHouse


def request(trace: pl.DataFrame) -> dict[str, str]:
    return trace.row(by_predicate=pl.col("what") == "request", named=True)


def test_a_paid_forecast_leads_to_its_request_and_to_the_bytes_that_were_answered(read_house: ReadHouse) -> None:
    house = read_house.open()
    row = house.forecasts(forecaster="timegpt").head(1).collect()
    found = request(house.trace(row))
    assert found["id"] == row["request_hash"].item()
    file = Path(found["lies_at"])
    assert file.is_file()
    assert file.name == f"{found['id']}.zst"
    cache = ForecastCache(LocalStore(read_house.folder / "artifacts" / "forecast_cache"))
    stored = cache.read(row["host"].item(), found["id"])
    assert stored is not None
    assert "mean" in orjson.loads(stored.body)


def test_every_line_is_a_record_that_is_there_and_the_last_is_the_source(read_house: ReadHouse) -> None:
    house = read_house.open()
    for table in (house.forecasts, house.portfolio, house.comparison, house.bars, house.report):
        row = table().head(1).collect()
        trace = house.trace(row)
        records = LineageStore(LocalStore(read_house.root)).records()
        path = path_to_bars(records, row["lineage_id"].item())
        assets = trace.filter(~pl.col("what").is_in(["request", "source of the bars"]))
        assert list(zip(assets["what"], assets["id"], strict=True)) == [(one.asset, one.lineage_id) for one in path]
        assert trace["what"].to_list()[-1] == "source of the bars"
        assert trace["made_by"].to_list()[-1] == "synthetic"
        assert assets["lies_at"].drop_nulls().map_elements(lambda at: Path(at).is_file(), pl.Boolean).all()


def test_the_bars_of_a_row_are_named_by_the_digest_of_what_was_delivered(read_house: ReadHouse) -> None:
    house = read_house.open()
    row = house.trades(symbols="META").head(1).collect()
    day = row["day"].item()
    quality = house.quality_report(day, day, symbols="META").collect()
    assert house.trace(row)["id"].to_list()[-1] == quality["content"].item()


def test_a_trade_leads_to_the_request_of_its_forecast_and_a_free_one_says_that_nobody_was_asked(read_house: ReadHouse):
    house = read_house.open()
    trade = house.trades(forecaster="timegpt").head(1).collect().row(0, named=True)
    of = house.forecasts(trade["day"], trade["day"], trade["symbol"], "timegpt").filter(
        snapshot_ts=trade["snapshot_ts"]
    )
    assert request(house.trace(trade))["id"] == of.collect()["request_hash"].item()
    free = house.trace(house.forecasts(forecaster="ridge").head(1).collect())
    assert request(free)["lies_at"] == "nobody was asked: it was answered on this machine"
    names = free["what"].to_list()
    assert names.index("request") == names.index("forecasts/base_answers") + 1


def test_an_answer_that_is_not_in_the_cache_and_an_edited_record_are_said(
    read_house: ReadHouse, tmp_path: Path
) -> None:
    house = read_house.open()
    row = house.forecasts(forecaster="timegpt").head(1).collect().row(0, named=True)
    gone = request(house.trace(row | {"request_hash": "0" * 64}))
    assert gone["lies_at"].startswith(f"not among the answers of {host('http://' + row['host'])} in ")
    record = read_house.root / "lineage" / f"{row['lineage_id']}.json"
    (tmp_path / "lineage").mkdir()
    (tmp_path / "lineage" / record.name).write_text(record.read_text().replace("0.1.0", "9.9.9"))
    with pytest.raises(ReadingError, match="or it was edited"):
        read_house.open(tmp_path).trace(row)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["lineage", record.name]), "nothing is set aside"

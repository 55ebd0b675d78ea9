"""The verb explain where forecasts stand on news: the events behind them down to their bytes, and what was missing."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.features import PANEL
from timegpt_assets.core.tables.models import ATTRIBUTION
from timegpt_assets.core.tables.news import EVENT_ATTRIBUTION, NORMALIZED_NEWS, SCORED_NEWS
from timegpt_assets_tests.cli.test_explaining import ABOUT, DAY, OTHERS, House

AT = ABOUT["snapshot_ts"]
TITLE = "A maker of telephones finds more of them sold"
BODY = b'{"title": "A maker of telephones finds more of them sold"}'
EVENT = "e1" * 32


def stored(store: ParquetStore, asset: str, frame: pl.DataFrame, **options: Any) -> None:
    store.write(asset, DAY, frame, **options)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    store = ParquetStore(LocalStore(tmp_path))
    kept = RawStore(LocalStore(tmp_path)).keep(
        "own", "a file", BODY, day=date(2025, 4, 2), fetched_at=datetime(2025, 4, 3, tzinfo=UTC), status=200
    )
    rows = [
        ABOUT | {"rank": 1, "feature": "news_headline_count_30m", "value": 2.0, "contribution": 0.25},
        ABOUT | {"rank": 2, "feature": "ret_15m", "value": 0.001, "contribution": -0.1},
        ABOUT | OTHERS | {"rank": 3, "contribution": 0.0},
    ]
    stored(store, "models/attribution", ATTRIBUTION.conformed(pl.DataFrame(rows, schema=ATTRIBUTION.schema)))
    about = {"day": date(2025, 4, 2), "symbol": "AAPL", "snapshot_ts": AT, "feature": "news_headline_count_30m"}
    behind = [
        about | {"event_id": EVENT, "weight": 0.5, "tier": 2, "age_min": 4.0},
        about | {"event_id": "*", "weight": 0.5, "tier": None, "age_min": None},
    ]
    frame = pl.DataFrame(behind, schema=EVENT_ATTRIBUTION.schema)
    stored(store, "news/event_attribution", frame, keys=["AAPL"], facts={"AAPL": {}})
    event = {"day": date(2025, 4, 2), "event_id": EVENT, "source": "own", "type": "headline", "title": TITLE}
    event |= {"known_at": datetime(2025, 4, 2, 13, 56, tzinfo=UTC), "url": "https://example.org/1", "tickers": ["AAPL"]}
    event |= {"published_at": None, "fetched_at": kept.fetched_at, "content_hash": kept.content_hash}
    stored(store, "news/normalized_news", pl.DataFrame([event], schema=NORMALIZED_NEWS.schema))
    stored(store, "news/scored_news", pl.DataFrame([event | {"tier": 2, "entity": "AAPL"}], schema=SCORED_NEWS.schema))
    minute = {"day": date(2025, 4, 2), "symbol": "AAPL", "known_at": AT, "context_missing": True, "news_missing": False}
    flags = {"context_missing": pl.Boolean, "news_missing": pl.Boolean}
    stored(store, "features/panel", pl.DataFrame([minute], schema={**PANEL.schema, **flags}))
    return House(tmp_path)


def test_a_forecast_is_told_with_the_events_behind_it_and_the_place_of_their_bytes(house: House) -> None:
    told = house.of("--set", "features.groups=[price, context, news]")
    assert told.exit_code == 0, told.stderr
    lines = told.stdout.splitlines()
    assert f"# lightgbm: events behind the centre, AAPL on {DAY}, in volatilities" in lines
    (line,) = [line for line in lines if TITLE in line]
    *cells, place = line.split("\t")
    assert cells == ["10:00", "+0.1250", TITLE, "own", "2", "2025-04-02 09:56:00", "news_headline_count_30m"]
    assert Path(place).is_file()
    assert lines[-3:] == [f"# flags, AAPL on {DAY}", "at\tcontext_missing\tnews_missing", "10:00\tyes\tno"]


def test_as_json_an_event_leads_to_its_bytes_by_their_hash(house: House) -> None:
    found = json.loads(house.of("--json").stdout)
    (event,) = found["forecasts"][0]["events"]
    assert (event["title"], event["source"], event["tier"], event["added"]) == (TITLE, "own", 2, 0.125)
    assert RawStore(LocalStore(house.folder)).body(event["content_hash"]) == BODY
    assert event["url"] == "https://example.org/1"
    assert found["events_lost"] == ""
    assert [flag["context_missing"] for flag in found["flags"]] == [True]


@pytest.mark.parametrize("gone", ["news/event_attribution", "news/normalized_news"])
def test_events_that_are_not_stored_are_named_with_the_command_that_makes_them(house: House, gone: str) -> None:
    (house.folder / gone / f"{DAY}.parquet").unlink()
    told = house.of()
    assert told.exit_code == 0
    assert "ret_15m" in told.stdout
    assert f"events behind AAPL on {DAY} are not stored: make it: timegpt-assets backfill" in told.stdout
    assert f"--start {DAY} --end {DAY} --assets event_attribution --force --profile demo" in told.stdout
    assert json.loads(house.of("--json").stdout)["events_lost"].endswith("--profile demo")


def test_bytes_that_are_gone_are_named_by_their_hash(house: House) -> None:
    (body,) = (house.folder / "news" / "bodies").iterdir()
    body.unlink()
    assert f"gone: sha256 {body.stem}" in house.of().stdout
    assert json.loads(house.of("--json").stdout)["forecasts"][0]["events"][0]["lies_at"] is None

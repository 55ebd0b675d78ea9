"""News on its road to a forecast, and back: what is known later changes nothing, and a forecast leads to bytes.

The made-up news knows the bars to come: a headline about whichever symbol will do better, five minutes before. A tree
learns from it, answers, and explain is asked why. Then the news of the last day is changed after a moment.
"""

import csv
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets import runtime as runtimes
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli import explaining
from timegpt_assets.core import calendar
from timegpt_assets.core.news.project import MISSING, NAMES
from timegpt_assets.core.schema import TIME
from timegpt_assets.runtime import Runtime
from timegpt_assets.serving.house import House
from timegpt_assets_tests import ladder_house
from timegpt_assets_tests.roads import TINY, load_runtime, sessions
from timegpt_assets_tests.test_truth_1_past_only import difference, stored_bytes
from timegpt_assets_tests.told_house import FILE, LATENCY, SETTINGS, Headline, headlines, told_road

LEARNT, DAY = ladder_house.JANUARY, ladder_house.FEBRUARY[0]
NEWS_DAYS = tuple(sessions(date(2025, 1, 16), DAY))
LADDER = (*ladder_house.SETTINGS, ladder_house.SEATED, "data.synthetic.predictability=0")
EVERY, BEFORE, SECOND = timedelta(minutes=15), timedelta(minutes=5), timedelta(seconds=1)
Tables = dict[str, pl.DataFrame]


def clairvoyant(folder: Path) -> list[Headline]:
    """Return headlines about the symbol that will gain more than the other in the quarter of an hour to come."""
    runtime = load_runtime(folder, *LADDER, *SETTINGS, base=TINY)
    bars = runtimes.market_data(runtime).bars(["AAPL", "NVDA"], [*LEARNT, DAY])
    price = {(symbol, ts): close for symbol, ts, close in bars.select("symbol", "ts", "close").iter_rows()}
    spare = iter(headlines(NEWS_DAYS))
    return [_better(at, price, next(spare).title) for day in (*LEARNT, DAY) for at in _quarters(day)]


def _quarters(day: date) -> Sequence[datetime]:
    session = calendar.session(day)
    return [session.open + n * EVERY for n in range(1, (session.close - session.open) // EVERY)]


def _better(at: datetime, price: dict[tuple[str, datetime], float], title: str) -> Headline:
    minute = timedelta(minutes=1)
    gains = {s: price[s, at + EVERY - minute] / price[s, at - minute] for s in ("AAPL", "NVDA")}
    best = max(gains, key=lambda symbol: gains[symbol])
    name = {"AAPL": "Apple", "NVDA": "Nvidia"}[best]
    return Headline(at - BEFORE, best, f"{name} {title.partition(' ')[2]}")


@dataclass(frozen=True, kw_only=True)
class Told:
    """The house as it was: its folder, its runtime, what it was told and its tables."""

    folder: Path
    runtime: Runtime
    news: list[Headline]
    tables: Tables


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("told")
    news = clairvoyant(folder)
    with told_road(folder, news, *LADDER) as road:
        road.run(LEARNT, assets=["panel", "labels"])
        road.run([DAY], assets=["attribution", "event_attribution"])
        return Told(folder=folder, runtime=road.runtime, news=news, tables=road.tables())


def test_a_forecast_leads_from_what_moved_it_to_the_headline_and_its_bytes(
    house: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    explaining.explain(house.runtime, DAY, "AAPL", "lightgbm", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["events_lost"] == ""
    by_title, read, walked = {one.title: one for one in house.news}, RawStore(house.runtime.storage), 0
    for forecast in (one for one in found["forecasts"] if one["part"] == "centre"):
        at = datetime.fromisoformat(forecast["snapshot_ts"])
        moved = {one["feature"]: one["contribution"] for one in forecast["moved_by"]}
        assert any(name.startswith("news_") and added for name, added in moved.items()), "news moved nothing"
        for event in forecast["events"]:
            assert set(event["features"]) <= moved.keys()
            headline = by_title[event["title"]]
            assert datetime.fromisoformat(event["known_at"]) == headline.at + LATENCY <= at
            assert (event["source"], event["tier"]) == ("own", 2)
            body = read.body(event["content_hash"])
            assert body == (house.folder / FILE).read_bytes()
            assert Path(event["lies_at"]).is_file()
            rows = {row["title"]: row for row in csv.DictReader(io.StringIO(body.decode()))}
            assert rows[event["title"]]["ticker"] == headline.ticker == "AAPL"
            walked += 1
    assert walked >= 5
    missing = {(flag["news_headline_missing"], flag["news_value_missing"]) for flag in found["flags"]}
    assert missing == {(False, True)}, "its own news alone is asked for"


def test_who_was_told_of_is_forecast_to_be_the_better(house: Told) -> None:
    """Show that the news is what moves it: nothing else here knows anything."""
    best = {one.at + BEFORE: one.ticker for one in house.news}
    said = house.tables["forecasts/base_answers"].filter(forecaster="lightgbm").sort("snapshot_ts", "symbol")
    means = said.group_by("snapshot_ts", maintain_order=True).agg("mean").filter(pl.col("mean").list.len() == 2)
    right = [(apple > nvidia) == (best[at] == "AAPL") for at, (apple, nvidia) in means.iter_rows()]
    assert len(right) >= 4
    assert all(right)


def test_a_row_of_the_events_behind_is_traced_to_the_same_bytes(house: Told) -> None:
    behind = house.tables["news/event_attribution"].filter(pl.col("event_id") != "*")
    trace = House(house.runtime).trace(behind.row(0, named=True))
    line = trace.row(by_predicate=pl.col("what") == "bytes of the event", named=True)
    assert (line["made_by"], Path(line["lies_at"]).is_file()) == ("own", True)
    assert RawStore(house.runtime.storage).body(line["id"]) == (house.folder / FILE).read_bytes()
    answer = house.tables["forecasts/base_answers"].filter(forecaster="lightgbm").row(0, named=True)
    path = House(house.runtime).trace(answer)
    assert "news/raw_news" in path["what"].to_list()
    assert path.filter(what="source of the bars")["made_by"].to_list() == ["synthetic"]


CLOCKS = {
    "news/normalized_news": pl.col("known_at"),
    "news/scored_news": pl.col("known_at"),
    "news/news_features": pl.col("known_at"),
    "features/features": pl.col("known_at"),
    "features/panel": pl.col("known_at"),
    "forecasts/base_answers": pl.col("snapshot_ts"),
    "models/attribution": pl.col("snapshot_ts"),
    "news/event_attribution": pl.col("snapshot_ts"),
}
"""Asset that news reaches -> when a row of it is known; links and stories are known with their events."""
OF_EVENTS = ("news/linked_news", "news/news_clusters")
MADE_AGAIN = ("raw_news", "normalized_news", "linked_news", "news_clusters", "scored_news", "news_features",
              "features", "panel", "base_answers", "attribution", "event_attribution")  # fmt: skip


def changed_after(news: Sequence[Headline], at: datetime) -> list[Headline]:
    """Return the news in which all that is known after a moment is about the other symbol, earlier, or gone; and more.

    The newest of them was published before that moment already.
    """
    other = {"AAPL": ("NVDA", "Nvidia"), "NVDA": ("AAPL", "Apple")}
    kept = [one for one in news if one.at + LATENCY <= at]
    later = [one for one in news if one.at + LATENCY > at]
    moved = [
        replace(
            one, at=max(one.at - n * SECOND, at - LATENCY + SECOND), ticker=symbol, title=f"{name} denies it all, {n}"
        )
        for n, one in enumerate(later)
        if n % 3
        for symbol, name in [other[one.ticker]]
    ]
    return [
        *kept,
        *moved,
        Headline(at - LATENCY + SECOND, "AAPL", "Apple is no more"),
        Headline(at, "NVDA", "Nvidia, too"),
    ]


def pieces(tables: Tables, at: datetime, *, known: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each asset's rows of the day that are known at a moment, or are not, without what names the bytes."""
    by = pl.lit(at, TIME)
    names = tables["news/normalized_news"].filter((pl.col("known_at") <= by) == known)["event_id"].unique()
    for asset, clock in CLOCKS.items():
        rows = tables[asset].filter(pl.col("day") == DAY, (clock <= by) == known)
        yield asset, rows.drop("content_hash", "fetched_at", strict=False)
    for asset in OF_EVENTS:
        yield asset, tables[asset].filter(pl.col("day") == DAY, pl.col("event_id").is_in(names.implode()))


def test_news_that_is_known_after_a_moment_changes_nothing_that_was_known_by_then(house: Told, tmp_path: Path) -> None:
    at = _quarters(DAY)[9] - BEFORE + LATENCY / 2
    shutil.copytree(house.folder, tmp_path, dirs_exist_ok=True)
    with told_road(tmp_path, changed_after(house.news, at), *LADDER, replace_news=True) as road:
        road.run([DAY], assets=MADE_AGAIN, force=True)
        otherwise = road.tables()
    both = (pieces(tables, at, known=True) for tables in (house.tables, otherwise))
    for (asset, before), (_, after) in zip(*both, strict=True):
        assert before.height, asset
        assert stored_bytes(before) == stored_bytes(after), (
            f"{asset} knew of news after {at}: {difference(before, after)}"
        )
    both = (pieces(tables, at, known=False) for tables in (house.tables, otherwise))
    unmoved = [
        asset for (asset, one), (_, other) in zip(*both, strict=True) if stored_bytes(one) == stored_bytes(other)
    ]
    assert unmoved == [], "nothing came of the change: it proves nothing of these"


def test_with_the_group_off_features_read_no_news_and_every_other_column_is_the_same(
    house: Told, tmp_path: Path
) -> None:
    shutil.copytree(house.folder, tmp_path, dirs_exist_ok=True)
    off = "features.groups=[price, volatility, volume, clock, context, sector, events]"
    with told_road(tmp_path, (), *LADDER, off) as road:
        made = road.run([DAY], assets=["features"], force=True)
        rows = ParquetStore(road.runtime.storage).read("features/features", [str(DAY)])
        assert "news" not in {key.path[0] for one in made.range_runs for key in one.assets}
    told = house.tables["features/features"].filter(day=DAY)
    assert rows.drop("lineage_id").equals(told.drop(*NAMES, *MISSING, "lineage_id"))

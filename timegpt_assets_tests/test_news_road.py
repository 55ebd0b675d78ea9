"""News on a whole road: a session makes it where a source is listed, and nothing that was answered is asked twice."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.adapters.market.vendor_files import Limits
from timegpt_assets.adapters.news.imports import Importer
from timegpt_assets.adapters.news.raw_store import Answer, RawStore
from timegpt_assets.core import calendar
from timegpt_assets.core.news.formats.own_imports import Reading
from timegpt_assets.core.news.windows import window
from timegpt_assets.engine.engine import QUIET, RunFailed
from timegpt_assets.engine.news import fetch, source_states
from timegpt_assets.engine.stages import NEWS
from timegpt_assets.partitions import graph_context
from timegpt_assets.runtime import MarketData, market_data
from timegpt_assets_tests.news_house import DAYS, Newsroom, news_road, newsroom
from timegpt_assets_tests.roads import LATER, Road
from timegpt_assets_tests.secret_search import KEY, ROTATED
from timegpt_assets_tests.servers.gdelt import Fault

LAYERS = tuple(f"news/{name}" for name in NEWS)


@pytest.fixture(scope="module")
def sources() -> Iterator[Newsroom]:
    with newsroom() as running:
        yield running


@pytest.fixture(scope="module")
def told(sources: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a house that has made the news of two sessions at once."""
    with news_road(tmp_path_factory.mktemp("told"), sources) as built:
        built.run(DAYS[:2], assets=NEWS)
        yield built


def test_a_session_holds_what_became_known_in_its_window_from_every_source_down_to_what_it_is_worth(
    told: Road,
) -> None:
    stored = told.tables()
    assert stored.keys() == {*LAYERS}, "the group is off: nobody reads features of the news"
    events = stored["news/normalized_news"]
    assert set(events["source"]) == {"fred", "calendar", "gdelt_files"}
    for day in DAYS[:2]:
        after, by = window(day)
        own = events.filter(day=day)
        assert after < own["known_at"].min() <= own["known_at"].max() <= by
        spilled = own.filter(pl.col("published_at") <= after)["source"]
        assert "gdelt_files" in spilled, "what was delivered for the session before and was known too late for it"
    scored = stored["news/scored_news"].filter(day=DAYS[1])
    assert set(scored["symbol"].drop_nulls()) == {"AAPL", "NVDA"}
    assert scored.filter(symbol="NVDA")["novelty"].n_unique() > 1, "two papers tell of the same plant"
    (decision,) = scored.filter(source="calendar", type="release")["title"].unique()
    assert "fomc" in decision.lower()
    assert set(scored["known_at"].dt.date()) >= set(DAYS[:2]), "the session before is part of it"


def test_what_was_answered_is_asked_of_nobody_when_it_is_made_again(told: Road, sources: Newsroom) -> None:
    before, rows = sources.asked, told.tables()["news/raw_news"]
    assert set(sources.gdelt.counts.values()) == {1}
    told.run(DAYS[:1], assets=["raw_news"], force=True)
    lacking = rows.filter(pl.col("failed").is_not_null(), day=DAYS[0]).height
    assert sources.asked - before == lacking, "what has no answer alone"
    assert told.tables()["news/raw_news"].equals(rows)


class _NoBarsYet:
    """A market that has not delivered the second session."""

    def __init__(self, market: MarketData) -> None:
        self._market = market

    def bars(self, symbols: Any, days: Any) -> pl.DataFrame:
        """Return the bars of all other sessions."""
        return self._market.bars(symbols, days).filter(pl.col("day") != DAYS[1])


def test_news_is_made_of_a_session_whose_bars_are_awaited(tmp_path: Path, sources: Newsroom) -> None:
    soon = calendar.session(DAYS[1]).close + timedelta(minutes=1)
    with news_road(tmp_path, sources, "news.sources=[calendar]", clock=lambda: soon) as plain:
        late = {"market_data": _NoBarsYet(market_data(plain.runtime))}
    with news_road(tmp_path, sources, "news.sources=[calendar]", clock=lambda: soon, overriding=late) as built:
        outcome = built.run(DAYS[1:2], assets=["features", *NEWS])
        assert [*outcome.held] == [DAYS[1]]
        assert {path.parent.name for path in built.root.glob(f"*/*/{DAYS[1]}.parquet")} >= {*NEWS}
        assert not (built.root / "features" / "features" / f"{DAYS[1]}.parquet").exists(), "that waits"


def test_a_partition_materialised_as_the_ui_does_is_what_the_engine_made_of_it(told: Road) -> None:
    before = told.tables()
    result = told.engine.repository.get_implicit_global_asset_job_def().execute_in_process(
        instance=told.engine.instance,
        partition_key=f"{DAYS[1]}",
        asset_selection=[dg.AssetKey(["news", name]) for name in NEWS],
        run_config=QUIET,
    )
    assert result.success
    assert told.tables().keys() == before.keys()
    # the attempts that failed again are counted, too
    assert all(told.tables()[asset].equals(rows) for asset, rows in before.items() if asset != "news/source_health")


@pytest.mark.whole
def test_day_by_day_and_after_a_crash_a_range_is_the_range_made_at_once_and_nothing_was_asked_twice(
    tmp_path: Path, told: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, keep = [0], RawStore.keep

    def crashing(store: RawStore, *args: Any, **options: Any) -> Answer:
        answer = keep(store, *args, **options)
        kept[0] += 1
        if kept[0] == 150:
            raise RuntimeError("the machine is gone")
        return answer

    monkeypatch.setattr(RawStore, "keep", crashing)
    with newsroom() as other, news_road(tmp_path, other) as built:
        with pytest.raises(RunFailed, match="the machine is gone"):
            built.run(DAYS[:1], assets=NEWS)
        for day in DAYS[:2]:
            built.run([day], assets=NEWS)
        assert set(other.gdelt.counts.values()) == {1}
        mine, whole = (
            {name: data for name, data in road.bytes().items() if "source_health" not in name} for road in (built, told)
        )
        assert mine == whole


@pytest.mark.whole
def test_a_session_on_which_every_source_is_down_is_forecast_and_is_what_it_would_have_been_once_it_is_fetched(
    tmp_path: Path, told: Road
) -> None:
    now = [LATER]
    with newsroom() as silent, news_road(tmp_path, silent, clock=lambda: now[0]) as built:
        silent.gdelt.rule = lambda asked: Fault(kind="status", status=503, body="down")
        silent.fred.key = ROTATED
        built.run(DAYS[1:2], assets=["base_answers", *NEWS])
        assert built.tables()["forecasts/base_answers"].height, "the forecast is there all the same"
        rows = built.tables()["news/raw_news"]
        assert rows.filter(pl.col("source") != "calendar")["failed"].null_count() == 0
        health = built.tables()["news/source_health"]
        assert set(health.filter(~pl.col("good"))["source"]) == {"fred", "gdelt_files"}
        (held,) = [one.held for one in source_states(built.runtime, rows) if one.source == "gdelt_files"]
        assert held, "it is left alone, and that is seen"
        asked = silent.gdelt.counts.total()
        assert asked == 5, "news.breaker.default.failures"
        fetched(built)
        assert silent.gdelt.counts.total() == asked
        silent.gdelt.rule, silent.fred.key, now[0] = lambda asked: None, KEY, LATER + timedelta(minutes=6)
        fetched(built)
        for asset in LAYERS[1:-1]:
            found, wanted = (road.tables()[asset].filter(day=DAYS[1]).drop("fetched_at", strict=False)
                             for road in (built, told))  # fmt: skip
            assert found.equals(wanted), asset


def test_what_is_imported_is_news_of_sessions_that_were_made_before(tmp_path: Path) -> None:
    with newsroom() as idle, news_road(tmp_path / "house", idle, "news.sources=[own]") as built:
        built.run(DAYS[1:2], assets=NEWS)
        assert built.tables()["news/normalized_news"].is_empty()
        file = tmp_path / "news.csv"
        file.write_text(
            f"time,title,ticker\n{DAYS[1]}T15:00Z,A gadget for cooks,AAPL\n{DAYS[2]}T23:00Z,Too late,NVDA\n"
        )
        raw = RawStore(built.runtime.storage)
        importer = Importer(raw=raw, limits=Limits(), reading=Reading(), now=LATER, replace=False)
        assert importer.imported(file, file.name).became == "taken"
        fetched(built)
        scored = built.tables()["news/scored_news"]
        assert scored.select("source", "title", "symbol", "method").rows() == [
            ("own", "A gadget for cooks", "AAPL", "given")
        ]
        (row,) = built.tables()["news/raw_news"].filter(day=DAYS[1]).iter_rows(named=True)
        assert raw.body(row["content_hash"]) == file.read_bytes()
        assert fetched(built) == 0, "nothing was imported since"


def fetched(built: Road) -> int:
    """Ask again about the second session what nobody answered, and return how many partitions were made for it."""
    return built.engine.run(fetch(built.engine, graph_context(built.runtime.settings), DAYS[1:2])).made

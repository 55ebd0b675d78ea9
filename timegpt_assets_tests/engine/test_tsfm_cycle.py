"""The live cycle as a stranger would try it: asked twice, its servers failing, the machine off, the day's turn.

One house lives through all of it, at a clock that is moved; each test looks at what one of its cycles left. Kills are
in test_tsfm_kills.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import process_time

import polars as pl
import pytest

from timegpt_assets.adapters.prediction_markets.asking import VenueFailed
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.engine import tsfm_cycle
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.engine.tsfm import CLOSED
from timegpt_assets.engine.tsfm_cycle import alone, cycle
from timegpt_assets.runtime_tsfm import market_source, tape
from timegpt_assets_tests.live_house import LiveHouse, live_house
from timegpt_assets_tests.servers.polymarket import Fault, token
from timegpt_assets_tests.servers.tollama import changed, refusal

LAST, NEXT = date(2025, 11, 30), date(2025, 12, 1)
MARKETS, STEPS = 4, 3


def at(clock: str, day: date = LAST) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), UTC)


@dataclass
class Story:
    """What a house lived through: after each cycle its tables, and how often venue and model had been asked."""

    house: LiveHouse
    tables: dict[str, dict[str, pl.DataFrame]] = field(default_factory=dict)
    asked: dict[str, tuple[int, int]] = field(default_factory=dict)

    def live(self, now: datetime) -> None:
        self.house.cycle(now)
        name = f"{now:%H:%M}"
        self.tables[name] = {one: self.house.read(one) for one in STAGES["tsfm"]}
        self.asked[name] = (len(self.house.venue.asked), len(self.house.model.questions))

    def forecasts(self, of: str, *, after: str = "00:03") -> pl.DataFrame:
        """Return the forecasts of a cycle as they stood after another."""
        return self.tables[after]["tsfm_forecasts"].filter(as_of=at(of))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with live_house(tmp_path_factory.mktemp("live"), markets=MARKETS) as house:
        told = Story(house)
        told.live(at("21:01"))
        told.live(at("21:03"))
        house.model.rule = lambda asked: refusal(503, "the model is loading")
        told.live(at("21:06"))
        house.model.rule = lambda asked: changed(lambda said: [*said, said[1]]) if asked.startswith("POST") else None
        house.venue.markets.append(house.venue.markets[0])
        told.live(at("21:11"))
        house.model.rule = lambda asked: None
        told.live(at("23:58"))
        told.live(at("00:03", NEXT))
        yield told


def test_the_same_moment_asked_twice_makes_no_second_question_and_the_same_rows(story: Story) -> None:
    first, again = story.house.cycles["30 21:01"], story.house.cycles["30 21:03"]
    assert (first.at, first.is_new, first.fetched) == (at("21:00"), True, MARKETS)
    assert (again.at, again.is_new, again.fetched) == (at("21:00"), False, 0)
    assert story.asked["21:03"] == story.asked["21:01"]
    assert story.tables["21:01"]["tsfm_forecasts"].height == MARKETS * STEPS
    for name, table in story.tables["21:01"].items():
        assert table.equals(story.tables["21:03"][name]), name


def test_a_new_house_makes_nothing_of_the_days_before_its_first_cycle(story: Story) -> None:
    files = {name: ParquetStore(story.house.road.runtime.storage).files(f"tsfm/{name}") for name in STAGES["tsfm"]}
    months = {"tsfm_evaluation": [f"{LAST:%Y-%m}", f"{NEXT:%Y-%m}"]}
    assert files == {name: [str(LAST), str(NEXT)] for name in STAGES["tsfm"]} | months
    assert story.house.cycles["30 21:01"].outcome.made == len(STAGES["tsfm"]) - len(months), "no day has ended"


def test_a_model_that_is_down_has_its_rows_answered_by_the_baseline_and_is_asked_again_by_the_next_cycle(
    story: Story,
) -> None:
    for after in ("21:06", "00:03"):
        down = story.forecasts("21:05", after=after)
        assert down.height == MARKETS * STEPS
        assert set(down["reason"]) == {"tollama_error:unavailable"}, "what was served stands"
        assert set(down["score_source"]) == {"fallback"}
    assert story.forecasts("21:00")["reason"].null_count() == MARKETS * STEPS
    assert set(story.forecasts("23:55")["score_source"]) == {"model"}


def test_a_market_that_comes_twice_fails_nobody_else(story: Story) -> None:
    assert story.house.cycles["30 21:11"].markets == MARKETS, "listed twice by the venue, it is one"
    found = story.forecasts("21:10")
    reasons = dict(found.group_by("reason").agg(pl.col("market_id").n_unique()).iter_rows())
    assert reasons == {None: MARKETS - 1, "tollama_error:duplicate_series": 1}


def test_what_nobody_looked_at_has_prices_and_no_forecast(story: Story) -> None:
    """The machine was off from 21:11 to 23:58: prices come as history, cycles are not made up afterwards."""
    off = pl.col("ts").is_between(at("21:15"), at("23:50"))
    seen = story.tables["23:58"]["market_series"].filter(off)
    assert set(seen["y_source"]) == {"history"}
    assert seen.height == MARKETS * 32
    assert story.house.cycles["30 23:58"].fetched == MARKETS
    for name in ("markets", "selection", "tsfm_forecasts", "bands"):
        moments = story.tables["00:03"][name].filter(pl.col("as_of") < at("00:00", NEXT))["as_of"].unique().sort()
        assert moments.to_list() == [at(clock) for clock in ("21:00", "21:05", "21:10", "23:55")], name
    assert set(story.forecasts("23:55")["input_len"]) == {288}


def test_a_forecast_is_live_where_its_market_was_looked_at(story: Story) -> None:
    by = ["market_id", "as_of"]
    made, told = (story.tables["00:03"][name].select(*by, "live").unique() for name in ("tsfm_forecasts", "markets"))
    assert made.join(told, on=by, suffix="_of_market").filter(pl.col("live") != pl.col("live_of_market")).is_empty()
    assert made.height == told.height == 5 * MARKETS
    assert set(made["live"]) == {True}


def test_the_first_cycle_of_a_day_makes_the_day_before_again_and_closes_it(story: Story) -> None:
    before, turned = story.house.cycles["30 23:58"], story.house.cycles["01 00:03"]
    assert (before.at, list(before.days)) == (at("23:55"), [LAST])
    assert (turned.at, list(turned.days)) == (at("00:00", NEXT), [LAST, NEXT])
    road = story.house.road
    assert [name for name, _ in road.runtime.storage.names(CLOSED)] == [f"{CLOSED}{LAST}"]
    tables = story.tables["00:03"]
    for name in ("markets", "market_series", "bands"):
        assert set(tables[name]["day"]) == {LAST, NEXT}, name
    of_yesterday = tables["tsfm_outcomes"].filter(pl.col("made_on") == LAST, pl.col("day") == NEXT)
    assert set(of_yesterday["as_of"]) == {at("23:55")}, "its price came after midnight"
    for name, table in tables.items():
        assert table.height or name in ("conformal_parameters", "alerts"), name
        assert not table.is_duplicated().any(), name


def test_nothing_is_lost_or_told_otherwise_by_later_cycles(story: Story) -> None:
    """Rows of a cycle stand as they were served, whatever the next ones bring."""
    for clock, now in (("21:00", "21:01"), ("21:05", "21:06"), ("21:10", "21:11"), ("23:55", "23:58")):
        assert story.forecasts(clock, after=now).drop("lineage_id").equals(story.forecasts(clock).drop("lineage_id"))


@dataclass
class Silent:
    """A house of another folder whose cycle fails before anything is made."""

    house: LiveHouse
    folder: Path

    def cycle(self, now: datetime) -> tsfm_cycle.Cycle:
        runtime = replace(self.house.road.runtime, root=self.folder, clock=lambda: now)
        return cycle(replace(self.house.road.engine, runtime=runtime), market_source(runtime), tape(runtime))


def test_silence_while_markets_are_traded_fails_and_makes_nothing(story: Story, tmp_path: Path) -> None:
    silent, venue = Silent(story.house, tmp_path), story.house.venue
    kept = tape(replace(story.house.road.runtime, root=tmp_path))
    try:
        venue.rule = lambda asked: Fault(kind="text", body="[]") if asked.startswith("/markets") else None
        with pytest.raises(VenueFailed, match="tells of no active market"):
            silent.cycle(at("12:01"))
        assert kept.cycles(LAST) == []
        venue.rule = lambda asked: Fault(kind="text", body='{"history": {}}') if "history" in asked else None
        with pytest.raises(VenueFailed, match="has no price of any of 4 tokens"):
            silent.cycle(at("12:01"))
    finally:
        venue.rule = lambda asked: None
    assert kept.cycles(LAST) == [at("12:00")], "what was looked at is kept"
    assert not list(tmp_path.rglob("*.parquet"))


def test_silence_of_all_is_a_failure_though_they_lack_prices_since_different_moments(
    story: Story, tmp_path: Path
) -> None:
    silent, venue = Silent(story.house, tmp_path), story.house.venue
    runtime = replace(story.house.road.runtime, root=tmp_path)
    kept, early = tape(runtime), at("12:00")
    known = market_source(runtime).snapshot(early)
    kept.keep_markets(early, known.filter(token_id=token(0)), taken_at=early)
    kept.keep_prices(
        early,
        market_source(runtime).prices([token(0)], early - timedelta(days=1), early),
        since={token(0): early - timedelta(days=1)},
        until=early,
        taken_at=early,
    )
    try:
        venue.rule = lambda asked: Fault(kind="text", body='{"history": {}}') if "history" in asked else None
        with pytest.raises(VenueFailed, match="has no price of any"):
            silent.cycle(at("14:01"))
    finally:
        venue.rule = lambda asked: None
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_cycle_of_the_size_that_is_promised_asks_in_bulk_and_forecasts_everybody_it_selects(tmp_path: Path) -> None:
    """400 listed, 200 selected: one question to the model, histories by the twenty, a few CPU seconds."""
    with live_house(tmp_path, markets=400) as house:
        began = process_time()
        found = house.cycle(at("21:01"))
        took = process_time() - began
        assert (found.markets, found.selected, found.fetched, found.lacking) == (400, 200, 200, "")
        histories = [asked for asked in house.venue.asked if "prices-history" in asked]
        assert (len(histories), len(house.model.questions)) == (10, 1)
        forecasts, bands = house.read("tsfm_forecasts"), house.read("bands")
        assert forecasts.height == bands.height == 200 * STEPS
        assert forecasts["reason"].null_count() == forecasts.height
        assert took < 15, "of 60 seconds that are promised; both servers are in it"


def test_of_two_at_once_the_later_one_is_left_out(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(Refused, match="another cycle works in"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass

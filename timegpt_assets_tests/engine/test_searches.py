"""A search on a road: three stages of a month on what is stored, candidates of live rows alone, every try counted."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.research.confirmation import CANDIDATE, INSUFFICIENT, REFUSED
from timegpt_assets.engine.stages import STAGES
from timegpt_assets_tests.markets import DAYS, synthetic
from timegpt_assets_tests.roads import Road

pytestmark = pytest.mark.whole
MADE, AFTER = DAYS[:5], DAYS[3:5]
"""28 January to 3 February; the sessions after gates.oos_start (the 30th)."""
SEARCH = ("gates.min_observation_days=2", "search.penalties.turnover=0.0", "search.penalties.max_drawdown=0.0",
          "search.penalties.reject_rate=0.0", "trading.skip_events=[]", "gates.bootstrap=trade")  # fmt: skip


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    with synthetic().road(tmp_path_factory.mktemp("search"), *SEARCH) as made:
        made.run(MADE, assets=["book"])
        yield made


def search(road: Road, *, force: bool = True) -> dict[str, pl.DataFrame]:
    road.run(MADE[-1:], assets=STAGES["search"], force=force)
    store = ParquetStore(road.runtime.storage)
    return {name: store.read(f"research/{name}", ["2025-02"]) for name in STAGES["search"]}


def asked_live(road: Road, days: tuple[object, ...]) -> None:
    """Write the forecasts of these days down as asked live."""
    store = ParquetStore(road.runtime.storage)
    for day in days:
        rows = store.read("calibration/forecasts", [str(day)])
        facts = {symbol: fact for (_, symbol), fact in store.read_facts("calibration/forecasts", [str(day)]).items()}
        live = rows.with_columns(**{name: pl.lit(word) for name, word in LIVE.items()})
        store.write("calibration/forecasts", str(day), live, keys=sorted(facts), facts=facts)


def test_a_search_that_finds_nothing_live_proposes_nobody_and_counts_what_it_tried(road: Road) -> None:
    found = search(road)
    coarse, refine, candidates = (found[name] for name in STAGES["search"])
    assert (coarse["stage"][0], coarse.height) == ("coarse", 6)
    assert set(coarse["first_day"].to_list() + coarse["last_day"].to_list()) == {MADE[0]}, (
        "nobody was asked on the 29th"
    )
    assert (refine.height, set(refine["first_day"])) == (4, {MADE[2]})
    best = coarse.filter(pl.col("duplicate_of").is_null(), state="complete").sort("value", descending=True)
    assert refine.sort("number")["outer"].to_list()[:2] == best["outer"].to_list()[:2], "the best are carried"
    assert refine["finalist"].drop_nulls().sort().to_list() == [1, 2]
    assert set(candidates["verdict"]) == {INSUFFICIENT}
    assert candidates["observation_days"].to_list() == [0, 0]
    assert candidates["rank"].to_list() == [None, None]
    tried = TrialStore(road.runtime.storage).tried().filter(kind="search")
    spans = {(first, last) for first, last in tried.select("first_day", "last_day").unique().iter_rows()}
    assert spans == {(MADE[0], MADE[0]), (MADE[2], MADE[2])}, "nothing is tried on sessions that count for nothing"
    fresh = coarse.filter(pl.col("duplicate_of").is_null())
    assert tried.filter(first_day=MADE[0]).height == fresh["tried"].sum()
    assert tried["forecaster"].unique().to_list() == ["ridge"]


def test_the_same_again_is_read_and_tries_nothing(road: Road) -> None:
    before = TrialStore(road.runtime.storage).tried()
    lines = {path: path.read_bytes() for path in Path(road.runtime.path("artifacts/hpo")).rglob("trials.jsonl")}
    first, second = search(road), search(road)
    assert all(first[name].equals(second[name]) for name in first)
    assert TrialStore(road.runtime.storage).tried().equals(before)
    assert {path: path.read_bytes() for path in lines} == lines
    assert len(lines) == 2


def test_what_stands_on_live_rows_of_after_oos_start_is_a_candidate_and_no_other(road: Road) -> None:
    stored = {str(day): ParquetStore(road.runtime.storage).read("calibration/forecasts", [str(day)]) for day in AFTER}
    asked_live(road, AFTER)
    candidates = search(road)["search_stage_3"]
    assert candidates["observation_days"].to_list() == [2, 2]
    assert (candidates["first_day"][0], candidates["last_day"][0]) == AFTER
    assert candidates.select(*LIVE).unique().rows() == [tuple(LIVE.values())]
    for row in candidates.iter_rows(named=True):
        assert row["value"] == pytest.approx(row["net_pnl"] / 300_000.0)
        assert row["verdict"] == (CANDIDATE if row["value"] > 0 else REFUSED)
    named = candidates.filter(verdict=CANDIDATE)
    assert named.height, "else this test looks at nothing"
    assert named.sort("value", descending=True)["rank"].to_list() == list(range(1, named.height + 1))
    tried = TrialStore(road.runtime.storage).tried().filter(kind="search", first_day=AFTER[0])
    assert set(tried["combination"]) == set(candidates["combination"])
    # one day asked live is too little for two: what is replayed beside it does not fill up
    store = ParquetStore(road.runtime.storage)
    day = str(AFTER[0])
    facts = {symbol: fact for (_, symbol), fact in store.read_facts("calibration/forecasts", [day]).items()}
    store.write("calibration/forecasts", day, stored[day], keys=sorted(facts), facts=facts)
    fewer = search(road)["search_stage_3"]
    assert set(fewer["verdict"]) == {INSUFFICIENT}
    assert fewer["observation_days"].to_list() == [1, 1]


def test_a_month_before_the_search_may_begin_has_no_rows(road: Road) -> None:
    road.run(MADE[:1], assets=STAGES["search"], force=True)
    store = ParquetStore(road.runtime.storage)
    found = {name: store.read(f"research/{name}", ["2025-01"]) for name in STAGES["search"]}
    assert found["search_stage_1"].height == 6, "by the end of January all of the search's sessions were over"
    assert set(found["search_stage_3"]["verdict"]) == {INSUFFICIENT}

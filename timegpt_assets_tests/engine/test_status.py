"""The status of a house: every symbol day has the state it is really in, and a worse one stands over a better one."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from timegpt_assets.engine import pending, status
from timegpt_assets.engine.engine import Outcome
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.io_managers import LINEAGE
from timegpt_assets_tests.roads import TINY, Road, road, sessions

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")
DAYS = sessions(date(2025, 1, 28), date(2025, 2, 3))
FIRST, SECOND, THIRD, LAST = DAYS[0], DAYS[1], DAYS[2], DAYS[-1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a road of which two days are made up to features, the third as far as bars."""
    with road(tmp_path_factory.mktemp("house"), base=TINY, pictures=False) as of:
        of.run([FIRST, SECOND], assets=("features",))
        of.run([THIRD], assets=("bars",))
        yield of


def seen(of: Road) -> status.Status:
    return status.status(of.engine, DAYS, of.runtime.settings.universe.everyone)


def judged(of: Road, day: date, symbol: str, verdict: str) -> None:
    """Store the day's bars of a symbol again, with another verdict."""
    store = of.engine.inventory([day]).store
    fact = store.read_facts("bars/bars", [day], [symbol])[str(day), symbol]
    own = {name: value for name, value in fact.items() if name != "rows"} | {"verdict": verdict}
    rows = store.read("bars/bars", [day], [symbol])
    assert own[LINEAGE]
    store.write("bars/bars", str(day), rows, keys=[symbol], facts={symbol: own})


def test_each_symbol_day_says_how_far_it_is_made(made: Road) -> None:
    found = seen(made)
    everyone = made.runtime.settings.universe.everyone
    assert {found.states[PartitionRef(FIRST, symbol)] for symbol in everyone} == {"features"}
    assert {found.states[PartitionRef(THIRD, symbol)] for symbol in everyone} == {"bars"}
    assert {found.states[PartitionRef(LAST, symbol)] for symbol in everyone} == {status.ABSENT}
    assert found.stale == {}
    assert found.made["features/features"] == 2 * len(everyone)
    assert sum(found.counts.values()) == len(DAYS) * len(everyone)


def test_what_was_made_of_older_bars_is_stale_and_nothing_else(made: Road) -> None:
    symbol = made.runtime.settings.universe.tickers[0]
    made.run([SECOND], symbols=[symbol], assets=("bars",), force=True)
    found = seen(made)
    assert found.states[PartitionRef(SECOND, symbol)] == status.STALE
    assert found.reached[PartitionRef(SECOND, symbol)] == "features"
    assert found.states[PartitionRef(FIRST, symbol)] == "features"
    assert found.states[PartitionRef(THIRD, symbol)] == "bars"
    assert "bars/raw_bars" not in found.stale
    assert found.stale["features/features"] > 0


@pytest.mark.parametrize("verdict", [status.QUARANTINED, status.LATE, status.NO_DATA])
def test_bars_that_are_not_well_are_seen_whatever_was_made_of_them(made: Road, verdict: str) -> None:
    symbol = made.runtime.settings.universe.tickers[-1]
    judged(made, FIRST, symbol, verdict)
    assert seen(made).states[PartitionRef(FIRST, symbol)] == verdict
    judged(made, FIRST, symbol, "ok")
    assert seen(made).states[PartitionRef(FIRST, symbol)] == "features"


def test_what_waits_says_for_what_and_only_where_it_is_not_made(made: Road) -> None:
    symbol = made.runtime.settings.universe.tickers[0]
    outcome = Outcome(pending=[LAST], why="per_day is spent.", held={THIRD: "bars are awaited"})
    pending.note(made.engine.instance, [THIRD, LAST], outcome, assets=("report",))
    found = seen(made)
    assert found.states[PartitionRef(LAST, symbol)] == status.FOR_CALLS
    assert found.states[PartitionRef(THIRD, symbol)] == status.FOR_BARS
    assert [entry.why for entry in found.waiting] == ["per_day is spent.", "bars are awaited"]
    pending.forget(made.engine.instance)
    assert seen(made).states[PartitionRef(LAST, symbol)] == status.ABSENT


def test_a_line_of_many_symbols_shows_the_worst_of_each_day(made: Road) -> None:
    symbol = made.runtime.settings.universe.tickers[0]
    judged(made, THIRD, symbol, status.QUARANTINED)
    line = seen(made).line(made.runtime.settings.universe.everyone)
    assert line[2] == status.QUARANTINED
    assert line[-1] == status.ABSENT
    judged(made, THIRD, symbol, "ok")


def test_a_table_that_is_gone_is_not_shown_as_made(made: Road) -> None:
    symbol = made.runtime.settings.universe.tickers[0]
    Path(made.root / "features" / "features" / f"{FIRST}.parquet").unlink()
    assert seen(made).states[PartitionRef(FIRST, symbol)] == "bars"

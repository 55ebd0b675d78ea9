"""How far a rectangle is: counts that are right at every moment, and an estimate that says only what was measured."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pytest
from dagster import AssetKey

from timegpt_assets.engine.plans import PartitionRef, RangeRun
from timegpt_assets.engine.progress import Amount, Pace, amounts
from timegpt_assets_tests.roads import TINY, road

BARS, TRADES, GATE = AssetKey(["bars", "bars"]), AssetKey(["backtest", "trades"]), AssetKey(["gates", "gate"])
DAYS = (date(2025, 1, 30), date(2025, 1, 31), date(2025, 2, 3))


def run(*keys: AssetKey, days: tuple[date, ...] = DAYS, symbols: tuple[str, ...] = ("A", "B")) -> RangeRun:
    return RangeRun(assets=keys, partitions=frozenset(PartitionRef(day, s) for day in days for s in symbols))


def test_a_month_stands_for_all_its_symbol_days_so_that_its_time_is_no_surprise() -> None:
    needed = {
        BARS: {PartitionRef(day, symbol) for day in DAYS for symbol in "AB"},
        GATE: {PartitionRef(date(2025, 1, 1)), PartitionRef(date(2025, 2, 1))},
        TRADES: set[PartitionRef](),
    }
    found = amounts(needed, {BARS: "day_symbol", GATE: "month", TRADES: "day_symbol"})
    assert found == {BARS: Amount(6, 1.0), GATE: Amount(2, 3.0)}


def test_nothing_is_estimated_before_anything_was_measured() -> None:
    pace = Pace({BARS: Amount(6, 1.0)})
    pace.begun(run(BARS), 10.0)
    assert pace.seconds_left(15.0) is None
    assert (pace.made, pace.total) == (0, 6)


def test_what_has_not_run_takes_as_long_for_each_symbol_day_as_what_did() -> None:
    pace = Pace({BARS: Amount(6, 1.0), TRADES: Amount(6, 1.0), GATE: Amount(2, 3.0)})
    pace.begun(run(BARS), 0.0)
    pace.ended(run(BARS), 12.0)
    assert (pace.made, pace.total) == (6, 14)
    assert pace.seconds_left(12.0) == 24.0
    pace.begun(run(TRADES), 12.0)
    assert pace.seconds_left(17.0) == 19.0, "what the step took already is no longer to come"
    # 20 s for 6 symbol days where 12 were expected: the month that has not run is taken to be slower as well
    assert pace.seconds_left(32.0) == 6 * (12.0 + 20.0) / 12


def test_an_asset_that_ran_is_judged_by_itself() -> None:
    pace = Pace({BARS: Amount(12, 1.0), TRADES: Amount(12, 1.0)})
    first, second = DAYS[:1], DAYS[1:2]
    for key, seconds in ((BARS, 2.0), (TRADES, 20.0)):
        pace.begun(run(key, days=first), 0.0)
        pace.ended(run(key, days=first), seconds)
    assert pace.seconds_left(0.0) == 10 * 1.0 + 10 * 10.0
    pace.begun(run(BARS, days=second), 0.0)
    pace.ended(run(BARS, days=second), 2.0)
    assert (pace.made, pace.total) == (6, 24)


def test_a_run_of_several_assets_counts_each_partition_once_and_times_each_step() -> None:
    pace = Pace({BARS: Amount(6, 1.0), TRADES: Amount(6, 1.0)})
    both = run(BARS, TRADES)
    pace.begun(both, 0.0)
    pace.stepped(BARS, 1.0)
    for _ in range(6):
        pace.stored(BARS)
    pace.stepped(TRADES, 3.0)
    assert (pace.made, pace.key) == (6, TRADES)
    assert pace.seconds_left(3.0) == 3.0, "the bars took three seconds, what the run began with among them"
    pace.stored(TRADES)
    pace.ended(both, 4.0)
    assert (pace.made, pace.total, pace.seconds_left(4.0)) == (12, 12, 0.0)


def test_a_run_that_makes_more_than_was_planned_raises_the_total() -> None:
    pace = Pace({BARS: Amount(1, 1.0)})
    pace.begun(run(BARS, TRADES), 0.0)
    assert pace.total == 12
    pace.ended(run(BARS, TRADES), 5.0)
    assert (pace.made, pace.total) == (12, 12)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.amounts: dict[str, int] = {}
        self.steps: list[str] = []
        self.made = Counter[str]()
        self.closed = 0

    def planned(self, amounts: Callable[[], Mapping[AssetKey, Amount]]) -> None:
        self.amounts = {key.path[-1]: amount.partitions for key, amount in amounts().items()}

    def stepped(self, key: AssetKey) -> None:
        self.steps.append(key.path[-1])

    def stored(self, key: AssetKey) -> None:
        self.made[key.path[-1]] += 1

    def close(self) -> None:
        self.closed += 1


@pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")
def test_the_engine_tells_exactly_what_it_makes_at_first_again_and_by_force(tmp_path: Path) -> None:
    made = ("raw_bars", "bars", "quality_report", "market_context", "features")
    with road(tmp_path, base=TINY, pictures=False) as of:
        for asked in ({"assets": made}, {"assets": made}, {"assets": ("quality_report", "features"), "force": True}):
            of.engine.listener = heard = Heard()
            outcome = of.run([date(2025, 1, 30), date(2025, 1, 31)], **asked)
            assert heard.amounts == dict(heard.made), asked
            assert sum(heard.made.values()) == outcome.made
            assert set(heard.steps) == set(heard.made), "a check is no asset"
            assert heard.closed == 1
        # forced bars have what reads them made again: that is told beforehand, too
        of.engine.listener = heard = Heard()
        of.run([date(2025, 1, 31)], assets=("features",))
        assert heard.amounts == {}
        of.engine.listener = heard = Heard()
        of.run([date(2025, 1, 30)], assets=("bars", "features"), force=True)
        assert heard.amounts == dict(heard.made)
        assert "market_context" in heard.amounts

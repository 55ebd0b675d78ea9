"""One short house of the demo market, run by the engine: shadow changes no byte, and then ``live`` changes hands.

The road of a candidate over 60 sessions, on made tables, is automation/test_rollout.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from timegpt_assets.adapters.storage.rollout_record import NAME
from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.books import bucket, with_books
from timegpt_assets.core.rollout.phases import ADVANCE, RAMP
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets.engine.rollout import Rollouts
from timegpt_assets.engine.stages import EVERYDAY, STAGES
from timegpt_assets_tests.roads import TINY, Road, road, sessions

pytestmark = [
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.whole,  # half a minute: the road on made tables asks the same of the same code every time
]

FIRST, SECOND, THIRD, FOURTH = sessions(date(2025, 1, 30), date(2025, 2, 4))
WHO, SHARE = "persistence", 10
SYMBOLS = ("AAPL", "META", "NVDA")
MOVED = {symbol for symbol in SYMBOLS if bucket(WHO, symbol) < SHARE}
OF_DAYS = tuple(name for stage in ("bars", "features", "forecasts", "calibration") for name in STAGES[stage])
OF_DAYS = (*OF_DAYS, "forecast_scores", "symbol_gates", "trades", "book", "portfolio")
UNTOLD = tuple(name for name in EVERYDAY if name != "report")
"""All but the report, which tells of the record."""


@dataclass
class Clock:
    now: datetime = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def before(self, day: date) -> None:
        self.now = calendar.session(day).open - timedelta(hours=1)

    def after(self, day: date) -> None:
        self.now = calendar.session(day).close + timedelta(days=1, hours=8)


CLOCK = Clock()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    small: tuple[str, ...] = (
        f"universe.tickers=[{', '.join(SYMBOLS)}]",
        "forecast.challengers=[zero, climatology, persistence]",
    )
    small = (
        *small,
        "trading.require_positive_ev=false",
        "trading.k_sigma=0.01",
        "gates.symbol_min_forecasts=500",
    )  # all trade
    with road(tmp_path_factory.mktemp("house"), *small, base=TINY, clock=CLOCK, pictures=False) as made:
        yield made


def traders(house: Road, day: date, asset: str = "backtest/portfolio") -> dict[str, set[str]]:
    """Return symbol -> whose trades live holds on a session."""
    live = house.tables()[asset].filter(book="live", day=day).select("symbol", "forecaster").unique()
    found: dict[str, set[str]] = {}
    for symbol, name in live.iter_rows():
        found.setdefault(symbol, set()).add(name)
    return found


def test_shadow_changes_no_byte_live_changes_hands_by_the_record_and_goes_back_and_a_replay_is_the_same(
    house: Road,
) -> None:
    rollouts = Rollouts(runtime=house.runtime)
    CLOCK.after(SECOND)
    house.run([FIRST, SECOND], assets=UNTOLD)
    before = house.bytes()
    # in shadow from before the second session on: everything is made again, and is what it was
    CLOCK.before(SECOND)
    rollouts.start(WHO, who="me", why="")
    CLOCK.after(SECOND)
    house.run([SECOND], assets=UNTOLD, force=True)
    assert house.bytes() == before
    assert house.root.joinpath(NAME).exists(), "the record is all that there is more"
    # what the verb would have recorded, had the sessions been there
    CLOCK.before(THIRD)
    said = {"forecaster": WHO, "phase": RAMP, "share": SHARE, "who": "me", "why": "tried", "evidence": {}}
    rollouts.record.add(ADVANCE, **said, allowed=lambda _: None, clock=CLOCK)  # type: ignore[arg-type]
    CLOCK.after(THIRD)
    house.run([THIRD], assets=UNTOLD)
    house.run([SECOND], assets=["book", "portfolio"], force=True)
    assert {path: data for path, data in house.bytes().items() if f"{SECOND}" in path} == {
        path: data for path, data in before.items() if f"{SECOND}" in path
    }, "what was recorded later changes no session before it"
    assert len(MOVED) == 1
    changed = traders(house, THIRD)
    assert changed == {symbol: {WHO} if symbol in MOVED else {"ridge"} for symbol in changed}
    assert MOVED & changed.keys()
    assert set(changed) - MOVED
    # everything downstream of live follows: what the months count is what live held
    tables = house.tables()
    live = tables["backtest/portfolio"].filter("admitted", book="live")
    scores = tables["evaluation/trading_scores"].filter(book="live")
    of_symbols = {s: n for s, n in scores.select("symbol", "trades").iter_rows() if s != "*"}
    assert of_symbols == {s: live.filter(symbol=s).height for s in of_symbols}
    assert live.filter(forecaster=WHO).height > 0
    # and goes back before the next session, by hand here
    CLOCK.before(FOURTH)
    rollouts.roll_back(rollouts.standings()[WHO], who="me", why="enough", evidence={})
    CLOCK.after(FOURTH)
    house.run([FOURTH], assets=OF_DAYS)
    assert set().union(*traders(house, FOURTH).values()) == {"ridge"}
    as_made = house.bytes()
    house.run([THIRD, FOURTH], assets=["book", "portfolio"], force=True)
    assert house.bytes() == as_made, "a replay trades what was traded"


def test_a_record_that_was_edited_fails_the_day_and_nothing_is_traded_by_anybody(house: Road) -> None:
    file = house.root / NAME
    whole, day = file.read_bytes(), calendar.shifted(FOURTH, 1)
    file.write_bytes(whole.replace(b'"share": 10', b'"share": 90'))
    CLOCK.after(day)
    with pytest.raises(RunFailed, match=r"rollouts/record.jsonl was changed by hand .*: line 2 .* Restore it and its"):
        house.run([day], assets=OF_DAYS)
    assert f"{day}" not in {f"{found}" for found in house.tables()["backtest/book"]["day"].unique()}
    file.write_bytes(whole)
    house.run([day], assets=OF_DAYS)
    assert set().union(*traders(house, day, "backtest/book").values()) == {"ridge"}


def test_of_whoever_is_seated_no_more_live_holds_nothing(house: Road) -> None:
    trades = house.tables()["backtest/trades"].filter(pl.col("forecaster") != WHO, day=THIRD)
    live = with_books(trades, champion="ridge", shares={THIRD: [(WHO, SHARE)]}).filter(book="live")
    assert MOVED & set(trades["symbol"])
    assert set(live["symbol"]) == set(trades["symbol"]) - MOVED

"""A house that watches a venue and asks a model server, both on this machine, at a time that a test moves.

Belongs here: what such a test needs to begin. What a cycle must do is in engine/test_tsfm_cycle.py.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.engine import tsfm_cycle
from timegpt_assets.engine.tsfm_cycle import Cycle
from timegpt_assets.runtime_tsfm import market_source, tape
from timegpt_assets_tests import roads
from timegpt_assets_tests.roads import Road
from timegpt_assets_tests.servers.polymarket import PolymarketServer, condition, gamma_market, seconds, token
from timegpt_assets_tests.servers.tollama import TollamaServer

BEGINS = datetime(2025, 11, 30, 21, tzinfo=UTC)
"""Three hours before a day and a month end."""
SMALL = (
    *("tsfm.conformal.rolling_window_days=1", "tsfm.series.horizon_steps=3", "tsfm.fallback.order=[EWMA]"),
    *("tsfm.model.model_name=mock", "tsfm.tollama.batch_timeout_s=60", "tsfm.tollama.retry_count=0"),
)


def settings(venue: PolymarketServer, model: TollamaServer) -> tuple[str, ...]:
    """Return what has a house ask these two, impatiently."""
    urls = (f"tsfm.markets.{name}_url={venue.url}" for name in ("gamma", "clob", "data"))
    impatient = ("tsfm.markets.spacing_s=0", "tsfm.markets.max_attempts=1")
    return (*urls, *impatient, f"tsfm.tollama.base_url={model.url}")


def listed(venue: PolymarketServer, count: int, around: datetime = BEGINS, *, days: int = 1) -> None:
    """Have a venue list so many markets, priced every five minutes of the two days before and of so many after."""
    venue.markets = [gamma_market(number, endDate=None) for number in range(count)]
    for number in range(count):
        steps = range(-2 * 288, days * 288)
        prices = [(around + timedelta(minutes=5 * k), 0.4 + 0.01 * ((7 * k + number) % 5)) for k in steps]
        venue.history[token(number)] = [(seconds(ts), p) for ts, p in prices]
        venue.interest[condition(number)] = 1000.0 + number


@dataclass
class LiveHouse:
    """A house and whom it asks; ``now`` is what its clock says, ``cycles`` what its cycles did, by when."""

    venue: PolymarketServer
    model: TollamaServer
    now: datetime = BEGINS
    cycles: dict[str, Cycle] = field(default_factory=dict)
    road: Road = field(init=False)

    def cycle(self, now: datetime) -> Cycle:
        """Run the cycle of a moment as the command does."""
        self.now, runtime = now, self.road.runtime
        found = tsfm_cycle.cycle(self.road.engine, market_source(runtime), tape(runtime))
        self.cycles[f"{now:%d %H:%M}"] = found
        return found

    def read(self, name: str) -> pl.DataFrame:
        """Return a table of the second system as it is stored now."""
        store = ParquetStore(self.road.runtime.storage)
        return store.read(f"tsfm/{name}", store.files(f"tsfm/{name}"))


@contextmanager
def live_house(folder: Path, *overrides: str, markets: int = 4) -> Iterator[LiveHouse]:
    """Yield a house in a folder whose venue lists so many markets."""
    with PolymarketServer() as venue, TollamaServer() as model:
        listed(venue, markets)
        house = LiveHouse(venue, model)
        told: Sequence[str] = (*SMALL, *settings(venue, model), *overrides)
        clock: Callable[[], datetime] = lambda: house.now  # noqa: E731 - read each time
        with roads.road(folder, *told, clock=clock) as road:
            house.road = road
            yield house

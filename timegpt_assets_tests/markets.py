"""The two markets the truths are proved on: a made-up one, and real bars with a forecaster that makes them trade.

Belongs here: what makes a tiny house of each, and the days it is walked through.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets import runtime as runtimes
from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.runtime import MarketData
from timegpt_assets_tests.roads import LATER, TINY, Road, load_runtime, road, sessions
from timegpt_assets_tests.strategies import Clairvoyant

DAYS = tuple(sessions(date(2025, 1, 28), date(2025, 2, 6)))
"""Eight sessions: a rate decision, on whose day nothing is asked, and a month's end among them."""
_SEEN = tuple(sessions(date(2025, 1, 21), date(2025, 2, 6)))

MADE_UP_FIRST = ("synthetic", pytest.param("real", marks=pytest.mark.whole))
REAL_FIRST = ("real", pytest.param("synthetic", marks=pytest.mark.whole))
"""Parameters of a test that makes a road of its own: one market in `make test`, both in `make soak`."""

Change = Callable[[MarketData], MarketData]


@dataclass(frozen=True, kw_only=True)
class Market:
    """What a road of this market is built from."""

    name: str
    profile: str
    overrides: tuple[str, ...]
    environment: Mapping[str, str]

    @contextmanager
    def road(
        self,
        folder: Path,
        *overrides: str,
        change: Change = lambda market: market,
        pictures: bool = False,
        clock: Callable[[], datetime] = lambda: LATER,
    ) -> Iterator[Road]:
        """Yield a tiny road of this market; ``change`` is put between the bars and the house, not the forecaster."""
        options: dict[str, Any] = {"profile": self.profile, "base": TINY, "environment": self.environment}
        options["clock"] = clock
        chosen = (*self.overrides, *overrides)
        runtime = load_runtime(folder, *chosen, **options)
        bars = runtimes.market_data(runtime)
        overriding: dict[str, Any] = {"market_data": change(bars)}
        if self.name == "real":
            overriding["local_forecasters"] = Clairvoyant.of(
                bars,
                runtime.settings.universe.tickers,
                _SEEN,
                levels=core_inputs.levels(runtime.settings),
                run_source=runtime.settings.run_source,
            )
        with road(folder, *chosen, **options, overriding=overriding, pictures=pictures) as built:
            yield built


def synthetic() -> Market:
    """Return the made-up market, predictable enough for the baseline to trade."""
    overrides = ("data.synthetic.predictability=0.6", "forecast.snapshot_preset=dense")
    return Market(name="synthetic", profile="demo", overrides=overrides, environment={})


def real(folder: Path) -> Market:
    """Return the market of the real bars in ``folder``, forecast by one who has seen them."""
    environment = {"TIMEGPT_ASSETS_REAL_DATA": str(folder)}
    overrides = ("universe.context=[SPY]", "forecast.snapshot_preset=dense")
    return Market(name="real", profile="dev", overrides=overrides, environment=environment)


def minute(day: date, minutes: int) -> datetime:
    """Return the moment that many minutes into the session of a day."""
    return calendar.session(day).open + timedelta(minutes=minutes)

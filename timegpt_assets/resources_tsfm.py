"""Doors to the prediction markets for Dagster: whose prices are watched, and who forecasts them.

Belongs here: Dagster's resources of the second system, as resources.py has those of all.
"""

from typing import Any

import dagster as dg

from timegpt_assets import runtime_tsfm
from timegpt_assets.adapters.prediction_markets.source import MarketDays
from timegpt_assets.adapters.tollama.answer_store import BandForecaster
from timegpt_assets.runtime import Runtime


class MarketDesk(dg.ConfigurableResource[MarketDays]):
    """Whose prediction markets are watched, and where what was told of them lies."""

    source: str
    place: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> MarketDays:
        """Return the days that were kept, or those of files."""
        return runtime_tsfm.market_days(self.runtime)


class BandSeat(dg.ConfigurableResource[BandForecaster]):
    """Who forecasts prediction markets; the key of its server stays in the environment."""

    provider: str
    model: str
    base_url: str
    runtime: dg.ResourceDependency[Runtime]

    def create_resource(self, context: dg.InitResourceContext) -> BandForecaster:
        """Return the runner, which is asked only what it did not answer before."""
        return runtime_tsfm.band_forecaster(self.runtime)


def resources(runtime: Runtime) -> dict[str, Any]:
    """Return the resource definitions of the prediction markets."""
    data, tsfm = runtime.settings.data, runtime.settings.tsfm
    return {
        "market_days": MarketDesk(
            source=tsfm.markets.source,
            place=tsfm.markets.path or data.storage_root,
            runtime=runtime,
        ),
        "band_forecaster": BandSeat(
            provider=tsfm.model.provider,
            model=tsfm.model.model_name,
            base_url=tsfm.tollama.base_url,
            runtime=runtime,
        ),
    }

"""Forecasters side by side in the engine: one that fails never stops another, and the day is made again with it.

Guards against a hosted forecaster whose failure costs the day of those that answer for nothing, and against a day that
counts as made because they answered it.
"""

from datetime import date
from pathlib import Path

import pytest

from timegpt_assets.engine.daily import due
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets_tests.engine.test_call_budget import FIVE, FORECAST, house
from timegpt_assets_tests.roads import SEATS, Road
from timegpt_assets_tests.servers.timegpt import TimeGPTServer, status

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

DOWNSTREAM = ("forecasts/raw_forecasts", "calibration/forecasts")
FREE = set(SEATS)
STEADY = ("forecast.max_attempts=1", "forecast.api_budget.per_run=50")


def seated(built: Road, asset: str) -> dict[date, set[str]]:
    """Return day -> whose rows are stored of it."""
    rows = built.tables()[asset].select("day", "forecaster").unique()
    return {day: set(part["forecaster"]) for (day,), part in rows.partition_by("day", as_dict=True).items()}


def test_a_day_the_provider_fails_on_stands_without_it_and_is_made_again_with_it(tmp_path: Path) -> None:
    with TimeGPTServer(input_size=60) as server, house(tmp_path, server, *STEADY) as built:
        built.run(FIVE[:1])
        sent = server.counts[FORECAST]
        server.faults.extend([status(500)] * 50)
        with pytest.raises(RunFailed):
            built.run(FIVE[:3])
        failed_on, later = FIVE[1], FIVE[2]
        assert seated(built, "forecasts/raw_forecasts") == {FIVE[0]: {"timegpt", *FREE}, failed_on: FREE}
        assert later not in seated(built, "forecasts/raw_forecasts")
        assert failed_on in due(built.engine, later), "it counts as made, and is never asked for again"
        server.faults.clear()
        before = server.counts[FORECAST]
        built.run(FIVE[:3])
        assert server.counts[FORECAST] - before == 2 * sent
        for asset in DOWNSTREAM:
            assert seated(built, asset) == {day: {"timegpt", *FREE} for day in FIVE[:3]}

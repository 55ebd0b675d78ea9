"""Doors to the outside world for Dagster: what runs are handed, made when a run first needs it.

Belongs here: Dagster's resources. What stands behind each is made by runtime.py; secrets are never in a configuration.
"""

from typing import Any

import dagster as dg

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.runtime import Runtime, daily_files, forecaster, market_data


def resources(runtime: Runtime) -> dict[str, Any]:
    """Return the resource definitions of the outside world, each made when a run first needs it."""
    return {
        "daily_files": dg.ResourceDefinition(lambda _: daily_files(runtime)),
        "clock": dg.ResourceDefinition(lambda _: runtime.clock),
        "market_data": dg.ResourceDefinition(lambda _: market_data(runtime)),
        "forecaster": dg.ResourceDefinition(lambda _: forecaster(runtime)),
        "artifacts": dg.ResourceDefinition(lambda _: runtime.artifacts),
        "lineage_book": dg.ResourceDefinition(lambda _: LineageStore(runtime.storage)),
    }

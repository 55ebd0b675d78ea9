"""What each asset's rows are made under: the lineage records of a graph, from its settings and the code as it is.

Belongs here: which settings shape which stage, and the version of the code. What a record and its id are is
core/lineage.py; where records lie is adapters/storage/lineage_store.py.
"""

from collections.abc import Mapping, Set
from functools import cache
from importlib.metadata import version
from pathlib import Path

from dagster import AssetKey

from timegpt_assets.adapters import source_code
from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core import lineage


def lineage_records(settings: Settings, reads: Mapping[AssetKey, Set[AssetKey]]) -> dict[AssetKey, lineage.Lineage]:
    """Return what each asset's rows are made under; ``reads``: every asset with those it reads.

    The digest covers all that shapes the stage, which is the first part of the asset's key.
    """
    records: dict[AssetKey, lineage.Lineage] = {}
    _, model_name, _ = core_inputs.maker(settings)
    features_made = core_inputs.feature_spec(settings, core_inputs.event_calendar(settings))
    digests = {names: settings.digest(names) for names in set(SHAPED_BY.values())}
    waiting = dict(reads)
    while waiting:
        key = next(k for k, parents in waiting.items() if not parents & waiting.keys())
        parents = {p.path[-1]: records[p].lineage_id for p in sorted(waiting.pop(key), key=str)}
        records[key] = lineage.Lineage(
            asset=key.to_user_string(),
            profile=settings.profile,
            code_version=code_version(),
            config_digest=digests[SHAPED_BY[key.path[0]]],
            data_version=settings.data.source,
            feature_payload_schema_version=lineage.FEATURE_PAYLOAD_SCHEMA_VERSION,
            feature_version=features_made.feature_version,
            features_hash=features_made.features_hash,
            model_name=model_name,
            model_version=settings.forecast.model if settings.forecast.backend == "nixtla" else "1",
            parents=parents,
        )
    return records


_BARS = ("data", "dq_policy", "events")
_FEATURES = (*_BARS, "universe", "features", "forecast")
_CALIBRATION = (*_FEATURES, "calibration")
_ALL = (*_CALIBRATION, "trading", "backtest", "gates")
SHAPED_BY: Mapping[str, tuple[str, ...]] = {
    "bars": _BARS,
    "features": _FEATURES,
    "forecasts": _FEATURES,
    "calibration": _CALIBRATION,
    "backtest": _ALL,
    "evaluation": _ALL,
    "gates": _ALL,
    "reports": _ALL,
}
"""Configuration sections that can change a stage's numbers: a later stage's settings never rename an earlier row."""


@cache
def code_version() -> str:
    """Return the package version and a digest of the code that makes numbers."""
    return f"{version('timegpt_assets')}+{source_code.digest(Path(__file__).resolve().parents[1])[:12]}"

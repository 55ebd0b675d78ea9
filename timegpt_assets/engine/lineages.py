"""What each asset's rows are made under: the lineage records of a graph, from its settings and the code as it is.

Belongs here: how settings, code and parents become a record. Which settings shape an asset stands where it is declared.
What a record and its id are is core/lineage.py; where records lie is adapters/storage/lineage_store.py.
"""

from collections.abc import Mapping, Sequence, Set
from functools import cache
from importlib.metadata import version
from pathlib import Path

from dagster import AssetKey

from timegpt_assets.adapters import source_code
from timegpt_assets.config import core_inputs
from timegpt_assets.config.seats import package
from timegpt_assets.config.settings import Settings
from timegpt_assets.core import lineage
from timegpt_assets.core.tables.columns import NET, TREE

RAW_BARS = AssetKey(["bars", "raw_bars"])
FEATURES = AssetKey(["features", "features"])
BASE_ANSWERS = AssetKey(["forecasts", "base_answers"])
LEARNING = {AssetKey(["models", "tabular_model"]): TREE, AssetKey(["models", "neural_model"]): NET}
ANSWERED = (AssetKey(["forecasts", "answers"]), BASE_ANSWERS)


def lineage_records(
    settings: Settings, reads: Mapping[AssetKey, Set[AssetKey]], shaped_by: Mapping[AssetKey, Sequence[str]]
) -> dict[AssetKey, lineage.Lineage]:
    """Return what each asset's rows are made under; ``reads``: every asset with those it reads.

    ``shaped_by``: the keys each says it is shaped by (its declaration). A record counts those and, by its parents' ids,
    those of all it stands on: a setting renames the rows it can change and no others.
    """
    records: dict[AssetKey, lineage.Lineage] = {}
    spec = core_inputs.feature_spec(settings, core_inputs.event_calendar(settings))
    _, _, model, _ = next(core_inputs.makers(settings))
    waiting = dict(reads)
    while waiting:
        key = next(k for k, parents in waiting.items() if not parents & waiting.keys())
        parents = {p.path[-1]: records[p] for p in sorted(waiting.pop(key), key=str)}
        # named from where they enter: a model renames no feature, a feature no bar
        barred = key == RAW_BARS or any(p.data_version for p in parents.values())
        featured = key == FEATURES or any(p.features_hash for p in parents.values())
        answered = key in ANSWERED or any(p.model_name for p in parents.values())
        records[key] = lineage.Lineage(
            asset=key.to_user_string(),
            profile=settings.profile,
            code_version=code_version(),
            config_digest=settings.digest(chosen(shaped_by[key], settings)),
            data_version=settings.data.source if barred else "",
            feature_payload_schema_version=lineage.FEATURE_PAYLOAD_SCHEMA_VERSION,
            feature_version=spec.feature_version if featured else "",
            features_hash=spec.features_hash if featured else "",
            model_name=model if answered else "",
            model_version=_model_version(key, settings) if answered else _library(key),
            parents={name: record.lineage_id for name, record in parents.items()},
        )
    return records


def chosen(keys: Sequence[str], settings: Settings) -> list[str]:
    """Return the keys with the chosen preset and grids in their places: the others shape nothing."""
    names = {"preset": settings.forecast.snapshot_preset, "grid": settings.trading_grid.grid}
    names |= {"outer": settings.search.outer, "inner": settings.search.inner}
    return [key.format(**names) for key in keys]


def _library(key: AssetKey) -> str:
    """Return name and version of the package that a rung of the ladder learns with; empty for other assets."""
    return package(LEARNING[key]) if key in LEARNING else ""


def _model_version(key: AssetKey, settings: Settings) -> str:
    """Return the champion's version, and of those that answer on this machine the packages that are not this one."""
    champion = core_inputs.champion_version(settings)
    if key != BASE_ANSWERS:  # what stands on it has another parent
        return champion
    others = {word: package(word) for word in settings.forecast.local_forecasters}
    return ", ".join([champion, *(f"{word} of {found}" for word, found in others.items() if found)])


@cache
def code_version() -> str:
    """Return the package version and a digest of the code that makes numbers."""
    return f"{version('timegpt_assets')}+{source_code.digest(Path(__file__).resolve().parents[1])[:12]}"

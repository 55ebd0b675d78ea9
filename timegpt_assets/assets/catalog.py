"""What the UI's catalog says of every asset beside its table: kinds, owners, tags, freshness, its source and its page.

Belongs here: facts about assets that change no row. A test holds them against the house.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from timegpt_assets.config.settings import Settings

PAGES: Mapping[str, str] = {
    "bars": "docs/explanation/bars-and-quality.md",
    "features": "docs/reference/features.md",
    "forecasts": "docs/explanation/road-of-a-snapshot.md",
    "calibration": "docs/explanation/calibration.md",
    "backtest": "docs/explanation/execution-and-costs.md",
    "evaluation": "docs/how-to/read-a-verdict.md",
    "gates": "docs/explanation/gates.md",
    "reports": "docs/how-to/read-a-verdict.md",
    "models": "docs/explanation/model-ladder.md",
    "news": "docs/explanation/news.md",
    "research": "docs/how-to/sweep-the-rules.md",
    "tsfm": "docs/explanation/tsfm.md",
}
"""Group -> the page of the docs that explains its assets."""
LONGEST_PAUSE = timedelta(days=4, hours=6)
"""From one day's run to the next over a long weekend, and the hours a run may take."""
PAID = dg.AssetKey(["forecasts", "answers"])


def catalogued(
    asset: dg.AssetsDefinition, settings: Settings, checkout: Path, *, everyday: bool
) -> dg.AssetsDefinition:
    """Return the asset with what the catalog says of it; ``everyday`` for those that every session makes.

    ``checkout``: the folder the package stands in; that of an installed one has no docs.
    """
    group = asset.key.path[0]
    paid = asset.key == PAID and settings.forecast.backend == "nixtla" and settings.profile != "offline"
    kinds = {"polars", "gcs" if settings.data.storage_root.startswith("gs://") else "parquet"}
    attributes: dict[str, Any] = {
        "kinds": kinds | ({settings.forecast.backend} if asset.key == PAID else set()),
        "owners": list(settings.automation.owners),
        "tags": {"stage": group, "regime": settings.run_source, "cost": "paid" if paid else "free"},
        "metadata": {"dagster/code_references": _sources(asset, checkout / PAGES[group])},
    }
    told = asset.map_asset_specs(lambda spec: spec.merge_attributes(**attributes))
    if not everyday or settings.data.end_date or isinstance(asset.partitions_def, dg.MonthlyPartitionsDefinition):
        return told
    # of the asset and not of a session: Dagster knows no holidays, so only the longest pause is no false alarm
    fresh = dg.FreshnessPolicy.time_window(fail_window=LONGEST_PAUSE)
    return told.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=fresh))


def _sources(asset: dg.AssetsDefinition, page: Path) -> dg.CodeReferencesMetadataValue:
    """Return where the asset's function stands, and its page where the docs are there."""
    function = asset.op.compute_fn.decorated_fn  # type: ignore[union-attr]  # every asset here is a decorated function
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = function.__code__
    found: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
        dg.LocalFileCodeReference(file_path=code.co_filename, line_number=code.co_firstlineno, label="source")
    ]
    if page.is_file():
        found.append(dg.LocalFileCodeReference(file_path=str(page), label="docs"))
    return dg.CodeReferencesMetadataValue(code_references=found)

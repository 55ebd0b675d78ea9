"""Settings written as a folder resolve to themselves, whatever had its say in them, and find what was paid for."""

from pathlib import Path
from typing import get_args

import pytest

from timegpt_assets.config import override
from timegpt_assets.config.base import PLACE
from timegpt_assets.config.layers import flat
from timegpt_assets.config.schema import SECTIONS, annotation_at, dotted, marked
from timegpt_assets.config.settings import Settings, load_settings, resolved

PLACES = {"data.storage_root": "/own/data", "data.artifacts_root": "/own", "data.dagster_home": "/own/home"}
COUNTED = [name for name in SECTIONS if name != "automation"]
NO_PATH = {"data.template", "data.bucket", "calibration.model_path"}
"""Texts among the places that are looked for below another one, or in a bucket."""


def again(folder: Path, settings: Settings) -> Settings:
    """Return what the folder says that these settings are written to."""
    for name, text in override.written(settings, head="mine", placed=lambda at: f"/house/{at}", places=PLACES):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text)
    return load_settings(profile=settings.profile, config_dir=folder, environment={})


@pytest.mark.parametrize(
    ("profile", "overrides", "grid"),
    [
        ("demo", [], {"forecast.horizon_min": 5, "calibration.method": "widen"}),
        ("demo", ["trading.time_stop_et=15:50", "universe.tickers=[ON, 'NO', BRK.B]", "trading.impact=1e-6"], {}),
        ("demo", ["forecast.horizon_min=10"], {"forecast.snapshot_preset": "liquidity_profile"}),
        ("prod", ["data.bucket=b"], {"forecast.levels": [60, 90], "features.groups": ["price", "clock"]}),
        ("offline", ["data.source=local", "data.root=bars"], {"forecast.target.mode": "bp"}),
    ],
)
def test_it_resolves_to_the_same_settings(
    tmp_path: Path, profile: str, overrides: list[str], grid: dict[str, object]
) -> None:
    settings = load_settings(profile=profile, config_dir=None, environment={}, overrides=overrides, grid=grid)
    found = again(tmp_path, settings)
    assert found.digest(COUNTED) == settings.digest(COUNTED), "no setting that counts is another one"
    values = [{row.key: row.value for row in resolved(one)} for one in (found, settings)]
    assert {key for key, value in values[0].items() if value != values[1][key]} <= {*override.PATHS, *PLACES}
    assert (tmp_path / "forecast.yaml").read_text().startswith("# mine\n")


def test_what_was_paid_for_is_found_from_the_folder_and_what_is_made_lies_apart(tmp_path: Path) -> None:
    found = again(tmp_path, load_settings(profile="demo", config_dir=None, environment={}))
    assert found.forecast.cache_dir == "/house/artifacts/forecast_cache"
    assert found.forecast.api_budget.ledger_file == "/house/artifacts/call_ledger.sqlite"
    assert (found.data.storage_root, found.data.artifacts_root) == ("/own/data", "/own")


def test_every_place_that_is_a_path_is_made_absolute() -> None:
    """A new setting that names a file must not be looked for in the folder's own neighbourhood."""
    settings = load_settings(profile="demo", config_dir=None, environment={})
    texts = set()
    for section in SECTIONS:
        for path, _ in flat(getattr(settings, section).model_dump(mode="json"), (section,)):
            kinds = str(annotation_at(path))
            if marked(path, PLACE) and "str" in kinds and "Literal" not in kinds:
                texts.add(dotted(path))
    words = ("root", "path", "home", "dir", "file")
    paths = {key for key in texts if any(word in key.split(".")[-1] for word in words)}
    assert PLACE in get_args(annotation_at(("data", "storage_root")))
    assert paths - NO_PATH - {"automation.forecast_grid.file"} == {*override.PATHS, *PLACES}

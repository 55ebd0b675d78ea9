"""The forecast grid: every combination of settings of the forecaster, and what each would change.

Belongs here: which combinations there are, in which order, and what each is called. What one costs is
engine/forecast_prices.py, what came of them is forecast_board.py.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

SETTINGS = {
    "ablations": "features.groups",
    "horizons": "forecast.horizon_min",
    "target_modes": "forecast.target.mode",
    "snapshot_presets": "forecast.snapshot_preset",
    "models": "forecast.model",
    "quantile_sets": "forecast.quantiles",
    "level_sets": "forecast.levels",
    "calibration_methods": "calibration.method",
}
"""Dimension -> the setting it varies, the one that more is made from first: neighbours then have most in common."""


def choices(dimensions: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every choice of a value for each dimension, in the order of SETTINGS."""
    names = [name for name in SETTINGS if name in dimensions]
    return [
        dict(zip(names, values, strict=True)) for values in itertools.product(*(dimensions[name] for name in names))
    ]


def changes(choice: Mapping[str, Any], *, groups: Sequence[str]) -> dict[str, Any]:
    """Return setting -> value of a choice; ``groups`` are the feature groups of which an ablation takes some out."""
    found = {SETTINGS[name]: _plain(value) for name, value in choice.items()}
    if "ablations" in choice:
        found[SETTINGS["ablations"]] = [group for group in groups if group not in choice["ablations"]]
    return found


def words(choice: Mapping[str, Any]) -> str:
    """Return a choice as a person reads it."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in choice.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

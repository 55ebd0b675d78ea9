"""A forecast grid's file: which settings of the forecaster are tried against each other.

Belongs here: the file's model and reading it. It is no section: nothing but `sweep --forecast-grid` reads it, and any
number of such files may lie anywhere. What a combination of it is stands in core/research/forecast_grid.py.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import AliasChoices, Field, ValidationError

from timegpt_assets.config import files
from timegpt_assets.config.base import CalibrationMethod, Count, Levels, Name, Quantiles, Section, TargetMode
from timegpt_assets.config.close_names import closest
from timegpt_assets.config.errors import ConfigError, Fault
from timegpt_assets.config.market import FeatureGroup
from timegpt_assets.config.research import Tried
from timegpt_assets.config.schema import names_of
from timegpt_assets.config.yaml_text import plain_value

EXAMPLE = "horizons: [1, 5, 15]"


class ForecastGrid(Section):
    """The values tried of each setting; one that is not named stays as it is."""

    snapshot_presets: Tried[Name] = Field(default=(), validation_alias=AliasChoices("snapshot_presets", "presets"))
    horizons: Tried[Count] = Field(default=(), validation_alias=AliasChoices("horizons", "horizons_min"))
    quantile_sets: Tried[Quantiles] = ()
    level_sets: Tried[Levels] = Field(default=(), validation_alias=AliasChoices("level_sets", "levels"))
    target_modes: Tried[TargetMode] = ()
    calibration_methods: Tried[CalibrationMethod] = Field(
        default=(), validation_alias=AliasChoices("calibration_methods", "calibration")
    )
    models: Tried[Name] = ()
    ablations: Tried[tuple[FeatureGroup, ...]] = ()
    """Groups of features that are left out; [] leaves out none."""

    @property
    def dimensions(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the settings that are tried with their values."""
        return {name: values for name in ForecastGrid.model_fields if (values := getattr(self, name))}


def forecast_grid(file: Path) -> ForecastGrid:
    """Return the grid that a file says. Raises ConfigError, one line per fault, for a file that says none."""
    try:
        said = plain_value(files.text(file))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _refused(file, "forecast_grid", " ".join(str(error).split()), "a YAML mapping") from error
    if not isinstance(said, Mapping) or not said:
        raise _refused(file, "forecast_grid", said, "a dimension with its values")
    try:
        # as JSON, for strict models then take lists for tuples
        return ForecastGrid.model_validate_json(orjson.dumps(said))
    except ValidationError as error:
        raise ConfigError(_faults(file, said, error)) from error


def _refused(file: Path, key: str, value: object, allowed: str) -> ConfigError:
    remedy = f"Name a grid's file, such as configs/forecast_grid.yaml; one line of it reads {EXAMPLE}."
    return ConfigError([Fault(file=str(file), key=key, value=value, allowed=allowed, remedy=remedy)])


def _faults(file: Path, said: Mapping[str, Any], error: ValidationError) -> Iterator[Fault]:
    names = [name for field, info in ForecastGrid.model_fields.items() for name in names_of(field, info)]
    for found in error.errors(include_url=False):
        key = str(found["loc"][0])
        unknown = found["type"] == "extra_forbidden"
        close = closest(key, names)
        meant = f"Did you mean {close}?" if close else "Take it out, or write one of these."
        yield Fault(
            file=str(file),
            key=key,
            value=said.get(key, found["input"]),
            allowed=f"one of {', '.join(names)}" if unknown else found["msg"].removeprefix("Value error, "),
            remedy=meant if unknown else f"Write a list of values in {file}, like {EXAMPLE}, or take it out.",
        )

"""Profile, files, grid and --set -> Settings: the one door to the configuration.

Belongs here: the Settings object and how it is loaded. Nothing reads the environment; who loads passes it in.
Precedence, highest first: --set, grid, one's own profile, preset, one's own files, and below all of them what is
shipped: its profile over its files.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path as File
from types import MappingProxyType
from typing import Any, NamedTuple

from timegpt_assets.config import advisories
from timegpt_assets.config.alarms import Alarms
from timegpt_assets.config.automation import Automation
from timegpt_assets.config.base import ADDED, PLACE
from timegpt_assets.config.close_names import did_you_mean
from timegpt_assets.config.errors import ConfigError, Fault, redacted
from timegpt_assets.config.faults import origin, reading
from timegpt_assets.config.forecasting import Calibration, Forecast
from timegpt_assets.config.layers import (
    Layer,
    file_layer,
    flat,
    grid_layer,
    merged,
    override_layer,
    placed,
    preset_layer,
)
from timegpt_assets.config.market import Data, DqPolicy, Events, Features, Importing, Universe
from timegpt_assets.config.models import Models
from timegpt_assets.config.news import News
from timegpt_assets.config.research import Search, TradingGrid
from timegpt_assets.config.rollout import Rollout
from timegpt_assets.config.schema import SECTIONS, dotted, marked
from timegpt_assets.config.shipped import CONFIGS
from timegpt_assets.config.strategy import Backtest, Gates, Trading
from timegpt_assets.config.tsfm import Tsfm
from timegpt_assets.core.tables.columns import RUN_SOURCES

PROFILES = ("demo", "dev", "offline", "prod")
DEFAULT_PROFILE = "demo"
GRIDS = "forecast_grid"
"""How files in the folder begin that are no sections: forecast grids, read by whoever is told their name."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting of a run, read and checked; ``origins`` says where each key came from."""

    profile: str
    data: Data
    importing: Importing
    dq_policy: DqPolicy
    universe: Universe
    events: Events
    features: Features
    news: News
    forecast: Forecast
    models: Models
    calibration: Calibration
    trading: Trading
    backtest: Backtest
    trading_grid: TradingGrid
    search: Search
    gates: Gates
    rollout: Rollout
    automation: Automation
    alarms: Alarms
    tsfm: Tsfm
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def run_source(self) -> str:
        """Return which road new rows come by."""
        return RUN_SOURCES[self.profile]

    def digest(self, names: Iterable[str]) -> str:
        """Return the sha256 of the resolved values of sections (or dotted keys), places left out.

        The same science in another folder has the same digest. Raises KeyError for a name that holds nothing.
        """
        wanted = set(names)
        for name in sorted(wanted - self._held.keys()):
            raise KeyError(f"{name} holds no settings that count; name one of {', '.join(SECTIONS)}, or a key.")
        values = {key: self._counted[key] for name in wanted for key in self._held[name]}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _counted(self) -> Mapping[str, Any]:
        """Return every key but the places with its value: each asset of the graph asks for some of them."""
        return dict(_leaves(self, without_places=True))

    @cached_property
    def _held(self) -> Mapping[str, Sequence[str]]:
        """Return the keys that count below every section and dotted key."""
        held: dict[str, list[str]] = {}
        for key in self._counted:
            for name in _names(key):
                held.setdefault(name, []).append(key)
        return held


class Row(NamedTuple):
    """One key as the run uses it, fit to be printed."""

    key: str
    value: Any
    origin: str


def resolved(settings: Settings) -> tuple[Row, ...]:
    """Return one row per key in the order of the files: value (``[REDACTED]`` if it looks secret) and origin."""
    values = [("profile", settings.profile), *_leaves(settings)]
    return tuple(Row(key, redacted(key, value), settings.origins[key]) for key, value in values)


def load_settings(
    *,
    profile: str | None,
    config_dir: File | None,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str],
    grid: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a profile (None: demo), checked as a whole.

    Files in ``config_dir``, its profiles too, stand over all that is shipped, key by key. ``overrides`` are
    ``section.key=value`` texts, ``grid`` is one combination of a sweep (dotted key -> value). ``environment`` fills
    ``${NAME}`` in places only. Raises ConfigError with one line per fault.
    """
    name, faults = profile or DEFAULT_PROFILE, _folder_faults(config_dir)
    shipped = _read([partial(file_layer, *found) for found in _section_files(CONFIGS, "configs")], faults)
    own_dir = config_dir if config_dir and config_dir.resolve() != CONFIGS.resolve() else None
    own = _read([partial(file_layer, *found) for found in _section_files(own_dir, str(own_dir))], faults)
    shipped_profile = _read([partial(_profile_layer, CONFIGS, "configs", name)], faults)
    own_profile = _read([partial(_profile_layer, own_dir, str(own_dir), name)], faults)
    given = _read([partial(grid_layer, grid or {}), *(partial(override_layer, text) for text in overrides)], faults)
    defaults = merged(shipped)
    below, above = [defaults, *shipped_profile, *own], [*own_profile, *given]
    # Any layer may choose the preset; what the preset brings along still stands under one's profile, grid and --set.
    preset = preset_layer(merged([*below, *above]))
    variables = {**environment, "profile": name}
    leaves, place_faults = placed(merged([*below, preset, *above]), variables)
    read = reading(leaves, defaults=defaults, profile=name, in_grid=bool(grid))
    if faults := [*faults, *place_faults, *read.faults]:
        raise ConfigError(faults)
    return _settings(name, "given" if profile else "default", read.sections, leaves, own_dir or CONFIGS)


def _settings(profile: str, given: str, sections: Mapping[str, Any], leaves: Layer, folder: File) -> Settings:
    told = ("data", "universe", "events", "features", "forecast", "calibration", "gates", "news", "tsfm")
    about = {key: sections[key] for key in told}
    files = (file for file in folder.glob("*.yaml") if not file.stem.startswith(GRIDS))
    stray = sorted(file.name for file in files if file.stem not in SECTIONS)
    draft = Settings(profile=profile, **sections, origins={}, warnings=())
    origins = {key: origin(leaves, tuple(key.split("."))) for key, _ in _leaves(draft)}
    return replace(
        draft,
        origins=MappingProxyType({"profile": given, **origins}),
        warnings=(
            *advisories.warnings(**about),
            *(f"{folder.name}/{name} is no section; it is not read." for name in stray),
        ),
    )


def _read(reads: Iterable[Callable[[], Layer]], faults: list[Fault]) -> list[Layer]:
    """Return the layers that could be read; what was wrong with the others is added to ``faults``."""
    layers = []
    for read in reads:
        try:
            layers.append(read())
        except ConfigError as error:
            faults.extend(error.faults)
    return layers


def _folder_faults(config_dir: File | None) -> list[Fault]:
    folder = config_dir or CONFIGS
    if folder.is_dir():
        return []
    remedy = "Give the folder that holds data.yaml and the other sections."
    return [Fault(file=str(folder), key="config_dir", value=str(folder), allowed="a folder", remedy=remedy)]


def settings_in(folder: File) -> bool:
    """Return whether a folder holds settings: the file of a section, or profiles."""
    return (folder / "profiles").is_dir() or bool(_section_files(folder, ""))


def _section_files(folder: File | None, label: str) -> list[tuple[File, str, str]]:
    names = [name for name in SECTIONS if folder and (folder / f"{name}.yaml").exists()]
    return [(folder / f"{name}.yaml", f"{label}/{name}.yaml", name) for name in names if folder]


def _profile_layer(folder: File | None, label: str, name: str) -> Layer:
    """Return what a folder's profile says; nothing where a folder of one's own has none of that name."""
    if name not in PROFILES:
        if folder != CONFIGS:
            return {}  # said once
        remedy = f"{did_you_mean(name, PROFILES)}Choose one of these with --profile."
        place = f"{label}/profiles/{name}.yaml"
        raise ConfigError([Fault(file=place, key="profile", value=name, allowed=" | ".join(PROFILES), remedy=remedy)])
    file = folder / "profiles" / f"{name}.yaml" if folder else None
    return file_layer(file, f"{label}/profiles/{name}.yaml") if file and file.exists() else {}


def _leaves(settings: Settings, *, without_places: bool = False) -> Iterator[tuple[str, Any]]:
    for section in SECTIONS:
        values = getattr(settings, section).model_dump(mode="json")
        for path, value in flat(values, (section,)):
            uncounted = marked(path, PLACE) or (marked(path, ADDED) and not value)
            if not (without_places and uncounted):
                yield dotted(path), value


def _names(key: str) -> Iterator[str]:
    """Yield everything a dotted key lies in, from its section to itself."""
    for end, letter in enumerate(key):
        if letter == ".":
            yield key[:end]
    yield key

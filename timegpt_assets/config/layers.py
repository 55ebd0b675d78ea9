"""Files, profile, preset, grid and --set -> one value per key, remembering where each came from.

Belongs here: reading a layer, canonical names, merging by precedence, places taken from the environment. Whether a
value is allowed is for the models (types, ranges) and checks.py (keys that must fit each other).
"""

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path as File
from types import MappingProxyType
from typing import Any, Union, get_args, get_origin

import yaml

from timegpt_assets.config import files
from timegpt_assets.config.base import PER_SYMBOL, PLACE
from timegpt_assets.config.errors import SECRET_KEY, ConfigError, Fault
from timegpt_assets.config.schema import SECTIONS, Path, canonical_path, dotted, field_at, marked
from timegpt_assets.config.yaml_text import plain_value

MOVED: Mapping[Path, Path] = {
    ("forecast", "calibration"): ("calibration",),
    ("forecast", "snapshots_et"): ("forecast", "snapshot_presets", "snapshots_et", "times"),
    ("backtest", "forecast_gates"): ("gates", "forecast_gates"),
    ("backtest", "trading_gates"): ("gates", "trading_gates"),
    ("trading_grid", "enhancement"): ("trading_grid", "grids", "enhancement"),
    ("trading_grid", "budget_sprint"): ("trading_grid", "grids", "budget_sprint"),
}
"""Where the seeds write a key -> where it stands."""
PRESETS = ("forecast", "snapshot_presets")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value (a scalar or a list) and where it was written."""

    value: Any
    origin: str


Layer = Mapping[Path, Leaf]


def file_layer(file: File, shown_as: str, section: str | None = None) -> Layer:
    """Return what a YAML file says; a section's file holds that section's keys, a profile whole sections.

    Raises ConfigError for a file that cannot be read, is no YAML mapping, or gives a key twice.
    """
    try:
        return _text_layer(files.text(file), shown_as, section)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise _unreadable(shown_as, section, reason, "Mend the file; it must be YAML in UTF-8.") from error


@lru_cache(maxsize=64)  # most of a load is reading YAML, and tests and tools load often
def _text_layer(text: str, shown_as: str, section: str | None) -> Layer:
    raw = plain_value(text) or {}
    if not isinstance(raw, Mapping):
        raise _unreadable(shown_as, section, raw, "Write the file as key: value lines.")
    # Read-only: the next load is given the same object.
    return MappingProxyType(layer({section: raw} if section else raw, origin=shown_as))


def _unreadable(shown_as: str, section: str | None, value: object, remedy: str) -> ConfigError:
    key = section or "profile"
    return ConfigError([Fault(file=shown_as, key=key, value=value, allowed="a YAML mapping", remedy=remedy)])


def grid_layer(values: Mapping[str, Any]) -> Layer:
    """Return the settings of one grid combination, given as dotted key -> value."""
    return layer(_nested((_path(key), value) for key, value in values.items()), origin="grid")


def override_layer(text: str) -> Layer:
    """Return what one ``section.key=value`` text says, the value read as YAML. ConfigError for a malformed text."""
    key, separator, value = text.partition("=")
    path = _path(key.strip())
    if not separator or not all(path) or len(path) < 2:
        raise _malformed(text, "section.key=value")
    try:
        return layer(_nested([(path, plain_value(value))]), origin="--set")
    except yaml.YAMLError as error:
        raise _malformed(text, "a value in YAML") from error


def _malformed(text: str, allowed: str) -> ConfigError:
    key, _, value = text.partition("=")
    remedy = "Write it like --set forecast.horizon_min=15."
    return ConfigError([Fault(file="--set", key=key, value=value, allowed=allowed, remedy=remedy)])


def layer(raw: Mapping[str, Any], *, origin: str) -> dict[Path, Leaf]:
    """Return the leaves of nested settings under canonical paths. ConfigError for a key given under two names."""
    leaves: dict[Path, Leaf] = {}
    for written, value in flat(raw):
        for path, item in _canonical(written, value):
            if path in leaves:
                remedy = f"Keep one of the names of {dotted(path)}."
                raise ConfigError(
                    [Fault(file=origin, key=dotted(written), value=value, allowed="a key once", remedy=remedy)]
                )
            renamed = path[: len(written)] != written
            leaves[path] = Leaf(item, f"{origin} (as {dotted(written)})" if renamed else origin)
    return leaves


def flat(raw: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield (path, value) of every scalar, list and empty mapping in nested settings; an empty section has none."""
    for name, value in raw.items():
        path = (*above, str(name))
        if isinstance(value, Mapping) and value:
            yield from flat(value, path)
        elif len(path) > 1 or value:
            yield path, value


def _canonical(written: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    for before, after in MOVED.items():
        if written[: len(before)] == before:
            written = after + written[len(before) :]
    path = canonical_path(written)
    if path == PRESETS and isinstance(value, list):
        yield from _listed_presets(value)
    elif _is_number(value) and (info := field_at(path)) and PER_SYMBOL in info.metadata and path[-1] in _fields(path):
        yield (*path, "default"), value
    else:
        yield path, value


def _listed_presets(presets: list[Any]) -> Iterator[tuple[Path, Any]]:
    for position, preset in enumerate(presets):
        named = preset if isinstance(preset, Mapping) else {"times": preset}
        name = str(named.get("name", position))
        yield from flat({name: {key: value for key, value in named.items() if key != "name"}}, PRESETS)


def _fields(path: Path) -> Iterable[str]:
    return SECTIONS[path[0]].model_fields if len(path) == 2 else ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _path(key: str) -> Path:
    """Return the path of a dotted key; a mapping's own names may hold dots (``BRK.B``)."""
    parts = tuple(key.split("."))
    for depth in range(2, len(parts)):
        info = field_at(canonical_path(parts[:depth]))
        if info is not None and PER_SYMBOL in info.metadata:
            return (*parts[:depth], ".".join(parts[depth:]))
    return parts


def _nested(items: Iterable[tuple[Path, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in items:
        branch = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        branch[path[-1]] = value
    return tree


def nested(leaves: Layer) -> dict[str, Any]:
    """Return the leaves' values as nested mappings."""
    return _nested((path, leaf.value) for path, leaf in leaves.items())


def merged(layers: Iterable[Layer]) -> dict[Path, Leaf]:
    """Return the leaves of all layers, later ones winning; an empty mapping or a scalar clears what lay beneath."""
    result: dict[Path, Leaf] = {}
    above = set[Path]()  # of all leaves, those that are gone too: a path that is none of them has nothing beneath
    for upper in layers:
        for path, leaf in upper.items():
            if path not in result:
                prefixes = [path[:depth] for depth in range(1, len(path))]
                beneath = [other for other in result if other[: len(path)] == path] if path in above else []
                for other in [*beneath, *(prefix for prefix in prefixes if prefix in result)]:
                    del result[other]
                above.update(prefixes)
            result[path] = leaf
    return result


def preset_layer(leaves: Layer) -> Layer:
    """Return what the chosen snapshot preset brings along: its horizon, when it names one."""
    chosen = leaves.get(("forecast", "snapshot_preset"), Leaf(None, "")).value
    horizon = leaves.get((*PRESETS, str(chosen), "horizon_min"), Leaf(None, ""))
    if horizon.value is None:
        return {}
    return {("forecast", "horizon_min"): replace(horizon, origin=f"preset {chosen} in {horizon.origin}")}


def placed(leaves: Layer, variables: Mapping[str, str]) -> tuple[dict[Path, Leaf], list[Fault]]:
    """Return the leaves with ``${NAME}`` replaced, and the faults found on the way.

    Only places may hold one. A variable that is not set leaves null where null is allowed (and says so in the origin).
    """
    faults: list[Fault] = []
    result = dict(leaves)
    for path, leaf in leaves.items():
        names = _VARIABLE.findall(leaf.value) if isinstance(leaf.value, str) else []
        unset = [name for name in names if not variables.get(name)]
        if fault := _variable_fault(path, leaf, names, unset):
            faults.append(fault)
        elif unset:
            result[path] = Leaf(None, f"{leaf.origin}: {', '.join(unset)} is not set")
        elif names:
            value = _VARIABLE.sub(lambda found: variables[found[1]], leaf.value)
            result[path] = Leaf(value, leaf.origin)
    return result, faults


def _variable_fault(path: Path, leaf: Leaf, names: list[str], unset: list[str]) -> Fault | None:
    def fault(allowed: str, remedy: str) -> Fault:
        return Fault(file=leaf.origin, key=dotted(path), value=leaf.value, allowed=allowed, remedy=remedy)

    if names and not marked(path, PLACE):
        return fault("a value written out", "Write the value itself; only places may come from the environment.")
    if secret := [name for name in names if SECRET_KEY.search(name)]:
        return fault("no secret", f"Take {secret[0]} out; secrets are read where they are used, never stored.")
    if unset and not _nullable(path):
        return fault("a place", f"Set the environment variable {unset[0]}, or write the value itself.")
    return None


def _nullable(path: Path) -> bool:
    info = field_at(path)
    annotation = info.annotation if info else None
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)

"""What the models declare about a key: its field, its canonical name, what it may hold.

Belongs here: walking the models by path. A path is the tuple of names from the section down.
"""

import types
from collections.abc import Mapping
from datetime import date, time
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from timegpt_assets.config.alarms import Alarms
from timegpt_assets.config.automation import Automation
from timegpt_assets.config.base import Mark, Section
from timegpt_assets.config.forecasting import Calibration, Forecast
from timegpt_assets.config.market import Data, DqPolicy, Events, Features, Importing, Universe
from timegpt_assets.config.models import Models
from timegpt_assets.config.news import News
from timegpt_assets.config.research import Search, TradingGrid
from timegpt_assets.config.rollout import Rollout
from timegpt_assets.config.strategy import Backtest, Gates, Trading
from timegpt_assets.config.tsfm import Tsfm

Path = tuple[str, ...]

SECTIONS: Mapping[str, type[Section]] = {
    "data": Data,
    "importing": Importing,
    "dq_policy": DqPolicy,
    "universe": Universe,
    "events": Events,
    "features": Features,
    "news": News,
    "forecast": Forecast,
    "models": Models,
    "calibration": Calibration,
    "trading": Trading,
    "backtest": Backtest,
    "trading_grid": TradingGrid,
    "search": Search,
    "gates": Gates,
    "rollout": Rollout,
    "automation": Automation,
    "alarms": Alarms,
    "tsfm": Tsfm,
}
"""Section name = file stem -> its model."""


def dotted(path: Path) -> str:
    """Return the path as it is written with --set."""
    return ".".join(path)


def names_of(field: str, info: FieldInfo) -> tuple[str, ...]:
    """Return the names under which a field may be written, the canonical one first."""
    alias = info.validation_alias
    return tuple(str(choice) for choice in alias.choices) if isinstance(alias, AliasChoices) else (field,)


def canonical_name(model: type[Section], name: str) -> str:
    """Return the field's own name for one of its names; an unknown name comes back as it is."""
    for field, info in model.model_fields.items():
        if name in names_of(field, info):
            return field
    return name


def model_of(annotation: Any) -> type[Section] | None:
    """Return the section model that values of the annotation are read into, if any."""
    annotation = bare(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def mapped_to(annotation: Any) -> Any | None:
    """Return what a mapping's values are annotated with; None when the annotation is no mapping."""
    annotation = bare(annotation)
    return get_args(annotation)[1] if get_origin(annotation) is Mapping else None


def bare(annotation: Any) -> Any:
    """Return the annotation without ``Annotated``."""
    return bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def canonical_path(path: Path) -> Path:
    """Return the path with every alias replaced by the field's own name."""
    annotation: Any = SECTIONS.get(path[0])
    names = [path[0]]
    for name in path[1:]:
        if (model := model_of(annotation)) is None:
            names.append(name)
            annotation = mapped_to(annotation)
        else:
            names.append(canonical_name(model, name))
            annotation = model.__annotations__.get(names[-1])
    return tuple(names)


@cache
def field_at(path: Path) -> FieldInfo | None:
    """Return the field a canonical path leads to or through (a mapping's entry: the mapping); None when unknown."""
    annotation: Any = SECTIONS.get(path[0])
    info: FieldInfo | None = None
    for name in path[1:]:
        if (model := model_of(annotation)) is not None:
            if name not in model.model_fields:
                return None
            info = model.model_fields[name]
            annotation = info.annotation
        elif (annotation := mapped_to(annotation)) is None:
            return None
    return info


@cache  # asked of every key whenever settings are digested
def marked(path: Path, mark: Mark) -> bool:
    """Return whether the field at the path, or one it lies in, carries the mark."""
    fields = (field_at(path[:depth]) for depth in range(2, len(path) + 1))
    return any(info is not None and mark in info.metadata for info in fields)


def annotation_at(path: Path) -> Any:
    """Return the annotation of what a canonical path leads to; None when unknown."""
    annotation: Any = SECTIONS.get(path[0])
    for name in path[1:]:
        model = model_of(annotation)
        # Not the field's own annotation: pydantic takes Annotated off it, and with it the limits that are shown.
        annotation = mapped_to(annotation) if model is None else model.__annotations__.get(name)
    return annotation


def allowed_at(path: Path) -> str:
    """Return in words what may be written at a path."""
    return _words(annotation_at(path))


def _words(annotation: Any) -> str:
    limits = ""
    if get_origin(annotation) is Annotated:
        limits = _limits([limit for extra in get_args(annotation)[1:] for limit in getattr(extra, "metadata", [])])
        annotation = bare(annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(value) for value in args)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(arg) for arg in args)
    if origin is tuple:
        return f"list of {_words(args[0])}"
    if origin is Mapping:
        return f"mapping of name: {_words(args[1])}"
    if model := model_of(annotation):
        return f"mapping with the keys {', '.join(model.model_fields)}"
    return f"{_TYPES.get(annotation, 'null')}{limits}"


_TYPES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true | false",
    date: "day YYYY-MM-DD",
    time: 'time "HH:MM"',
}


def _limits(metadata: list[Any]) -> str:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "pattern": "like"}
    found = [
        f"{sign} {value}"
        for limit in metadata
        for name, sign in signs.items()
        if (value := getattr(limit, name, None)) is not None
    ]
    return f" {' and '.join(found)}" if found else ""

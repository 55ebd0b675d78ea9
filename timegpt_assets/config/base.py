"""What every section of the configuration has in common: strict, frozen, no key unknown, no default in code.

Belongs here: the base model, the markers of fields and the types that several sections use. Defaults stand in
configs/*.yaml, and so does the meaning of every key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A frozen group of settings; read it from JSON values, strictly."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """Says something about a field that its type cannot say."""

    name: str


PLACE = Mark("place")
"""Where something lies, when it is looked at or how it is paid for; no stored number depends on it, so no digest counts
it."""
ADDED = Mark("added")
"""A key that came after houses were stored: at nothing it changes no row of theirs, so no digest counts it there."""
PER_SYMBOL = Mark("per_symbol")
"""A mapping symbol -> number with the entry ``default``; a single number stands for the default."""


def _with_default(values: Mapping[str, float]) -> Mapping[str, float]:
    if "default" not in values:
        raise ValueError("a mapping symbol: number with the entry default")
    return values


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a list without repeated entries")
    return values


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1, pattern=r"^\S+$")]
EventName = Annotated[str, Field(pattern=r"^event_[a-z0-9_]+$")]
RuleSet = Literal["enhancement", "budget_sprint"]
SigmaColumn = Annotated[str, Field(pattern=r"^(sigma|vol_ewm)_[1-9]\d*m$")]
TargetMode = Annotated[str, Field(pattern=r"^(log_return(_[1-9]\d*m)?|bp|volatility_z)$")]
Quantile = Annotated[float, Field(gt=0, lt=1)]
Level = Annotated[int, Field(ge=1, le=99)]
Quantiles = Annotated[tuple[Quantile, ...], Field(min_length=1), AfterValidator(_unique)]
Levels = Annotated[tuple[Level, ...], AfterValidator(_unique)]
Times = Annotated[tuple[time, ...], Field(min_length=1), AfterValidator(_unique)]
EventNames = Annotated[tuple[EventName, ...], AfterValidator(_unique)]
PerSymbol = Annotated[Mapping[str, NotNegative], AfterValidator(_with_default), PER_SYMBOL]
CalibrationMethod = Literal["none", "affine", "isotonic", "conformal", "widen", "adaptive"]

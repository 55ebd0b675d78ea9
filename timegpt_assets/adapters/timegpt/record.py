"""The record beside a stored answer: what each must hold for its rows to be made, as plain JSON values.

Belongs here: its shape. A file that was copied, imported or forged has a whole checksum too; one whose record is none
is damage, and is told before anything is made of it.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator


def _day(text: str) -> str:
    date.fromisoformat(text)
    return text


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


Day = Annotated[str, AfterValidator(_day)]
Moment = Annotated[str, AfterValidator(_moment)]


class _Asked(BaseModel):
    """Any answer: the model's parameters say no more than this."""

    model_config = ConfigDict(strict=True, extra="allow")
    model: str
    attempt: int = Field(ge=1, le=1_000_000)


class _Scaled(BaseModel):
    """One snapshot's symbols with what their numbers are scaled by."""

    model_config = ConfigDict(strict=True, extra="allow")
    snapshot_ts: Moment
    symbols: list[str]
    sigma: list[float | None]
    target_scale: list[float | None]

    @model_validator(mode="after")
    def _same_lengths(self) -> Self:
        if not len(self.symbols) == len(self.sigma) == len(self.target_scale):
            raise ValueError("symbols, sigma and target_scale differ in length")
        return self


class _Forecast(_Asked, _Scaled):
    """A forecast, singly or in bulk; records of old have no ``reach`` and ``spread``."""

    snapshot_key: str
    kind: str
    day: Day
    asked_at: Moment
    horizon_min: int = Field(ge=1, le=1_440)
    levels: list[int]
    left_out: dict[str, str] = {}
    reach: list[float | None] | None = None
    spread: list[float | None] | None = None
    score_source: Literal["model", "simulated"]
    run_source: Literal["prod", "maintenance", "smoke", "async_test"]
    data_regime: Literal["prod_live", "maintenance_replay"]
    windows: list[_Scaled] | None = Field(default=None, min_length=1)
    n_windows: int | None = Field(default=None, ge=1, le=100_000)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        spans = [span for span in (self.reach, self.spread) if span is not None]
        if len(spans) == 1 or any(len(span) != len(self.symbols) for span in spans):
            raise ValueError("reach, spread and symbols differ in length")
        if (self.windows is None) != (self.n_windows is None):
            raise ValueError("windows and n_windows belong together")
        return self


def fault(record: Mapping[str, Any]) -> str:
    """Return what keeps the record from being one, "" when nothing does."""
    try:
        (_Forecast if "snapshot_ts" in record or "kind" in record else _Asked).model_validate(dict(record))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'record'}: {first['msg']}"
    return ""

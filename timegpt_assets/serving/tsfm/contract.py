"""What is sent to POST /tsfm/forecast and what comes back, as pydantic models: the names are those of the seed.

Belongs here: shapes, and what is wrong with a request whatever the settings. What the settings allow, and what stands
for what was left out, is terms.py.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    JsonValue,
    ValidationError,
)

MOST_FAULTS = 20
"""Faults told of one request; a request that is wrong everywhere says nothing more by its thousandth."""
MOST_QUANTILES = 99
_ISO = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def _moment(value: Any) -> Any:
    # pydantic reads 1700000000, quoted or not, as seconds since 1970: a number is no moment
    if value is not None and not (isinstance(value, str) and _ISO.match(value)):
        raise ValueError(f"{str(value)[:40]!r} is no ISO 8601 moment")
    return value


# not strict: what a validator has seen counts as Python's, in which a text is no moment
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_moment)]
Price = Annotated[float, Field(ge=0, le=1)]
Inner = Annotated[float, Field(gt=0, lt=1)]
Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Covariates = Annotated[dict[Word, Annotated[tuple[float, ...], FailFast()]], Field(max_length=50)]


class Wire(BaseModel):
    """What goes over the wire: nothing unknown, nothing converted, no number that is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class TransformAsked(Wire):
    """The space in which is forecast."""

    space: Literal["logit", "identity"] = Field(description="logit or identity")
    eps: float | None = Field(None, gt=0, lt=0.5, description="how near to 0 and 1 a price is taken at most")


class ModelAsked(Wire):
    """Who is to forecast."""

    provider: Word | None = Field(None, description="tollama or in_process: the one that tsfm.model.provider names")
    model_name: Word | None = Field(None, description="a model that configs/models.yaml lists")
    model_version: Word = Field("auto", description="auto: what the server has")
    params: dict[str, JsonValue] = Field(default_factory=dict, description="as in tsfm.model.params")


class ForecastRequest(Wire):
    """A market's prices up to a moment. Everything after ``y`` may be left out: the settings then say it."""

    market_id: Word = Field(description="the market's name at its venue")
    as_of_ts: Moment = Field(description="moment of the last price, ISO 8601 with its zone")
    y: Annotated[tuple[Price | None, ...], FailFast()] = Field(
        description="prices from 0 to 1 on the grid, oldest first, the last one at as_of_ts; null: none was known"
    )
    freq: str | None = Field(None, max_length=20, description="step of the grid, as 5m: tsfm.series.freq")
    horizon_steps: int | None = Field(None, ge=1, description="steps ahead")
    quantiles: Annotated[tuple[Inner, ...], Field(min_length=1, max_length=MOST_QUANTILES)] | None = Field(
        None, description="rising, with 0.5 and at least one on either side of it"
    )
    x_past: Covariates = Field(
        default_factory=dict, description="covariates, as long as y; a model server is told them"
    )
    x_future: Covariates = Field(
        default_factory=dict, description="what of x_past is known ahead, as long as the horizon"
    )
    transform: TransformAsked | None = None
    model: ModelAsked | None = None
    volume_24h: float | None = Field(None, ge=0, description="USD of 24 hours; null: nobody tells it")
    end_ts: Moment | None = Field(None, description="when the market ends; null: nobody tells it")
    category: Word | None = Field(None, description="the venue's category; null: it tells none")


class Band(Wire):
    """Lower end, median and upper end, a number for each step."""

    lower: tuple[float, ...]
    median: tuple[float, ...]
    upper: tuple[float, ...]


class Bands(Wire):
    """Every band there is of the forecast, and which of them is to be used."""

    raw: Band = Field(description="outer quantiles and median of yhat_q, before conformal")
    adjusted: Band | None = Field(description="after conformal; null where no parameters fit, warnings say why")
    baseline: Band = Field(description="what the baseline says, whoever was served")
    band_source: Literal["tsfm_conformal", "tsfm_raw", "baseline"] = Field(description="the band to be used")
    parameters_day: str | None = Field(description="day of the conformal parameters; null: none were used")
    pool: str | None = Field(description="what the parameters' segment was cut by; null: none were used")


class Meta(Wire):
    """How the numbers came about."""

    runtime: str = Field(description="tollama, in_process or baseline")
    model_name: str = Field(description="the model, or the fallback's name")
    model_version: str | None = Field(description="as the server tells it")
    latency_ms: float = Field(description="milliseconds from request to answer, in the service")
    input_len: int = Field(description="points that were seen")
    missingness: float = Field(description="share of them that was carried forward or absent")
    transform: str = Field(description="logit or identity")
    fallback_used: bool
    fallback_reason: str | None = Field(description="why the model did not answer")
    baseline: str = Field(description="EWMA, KALMAN or ROLLING_QUANTILE: whose the baseline band is")
    crossed: int = Field(description="steps whose quantiles crossed on arrival and were sorted")
    width_flags: tuple[str, ...] = Field(description="narrow or wide for each step that the guards adjusted, else ''")
    cached: bool = Field(description="an answer of the last seconds to the same request")
    request_id: str
    warnings: tuple[str, ...]


class ForecastResponse(Wire):
    """Quantiles of a market's price for each step ahead, within 0 and 1 and rising, with every band there is."""

    market_id: str
    as_of_ts: str
    freq: str
    horizon_steps: int
    quantiles: tuple[float, ...]
    yhat_q: dict[str, tuple[float, ...]] = Field(description="quantile, as 0.1 -> a price for each step")
    target_ts: tuple[str, ...] = Field(description="moment of each step, UTC")
    bands: Bands
    meta: Meta


class Fault(Wire):
    """One thing that is wrong with a request, where, and what helps."""

    loc: tuple[str | int, ...] = Field(description="the way to it, as y, 3")
    msg: str
    type: str
    remedy: str


class Refusal(Wire):
    """Why a request was not answered."""

    detail: tuple[Fault, ...]
    request_id: str


class Refused(Exception):
    """Raised for a request that cannot be answered as it is; holds every fault of it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults."""
        super().__init__("; ".join(f"{'.'.join(map(str, fault.loc))}: {fault.msg}" for fault in faults))
        self.faults = tuple(faults)


REMEDIES = {
    "": "Send one JSON object, as docs/how-to/serve-bands.md shows it.",
    "market_id": "Send the market's name at its venue, 1 to 200 printable characters.",
    "as_of_ts": "Send an ISO 8601 moment with its zone, as 2026-02-20T12:00:00Z.",
    "end_ts": "Send an ISO 8601 moment with its zone, as 2026-02-20T12:00:00Z, or leave it out.",
    "y": "Send prices as JSON numbers from 0 to 1, and null where no price was known.",
    "horizon_steps": "Send a whole number of steps, 1 or more, or leave it out.",
    "quantiles": "Send rising numbers between 0 and 1 with 0.5 among them, as [0.1, 0.5, 0.9], or leave them out.",
    "freq": "Leave it out.",
    "transform": "Send space logit or identity and eps above 0 and below 0.5, or leave it out.",
    "model": "Leave it out, or name a model that configs/models.yaml lists.",
    "volume_24h": "Send USD of 24 hours, 0 or more, or leave it out.",
    "category": "Send the venue's category, 1 to 200 printable characters, or leave it out.",
    "x_past": "Send a list of numbers as long as y for each name, or leave it out.",
    "x_future": "Send a list of numbers as long as the horizon for each name of x_past, or leave it out.",
}
"""Field of a request -> what helps where it is wrong; the empty name is the request as a whole."""


def read(body: bytes) -> ForecastRequest:
    """Return the request that a body holds. Raises Refused with each fault's place, words and remedy."""
    try:
        return ForecastRequest.model_validate_json(body)
    except ValidationError as error:
        # what was sent is not sent back: it may be long, or hold a NaN, which is no JSON
        raise Refused(list(_faults(error.errors(include_input=False, include_url=False)))) from None


def _faults(errors: Sequence[Any]) -> Iterable[Fault]:
    for error in errors[:MOST_FAULTS]:
        loc = tuple(part if isinstance(part, int) else part[:80] for part in error["loc"])
        yield Fault(loc=loc, msg=error["msg"], type=error["type"], remedy=_remedy(loc, error["type"]))


def _remedy(loc: Sequence[str | int], kind: str) -> str:
    field = str(loc[0]) if loc else ""
    if kind == "extra_forbidden":
        return f"Leave it out: the fields are {', '.join(ForecastRequest.model_fields)}."
    return REMEDIES.get(field, REMEDIES[""])

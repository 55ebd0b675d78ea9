"""What the settings allow a request, what stands for what it left out, and the question that becomes of it.

Belongs here: from a ForecastRequest to what a runner is asked. Shapes are contract.py's.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import orjson

from timegpt_assets.config import tsfm_inputs
from timegpt_assets.config.close_names import did_you_mean
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.tables.columns import RUN_SOURCES
from timegpt_assets.core.tsfm import segments
from timegpt_assets.core.tsfm.asked import Asked, Floats
from timegpt_assets.core.tsfm.segments import SegmentSpec
from timegpt_assets.serving.tsfm.contract import Fault, ForecastRequest, Refused

RESEARCH = "research_only"
IN_PROCESS = "in_process"
"""The provider whose model is told nothing beside prices."""
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Moments between which a market can be asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one process answers: the settings of its requests, in the shape in which they are asked about.

    ``licences``: model -> commercial_ok or research_only. ``refuses_research``: the profile is one that trades.
    """

    freq: str
    horizon: int
    max_horizon: int
    max_input_len: int
    input_len: int
    max_gap_min: float
    quantiles: tuple[float, ...]
    space: str
    eps: float
    provider: str
    model: str
    version: str
    params: Mapping[str, Any]
    segments: SegmentSpec
    licences: Mapping[str, str]
    refuses_research: bool
    profile: str

    @property
    def freq_min(self) -> int:
        """Return minutes of a step."""
        return int(self.freq.removesuffix("m"))


@dataclass(frozen=True, slots=True)
class Choice:
    """Whose runner is asked: what of a request is not of its market."""

    model: str
    space: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """A request with nothing left open: the question, whose runner answers it, and what must be said of it."""

    asked: Asked
    choice: Choice
    tte_bucket: str
    category: str
    warnings: tuple[str, ...] = field(default=())

    def digest(self) -> str:
        """Return the hash by which an answer to the same question is found."""
        one = self.asked
        said = (one.market_id, one.as_of, one.freq_min, one.horizon, one.quantiles, one.liquidity_bucket)
        rest = (one.volume_24h, one.longest_gap_min, self.choice.model, self.choice.space, self.tte_bucket)
        head = orjson.dumps([*said, *rest, self.category])
        found = sha256(head + one.y.tobytes() + one.seen.tobytes())
        for name, values in [*sorted(one.x_past.items()), *sorted(one.x_future.items())]:
            found.update(orjson.dumps(name) + values.tobytes())
        return found.hexdigest()


def terms(settings: Settings) -> Terms:
    """Return what the settings allow."""
    tsfm = settings.tsfm
    series = tsfm.series
    return Terms(
        freq=series.freq,
        horizon=series.horizon_steps,
        max_horizon=series.max_horizon_steps,
        max_input_len=series.max_input_len,
        input_len=series.input_len_steps,
        max_gap_min=series.max_gap_minutes,
        quantiles=tsfm.quantiles,
        space=tsfm.transform.space,
        eps=tsfm.transform.eps,
        provider=tsfm.model.provider,
        model=tsfm.model.model_name,
        version=tsfm.model.model_version,
        params=tsfm.model.params,
        segments=tsfm_inputs.segment_spec(settings),
        licences={one.name: one.use for one in settings.models.tsfm},
        refuses_research=settings.run_source == RUN_SOURCES["prod"],
        profile=settings.profile,
    )


def settled(request: ForecastRequest, allowed: Terms) -> Settled:
    """Return the question that a request asks. Raises Refused with every fault that the settings find in it."""
    if faults := [*_faults(request, allowed)]:
        raise Refused(faults)
    horizon = request.horizon_steps or allowed.horizon
    y, warnings = np.array([math.nan if one is None else one for one in request.y]), list[str]()
    if y.size > allowed.input_len:
        warnings.append(f"input_trimmed: the last {allowed.input_len} of {y.size} points are looked at")
    y = y[-allowed.input_len :]
    filled, seen, gap_steps = carried(y, int(allowed.max_gap_min // allowed.freq_min))
    if not seen.any():
        raise Refused([_fault(("y",), f"the last {y.size} points hold no price", "Send at least one price.")])
    liquidity, tte, category = segments.segment_of(
        allowed.segments,
        volume_24h=request.volume_24h,
        end_ts=request.end_ts,
        as_of=request.as_of_ts,
        told=request.category,
    )
    asked = Asked(
        market_id=request.market_id,
        as_of=request.as_of_ts.astimezone(UTC),
        y=filled,
        seen=seen,
        longest_gap_min=float(gap_steps * allowed.freq_min),
        freq_min=allowed.freq_min,
        horizon=horizon,
        quantiles=request.quantiles or allowed.quantiles,
        liquidity_bucket=liquidity,
        volume_24h=request.volume_24h,
        x_past={name: np.array(values[-filled.size :]) for name, values in request.x_past.items()},
        x_future={name: np.array(values) for name, values in request.x_future.items()},
    )
    wished, space = request.model, request.transform.space if request.transform else allowed.space
    return Settled(
        asked=asked,
        choice=Choice(model=(wished and wished.model_name) or allowed.model, space=space),
        tte_bucket=tte,
        category=category,
        warnings=tuple(warnings),
    )


def carried(y: Floats, most_steps: int) -> tuple[Floats, np.ndarray[Any, np.dtype[np.bool_]], int]:
    """Return prices carried forward, which of them were seen, and the longest way between two, in steps.

    ``y``: nan where no price was known; the steps before the first one are cut off, for nothing can stand there. A
    price is carried for ``most_steps`` at most; later steps of its stretch stay nan. The way counts from price to
    price, and from the last one to the end, as core/tsfm/series.py has it.
    """
    known = np.flatnonzero(~np.isnan(y))
    if not known.size:
        return y[:0], np.zeros(0, dtype=np.bool_), y.size
    y = y[known[0] :]
    seen = ~np.isnan(y)
    last = np.maximum.accumulate(np.where(seen, np.arange(y.size), 0))
    age = np.arange(y.size) - last
    return np.where(age <= most_steps, y[last], math.nan), seen, int(max(age[-1], *np.diff(known), 0))


def _fault(loc: tuple[str | int, ...], msg: str, remedy: str, kind: str = "settings") -> Fault:
    return Fault(loc=loc, msg=msg, type=kind, remedy=remedy)


def _faults(request: ForecastRequest, allowed: Terms) -> Iterator[Fault]:
    yield from _of_series(request, allowed)
    yield from _of_quantiles(request.quantiles)
    yield from _of_model(request, allowed)
    yield from _of_covariates(request, allowed)


def _of_series(request: ForecastRequest, allowed: Terms) -> Iterator[Fault]:
    if request.freq not in (None, allowed.freq):
        remedy = f"Send {allowed.freq} (tsfm.series.freq) and prices on that grid, or leave it out."
        yield _fault(("freq",), f"{request.freq!r} is not the grid of this service", remedy)
    if request.horizon_steps and request.horizon_steps > allowed.max_horizon:
        remedy = f"Send {allowed.max_horizon} (tsfm.series.max_horizon_steps) or less."
        yield _fault(("horizon_steps",), f"{request.horizon_steps} steps are too far", remedy)
    if not any(one is not None for one in request.y):
        yield _fault(("y",), "it holds no price", "Send at least one price from 0 to 1.")
    if (points := len(request.y)) > allowed.max_input_len:
        remedy = f"Send the last {allowed.max_input_len} (tsfm.series.max_input_len) at most."
        yield _fault(("y",), f"{points} points are too many", remedy)
    for name in ("as_of_ts", "end_ts"):
        moment = getattr(request, name)
        # compared before it is brought to UTC: the first and last years have no UTC of every zone
        if moment is not None and not FIRST <= moment <= LAST:
            yield _fault((name,), f"{moment.isoformat()} lies outside 2000 to 2100", "Send the market's own moment.")


def _of_quantiles(quantiles: Sequence[float] | None) -> Iterator[Fault]:
    if quantiles is None:
        return
    remedy = "Send rising numbers between 0 and 1 with 0.5 among them, as [0.1, 0.5, 0.9], or leave them out."
    if any(later <= earlier for earlier, later in itertools.pairwise(quantiles)):
        yield _fault(("quantiles",), "they do not rise, or one stands there twice", remedy)
    elif 0.5 not in quantiles[1:-1]:
        yield _fault(("quantiles",), "0.5 is not among them, or has none on one side of it", remedy)


def _of_model(request: ForecastRequest, allowed: Terms) -> Iterator[Fault]:
    if (wished := request.transform) and wished.eps not in (None, allowed.eps):
        remedy = f"Send {allowed.eps} (tsfm.transform.eps), or leave it out."
        yield _fault(("transform", "eps"), f"{wished.eps} is not what this service forecasts with", remedy)
    if not (model := request.model):
        return
    for name, own in (("provider", allowed.provider), ("model_version", allowed.version)):
        if getattr(model, name) not in (None, "auto", own):
            remedy = f"Send {own} (tsfm.model.{name}), or leave it out."
            yield _fault(("model", name), f"{getattr(model, name)} is not there", remedy)
    if model.params and model.params != dict(allowed.params):
        yield _fault(
            ("model", "params"), "they are not those of this service", "Set tsfm.model.params; leave them out."
        )
    if model.model_name is not None:
        yield from _of_licence(model.model_name, allowed)


def _of_licence(name: str, allowed: Terms) -> Iterator[Fault]:
    loc, named = ("model", "model_name"), name[:80]
    if (use := allowed.licences.get(name)) is None:
        hint = f"{did_you_mean(named, allowed.licences)}Models are {', '.join(allowed.licences)} (configs/models.yaml)."
        yield _fault(loc, f"{named} is not listed", hint)
    elif allowed.provider == IN_PROCESS and name != allowed.model:
        yield _fault(loc, f"{named} does not run in this service", f"Send {allowed.model} (tsfm.model.model_name).")
    elif use == RESEARCH and allowed.refuses_research:
        free = ", ".join(one for one, its in allowed.licences.items() if its != RESEARCH)
        yield _fault(loc, f"{named} is {RESEARCH}, which profile {allowed.profile} refuses", f"Send one of {free}.")


def _of_covariates(request: ForecastRequest, allowed: Terms) -> Iterator[Fault]:
    horizon = request.horizon_steps or allowed.horizon
    if allowed.provider == IN_PROCESS and (
        given := [name for name in ("x_past", "x_future") if getattr(request, name)]
    ):
        yield _fault((given[0],), "the model of this service looks at prices alone", "Leave x_past and x_future out.")
        return
    for name, values in request.x_past.items():
        if len(values) != len(request.y):
            yield _fault(("x_past", name), f"{len(values)} values beside {len(request.y)} prices", "Send as many.")
    for name, values in request.x_future.items():
        if len(values) != horizon:
            yield _fault(("x_future", name), f"{len(values)} values for {horizon} steps", "Send as many.")
        if name not in request.x_past:
            yield _fault(("x_future", name), "x_past has no such name", "Send its past too, or leave it out.")

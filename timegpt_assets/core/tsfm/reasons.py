"""Why a market got the baseline and not the model: the names, and which of several is told.

Belongs here: the order. Whether the model server is degraded or left alone know those who watch it; they are asked only
where nothing before them holds, for a probe of a breaker is spent by asking.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from timegpt_assets.core.tsfm.asked import Asked

Reason = Literal[
    "too_few_points",
    "max_gap_exceeded",
    "baseline_only_liquidity_bucket",
    "degradation_baseline_only",
    "circuit_breaker_open",
]
TOO_FEW_POINTS: Reason = "too_few_points"
MAX_GAP_EXCEEDED: Reason = "max_gap_exceeded"
LIQUIDITY: Reason = "baseline_only_liquidity_bucket"
DEGRADED: Reason = "degradation_baseline_only"
BREAKER_OPEN: Reason = "circuit_breaker_open"
MODEL_ERROR = "tollama_error"
"""Begins the reason of a model that was asked in vain, wherever it runs; after the colon stands the kind."""
BASELINE_ERROR = "baseline_error"
"""Begins the reason of a market that nobody has numbers for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingRules:
    """Fewest known points, minutes of the longest gap, and the USD of 24 hours below which no model is asked."""

    min_points: int
    max_gap_min: float
    min_volume_24h: float


def unasked(asked: Asked, rules: AskingRules) -> Reason | None:
    """Return why the model is not asked of a market, as far as the market itself says; None: it may be."""
    if int(np.isfinite(asked.y).sum()) < rules.min_points:
        return TOO_FEW_POINTS
    if not asked.longest_gap_min <= rules.max_gap_min:  # a gap that is no number is none that is allowed
        return MAX_GAP_EXCEEDED
    is_thin = asked.volume_24h is not None and asked.volume_24h < rules.min_volume_24h
    return LIQUIDITY if is_thin or asked.liquidity_bucket == "LOW" else None


def unknown(asked: Asked) -> tuple[str, ...]:
    """Return what could not be asked about a market, as warnings: a name, a colon, and what it means."""
    told = "volume_unknown: whether the market is too quiet for the model was not asked"
    return (told,) if asked.volume_24h is None else ()


def held_back(degraded: Callable[[], bool], may_ask: Callable[[], bool]) -> Reason | None:
    """Return why no model is asked of anything now; None: it may be, and who asks says afterwards how it went."""
    if degraded():
        return DEGRADED
    return None if may_ask() else BREAKER_OPEN


def model_error(kind: str) -> str:
    """Return the reason of a model that was asked in vain."""
    return f"{MODEL_ERROR}:{kind}"


def baseline_error(kind: str) -> str:
    """Return the reason of a market without any valid answer."""
    return f"{BASELINE_ERROR}:{kind}"


def is_model_error(reason: str | None) -> bool:
    """Return whether the model was asked, and in vain."""
    return reason is not None and reason.startswith(f"{MODEL_ERROR}:")


def is_for_want_of_model(reason: str | None) -> bool:
    """Return whether the model was asked in vain or left alone: it may be there again in a second."""
    return is_model_error(reason) or reason in (DEGRADED, BREAKER_OPEN)

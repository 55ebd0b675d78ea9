"""Whether the model is asked at all: what its answers of the last minutes and the probes of its health come to.

Belongs here: events in, state out, without a clock. Who probes, and where a state is kept between processes, is
adapters/tollama/watch.py.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from timegpt_assets.core.tsfm.reasons import BREAKER_OPEN, is_model_error

SLICES = 30
"""Slices of the window: answers are counted by slice, so that a state stays small however many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When the model is left alone (share of fallbacks over a window, of so many requests), and what ends it."""

    probe_interval_s: float
    fallback_rate_max: float
    window_s: float
    min_requests: int
    healthy_probes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Answers that count, from a moment on."""

    begins: datetime
    requests: int
    fallbacks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the model's health stands. ``healthy``: probes in a row. ``since``: when it was left alone, and why."""

    degraded: bool = False
    slices: tuple[Slice, ...] = ()
    healthy: int = 0
    probed_at: datetime | None = None
    since: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGiven:
    """A question was answered: by the model, or by a fallback."""

    at: datetime
    fallback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The model server was probed."""

    at: datetime
    healthy: bool


Event = AnswerGiven | Probe


def counts(reason: str | None) -> bool:
    """Return whether an answer of this reason says anything of the model: it was asked, or left alone for its faults.

    A market of too few points, of a gap or of low volume says nothing of it, nor do answers while it is degraded.
    """
    return reason is None or reason == BREAKER_OPEN or is_model_error(reason)


def after(state: State, event: Event, rules: Rules) -> State:
    """Return the state after an event.

    A clock that was set back makes what lies ahead of the event happen at it: nothing counts for longer than it would
    have from then on.
    """
    known = _since_then(state, event.at)
    return _answered(known, event, rules) if isinstance(event, AnswerGiven) else _probed(known, event, rules)


def probe_due(state: State, now: datetime, rules: Rules) -> bool:
    """Return whether the model server's health is to be asked for: while it is left alone, once an interval."""
    if not state.degraded:
        return False
    # a clock set back: the last probe lies ahead, and may as well be none
    since = None if state.probed_at is None else (now - state.probed_at).total_seconds()
    return since is None or since < 0 or since >= rules.probe_interval_s


def fallback_rate(state: State) -> float | None:
    """Return the share of fallbacks in the window; None without requests."""
    requests = sum(one.requests for one in state.slices)
    return sum(one.fallbacks for one in state.slices) / requests if requests else None


def _answered(state: State, event: AnswerGiven, rules: Rules) -> State:
    if state.degraded:  # the model is not asked: nothing to learn of it
        return state
    slices = _counted(state.slices, event, rules)
    requests, fallbacks = sum(one.requests for one in slices), sum(one.fallbacks for one in slices)
    if requests < rules.min_requests or fallbacks <= rules.fallback_rate_max * requests:
        return replace(state, slices=slices)
    why = f"{fallbacks} of {requests} requests of the last {rules.window_s / 60:g} minutes fell back"
    return State(degraded=True, since=event.at, why=why)


def _counted(slices: tuple[Slice, ...], event: AnswerGiven, rules: Rules) -> tuple[Slice, ...]:
    """Return the slices of the window with a request more."""
    oldest = event.at - timedelta(seconds=rules.window_s)
    within = [one for one in slices if one.begins > oldest]
    width = timedelta(seconds=rules.window_s / SLICES)
    if not within or event.at - within[-1].begins >= width:
        within.append(Slice(begins=event.at, requests=0, fallbacks=0))
    last = within[-1]
    within[-1] = replace(last, requests=last.requests + 1, fallbacks=last.fallbacks + event.fallback)
    return tuple(within)


def _probed(state: State, event: Probe, rules: Rules) -> State:
    if not state.degraded:
        return state
    if not event.healthy:
        return replace(state, healthy=0, probed_at=event.at)
    at = state.probed_at
    # three within a second prove what one does; a clock set back gives no reason to wait anew
    if at is not None and state.healthy and (event.at - at).total_seconds() < rules.probe_interval_s:
        return state
    if state.healthy + 1 >= rules.healthy_probes:
        return State(probed_at=event.at)
    return replace(state, healthy=state.healthy + 1, probed_at=event.at)


def _since_then(state: State, now: datetime) -> State:
    """Return the state by a clock that may have been set back: what lies ahead of it is taken to be now."""
    slices = tuple(replace(one, begins=min(one.begins, now)) for one in state.slices)
    probed_at, since = (None if at is None else min(at, now) for at in (state.probed_at, state.since))
    return replace(state, slices=slices, probed_at=probed_at, since=since)

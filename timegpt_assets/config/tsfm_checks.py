"""Settings of the second system that must fit each other, and are refused when they do not.

Belongs here: rules about the section tsfm, as checks.py has them about the others.
"""

import re
from collections.abc import Callable

from timegpt_assets.config.addresses import unfit
from timegpt_assets.config.close_names import did_you_mean
from timegpt_assets.config.models import Models
from timegpt_assets.config.refusal import Refusal, Refusals
from timegpt_assets.config.tsfm import Tsfm

DAY_MIN, HOUR_MIN = 1440, 60
KEYLESS = ("gamma_url", "clob_url", "data_url")


def span(tsfm: Tsfm) -> Refusals:
    """Refuse a grid that ends before it starts."""
    if tsfm.end_date is not None and tsfm.end_date < tsfm.start_date:
        remedy = f"Give a day on or after {tsfm.start_date}, or null for today."
        yield Refusal("tsfm.end_date", "a day not before tsfm.start_date", remedy)


def steps(tsfm: Tsfm) -> Refusals:
    """Refuse steps and cycles that would fall on other minutes each hour or day, and cycles between two steps."""
    step, cycle = tsfm.series.freq_min, tsfm.cycle_min
    for key, minutes, unit in (("series.freq", step, "m"), ("cycle_min", cycle, "")):
        if not _even(minutes):
            near = min((m for m in range(1, DAY_MIN + 1) if _even(m)), key=lambda m: (abs(m - minutes), m))
            allowed = "minutes that divide an hour, or whole hours that divide a day"
            yield Refusal(f"tsfm.{key}", allowed, f"Write {near}{unit}, which is the nearest.")
    if _even(step) and _even(cycle) and cycle % step:
        remedy = f"Write {_multiple(cycle, step)}, or choose another tsfm.series.freq."
        yield Refusal("tsfm.cycle_min", f"a multiple of tsfm.series.freq, {step} minutes", remedy)


def _even(minutes: int) -> bool:
    """Return whether steps of so many minutes fall on the same minutes of every day."""
    return HOUR_MIN % minutes == 0 or (minutes % HOUR_MIN == 0 and DAY_MIN % minutes == 0)


def _multiple(minutes: int, step: int) -> int:
    """Return the nearest minutes that are even and a multiple of a step."""
    return min((m for m in range(step, DAY_MIN + 1, step) if _even(m)), key=lambda m: (abs(m - minutes), m))


def lengths(tsfm: Tsfm) -> Refusals:
    """Refuse a past that is shorter than what is needed of it, and longer than what may be handed in."""
    series, step = tsfm.series, tsfm.series.freq_min
    for key, least, of in (
        ("series.input_len_steps", series.min_points, "series.min_points"),
        ("series.max_input_len", series.input_len_steps, "series.input_len_steps"),
        ("series.max_horizon_steps", series.horizon_steps, "series.horizon_steps"),
        ("series.min_points", tsfm.fallback.min_points, "fallback.min_points"),
    ):
        name = key.split(".")[1]
        if getattr(series, name) < least:
            remedy = f"Raise it, or lower tsfm.{of}."
            yield Refusal(f"tsfm.{key}", f"at least tsfm.{of}, {least}", remedy)
    if series.max_gap_minutes < step:
        remedy = f"Raise it to {step} or more: else no price lasts until the next step."
        yield Refusal("tsfm.series.max_gap_minutes", f"at least a step, {step} minutes", remedy)
    if tsfm.alerts.horizon_step > series.horizon_steps:
        remedy = f"Write {series.horizon_steps} or less, or raise tsfm.series.horizon_steps."
        yield Refusal("tsfm.alerts.horizon_step", f"at most tsfm.series.horizon_steps, {series.horizon_steps}", remedy)


def quantiles(tsfm: Tsfm) -> Refusals:
    """Refuse quantiles that are no median between pairs: bands are adjusted around it and widened on both sides."""
    said = tsfm.quantiles
    mirrored = sorted({round(q, 6) for q in (*said, 0.5, *(1 - q for q in said))})
    if [round(q, 6) for q in said] != mirrored or len(said) < 3:
        whole = mirrored if len(mirrored) > 1 else [0.1, 0.5, 0.9]
        allowed = "rising quantiles with 0.5, and with 1 - q for each q, as a band is a median between pairs"
        yield Refusal("tsfm.quantiles", allowed, f"Write {whole}.")


def widths(tsfm: Tsfm) -> Refusals:
    """Refuse a greatest width that is not above the least."""
    guards = tsfm.guards
    if guards.max_width <= guards.min_width:
        remedy = "Write the narrower first, for example min_width: 0.02 and max_width: 0.6."
        yield Refusal("tsfm.guards.max_width", f"more than tsfm.guards.min_width, {guards.min_width:g}", remedy)


def segments(tsfm: Tsfm) -> Refusals:
    """Refuse bounds of segments that do not rise."""
    liquidity, conformal = tsfm.liquidity, tsfm.conformal
    if liquidity.low_below > liquidity.high_from:
        remedy = f"Write {liquidity.high_from:g} or less, or raise tsfm.liquidity.high_from."
        allowed = f"at most tsfm.liquidity.high_from, {liquidity.high_from:g}"
        yield Refusal("tsfm.liquidity.low_below", allowed, remedy)
    for key, cuts, what in (
        ("tte_bounds_h", conformal.tte_bounds_h, "hours"),
        ("price_cuts", conformal.price_cuts, "prices"),
    ):
        if list(cuts) != sorted(cuts):
            yield Refusal(f"tsfm.conformal.{key}", f"rising {what}", f"Write {sorted(cuts)}.")


def coverage(tsfm: Tsfm) -> Refusals:
    """Refuse a coverage that is promised and never measured."""
    target, levels = tsfm.conformal.target_coverage, tsfm.evaluation.levels
    if target not in levels:
        remedy = f"Choose one of these, or add {target:g} to tsfm.evaluation.levels."
        yield Refusal("tsfm.conformal.target_coverage", f"one of tsfm.evaluation.levels, {list(levels)}", remedy)


def selection(tsfm: Tsfm) -> Refusals:
    """Refuse a score that is the same for every market."""
    if not (tsfm.selection.weight_volume or tsfm.selection.weight_open_interest):
        remedy = "Give one of them a weight, for example weight_volume: 0.6."
        yield Refusal("tsfm.selection.weight_volume", "a weight above 0, here or of open interest", remedy)


def phases(tsfm: Tsfm) -> Refusals:
    """Refuse a ramp that has no more markets than the canary."""
    rollout = tsfm.rollout
    if rollout.canary >= rollout.ramp:
        remedy = f"Raise tsfm.rollout.ramp, or lower tsfm.rollout.canary below {rollout.ramp}."
        yield Refusal("tsfm.rollout.ramp", f"more than tsfm.rollout.canary, {rollout.canary}", remedy)


def sources(tsfm: Tsfm) -> Refusals:
    """Refuse files without a folder, and addresses that are none."""
    markets = tsfm.markets
    if markets.source == "files" and not markets.path:
        remedy = "Name the folder that holds markets.parquet and prices.parquet, or set tsfm.markets.source=polymarket."
        yield Refusal("tsfm.markets.path", "a folder where tsfm.markets.source is files", remedy)
    for name in KEYLESS:
        address = getattr(markets, name)
        # no key goes there, so a line that others read is allowed
        if address and (wrong := unfit(address.replace("http://", "https://", 1))):
            yield Refusal(f"tsfm.markets.{name}", *wrong)


def model_server(tsfm: Tsfm) -> Refusals:
    """Refuse an address of the model server that is none, or that a key must not be sent to."""
    address, keyed = tsfm.tollama.base_url, tsfm.tollama.auth_mode != "none"
    if not re.match(r"https?://[^/]+", address):
        yield Refusal("tsfm.tollama.base_url", "an http(s) address", "Write it like http://127.0.0.1:11435.")
        return
    wrong = unfit(address if keyed else address.replace("http://", "https://", 1))
    if wrong and keyed and not unfit(address.replace("http://", "https://", 1)):
        remedy = f"{wrong[1]} Or set tsfm.tollama.auth_mode=none."
        yield Refusal("tsfm.tollama.base_url", wrong[0], remedy)
    elif wrong:
        yield Refusal("tsfm.tollama.base_url", *wrong)


def licence(profile: str, tsfm: Tsfm, models: Models) -> Refusals:
    """Refuse a model of whose licence nothing is known, and in prod one that may not be used there."""
    name, known = tsfm.model.model_name, {one.name: one for one in models.tsfm}
    if name not in known:
        remedy = f"{did_you_mean(name, known)}Choose one of these, or add it with its licence under models.tsfm."
        yield Refusal("tsfm.model.model_name", " | ".join(known) or "no model is named under models.tsfm", remedy)
    elif profile == "prod" and known[name].use == "research_only":
        fit = [one.name for one in models.tsfm if one.use == "commercial_ok"]
        remedy = f"{name} ({known[name].licence}) is for research alone: choose another, or another profile."
        yield Refusal("tsfm.model.model_name", f"one of {' | '.join(fit)} in profile prod", remedy)


REFUSALS: tuple[tuple[Callable[..., Refusals], tuple[str, ...]], ...] = (
    *((check, ("tsfm",)) for check in (span, steps, lengths, quantiles, widths, segments, coverage, selection)),
    *((check, ("tsfm",)) for check in (phases, sources, model_server)),
    (licence, ("profile", "tsfm", "models")),
)
"""Each check with the sections it reads, as in checks.py."""

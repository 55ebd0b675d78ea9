"""A forecast's band after conformal, where the stored parameters were learnt from forecasts like it.

Belongs here: which forecasts those are, and what is said where there is no adjusted band. The arithmetic is
core/tsfm/conformal.py, what is stored parameters.py.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.tsfm import conformal, segments
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.core.tsfm.conformal import ConformalSpec
from timegpt_assets.serving.tsfm.parameters import Parameters
from timegpt_assets.serving.tsfm.replies import Adjusted
from timegpt_assets.serving.tsfm.terms import Choice, Settled, Terms


@dataclass(frozen=True, kw_only=True)
class Adjusting:
    """Adjusts by the parameters of the day; called from any thread. ``enabled``: tsfm.conformal.enabled."""

    parameters: Parameters
    spec: ConformalSpec
    terms: Terms
    enabled: bool

    def __call__(self, settled: Settled, answered: Answered) -> Adjusted:
        """Return the adjusted band, or none and why."""
        if not self.enabled:
            return Adjusted(warnings=("conformal_off: tsfm.conformal.enabled is false",))
        if other := self._other(settled, answered):
            return Adjusted(warnings=(f"conformal_other: no parameters were learnt from forecasts of other {other}",))
        day = settled.asked.as_of.date()
        held = self.parameters.of(day)
        if held.index is None or held.day is None:
            return Adjusted(warnings=(*held.warnings, f"conformal_absent: none are stored up to {day}"))
        if (age := (day - held.day).days) > self.spec.window_days:
            return Adjusted(warnings=(*held.warnings, f"conformal_old: the newest are {age} days old"))
        told = conformal.looked_up(held.index, self._cuts(settled), settled.asked.horizon, self.spec)
        if None in told["pool"]:
            few = "conformal_few: a step has too few samples in every pool"
            return Adjusted(warnings=(*held.warnings, few))
        found = conformal.moved(_rows(answered, held.day, told), self.spec)
        band = found.select("adjusted_lower", "adjusted_median", "adjusted_upper").to_numpy()
        pools = ",".join(dict.fromkeys(told["pool"]))
        return Adjusted(band=band, day=str(held.day), pool=pools, warnings=held.warnings)

    def _cuts(self, settled: Settled) -> dict[str, str]:
        """Return what a forecast's parameters are looked up by."""
        return {
            "price_bucket": segments.price_bucket_of(self.spec.price_cuts, settled.asked.last_price),
            "liquidity_bucket": settled.asked.liquidity_bucket,
            "tte_bucket": settled.tte_bucket,
            "category": settled.category,
        }

    def _other(self, settled: Settled, answered: Answered) -> str:
        """Return by what a forecast differs from those that parameters are learnt from, an empty text if by nothing."""
        own, asked = self.terms, answered.quantiles
        if settled.choice != Choice(model=own.model, space=own.space):
            return "models or spaces"
        return "" if (asked[0], asked[-1]) == (own.quantiles[0], own.quantiles[-1]) else "outer quantiles"


def _rows(answered: Answered, day: date, told: dict[str, list[Any]]) -> pl.DataFrame:
    """Return a forecast as the graph's bands have it, a row a step; ``day`` is the parameters'."""
    values = {
        f"{prefix}{end}": column
        for prefix, made in (("", answered.values), ("baseline_", answered.baseline_values))
        for end, column in zip(("lower", "median", "upper"), answered.band(made).T, strict=True)
    }
    return pl.DataFrame(values | told, schema_overrides={"adjustment": pl.Float64, "pool": pl.String}).with_columns(
        day=pl.lit(day)
    )

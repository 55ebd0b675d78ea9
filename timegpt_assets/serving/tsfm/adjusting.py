"""A forecast's band after conformal, where the stored parameters were learnt from forecasts like it.

Belongs here: which forecasts those are, and what is said where there is no adjusted band. The arithmetic is
core/tsfm/conformal.py, what is stored parameters.py.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from timegpt_assets.core.tsfm import conformal
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
        if held.rows is None or held.day is None:
            return Adjusted(warnings=(*held.warnings, f"conformal_absent: none are stored up to {day}"))
        if (age := (day - held.day).days) > self.spec.window_days:
            return Adjusted(warnings=(*held.warnings, f"conformal_old: the newest are {age} days old"))
        found = conformal.adjusted(_rows(settled, answered, held.day), held.rows, self.spec, level=self.spec.target)
        if found["pool"].null_count():
            few = "conformal_few: a step has too few samples in every pool"
            return Adjusted(warnings=(*held.warnings, few))
        band = found.select("adjusted_lower", "adjusted_median", "adjusted_upper").to_numpy()
        pools = ",".join(found["pool"].unique(maintain_order=True))
        return Adjusted(band=band, day=str(held.day), pool=pools, warnings=held.warnings)

    def _other(self, settled: Settled, answered: Answered) -> str:
        """Return by what a forecast differs from those that parameters are learnt from, an empty text if by nothing."""
        own, asked = self.terms, answered.quantiles
        if settled.choice != Choice(model=own.model, space=own.space):
            return "models or spaces"
        return "" if (asked[0], asked[-1]) == (own.quantiles[0], own.quantiles[-1]) else "outer quantiles"


def _rows(settled: Settled, answered: Answered, day: date) -> pl.DataFrame:
    """Return a forecast as the graph's bands have it, a row a step; ``day`` is the parameters'."""
    ends = ("lower", "median", "upper")
    own = pl.DataFrame(answered.band(answered.values), schema=ends, orient="row")
    baseline = answered.band(answered.baseline_values)
    base = pl.DataFrame(baseline, schema=[f"baseline_{end}" for end in ends], orient="row")
    return pl.concat([own, base], how="horizontal").with_columns(
        step=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        day=pl.lit(day),
        last_price=pl.lit(settled.asked.last_price, pl.Float64),
        liquidity_bucket=pl.lit(settled.asked.liquidity_bucket),
        tte_bucket=pl.lit(settled.tte_bucket),
        category=pl.lit(settled.category),
    )

"""A forecast's band after conformal, where the stored parameters were learnt from forecasts like it.

Belongs here: which forecasts those are, and what is said where there is no adjusted band. The arithmetic is
core/tsfm/conformal.py, what is stored parameters.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from timegpt_assets.core.tsfm import conformal
from timegpt_assets.core.tsfm.asked import Answered, Floats
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
            return Adjusted(warnings=(f"conformal_other: no parameters were learnt from another {other}",))
        day = settled.asked.as_of.date()
        held = self.parameters.of(day)
        if held.rows is None or held.day is None:
            return Adjusted(warnings=(*held.warnings, f"conformal_absent: none are stored up to {day}"))
        if (age := (day - held.day).days) > self.spec.window_days:
            return Adjusted(warnings=(*held.warnings, f"conformal_old: the newest are {age} days old"))
        return self._moved(answered.band(answered.values), _segment(settled), held.rows, held.warnings)

    def _moved(
        self, values: Floats, segment: Mapping[str, str], rows: pl.DataFrame, warnings: tuple[str, ...]
    ) -> Adjusted:
        # a handful of rows of thousands: what remains is looked through once for each step
        own = rows.filter(pl.col(name).is_in([said, conformal.ANY]) for name, said in segment.items())
        found = conformal.adjusted_one(values, segment, own, self.spec)
        if found.values is None:
            return Adjusted(warnings=(*warnings, "conformal_few: a step has too few samples in every pool"))
        pools = dict.fromkeys(pool for pool in found.pools if pool is not None)
        return Adjusted(band=found.values, day=str(found.parameters_day), pool=",".join(pools), warnings=warnings)

    def _other(self, settled: Settled, answered: Answered) -> str:
        """Return by what a forecast differs from those that parameters are learnt from, an empty text if by nothing."""
        own, asked = self.terms, answered.quantiles
        if settled.choice != Choice(model=own.model, space=own.space):
            return "model or space"
        return "" if (asked[0], asked[-1]) == (own.quantiles[0], own.quantiles[-1]) else "outer quantiles"


def _segment(settled: Settled) -> Mapping[str, str]:
    return {
        "liquidity_bucket": settled.asked.liquidity_bucket,
        "tte_bucket": settled.tte_bucket,
        "category": settled.category,
    }

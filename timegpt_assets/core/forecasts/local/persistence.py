"""The forecast that nothing changes: the last known y comes again, with bands from how far that was off before."""

from dataclasses import dataclass
from typing import ClassVar

from timegpt_assets.core.forecasts.local.answers import Learnt, Outlook
from timegpt_assets.core.forecasts.local.evidence import PAST, Known, Lessons

_LAST = PAST.index("ret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistence:
    """Median = the last known y, bands = volatility x the quantiles of its earlier errors near the time of day.

    ``window_min``: minutes around the snapshot's time of day; ``min_residuals``: the fewest errors within them.
    """

    word: ClassVar[str] = "persistence"
    window_min: int
    min_residuals: int

    def learnt(self, lessons: Lessons) -> Learnt:
        """Return the outlook by the errors that persistence made in the lessons."""
        errors = lessons.z - lessons.past[..., _LAST]

        def outlook(known: Known) -> Outlook:
            return Outlook(
                centre=known.past[:, _LAST],
                errors=known.near(errors, self.window_min),
                unit=known.sigma,
                least=self.min_residuals,
            )

        return outlook

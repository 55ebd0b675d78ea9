"""The reference that counts: no return is expected, and bands are what came at that time of day, in volatilities."""

from dataclasses import dataclass
from typing import ClassVar

from timegpt_assets.core.forecasts.local.answers import Learnt, Outlook
from timegpt_assets.core.forecasts.local.evidence import Known, Lessons


@dataclass(frozen=True, slots=True, kw_only=True)
class Zero:
    """Median 0, bands = volatility x the earlier days' quantiles of z, near the time of day and centred.

    ``window_min``: minutes around the snapshot's time of day; ``min_residuals``: the fewest z within them.
    """

    word: ClassVar[str] = "zero"
    window_min: int
    min_residuals: int

    def learnt(self, lessons: Lessons) -> Learnt:
        """Return the outlook by the z of the lessons."""
        z = lessons.z

        def outlook(known: Known) -> Outlook:
            return Outlook(
                centre=0 * known.sigma,
                errors=known.near(z, self.window_min),
                unit=known.sigma,
                least=self.min_residuals,
            )

        return outlook

"""What usually comes at that time of day: quantiles of the last known y of the same symbol and snapshot time."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timegpt_assets.core.forecasts.local.answers import Learnt, Outlook, row_quantiles
from timegpt_assets.core.forecasts.local.evidence import Floats, Known, Lessons


@dataclass(frozen=True, slots=True, kw_only=True)
class Climatology:
    """np.quantile of the y of the last ``sessions`` sessions that had one at that time, at least ``min_sessions``."""

    word: ClassVar[str] = "climatology"
    sessions: int
    min_sessions: int

    def learnt(self, lessons: Lessons) -> Learnt:
        """Return the outlook by what came at the same minute."""

        def outlook(known: Known) -> Outlook:
            came = _last(known.near(lessons.came, 0), self.sessions)
            seen = ~np.isnan(came).all(axis=1)
            centre = np.zeros(len(came))
            centre[seen] = row_quantiles(came[seen], np.array([0.5]))[:, 0]
            return Outlook(
                centre=centre,
                errors=came,
                unit=np.ones(len(came)),
                least=self.min_sessions,
                counted="sessions with a return at this time",
            )

        return outlook


def _last(values: Floats, n: int) -> Floats:
    """Return the values with NaN in place of all but the last ``n`` known ones of each row."""
    known = ~np.isnan(values)
    later = known[:, ::-1].cumsum(axis=1)[:, ::-1]  # how many are known from there on
    return np.where(later <= n, values, np.nan)

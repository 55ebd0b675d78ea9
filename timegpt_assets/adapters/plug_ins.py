"""Forecasters of other packages, found by the entry points of timegpt_assets.forecasters.

Belongs here: finding and asking them. What they give back is judged like everybody's, in core/forecasts/local.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points

import orjson
import polars as pl

from timegpt_assets.adapters.forecaster import Forecaster, Parameters
from timegpt_assets.config.seats import GROUP, package_of
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import REFUSED, Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugIn:
    """A forecaster of another package, loaded when it is asked: what it breaks, it breaks for itself."""

    word: str

    def answered(self, frames: Sequence[Frame], levels: Sequence[int]) -> tuple[Parameters, Answered]:
        """Return its parameters, its package's name and version among them, and what it answers.

        Raises whatever it raises. It sees copies of the frames: what it does to them, others do not see.
        """
        (point,) = entry_points(group=GROUP, name=self.word)
        forecaster: Forecaster = point.load()()
        own = [replace(frame, history=frame.history.clone(), sigma=frame.sigma.clone()) for frame in frames]
        rows = forecaster.answers(own, tuple(levels))
        parameters = {**forecaster.parameters, "package": package_of(point)}
        orjson.dumps(parameters)  # now: later they would fail for everybody
        return parameters, Answered(rows=rows, refused=pl.DataFrame(schema=REFUSED))

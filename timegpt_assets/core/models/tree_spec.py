"""What a tree is learnt by: the settings of its road, its boosters and its judges."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from timegpt_assets.core.models.boosting import Boosting
from timegpt_assets.core.models.control import Control
from timegpt_assets.core.models.design import Design

Road = Literal["apart", "together"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSpec:
    """How a tree learns from TRAINING_SET rows, and against whom it is judged.

    ``features``: every feature of the rows; ``own``: those of the symbol's own bars and news; ``clock``: those that
    tell the moment, the time of day and what news the whole market has; ``scaled``: those that move with volatility.
    ``levels``: bands that quantile boosters are learnt for. ``window_min``: minutes around a time of day whose errors
    make its bands; ``symbol_rows``: rows at the mean size that each symbol's own is averaged with. The other fields as
    in configs/models.yaml.
    """

    road: Road
    features: tuple[str, ...]
    own: tuple[str, ...]
    clock: tuple[str, ...]
    scaled: frozenset[str]
    embargo_days: int
    min_sessions: int
    validation_sessions: int
    folds: int
    levels: tuple[int, ...]
    window_min: int
    symbol_rows: int
    boosting: Boosting
    control: Control

    @property
    def centre_design(self) -> Design:
        """Return what the mean of road apart sees: the symbol's own features."""
        return Design(names=self.own, scaled=self.scaled)

    @property
    def size_design(self) -> Design:
        """Return what the size of road apart sees: its own features without their sign, and the moment."""
        return Design(names=self.own + self.clock, scaled=self.scaled, sizes_only=True)

    @property
    def whole_design(self) -> Design:
        """Return what road together sees: everything."""
        return Design(names=self.features, scaled=self.scaled)

    def saved(self) -> dict[str, Any]:
        """Return what shapes the model, as JSON holds it."""
        boosting = asdict(self.boosting)
        del boosting["threads"]  # no byte hangs on it
        plain = ("road", "embargo_days", "min_sessions", "validation_sessions", "folds", "window_min", "symbol_rows")
        return {name: getattr(self, name) for name in plain} | {"levels": list(self.levels), "boosting": boosting}

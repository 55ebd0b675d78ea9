"""Which features there are: the groups that are switched on, their columns in table order, and their version.

Belongs here: what a choice of groups means. Formulas stand in the groups' modules, computing in matrix.py.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.features import clock, context, events, news, price, sector, volatility, volume
from timegpt_assets.core.features.feature import Feature

VERSIONS: Mapping[str, int] = {
    "price": price.VERSION,
    "volatility": volatility.VERSION,
    "volume": volume.VERSION,
    "clock": clock.VERSION,
    "context": context.VERSION,
    "sector": sector.VERSION,
    "events": events.VERSION,
    "news": news.VERSION,
}
"""Group -> its version, raised when one of its formulas changes; the groups in table order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """What features are made of.

    ``sessions``: earlier sessions that percentiles look back on. ``max_missing``: largest share of missing features a
    row may have. ``context``: context symbols, the first leads the regimes. ``sectors``: symbol -> its
    sector. ``vix``: whether there are daily closes. ``calendar``: whose events get a flag. ``low``, ``high``:
    percentiles that bound a normal liquidity. ``needed``: columns that stay whichever groups
    are off, because scaling and trading stand on them.
    """

    groups: tuple[str, ...] = tuple(VERSIONS)
    horizon_min: int = 15
    sessions: int = 20
    max_missing: float = 0.10
    context: tuple[str, ...] = ()
    sectors: Mapping[str, str] = field(default_factory=dict)
    vix: bool = False
    calendar: EventCalendar = field(default_factory=lambda: EventCalendar({}))
    low: float = 0.2
    high: float = 0.8
    needed: frozenset[str] = frozenset()

    @property
    def by_group(self) -> dict[str, tuple[Feature, ...]]:
        """Return every feature there could be, by group."""
        market = (*context.features_of(self.context, vix=self.vix), context.CONTEXT_MISSING)
        return {
            "price": price.FEATURES,
            "volatility": volatility.FEATURES,
            "volume": volume.FEATURES,
            "clock": clock.FEATURES,
            "context": (*market, *context.relations_of(self.context)),
            "sector": sector.FEATURES,
            "events": events.features_of(self.calendar),
            "news": news.FEATURES,
        }

    @property
    def features(self) -> tuple[Feature, ...]:
        """Return the features of the groups that are on, and the needed ones, in table order."""
        found = self.by_group.items()
        return tuple(f for group, own in found for f in own if group in self.groups or f.name in self.needed)

    def has(self, group: str) -> bool:
        """Return whether any feature of the group is made."""
        return group in self.groups or any(f.name in self.needed for f in self.by_group[group])

    @property
    def feature_version(self) -> str:
        """Return the groups that are on with their versions, for people: price.1+volume.1."""
        return "+".join(f"{group}.{VERSIONS[group]}" for group in VERSIONS if group in self.groups)

    @property
    def features_hash(self) -> str:
        """Return 12 hex digits of the sha256 of the column list, their types and the groups' versions."""
        columns = [[f.name, str(f.dtype())] for f in self.features]
        text = json.dumps([self.feature_version, columns], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

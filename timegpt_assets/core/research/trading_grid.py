"""The trading grid: every combination of rule values on the same stored forecasts, day by day.

Belongs here: which combinations there are, what each is called, and what each earned on a day. What the days come to is
scoreboard.py. Nobody is asked anything: the forecasts are handed over.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from timegpt_assets.core.backtest import liquidity, signals
from timegpt_assets.core.backtest import sweep as swept
from timegpt_assets.core.backtest.liquidity import Filters
from timegpt_assets.core.backtest.rules import OWN_SIGMA
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tables.columns import SOURCE_KEY
from timegpt_assets.core.tables.research import GRID_DAYS

OUTER = ("history_days", "horizon_min")
"""Dimensions that choose among stored forecasts instead of trading them otherwise: columns of what is swept."""
MIXED = "mixed"


class GridError(Explained, ValueError):
    """Raised for a grid that cannot be swept; names it and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One choice of a value for each dimension: what it is called, and how it trades which forecasts."""

    name: str
    """Digest of all that decides its trades but bars and forecasts, in 16 hex digits."""
    rules: str
    """The chosen values, as JSON."""
    spec: TradingSpec
    stored: Mapping[str, int]
    """The values of OUTER that its forecasts have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A named grid, and what holds for all of its combinations."""

    name: str
    dimensions: Mapping[str, Sequence[Any]]
    """Rule -> the values that are tried."""
    base: TradingSpec
    """How a rule that is no dimension stands."""
    stored: Mapping[str, int]
    """OUTER -> the value the stored forecasts are looked up with where it is no dimension."""
    filters: Filters | None
    own_sigma: bool
    """Whether each rule set trades in its own volatility (rules.OWN_SIGMA) where the grid names none."""
    max_combinations: int

    @property
    def size(self) -> int:
        """Return how many combinations there are."""
        return math.prod(len(values) for values in self.dimensions.values())

    @property
    def too_large(self) -> bool:
        """Return whether it has more combinations than may be swept."""
        return self.size > self.max_combinations

    def columns(self) -> list[str]:
        """Return the features that its combinations are measured in."""
        chosen = {name: self.dimensions[name] for name in ("rule_set", "sigma_column") if name in self.dimensions}
        pairs = (dict(zip(chosen, pair, strict=True)) for pair in itertools.product(*chosen.values()))
        return sorted({_varied(self, pair).sigma_column for pair in pairs})

    def combinations(self) -> Iterator[Combination]:
        """Give each combination once; those that trade alike under other words are one, under the first's words."""
        seen = set[str]()
        for one in self.choices():
            if one.name not in seen:
                seen.add(one.name)
                yield one

    def choices(self) -> Iterator[Combination]:
        """Give the combination of every choice of values, the last dimension's first; some may trade alike."""
        for chosen in itertools.product(*self.dimensions.values()):
            yield _combination(self, dict(zip(self.dimensions, chosen, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The seconds of a sweep on what is stored: what all combinations share, and what each takes besides."""

    shared: float
    each: float

    def seconds(self, combinations: int) -> float:
        """Return how long so many take."""
        return self.shared + combinations * self.each

    def of(self, days: int) -> "Pace":
        """Return the pace on as many days, where this is that on one."""
        return Pace(shared=days * self.shared, each=days * self.each)


def too_large(grid: Grid, pace: Pace) -> GridError:
    """Return the refusal of a grid with too many combinations."""
    return GridError(
        f"the grid {grid.name} has {grid.size:,} combinations, more than trading_grid.max_combinations = "
        f"{grid.max_combinations:,}: about {duration(pace.seconds(grid.size))} at {pace.each * 1000:.3g} ms each. "
        f"Take values out of trading_grid.grids.{grid.name}, or raise trading_grid.max_combinations."
    )


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def refuse_unstored(grid: Grid, forecasts: pl.DataFrame) -> None:
    """Raise GridError for a value of OUTER that none of the forecasts has, naming those they have; none: no day."""
    for name in OUTER if forecasts.height else ():
        stored = sorted(forecasts[name].unique())
        if absent := sorted({*grid.dimensions.get(name, (grid.stored[name],))} - {*stored}):
            raise GridError(
                f"trading_grid.grids.{grid.name} asks for forecasts of {name} {', '.join(map(str, absent))}; stored "
                f"under these settings is {', '.join(map(str, stored))}, and a sweep asks nobody. Take {name} out of "
                f"the grid, or sweep where such forecasts are stored: --set forecast.{name}={absent[0]} with their "
                "data.storage_root"
            )


def grid_days(
    grid: Grid,
    combinations: Sequence[Combination],
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    symbol_gates: pl.DataFrame,
    features: pl.DataFrame,
    *,
    events: EventCalendar,
) -> pl.DataFrame:
    """Return GRID_DAYS: what each combination would have made of each forecaster's day, every symbol on its own.

    The rules, costs and engines are the backtest's; the portfolio's limits are not asked. ``features`` (FEATURES, or
    the panel) reach back as far as the liquidity filter looks. ``forecasts`` are FORECASTS with history_days. Raises
    GridError for such as are not among them.
    """
    refuse_unstored(grid, forecasts)
    judged = liquidity.verdicts(forecasts, features, filters=grid.filters) if grid.filters else None
    frames = [GRID_DAYS.empty()]
    for same in alike(combinations):
        first = same[0]
        own = forecasts.filter(**first.stored)
        asked = signals.measured_in(own, features, column=first.spec.sigma_column)
        inputs = Inputs(forecasts=asked, bars=bars, symbol_gates=symbol_gates, events=events, liquidity=judged)
        frames.append(_named(swept.sweep(inputs, [one.spec for one in same]), same, own))
    return GRID_DAYS.conformed(pl.concat(frames))


def alike(combinations: Sequence[Combination]) -> list[list[Combination]]:
    """Return the combinations by what they see: those that trade the same forecasts in the same volatility share."""
    found: dict[tuple[Any, ...], list[Combination]] = {}
    for one in combinations:
        found.setdefault((one.spec.sigma_column, *one.stored.items()), []).append(one)
    return list(found.values())


def seed(name: str) -> int:
    """Return the seed of whatever is random about a combination: the first 8 hex digits of the MD5 of its name."""
    return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def _combination(grid: Grid, values: Mapping[str, Any]) -> Combination:
    stored = {name: values.get(name, grid.stored[name]) for name in OUTER}
    spec = _varied(grid, values)
    # the rules as they stand and not as they were said: another name, or a default that is named, is the same one
    decides = {"spec": asdict(spec), "filters": asdict(grid.filters) if grid.filters else None, "stored": stored}
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()
    return Combination(name=digest[:16], rules=json.dumps(dict(values), default=str), spec=spec, stored=stored)


def _varied(grid: Grid, values: Mapping[str, Any]) -> TradingSpec:
    """Return the base with these values in their rules' places."""
    inside = {name: value for name, value in values.items() if name not in (*OUTER, "sigma_column")}
    if "max_width_sigma" in inside:
        inside["suppress_wide"] = inside["max_width_sigma"] is not None
    rules = replace(grid.base.rules, **inside)
    column = values.get("sigma_column") or (OWN_SIGMA[rules.rule_set] if _own(grid, values) else grid.base.sigma_column)
    return replace(grid.base, rules=rules, sigma_column=column)


def _own(grid: Grid, values: Mapping[str, Any]) -> bool:
    # a null among the values means what it means in trading.sigma_column: the rule set's own
    return grid.own_sigma or "sigma_column" in values


def _named(made: pl.DataFrame, combinations: Sequence[Combination], forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the sweep's rows under their combinations' names, with whose forecasts were traded."""
    names = pl.DataFrame(
        [(place, one.name, one.rules) for place, one in enumerate(combinations)],
        {"place": pl.Int64, "name": pl.String, "rules": pl.String},
        orient="row",
    )
    named = (
        made.join(names, left_on="combination", right_on="place").drop("combination").rename({"name": "combination"})
    )
    return named.join(_sources(forecasts), on=["day", "forecaster"]).select(*GRID_DAYS.columns)


def _sources(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return [day, forecaster, the three sources]: MIXED where a day's forecasts differ."""
    same = (
        pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()).otherwise(pl.lit(MIXED)).alias(name)
        for name in SOURCE_KEY
    )
    return forecasts.group_by("day", "forecaster").agg(*same)

"""A trial of the search: one choice of the outer rules, with every combination of the inner ones swept under it.

Belongs here: which combinations a trial tries, what they earned, and what the trial is worth. Who chooses the outer
rules stands outside (adapters/search/); what a sweep is, in trading_grid.py. Nobody is asked anything.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.backtest import liquidity, signals
from timegpt_assets.core.backtest import sweep as swept
from timegpt_assets.core.backtest.signals import Inputs
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.research import trading_grid
from timegpt_assets.core.research.objective import Daily, Figures, Penalties, smoothed
from timegpt_assets.core.research.trading_grid import Combination, Grid

Value = str | float | int | bool | None
"""A value of a rule as JSON holds it."""
Choice = Mapping[str, Value]
"""Outer rule -> the value chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What is searched: the outer grid, whose values are chosen, and the inner one, which is swept whole."""

    outer: Grid
    inner: Grid
    penalties: Penalties
    smooth: bool
    """Whether a trial is worth its best plateau instead of its best combination."""

    def values(self) -> dict[str, tuple[Value, ...]]:
        """Return outer rule -> the values to choose from, as JSON holds them."""
        return {name: tuple(map(_said, values)) for name, values in self.outer.dimensions.items()}

    @property
    def size(self) -> int:
        """Return how many choices of the outer rules there are."""
        return math.prod(map(len, self.outer.dimensions.values()))

    def grid(self, choice: Choice) -> Grid:
        """Return the inner grid under one choice of the outer rules."""
        chosen = {name: (self._value(name, value),) for name, value in choice.items()}
        return replace(self.inner, dimensions={**chosen, **self.inner.dimensions})

    @property
    def whole(self) -> Grid:
        """Return the grid of every choice and combination: what a sweep of all of it would try."""
        return replace(self.outer, dimensions={**self.outer.dimensions, **self.inner.dimensions})

    def tried(self, choice: Choice) -> "Tried":
        """Return the combinations that a trial of the choice tries."""
        grid = self.grid(choice)
        choices, combinations = list(grid.choices()), dict[str, Combination]()
        for one in choices:
            combinations.setdefault(one.name, one)
        place = {name: number for number, name in enumerate(combinations)}
        cells = np.array([place[one.name] for one in choices])
        numbers = (all(_is_number(value) for value in values) for values in grid.dimensions.values())
        return Tried(
            combinations=tuple(combinations.values()),
            cells=cells.reshape([len(values) for values in grid.dimensions.values()]),
            # words have no neighbours: what lies beside a rule set in a list is another rule set
            axes=tuple(axis for axis, ordered in enumerate(numbers) if ordered) if self.smooth else (),
        )

    def worth(self, tried: "Tried", daily: Daily, capital: float) -> "Worth":
        """Return what a trial is worth on the sessions swept; ``daily`` has a row for each of its combinations.

        ``capital`` is total capital, USD. Of equal combinations the first wins, in the order of the grid.
        """
        figures = daily.figures(capital)
        judged = smoothed(np.array([self.penalties.value(one) for one in figures])[tried.cells], axes=tried.axes)
        place = int(np.argmax(judged))
        own = int(tried.cells.flat[place])
        best = tried.combinations[own]
        return Worth(value=float(judged.flat[place]), combination=best.name, rules=best.rules, figures=figures[own])

    def _value(self, name: str, said: Value) -> Any:
        return next(value for value in self.outer.dimensions[name] if _said(value) == said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a trial tries: its inner combinations, each once, and the grid they lie on."""

    combinations: tuple[Combination, ...]
    cells: np.ndarray
    """Place among the combinations, by the places of the grid's values."""
    axes: tuple[int, ...]
    """Along which neighbours count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a trial is worth, and the inner combination that makes it so."""

    value: float
    combination: str
    rules: str
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What trials are swept on: one forecaster's stored forecasts of some sessions, and what they stand on."""

    days: tuple[date, ...]
    measured: Mapping[str, pl.DataFrame]
    """Volatility -> the forecasts measured in it."""
    bars: pl.DataFrame
    symbol_gates: pl.DataFrame
    liquidity: pl.DataFrame | None
    events: EventCalendar

    @classmethod
    def nothing(cls, *, events: EventCalendar) -> "Material":
        """Return the material of no session."""
        none = pl.DataFrame()
        return cls(days=(), measured={}, bars=none, symbol_gates=none, liquidity=None, events=events)

    def parts(self, count: int) -> list["Material"]:
        """Return the material in at most ``count`` parts of sessions that follow each other, as even as can be."""
        size = -(-len(self.days) // max(1, count))
        return [self._of(self.days[i : i + size]) for i in range(0, len(self.days), size or 1)]

    def _of(self, days: Sequence[date]) -> "Material":
        own = pl.col("day").is_in(list(days))
        return replace(
            self,
            days=tuple(days),
            measured={column: frame.filter(own) for column, frame in self.measured.items()},
            bars=self.bars.filter(own),
            symbol_gates=self.symbol_gates.filter(own),
            liquidity=None if self.liquidity is None else self.liquidity.filter(own),
        )

    def inputs(self, combination: Combination) -> Inputs:
        """Return what the combination trades."""
        return Inputs(
            forecasts=self.measured[combination.spec.sigma_column].filter(**combination.stored),
            bars=self.bars,
            symbol_gates=self.symbol_gates,
            events=self.events,
            liquidity=self.liquidity,
        )

    def swept(self, combinations: Sequence[Combination]) -> Daily:
        """Return what the combinations earned, a row each, on each of the sessions; zero where nobody was asked."""
        shape = len(combinations), len(self.days)
        daily = Daily(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))
        row = {one.name: place for place, one in enumerate(combinations)}
        column = {day: place for place, day in enumerate(self.days)}
        for same in trading_grid.alike(combinations):
            inputs = self.inputs(same[0])
            asked, made = inputs.forecasts, swept.sweep(inputs, [one.spec for one in same])
            places = np.ix_([row[one.name] for one in same], [column[day] for day in sorted(asked["day"].unique())])
            for own, name in ((daily.net, "net_pnl"), (daily.notional, "notional"), (daily.trades, "trades")):
                own[places] = made[name].to_numpy().reshape(places[0].size, -1)
        return daily


def material(
    space: Space,
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    symbol_gates: pl.DataFrame,
    features: pl.DataFrame,
    *,
    days: Sequence[date],
    events: EventCalendar,
) -> Material:
    """Return what trials of the space are swept on; ``forecasts`` are one forecaster's, with history_days.

    ``days`` are the sessions that are stored; those before the first and after the last forecast are left out.
    ``features`` reach back as far as the liquidity filter looks. Raises GridError for forecasts that are not stored.
    """
    trading_grid.refuse_unstored(space.whole, forecasts)
    filters = space.outer.filters
    asked = forecasts["day"].unique().sort()
    within = [day for day in sorted(days) if len(asked) and asked[0] <= day <= asked[-1]]
    own = pl.col("day").is_in(within)
    return Material(
        days=tuple(within),
        measured={
            column: signals.measured_in(forecasts, features, column=column).sort("day", "symbol", "snapshot_ts")
            for column in space.whole.columns()
        },
        bars=bars.filter(own).sort("day", "symbol", "ts"),
        symbol_gates=symbol_gates.filter(own),
        liquidity=liquidity.verdicts(forecasts, features, filters=filters) if filters else None,
        events=events,
    )


def _said(value: Any) -> Value:
    return value.isoformat("minutes") if isinstance(value, time) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

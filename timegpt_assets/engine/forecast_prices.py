"""What a forecast grid costs before anything is sent: which requests its combinations ask, and which they share.

Belongs here: combinations with the settings they stand for, and pricing them in the order in which they are made. A
price is an upper bound: other settings may turn out to shape the very bytes that were answered (engine/composed.py).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from dagster import AssetKey

from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.research import forecast_grid
from timegpt_assets.core.research.trading_grid import seed
from timegpt_assets.engine.call_budget import BudgetPlanner
from timegpt_assets.engine.lineages import chosen
from timegpt_assets.engine.plans import AssetNode

MEASURED = ("forecast_diagnostics", "trading_scores", "forecast_gate", "trading_gate")
"""What a combination is measured by; all they stand on is made for it."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One choice of a value for each dimension, with the settings it stands for."""

    name: str
    """Digest of every setting that shapes its numbers, in 16 hex digits."""
    choice: Mapping[str, Any]
    settings: Settings
    duplicate: bool = False
    """Whether an earlier one of the plan has the same name: other words, the same numbers."""

    @property
    def words(self) -> str:
        """Return the choice as a person reads it."""
        return forecast_grid.words(self.choice)

    @property
    def seed(self) -> int:
        """Return what anything random about it is drawn with."""
        return seed(self.name)

    @property
    def tradeable(self) -> bool:
        """Return whether its label spans its horizon: others are scored and never traded."""
        return core_inputs.target(self.settings).label_aligned


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one combination takes: requests in all, paid for already, asked by an earlier one, and calls to be paid."""

    snapshots: int = 0
    requests: int = 0
    cached: int = 0
    shared: int = 0
    shares_with: str | None = None
    calls_by_day: tuple[int, ...] = ()

    @property
    def calls(self) -> int:
        """Return the calls still to be paid, those that an earlier combination pays not among them."""
        return sum(self.calls_by_day)


def combinations(
    choices: Iterable[Mapping[str, Any]],
    settings: Callable[[Mapping[str, Any]], Settings],
    asset_nodes: Mapping[AssetKey, AssetNode],
) -> list[Combination]:
    """Return the combinations in the order in which they are made: those that can be traded first."""
    shaping = _shaping(asset_nodes)
    found = [(choice, settings(choice)) for choice in choices]
    made = [Combination(name=_name(own, shaping), choice=choice, settings=own) for choice, own in found]
    seen, ordered = set[str](), []
    for one in sorted(made, key=lambda one: not one.tradeable):
        ordered.append(Combination(name=one.name, choice=one.choice, settings=one.settings, duplicate=one.name in seen))
        seen.add(one.name)
    return ordered


def _shaping(asset_nodes: Mapping[AssetKey, AssetNode]) -> list[str]:
    """Return the settings that shape what a combination is measured by, from the bars on."""
    waiting, found = [key for key in asset_nodes if key.path[-1] in MEASURED], set[AssetKey]()
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting.extend(asset_nodes[key].deps)
    return sorted({name for key in found for name in asset_nodes[key].settings})


def _name(settings: Settings, shaping: Sequence[str]) -> str:
    # of the settings and not of the code: a combination keeps its name when the code is mended
    said = [settings.profile, settings.digest(chosen(shaping, settings))]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()[:16]


def prices(plan: Sequence[Combination], purse: BudgetPlanner | None, days: Sequence[date]) -> list[Price]:
    """Return what each combination takes after those before it; nothing where the forecaster costs nothing."""
    if purse is None:
        return [Price() for _ in plan]
    purse.reconcile()
    asked, models, found = dict[str, str](), set[str](), []
    alike = dict[str, Price]()
    for one in plan:
        if one.duplicate:
            found.append(alike[one.name])
            continue
        price = _price(one, purse.under(one.settings), days, asked, models)
        found.append(price)
        alike[one.name] = _again(price, one.name)
    return found


def _price(
    one: Combination, purse: BudgetPlanner, days: Sequence[date], asked: dict[str, str], models: set[str]
) -> Price:
    """Price a combination and note what it asks in ``asked`` (request -> who asks it) and ``models``."""
    requests = purse.requests(days)
    cached = sum(part.is_answered for own in requests.values() for part in own)
    shared, shares_with, calls = 0, None, []
    for day in sorted(requests):
        fresh = 0
        for part in requests[day]:
            if (by := asked.setdefault(part.snapshot_key, one.name)) != one.name:
                shared, shares_with = shared + (not part.is_answered), shares_with or by
            else:
                fresh += not part.is_answered
        if fresh and one.settings.forecast.model not in models:
            fresh += purse.params_needed()
            models.add(one.settings.forecast.model)
        calls.append(fresh)
    return Price(
        snapshots=purse.snapshots(days),
        requests=sum(map(len, requests.values())),
        cached=cached,
        shared=shared,
        shares_with=shares_with,
        calls_by_day=tuple(calls),
    )


def _again(price: Price, name: str) -> Price:
    """Return what a duplicate takes: the same requests, none of which is paid again."""
    return Price(
        snapshots=price.snapshots,
        requests=price.requests,
        cached=price.cached,
        shared=price.requests - price.cached,
        shares_with=name,
        calls_by_day=tuple(0 for _ in price.calls_by_day),
    )

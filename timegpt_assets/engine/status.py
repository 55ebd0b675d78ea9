"""What exists of a house, session by session and symbol by symbol: how far each is made, and what is wrong with it.

Belongs here: reading the inventory, the verdicts on bars and what waits into one state for each symbol day. What is
printed is cli/status.py.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dagster import AssetKey

from timegpt_assets.engine import pending
from timegpt_assets.engine.deliveries import BARS
from timegpt_assets.engine.engine import Engine
from timegpt_assets.engine.inventory import OTHER_CODE, Inventory
from timegpt_assets.engine.pending import Pending
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.revisions import stale_now

REACHED: Mapping[str, tuple[AssetKey, ...]] = {
    "bars": (BARS,),
    "features": (AssetKey(["features", "features"]),),
    "forecasts": (AssetKey(["forecasts", "raw_forecasts"]),),
    "calibration": (AssetKey(["calibration", "forecasts"]),),
    "backtest": (AssetKey(["backtest", "trades"]),),
    "complete": (AssetKey(["backtest", "portfolio"]),),
}
"""How far a symbol day is made, and by which assets that is seen, each standing on the one before."""
QUARANTINED, LATE, NO_DATA, STALE, ABSENT = "quarantined", "late", "no_data", "stale", "not made"
FOR_CALLS, FOR_BARS, FOR_RETRY = "waits for the budget", "waits for bars", "waits for another try"
WAITS = {pending.CALLS: FOR_CALLS, pending.BARS: FOR_BARS, pending.RETRY: FOR_RETRY}
WORST_FIRST = (QUARANTINED, LATE, FOR_BARS, FOR_CALLS, FOR_RETRY, STALE, ABSENT, NO_DATA, *REACHED)
"""Of several states the one that is shown."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """The states of days x symbols, stale partitions and all recorded ones by asset, and the ranges that wait."""

    days: Sequence[date]
    symbols: Sequence[str]
    states: Mapping[PartitionRef, str]
    reached: Mapping[PartitionRef, str]
    made: Mapping[str, int]
    stale: Mapping[str, int]
    other_code: int
    """Partitions that earlier code made: all of them after an update, so they count as stale nowhere above."""
    waiting: Sequence[Pending]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many symbol days are in each state, the worst first."""
        found = Counter(self.states.values())
        return {state: found[state] for state in WORST_FIRST if found[state]}

    def line(self, symbols: Sequence[str]) -> list[str]:
        """Return for each day the worst state that any of these symbols is in."""
        return [min((self.states[PartitionRef(d, s)] for s in symbols), key=WORST_FIRST.index) for d in self.days]


def status(engine: Engine, days: Sequence[date], symbols: Sequence[str]) -> Status:
    """Return the status of these sessions and symbols."""
    inventory = engine.inventory(days)
    found = stale_now(engine, inventory, ignored={OTHER_CODE})
    # what is gone is not made, and no longer old
    nodes = inventory.asset_nodes
    shown = {key: {*map(nodes[key].axis.of, days)} for key in found}
    stale = {key: {p for p in own & inventory.there(key) if p.day in shown[key]} for key, own in found.items()}
    waiting = pending.waiting(engine.instance)
    wrong = _verdicts(inventory, days) | _waiting(waiting, days, symbols)
    # of days alone: a month's key is its first date, which may be a session that nothing is wrong with
    of_sessions = [key for key in stale if not nodes[key].is_monthly and not nodes[key].is_utc]
    daily = [p for key in of_sessions for p in stale[key]]
    old = {PartitionRef(p.day, s) for p in daily for s in ([p.symbol] if p.symbol else symbols)}
    reached = _reached(inventory, days, symbols)
    states = {}
    for partition, so_far in reached.items():
        state = STALE if partition in old and so_far != ABSENT else so_far
        # what waits to be made waits only as far as it is not made
        asked = wrong.get(partition)
        states[partition] = asked if asked and (so_far != "complete" or asked not in WAITS.values()) else state
    return Status(
        days=days,
        symbols=symbols,
        states=states,
        reached=reached,
        # UTC days are no sessions: those of them that are would be a part of nothing (tsfm status counts them all)
        made={key.to_user_string(): len(inventory.there(key)) for key, node in nodes.items() if not node.is_utc},
        stale={key.to_user_string(): len(own) for key, own in stale.items() if own and not nodes[key].is_utc},
        other_code=sum(
            why == OTHER_CODE for key, node in nodes.items() if not node.is_utc for why in inventory.of(key).values()
        ),
        waiting=waiting,
    )


def _reached(inventory: Inventory, days: Sequence[date], symbols: Sequence[str]) -> dict[PartitionRef, str]:
    """Return the last stage of which everything before it is there too."""
    there = {stage: [inventory.there(key) for key in keys] for stage, keys in REACHED.items()}
    found = {}
    for day in days:
        for symbol in symbols:
            own, so_far = PartitionRef(day, symbol), ABSENT
            for stage, made in there.items():
                if not all(own in partitions or PartitionRef(day) in partitions for partitions in made):
                    break
                so_far = stage
            found[own] = so_far
    return found


def _verdicts(inventory: Inventory, days: Sequence[date]) -> dict[PartitionRef, str]:
    facts = inventory.store.read_facts(BARS.to_user_string(), days, missing="ok")
    bad = {(day, symbol): str(fact.get("verdict")) for (day, symbol), fact in facts.items()}
    return {
        PartitionRef(date.fromisoformat(day), symbol): verdict
        for (day, symbol), verdict in bad.items()
        if verdict in (QUARANTINED, LATE, NO_DATA)
    }


def _waiting(waiting: Sequence[Pending], days: Sequence[date], symbols: Sequence[str]) -> dict[PartitionRef, str]:
    return {
        PartitionRef(day, symbol): WAITS.get(entry.on, FOR_CALLS)
        for entry in waiting
        for day in days
        if entry.first <= day <= entry.last
        for symbol in (entry.symbols or symbols)
    }

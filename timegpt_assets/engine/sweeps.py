"""A sweep of the trading grid: which sessions have stored forecasts, and the rectangle that sweeps them and no more.

Belongs here: what a sweep runs. Nothing it stands on is ever made: what is not stored would have to be asked for.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from timegpt_assets.engine.engine import Engine, Rectangle, asset_nodes
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.revisions import older
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.partitions import GraphContext

READ = ("forecasts", "bars", "symbol_gates", "panel")
"""What a sweep reads, of every symbol of the day."""


def stored_days(engine: Engine, graph: GraphContext, days: Sequence[date]) -> list[date]:
    """Return the days of which all that a sweep reads is stored. Raises Refused where there is none."""
    nodes, inventory = asset_nodes(engine.repository), engine.inventory(days)
    read = {key: inventory.there(key) for key in nodes if key.path[-1] in READ and key.path[0] != "forecasts"}
    everyone = graph.grid.symbol.get_partition_keys()
    stored = [
        day for day in days if all(not nodes[key].partitions([day], everyone) - there for key, there in read.items())
    ]
    if not stored:
        raise Refused(
            f"no forecasts are stored for {days[0]} to {days[-1]} under these settings, and a sweep asks nobody. "
            f"{_others(engine, graph)}Make some first: timegpt-assets backtest --start {days[0]} --end {days[-1]} "
            f"--profile {graph.settings.profile}"
        )
    return stored


def _others(engine: Engine, graph: GraphContext) -> str:
    """Return in a sentence which days have stored forecasts, whatever was asked for."""
    key = next(key for key in asset_nodes(engine.repository) if key.path == ["calibration", "forecasts"])
    made = sorted({PartitionRef.of(one).day for one in engine.instance.get_materialized_partitions(key)})
    return f"Forecasts of {made[0]} to {made[-1]} were made once ({len(made)} sessions). " if made else ""


def swept(
    engine: Engine,
    graph: GraphContext,
    days: Sequence[date],
    *,
    force: bool,
    range_days: int = 1,
    stage: str = "research",
) -> Rectangle:
    """Return the rectangle of a sweep or a search: its own assets alone, what is old of them made again."""
    nodes = asset_nodes(engine.repository)
    whole = rectangle(graph, nodes, days=days, assets=STAGES[stage], force=force)
    own = [key for key in whole.assets if key.path[-1] in STAGES[stage]]
    wanted = replace(whole, assets=tuple(own), whole=frozenset(), history=(), paid=None, range_days=range_days)
    # not what is stale above it: that stays as it is stored, and would have the same sweep made over and over
    return replace(wanted, stale=older(engine, own, days))

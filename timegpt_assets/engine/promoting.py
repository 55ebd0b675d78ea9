"""A promotion's verdict: the month's tables it rests on made again from the stored days, and nothing below them.

Belongs here: what a promotion runs. Nobody is asked and nothing is paid; what is recorded is cli/promoting.py's.
"""

from dataclasses import replace
from datetime import date

from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.engine.engine import Engine, Rectangle, asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.engine.training import TAUGHT
from timegpt_assets.partitions import GraphContext

PORTFOLIO = "backtest/portfolio/"


def last_day(stored: ObjectStore, month: str) -> date:
    """Return the last session of the month, or of any where it is empty, whose portfolio is stored. Raises Refused."""
    names = [name.removeprefix(PORTFOLIO).removesuffix(".parquet") for name, _ in stored.names(f"{PORTFOLIO}{month}")]
    if not names:
        raise Refused(
            f"no session{f' of {month}' if month else ''} has a portfolio: there is nothing to promote. "
            "Make its days first: timegpt-assets backfill"
        )
    return date.fromisoformat(max(names))


def verdict(engine: Engine, graph: GraphContext, day: date) -> Rectangle:
    """Return the rectangle that makes every month table behind ``promotion`` again, whatever is stored of them.

    Not the models: they stand before the days that are judged, and are judged as they answered.
    """
    nodes = asset_nodes(engine.repository)
    whole = rectangle(graph, nodes, days=[day], assets=STAGES["promotion"], force=True)
    own = tuple(key for key in whole.assets if nodes[key].is_monthly and key.path[-1] not in TAUGHT)
    return replace(whole, assets=own, forced=frozenset(own), whole=frozenset(), history=(), paid=None)

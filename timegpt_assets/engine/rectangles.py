"""The rectangle that makes assets over days and symbols: names a person types turned into what has to run.

Belongs here: what an asset brings along, and warm-up. Running is engine.py, what may be asked for is stages.py.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date

from dagster import AssetKey

from timegpt_assets.config import core_inputs
from timegpt_assets.engine.engine import Rectangle
from timegpt_assets.engine.plans import AssetNode
from timegpt_assets.engine.stages import assets_asked, everyday, symbols_asked
from timegpt_assets.partitions import GraphContext

ANSWERING = ("answers", "base_answers", "local_answers")
"""Who answers about a batch of symbols, which a choice of some never alters."""
LEARNT = ("outcomes", "calibration_models", "training_set", "base_scores")
"""What is learnt from every symbol."""
NEWS_BEFORE = {"raw_news": 3, "normalized_news": 2, "linked_news": 1, "news_clusters": 1}
"""Sessions before its own that a session's scored news stands on: each layer reads that of the session before, too."""


def rectangle(
    graph: GraphContext,
    asset_nodes: dict[AssetKey, AssetNode],
    *,
    days: Sequence[date],
    symbols: Sequence[str] = (),
    assets: Sequence[str] = (),
    force: bool = False,
    reask: bool = False,
) -> Rectangle:
    """Return what has to run so that these assets exist for days x symbols (all of the universe when empty).

    Without ``assets`` those of every session are meant. Whatever they stand on is included and made where it is
    missing; ``force`` makes the named ones again, ``reask`` the answers, paying for them once more.
    """
    settings, everyone = graph.settings, graph.settings.universe.everyone
    by_name = {key.path[-1]: key for key in asset_nodes}
    assets, symbols = assets_asked(assets or everyday(settings)), symbols_asked(settings, symbols)
    named = [by_name[name] for name in assets]
    wanted = _with_upstream(named, asset_nodes)
    answers, history = by_name["answers"], settings.forecast.history_days
    # what local_answers say, base_answers have framed
    answering = [by_name[name] for name in ANSWERING if by_name.get(name) in wanted]
    asked = bool(answering)
    # learnt from all symbols: what a choice of them is calibrated with must not hang on which were made before
    learnt = [by_name[name] for name in LEARNT if by_name.get(name) in wanted]
    warmup = settings.features.warmup_sessions if by_name["features"] in wanted else 0
    labelled = core_inputs.volatility_spec(settings).sessions if by_name["labels"] in wanted else 0
    filters = settings.trading.filters
    compared = filters.lookback_sessions if filters.enabled and by_name["trades"] in wanted else 0
    featured = max(history if asked else 0, compared)
    return Rectangle(
        days=tuple(days),
        symbols=symbols or everyone,
        all_symbols=everyone,
        assets=tuple(wanted),
        named=frozenset(named),
        forced=frozenset(named if force else ()) | frozenset({answers} if reask else ()),
        whole=frozenset(_with_upstream([*answering, *learnt], asset_nodes)),
        history=(
            (frozenset({by_name["raw_bars"], by_name["bars"]}), max(warmup + featured, labelled)),
            *_news_before(by_name, wanted, featured),
            (frozenset({by_name["market_context"], by_name["features"]}), featured),
            (frozenset({by_name["panel"]}), history if asked else 0),
        ),
        first_day=graph.grid.first_day,
        paid=answers if settings.forecast.backend == "nixtla" else None,
        reask=reask,
    )


def _news_before(
    by_name: Mapping[str, AssetKey], wanted: Collection[AssetKey], featured: int
) -> Iterator[tuple[frozenset[AssetKey], int]]:
    """Yield the news that earlier sessions must have; that of every featured session where features read it."""
    if by_name["scored_news"] not in wanted:
        return
    featured = featured if by_name["news_features"] in wanted else 0
    for name, sessions in NEWS_BEFORE.items():
        yield frozenset({by_name[name]}), sessions + featured
    yield frozenset({by_name["scored_news"], by_name["news_features"]}), featured


def _with_upstream(keys: Sequence[AssetKey], asset_nodes: dict[AssetKey, AssetNode]) -> list[AssetKey]:
    found: set[AssetKey] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting.extend(asset_nodes[key].deps)
    return sorted(found, key=lambda k: list(k.path))

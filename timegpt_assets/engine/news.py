"""News on request: the rectangle that asks what nobody answered yet, and how each source stands.

Belongs here: which days are asked about again, and what a person should know of a source. Who is asked, and how
patiently, is adapters/news; what is printed is cli/fetching.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl
from dagster import AssetKey

from timegpt_assets.adapters.news.imports import SOURCE
from timegpt_assets.adapters.news.own import Own
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config.news import SourceName
from timegpt_assets.core.news.windows import window
from timegpt_assets.core.tables.news import RAW_NEWS
from timegpt_assets.engine.engine import Engine, Rectangle, asset_nodes, sessions_before
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.rectangles import NEWS_BEFORE, rectangle
from timegpt_assets.engine.stages import NEWS, Refused
from timegpt_assets.partitions import GraphContext
from timegpt_assets.runtime import Runtime
from timegpt_assets.runtime_news import held, raw_store

RAW = AssetKey(["news", "raw_news"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """One source over some sessions: questions, answers, what failed and why first, and whether it is left alone.

    ``held``: until when, and why; None: it may be asked.
    """

    source: str
    asked: int
    answered: int
    failed: int
    first_failure: str | None
    held: str | None


def fetch(engine: Engine, graph: GraphContext, days: Sequence[date]) -> Rectangle:
    """Return the rectangle that makes the news of these days, again where an answer is lacking or came by an import.

    So it does about the sessions before them on whose raw news theirs stands. What was answered is asked of nobody.
    Raises Refused where no source is listed.
    """
    settings = graph.settings
    if not settings.news.sources:
        raise Refused(
            "news.sources lists nobody, so there is nobody to ask. List some, like --set news.sources=[calendar]."
        )
    projected = ("news_features",) if "news" in settings.features.groups else ()
    wanted = rectangle(graph, asset_nodes(engine.repository), days=days, assets=(*NEWS, *projected))
    asked = [*sessions_before(wanted, NEWS_BEFORE[RAW.path[-1]]), *days]
    raw = stored(ParquetStore(engine.runtime.storage), asked)
    failed = raw.filter(pl.col("failed").is_not_null())["day"].unique().to_list()
    old = frozenset(map(PartitionRef, [*failed, *_imported_since(engine.runtime, raw, asked)]))
    return replace(wanted, stale={RAW: old})


def _imported_since(runtime: Runtime, raw: pl.DataFrame, days: Sequence[date]) -> list[date]:
    """Return the days whose rows of the source own in RAW_NEWS, if any, are not what is imported now."""
    if SOURCE not in runtime.settings.news.sources:
        return []
    shelf = Own(raw=raw_store(runtime), live=runtime.settings.news.clock == "live")
    known = {
        day: set(part["asked"]) for (day,), part in raw.filter(source=SOURCE).partition_by("day", as_dict=True).items()
    }
    return [
        day for day in days if {answer.asked for answer in shelf.answers(window(day), day)} != known.get(day, set())
    ]


def stored(store: ParquetStore, days: Sequence[date]) -> pl.DataFrame:
    """Return RAW_NEWS of these days, as far as it is made."""
    return store.read(RAW.to_user_string(), [str(day) for day in days], missing="ok", empty=RAW_NEWS.empty())


def source_states(runtime: Runtime, raw: pl.DataFrame) -> list[SourceState]:
    """Return how each source that is listed stands; ``raw`` RAW_NEWS of some sessions. Raises BreakerDamaged."""
    parts = {source: part for (source,), part in raw.partition_by("source", as_dict=True).items()}
    return [_state(runtime, name, parts.get(name, RAW_NEWS.empty())) for name in runtime.settings.news.sources]


def _state(runtime: Runtime, name: SourceName, raw: pl.DataFrame) -> SourceState:
    failed = raw.filter(pl.col("failed").is_not_null()).sort("day", "asked")
    return SourceState(
        source=name,
        asked=raw.height,
        answered=raw.height - failed.height,
        failed=failed.height,
        first_failure=failed["failed"][0] if failed.height else None,
        held=held(runtime, name),
    )

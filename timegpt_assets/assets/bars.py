"""Bars: from the source's rows to a gapless session grid that can be trusted, with a verdict per day and symbol."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.market_data import Delivering
from timegpt_assets.adapters.market.month_file import Delivery
from timegpt_assets.adapters.storage.parquet_files import Facts
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, Partitions, PartitionStream
from timegpt_assets.assets import glimpses, previews
from timegpt_assets.assets.declare import declared, in_chunks, note_rows, stored_in
from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.content import content_hashes
from timegpt_assets.core.bars.quality_rules import QualityPolicy
from timegpt_assets.core.tables.bars import BARS, QUALITY, RAW_BARS
from timegpt_assets.partitions import GraphContext, by_day, days_of, symbols_of
from timegpt_assets.runtime import Clock, MarketData


def raw_bars(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the rows as the source delivered them."""

    @declared(
        RAW_BARS,
        group="bars",
        partitions=graph.grid.day_symbol,
        settings=("data.source", "data.synthetic", "data.stamp", "data.timezone", "universe.context"),
    )
    def raw_bars(
        context: dg.AssetExecutionContext,
        market_data: dg.ResourceParam[MarketData],
        clock: dg.ResourceParam[Clock],
    ) -> Partitions:
        """Minute bars as the source delivered them, in our names and UTC; nothing dropped, nothing repaired."""
        calendar.refuse_open(days_of(context.partition_keys), clock())  # the UI offers the next session, too
        found = arrived(market_data, context.partition_keys)
        note_rows(context, found.frame)
        return found

    return raw_bars


def arrived(source: MarketData, keys: Sequence[str]) -> Partitions:
    """Return the rows of these partitions as the source has them now, with what is known of each at the door.

    The fact ``content`` changes whenever anything does that the partition is made from.
    """
    days = days_of(keys)
    # the session before is read along for its last close: overnight moves and splits are judged by it
    found = delivered(source, symbols_of(keys), sorted({*days, *(calendar.shifted(day, -1) for day in days)}))
    frame = found.bars.filter(pl.col("day").is_in(days))
    facts = _door_facts(keys, found, session_grid.previous_closes(found.bars, days=days))
    for key, content in content_hashes(frame, keys, facts).items():
        # kept in the footer: a revision is told by what is in the file, never by its date (docs/adr/0013)
        facts[key]["content"] = content
    return Partitions(frame, facts)


def delivered(source: MarketData, symbols: Sequence[str], days: Sequence[date]) -> Delivery:
    """Return what the source hands over; one that has bars only has no faults."""
    return source.delivery(symbols, days) if isinstance(source, Delivering) else Delivery(source.bars(symbols, days))


def _door_facts(keys: Sequence[str], found: Delivery, closes: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return by partition key what the rows alone do not say: the close before, and what is wrong with the file."""
    facts: dict[str, dict[str, Any]] = {key: {} for key in keys}
    for day, symbol, close in closes.iter_rows():
        facts[f"{day}|{symbol}"]["previous_close"] = close
    for day, symbol, rule, rows, detail in found.faults.iter_rows():
        if f"{day}|{symbol}" in facts:
            facts[f"{day}|{symbol}"].setdefault("faults", []).append([rule, rows, detail])
    return facts


def bars(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the session grid; its facts hold each partition's quality verdict."""
    policy, sessions_later = core_inputs.quality_policy(graph.settings), graph.settings.dq_policy.deadline_sessions

    @declared(
        BARS,
        group="bars",
        partitions=graph.grid.day_symbol,
        settings=("dq_policy", "events.splits", "events.halts", "trading.tick_size"),
        ins={"raw_bars": stored_in("bars", name="raw_bars")},
    )
    def bars(
        context: dg.AssetExecutionContext, raw_bars: LazyPartitions, clock: dg.ResourceParam[Clock]
    ) -> PartitionStream:
        """Gapless regular-session minute grid with filled minutes flagged; zero rows where quality forbids use."""
        now, days = clock(), days_of(context.partition_keys)
        # absent before the deadline is late and after it no_data: only the first is looked at again
        awaited = [day for day in days if now < calendar.deadline(day, sessions_later)]
        # a stream: a range of years is judged and stored a few days at a time, in bounded memory
        return PartitionStream(_judged(context, raw_bars, policy=policy, awaited=awaited))

    return bars


def _judged(
    context: dg.AssetExecutionContext, raw_bars: LazyPartitions, *, policy: QualityPolicy, awaited: Sequence[date]
) -> Iterator[tuple[Sequence[str], Partitions]]:
    """Yield the grids and verdicts of a few days at a time, noted beside the partitions' materialisations."""
    asked, drawn = list(context.partition_keys), 0
    for days in in_chunks(days_of(asked)):
        files = [str(day) for day in days]
        own = [key for key in asked if key[:10] in files]
        raw, sessions = raw_bars.of(days), calendar.sessions_frame(days)
        # from the facts and not from the source again: verdicts follow from what is stored, whatever the file is by now
        faults, closes = _known_at_the_door({key: raw_bars.facts[key] for key in own})
        quality = session_grid.quality(
            raw, keys=_keys(own), sessions=sessions, policy=policy, faults=faults, closes=closes, awaited=awaited
        )
        gridded = partial(session_grid.grid, raw, sessions=sessions, policy=policy)
        frame, charts = gridded(quality), previews.day_charts(context, quality, gridded, drawn)
        drawn += len(charts.get("bars", ()))
        facts = {f"{row['day']}|{row['symbol']}": _plain(row) for row in quality.iter_rows(named=True)}
        facts = {key: fact | {"content": raw_bars.facts[key].get("content")} for key, fact in facts.items()}
        said = {name: {key: fact[name] for key, fact in facts.items() if fact[name]} for name in ("verdict", "reason")}
        note_rows(context, frame, {**said, **glimpses.of_bars(frame, quality, gridded), **charts}, of=own)
        yield files, Partitions(frame, facts)


def _known_at_the_door(facts: Mapping[str, Facts]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return facts of raw_bars as frames: FAULTS of the files, and the CLOSES before."""
    faults: list[tuple[Any, ...]] = []
    closes: list[tuple[Any, ...]] = []
    for key, fact in facts.items():
        day, _, symbol = key.partition("|")
        at = (date.fromisoformat(day), symbol)
        faults += [(*at, *fault) for fault in fact.get("faults", ())]
        closes += [(*at, fact["previous_close"])] if "previous_close" in fact else []
    return (
        pl.DataFrame(faults, schema=session_grid.FAULTS, orient="row"),
        pl.DataFrame(closes, schema=session_grid.CLOSES, orient="row"),
    )


def _keys(partitions: Sequence[str]) -> pl.DataFrame:
    """Return [day, symbol] of the partition keys."""
    keys = pl.DataFrame([key.split("|") for key in partitions], schema=["day", "symbol"], orient="row")
    return keys.with_columns(pl.col("day").str.to_date())


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in ("day", "symbol")}


def quality_report(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of every symbol's verdict of the day."""

    @declared(
        QUALITY,
        group="bars",
        partitions=graph.grid.trading_day,
        settings=(),
        ins={"bars": stored_in("bars", by_day(), name="bars")},
    )
    def quality_report(context: dg.AssetExecutionContext, bars: Partitions) -> pl.DataFrame:
        """One verdict per symbol of the day with the facts behind it, read from what was stored with the bars."""
        # from the facts: a partition that quality emptied has no rows left to say why
        frame = verdicts(bars.facts)
        note_rows(context, frame, {"verdicts": _verdict_counts(frame), **previews.verdict_map(context, frame)})
        return frame

    return quality_report


def verdicts(facts: Mapping[str, Facts]) -> pl.DataFrame:
    """Return QUALITY from the facts stored with the bars, by partition key."""
    columns = QUALITY.columns
    rows = [
        dict(zip(("day", "symbol"), key.split("|"), strict=True)) | {k: v for k, v in fact.items() if k in columns}
        for key, fact in facts.items()
    ]
    frame = pl.DataFrame(rows, schema=QUALITY.schema | {"day": pl.String})
    return frame.with_columns(pl.col("day").str.to_date()).sort(QUALITY.key)


def _verdict_counts(frame: pl.DataFrame) -> dict[str, str]:
    counts = frame.group_by("day", "verdict").len().sort("day", "verdict")
    by_day = counts.group_by("day", maintain_order=True).agg(pl.format("{} {}", "len", "verdict").str.join(", "))
    return {str(day): text for day, text in by_day.iter_rows()}

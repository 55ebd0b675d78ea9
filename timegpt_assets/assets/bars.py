"""Bars: from the source's rows to a gapless session grid that can be trusted, with a verdict per day and symbol."""

import dagster as dg
import polars as pl

from timegpt_assets.adapters.parquet_store import Stored
from timegpt_assets.assets.declare import House, declared, note_rows, stored_in
from timegpt_assets.config import core_values
from timegpt_assets.core import bars as core
from timegpt_assets.core import calendar, tables
from timegpt_assets.partitions import by_day, days_of, symbols_of
from timegpt_assets.resources import MarketData


def raw_bars(house: House) -> dg.AssetsDefinition:
    """Return the asset of the rows as the source delivered them."""

    @declared(tables.RAW_BARS, group="bars", partitions=house.grid.day_symbol)
    def raw_bars(context: dg.AssetExecutionContext, market_data: dg.ResourceParam[MarketData]) -> pl.DataFrame:
        """Minute bars as the source delivered them, in our names and UTC; nothing dropped, nothing repaired."""
        frame = market_data.bars(symbols_of(context.partition_keys), days_of(context.partition_keys))
        note_rows(context, frame)
        return frame

    return raw_bars


def bars(house: House) -> dg.AssetsDefinition:
    """Return the asset of the session grid; its facts hold each partition's quality verdict."""
    policy = core_values.quality_policy(house.settings)

    @declared(
        tables.BARS,
        group="bars",
        partitions=house.grid.day_symbol,
        ins={"raw_bars": stored_in("bars", name="raw_bars")},
    )
    def bars(context: dg.AssetExecutionContext, raw_bars: pl.DataFrame) -> Stored:
        """Gapless regular-session minute grid with filled minutes flagged; zero rows where quality forbids use."""
        keys = pl.DataFrame([key.split("|") for key in context.partition_keys], schema=["day", "symbol"], orient="row")
        keys = keys.with_columns(pl.col("day").str.to_date())
        sessions = calendar.sessions_frame(keys["day"])
        quality = core.quality(raw_bars, keys=keys, sessions=sessions, policy=policy)
        frame = core.grid(raw_bars, quality, sessions=sessions, policy=policy)
        facts = {f"{row['day']}|{row['symbol']}": _plain(row) for row in quality.iter_rows(named=True)}
        note_rows(context, frame, verdict={key: fact["verdict"] for key, fact in facts.items()})
        return Stored(frame, facts)

    return bars


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in ("day", "symbol")}


def quality_report(house: House) -> dg.AssetsDefinition:
    """Return the asset of every symbol's verdict of the day."""

    @declared(
        tables.QUALITY,
        group="bars",
        partitions=house.grid.trading_day,
        ins={"bars": stored_in("bars", by_day(), name="bars")},
    )
    def quality_report(context: dg.AssetExecutionContext, bars: Stored) -> pl.DataFrame:
        """One verdict per symbol of the day with the facts behind it, read from what was stored with the bars."""
        rows = [
            {"day": day, "symbol": symbol} | {k: v for k, v in fact.items() if k in tables.QUALITY.columns}
            for (day, symbol), fact in ((tuple(key.split("|")), fact) for key, fact in bars.facts.items())
        ]
        frame = pl.DataFrame(rows, schema=tables.QUALITY.schema | {"day": pl.String}).with_columns(
            pl.col("day").str.to_date()
        )
        note_rows(context, frame, verdicts=_verdict_counts(frame))
        return frame

    return quality_report


def _verdict_counts(frame: pl.DataFrame) -> dict[str, str]:
    counts = frame.group_by("day", "verdict").len().sort("day", "verdict")
    by_day = counts.group_by("day", maintain_order=True).agg(pl.format("{} {}", "len", "verdict").str.join(", "))
    return {str(day): text for day, text in by_day.iter_rows()}

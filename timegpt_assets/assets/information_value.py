"""Information value: whether the news was worth anything on a month, by the ladder's tree with it and without it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions
from timegpt_assets.assets import previews
from timegpt_assets.assets.backtest import TRADING
from timegpt_assets.assets.declare import declared, in_chunks, stored_in
from timegpt_assets.assets.models import LEARNING
from timegpt_assets.config import core_inputs, strategy_inputs
from timegpt_assets.core.evaluation import information_value as worth
from timegpt_assets.core.features import news
from timegpt_assets.core.models import arms, folds
from timegpt_assets.core.news import project
from timegpt_assets.core.tables.columns import TREE
from timegpt_assets.core.tables.models import TRAINING_SET
from timegpt_assets.core.tables.news import INFORMATION_VALUE
from timegpt_assets.partitions import GraphContext, by_day, month_window, months_of

NAMES = tuple(feature.name for feature in news.FEATURES)
NOT_ASKED = ("gates.bootstrap", "trading.filters", "trading.sigma_column")
"""Settings of TRADING that change nothing: no gate and no filter stands in between, and sigma is the rows' own."""
PRICES = ("day", "symbol", "ts", "open", "high", "low", "close", "volume", "is_filled")


def information_value(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what the news was worth, month by month."""
    settings, months = graph.settings, graph.settings.models.window_months
    spec = core_inputs.tree_spec(settings, core_inputs.event_calendar(settings), with_news=True)
    trading = replace(strategy_inputs.trading_spec(settings), sigma_column=settings.forecast.sigma_column)
    p = settings.gates.ladder.dm_p_lt

    @declared(
        INFORMATION_VALUE,
        group="news",
        partitions=graph.grid.month,
        settings=(*LEARNING, *(key for key in TRADING if key not in NOT_ASKED), "gates.ladder.dm_p_lt"),
        ins={
            "training_set": _taught(graph),
            **{name: stored_in("news", month_window(months), name=name, missing="ok") for name in _LAYERS},
            "bars": stored_in("bars", by_day(), name="bars", missing="ok", columns=PRICES),
        },
    )
    def information_value(
        context: dg.AssetExecutionContext,
        training_set: pl.DataFrame,
        scored_news: LazyPartitions,
        raw_news: LazyPartitions,
        bars: pl.DataFrame,
        daily_files: dg.ResourceParam[DailyFiles],
    ) -> pl.DataFrame:
        """The tree of the months before, with the group news and without it, on the month: losses, money, verdict."""
        market = worth.Market(bars=bars, spec=trading, events=daily_files.calendar)
        told = pl.concat(_told(training_set, scored_news, raw_news))
        rows, made = arms.with_columns_of(training_set, told, NAMES), [INFORMATION_VALUE.empty()]
        for month in months_of(context.partition_keys):
            both = arms.answered(rows, spec, NAMES, month=month, window_months=months)
            made.append(worth.information_value(both, market, month=month, dm_p_lt=p))
            context.add_asset_metadata(_noted(made[-1]), partition_key=f"{month}-01")
        frame = pl.concat(made)
        previews.worth(context, frame)
        return frame

    return information_value


_LAYERS = ("scored_news", "raw_news")
"""What the group is projected from: its own table is made where it is switched on alone."""


def _taught(graph: GraphContext) -> dg.AssetIn:
    """Return the input of the training sets of a month and of those it learns from, less the group's own columns."""
    made = core_inputs.feature_spec(graph.settings, core_inputs.event_calendar(graph.settings)).features
    columns = (name for name in (*TRAINING_SET.columns, *(f.name for f in made)) if name not in ("tokens", *NAMES))
    window = month_window(graph.settings.models.window_months)
    return stored_in("models", window, name="training_set", missing="ok", columns=tuple(columns))


def _told(rows: pl.DataFrame, scored: LazyPartitions, raw: LazyPartitions) -> Iterator[pl.DataFrame]:
    """Yield NEWS_FEATURES at the snapshots of the rows, a few sessions at a time."""
    yield _of(rows, scored, raw, ())
    for days in in_chunks(folds.sessions(rows)):
        yield _of(rows, scored, raw, days)


def _of(rows: pl.DataFrame, scored: LazyPartitions, raw: LazyPartitions, days: Sequence[Any]) -> pl.DataFrame:
    own = rows.filter(pl.col("day").is_in(list(days))).select("day", "symbol", known_at="snapshot_ts")
    made = project.projected(scored.of(days), raw.of(days), days=days, symbols=own["symbol"].unique())
    return made.join(own, on=["day", "symbol", "known_at"], how="semi")


def _noted(frame: pl.DataFrame) -> dict[str, Any]:
    """Return what a person should know of a month without opening the table."""
    told = ("seated", "reason", "pinball_ratio", "dm_p", "pnl_difference", "n", "sessions")
    return frame.filter(forecaster=TREE).select(told).row(0, named=True)

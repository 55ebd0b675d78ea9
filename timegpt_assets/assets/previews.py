"""What people see beside a day's materialisation: coverage and the picture of fans against what happened.

Belongs here: which pictures and of what. None of them is worth a run: a note that fails is logged and left out.
"""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

import dagster as dg
import polars as pl

from timegpt_assets.partitions import days_of

if TYPE_CHECKING:
    from timegpt_assets.assets.declare import Span
    from timegpt_assets.core.backtest.rules import Rules
    from timegpt_assets.core.gates.luck import Choice
    from timegpt_assets.reports.pictures.style import Picture

PATH = ("day", "symbol", "ts", "clock_price", "clock_open", "is_filled")
"""Columns of the panel that a price path is drawn from."""
Notes: TypeAlias = dict[str, dict[str, dg.MetadataValue]]
"""Name -> partition key -> what is shown."""
Asked = ParamSpec("Asked")
_LOG = dg.get_dagster_logger(__name__)
DRAWN_SYMBOLS = DRAWN_TRADED = 4
DRAWN_DAYS = DRAWN_BARS = 10
"""A range run draws its newest days only: a picture takes longer than the day's scores."""


def unfailing(noting: Callable[Asked, Notes]) -> Callable[Asked, Notes]:
    """Return the function with nothing to note, and a warning in the run's log, where it fails."""

    @wraps(noting)
    def guarded(*args: Asked.args, **kwargs: Asked.kwargs) -> Notes:
        try:
            return noting(*args, **kwargs)
        except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - whatever it is, the rows are worth more
            _LOG.warning("%s is not shown; the rows are stored all the same", noting.__name__, exc_info=True)
            return {}

    return guarded


def price_path(panel: pl.DataFrame) -> pl.DataFrame:
    """Return the panel's clock prices as the bars pictures are drawn over: day, symbol, ts, is_filled, open, close."""
    opened = pl.when(pl.col("ts") == pl.col("ts").min().over("day", "symbol"))
    return panel.select(
        "day", "symbol", "ts", "is_filled", open=opened.then("clock_open").otherwise("clock_price"), close="clock_price"
    )


def coverages(scores: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return name -> day -> share of outcomes inside the 50 and 80 % bands, raw and calibrated, and the counts."""
    shares = scores.group_by("day").agg(
        pl.col("covered_50", "covered_80", "raw_covered_50", "raw_covered_80").cast(pl.Float64).mean(),
        calibrated_share=(pl.col("calibration") != "none").mean(),
    )
    return {
        name: {str(day): value for day, value in shares.select("day", name).iter_rows() if value is not None}
        for name in shares.columns[1:]
    }


@unfailing
def fans(context: dg.AssetExecutionContext, forecasts: pl.DataFrame, panel: pl.DataFrame) -> Notes:
    """Return the fan picture of each drawn day, as Markdown the UI shows."""
    from timegpt_assets.reports.pictures.fan import fan

    pictures: dict[str, dg.MetadataValue] = {}
    path = price_path(panel)
    for day in days_of(context.partition_keys)[-DRAWN_DAYS:]:
        own = forecasts.filter(pl.col("day") == day)
        if own.height:
            symbols = own["symbol"].unique().sort().to_list()[:DRAWN_SYMBOLS]
            drawn = partial(fan, own, path.filter(pl.col("day") == day), day=day, symbols=symbols)
            pictures[str(day)] = _shown(f"forecast fans of {day}", drawn)
    return {"fan": pictures}


@unfailing
def trades_of_days(
    context: dg.AssetExecutionContext, trades: pl.DataFrame, bars: pl.DataFrame, *, rules: "Rules", champion: str
) -> Notes:
    """Return the picture of the champion's trades on the newest partitions of the run that have any."""
    own = trades.filter(pl.col("quantity") != 0, forecaster=champion)
    newest = own.select("day", "symbol").unique().sort("day", "symbol", descending=[True, False]).head(DRAWN_TRADED)
    if newest.is_empty():
        return {}
    from timegpt_assets.reports.pictures.trades import trades as picture

    said = trades.filter(forecaster=champion)
    pictures: dict[str, dg.MetadataValue] = {}
    for day, symbol in newest.iter_rows():
        drawing = partial(picture, said, bars, rules=rules, day=day, symbol=symbol)
        pictures[f"{day}|{symbol}"] = _shown(f"trades of {symbol} on {day}", drawing)
    return {"trades": pictures}


@unfailing
def of_months(context: dg.AssetExecutionContext, frame: pl.DataFrame, table: str, *, champion: str) -> Notes:
    """Put the pictures of a month table beside the run's newest month that has rows, as Markdown, and return them.

    Of the champion's rows, but for the comparison: what is drawn is what is traded.
    """
    from timegpt_assets.reports.pictures import comparison, coverage, intervals, search, sweep
    from timegpt_assets.reports.pictures.style import Picture

    drawn: dict[str, dict[str, Callable[[pl.DataFrame], Picture]]] = {
        "forecast_diagnostics": {"coverage": coverage.coverage},
        "pit_reliability": {"reliability": coverage.reliability, "histogram": intervals.histogram},
        "interval_widths": {"widths": intervals.widths},
        "coverage_drift": {"drift": intervals.drift},
        "comparison": {"losses": partial(comparison.losses, champion=champion)},
        "trading_grid": {"plateau": sweep.plateau},
        "search_trials": {"history": search.history, "importance": search.importance},
    }
    if frame.is_empty():
        return {}
    month = max(frame["month"])
    frame = frame if table == "comparison" else frame.filter(forecaster=champion)
    key = next(key for key in context.partition_keys if key.startswith(month))
    pictures = {
        name: _shown(f"{name} of {month}", partial(picture, frame.filter(month=month)))
        for name, picture in drawn.get(table, {}).items()
    }
    context.add_asset_metadata(pictures, partition_key=key)
    return {name: {key: picture} for name, picture in pictures.items()}


@unfailing
def worth(context: dg.AssetExecutionContext, values: pl.DataFrame) -> Notes:
    """Put what the news was worth in the run's months beside its newest one, and return it."""
    from timegpt_assets.reports.pictures.news import worth as drawn

    newest = max(context.partition_keys)
    picture = _shown(f"what the news was worth, {newest[:7]}", partial(drawn, values))
    context.add_asset_metadata({"worth": picture}, partition_key=newest)
    return {"worth": {newest: picture}}


@unfailing
def held(context: dg.AssetExecutionContext, rows: pl.DataFrame) -> Notes:
    """Put what bands held in the run's newest month that has rows beside it, and return it.

    Of prices whose band had conformal parameters, where there are any: they compare all arms.
    """
    from timegpt_assets.reports.pictures.bands import coverage as drawn

    if rows.is_empty():
        return {}
    month = max(rows["month"])
    own = rows.filter(month=month)
    adjusted = own.filter(split="adjusted")
    picture = _shown(f"what bands held in {month}", partial(drawn, own if adjusted.is_empty() else adjusted))
    context.add_asset_metadata({"held": picture}, partition_key=f"{month}-01")
    return {"held": {f"{month}-01": picture}}


@unfailing
def choice(
    context: dg.AssetExecutionContext, spans: "Iterable[Span]", chosen: "Callable[[Span], Choice | None]"
) -> Notes:
    """Put the picture of the champion's worst choice beside the run's newest month, where there is one."""
    from timegpt_assets.reports.pictures.luck import overfitting

    span = max(spans, key=lambda one: one.month, default=None)
    if span is None or (found := chosen(span)) is None:
        return {}
    key = next(key for key in context.partition_keys if key.startswith(span.month))
    picture = _shown(f"overfitting, {span.month}", partial(overfitting, found))
    context.add_asset_metadata({"overfitting": picture}, partition_key=key)
    return {"overfitting": {key: picture}}


@unfailing
def verdict_map(context: dg.AssetExecutionContext, report: pl.DataFrame) -> Notes:
    """Return the heat map of every day and symbol of the run, beside the run's last day."""
    from timegpt_assets.reports.pictures.quality import quality

    days = days_of(context.partition_keys)
    words = f"verdicts of {days[0]} to {days[-1]}" if len(days) > 1 else f"verdicts of {days[0]}"
    return {"verdict_map": {str(days[-1]): _shown(words, partial(quality, report))}}


@unfailing
def day_charts(
    context: dg.AssetExecutionContext,
    quality: pl.DataFrame,
    grid: Callable[[pl.DataFrame], pl.DataFrame],
    drawn: int,
) -> Notes:
    """Return the chart of a partition made alone, or of the first days of a range that are warned or quarantined.

    ``grid`` gives the bars of verdicts as if all of them were usable: what is quarantined is drawn too. ``drawn`` of
    the range were drawn already.
    """
    alone = len(context.partition_keys) == 1
    # of a range only what is amiss: a picture takes longer than the day's verdict
    chosen = quality if alone else quality.filter(pl.col("verdict").is_in(["warned", "quarantined"]))
    chosen = chosen.filter(pl.col("rows_session") > 0).head(DRAWN_BARS - drawn)
    if chosen.is_empty():
        return {}
    from timegpt_assets.reports.pictures.day_bars import day_bars

    # gridded as if usable: a quarantined day has no bars, and it is the one that people want to see
    bars = grid(chosen.with_columns(verdict=pl.lit("ok")))
    charts: dict[str, dg.MetadataValue] = {}
    for row in chosen.iter_rows(named=True):
        about = {"day": row["day"], "symbol": row["symbol"]}
        words = f"{row['verdict']}{', ' if row['rules'] else ''}{row['rules'].replace(',', ', ')}"
        drawing = partial(day_bars, bars, **about, verdict=words, offending=row["offending"])
        charts[f"{row['day']}|{row['symbol']}"] = _shown(f"bars of {row['symbol']} on {row['day']}", drawing)
    return {"bars": charts}


def _shown(words: str, draw: "Callable[[], Picture]") -> dg.MetadataValue:
    """Return the picture as Markdown the UI shows, or what stopped it, in words."""
    from timegpt_assets.reports.pictures.render import note

    return dg.MetadataValue.md(note(words, draw))

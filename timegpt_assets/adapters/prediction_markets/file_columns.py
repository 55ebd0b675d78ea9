"""What strangers call the columns of markets and prices, and what their cells come to.

Belongs here: names, dtypes and zones of files of source ``files``. A column that nobody knows is passed over; one that
is needed and missing, a time without a zone and a market twice are refused.
"""

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from timegpt_assets.adapters.prediction_markets.source import MarketsUnusable
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tsfm.segments import UNKNOWN

Names = tuple[str, ...]
MARKET_NAMES: Mapping[str, Names] = {
    "market_id": ("market_id", "id"),
    "token_id": ("token_id", "yes_token_id"),
    "event_id": ("event_id", "event_slug"),
    "question": ("question", "title"),
    "category": ("category",),
    "start_ts": ("start_ts", "market_start_date", "start_date", "startDate"),
    "end_ts": ("end_ts", "market_end_date", "end_date", "endDate"),
    "closed_ts": ("closed_ts", "closed_time", "closedTime"),
    "ambiguity": ("ambiguity",),
    "told_at": ("as_of",),
}
"""Our name -> what a file may call it, the first that is there."""
TOLD_NAMES: Mapping[str, Names] = {
    "volume_24h": ("volume_24h", "volume24hr"),
    "open_interest": ("open_interest", "openInterest"),
}
"""What changes by the minute: read only where ``as_of`` says of when it is."""
PRICE_NAMES: Mapping[str, Names] = {
    "token_id": ("token_id", "asset_id"),
    "market_id": ("market_id",),
    "ts": ("ts", "timestamp", "t"),
    "p": ("p", "price"),
    "known_at": ("known_at",),
}
_TIMES = ("start_ts", "end_ts", "closed_ts", "told_at", "ts", "known_at")
_NUMBERS = ("volume_24h", "open_interest", "ambiguity", "p")


def markets(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return markets under our names, one row each, or one per ``told_at``. Raises MarketsUnusable."""
    names = _names(frame, MARKET_NAMES)
    if "told_at" in names:
        names |= _names(frame, TOLD_NAMES)
    _needed(names, MARKET_NAMES, ("market_id",), frame, where)
    found = _typed(_yes_only(frame), names, where).with_columns(
        category=pl.col("category").fill_null(UNKNOWN) if "category" in names else pl.lit(UNKNOWN),
        **{
            name: pl.coalesce(name, "market_id") if name in names else pl.col("market_id")
            for name in ("token_id", "event_id", "question")
        },
        **{
            name: pl.lit(None, TIME) for name in ("start_ts", "end_ts", "closed_ts") if name not in names
        },
    )  # fmt: skip
    key = [name for name in ("market_id", "told_at") if name in found.columns]
    if (twice := found.filter(pl.struct(key).is_duplicated())).height:
        raise MarketsUnusable(
            f"{where} has market {twice['market_id'][0]} twice. Leave one row of each market, that of its Yes, "
            "or say in a column as_of of when each row is."
        )
    return found


def prices(frame: pl.DataFrame, where: str, known_after: timedelta) -> pl.DataFrame:
    """Return [token_id or market_id, ts, p, known_at]. Raises MarketsUnusable."""
    names = _names(frame, PRICE_NAMES)
    _needed(names, PRICE_NAMES, ("ts", "p"), frame, where)
    if not {"token_id", "market_id"} & names.keys():
        raise MarketsUnusable(f"{where} has no column token_id and none market_id: whose prices are these? Add one.")
    found = _typed(frame, names, where)
    return found if "known_at" in names else found.with_columns(known_at=pl.col("ts") + known_after)


def _names(frame: pl.DataFrame, known: Mapping[str, Names]) -> dict[str, str]:
    """Return our name -> the file's, of those that it has."""
    said = {name: next((one for one in called if one in frame.columns), None) for name, called in known.items()}
    return {name: one for name, one in said.items() if one is not None}


def _needed(
    names: Mapping[str, str], known: Mapping[str, Names], needed: Names, frame: pl.DataFrame, where: str
) -> None:
    for name in needed:
        if name not in names:
            raise MarketsUnusable(
                f"{where} has no column {name} (nor {', '.join(known[name][1:])}); it has {', '.join(frame.columns)}. "
                "Rename the one that is meant."
            )


def _yes_only(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of Yes where a file has one per outcome: the first outcome's, whose price is the probability."""
    if "token_index" in frame.columns:
        return frame.filter(pl.col("token_index") == 0)
    if "outcome" in frame.columns:
        return frame.filter(pl.col("outcome").str.to_lowercase() == "yes")
    return frame


def _typed(frame: pl.DataFrame, names: Mapping[str, str], where: str) -> pl.DataFrame:
    columns = []
    for name, called in names.items():
        if name in _TIMES:
            columns.append(_time(frame, called, where).alias(name))
        else:
            columns.append(pl.col(called).cast(pl.Float64 if name in _NUMBERS else pl.String).alias(name))
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as error:
        raise MarketsUnusable(f"{where}: {str(error).splitlines()[0]}. Mend the column.") from None


def _time(frame: pl.DataFrame, called: str, where: str) -> pl.Expr:
    dtype, told = frame.schema[called], pl.col(called)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return told.dt.convert_time_zone("UTC").cast(TIME)
    if dtype == pl.String and frame[called].drop_nulls().str.contains(r"(Z|[+-]\d\d:?\d\d)$").all():
        return told.str.to_datetime(time_unit="us", time_zone="UTC").cast(TIME)
    if dtype.is_integer() and called == "t":
        return (told.cast(pl.Int64) * 1_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    raise MarketsUnusable(
        f"{where}: column {called} is {dtype} and tells no zone, so nobody knows when that was. Write it in UTC, as "
        "2026-02-10T14:00:21Z or as a Datetime of zone UTC; seconds since 1970 go by the name t."
    )

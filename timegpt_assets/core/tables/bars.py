"""Tables of the bars: as delivered, on the session grid, and what their quality is."""

import polars as pl

from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import BAR_TIME, DAY, SYMBOL, price

# Before the first print prices are null, and what is not there is in no wrong order.
_OHLC_ORDER = {
    "low_is_lowest": (pl.col("low") <= pl.min_horizontal("open", "close", "high")).fill_null(True),
    "high_is_highest": (pl.col("high") >= pl.max_horizontal("open", "close", "low")).fill_null(True),
}
_OHLC = {name: price(name) for name in ("open", "high", "low", "close")}

RAW_BARS = Table(
    name="raw_bars",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | {"row": Column(pl.Int64, "position in the source, 0-based: tells duplicates apart")}
    | _OHLC
    | {"volume": Column(pl.Float64, "shares traded", nullable=True)},
    key=("day", "symbol", "ts", "row"),
    open=True,
)
"""As delivered, in our names and UTC, duplicates and prints outside the session included."""

BARS = Table(
    name="bars",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | _OHLC
    | {
        "volume": Column(pl.Float64, "shares traded; 0 on filled rows"),
        "is_filled": Column(pl.Boolean, "no print in this minute: the last close stands in"),
    },
    key=("day", "symbol", "ts"),
    rules=_OHLC_ORDER | {"volume_not_negative": pl.col("volume") >= 0},
)

QUALITY = Table(
    name="quality_report",
    columns=DAY
    | SYMBOL
    | {
        "verdict": Column(pl.String, "ok, warned, quarantined, no_data, late"),
        "rules": Column(pl.String, "rules broken that are not ignored, by name, joined by commas"),
        "reason": Column(pl.String, "rules broken, in words; empty when ok"),
        "offending": Column(pl.String, "rows to blame as JSON, the first of each rule: rule, row, ts (UTC)"),
        "detail": Column(pl.String, "what is wrong with the source's file, naming it; empty when nothing is"),
        "content": Column(
            pl.String, "digest of what the source delivered; null where nothing was stored", nullable=True
        ),
        "rows_raw": Column(pl.Int64, "rows delivered"),
        "rows_session": Column(pl.Int64, "minutes of the session with a usable row"),
        "rows_expected": Column(pl.Int64, "minutes of the session"),
        "completeness": Column(pl.Float64, "rows_session / rows_expected"),
        "filled": Column(pl.Int64, "minutes without a print"),
        "longest_fill": Column(pl.Int64, "longest run of minutes without a print"),
        "halted": Column(pl.Int64, "1: events.halts names the day, and minutes without a print are no fault"),
        "crosses": Column(pl.Int64, "prints of the opening or closing cross"),
        "auction": Column(pl.Int64, "prints of a cross beside a row of its minute"),
        "duplicates": Column(pl.Int64, "identical rows dropped"),
        "conflicts": Column(pl.Int64, "rows of one minute that differ"),
        "outside": Column(pl.Int64, "rows outside the session, dropped"),
        "off_minute": Column(pl.Int64, "rows that do not begin on a minute"),
        "unsorted": Column(pl.Int64, "rows that are delivered after a later one"),
        "broken_ohlc": Column(pl.Int64, "rows whose OHLC or volume is impossible"),
        "outliers": Column(pl.Int64, "rows flagged by the robust outlier rule"),
        "wicks": Column(pl.Int64, "minutes with a lone high or low; dq_policy.wicks says whether it is held back"),
        "jumps": Column(pl.Int64, "one-minute moves that are no price move"),
        "zero_volume": Column(pl.Int64, "printed minutes without volume"),
        "absurd_volume": Column(pl.Int64, "minutes of more shares than can be"),
        "absurd_price": Column(pl.Int64, "minutes of dearer prices than can be"),
        "shifted_min": Column(pl.Int64, "minutes from its place at which the volume draws a session; 0: at its place"),
        "previous_close": Column(pl.Float64, "last close of the session before, USD, as delivered", nullable=True),
        "split": Column(pl.Float64, "ratio of the split that events.splits names for the day", nullable=True),
        "gap": Column(pl.Float64, "log of the opening over the previous close divided by split", nullable=True),
        "split_like": Column(pl.Int64, "1: the gap is near the ratio of a split that nobody named"),
        "overnight": Column(pl.Int64, "1: the gap is too far, and near no such ratio"),
        "unreadable": Column(pl.Int64, "1: the file cannot be read"),
        "oversized": Column(pl.Int64, "1: the file is larger than a month of one ticker can be"),
        "columns": Column(pl.Int64, "1: the file has other columns than it must"),
        "foreign": Column(pl.Int64, "rows of the day that are of another ticker, left out"),
        "timeless": Column(pl.Int64, "rows of the whole file without a time, left out"),
        "other_month": Column(pl.Int64, "rows of the whole file that are of other months, left out"),
        "holiday": Column(pl.Int64, "rows on days without a session just before this one, left out"),
    },
    key=("day", "symbol"),
)

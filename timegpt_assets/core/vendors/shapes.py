"""The files vendors really give, as data: which columns, which clock, which end of the minute, which price unit.

Belongs here: the table of shapes and how one is told from another. A shape claims; whether the bars bear it out is
asked by zone.py, stamp_side.py and price_scale.py. ``source`` names the vendor's
public description.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from timegpt_assets.core.vendors.findings import DateOrder, Finding, Refused, Side

NEW_YORK = "America/New_York"
_OHLCV = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How one vendor writes minute bars.

    ``headers``: sets of column names, as headers.py spells them, of which one must be there whole. ``positions``: roles
    by position of a file without header. ``columns``: role -> name where the usual aliases do not find it; two names
    joined by + are added. ``first``: what the first cell of a headerless row looks like. ``file``: what the name looks
    like; its group ``ticker`` is the ticker, ``day`` the date. ``is_named``: the name must look so, or it is not it.
    ``zone`` and ``stamp`` are claims about naive stamps; None where the vendor leaves them to the user's settings.
    ``price_digits``: prices are whole numbers of 10**-digits USD when none has a fraction. ``source``: where the vendor
    describes it.
    """

    name: str
    headers: tuple[frozenset[str], ...] = ()
    positions: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    first: str = ""
    file: str = ""
    is_named: bool = False
    zone: str | None = None
    stamp: Side | None = None
    date_order: DateOrder | None = None
    price_digits: int = 0
    source: str = ""


def _has(*names: str) -> frozenset[str]:
    return frozenset(names)


SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(
            name="alpaca",
            source="Alpaca market data API, historical bars",
            headers=(_has("timestamp", "trade_count", "vwap"),),
            zone="UTC",
            stamp="start",
        ),
        Shape(
            name="polygon",
            source="Polygon flat files (minute aggregates) and aggregates API",
            headers=(_has("window_start", "transactions"), _has("t", "o", "h", "l", "c", "v")),
            zone="UTC",
            stamp="start",
        ),
        Shape(
            name="databento",
            source="Databento docs, schema ohlcv",
            headers=(_has("ts_event", "rtype", "publisher_id"), _has("ts_event", "instrument_id")),
            zone="UTC",
            stamp="start",
            price_digits=9,
        ),
        Shape(
            name="ibkr",
            source="TWS API, historical bars (as its Python clients save them)",
            headers=(_has("date", "average", "barcount"),),
            zone=NEW_YORK,
            stamp="start",
        ),
        Shape(
            name="tradingview",
            source="TradingView help, export chart data",
            headers=(_has("time", *_OHLCV),),
            file=r"^[A-Z]+_(?P<ticker>[A-Z0-9.\-]+), *1[^0-9].*$|^[A-Z]+_(?P<ticker2>[A-Z0-9.\-]+), *1$",
            is_named=True,
            stamp="start",
        ),
        Shape(
            name="alphavantage",
            source="Alpha Vantage docs, TIME_SERIES_INTRADAY",
            headers=(_has("timestamp", *_OHLCV),),
            file=r"^intraday_1min_(?P<ticker>[A-Za-z0-9.\-]+)$",
            is_named=True,
            zone=NEW_YORK,
        ),
        Shape(
            name="eodhd",
            source="EODHD docs, intraday historical data",
            headers=(_has("timestamp", "gmtoffset", "datetime"),),
            file=r"^(?P<ticker>[A-Za-z0-9.\-]+)\.US$",
            zone="UTC",
            stamp="start",
        ),
        Shape(
            name="yfinance",
            source="yfinance, Ticker.history and download",
            headers=(_has("datetime", "dividends", "stock_splits"), _has("datetime", "adj_close", *_OHLCV)),
            zone=NEW_YORK,
            stamp="start",
        ),
        Shape(
            name="stooq",
            source="Stooq, intraday text files",
            headers=(_has("ticker", "per", "date", "time", "vol"),),
            file=r"^(?P<ticker>[A-Za-z0-9\-]+)\.us$",
        ),
        Shape(
            name="metatrader",
            source="MetaTrader 5 help, export of bars",
            headers=(_has("date", "time", "tickvol", "vol", "spread"),),
            columns={"volume": "vol"},
            file=r"^(?P<ticker>[A-Za-z0-9.\-]+)_M1(?:_.*)?$",
            stamp="start",
        ),
        Shape(
            name="sierra",
            source="Sierra Chart docs, exporting intraday data",
            headers=(_has("date", "time", "last", "volume", "numberoftrades"), _has("date", "last", "bidvolume")),
            stamp="start",
        ),
        Shape(
            name="tradestation",
            source="TradeStation help, ASCII data guidelines",
            headers=(_has("date", "time", "open", "high", "low", "close", "up", "down"),),
            columns={"volume": "up+down"},
            zone=NEW_YORK,
            stamp="end",
        ),
        Shape(
            name="thetadata",
            source="ThetaData docs, historical OHLC",
            headers=(_has("ms_of_day", "date", *_OHLCV),),
            zone=NEW_YORK,
            stamp="start",
        ),
        Shape(
            name="barchart",
            source="Barchart, historical data download",
            headers=(_has("time", "latest", "change", "volume"), _has("time", "last", "change", "%chg", "volume")),
            file=r"^(?P<ticker>[A-Za-z0-9.\-]+)_intraday-1min_historical-data-.*$",
        ),
        Shape(
            name="lean",
            source="QuantConnect docs, LEAN data format, US equity",
            positions=("clock", *_OHLCV),
            first=r"^\d{1,8}$",
            file=r"^(?P<day>\d{8})_(?P<ticker>[A-Za-z0-9.]+)_minute_trade$",
            is_named=True,
            zone=NEW_YORK,
            stamp="start",
            price_digits=4,
        ),
        Shape(
            name="quantquote",
            source="QuantQuote, minute data readme",
            positions=("date", "clock", *_OHLCV, "-", "-", "-"),
            first=r"^\d{8}$",
            file=r"^table_(?P<ticker>[A-Za-z0-9.\-]+)$",
            is_named=True,
            zone=NEW_YORK,
            stamp="start",
        ),
        Shape(
            name="kibot",
            source="Kibot, data format",
            positions=("date", "clock", *_OHLCV),
            first=r"^\d{2}/\d{2}/\d{4}$",
            file=r"^(?P<ticker>[A-Za-z0-9.\-]+?)(?:_unadjusted|_adjusted)?$",
            zone=NEW_YORK,
            stamp="start",
            date_order="mdy",
        ),
        Shape(
            name="firstrate",
            source="FirstRate Data, readme of a bundle",
            positions=("ts", *_OHLCV),
            first=r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$",
            file=r"^(?P<ticker>[A-Z0-9.\-]+)_(?:full_)?1min(?:_.*)?$",
            is_named=True,
            zone=NEW_YORK,
            stamp="start",
        ),
        Shape(
            name="ninjatrader",
            source="NinjaTrader 8 help, importing historical data",
            positions=("ts", *_OHLCV),
            first=r"^\d{8} \d{6}$",
            file=r"^(?P<ticker>[A-Za-z0-9.\-]+?)(?:\.Last)?$",
            stamp="end",
        ),
    )
}
"""Name -> shape. Those told by a header first, in the order in which they are tried."""


def recognised(header: Sequence[str] | None, first: Sequence[str], stem: str) -> Shape | None:
    """Return the shape that header, first row and file name leave no doubt about; None when they leave some.

    ``header`` as headers.py spells it. ``first`` are the first row's cells. ``stem`` is the name without its endings.
    """
    fitting = [shape for shape in SHAPES.values() if fits(shape, header, first, stem)]
    return fitting[0] if fitting else None


def fits(shape: Shape, header: Sequence[str] | None, first: Sequence[str], stem: str) -> bool:
    """Return whether a file can be of this shape."""
    if shape.is_named and not re.match(shape.file, stem):
        return False
    if header is not None:
        return any(names <= set(header) for names in shape.headers)
    return (
        bool(shape.positions) and len(first) == len(shape.positions) and bool(re.match(shape.first, first[0].strip()))
    )


def chosen(said: str | None, header: Sequence[str] | None, first: Sequence[str], stem: str) -> tuple[Shape, Finding]:
    """Return the shape that was said or is recognised, and the finding; a shape without claims when neither.

    Raises Refused for a format that is unknown, or is not the file's.
    """
    if said is None:
        found = recognised(header, first, stem)
        if found is None:
            return Shape(name="any"), Finding("format", "none in particular", "columns and stamps are found by content")
        how = f"its header is {found.name}'s" if header is not None else f"its rows and name are {found.name}'s"
        return found, Finding("format", found.name, how)
    if said not in SHAPES:
        raise Refused(f"--format {said} is unknown. Write one of {', '.join(sorted(SHAPES))}, or leave it out.")
    shape = SHAPES[said]
    if not fits(replace(shape, is_named=False), header, first, stem):
        raise Refused(f"is not of --format {said}: {_difference(shape, header, first)}. Leave --format out.")
    return shape, Finding("format", said, "as --format says")


def _difference(shape: Shape, header: Sequence[str] | None, first: Sequence[str]) -> str:
    if header is None:
        return f"its first row is {','.join(first)[:80]!r}, without a header"
    missing = min((names - set(header) for names in shape.headers), key=len, default=frozenset())
    return f"no column {', '.join(sorted(missing))}" if missing else "it has a header line"


def named(shape: Shape, stem: str) -> dict[str, str]:
    """Return what the file's name says by the shape's pattern: ticker, day; empty when it says nothing."""
    found = re.match(shape.file, stem) if shape.file else None
    # ticker2 is the same in another branch of the pattern, where a group's name may stand only once.
    return {key.rstrip("2"): text for key, text in (found.groupdict() if found else {}).items() if text}

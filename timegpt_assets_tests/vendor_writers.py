"""Writers of every vendor's shape: bars in, the files that vendor would have given out.

Belongs here: the other side of core/vendors/shapes.py, written from the vendors' public descriptions. Each takes bars
[symbol, ts (start, UTC), open, high, low, close, volume] and a folder.
"""

import gzip
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import zstandard

PRICES = ("open", "high", "low", "close")
OHLCV = (*PRICES, "volume")
NEW_YORK = "America/New_York"
Writer = Callable[[pl.DataFrame, Path], None]


def local(form: str, *, zone: str = NEW_YORK, end: bool = False) -> pl.Expr:
    """Return the stamps as text in a zone; ``end``: the end of the minute."""
    ts = pl.col("ts").dt.offset_by("1m") if end else pl.col("ts")
    return ts.dt.convert_time_zone(zone).dt.strftime(form)


def shares(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with volume as whole numbers."""
    return frame.with_columns(pl.col("volume").cast(pl.Int64))


def written(frame: pl.DataFrame, path: Path, **options: object) -> None:
    """Write the frame as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path, **options)  # type: ignore[arg-type]


def by_symbol(frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Return each symbol with its rows."""
    return [(str(symbol), part) for (symbol,), part in frame.group_by("symbol", maintain_order=True)]


def alpaca(bars: pl.DataFrame, folder: Path) -> None:
    """Write one file of all symbols, ISO in UTC."""
    stamp = local("%Y-%m-%dT%H:%M:%SZ", zone="UTC").alias("timestamp")
    rows = shares(bars).select("symbol", stamp, *OHLCV, trade_count=7, vwap=pl.col("close"))
    written(rows, folder / "bars.csv")


def polygon(bars: pl.DataFrame, folder: Path) -> None:
    """Write one packed file a day of all symbols, ns epochs."""
    rows = shares(bars).select(
        pl.col("symbol").str.replace(".", "/", literal=True).alias("ticker"), "volume", "open", "close", "high", "low",
        pl.col("ts").dt.epoch("ns").alias("window_start"), transactions=pl.lit(3),
    )  # fmt: skip
    for (day,), part in rows.group_by(pl.from_epoch("window_start", "ns").dt.date(), maintain_order=True):
        path = folder / f"{day:%Y/%m}" / f"{day}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(part.write_csv().encode()))


def databento(bars: pl.DataFrame, folder: Path) -> None:
    """Write one zst file of all symbols, ns epochs and fixed-point prices."""
    fixed = [(pl.col(name) * 1e9).round(0).cast(pl.Int64) for name in PRICES]
    head = [pl.col("ts").dt.epoch("ns").alias("ts_event"), pl.lit(33).alias("rtype"), pl.lit(2).alias("publisher_id")]
    rows = shares(bars).select(*head, pl.lit(32).alias("instrument_id"), *fixed, "volume", "symbol")
    folder.mkdir(parents=True, exist_ok=True)
    packed = zstandard.ZstdCompressor().compress(rows.write_csv().encode())
    (folder / "xnas-itch.ohlcv-1m.csv.zst").write_bytes(packed)


def ibkr(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, stamps with the exchange's zone by name."""
    for symbol, part in by_symbol(shares(bars)):
        stamp = local("%Y%m%d %H:%M:%S US/Eastern").alias("date")
        written(part.select(stamp, *OHLCV, average=pl.col("close"), barCount=9), folder / f"{symbol}.csv")


def tradingview(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol called EXCHANGE_TICKER, 1.csv, epochs in s."""
    for symbol, part in by_symbol(shares(bars)):
        stamp = pl.col("ts").dt.epoch("s").alias("time")
        written(part.select(stamp, *PRICES, Volume="volume"), folder / f"NASDAQ_{symbol}, 1.csv")


def alphavantage(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, newest first, naive New York."""
    for symbol, part in by_symbol(shares(bars)):
        rows = part.select(local("%Y-%m-%d %H:%M:%S").alias("timestamp"), *OHLCV).reverse()
        written(rows, folder / f"intraday_1min_{symbol}.csv")


def eodhd(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, epoch and naive UTC beside each other."""
    for symbol, part in by_symbol(shares(bars)):
        stamps = {
            "Timestamp": pl.col("ts").dt.epoch("s"),
            "Gmtoffset": pl.lit(0),
            "Datetime": local("%Y-%m-%d %H:%M:%S", zone="UTC"),
        }
        names = {name.capitalize(): pl.col(name) for name in OHLCV}
        written(part.select(**stamps, **names), folder / f"{symbol.replace('.', '-')}.US.csv")


def yfinance(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, stamps with New York's offset."""
    for symbol, part in by_symbol(shares(bars)):
        names = {name.capitalize(): pl.col(name) for name in OHLCV}
        rows = part.select(local("%Y-%m-%d %H:%M:%S%:z").alias("Datetime"), **names, Dividends=0.0)
        written(rows.with_columns(pl.lit(0.0).alias("Stock Splits")), folder / f"{symbol.replace('.', '-')}.csv")


def stooq(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, names in brackets, dates and times in digits, in Warsaw's zone."""
    for symbol, part in by_symbol(shares(bars)):
        ticker = f"{symbol.replace('.', '-')}.US"
        rows = part.select(
            pl.lit(ticker).alias("<TICKER>"), pl.lit(1).alias("<PER>"),
            local("%Y%m%d", zone="Europe/Warsaw").alias("<DATE>"),
            local("%H%M%S", zone="Europe/Warsaw").alias("<TIME>"),
            *(pl.col(n).alias(f"<{n.upper()}>") for n in PRICES), pl.col("volume").alias("<VOL>"),
            pl.lit(0).alias("<OPENINT>"),
        )  # fmt: skip
        written(rows, folder / f"{ticker.lower()}.txt")


def metatrader(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, tabs, the server's zone (eastern Europe's)."""
    for symbol, part in by_symbol(shares(bars)):
        rows = part.select(
            local("%Y.%m.%d", zone="Europe/Helsinki").alias("<DATE>"),
            local("%H:%M:%S", zone="Europe/Helsinki").alias("<TIME>"),
            *(pl.col(n).alias(f"<{n.upper()}>") for n in PRICES), pl.lit(77).alias("<TICKVOL>"),
            pl.col("volume").alias("<VOL>"), pl.lit(1).alias("<SPREAD>"),
        )  # fmt: skip
        written(rows, folder / f"{symbol}_M1_202501020930_202502041559.csv", separator="\t")


def sierra(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, unpadded dates, a blank behind each comma, fractions of a second."""
    for symbol, part in by_symbol(shares(bars)):
        rows = part.select(
            local("%Y/%-m/%-d", zone="UTC").alias("Date"), local("%H:%M:%S.0", zone="UTC").alias("Time"),
            pl.col("open").alias("Open"), pl.col("high").alias("High"), pl.col("low").alias("Low"),
            pl.col("close").alias("Last"), pl.col("volume").alias("Volume"), pl.lit(4).alias("NumberOfTrades"),
            pl.lit(1).alias("BidVolume"), pl.lit(2).alias("AskVolume"),
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{symbol}.itxt").write_text(rows.write_csv().replace(",", ", "))


def tradestation(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, quoted names, American dates, ends of minutes, volume in two halves."""
    for symbol, part in by_symbol(shares(bars)):
        names = {name.capitalize(): pl.col(name) for name in PRICES}
        half = pl.col("volume") // 3
        rows = part.select(
            local("%m/%d/%Y", end=True).alias("Date"), local("%H:%M", end=True).alias("Time"), **names,
            Up=half, Down=pl.col("volume") - half,
        )  # fmt: skip
        path = folder / f"{symbol}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        header = ",".join(f'"{name}"' for name in rows.columns)
        path.write_text(f"{header}\r\n" + rows.write_csv(include_header=False).replace("\n", "\r\n"))


def thetadata(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, milliseconds of the day and a date in digits; a minute without a trade is zeros."""
    for symbol, part in by_symbol(shares(bars)):
        at = pl.col("ts").dt.convert_time_zone(NEW_YORK)
        since = (at.dt.hour().cast(pl.Int64) * 60 + at.dt.minute()) * 60_000
        rows = part.select(
            since.alias("ms_of_day"), *OHLCV, pl.lit(5).alias("count"), local("%Y%m%d").cast(pl.Int64).alias("date")
        )
        silent = rows.head(1).with_columns(pl.lit(0).cast(rows.schema[name]).alias(name) for name in OHLCV)
        silent = silent.with_columns(pl.lit(57_600_000).cast(pl.Int64).alias("ms_of_day"))
        written(pl.concat([rows, silent]), folder / f"{symbol}.csv")


def barchart(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, newest first, Chicago's zone, a footer."""
    for symbol, part in by_symbol(shares(bars)):
        rows = part.select(
            local("%Y-%m-%d %H:%M", zone="America/Chicago").alias("Time"), pl.col("open").alias("Open"),
            pl.col("high").alias("High"), pl.col("low").alias("Low"), pl.col("close").alias("Latest"),
            pl.lit(0.1).alias("Change"), pl.lit("0.1%").alias("%Change"), pl.col("volume").alias("Volume"),
        ).reverse()  # fmt: skip
        path = folder / f"{symbol.lower()}_intraday-1min_historical-data-02-05-2025.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows.write_csv() + '"Downloaded from Barchart.com as of 02-05-2025 03:30pm CST"\n')


def lean(bars: pl.DataFrame, folder: Path) -> None:
    """Write a zip per symbol and day, no header, milliseconds since midnight, prices in 1e-4 USD."""
    at = pl.col("ts").dt.convert_time_zone(NEW_YORK)
    since = (at.dt.hour().cast(pl.Int64) * 60 + at.dt.minute()) * 60_000
    fixed = [(pl.col(name) * 1e4).round(0).cast(pl.Int64) for name in PRICES]
    for symbol, part in by_symbol(shares(bars)):
        for (day,), rows in part.group_by(at.dt.date().alias("day"), maintain_order=True):
            inner = f"{day:%Y%m%d}_{symbol.lower()}_minute_trade.csv"
            path = folder / symbol.lower() / f"{day:%Y%m%d}_trade.zip"
            path.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(
                    inner, rows.select(since.alias("ms"), *fixed, "volume").write_csv(include_header=False)
                )


def quantquote(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, no header, times in digits without a leading zero."""
    for symbol, part in by_symbol(shares(bars)):
        clock = local("%H%M").cast(pl.Int64).alias("time")
        rows = part.select(local("%Y%m%d").alias("date"), clock, *OHLCV, a=1.0, b=0.0, c=0.0)
        written(rows, folder / f"table_{symbol.lower()}.csv", include_header=False)


def kibot(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, no header, American dates."""
    for symbol, part in by_symbol(shares(bars)):
        rows = part.select(local("%m/%d/%Y").alias("d"), local("%H:%M").alias("t"), *OHLCV)
        written(rows, folder / f"{symbol}_unadjusted.txt", include_header=False)


def firstrate(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, no header, naive New York."""
    for symbol, part in by_symbol(shares(bars)):
        rows = part.select(local("%Y-%m-%d %H:%M:%S").alias("t"), *OHLCV)
        written(rows, folder / f"{symbol}_full_1min_UNADJ.txt", include_header=False)


def ninjatrader(bars: pl.DataFrame, folder: Path) -> None:
    """Write a file per symbol, no header, semicolons, ends of minutes in UTC."""
    for symbol, part in by_symbol(shares(bars)):
        rows = part.select(local("%Y%m%d %H%M%S", zone="UTC", end=True).alias("t"), *OHLCV)
        written(rows, folder / f"{symbol}.Last.txt", include_header=False, separator=";")


WRITERS: Mapping[str, Writer] = {
    writer.__name__: writer
    for writer in (alpaca, polygon, databento, ibkr, tradingview, alphavantage, eodhd, yfinance, stooq, metatrader,
                   sierra, tradestation, thetadata, barchart, lean, quantquote, kibot, firstrate, ninjatrader)
}  # fmt: skip

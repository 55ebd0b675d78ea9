"""Whose bars they are: by a column, by what the user said, by the file's name where it leaves no doubt.

Belongs here: tickers. A name that could be two tickers, or none, is asked about and never cut to fit.
"""

import re
from collections.abc import Sequence

import polars as pl

from timegpt_assets.core.vendors.findings import Finding, Refused, Said

TICKER = r"[A-Z0-9][A-Z0-9.]{0,14}"
"""What a ticker may be, as we write it. Longer names are none."""
SHOW_OPTION = "Import it alone with --symbol TICKER."
_WORDS = frozenset(
    ("A1", "ADJ", "ADJSPLIT", "ADJSPLITDIV", "ADJUSTED", "AGG", "AGGS", "ALL", "ALPACA", "AMEX", "AND", "ARCA",
     "ARCX", "ASK", "BACKUP", "BAR", "BARS", "BATS", "BID", "BY", "CANDLES", "CBOE", "CHART", "CHUNK", "CLEAN",
     "CONSOLIDATED", "COPY", "CSV", "DATA", "DATABENTO", "DATASET", "DOWNLOAD", "EOD", "EODHD", "EQUITIES",
     "EQUITY", "ETH", "EXPORT", "EXTENDED", "EXTRACT", "FEED", "FILE", "FILES", "FINAL", "FIRSTRATE", "FOR",
     "FROM", "FULL", "HIST", "HISTORICAL", "HISTORY", "HOURS", "IBKR", "IEX", "IEXG", "INPUT", "INTRADAY",
     "ITCH", "KIBOT", "LAST", "LIST", "M1", "MARKET", "MERGED", "MIN", "MINS", "MINUTE", "MINUTELY", "MINUTES",
     "NASDAQ", "NEW", "NYSE", "OF", "OHLC", "OHLCV", "OLD", "OTC", "OUT", "OUTPUT", "PART", "POLYGON", "POST",
     "PRE", "PRICE", "PRICES", "QUOTES", "RAW", "RESULT", "RESULTS", "RTH", "SAMPLE", "SEC", "SERIES", "SET",
     "SHEET", "SHEET1", "SIP", "STOCK", "STOCKS", "TABLE", "TEMP", "TEST", "THE", "TICK", "TIMESERIES", "TMP",
     "TO", "TODAY", "TRADE", "TRADES", "TS", "UNADJ", "UNADJUSTED", "UNTITLED", "US", "USA", "UTC", "WITH",
     "XNAS", "XNYS", "YAHOO",)
)  # fmt: skip
"""Words of file names. Some are tickers too, which is why a name of such words alone is asked about."""
_NUMBER = re.compile(r"^\d.*$|^[1-9]?\d?(?:MIN|M|MINUTE)$|^M1$|^Q[1-4]$|^V\d+$", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z]{1,6}")
_CLASSED = re.compile(r"[A-Z]{1,5}[.\-][A-C]", re.IGNORECASE)
"""A share class behind a dot or a dash: BRK.B. Other letters there are more often a word: AAPL-D is days."""
_VENUE = re.compile(r"^(?:NASDAQ|NYSE|BATS|AMEX|ARCA|CBOE|XNAS|XNYS|IEX|NYSEARCA)[:]")


def of_column(column: pl.Series, said: Said) -> tuple[pl.Series, list[Finding]]:
    """Return the tickers as we write them, null where a cell holds none; venues and country codes are left out."""
    text = column.cast(pl.String).str.strip_chars().str.to_uppercase()
    mapped = _mapped(said)
    distinct = text.drop_nulls().unique().sort().to_list()
    ours = {theirs: mapped.get(theirs) or _plain(theirs) for theirs in distinct}
    known = {theirs: name for theirs, name in ours.items() if re.fullmatch(TICKER, name)}
    changed = [f"{theirs} is {name}" for theirs, name in known.items() if theirs != name]
    found = Finding("tickers", ", ".join(changed[:3]), f"{len(changed):,} of {len(distinct):,} are spelled our way")
    tickers = text.replace_strict(known, default=None, return_dtype=pl.String)
    return tickers.alias("symbol"), [found] if changed else []


def _mapped(said: Said) -> dict[str, str]:
    return {theirs.strip().upper(): ours for theirs, ours in said.symbols.items()}


def _plain(theirs: str) -> str:
    """Return a vendor's ticker as we write it: without its venue and country, share classes behind a dot."""
    bare = re.sub(r"(?:\.US| US EQUITY| US)$", "", _VENUE.sub("", theirs))
    return re.sub(r"[/\- ]", ".", bare)


def of_name(path: Sequence[str], by_shape: str | None, said: Said) -> tuple[str, Finding]:
    """Return the one ticker of a file without a column of them. Raises Refused unless the name leaves no doubt.

    ``path`` is the file's name behind its folders. ``by_shape`` is what the vendor's pattern finds in the name.
    """
    if said.symbol:
        return _ours(said.symbol, said), Finding("ticker", _ours(said.symbol, said), "as --symbol says")
    stem = stem_of(path[-1])
    if ours := _mapped(said).get(stem.upper()):
        return ours, Finding("ticker", ours, f"--symbol-map has {stem}")
    if hive := _hive(path):
        return _ours(hive, said), Finding("ticker", _ours(hive, said), "its folder is called so")
    # The vendor's place may hold a word like data: it counts as a ticker only where the universe knows it.
    if by_shape and (by_shape.upper() not in _WORDS or by_shape.upper() in said.known):
        return _ours(by_shape, said), Finding("ticker", _ours(by_shape, said), f"the vendor's place in {path[-1]!r}")
    return _told_by(stem, path, said)


def _told_by(stem: str, path: Sequence[str], said: Said) -> tuple[str, Finding]:
    whole = stem.upper().removesuffix(".US")
    if _CLASSED.fullmatch(whole):
        return _ours(whole, said), Finding("ticker", _ours(whole, said), "the file is called so, share class and all")
    parts = [part for token in re.split(r"[_,\s()\[\]+]+", stem) for part in _parts(token)]
    left = [part for part in parts if not _NUMBER.match(part) and part.upper() not in _WORDS]
    left = list(dict.fromkeys(left))
    # In small letters a ticker and a word look alike: only the universe tells them apart.
    sure = [part for part in left if _is_ticker(part) and (part.isupper() or part.upper() in said.known)]
    if len(left) == 1 and sure:
        return _ours(sure[0], said), Finding("ticker", _ours(sure[0], said), f"the one name in {path[-1]!r}")
    if not left and len(path) > 1 and path[-2].upper() in said.known:
        return _ours(path[-2], said), Finding("ticker", _ours(path[-2], said), f"its folder is called {path[-2]!r}")
    could = f"could be of {' or '.join(left[:4])}" if left else "names none"
    raise Refused(f"has no column of tickers, and its name {could}. {SHOW_OPTION}")


def _parts(token: str) -> list[str]:
    """Return the parts of a token at dashes and dots, a share class with its ticker."""
    if _CLASSED.fullmatch(token):
        return [token]
    dashed = [part for part in token.split("-") if part]
    return [p for part in dashed for p in ([part] if _CLASSED.fullmatch(part) else part.split(".")) if p]


def _is_ticker(part: str) -> bool:
    return bool(_TOKEN.fullmatch(part) or _CLASSED.fullmatch(part))


def _ours(ticker: str, said: Said) -> str:
    plain = ticker.strip().upper()
    ours = _mapped(said).get(plain) or _plain(plain)
    if not re.fullmatch(TICKER, ours):
        raise Refused(f"{ours[:40]!r} is no ticker: at most 15 letters, digits and dots. {SHOW_OPTION}")
    return ours


def _hive(path: Sequence[str]) -> str | None:
    """Return the ticker of a folder called symbol=AAPL or ticker=AAPL."""
    found = [part.partition("=") for part in path[:-1]]
    named = [value for key, _, value in found if key.lower() in ("symbol", "ticker", "sym") and value]
    return named[-1] if named else None


def stem_of(name: str) -> str:
    """Return a file's name without the endings that say how it is written."""
    return re.sub(r"(?:\.(?:csv|txt|tsv|dat|itxt|prn|parquet|pq|gz|zst|zstd|zip))+$", "", name, flags=re.IGNORECASE)

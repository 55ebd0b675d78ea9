"""Minute bars as delivered: monthly parquet files under a local root, one file per ticker and month.

Belongs here: where files lie and which are read. What a file holds is month_file.py; nothing is judged:
core/bars/session_grid.py.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, product
from pathlib import Path
from typing import Protocol, runtime_checkable

import polars as pl

from timegpt_assets.adapters.market.limits import Limits, shown_name
from timegpt_assets.adapters.market.month_file import Delivery, MonthFile
from timegpt_assets.adapters.storage.object_store import remedied
from timegpt_assets.core.bars.vendor_columns import Reading
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tables.bars import RAW_BARS

TEMPLATE = "stocks/1m/{ticker}/{yyyy}/{ticker}_{yyyy_mm}.parquet"
ATTEMPTS = 3
"""Readings of a file that is replaced while it is read, before it is told as unreadable."""
_TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,31}")


class MarketDataError(Explained, ValueError):
    """Raised when the source cannot be read as it should be; names the file or symbol, and the remedy."""


@runtime_checkable
class Delivering(Protocol):
    """A source that can say what is wrong with its files; any other source has bars only."""

    def delivery(self, symbols: Sequence[str], days: Sequence[date]) -> Delivery:
        """Return the rows of those symbols and New York dates, and what is wrong with the files they came from."""
        ...


def template_path(template: str, symbol: str, month: date) -> str:
    """Return where the template puts a ticker's month. Raises MarketDataError for a name or template that is none."""
    if not _TICKER.fullmatch(symbol):
        raise MarketDataError(
            f"{shown_name(symbol)} is no ticker: letters, digits, dot and dash only, 32 at most. Mend the universe."
        )
    parts = {"ticker": symbol, "yyyy": f"{month:%Y}", "mm": f"{month:%m}", "yyyy_mm": f"{month:%Y_%m}"}
    try:
        return template.format_map(parts)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise MarketDataError(
            f"data.template {template!r} cannot be filled in: {error}. Use {{ticker}}, {{yyyy}}, {{mm}} "
            "and {yyyy_mm} only."
        ) from error


def months(days: Iterable[date]) -> list[tuple[date, list[date]]]:
    """Return the first of each month that has any of the days, with those days, both sorted."""
    return [(first, list(own)) for first, own in groupby(sorted(set(days)), key=lambda day: day.replace(day=1))]


def joined(deliveries: Iterable[Delivery]) -> Delivery:
    """Return the deliveries as one, in the order of RAW_BARS."""
    all_of = [Delivery(), *deliveries]
    bars = RAW_BARS.conformed(pl.concat([part.bars for part in all_of]))
    return Delivery(bars, pl.concat([part.faults for part in all_of]).sort("day", "symbol", "rule"))


@dataclass(frozen=True, slots=True)
class LocalMarketData:
    """Bars from parquet files at ``root/template``; the template may use ticker, yyyy, mm and yyyy_mm.

    A file holds the bars of one New York calendar month; which columns and times it may have is core/contract.py.
    """

    root: Path
    template: str = TEMPLATE
    reading: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)

    def delivery(self, symbols: Sequence[str], days: Sequence[date]) -> Delivery:
        """Return the RAW_BARS rows of those symbols and New York dates, each file read once, and its faults.

        A month without a file has no rows. ``row`` is the position in the file. Raises MarketDataError for a missing
        root and for a ticker or template that is none, and ObjectStoreError when the disk cannot be read; a bad file is
        a fault of its own days and stops no others.
        """
        self._require_root()
        asked = [(symbol, month, own) for symbol in sorted(set(symbols)) for month, own in months(days)]
        return joined(self._month(*objects) for objects in asked)

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        """Return the rows of a delivery without faults. Raises MarketDataError for the first fault."""
        found = self.delivery(symbols, days)
        if found.faults.height:
            raise MarketDataError(found.faults["detail"][0])
        return found.bars

    def states(self, symbols: Sequence[str], firsts: Sequence[date]) -> dict[tuple[str, date], str]:
        """Return modification time and size of every file there is of these symbols and months.

        Raises MarketDataError for a missing root, and ObjectStoreError when the disk cannot be read.
        """
        self._require_root()
        found = {}
        for symbol, first in product(symbols, firsts):
            path = self.root / template_path(self.template, symbol, first)
            with remedied(path, "read"):
                if state := _state(path):
                    found[symbol, first] = f"{state[2]}-{state[1]}"
        return found

    def _require_root(self) -> None:
        with remedied(self.root, "read"):
            if not self.root.is_dir():
                raise MarketDataError(f"{self.root} is no folder of bars. Set data.root to the folder above stocks/.")

    def _month(self, symbol: str, month: date, days: list[date]) -> Delivery:
        path = self.root / template_path(self.template, symbol, month)
        with remedied(path, "read"):
            return self._read(path, symbol, month, days)

    def _read(self, path: Path, symbol: str, month: date, days: list[date]) -> Delivery:
        file = MonthFile(name=str(path), symbol=symbol, month=month, reading=self.reading, limits=self.limits)
        if not path.exists():
            return Delivery()
        if not path.is_file():
            return file.unusable(days, "unreadable", " is no regular file. Put the month's parquet file there.")
        # a ticker or template from a settings file must not read what lies outside of the bars
        if not path.resolve().is_relative_to(self.root.resolve()):
            leads = f" leads out of {self.root} (to {path.resolve()}). Put the file there, or mend data.template."
            return file.unusable(days, "unreadable", leads)
        for _ in range(ATTEMPTS):
            before = _state(path)
            if before is None:
                return Delivery()
            try:
                found = file.delivery(path, days)
            except FileNotFoundError:
                continue
            # written over while it was read: the rows would be of two files, and parquet need not notice
            if _state(path) == before:
                return found
        return file.unusable(days, "unreadable", " is being written. Put whole files in place, then run again.")


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written over or replaced; None when it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns

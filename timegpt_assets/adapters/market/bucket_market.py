"""Minute bars in a bucket: the same monthly files by template as on disk, of which only what is asked for is fetched.

Belongs here: which objects are read, each once, and one generation of each. What a file holds is month_file.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from timegpt_assets.adapters.market.limits import Limits
from timegpt_assets.adapters.market.market_data import (
    ATTEMPTS,
    TEMPLATE,
    MarketDataError,
    joined,
    months,
    template_path,
)
from timegpt_assets.adapters.market.month_file import Delivery, MonthFile
from timegpt_assets.adapters.storage.object_store import ObjectStore, Replaced
from timegpt_assets.core.bars.vendor_columns import Reading


@dataclass(frozen=True, slots=True)
class BucketMarketData:
    """Bars from parquet objects at ``template`` below a bucket; the template may use ticker, yyyy, mm and yyyy_mm."""

    objects: ObjectStore
    template: str = TEMPLATE
    reading: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)

    def delivery(self, symbols: Sequence[str], days: Sequence[date]) -> Delivery:
        """Return the RAW_BARS rows of those symbols and New York dates, each object read once, and its faults.

        A month without an object has no rows. Raises ObjectStoreError when the bucket cannot be read, and
        MarketDataError for a ticker or template that is none; a bad object is a fault of its own days and stops no
        others.
        """
        return joined(self._month(symbol, month, own) for symbol in sorted(set(symbols)) for month, own in months(days))

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        """Return the rows of a delivery without faults. Raises MarketDataError for the first fault."""
        found = self.delivery(symbols, days)
        if found.faults.height:
            raise MarketDataError(found.faults["detail"][0])
        return found.bars

    def states(self, symbols: Sequence[str], firsts: Sequence[date]) -> dict[tuple[str, date], str]:
        """Return the generation of every object there is of these symbols and months. Raises ObjectStoreError."""
        names = {template_path(self.template, symbol, first): (symbol, first) for symbol in symbols for first in firsts}
        there = dict(self.objects.names(self.template.partition("{")[0]))
        return {key: there[name] for name, key in names.items() if name in there}

    def _month(self, symbol: str, month: date, days: list[date]) -> Delivery:
        name = template_path(self.template, symbol, month)
        shown = self.objects.shown(name)
        file = MonthFile(name=shown, symbol=symbol, month=month, reading=self.reading, limits=self.limits)
        for _ in range(ATTEMPTS):
            source = self.objects.ranged(name)
            if source is None:
                return Delivery()
            try:
                return file.delivery(source, days)
            except Replaced:
                continue
        return file.unusable(days, "unreadable", " is being written. Put whole files in place, then run again.")

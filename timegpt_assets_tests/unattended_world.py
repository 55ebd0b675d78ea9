"""Everybody whom an unattended house asks and tells, and the vendor who delivers its bars.

Belongs here: the servers, and what is in the bucket when. The house is unattended.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import cast

import polars as pl

from timegpt_assets.adapters.market.market_data import TEMPLATE, template_path
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.core import calendar
from timegpt_assets_tests import live_house
from timegpt_assets_tests.news_house import Newsroom, newsroom
from timegpt_assets_tests.roads import sessions
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.gcs import GCSServer
from timegpt_assets_tests.servers.mail import MailServer, certificate
from timegpt_assets_tests.servers.polymarket import PolymarketServer
from timegpt_assets_tests.servers.timegpt import TimeGPTServer
from timegpt_assets_tests.servers.tollama import TollamaServer
from timegpt_assets_tests.servers.webhook import WebhookServer

BARS, OURS = "vendor-bars", "our-tables"
TICKERS, CONTEXT = ("AAPL", "META"), ("SPY",)
FIRST = date(2025, 11, 11)
"""The first day that the vendor has."""


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Everybody whom the house asks and tells."""

    timegpt: TimeGPTServer
    cloud: GCSServer
    news: Newsroom
    venue: PolymarketServer
    model: TollamaServer
    webhook: WebhookServer
    mail: MailServer


@contextmanager
def servers(folder: Path, begins: datetime) -> Iterator[Servers]:
    """Yield them all, well and serving."""
    with ExitStack() as stack:
        believed = certificate(folder / "mail.pem")
        found = Servers(
            timegpt=stack.enter_context(TimeGPTServer(input_size=60, key=KEY)),
            cloud=stack.enter_context(GCSServer(BARS, OURS)),
            news=stack.enter_context(newsroom()),
            venue=stack.enter_context(PolymarketServer()),
            model=stack.enter_context(TollamaServer()),
            webhook=stack.enter_context(WebhookServer(token=KEY)),
            mail=stack.enter_context(MailServer(password=KEY, certificate=believed)),
        )
        live_house.listed(found.venue, 2, begins, days=12)
        yield found


@dataclass(kw_only=True)
class Vendor:
    """Who delivers bars into the bucket: a file a symbol and month, which grows day by day."""

    cloud: GCSServer
    delivered: dict[str, date] = field(default_factory=dict)
    corrected: dict[tuple[str, date], float] = field(default_factory=dict)

    def deliver(self, day: date, symbols: Sequence[str] = (*TICKERS, *CONTEXT)) -> None:
        """Deliver these symbols up to a day, with all that was corrected by now."""
        for symbol in symbols:
            self.delivered[symbol] = day
            rows = self.bars(symbol, sessions(FIRST, day)).with_columns(month=pl.col("day").dt.truncate("1mo"))
            for (month,), part in rows.group_by("month", maintain_order=True):
                name = template_path(TEMPLATE, symbol, cast(date, month))
                self.cloud.put(BARS, str(name), _parquet(part.drop("day", "month")))

    def correct(self, symbol: str, day: date, by: float) -> None:
        """Deliver the month of a symbol again, with other prices in an hour of one of its days."""
        self.corrected[symbol, day] = by
        self.deliver(self.delivered[symbol], [symbol])

    def bars(self, symbol: str, days: Sequence[date]) -> pl.DataFrame:
        """Return a symbol's bars of these days, with all that was corrected by now."""
        market = SyntheticMarket(symbols=TICKERS, context=CONTEXT, seed=7, missing_rate=0.0)
        rows = market.bars([symbol], days).drop("row")
        for (name, day), by in self.corrected.items():
            first = calendar.session(day).open + timedelta(hours=1)
            inside = pl.col("ts").is_between(first, first + timedelta(hours=1))
            if name == symbol:
                prices = [pl.col(name) for name in ("open", "high", "low", "close")]
                rows = rows.with_columns([pl.when(inside).then(price * by).otherwise(price) for price in prices])
        return rows.sort("ts")


def _parquet(rows: pl.DataFrame) -> bytes:
    rows.write_parquet(into := BytesIO())
    return into.getvalue()

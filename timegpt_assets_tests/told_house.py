"""A tiny house whose news is one file of a user's own: written, imported, and made features of.

Belongs here: the file, its import and the settings. What must hold of it is in the tests.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from timegpt_assets.adapters.market.vendor_files import Limits
from timegpt_assets.adapters.news.imports import Importer
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.core import calendar
from timegpt_assets.core.news.formats.own_imports import Reading
from timegpt_assets_tests.roads import TINY, Road, load_runtime, road

FILE = "headlines.csv"
SETTINGS = (
    "universe.tickers=[AAPL, NVDA]",
    "news.sources=[own]",
    "features.groups=[price, volatility, volume, clock, context, sector, events, news]",
)
LATENCY = timedelta(minutes=1)
"""From published to known, of one's own news."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One line of the file."""

    at: datetime
    ticker: str
    title: str


VERBS = ("opens", "sells", "halts", "buys", "mends", "paints", "drops", "ships", "tests", "moves", "names")
THINGS = (
    "a quarry",
    "its ferries",
    "two orchards",
    "an airfield",
    "the archive",
    "some looms",
    "a brewery",
    "its cables",
)
PLACES = ("in Lima", "near Oslo", "off Malta", "by the Rhine", "under Kyoto", "for Ghana", "with Peru")


def headlines(days: Sequence[date]) -> list[Headline]:
    """Return a headline every 20 minutes from four hours before each open to the close, about one symbol by turns."""
    found = []
    for day in days:
        session = calendar.session(day)
        for n in range((session.close - session.open) // timedelta(minutes=20) + 12):
            at = session.open - timedelta(hours=4) + timedelta(minutes=20 * n, seconds=30)
            symbol, name = (("AAPL", "Apple"), ("NVDA", "Nvidia"))[n % 2]
            found.append(Headline(at, symbol, f"{name} {_told(31 * day.day + n)}"))
    return found


def _told(n: int) -> str:
    return f"{VERBS[n % len(VERBS)]} {THINGS[n % len(THINGS)]} {PLACES[n % len(PLACES)]}"


@contextmanager
def told_road(
    folder: Path, told: Sequence[Headline], *overrides: str, replace_news: bool = False, **options: Any
) -> Iterator[Road]:
    """Yield a road of the house into which the headlines were imported, in the place of earlier ones if so said."""
    chosen = {"base": TINY, "pictures": False} | options
    if told:
        raw = RawStore(load_runtime(folder, *SETTINGS, *overrides, base=chosen["base"]).storage)
        imported(folder, raw, told, instead=replace_news)
    with road(folder, *SETTINGS, *overrides, **chosen) as built:
        yield built


def imported(folder: Path, raw: RawStore, told: Sequence[Headline], *, instead: bool) -> None:
    """Write the headlines into a file and take it in, as import-news does."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"time": f"{one.at:%Y-%m-%dT%H:%M:%SZ}", "ticker": one.ticker, "title": one.title} for one in told]
    pl.DataFrame(rows).write_csv(folder / FILE)
    now = datetime(2025, 6, 2 if instead else 1, tzinfo=UTC)
    importer = Importer(raw=raw, limits=Limits(), reading=Reading(), now=now, replace=instead)
    done = importer.imported(folder / FILE, FILE)
    assert done.became == ("instead" if instead else "taken"), done.words

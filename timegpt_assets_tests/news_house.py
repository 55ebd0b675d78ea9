"""A tiny made-up house with news: local servers of its sources, two symbols, and few sessions to be walked through.

Belongs here: its sources, what they tell, its settings and its days. What must hold of it is in the tests.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from timegpt_assets_tests.roads import TINY, Road, road, sessions
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.fred import FredServer
from timegpt_assets_tests.servers.gdelt import GdeltServer

DAYS = tuple(sessions(date(2025, 1, 29), date(2025, 1, 31)))
"""Three sessions: on the first a rate is decided, and FRED tells a value that is known at the next one's open."""
MONTHS = [f"{year}-{month:02}-01" for year in (2023, 2024) for month in range(1, 13)]
SETTINGS = (
    "universe.tickers=[AAPL, NVDA]",
    "features.warmup_sessions=1",
    "forecast.history_days=2",
    "news.sources=[fred, calendar, gdelt_files]",
    "news.spacing_s.fred=0.0",
    "news.retry.max_attempts=1",
    "forecast.challengers=[climatology]",
    "forecast.climatology.min_sessions=1",
)
"""Few sessions to look back on, and who answers from so few; a failure is not tried again at once."""
ON = "features.groups=[price, volatility, volume, clock, context, sector, events, news]"
"""The feature group of the news, with all others."""


def headlines(stamp: str) -> Sequence[str]:
    """Return the addresses of the articles in one of GDELT's files: one an hour about each symbol, and about nobody."""
    hour = stamp[8:10]
    if stamp[10:12] != "00":
        return [f"https://example.org/{stamp}/weather-stays-fair-over-the-hills"]
    return [
        f"https://example.org/{stamp}/apple-unveils-gadget-number-{hour}-for-cooks",
        f"https://example.com/{stamp}/nvidia-opens-plant-number-{hour}-in-the-north",
        f"https://example.net/{stamp}/nvidia-opens-its-plant-number-{hour}-in-the-north",
    ]


def vintages() -> dict[str, list[dict[str, str]]]:
    """Return what FRED tells: a rate that jumps with the last of its values, and three series that stand still."""

    def rows(last: str, value: str) -> list[dict[str, str]]:
        told = [("2024-12-20", period, f"{4 + number % 2 / 10:.1f}") for number, period in enumerate(MONTHS)]
        told.append(("2025-01-29", last, value))
        return [
            {"realtime_start": start, "realtime_end": "9999-12-31", "date": period, "value": told_value}
            for start, period, told_value in told
        ]

    still = rows("2025-01-01", "4.0")[:-1]
    return {"CPIAUCSL": still, "GDP": still, "PAYEMS": still, "UNRATE": rows("2025-01-01", "6.0")}


@dataclass(frozen=True, kw_only=True)
class Newsroom:
    """The servers of a house's sources."""

    gdelt: GdeltServer
    fred: FredServer

    @property
    def settings(self) -> tuple[str, ...]:
        """Return the settings that lead to them."""
        return (f"news.source.gdelt_files.base_url={self.gdelt.url}", f"news.source.fred.base_url={self.fred.url}/fred")

    @property
    def asked(self) -> int:
        """Return how many requests they have received."""
        return len(self.gdelt.asked) + len(self.fred.received)


@contextmanager
def newsroom() -> Iterator[Newsroom]:
    """Yield servers that answer well."""
    with GdeltServer(articles=headlines) as gdelt, FredServer(vintages(), key=KEY, today="2026-06-01") as fred:
        yield Newsroom(gdelt=gdelt, fred=fred)


@contextmanager
def news_road(folder: Path, sources: Newsroom, *overrides: str, **options: Any) -> Iterator[Road]:
    """Yield a road of the house, the feature group of the news off unless ``overrides`` say otherwise."""
    environment = {"FRED_API_KEY": sources.fred.key}
    with road(
        folder, *SETTINGS, *sources.settings, *overrides, base=TINY, pictures=False, environment=environment, **options
    ) as built:
        yield built

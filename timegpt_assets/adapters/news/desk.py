"""Whom the assets of news talk to: who delivers what was asked, and who reads what no parser can.

Belongs here: the two seams. Behind them lie the network and its libraries, which nobody loads who makes no news.
"""

from collections.abc import Collection, Iterator
from datetime import date
from typing import Protocol

import polars as pl

from timegpt_assets.core.news.delivered import Delivered


class Newswire(Protocol):
    """The sources that are listed."""

    def deliver(self, days: Collection[date]) -> pl.DataFrame:
        """Return RAW_NEWS of the sessions; only what nobody answered yet is asked, and a failure is a row."""
        ...

    def delivered(self, raw: pl.DataFrame) -> Iterator[Delivered]:
        """Give the answers that rows of RAW_NEWS name, with their bytes."""
        ...

    def attempts(self, days: Collection[date]) -> pl.DataFrame:
        """Return ATTEMPTS (core/news/health.py) of the sessions."""
        ...


class HeadlineReader(Protocol):
    """A model that names companies which no parser found."""

    def read(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return NORMALIZED_NEWS with the tickers of headlines that named nobody by themselves."""
        ...

"""Books: whose money is at stake. Every forecaster has a paper book of its own, and ``live`` is what is assigned.

Belongs here: which book a forecaster's rows belong to. What a book's limits admit is portfolio.py.
"""

import polars as pl

LIVE = "live"
"""The book of what would be traded: the rows of the forecaster assigned to the day, the champion's without records."""


def with_books(rows: pl.DataFrame, *, champion: str) -> pl.DataFrame:
    """Return the rows with ``book``: each once in its forecaster's own, the champion's once more in ``live``."""
    return pl.concat(
        [
            rows.with_columns(book=pl.col("forecaster")),
            rows.filter(forecaster=champion).with_columns(book=pl.lit(LIVE)),
        ]
    )

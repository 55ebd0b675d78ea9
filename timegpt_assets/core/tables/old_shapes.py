"""Rows stored before their table had a column: what they would say in it, where they can tell.

Belongs here: what older rows mean in today's columns. Where files lie and how they are rewritten is
adapters/storage/migration.py.
"""

import polars as pl

from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables.columns import CONTROL, HOSTED, WILDCARD

FORECASTER = (
    pl.when(pl.col("score_source") == WILDCARD)
    .then(pl.lit(WILDCARD))
    .when(pl.col("score_source") == "baseline")
    .then(pl.lit(CONTROL))
    .otherwise(pl.lit(HOSTED))
)
"""One backend filled a storage root: what it scored as baseline was the ridge's, anything else the provider's."""


def lacking(table: Table, columns: list[str]) -> list[str]:
    """Return the declared columns that are not among these."""
    return [name for name in table.columns if name not in columns]


def filled(table: Table, rows: pl.DataFrame) -> pl.DataFrame | None:
    """Return the rows with every declared column, in the table's order; None where one cannot be told from the others.

    ``forecaster`` follows from the sources, ``whitelisted`` is false; a column that may be null is null.
    """
    missing, told = lacking(table, rows.columns), dict[str, pl.Expr]()
    for name in missing:
        column = table.columns[name]
        if name == "forecaster" and "score_source" in rows.columns:
            told[name] = FORECASTER
        elif name == "whitelisted":
            told[name] = pl.lit(False)  # nothing was ever promoted before there was a record of it
        elif column.nullable:
            told[name] = pl.lit(None, dtype=column.dtype)
        else:
            return None
    further = [name for name in rows.columns if name not in table.columns]
    return rows.with_columns(**told).select(*table.columns, *further)

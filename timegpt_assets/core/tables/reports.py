"""The table of the reports."""

import polars as pl

from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import MONTH

REPORT = Table(
    name="report",
    columns=MONTH
    | {
        "position": Column(pl.Int64, "place in the report, from 0"),
        "section": Column(pl.String, "part of the report"),
        "name": Column(pl.String, "figure"),
        "value": Column(pl.String, "as printed"),
        "path": Column(pl.String, "file of the report, below data.artifacts_root"),
    },
    key=("month", "position"),
)

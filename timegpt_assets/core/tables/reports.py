"""The tables of the reports and of what is exported."""

import polars as pl

from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import DAY, MONTH

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

RUN_EXPORT = Table(
    name="run_export",
    columns=DAY
    | {
        "run_id": Column(pl.String, "folder of the run, below runs/ of data.artifacts_root"),
        "step": Column(pl.String, "verb whose result the file is"),
        "file": Column(pl.String, "name below the run's folder"),
        "rows": Column(pl.Int64, "rows in the file, those of the run's other sessions too"),
        "bytes": Column(pl.Int64, "size of the file"),
        "sha256": Column(pl.String, "checksum of the file"),
    },
    key=("day", "step", "file"),
)

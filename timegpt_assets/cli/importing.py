"""The verb import-bars: any vendor's minute bars into the layout data.template names, with a verdict on them.

Belongs here: what a person types and sees. Reading and writing is adapters/vendor_bars.py.
"""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import orjson
import polars as pl
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from timegpt_assets.adapters.market.market_data import LocalMarketData
from timegpt_assets.adapters.market.vendor_bars import Imported, Importer, files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.cli.options import Json, Profile, Set
from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.vendor_columns import Reading
from timegpt_assets.definitions import load_runtime
from timegpt_assets.runtime import Runtime

LISTED = 40
Source = Annotated[Path, typer.Argument(exists=True, help="file or folder of CSV or parquet")]
Into = Annotated[str, typer.Option(help="folder to write to; default: data.root")]
Symbol = Annotated[str, typer.Option(help="ticker of files that name none, in no column and not in their name")]
Stamp = Annotated[str, typer.Option(help="what a stamp names, start or end of its minute; default: data.stamp")]
Zone = Annotated[str, typer.Option(help="IANA zone of stamps that carry none; default: data.timezone")]


def import_bars(
    path: Source,
    into: Into = "",
    symbol: Symbol = "",
    stamp: Stamp = "",
    timezone: Zone = "",
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Any vendor's minute bars into the layout of data.template, with a verdict per symbol; again adds nothing."""
    chosen = [f"data.stamp={stamp}"] * bool(stamp) + [f"data.timezone={timezone}"] * bool(timezone)
    runtime = load_runtime([*(settings or ()), *chosen], profile=profile)
    root = Path(into).expanduser().resolve() if into else runtime.path(runtime.settings.data.required_root)
    told = imported(runtime, path, root, symbol=symbol or None)
    found = {
        "root": str(root),
        "files": [_plain(one) for one in told],
        "verdicts": verdicts(runtime, root, {month for one in told for month in one.months}).to_dicts(),
    }
    if json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        shown(found, Console())
    if any(one.wrong for one in told):
        raise typer.Exit(1)


def imported(runtime: Runtime, path: Path, root: Path, *, symbol: str | None) -> list[Imported]:
    """Import every file, telling of progress on standard error, and return what became of each."""
    importer = Importer(
        objects=LocalStore(root),
        template=runtime.settings.data.template,
        reading=core_inputs.reading(runtime.settings),
        symbol=symbol,
    )
    messages = Console(stderr=True)
    return [importer.imported(file) for file in track(files(path), "importing", console=messages, transient=True)]


def verdicts(runtime: Runtime, root: Path, months: set[tuple[str, date]]) -> pl.DataFrame:
    """Return per symbol its first and last session with rows, the count of each verdict, and the first reason.

    What was written is read and judged as a run will: stamps are starts, in UTC. Sessions between the first and the
    last day of the imported months that have rows are asked for.
    """
    source = LocalMarketData(root, runtime.settings.data.template, Reading())
    policy = core_inputs.quality_policy(runtime.settings)
    frames = []
    for symbol in sorted({symbol for symbol, _ in months}):
        own = [d for of, month in sorted(months) if of == symbol for d in calendar.month_sessions(f"{month:%Y-%m}")]
        found = source.delivery([symbol], own)
        there = sorted(found.bars["day"].unique())
        days = [d for d in own if there and there[0] <= d <= there[-1]]
        quality = session_grid.quality(
            found.bars,
            keys=pl.DataFrame({"day": days, "symbol": symbol}, schema={"day": pl.Date, "symbol": pl.String}),
            sessions=calendar.sessions_frame(days),
            policy=policy,
            faults=found.faults,
            closes=session_grid.previous_closes(found.bars, days=days),
        )
        frames.append(_summary(symbol, quality))
    return pl.concat(frames) if frames else pl.DataFrame()


def _summary(symbol: str, quality: pl.DataFrame) -> pl.DataFrame:
    bad = quality.filter(~pl.col("verdict").is_in(["ok"]))
    counts = {name: quality.filter(verdict=name).height for name in ("ok", "warned", "quarantined", "no_data")}
    first = f"{bad['day'][0]}: {bad['reason'][0]}" if bad.height else ""
    row = (
        {"symbol": symbol, "first": quality["day"].min(), "last": quality["day"].max()}
        | counts
        | {"first_reason": first}
    )
    return pl.DataFrame([row], schema_overrides={"first": pl.Date, "last": pl.Date})


def _plain(one: Imported) -> dict[str, Any]:
    names = ("read", "new", "known", "timeless", "nameless", "wrong")
    return {"file": str(one.file)} | {name: getattr(one, name) for name in names} | {"months": len(one.months)}


def shown(found: dict[str, Any], out: Console) -> None:
    """Print what became of the files, worst first, and the verdicts per symbol."""
    rows = sorted(found["files"], key=lambda row: (not row["wrong"], row["file"]))
    table = Table("file", "rows", "new", "there", "without time", "without ticker", "wrong", title="files")
    for row in rows[:LISTED]:
        counts = (f"{row[name]:,}" for name in ("read", "new", "known", "timeless", "nameless"))
        table.add_row(Path(row["file"]).name, *counts, row["wrong"], style="red" if row["wrong"] else None)
    out.print(table)
    if len(rows) > LISTED:
        out.print(f"and {len(rows) - LISTED:,} files more")
    judged = Table(
        "symbol", "first", "last", "ok", "warned", "quarantined", "no data", "first reason", title="verdicts"
    )
    for row in found["verdicts"]:
        judged.add_row(*(str(value) for value in row.values()))
    out.print(judged)
    out.print(_total(found["files"]), soft_wrap=True, highlight=False)
    out.print(
        f"bars in {found['root']}: read them with data.source=local and data.root", soft_wrap=True, highlight=False
    )


def _total(rows: Sequence[dict[str, Any]]) -> str:
    said = {name: sum(row[name] for row in rows) for name in ("read", "new", "known")}
    wrong = sum(bool(row["wrong"]) for row in rows)
    return (
        f"{len(rows):,} files, {said['read']:,} rows: {said['new']:,} new, {said['known']:,} already there; "
        f"{wrong:,} files could not be imported."
    )

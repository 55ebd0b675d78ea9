"""The verb import-bars: any vendor's minute bars into the layout data.template names, with a verdict on them.

Belongs here: what a person types, and in which order the work goes. What is printed is import_view.py; looking,
reading and writing is adapters/market/vendor_bars.py, what a file means core/vendors/.
"""

import csv
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import typer
from rich.progress import track

from timegpt_assets.adapters.market.market_data import LocalMarketData, MarketDataError
from timegpt_assets.adapters.market.vendor_bars import Imported, Importer
from timegpt_assets.adapters.market.vendor_files import Limits, files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.cli import import_view
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.vendor_columns import Reading
from timegpt_assets.core.vendors.findings import Said
from timegpt_assets.runtime import Runtime

REFUSED, NO_GOOD_DAY = 1, 4


def said(known: Sequence[str], symbol_map: Path | None, **words: Any) -> Said:
    """Return what the options say of the files, with the tickers that settings know."""
    return Said(symbols=_symbols(symbol_map) if symbol_map else {}, known=frozenset(known), **words)


def import_bars(
    runtime: Runtime, path: Path, into: str, *, said: Said, look: bool, replace: bool, as_json: bool
) -> None:
    """Take in the files, print what became of them and the verdicts, and end with the exit code that says so."""
    root = Path(into).expanduser().resolve() if into else runtime.path(runtime.settings.data.required_root)
    told = imported(runtime, path, root, said=said, replace=replace, look=look)
    # read back from what was written: the verdict is the one a run will give, not one on what was in memory
    judged = verdicts(runtime, root, {month for one in told for month in one.months})
    if as_json:
        sys.stdout.write(orjson.dumps(import_view.plain(told, judged, root), default=str).decode() + "\n")
    else:
        import_view.show(told, judged, root, Terminal())
    if code := exit_code(told, judged):
        raise typer.Exit(code)


def exit_code(told: list[Imported], judged: pl.DataFrame) -> int:
    """Return 0 for what its user would call success: every file taken, and of what was written some day usable."""
    if any(one.wrong for one in told):
        return REFUSED
    if judged.height and not judged.select(pl.any_horizontal(pl.col("ok", "warned") > 0).any()).item():
        return NO_GOOD_DAY
    return 0


def _symbols(path: Path) -> dict[str, str]:
    """Return the vendor's ticker -> ours. Raises MarketDataError for a file that is no map."""
    try:
        rows = [row for row in csv.reader(path.read_text("utf-8-sig").splitlines()) if any(row)]
    except UnicodeDecodeError as error:
        raise MarketDataError(f"{path} is no text in utf-8. Save it as UTF-8.") from error
    if wrong := [row for row in rows if len(row) != 2]:
        raise MarketDataError(f"{path}: {','.join(wrong[0])!r} is no pair. Write their ticker, a comma, our ticker.")
    return {theirs.strip(): ours.strip().upper() for theirs, ours in rows}


def imported(
    runtime: Runtime, path: Path, root: Path, *, said: Said, replace: bool = False, look: bool = False
) -> list[Imported]:
    """Import every file, or look at it, telling of progress on standard error, and return what became of each."""
    limits = Limits(**runtime.settings.importing.model_dump())
    template = runtime.settings.data.template
    importer = Importer(objects=LocalStore(root), template=template, said=said, limits=limits, replace=replace)
    messages = Terminal(stderr=True)
    # a folder of bars that holds the root, as the current one may, is not fed with what was just written
    own = root if path != root and root.is_relative_to(path.resolve()) else None
    sources = [file for file in files(path, limits) if own is None or not file.path.resolve().is_relative_to(own)]
    found = track(sources, "looking" if look else "importing", console=messages, transient=True)
    return [importer.looked_at(file) if look else importer.imported(file) for file in found]


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

"""TimeGPT's SDK and every free forecaster on the same minutes of real bars, in one backfill: markdown tables.

Run: TIMEGPT_ASSETS_REAL_DATA=/path/to/data python -m timegpt_assets_tests.benchmarks.same_minutes [SET[=SYMBOLS] ...]
Profile dev; TimeGPT is asked through its SDK, of the tests' local server: its answers say nothing about TimeGPT's, the
road is the real one. Raises AssertionError where the server was not asked once for each snapshot planned.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from timegpt_assets.cli.context import CommandContext
from timegpt_assets.config import core_inputs
from timegpt_assets.core.forecasts.snapshots import snapshots
from timegpt_assets.runtime import daily_files
from timegpt_assets_tests.benchmarks.trading_results import earned, markdown
from timegpt_assets_tests.real_houses import SPANS, TRADED, Took, backfilled, opened_house, sessions
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

FORECAST = "/v2/forecast"
HISTORY = 10
"""Sessions that every snapshot asked about has behind it, as profile dev shows them."""
COMPARED = (
    "forecaster", "against", "n", "not_common", "rpinball", "rpinball_low", "rpinball_high", "rmae", "coverage_80",
    "against_coverage_80", "pnl_difference", "requests",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a backfill with everybody found and took: the last month's comparison, the books, requests as counted."""

    comparison: pl.DataFrame
    books: pl.DataFrame
    planned: int
    received: int
    took: Took


def planned(command: CommandContext, days: Sequence[date]) -> int:
    """Return the requests that these days take: one for each snapshot."""
    spec = core_inputs.snapshot_spec(command.runtime.settings, daily_files(command.runtime).calendar)
    return int(snapshots(days, spec)["asked"].sum())


def compared(data: Path, name: str, folder: Path, days: Sequence[date], symbols: Sequence[str] = ()) -> Compared:
    """Make these days with TimeGPT and every free forecaster, and return what that found."""
    with (
        TimeGPTServer() as server,
        opened_house(data, name, folder, symbols=symbols, server=server) as command,
    ):
        asked = planned(command, days)
        took = backfilled(command, days, assets=TRADED)
        month = f"{max(days):%Y-%m}"
        return Compared(
            comparison=command.table("evaluation/comparison", [month]).filter(symbol="*").select(COMPARED),
            books=earned(command.table("backtest/portfolio", days), ["book"]),
            planned=asked,
            received=server.counts[FORECAST],
            took=took,
        )


def lines(found: Compared, alone: Took) -> Iterator[str]:
    """Yield a set's tables, and what everybody took beside one seat alone."""
    yield from markdown(found.comparison.sort("forecaster", "against"))
    yield ""
    yield from markdown(found.books)
    yield f"\nRequests: {found.received} received, {found.planned} snapshots."
    shares = {"CPU": (found.took.cpu, alone.cpu), "wall": (found.took.wall, alone.wall)}
    sizes = {"bytes": (found.took.bytes, alone.bytes), "rows": (found.took.rows, alone.rows)}
    for what, (everybody, one) in (shares | sizes).items():
        yield f"{what}: {everybody:,.0f}, with ridge alone {one:,.0f}: {everybody / one:.2f} times."


def main() -> None:
    """Print the tables of the sets named, or of all."""
    if "TIMEGPT_ASSETS_REAL_DATA" not in os.environ:
        print("same_minutes: set TIMEGPT_ASSETS_REAL_DATA to compare on real bars", file=sys.stderr)
        return
    data = Path(os.environ["TIMEGPT_ASSETS_REAL_DATA"])
    for named in sys.argv[1:] or list(SPANS):
        name, _, chosen = named.partition("=")
        symbols = chosen.split(",") if chosen else ()
        days = sessions(name)[HISTORY:]
        with tempfile.TemporaryDirectory() as folder:
            with opened_house(data, name, Path(folder) / "one", symbols=symbols, seats=()) as command:
                alone = backfilled(command, days, assets=TRADED)
            found = compared(data, name, Path(folder) / "all", days, symbols)
        print(f"\n## {name}: {len(days)} sessions\n")
        for line in lines(found, alone):
            print(line, flush=True)
        assert found.received == found.planned, f"{found.received} requests for {found.planned} snapshots"


if __name__ == "__main__":
    main()

"""A house on real bars: profile dev over one of the real sets, made by the engine as the command line makes it.

Belongs here: the settings of each set, opening a house in a folder, and what a backfill of it took. What was found is
read by benchmarks and tests.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from timegpt_assets.cli.context import CommandContext, opened
from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts.local.seats import SHIPPED
from timegpt_assets.engine.engine import Outcome, asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets.runtime import load_runtime
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

SPANS = {
    "mag7_spy_2025": (date(2025, 1, 2), date(2025, 2, 28)),
    "us_large_cap_2018": (date(2018, 2, 16), date(2018, 4, 20)),
}
"""Set -> its first and last session."""
_OTHER = {
    "us_large_cap_2018": ("universe.context=[]", "gates.oos_start=2018-04-06"),  # no index among them
}
FREE = tuple(SHIPPED)
TRADED = ("portfolio", "comparison")
"""Assets that stand on all that is asked here: neither reports nor gates of the month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What a backfill took: seconds of this process and of the clock, files and rows stored."""

    cpu: float
    wall: float
    bytes: int
    rows: int
    outcome: Outcome


def sessions(name: str) -> list[date]:
    """Return the sessions of a set."""
    return [session.day for session in calendar.sessions(*SPANS[name])]


@contextmanager
def opened_house(
    data: Path,
    name: str,
    folder: Path,
    *said: str,
    seats: Sequence[str] = FREE,
    symbols: Sequence[str] = (),
    server: TimeGPTServer | None = None,
) -> Iterator[CommandContext]:
    """Yield a house in ``folder`` over a set in ``data``, of all its symbols unless some are named.

    With a server TimeGPT is the champion and asks it.
    """
    first, last = SPANS[name]
    symbols = symbols or sorted(path.name for path in (data / name / "stocks" / "1m").iterdir())
    places = [f"data.{place}={folder}/{place}" for place in ("storage_root", "artifacts_root", "dagster_home")]
    bars = [f"data.root={data / name}", f"data.start_date={first}", f"data.end_date={last}"]
    chosen = [f"universe.tickers=[{', '.join(symbols)}]", f"forecast.challengers=[{', '.join(seats)}]"]
    if server:
        chosen += ["forecast.backend=nixtla", f"forecast.base_url={server.url}", f"forecast.cache_dir={folder}/cache"]
        chosen += ["forecast.api_budget.per_run=100000", "forecast.api_budget.per_day=100000"]
        chosen += [f"forecast.api_budget.ledger_file={folder}/ledger.sqlite"]
    environ = {"TIMEGPT_ASSETS_REAL_DATA": str(data), "TIMEGPT_API_KEY": "of-the-local-server"}
    overrides = [*places, *bars, *_OTHER.get(name, ()), *chosen, *said]
    with opened(load_runtime(overrides, profile="dev", environ=environ), report=lambda run, done: None) as command:
        yield command


def backfilled(command: CommandContext, days: Sequence[date], *, assets: Sequence[str] = EVERYDAY) -> Took:
    """Make these days and return what that took."""
    nodes = asset_nodes(command.engine.repository)
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = command.engine.run(rectangle(command.graph, nodes, days=days, assets=assets))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    root = command.runtime.path(command.runtime.settings.data.storage_root)
    files = sorted(root.glob("*/*/*.parquet"))
    return Took(
        cpu=cpu,
        wall=wall,
        bytes=sum(file.stat().st_size for file in files),
        rows=sum(_rows(file) for file in files),
        outcome=outcome,
    )


def _rows(file: Path) -> int:
    return pq.read_metadata(file).num_rows

"""Whatever was restored, lost, damaged or moved, tables too: nothing known is bought again, and every remedy works.

Ledger, cache and tables are put together from several moments of one house, as backups and disks do, and real commands
work in it; the local server counts what it is paid for. Ledger and cache alone are crossed in adapters/timegpt.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.market.market_data import TEMPLATE, template_path
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.engine.home_owner import MARKER
from timegpt_assets_tests.adapters.timegpt.test_money_cases import backed_up
from timegpt_assets_tests.commands import Commands, finished
from timegpt_assets_tests.engine.test_call_budget import modest
from timegpt_assets_tests.markets import DAYS
from timegpt_assets_tests.roads import TINY, sessions
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer, status

FIRST, SECOND = "2025-01-30", "2025-01-31"
SYMBOLS = ("AAPL", "META", "NVDA", "SPY")
ROAD = "raw_bars,bars,quality_report,features,panel,labels,snapshots,answers,raw_forecasts"
LEDGERS = ("same", "older", "lost", "newer")
CACHES = ("same", "older", "lost", "damaged", "newer")
TABLES = ("same", "older", "lost", "damaged", "moved", "newer")
ROWS = 2 * 2 * 3
"""Two days of two snapshots of three symbols."""
WAIT_SEC = 240.0
ROUNDS = 8
"""More than there are remedies to be followed one after the other in any case."""
TORN = re.compile(r"error (\S+\.parquet) is torn, .* Delete it, and materialise that asset's day again")
DAMAGED = ("bars/raw_bars", "forecasts/answers", "forecasts/raw_forecasts")


@dataclass(frozen=True, kw_only=True)
class House:
    """A folder with source, tables, cache, ledger and records; ``tables`` names the folder of the tables."""

    folder: Path
    url: str
    tables: str = "tables"
    home: str = "home"

    @property
    def environment(self) -> dict[str, str]:
        settings = [
            *TINY,
            *modest(self.url),
            "data.source=local",
            f"data.root={self.folder / 'source'}",
            f"data.storage_root={self.folder / self.tables}",
            f"data.artifacts_root={self.folder / 'artifacts'}",
            f"forecast.cache_dir={self.folder / 'cache'}",
            f"forecast.api_budget.ledger_file={self.folder / 'ledger.db'}",
        ]
        return {
            "TIMEGPT_ASSETS_SET": "\n".join(settings),
            "TIMEGPT_ASSETS_PROFILE": "dev",
            "TIMEGPT_API_KEY": KEY,
            "DAGSTER_HOME": str(self.folder / self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }

    def says(self, commands: Commands, *words: str) -> str:
        """Return what a command printed, its exit code last."""
        log = self.folder / "said.log"
        log.unlink(missing_ok=True)
        return finished(commands.start(words, self.environment, log), log, within_sec=WAIT_SEC)

    def stored(self) -> int:
        """Return how many of the forecasts that are stored were paid for."""
        store = ParquetStore(LocalStore(self.folder / self.tables))
        return store.read("forecasts/raw_forecasts", [FIRST, SECOND]).filter(forecaster="timegpt").height


def deliver(folder: Path, *, is_revised: bool) -> None:
    """Write the vendor's month files, every price of the paid days a little different if they are revised."""
    market = SyntheticMarket(symbols=SYMBOLS[:3], context=SYMBOLS[3:], seed=7, predictability=0.0, missing_rate=0.0)
    days = [*sessions(DAYS[0].replace(day=13), DAYS[0]), *DAYS]
    for symbol in SYMBOLS:
        frame = (
            market.bars([symbol], sorted(set(days))).drop("row").with_columns(month=pl.col("day").dt.truncate("1mo"))
        )
        if is_revised:
            prices = pl.col("open", "high", "low", "close")
            is_paid = pl.col("day").cast(pl.String).is_in([FIRST, SECOND])
            frame = frame.with_columns(pl.when(is_paid).then(prices * 1.001).otherwise(prices))
        for (month,), part in frame.partition_by("month", as_dict=True).items():
            path = folder / template_path(TEMPLATE, symbol, month)
            path.parent.mkdir(parents=True, exist_ok=True)
            part.drop("day", "month").write_parquet(path)


@pytest.fixture(scope="module")
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def world(commands: Commands, server: TimeGPTServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return three moments of a house: one day paid; both paid; the first one paid again to revised bars."""
    folder = tmp_path_factory.mktemp("world")
    now = House(folder=folder / "now", url=server.url)
    deliver(now.folder / "source", is_revised=False)
    span = ("--start", FIRST, "--end", FIRST)
    for moment, words in {
        "older": ("backfill", "--start", FIRST, "--end", FIRST, "--assets", ROAD),
        "same": ("backfill", "--start", FIRST, "--end", SECOND, "--assets", ROAD),
        "newer": ("forecast", *span, "--reask", "--force"),
    }.items():
        if moment == "newer":
            deliver(now.folder / "source", is_revised=True)
            said = now.says(commands, "backfill", *span, "--assets", ROAD, "--force")
            assert said.endswith("exit 0"), said[-3000:]
        said = now.says(commands, *words)
        assert said.endswith("exit 0"), said[-3000:]
        (folder / moment).mkdir()
        backed_up(now.folder / "ledger.db", folder / moment / "ledger.db")
        for name in ("cache", "tables", "home", "source"):
            shutil.copytree(now.folder / name, folder / moment / name)
    return folder


def put_together(
    world: Path, folder: Path, url: str, *, ledger: str, cache: str, tables: str, is_revised: bool
) -> House:
    """Return a house of several moments: records of the second, source of the second or revised."""
    folder.mkdir()
    made = House(folder=folder, url=url)
    shutil.copytree(world / "same" / "home", folder / "home")
    (folder / "home" / MARKER).unlink()
    shutil.copytree(world / ("newer" if is_revised else "same") / "source", folder / "source")
    if ledger != "lost":
        shutil.copy(world / ledger / "ledger.db", folder)
    for name, state in (("cache", cache), ("tables", tables)):
        if state != "lost":
            shutil.copytree(world / (state if state in ("older", "newer") else "same") / name, folder / name)
        if state == "damaged":
            torn = [folder / name / asset / f"{FIRST}.parquet" for asset in DAMAGED]
            for file in torn if name == "tables" else sorted((folder / name).rglob("*.zst"))[::2]:
                file.write_bytes(file.read_bytes()[:-5])
    if tables == "moved":
        (folder / "tables").rename(folder / "moved")
        made = replace(made, tables="moved")
    return made


def wrong(
    world: Path, folder: Path, case: tuple[str, str, str, bool, bool], commands: Commands, server: TimeGPTServer
) -> str:
    """Return what went wrong in one case, "" when nothing known was bought again and every remedy worked and lasted."""
    ledger, cache, tables, is_revised, is_up = case
    house = put_together(world, folder, server.url, ledger=ledger, cache=cache, tables=tables, is_revised=is_revised)
    span = ("--start", FIRST, "--end", SECOND)
    asked = ("backfill", *span, "--assets", ROAD, *(["--force"] if is_revised else []))
    before, reasked = sum(server.counts.values()), False
    server.faults.extend([] if is_up else [status(500)] * 9)
    for _ in range(ROUNDS):
        said = house.says(commands, *asked)
        server.faults.clear()
        if sum(server.counts.values()) != before and not reasked:
            return f"{case}: a call was sent for what is known\n{said[-1500:]}"
        if said.endswith("exit 0"):
            break
        if torn := TORN.search(said):
            Path(torn[1]).unlink()
        elif "--reask" in said and not reasked:
            reasked = True
            house.says(commands, "forecast", *span, "--reask")
        else:
            return f"{case}: it says no remedy, or one that does not help\n{said[-1500:]}"
    paid = sum(server.counts.values())
    last = house.says(commands, *asked)
    if not last.endswith("exit 0") or sum(server.counts.values()) != paid or house.stored() != ROWS:
        return f"{case}: it did not last, {house.stored()} rows\n{last[-1500:]}"
    return ""


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "tables",
    [pytest.param(t, marks=pytest.mark.whole) if t in ("same", "older", "lost", "newer") else t for t in TABLES],
)
def test_whatever_ledger_cache_and_tables_are_nothing_known_is_bought_again_and_every_remedy_works(
    tables: str,
    commands: Commands,
    server: TimeGPTServer,
    world: Path,
    tmp_path: Path,
    repetitions: Callable[[int], int],
) -> None:
    pairs = dict.fromkeys([*product(LEDGERS, ["same"]), *product(["same"], CACHES)])
    cases = [
        (*pair, tables, is_revised, is_up)
        for pair in pairs
        for is_revised, is_up in product((False, True), (True, False))
    ]
    # where few are asked, others of each state of the tables
    first = 7 * TABLES.index(tables)
    cases = cases[first % len(cases) :] + cases[: first % len(cases)]
    found = []
    for n, case in enumerate(cases[:: len(cases) // repetitions(len(cases))]):
        found.append(wrong(world, tmp_path / f"case{n}", case, commands, server))
        shutil.rmtree(tmp_path / f"case{n}")
    assert [text for text in found if text] == []

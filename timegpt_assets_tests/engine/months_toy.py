"""A small graph with months in the middle of the road, whose rows say what they were made of.

Belongs here: its assets, and running it with the real engine. What must hold of it is in test_months.py.
"""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore, Partitions
from timegpt_assets.assets.declare import declared, stored_in
from timegpt_assets.core import calendar
from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import DAY, SYMBOL
from timegpt_assets.engine.call_budget import PaymentPlan
from timegpt_assets.engine.engine import Engine, Outcome, Rectangle, asset_nodes
from timegpt_assets.engine.lineages import lineage_records
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.io_managers import TableIOManager
from timegpt_assets.partitions import by_day, day_window, graph_context
from timegpt_assets_tests.roads import SMALL, load_runtime

SAYS = {"made_of": Column(pl.String, "digest of the name and of every row that was read")}
MONTH = {"month": Column(pl.String, "calendar month, YYYY-MM")}
TABLES = {
    "trading_day": Table(name="toy_day", columns=DAY | SAYS, key=("day",)),
    "day_symbol": Table(name="toy_grid", columns=DAY | SYMBOL | SAYS, key=("day", "symbol")),
    "month": Table(name="toy_month", columns=MONTH | SAYS, key=("month",)),
}
SYMBOLS = ("AAPL", "SPY")
Read = tuple[str, int, int]
"""How an input is read: ``same`` partition, ``day`` (all symbols of it), or a window of ``days`` or ``months``."""
SAME, BY_DAY, OWN_MONTH, THREE_BEFORE = ("same", 0, 0), ("day", 0, 0), ("months", 0, 0), ("months", -3, -1)


def _mapping(read: Read) -> dg.PartitionMapping | None:
    how, first, last = read
    if how == "months":
        return dg.TimeWindowPartitionMapping(
            start_offset=first, end_offset=last, allow_nonexistent_upstream_partitions=True
        )
    return {"same": None, "day": by_day(), "days": day_window(first, last)}[how]


GRAPH: Mapping[str, tuple[str, Mapping[str, Read]]] = {
    "bars/bars": ("day_symbol", {}),
    "toy/panel": ("trading_day", {"bars/bars": BY_DAY}),
    "toy/labels": ("day_symbol", {"bars/bars": SAME}),
    "toy/paid": ("trading_day", {"toy/panel": ("days", -1, 0)}),
    "toy/training_set": ("month", {"toy/panel": OWN_MONTH, "toy/labels": BY_DAY}),
    "toy/tree": ("month", {"toy/training_set": THREE_BEFORE}),
    "toy/net": ("month", {"toy/training_set": THREE_BEFORE, "toy/tree": SAME}),
    "toy/base_answers": ("trading_day", {"toy/panel": SAME, "toy/tree": OWN_MONTH, "toy/net": OWN_MONTH}),
    "toy/base_scores": ("trading_day", {"toy/base_answers": SAME}),
    "toy/policy": ("month", {"toy/base_scores": THREE_BEFORE, "toy/tree": SAME}),
    "toy/answers": ("trading_day", {"toy/base_answers": SAME, "toy/policy": OWN_MONTH}),
    "toy/forecasts": ("day_symbol", {"toy/answers": BY_DAY, "toy/paid": BY_DAY}),
    "toy/portfolio": ("trading_day", {"toy/forecasts": BY_DAY}),
    "toy/gate": ("month", {"toy/portfolio": ("months", -1, 0)}),
}
"""Asset -> kind and what it reads how."""
PAID = dg.AssetKey(["toy", "paid"])


@dataclass
class Purse:
    """Money for so many days, and for which it was spent."""

    days: int = 1_000
    spent: list[date] = field(default_factory=list)

    def payment_plan(self, days: Sequence[date], *, reask: bool = False) -> PaymentPlan:
        """Return the days that there is money for, in one run."""
        paid, self.days = tuple(days[: self.days]), max(0, self.days - len(days))
        self.spent += paid
        return PaymentPlan(runs=(paid,) if paid else (), pending=tuple(days[len(paid) :]), why="no money")


@dataclass
class Toy:
    """The graph on an instance of its own; ``late`` symbol days have no bars, ``fails`` names an asset that breaks."""

    folder: Path
    instance: dg.DagsterInstance
    late: set[str]
    fails: set[str] = field(default_factory=set)
    now: datetime = datetime(2025, 6, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        """Build the repository once."""
        self.runtime = load_runtime(
            self.folder,
            "universe.tickers=[AAPL]",
            "data.start_date=2024-12-02",
            "data.end_date=2025-05-30",
            base=SMALL,
            clock=lambda: self.now,
        )
        self.store, self.purse = ParquetStore(self.runtime.storage), Purse()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            assets = [_asset(self, name) for name in GRAPH]
        records = lineage_records(
            self.runtime.settings,
            {asset.key: set(asset.dependency_keys) for asset in assets},
            {asset.key: () for asset in assets},
        )
        manager = TableIOManager(
            store=self.store,
            tables={table.name: table for table in TABLES.values()},
            lineage=lambda key: records[key].lineage_id,
        )
        self.repository = dg.Definitions(assets=assets, resources={"io_manager": manager}).get_repository_def()
        self.nodes = asset_nodes(self.repository)

    def asked(self, *days: date, assets: Sequence[str] = tuple(GRAPH), **how: Any) -> Rectangle:
        """Return the rectangle of these days; what is not said is as a day's own run has it."""
        keys = tuple(key for key in self.nodes if key.to_user_string() in assets)
        first_day = graph_context(self.runtime.settings).grid.first_day
        said = {"paid": PAID, "first_day": first_day, "symbols": SYMBOLS} | how
        return Rectangle(days=days, all_symbols=SYMBOLS, assets=keys, **said)

    def run(self, *days: date, **how: Any) -> Outcome:
        """Make these days with the engine."""
        return self.engine.run(self.asked(*days, **how))

    @property
    def engine(self) -> Engine:
        """Return a new engine on the same records."""
        return Engine(
            runtime=self.runtime, repository=self.repository, instance=self.instance, budget_planner=self.purse
        )

    def rows(self) -> dict[str, str]:
        """Return what every stored row was made of, by asset and partition."""
        found = {}
        for name, (kind, _) in GRAPH.items():
            files = [
                path.stem
                for path in (self.runtime.path(self.runtime.settings.data.storage_root) / name).glob("*.parquet")
            ]
            frame = self.store.read(name, files, empty=TABLES[kind].empty())
            for row in frame.drop("lineage_id", strict=False).iter_rows():
                found[" ".join([name, *map(str, row[:-1])])] = row[-1]
        return found

    def key(self, name: str) -> dg.AssetKey:
        """Return the key of an asset."""
        return dg.AssetKey(name.split("/"))

    def forget(self, name: str, day: date) -> None:
        """Take a file away: whoever asks for its partitions has them made again."""
        next(self.folder.glob(f"**/{name}/{day}.parquet")).unlink()


def _asset(toy: Toy, name: str) -> dg.AssetsDefinition:
    kind, reads = GRAPH[name]
    group, _, own = name.partition("/")
    grid = graph_context(toy.runtime.settings).grid
    partitions = {"trading_day": grid.trading_day, "day_symbol": grid.day_symbol, "month": grid.month}[kind]
    ins = {
        read.replace("/", "_"): stored_in(*read.split("/")[:1], _mapping(how), name=read.split("/")[1], missing="ok")
        for read, how in reads.items()
    }

    @declared(TABLES[kind], name=own, group=group, partitions=partitions, settings=(), ins=ins)
    def asset(context: dg.AssetExecutionContext, **tables: pl.DataFrame) -> Partitions:
        if name in toy.fails:
            raise RuntimeError(f"{name} was told to fail.")
        facts = {key: {"verdict": "late" if key in toy.late else "ok"} for key in context.partition_keys}
        return Partitions(_rows(name, context.partition_keys, tables, toy.late), facts)

    return asset


def _rows(name: str, keys: Sequence[str], tables: Mapping[str, pl.DataFrame], late: set[str]) -> pl.DataFrame:
    kind, reads = GRAPH[name]
    found = []
    for key in keys:
        own = PartitionRef.of(key)
        read = [[*_inside(kind, own, how, tables[of.replace("/", "_")])] for of, how in reads.items()]
        digest = hashlib.sha256(repr([name, key, key in late, read]).encode()).hexdigest()[:12]
        where = {"month": f"{own.day:%Y-%m}"} if kind == "month" else {"day": own.day}
        found.append(where | ({"symbol": own.symbol} if own.symbol else {}) | {"made_of": digest})
    return pl.DataFrame(found, schema=TABLES[kind].schema)


def _inside(kind: str, own: PartitionRef, how: Read, table: pl.DataFrame) -> Iterator[Any]:
    """Yield the rows that are the partition's own to read, of those that a range is handed."""
    _, first, last = how
    months = own.day.year * 12 + own.day.month
    for row in table.drop("lineage_id", strict=False).sort(pl.all()).iter_rows():
        at = row[0] if isinstance(row[0], date) else date.fromisoformat(f"{row[0]}-01")
        if kind == "month" or isinstance(row[0], str):
            inside = first <= at.year * 12 + at.month - months <= last
        else:
            inside = calendar.shifted(own.day, first) <= at <= own.day
        if inside and (how != SAME or not own.symbol or row[1] == own.symbol):
            yield row


@contextmanager
def toy(folder: Path) -> Iterator[Toy]:
    """Yield the graph in a folder."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Toy(folder, instance, set())

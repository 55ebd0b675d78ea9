"""Many partitions in and out of a small Dagster graph: windows, the left edge, refusals, and what they leave behind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import (
    LazyPartitions,
    ParquetStore,
    Partitions,
    PartitionStream,
)
from timegpt_assets.core.schema import TIME, Column, Table, TableError
from timegpt_assets.io_managers import TableIOManager

DAYS = ("2025-01-16", "2025-01-17", "2025-01-21", "2025-01-22", "2025-01-23")
"""Five sessions: a weekend and a holiday lie in the middle."""
SYMBOLS = ("AAA", "BBB", "CCC")

DAY = dg.DailyPartitionsDefinition(
    start_date=DAYS[0],
    end_date="2025-02-01",
    timezone="America/New_York",
    exclusions=["0 0 * * 6", "0 0 * * 0", datetime(2025, 1, 20, tzinfo=UTC)],
)
DAY_SYMBOL = dg.MultiPartitionsDefinition({"day": DAY, "symbol": dg.StaticPartitionsDefinition(list(SYMBOLS))})
MONTH = dg.MonthlyPartitionsDefinition(start_date="2025-01-01", end_date="2025-03-01", timezone="America/New_York")

BARS = Table(
    name="bars",
    columns={
        "day": Column(pl.Date, "session"),
        "symbol": Column(pl.String, "ticker"),
        "ts": Column(TIME, "bar start"),
        "close": Column(pl.Float64, "USD"),
    },
    key=("day", "symbol", "ts"),
    rules={"close_positive": pl.col("close") > 0},
    open=True,
)
MONTHS = Table(
    name="months",
    columns={"month": Column(pl.String, "YYYY-MM"), "symbol": Column(pl.String, "ticker"), "n": Column(pl.Int64, "n")},
    key=("month", "symbol"),
)
TABLES = {table.name: table for table in (BARS, MONTHS)}

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # the partition mappings are in beta


def bars(keys: Sequence[str], *, price: float = 10.0) -> pl.DataFrame:
    """Return two minutes for each ``day|symbol`` key, in reverse order."""
    rows = [
        {"day": date.fromisoformat(key[:10]), "symbol": key[11:], "ts": at, "close": price + minute}
        for key in reversed(keys)
        for minute, at in enumerate([datetime(2025, 1, 1, 15, m, tzinfo=UTC) for m in (0, 1)])
    ]
    return pl.DataFrame(rows, schema=BARS.schema)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    return ParquetStore(LocalStore(tmp_path))


class Graph:
    """A graph of assets on one store and instance; ``run`` materialises a range of one of them."""

    def __init__(self, instance: dg.DagsterInstance, store: ParquetStore, *assets: dg.AssetsDefinition) -> None:
        manager = TableIOManager(store=store, tables=TABLES, lineage=lambda key: f"lineage of {key.to_user_string()}")
        self.definitions = dg.Definitions(assets=list(assets), resources={"io_manager": manager})
        self.job = self.definitions.resolve_implicit_global_asset_job_def()
        self.instance = instance

    def run(self, *assets: str, first: str | None = None, last: str | None = None) -> dg.ExecuteInProcessResult:
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last or first}
        return self.job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset.split("/")) for asset in assets],
            tags={key: value for key, value in tags.items() if value},
        )


def source(
    made: Callable[[Sequence[str]], Any] = bars, *, partitions: dg.PartitionsDefinition[Any] | None = DAY_SYMBOL
) -> dg.AssetsDefinition:
    """Return the asset bars/source, whose value is made of the run's partition keys."""

    @dg.asset(key=["bars", "source"], partitions_def=partitions, metadata={"table": "bars"})
    def asset(context: dg.AssetExecutionContext) -> Any:
        return made(context.partition_keys if partitions else [])

    return asset


def windowed(
    seen: list[Any],
    metadata: Mapping[str, Any],
    *,
    annotation: type[pl.DataFrame | Partitions | LazyPartitions] = pl.DataFrame,
) -> dg.AssetsDefinition:
    """Return an asset that reads the two sessions before its own as that type, and notes what it was handed."""
    window = dg.TimeWindowPartitionMapping(start_offset=-2, end_offset=-1)
    mapping = dg.MultiPartitionMapping(
        {
            "day": dg.DimensionPartitionMapping("day", window),
            "symbol": dg.DimensionPartitionMapping("symbol", dg.IdentityPartitionMapping()),
        }
    )
    inputs = {"value": dg.AssetIn(key=["bars", "source"], partition_mapping=mapping, metadata=metadata)}

    def asset(value: Any) -> pl.DataFrame:
        seen.append(value)
        return BARS.empty()

    asset.__annotations__["value"] = annotation
    decorated = dg.asset(
        key=["features", "windowed"], partitions_def=DAY_SYMBOL, metadata={"table": "bars"}, ins=inputs
    )
    return decorated(asset)


def keys_of(frame: pl.DataFrame) -> set[str]:
    return set(frame.select(pl.format("{}|{}", pl.col("day").cast(pl.String), "symbol")).to_series())


def test_a_range_run_stores_every_partition_with_rows_sorted_and_stamped(
    instance: dg.DagsterInstance, store: ParquetStore
) -> None:
    Graph(instance, store, source()).run("bars/source", first=f"{DAYS[1]}|AAA", last=f"{DAYS[3]}|BBB")

    frame = store.read("bars/source", DAYS[1:4], ["AAA", "BBB"])
    assert frame.columns == [*BARS.columns, "lineage_id"]
    assert frame["lineage_id"].unique().to_list() == ["lineage of bars/source"]
    assert frame.height == 12
    assert frame.equals(frame.sort("day", "symbol", "ts"))
    assert store.read_facts("bars/source", DAYS, missing="ok").keys() == {
        (d, s) for d in DAYS[1:4] for s in SYMBOLS[:2]
    }
    assert len(instance.get_materialized_partitions(dg.AssetKey(["bars", "source"]))) == 6


def test_a_run_that_writes_one_symbol_leaves_the_others(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    prices = iter([10.0, 50.0])
    graph = Graph(instance, store, source(lambda keys: bars(keys, price=next(prices))))
    graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[1]}|CCC")
    graph.run("bars/source", first=f"{DAYS[0]}|BBB", last=f"{DAYS[0]}|BBB")

    lowest = store.read("bars/source", DAYS[:2]).group_by("day", "symbol").agg(pl.col("close").min())
    assert lowest.filter(close=50.0).rows() == [(date.fromisoformat(DAYS[0]), "BBB", 50.0)]
    assert lowest.height == 6


@pytest.mark.parametrize("one_run", [True, False])
def test_a_windowed_range_run_is_handed_the_union_of_its_windows(
    instance: dg.DagsterInstance, store: ParquetStore, one_run: bool
) -> None:
    seen: list[pl.DataFrame] = []
    graph = Graph(instance, store, source(), windowed(seen, {}))
    whole = {"first": f"{DAYS[0]}|AAA", "last": f"{DAYS[4]}|CCC"}
    if one_run:
        graph.run("bars/source", "features/windowed", **whole)
        assert keys_of(seen[0]) == {f"{day}|{symbol}" for day in DAYS[:4] for symbol in SYMBOLS}
    graph.run("bars/source", **whole)
    graph.run("features/windowed", first=f"{DAYS[3]}|AAA", last=f"{DAYS[4]}|BBB")
    assert keys_of(seen[-1]) == {f"{day}|{symbol}" for day in DAYS[1:4] for symbol in SYMBOLS[:2]}
    assert seen[-1].equals(seen[-1].sort("day", "symbol", "ts"))
    empties = store.read_facts("features/windowed", [DAYS[4]], ["AAA", "BBB"])
    assert [facts["rows"] for facts in empties.values()] == [0, 0]


def test_at_the_left_edge_an_input_is_empty_and_typed(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    seen: list[pl.DataFrame] = []
    Graph(instance, store, source(), windowed(seen, {})).run("features/windowed", first=f"{DAYS[0]}|AAA")
    assert seen[0].is_empty()
    assert seen[0].schema == BARS.schema


def test_a_missing_upstream_partition_is_named(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    graph = Graph(instance, store, source(), windowed([], {}))
    graph.run("bars/source", first=f"{DAYS[1]}|AAA", last=f"{DAYS[1]}|BBB")
    with pytest.raises(dg.Failure, match=r"bars/source was .* 2025-01-17 CCC, 2025-01-21 AAA, 2025-01-21 BBB"):
        graph.run("features/windowed", first=f"{DAYS[3]}|AAA", last=f"{DAYS[3]}|CCC")


def test_an_input_that_may_be_missing_gives_what_is_there(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    seen: list[pl.DataFrame] = []
    graph = Graph(instance, store, source(), windowed(seen, {"missing": "ok", "columns": ["day", "symbol"]}))
    graph.run("bars/source", first=f"{DAYS[1]}|AAA", last=f"{DAYS[1]}|BBB")
    graph.run("features/windowed", first=f"{DAYS[3]}|AAA", last=f"{DAYS[3]}|CCC")
    assert keys_of(seen[0]) == {f"{DAYS[1]}|AAA", f"{DAYS[1]}|BBB"}
    assert seen[0].columns == ["day", "symbol"]


def test_facts_travel_by_partition_key_also_for_empty_partitions(
    instance: dg.DagsterInstance, store: ParquetStore
) -> None:
    seen: list[Partitions] = []

    def made(keys: Sequence[str]) -> Partitions:
        good = [key for key in keys if key.endswith("AAA")]
        return Partitions(bars(good), {key: {"verdict": "ok" if key in good else "no_data"} for key in keys})

    graph = Graph(instance, store, source(made), windowed(seen, {}, annotation=Partitions))
    graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[1]}|BBB")
    graph.run("features/windowed", first=f"{DAYS[2]}|AAA", last=f"{DAYS[2]}|BBB")
    assert seen[0].facts[f"{DAYS[0]}|AAA"] == {"rows": 2, "verdict": "ok"}
    assert seen[0].facts[f"{DAYS[1]}|BBB"] == {"rows": 0, "verdict": "no_data"}
    assert list(seen[0].facts) == [f"{day}|{symbol}" for day in DAYS[:2] for symbol in SYMBOLS[:2]]
    assert keys_of(seen[0].frame) == {f"{DAYS[0]}|AAA", f"{DAYS[1]}|AAA"}


def test_who_asks_is_told_under_what_each_partition_was_stored_without_a_row(
    instance: dg.DagsterInstance, store: ParquetStore
) -> None:
    seen: list[Partitions] = []
    asked = {"made_under": True, "columns": []}
    graph = Graph(instance, store, source(), windowed(seen, asked, annotation=Partitions))
    graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[1]}|AAA")
    graph.run("features/windowed", first=f"{DAYS[2]}|AAA")
    assert {facts["lineage_id"] for facts in seen[0].facts.values()} == {"lineage of bars/source"}
    assert list(seen[0].facts) == [f"{day}|AAA" for day in DAYS[:2]]
    assert seen[0].frame.is_empty()


def test_an_unknown_choice_in_an_input_is_refused(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    graph = Graph(instance, store, source(), windowed([], {"missing": "maybe"}))
    with pytest.raises(ValueError, match=r"input from bars/source says missing: 'maybe'. Say error or ok"):
        graph.run("features/windowed", first=f"{DAYS[3]}|AAA")


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda keys: bars([*keys, f"{DAYS[3]}|AAA"]), r"2025-01-22\|AAA"),
        (lambda keys: bars([*keys, f"{DAYS[0]}|CCC"]), r"2025-01-16\|CCC"),
        (lambda keys: Partitions(bars(keys), {f"{DAYS[4]}|AAA": {}}), r"2025-01-23\|AAA"),
    ],
    ids=["a foreign day", "a foreign symbol", "foreign facts"],
)
def test_rows_of_partitions_that_are_not_the_runs_are_refused_and_nothing_is_stored(
    instance: dg.DagsterInstance, store: ParquetStore, made: Callable[[Sequence[str]], Any], named: str
) -> None:
    with pytest.raises(dg.Failure, match=f"asset bars/source gave rows or facts of {named}.*context.partition_keys"):
        Graph(instance, store, source(made)).run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[1]}|BBB")
    assert not list(store.objects.root.rglob("*.parquet"))


def test_a_failed_write_leaves_other_partitions_untouched(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    prices = iter([10.0, -5.0])
    graph = Graph(instance, store, source(lambda keys: bars(keys, price=next(prices))))
    graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[1]}|BBB")
    before = {path: path.read_bytes() for path in store.objects.root.rglob("*.parquet")}
    assert len(before) == 2
    with pytest.raises(TableError, match="asset bars/source: table bars: rule close_positive broken by 8 rows"):
        graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[1]}|BBB")
    assert {path: path.read_bytes() for path in store.objects.root.rglob("*.parquet")} == before


def test_what_is_no_frame_and_a_table_that_is_not_declared_are_refused(
    instance: dg.DagsterInstance, store: ParquetStore
) -> None:
    with pytest.raises(TypeError, match=r"bars/source returned list\. Return a DataFrame, Partitions or"):
        Graph(instance, store, source(lambda _: [])).run("bars/source", first=f"{DAYS[0]}|AAA")

    @dg.asset(key=["bars", "nameless"], metadata={"table": "unheard"})
    def nameless() -> Any:
        return BARS.empty()

    with pytest.raises(TableError, match=r"bars/nameless names the table unheard, which is not declared.*core/tables/"):
        Graph(instance, store, nameless).run("bars/nameless")


def test_days_months_and_undivided_assets_have_one_partition_per_file(
    instance: dg.DagsterInstance, store: ParquetStore
) -> None:
    seen: dict[str, pl.DataFrame] = {}
    by_day = {
        "frame": dg.AssetIn(key=["bars", "source"], partition_mapping=dg.MultiToSingleDimensionPartitionMapping("day"))
    }
    of_days = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    @dg.asset(key=["features", "panel"], partitions_def=DAY, metadata={"table": "bars"}, ins=by_day)
    def panel(frame: pl.DataFrame) -> Any:
        return frame

    panel_in = {"frame": dg.AssetIn(key=["features", "panel"], partition_mapping=of_days, metadata={"missing": "ok"})}

    @dg.asset(key=["gates", "month"], partitions_def=MONTH, metadata={"table": "months"}, ins=panel_in)
    def month(context: dg.AssetExecutionContext, frame: pl.DataFrame) -> Any:
        seen["month"] = frame
        frame = frame.filter(pl.col("day").dt.strftime("%Y-%m-01").is_in(context.partition_keys))
        return frame.group_by(month=pl.col("day").dt.strftime("%Y-%m"), symbol="symbol").agg(n=pl.len().cast(pl.Int64))

    @dg.asset(key=["gates", "total"], metadata={"table": "months"}, ins={"frame": dg.AssetIn(key=["gates", "month"])})
    def total(frame: pl.DataFrame) -> Any:
        return Partitions(frame, {"all": {"months": frame["month"].n_unique()}})

    graph = Graph(instance, store, source(), panel, month, total)
    graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[4]}|CCC")
    graph.run("features/panel", first=DAYS[1], last=DAYS[4])
    graph.run("gates/month", first="2025-01-01", last="2025-02-01")
    graph.run("gates/total")

    assert {str(path.relative_to(store.objects.root)) for path in store.objects.root.glob("[fg]*/*/*.parquet")} == {
        *(f"features/panel/{day}.parquet" for day in DAYS[1:]),
        "gates/month/2025-01.parquet", "gates/month/2025-02.parquet", "gates/total/all.parquet",
    }  # fmt: skip
    assert seen["month"].columns == list(BARS.columns), "what is made from it is stamped with its own lineage"
    assert store.read("gates/month", ["2025-01"])["n"].to_list() == [8, 8, 8]
    made_under = {asset: {"lineage_id": f"lineage of gates/{asset}"} for asset in ("month", "total")}
    assert store.read_facts("gates/month", ["2025-02"]) == {("2025-02", "*"): {"rows": 0, **made_under["month"]}}
    assert store.read_facts("gates/total", ["all"]) == {("all", "*"): {"months": 1, "rows": 3, **made_under["total"]}}


def test_assets_mark_each_partition_themselves(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    @dg.asset(key=["bars", "marked"], partitions_def=DAY_SYMBOL, metadata={"table": "bars"})
    def marked(context: dg.AssetExecutionContext) -> Any:
        for i, key in enumerate(context.partition_keys):
            context.add_asset_metadata({"mark": i}, partition_key=key)
        return bars(context.partition_keys)

    result = Graph(instance, store, marked).run("bars/marked", first=f"{DAYS[0]}|AAA", last=f"{DAYS[1]}|BBB")
    events = result.asset_materializations_for_node("bars__marked")
    assert sorted(event.metadata["mark"].value for event in events) == [0, 1, 2, 3]  # type: ignore[arg-type]


def test_a_stored_asset_can_be_loaded_outside_a_run(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    graph = Graph(instance, store, source())
    graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[0]}|BBB")
    frame = graph.definitions.load_asset_value(
        dg.AssetKey(["bars", "source"]), instance=instance, partition_key=f"{DAYS[0]}|BBB"
    )
    assert keys_of(frame) == {f"{DAYS[0]}|BBB"}


def in_chunks(keys: Sequence[str], *, without: date | None = None) -> PartitionStream:
    """Return the bars of the keys one day at a time."""
    days = sorted({key[:10] for key in keys} - {str(without)})
    return PartitionStream(([day], Partitions(bars([key for key in keys if key[:10] == day]))) for day in days)


def test_blocks_store_the_same_bytes_as_all_rows_at_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    found = []
    for name, made in (("whole", bars), ("chunks", in_chunks)):
        own = ParquetStore(LocalStore(tmp_path / name))
        Graph(instance, own, source(made)).run("bars/source", first=f"{DAYS[1]}|AAA", last=f"{DAYS[3]}|BBB")
        files = sorted((tmp_path / name).rglob("*.parquet"))
        found.append({file.name: file.read_bytes() for file in files})
    assert found[0] == found[1]
    assert len(found[0]) == 3


def test_a_block_is_stored_before_the_next_one_is_made(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    seen: list[int] = []

    def made(keys: Sequence[str]) -> PartitionStream:
        def parts() -> Iterator[tuple[Sequence[str], Partitions]]:
            for day in sorted({key[:10] for key in keys}):
                seen.append(len(store.read_facts("bars/source", DAYS, missing="ok")))
                yield [day], Partitions(bars([key for key in keys if key[:10] == day]))

        return PartitionStream(parts())

    Graph(instance, store, source(made)).run("bars/source", first=f"{DAYS[1]}|AAA", last=f"{DAYS[3]}|BBB")
    assert seen == [0, 2, 4]


def test_a_day_without_a_block_is_an_error_that_names_it(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    made = partial(in_chunks, without=DAYS[2])
    with pytest.raises(dg.Failure, match=f"gave no chunk for {DAYS[2]}.AAA, {DAYS[2]}.BBB. Mend the asset's chunks"):
        Graph(instance, store, source(made)).run("bars/source", first=f"{DAYS[1]}|AAA", last=f"{DAYS[3]}|BBB")


def test_a_shelf_reads_a_day_when_it_is_asked_for(instance: dg.DagsterInstance, store: ParquetStore) -> None:
    seen: list[Any] = []
    graph = Graph(instance, store, source(), windowed(seen, {"missing": "ok"}, annotation=LazyPartitions))
    graph.run("bars/source", first=f"{DAYS[0]}|AAA", last=f"{DAYS[2]}|BBB")
    graph.run("features/windowed", first=f"{DAYS[2]}|AAA")
    (lazy,) = seen
    assert keys_of(lazy.of([DAYS[1]])) == {f"{DAYS[1]}|AAA"}
    assert set(lazy.facts) == {f"{DAYS[0]}|AAA", f"{DAYS[1]}|AAA"}
    assert pl.concat(lazy.chunks(1)).height == 4
    assert "lineage_id" not in lazy.of([DAYS[0]]).columns

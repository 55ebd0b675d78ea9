"""The whole road on gs://: bars, every table, lineage and report in a bucket are what they are on a disk.

The client is the real one, as dagster-gcp makes it; STORAGE_EMULATOR_HOST points it at the local server.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from timegpt_assets import resources, runtime
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets_tests.adapters.buckets import closing
from timegpt_assets_tests.engine.test_revisions import DAYS, HOUSE, REVISED, asked, at, deliver, obey, tick
from timegpt_assets_tests.roads import TINY, Road, road
from timegpt_assets_tests.servers.gcs import Fault, GCSServer

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

BARS, OURS = "vendor-bars", "our-tables"
IN_BUCKETS = (
    "data.source=gcs",
    f"data.bucket={BARS}",
    f"data.storage_root=gs://{OURS}/tables",
    f"data.artifacts_root=gs://{OURS}/artifacts",
    "forecast.cache_dir=artifacts/forecast_cache",
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GCSServer]:
    """Yield a local Cloud Storage that the process's own client talks to."""
    with GCSServer(BARS, OURS) as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        for client in (runtime.cloud_client, resources.bucket_client):
            client.cache_clear()
        with closing(runtime.cloud_client()), closing(resources.bucket_client()):
            yield running
        for client in (runtime.cloud_client, resources.bucket_client):
            client.cache_clear()


def upload(server: GCSServer, folder: Path) -> None:
    """Put the delivered files that differ into the bucket, as a vendor does."""
    for path in sorted(folder.rglob("*.parquet")):
        name, data = path.relative_to(folder).as_posix(), path.read_bytes()
        if name not in server.objects[BARS] or server.objects[BARS][name].data != data:
            server.put(BARS, name, data)


@contextmanager
def in_buckets(folder: Path, server: GCSServer) -> Iterator[Road]:
    """Yield a house that keeps nothing on disk but Dagster's records and the ledger."""
    deliver(folder / "source")
    upload(server, folder / "source")
    with road(folder, *HOUSE, *IN_BUCKETS, profile="dev", base=TINY, pictures=False) as of:
        yield of


def test_every_table_in_a_bucket_is_the_one_on_disk(tmp_path, server):
    """One day through every stage, with its history; the lineage ids differ in the source they name, and only there."""
    deliver(tmp_path / "disk" / "source")
    local = f"data.root={tmp_path / 'disk' / 'source'}"
    with road(tmp_path / "disk", *HOUSE, local, profile="dev", base=TINY, pictures=False) as disk:
        disk.run(DAYS[:2])
        expected = {n: t.drop("lineage_id") for n, t in disk.tables().items()}
    with in_buckets(tmp_path / "bucket", server) as of:
        of.run(DAYS[:2])
        objects = of.runtime.storage
        files = [
            name.removesuffix(".parquet").rpartition("/") for name, _ in objects.names() if name.endswith(".parquet")
        ]
        assets = {asset: [day for a, _, day in files if a == asset] for asset, _, _ in files}
        found = {asset: ParquetStore(objects).read(asset, days).drop("lineage_id") for asset, days in assets.items()}
        assert not (tmp_path / "bucket" / "data").exists()
        reports = {name for name, _ in of.runtime.artifacts.names("reports/")}
        files = ("report.html", "report.md", "robustness_report.md", "settings.json")
        assert reports == {f"reports/dev/2025-01/{name}" for name in files}
    assert found.keys() == expected.keys()
    assert len(found) > 20
    told = pl.col("value").str.contains("local|gcs")
    for tables in (found, expected):
        assert tables["reports/report"].filter(told).height == 1, "the report names the source of its bars"
        tables["reports/report"] = tables["reports/report"].filter(~told)
    for asset, frame in expected.items():
        assert found[asset].equals(frame), asset


def test_a_run_opens_each_month_s_object_once(tmp_path, server):
    with in_buckets(tmp_path, server) as of:
        of.run(DAYS, assets=("raw_bars",))
        opened = [one.name for one in server.requests if one.kind == "stat" and one.name.startswith("stocks/")]
        assert len(opened) == len(set(opened)) == 6


def test_the_sensor_sees_a_revised_object_by_its_generation(tmp_path, server):
    with in_buckets(tmp_path, server) as of:
        of.run(DAYS, assets=("bars",))
        _, cursor = tick(of, None)
        deliver(tmp_path / "source", revise=at(REVISED, 389, 0.5))
        upload(server, tmp_path / "source")
        server.faults["list"].extend([Fault("status", 403)])
        down, kept = tick(of, cursor)
        assert isinstance(down, dg.SkipReason)
        assert "cannot be read now" in down.skip_message
        assert kept == cursor
        said, cursor = tick(of, cursor)
        assert asked(said) == [f"{REVISED}|AAPL", f"{DAYS[2]}|AAPL"]
        obey(of, said)
        assert isinstance(tick(of, cursor)[0], dg.SkipReason)


def test_two_houses_on_one_bucket_do_not_lose_each_other_s_symbols(tmp_path, server):
    """As two machines would: each with records of its own, one bucket."""
    with in_buckets(tmp_path / "one", server) as one, in_buckets(tmp_path / "two", server) as two:
        one.run([DAYS[0]], symbols=["AAPL"], assets=("bars",))
        two.run([DAYS[0]], symbols=["META", "SPY"], assets=("bars",))
        facts = ParquetStore(one.runtime.storage).read_facts("bars/bars", [DAYS[0]])
        assert [symbol for _, symbol in facts] == ["AAPL", "META", "SPY"]

"""The verb metrics at the real command line: what Prometheus is given of a house, and of one without news."""

import json
from pathlib import Path

from click.testing import Result
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli import app as cli
from timegpt_assets_tests.core.tsfm.band_rows import band, bands
from timegpt_assets_tests.core.tsfm.market_rows import NOON
from timegpt_assets_tests.core.tsfm.outcome_rows import came
from timegpt_assets_tests.reports.pictures import newsrooms


def run(folder: Path, *words: str) -> Result:
    """Return what the verb says of the house in a folder."""
    return CliRunner().invoke(cli.app, ["metrics", "--profile", "demo", "--set", f"data.storage_root={folder}", *words])


def test_stored_bands_are_told_beside_the_news_as_the_service_tells_them(tmp_path: Path) -> None:
    store, outcomes = ParquetStore(LocalStore(tmp_path)), came([0.05, 0.0])
    store.write("tsfm/bands", str(NOON.date()), bands(*(band(minutes=5 * i) for i in range(2))))
    store.write("tsfm/tsfm_outcomes", str(NOON.date()), outcomes)
    told = run(tmp_path)
    assert told.exit_code == 0, told.output
    samples = [sample for family in text_string_to_metric_families(told.stdout) for sample in family.samples]
    found = {sample.name: sample.value for sample in samples}
    assert found == json.loads(run(tmp_path, "--json").stdout)["bands"]
    assert (found["coverage_rolling_high"], found["breach_followthrough_rate"]) == (0.0, 0.5)


def test_every_stored_session_counts_and_the_newest_is_told_as_json(tmp_path: Path) -> None:
    store, health = ParquetStore(LocalStore(tmp_path)), newsrooms.health()
    for day in newsrooms.DAYS:
        store.write("news/source_health", str(day), health.filter(day=day))
    told = run(tmp_path)
    assert told.exit_code == 0, told.output
    samples = [sample for family in text_string_to_metric_families(told.stdout) for sample in family.samples]
    (asked,) = [s.value for s in samples if s.name.endswith("attempts_total") and s.labels["source"] == "gdelt_files"]
    assert asked == health.filter(source="gdelt_files")["attempts"].sum() == 590
    found = json.loads(run(tmp_path, "--json").stdout)
    assert (found["profile"], found["sessions"]) == ("demo", 6)
    assert [row["day"] for row in found["sources"]] == [str(newsrooms.DAYS[-1])] * 3


def test_a_house_without_news_has_metrics_without_samples(tmp_path: Path) -> None:
    told = run(tmp_path)
    assert told.exit_code == 0, told.output
    families = [*text_string_to_metric_families(told.stdout)]
    assert families
    assert [family.name for family in families if family.samples] == []
    assert json.loads(run(tmp_path, "--json").stdout)["sources"] == []

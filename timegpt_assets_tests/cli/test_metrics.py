"""The verb metrics at the real command line: what Prometheus is given of a house, and of one without news."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from click.testing import Result
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

import timegpt_assets as ta
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.cli import app as cli
from timegpt_assets.cli import metrics as exposed
from timegpt_assets.core import calendar
from timegpt_assets.core.tables.bars import QUALITY
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.runtime import Runtime, account, ledger
from timegpt_assets_tests.core.tsfm.band_rows import band, bands
from timegpt_assets_tests.core.tsfm.market_rows import NOON
from timegpt_assets_tests.core.tsfm.outcome_rows import came
from timegpt_assets_tests.read_house import READ, ReadHouse
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


def told(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], float]:
    """Return what the verb prints of a house: name and values of labels -> value."""
    exposed.metrics(runtime, as_json=False)
    families = text_string_to_metric_families(capsys.readouterr().out)
    return {(s.name, " ".join(s.labels.values())): s.value for family in families for s in family.samples}


def test_a_house_that_pays_is_told_as_its_ledger_tables_and_log_say(
    read_house: ReadHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime(2025, 2, 3, 12, tzinfo=UTC)
    said = read_house.settings() | {"data.artifacts_root": str(tmp_path)}
    runtime = Runtime(settings=ta.open("dev", settings=said).settings, root=tmp_path, environment={}, clock=lambda: now)
    old, new = (now - timedelta(hours=hours) for hours in (30, 2))
    lines = [
        {"event": "day answered", "level": "info", "ts": at.isoformat(), "calls_used": 2, "calls_cached": cached}
        for at, cached in ((old, 50), (new, 6))
    ]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "forecast.log").write_text("\n".join([*map(json.dumps, lines), '{"event": "cut']))
    found, books = told(runtime, capsys), ledger(runtime)
    assert found["timegpt_assets_cache_hit_ratio", ""] == 6 / 8
    left = books.left(account(runtime.settings), "")
    assert found["timegpt_assets_calls_left", "per_day"] == left["per_day"]
    spent = {state: n for (name, state), n in found.items() if name == "timegpt_assets_calls" and "month" in state}
    assert sum(spent.values()) == sum(
        n for (period, _), n in books.counts(account(runtime.settings)).items() if period == "month"
    )
    store = ParquetStore(runtime.storage)
    made = store.read("calibration/forecasts", [READ[-1]])
    for who, count in made["forecaster"].value_counts().iter_rows():
        assert found["timegpt_assets_forecasts", who] == count
    assert (
        found["timegpt_assets_bars", "ok"] == store.read("bars/quality_report", [READ[-1]]).filter(verdict="ok").height
    )
    verdicts = pl.concat([store.read(f"gates/{name}", ["2025-01"]) for name in VERDICTS], how="diagonal")
    results = {key: n for (name, key), n in found.items() if name == "timegpt_assets_gate_criteria"}
    for passed, word in ((True, "passed"), (False, "refused")):
        counted = verdicts.filter(passed=passed).height
        assert sum(n for key, n in results.items() if word in key.split()) == counted > 0
    assert found["timegpt_assets_session_timestamp_seconds", "bars"] == calendar.session(READ[-1]).close.timestamp()


def test_a_scrape_reads_no_more_of_a_house_of_many_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Counting(LocalStore):
        """A folder that counts what is opened in it."""

        opened_names: ClassVar[list[str]] = []

        def opened(self, name: str) -> Any:
            """Open like any other."""
            self.opened_names.append(name)
            return super().opened(name)

    days = calendar.sessions(date(2024, 1, 2), date(2024, 12, 31))
    store = ParquetStore(Counting(tmp_path))
    one = QUALITY.empty()
    for session in days:
        store.write("bars/quality_report", str(session.day), one)
    Counting.opened_names.clear()
    assert exposed._newest(store, "quality_report").is_empty()
    assert set(Counting.opened_names) <= {file_name("bars/quality_report", days[-1].day)}


def test_a_house_without_news_has_metrics_without_samples(tmp_path: Path) -> None:
    told = run(tmp_path)
    assert told.exit_code == 0, told.output
    families = [*text_string_to_metric_families(told.stdout)]
    assert families
    assert [family.name for family in families if family.samples] == []
    assert json.loads(run(tmp_path, "--json").stdout)["sources"] == []

"""What answers were made under is read from the records of lineage as they lie; one that is gone says nothing."""

from dataclasses import asdict
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets.contract import made_under
from timegpt_assets.core.gates.contract import FIELDS
from timegpt_assets.core.lineage import Lineage

RECORD = Lineage(
    asset="forecasts/answers", profile="prod", code_version="1", config_digest="d", data_version="local",
    feature_payload_schema_version="1", feature_version="3", features_hash="h", model_name="timegpt-1",
    model_version="timegpt-1", parents={},
)  # fmt: skip
DAYS = [date(2025, 2, 3), date(2025, 2, 4), date(2025, 2, 5)]


def answers(*ids: str | None) -> Partitions:
    facts = {str(day): {"rows": 1} | ({"lineage_id": key} if key else {}) for day, key in zip(DAYS, ids, strict=True)}
    return Partitions(pl.DataFrame(), facts)


def test_each_session_is_told_the_fields_of_its_own_record(tmp_path: Path) -> None:
    book = LineageStore(LocalStore(tmp_path))
    now = book.record(RECORD)
    found = made_under(answers(now, "gone", None), book)
    assert list(found) == [DAYS[0]], "a record that is gone, and a file from before there were any, say nothing"
    assert {name: found[DAYS[0]][name] for name in FIELDS} == {name: asdict(RECORD)[name] for name in FIELDS}


def test_an_edited_record_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = LineageStore(LocalStore(tmp_path))
    now = book.record(RECORD)
    (file,) = tmp_path.rglob(f"{now}.json")
    file.write_text(file.read_text().replace('"feature_version":"3"', '"feature_version":"2"'))
    assert made_under(answers(now, now, now), book) == {}

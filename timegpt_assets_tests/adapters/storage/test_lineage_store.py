"""Records of lineage: an id is the digest of its record, and a file of which that is not true is set aside and said."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core.lineage import Lineage

RECORD = Lineage(
    asset="bars/bars",
    profile="dev",
    code_version="1",
    config_digest="c",
    data_version="local",
    feature_payload_schema_version="1",
    feature_version="f",
    features_hash="h",
    model_name="ridge",
    model_version="1",
    parents={"raw_bars": "0" * 16},
)


@pytest.fixture
def book(tmp_path: Path) -> LineageStore:
    book = LineageStore(LocalStore(tmp_path))
    book.record(RECORD)
    return book


STRAYS = {
    "0123456789abcdef.json": RECORD.as_json(),
    "notes.json": "{}",
    "torn.json": RECORD.as_json()[:40],
    "list.json": "[]",
    "more.json": '{"asset": "a", "and": "more"}',
    "empty.json": "",
    "deep.json": "[" * 100_000,
}


@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_file_is_set_aside_and_said(
    book: LineageStore, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "lineage" / name).write_text(STRAYS[name])
    with caplog.at_level(logging.WARNING):
        assert book.records() == {RECORD.lineage_id: RECORD}
        assert book.records() == {RECORD.lineage_id: RECORD}
    assert [line.startswith(f"lineage/{name} is no record of lineage") for line in caplog.messages] == [True]
    assert (tmp_path / "lineage" / "damaged" / name).read_text() == STRAYS[name]


def test_an_edited_record_is_not_believed_and_is_written_anew(book: LineageStore, tmp_path: Path) -> None:
    file = tmp_path / "lineage" / f"{RECORD.lineage_id}.json"
    edited = RECORD.as_json().replace('"dev"', '"prod"')
    file.write_text(edited)
    assert book.records() == {}
    assert (tmp_path / "lineage" / "damaged" / file.name).read_text() == edited
    file.write_text(edited)
    assert book.record(RECORD) == RECORD.lineage_id
    assert book.records() == {RECORD.lineage_id: RECORD}


def test_a_record_brings_those_it_leads_to_and_comes_back_when_its_own_file_is_gone(tmp_path: Path) -> None:
    first = replace(RECORD, asset="bars/raw_bars", parents={})
    second = replace(RECORD, parents={"raw_bars": first.lineage_id})
    by_id = {record.lineage_id: record for record in (first, second)}
    book = LineageStore(LocalStore(tmp_path))
    assert book.record_road(by_id, second.lineage_id) == second.lineage_id
    assert book.records() == by_id
    (tmp_path / "lineage" / f"{second.lineage_id}.json").unlink()
    book.record_road(by_id, second.lineage_id)
    assert book.records() == by_id

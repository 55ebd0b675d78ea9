"""The record of what was tried: the same again is no other, nothing is taken out, and damage is never forgotten."""

from datetime import date
from pathlib import Path
from threading import Thread

import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.trial_store import TrialStore

FIRST, LAST, LATER = date(2025, 1, 2), date(2025, 1, 31), date(2025, 2, 28)


def test_the_same_sweep_again_tries_nothing_new(tmp_path: Path) -> None:
    trials = TrialStore(LocalStore(tmp_path))
    for _ in range(2):
        trials.record(FIRST, LAST, {"ridge": ["b", "a"], "zero": ["a"]})
    assert trials.tried().rows() == [
        ("sweep", FIRST, LAST, "ridge", "a"),
        ("sweep", FIRST, LAST, "ridge", "b"),
        ("sweep", FIRST, LAST, "zero", "a"),
    ]


def test_names_are_added_by_forecaster_and_span_and_none_is_lost(tmp_path: Path) -> None:
    trials = TrialStore(LocalStore(tmp_path))
    assert trials.tried().is_empty()
    trials.record(FIRST, LAST, {"ridge": ["a"]})
    trials.record(FIRST, LAST, {"ridge": ["b"], "zero": ["a"]})
    trials.record(FIRST, LATER, {"ridge": ["a"]})
    found = trials.tried()
    assert found.filter(last_day=LAST, forecaster="ridge")["combination"].to_list() == ["a", "b"]
    assert found.filter(last_day=LATER)["combination"].to_list() == ["a"]
    assert found.height == 4


def test_kinds_stand_beside_each_other_and_files_of_before_there_were_kinds_are_sweeps(tmp_path: Path) -> None:
    trials = TrialStore(LocalStore(tmp_path))
    old = tmp_path / "trials" / f"{FIRST}_{LAST}.json"
    old.parent.mkdir()
    old.write_text('{"ridge": ["a"]}')
    trials.record(FIRST, LAST, {"ridge": ["b"]})
    for _ in range(2):
        trials.record(FIRST, LAST, {"ridge": ["a"]}, kind="search")
    trials.record(FIRST, LATER, {"timegpt": ["a"]}, kind="forecast_grid")
    assert trials.tried().select("kind", "last_day", "forecaster", "combination").rows() == [
        ("forecast_grid", LATER, "timegpt", "a"),
        ("search", LAST, "ridge", "a"),
        ("sweep", LAST, "ridge", "a"),
        ("sweep", LAST, "ridge", "b"),
    ]


def test_two_sweeps_at_once_lose_none_of_each_other(tmp_path: Path) -> None:
    threads = [
        Thread(target=TrialStore(LocalStore(tmp_path)).record, args=(FIRST, LAST, {"ridge": [f"{n:02}"]}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert TrialStore(LocalStore(tmp_path)).tried()["combination"].to_list() == [f"{n:02}" for n in range(8)]


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"ridge": [1]}', b"\xff\xfe", b'{"ridge": ["a"'])
def test_a_record_that_cannot_be_read_is_refused_and_stays_as_it_is(tmp_path: Path, damage: bytes) -> None:
    trials = TrialStore(LocalStore(tmp_path))
    file = tmp_path / "trials" / f"{FIRST}_{LAST}.json"
    file.parent.mkdir()
    file.write_bytes(damage)
    for use in (lambda: trials.record(FIRST, LAST, {"ridge": ["a"]}), trials.tried):
        with pytest.raises(StoreError, match=r"is no record of what was tried.*Restore it from a backup"):
            use()
    assert file.read_bytes() == damage


@pytest.mark.parametrize(
    "name", ["notes.json", "2025-01-02.json", "guess/2025-01-02_2025-01-31.json", "search/x_y.json"]
)
def test_a_file_whose_name_says_no_kind_or_span_is_refused_by_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / "trials" / name
    file.parent.mkdir(parents=True)
    file.write_text('{"ridge": ["a"]}')
    with pytest.raises(StoreError, match=rf"{name} is no record of what was tried.*Restore it from a backup"):
        TrialStore(LocalStore(tmp_path)).tried()
    file.rename(tmp_path / "moved_away.json")
    assert TrialStore(LocalStore(tmp_path)).tried().is_empty()

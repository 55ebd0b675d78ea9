"""The record of rollouts: what was refused while it was written is not in it, and of two at once one is refused."""

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.storage.chained_record import ClockWentBack, RecordBroken
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.rollout_record import NAME, RolloutRecord
from timegpt_assets.core.rollout import phases
from timegpt_assets.core.rollout.phases import CANARY, SHADOW, RolloutRefused

AT = datetime(2025, 3, 3, 12, tzinfo=UTC)


def record(folder: Path) -> RolloutRecord:
    return RolloutRecord(LocalStore(folder))


def step(folder: Path, phase: str, at: datetime, allowed=lambda known: None) -> None:
    said = {"forecaster": "size", "phase": phase, "share": 0, "who": "me", "why": "because", "evidence": {"n": 1}}
    record(folder).add(phases.START, **said, allowed=allowed, clock=lambda: at)


def advancing(folder: Path, seen: phases.Standing, told) -> None:
    try:
        step(
            folder,
            CANARY,
            AT + timedelta(hours=1),
            lambda known: phases.refuse_moved(phases.found(known, "size"), seen),
        )
        told.put("recorded")
    except RolloutRefused as refused:
        told.put(str(refused))


def test_of_two_that_advance_at_once_the_second_is_refused(tmp_path: Path) -> None:
    step(tmp_path, SHADOW, AT)
    seen = phases.found(record(tmp_path).recorded(), "size")
    forked = multiprocessing.get_context("spawn")
    told = forked.Queue()
    both = [forked.Process(target=advancing, args=(tmp_path, seen, told)) for _ in range(2)]
    for process in both:
        process.start()
    said = sorted(told.get(timeout=60) for _ in both)
    for process in both:
        process.join()
    assert said[0] == "recorded"
    assert said[1].startswith("size was moved to canary at 2025-03-03 13:00:00 UTC meanwhile, by me.")
    assert record(tmp_path).recorded()["phase"].to_list() == [SHADOW, CANARY]


def test_what_is_refused_is_not_recorded(tmp_path: Path) -> None:
    step(tmp_path, SHADOW, AT)
    before = record(tmp_path).entries()
    with pytest.raises(RolloutRefused, match="has begun"):
        step(tmp_path, SHADOW, AT, lambda known: phases.refuse_started(known, "size"))
    with pytest.raises(ClockWentBack, match="Set the clock right"):
        step(tmp_path, CANARY, AT - timedelta(seconds=1))
    assert record(tmp_path).entries() == before
    assert record(tmp_path).recorded().row(0) == (AT, "start", "size", SHADOW, 0, "me", "because")


def test_a_record_that_was_edited_is_refused_and_added_to_by_nobody(tmp_path: Path) -> None:
    step(tmp_path, SHADOW, AT)
    file = tmp_path / NAME
    file.write_bytes(file.read_bytes().replace(b'"shadow"', b'"full"'))
    for ask in (lambda: record(tmp_path).recorded(), lambda: step(tmp_path, CANARY, AT)):
        with pytest.raises(RecordBroken, match=r"Restore it and its .head from a backup"):
            ask()
    assert record(tmp_path / "elsewhere").recorded().equals(pl.DataFrame(schema=phases.RECORDED))

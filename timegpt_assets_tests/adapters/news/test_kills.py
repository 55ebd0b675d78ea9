"""Whoever delivers news may be killed at any moment: nothing that was kept is asked twice, and nothing is torn.

Every run kills real processes at work, starts another, and compares with what nobody disturbed.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.news.attempts import AttemptLog
from timegpt_assets.adapters.news.breaker import OPEN
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets_tests.adapters.crashes import killed
from timegpt_assets_tests.adapters.news.askers import DAY
from timegpt_assets_tests.adapters.news.deliverers import Nursery, Task, delivering, nursery
from timegpt_assets_tests.servers.gdelt import GdeltServer, too_many

SEARCHED, FILES = 2, 6
QUESTIONS = SEARCHED + FILES


@dataclass(kw_only=True)
class Tally:
    """What the runs came to."""

    runs: int = 0
    done_before: int = 0
    kept: int = 0
    asked: int = 0
    asked_again: int = 0
    refused: int = 0


@pytest.fixture(scope="module")
def young() -> Iterator[Nursery]:
    with nursery() as made:
        yield made


def kept(folder: Path) -> dict[str, str]:
    """Return question -> sha256 of everything that is kept; every body is read and verified."""
    raw = RawStore(LocalStore(folder))
    found = {answer.asked: answer.content_hash for name in ("gdelt_doc", "gdelt_files") for answer in raw.listed(name)}
    for content_hash in found.values():
        raw.body(content_hash)
    return found


def asked_of(server: GdeltServer) -> Counter[str]:
    """Return how often each question was received, by the name it has with us."""
    found: Counter[str] = Counter()
    for one, times in server.counts.items():
        found[one.rpartition("/")[2] if "gdeltv2" in one else one.partition("query=")[2].split('"')[1]] += times
    return found


def names(found: dict[str, str]) -> set[str]:
    """Return the kept questions by the names that ``asked_of`` gives them."""
    return {one.split('"')[1] if '"' in one else one for one in found}


@pytest.mark.timeout(3600)
def test_a_process_killed_at_any_moment_loses_at_most_the_question_it_was_at(
    young: Nursery, repetitions: Callable[[int], int], tmp_path: Path
) -> None:
    chance, tally, wanted = random.Random(20240701), Tally(), repetitions(160)
    while tally.runs < wanted:
        folder = tmp_path / f"{tally.runs}-{tally.done_before}"
        folder.mkdir()
        crash(young, folder, chance, tally)
    print(tally)  # noqa: T201 - the counts are the proof
    assert tally.kept > 0, "nothing was kept before a kill, so nothing was tried"
    assert tally.kept < tally.runs * QUESTIONS, "no kill came early, so nothing was tried"
    assert tally.asked_again <= 2 * tally.runs


def crash(young: Nursery, folder: Path, chance: random.Random, tally: Tally) -> None:
    """Kill one or two processes at work, deliver again, and hold what was asked against what was kept."""
    with GdeltServer(per_hour=0.5, delay_s=0.002) as server:
        tasks = [Task(url=server.url, folder=str(folder), run=f"doomed-{i}") for i in range(chance.randint(1, 2))]
        if is_refused := chance.random() < 0.3:
            server.rule = lambda asked: too_many() if "doc" in asked else None
        pids = [young.start(task) for task in tasks]
        wait_for(server, chance)
        if not killed(pids):
            tally.done_before += 1
            return
        found, before, was_open = kept(folder), asked_of(server), is_open(folder)
        resumed = Task(url=server.url, folder=str(folder), run="resumed")
        rows = young.finished(resumed, young.start(resumed))
        after = asked_of(server)
        assert [row["failed"] for row in rows].count(None) == (FILES if is_refused else QUESTIONS)
        assert {row["asked"]: row["content_hash"] for row in rows if not row["failed"]} == kept(folder)
        assert kept(folder).items() >= found.items(), "what was kept is kept as it was"
        assert not set(after - before) & names(found), "what was answered and kept was asked again"
        if was_open:
            assert not [one for one in after - before if not one.endswith(".zip")], "who refused was asked again"
        again = sum(after.values()) - len(after)
        assert again <= len(tasks), "more was asked twice than could have been under way"
        third = replace(resumed, run="third")
        later = young.finished(third, young.start(third))
        assert [row for row in later if not row["failed"]] == [row for row in rows if not row["failed"]]
        assert asked_of(server) == after
        sent = AttemptLog(LocalStore(folder)).read([DAY]).filter(pl.col("outcome") != "held").height
        assert sum(after.values()) - len(tasks) <= sent <= sum(after.values()), "attempts are on record"
    tally.runs, tally.kept = tally.runs + 1, tally.kept + len(found)
    tally.asked, tally.asked_again = tally.asked + sum(after.values()), tally.asked_again + again
    tally.refused += was_open


def wait_for(server: GdeltServer, chance: random.Random) -> None:
    """Return at a random moment after a random number of questions."""
    until, nth = time.monotonic() + 1.0, chance.randint(0, QUESTIONS)
    while len(server.asked) < nth and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(chance.uniform(0, 0.03))


def is_open(folder: Path) -> bool:
    """Return whether the search's breaker is open."""
    record = folder / "news" / "breakers" / "gdelt_doc.json"
    return record.exists() and json.loads(record.read_bytes())["state"]["breaker"] == OPEN


def test_two_processes_at_once_ask_everything_once_and_deliver_the_same(young: Nursery, tmp_path: Path) -> None:
    with GdeltServer(per_hour=0.5, delay_s=0.002) as server:
        tasks = [Task(url=server.url, folder=str(tmp_path), run=f"one of four-{i}") for i in range(4)]
        pids = [young.start(task) for task in tasks]
        first, *others = (young.finished(task, pid) for task, pid in zip(tasks, pids, strict=True))
        assert others == [first] * 3
        assert set(asked_of(server).values()) == {1}
        assert len(first) == QUESTIONS


def test_of_two_processes_one_probes(young: Nursery, tmp_path: Path) -> None:
    with GdeltServer(per_hour=0.5, delay_s=0.002) as server:
        server.rule = lambda asked: too_many() if "doc" in asked else None
        delivering(Task(url=server.url, folder=str(tmp_path), run="refused")).deliver([DAY])
        searched = [one for one in server.asked if "doc" in one]
        assert len(searched) == 1
        tasks = [Task(url=server.url, folder=str(tmp_path), run=f"p{i}", seconds_later=1800.0) for i in range(4)]
        pids = [young.start(task) for task in tasks]
        for task, pid in zip(tasks, pids, strict=True):
            rows = young.finished(task, pid)
            assert [row["failed"] is None for row in rows].count(False) == 2
        assert len([one for one in server.asked if "doc" in one]) == 2, "one probe, and nobody else"

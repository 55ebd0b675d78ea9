"""Paid answers carried from machine to machine, checked, and found again by a ledger that was lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt import cache_care
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.servers.timegpt import TimeGPTServer


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=20) as running:
        yield running


def test_an_exported_cache_answers_offline_on_another_machine_even_after_a_bar_was_revised(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    here = timegpt(server.url, tmp_path / "here")
    rows = here.answers([frame(14), frame(15)], budget_run_id="a").rows
    carried = ForecastCache(LocalStore(tmp_path / "carried"))
    assert cache_care.exported(here.cache, here.ledger, server.host, carried).copied == 3
    assert cache_care.exported(here.cache, here.ledger, server.host, carried).copied == 0
    there = timegpt(server.url, tmp_path / "there", api_mode="offline", profile="offline", api_key=None)
    report = cache_care.imported(there.cache, there.ledger, server.host, carried)
    assert (report.copied, report.entered, report.damaged) == (3, 3, [])
    assert there.answers([frame(14), frame(15)], budget_run_id="b").rows.equals(rows)
    revised = there.answers([frame(14, rows=80)], budget_run_id="b")
    assert revised.rows["stale_input"].all(), "the snapshot is known by more than its bytes"
    assert sum(server.counts.values()) == 3


def test_a_lost_ledger_is_filled_again_from_the_cache(server: TimeGPTServer, tmp_path: Path) -> None:
    first = timegpt(server.url, tmp_path)
    first.answers([frame(14)], budget_run_id="a")
    lost = BudgetLedger(f"sqlite:///{tmp_path / 'new.db'}", clock=first.clock)
    assert cache_care.verified(first.cache, lost, server.host).entered == 2
    assert cache_care.verified(first.cache, lost, server.host).entered == 0
    other = timegpt(server.url, tmp_path, ledger=lost)
    again = other.answers([frame(14, rows=80)], budget_run_id="b")
    assert (again.sent, again.rows["stale_input"].all()) == (0, True)


def test_an_import_never_replaces_an_answer_that_stands(server: TimeGPTServer, tmp_path: Path) -> None:
    theirs, ours = timegpt(server.url, tmp_path / "theirs"), timegpt(server.url, tmp_path / "ours")
    theirs.answers([frame(14, rows=80)], budget_run_id="a")
    mine = ours.answers([frame(14)], budget_run_id="a").rows
    carried = ForecastCache(LocalStore(tmp_path / "carried"))
    cache_care.exported(theirs.cache, theirs.ledger, server.host, carried)
    report = cache_care.imported(ours.cache, ours.ledger, server.host, carried)
    assert report.copied == 1
    assert ours.answers([frame(14)], budget_run_id="b").rows.equals(mine)


def test_a_damaged_answer_is_told_and_not_carried(server: TimeGPTServer, tmp_path: Path) -> None:
    here = timegpt(server.url, tmp_path)
    here.answers([frame(14)], budget_run_id="a")
    damaged = next((tmp_path / "cache").glob("*/[0-9a-f][0-9a-f]/*.zst"))
    damaged.write_bytes(damaged.read_bytes()[:-3])
    report = cache_care.exported(here.cache, here.ledger, server.host, ForecastCache(LocalStore(tmp_path / "carried")))
    assert report.copied == 1
    assert [damaged.stem in text for text in report.damaged] == [True]
    assert cache_care.stats(here.cache, here.ledger, server.host).answers == 1

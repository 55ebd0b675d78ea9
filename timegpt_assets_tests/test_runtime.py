"""What a process runs with: the ledger lies where its own setting says, and is never silently begun anew."""

from pathlib import Path

import pytest

from timegpt_assets.adapters.call_errors import LedgerUnusable
from timegpt_assets.adapters.ledger.ledger import LedgerEntry
from timegpt_assets.runtime import Runtime, account, ledger
from timegpt_assets_tests.roads import load_runtime


def left(runtime: Runtime) -> int:
    return ledger(runtime).left(account(runtime.settings), "run")["per_day"]


def test_moving_the_cache_moves_no_ledger(tmp_path: Path) -> None:
    here = load_runtime(tmp_path)
    ledger(here).reserve([LedgerEntry("forecast", "hash", "key", {})], account(here.settings), budget_run_id="run")
    moved = load_runtime(tmp_path, "forecast.cache_dir=elsewhere/cache")
    assert left(moved) == left(here) == here.settings.forecast.api_budget.per_day - 1


def test_an_earlier_ledger_beside_the_cache_is_named_and_both_remedies_work(tmp_path: Path) -> None:
    there = "forecast.cache_dir=big/cache"
    earlier = load_runtime(tmp_path, there, "forecast.api_budget.ledger_file=big/call_ledger.sqlite")
    ledger(earlier).reserve([LedgerEntry("forecast", "h", "k", {})], account(earlier.settings), budget_run_id="run")
    with pytest.raises(LedgerUnusable, match=r"lies at .*big/call_ledger\.sqlite.* would be forgotten\. Set") as told:
        ledger(load_runtime(tmp_path, there))
    setting = str(told.value).rpartition("Set ")[2].partition(", or move")[0]
    assert left(load_runtime(tmp_path, there, setting)) == left(earlier)
    here_left = left(earlier)
    ledger(earlier).store.close()
    (tmp_path / "artifacts").mkdir()
    for file in (tmp_path / "big").glob("call_ledger.sqlite*"):
        file.rename(tmp_path / "artifacts" / file.name)
    assert left(load_runtime(tmp_path, there)) == here_left

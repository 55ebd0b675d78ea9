"""What a process runs with: the ledger lies where its own setting says, and is never silently begun anew."""

import hashlib
import os
from pathlib import Path

import pytest

from timegpt_assets.adapters.call_errors import LedgerUnusable
from timegpt_assets.adapters.ledger.ledger import LedgerEntry
from timegpt_assets.runtime import Runtime, account, forecast_cache, ledger
from timegpt_assets.runtime import load_runtime as loaded
from timegpt_assets.runtime_news import news_sources
from timegpt_assets_tests.roads import load_runtime


def left(runtime: Runtime) -> int:
    return ledger(runtime).left(account(runtime.settings), "run")["per_day"]


def test_a_key_in_env_is_there_before_anything_is_asked_and_the_process_s_own_stands_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs" / "profiles").mkdir(parents=True)
    (tmp_path / "configs" / "data.yaml").write_text("start_date: 2025-01-02\n")
    (tmp_path / ".env").write_text("# keys\nTIMEGPT_API_KEY='of-the-file$1'\nexport TIMEGPT_ASSETS_PROFILE=dev\n")
    monkeypatch.chdir(tmp_path)
    for name in ("TIMEGPT_API_KEY", "TIMEGPT_ASSETS_PROFILE", "TIMEGPT_ASSETS_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    runtime = loaded()
    assert (runtime.settings.profile, runtime.environment["TIMEGPT_API_KEY"]) == ("dev", "of-the-file$1")
    assert "TIMEGPT_API_KEY" not in os.environ, "a process that is started for something else is handed none"
    assert runtime.redacted("a of-the-file$1 b") == "a [REDACTED] b"
    assert "of-the-file" not in repr(runtime)
    monkeypatch.setenv("TIMEGPT_API_KEY", "of-the-process")
    assert loaded().environment["TIMEGPT_API_KEY"] == "of-the-process"


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


def paid(runtime: Runtime) -> set[Path]:
    """Have something paid for with the runtime's own parts, and return the files of ledger and cache."""
    host = account(runtime.settings).host
    left(runtime)
    forecast_cache(runtime).write(host, hashlib.sha256(b"one").hexdigest(), {}, b"answer")
    files = {path for path in (runtime.root / "artifacts").rglob("*") if path.is_file()}
    assert len(files) >= 3, "the ledger, its journal, an answer"
    return files


def test_ledger_and_cache_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    files = paid(load_runtime(tmp_path))
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_ledger_and_a_cache_that_others_could_read_are_closed_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paid(load_runtime(tmp_path))
    assert caplog.messages == []
    ledger_file, answers = (tmp_path / "artifacts" / name for name in ("call_ledger.sqlite", "forecast_cache"))
    ledger_file.chmod(0o644)
    (answers / "api.nixtla.io").chmod(0o755)
    for _ in range(2):
        paid(load_runtime(tmp_path))
        assert [path.partition(" was open to others")[0] for path in caplog.messages] == [
            f"{ledger_file}",
            f"{answers / 'api.nixtla.io'}",
        ]
    assert (ledger_file.stat().st_mode & 0o777, (answers / "api.nixtla.io").stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_folder_that_is_taken_for_the_ledger_is_refused_and_stays_as_open_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    with pytest.raises(LedgerUnusable, match="shared: unable to open database file"):
        left(load_runtime(tmp_path, "forecast.api_budget.ledger_file=shared"))
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o755


def test_sources_of_news_are_asked_by_their_tier_and_within_one_in_the_order_they_are_listed(tmp_path: Path) -> None:
    listed = "news.sources=[gdelt_doc, own, gdelt_files, calendar, fred]"
    by_tier = ["calendar", "fred", "own", "gdelt_doc", "gdelt_files"]
    assert [source.name for source in news_sources(load_runtime(tmp_path, listed)).listed] == by_tier
    other = load_runtime(tmp_path, listed, "news.source.gdelt_files.tier=1")
    assert [source.name for source in news_sources(other).listed][:3] == ["gdelt_files", "calendar", "fred"]

"""What this ledger sealed was asked from here, when it says: restored it stays as it was, forged it is never live."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from timegpt_assets.adapters.call_errors import AnswerLost, CacheDamaged
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt import cache_care
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.adapters.timegpt.test_money_cases import backed_up, forged
from timegpt_assets_tests.servers.timegpt import Fault, TimeGPTServer

IN_TIME = datetime(2024, 7, 2, 13, tzinfo=UTC)
"""Before the session after that of the frames opens."""


@dataclass
class Clock:
    """The clock of this machine, set by hand."""

    at: datetime = IN_TIME

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=20) as running:
        running.date = format_datetime(IN_TIME, usegmt=True)
        yield running


def prod(server: TimeGPTServer, folder: Path, **settings: Any) -> TimeGPT:
    usual = {"profile": "prod", "trusted_hosts": (server.host,), "clock": Clock()}
    return timegpt(server.url, folder, **{**usual, **settings})


def regimes(forecaster: TimeGPT, *hours: int) -> list[str]:
    rows = forecaster.answers([frame(hour) for hour in hours], budget_run_id="run").rows
    return rows.group_by("snapshot_ts", maintain_order=True).first()["data_regime"].to_list()


def put_back(folder: Path, older: Path) -> None:
    """Restore the ledger from a backup."""
    for file in folder.glob("ledger.db*"):
        file.unlink()
    shutil.copy(older, folder / "ledger.db")


def test_answers_that_an_older_ledger_forgot_are_live_and_booked_as_they_were(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    asking = prod(server, tmp_path, limits={"price_per_call": 2.0})
    asking.answers([frame(14)], budget_run_id="first")
    backed_up(tmp_path / "ledger.db", tmp_path / "older.db")
    before = asking.answers([frame(14), frame(15), frame(16)], budget_run_id="second")
    booked = asking.ledger.view(asking.account)
    put_back(tmp_path, tmp_path / "older.db")
    after = prod(server, tmp_path, limits={"price_per_call": 2.0}, clock=Clock(IN_TIME + timedelta(days=90)))
    again = after.answers([frame(14), frame(15), frame(16)], budget_run_id="third")
    assert (again.sent, again.rows.equals(before.rows)) == (0, True)
    assert again.rows["data_regime"].unique().to_list() == ["prod_live"]
    told = after.ledger.view(after.account)
    assert [told[name] for name in ("spent", "spent_money", "by_day", "by_run")] == [
        booked[name] for name in ("spent", "spent_money", "by_day", "by_run")
    ]


def test_an_import_is_live_where_it_was_sealed_and_nowhere_else(server: TimeGPTServer, tmp_path: Path) -> None:
    here, there = prod(server, tmp_path / "here"), prod(server, tmp_path / "there")
    there.answers([frame(14)], budget_run_id="a")
    backed_up(tmp_path / "there" / "ledger.db", tmp_path / "older.db")
    there.answers([frame(15)], budget_run_id="b")
    carried = ForecastCache(LocalStore(tmp_path / "carried"))
    cache_care.exported(there.cache, there.ledger, server.host, carried)
    cache_care.imported(here.cache, here.ledger, server.host, carried)
    assert regimes(here, 14, 15) == ["maintenance_replay"] * 2
    shutil.rmtree(tmp_path / "there" / "cache")
    put_back(tmp_path / "there", tmp_path / "older.db")
    back = prod(server, tmp_path / "there")
    cache_care.imported(back.cache, back.ledger, server.host, carried)
    assert regimes(back, 14, 15) == ["prod_live"] * 2
    assert server.counts["/v2/forecast"] == 2


def test_bytes_laid_under_a_call_whose_answer_was_lost_are_not_live(server: TimeGPTServer, tmp_path: Path) -> None:
    asking = prod(server, tmp_path, on_ambiguous="fail")
    asking.answers([frame(14)], budget_run_id="a")
    server.faults.append(Fault(kind="reset_after"))
    with pytest.raises(AnswerLost):
        asking.answers([frame(15)], budget_run_id="b")
    (lost,) = (call for call in asking.ledger.calls(asking.account) if call["state"] == "UNKNOWN")
    elsewhere = prod(server, tmp_path / "elsewhere")
    elsewhere.answers([frame(15)], budget_run_id="c")
    answer = elsewhere.cache.read(server.host, lost["request_hash"])
    assert answer is not None
    assert (answer.record["data_regime"], answer.record["attempt"]) == ("prod_live", lost["attempt"])
    asking.cache.write(server.host, answer.request_hash, answer.record, answer.body)
    assert regimes(prod(server, tmp_path), 14, 15) == ["prod_live", "maintenance_replay"]


def test_bytes_that_name_a_call_given_up_are_refused_unless_they_are_its_own(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    asking = prod(server, tmp_path)
    key = asking.answers([frame(14)], budget_run_id="a").rows["request_hash"][0]
    first = asking.cache.read(server.host, key)
    assert first is not None
    asking.answers([frame(14)], budget_run_id="b", reask=True)
    digest = hashlib.sha256(forged(asking, key, **first.record).body).hexdigest()
    asking.cache.write(server.host, key, first.record, first.body, replacing=True)
    forged(asking, key, **{**first.record, "sha256": digest})
    with pytest.raises(CacheDamaged, match="its bytes differ"):
        prod(server, tmp_path).answers([frame(14)], budget_run_id="c")
    asking.cache.write(server.host, key, first.record, first.body, replacing=True)
    assert regimes(prod(server, tmp_path), 14) == ["prod_live"], "an older cache, restored"


def test_bytes_forged_under_other_settings_are_refused_under_these(server: TimeGPTServer, tmp_path: Path) -> None:
    asking = prod(server, tmp_path)
    key = asking.answers([frame(14)], budget_run_id="a").rows["request_hash"][0]
    kept = asking.cache.read(server.host, key)
    assert kept is not None
    forged(asking, key)
    other = partial(prod, server, tmp_path, settings_digest="others of the same body")
    with pytest.raises(CacheDamaged, match="its bytes differ"):
        other().answers([frame(14)], budget_run_id="b")
    asking.cache.write(server.host, key, kept.record, kept.body, replacing=True)
    assert regimes(other(), 14) == ["prod_live"]
    forged(asking, key)
    with pytest.raises(CacheDamaged, match="its bytes differ"):
        other().answers([frame(14)], budget_run_id="c")


def test_what_was_asked_from_here_stands_before_a_stranger_s_later_word(server: TimeGPTServer, tmp_path: Path) -> None:
    asking = prod(server, tmp_path)
    asking.answers([frame(15)], budget_run_id="a")
    backed_up(tmp_path / "ledger.db", tmp_path / "older.db")
    key = asking.answers([frame(14)], budget_run_id="b").rows["request_hash"][0]
    ours = asking.cache.read(server.host, key)
    assert ours is not None
    body = orjson.dumps(orjson.loads(ours.body))
    asking.cache.write(server.host, "f" * 64, {**ours.record, "asked_at": "2031-01-01T00:00:00+00:00"}, body)
    put_back(tmp_path, tmp_path / "older.db")
    rows = prod(server, tmp_path).answers([frame(14)], budget_run_id="c").rows
    assert rows["request_hash"].unique().to_list() == [key]


def test_a_clock_set_back_makes_nothing_live_and_it_is_said(
    server: TimeGPTServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.date = format_datetime(IN_TIME + timedelta(days=400), usegmt=True)
    assert regimes(prod(server, tmp_path), 14) == ["maintenance_replay"]
    said = f"{server.host} said it was 2025-08-06T13:00:00+00:00 when this machine's clock said {IN_TIME.isoformat()}"
    assert [message.partition(": what is asked")[0] for message in caplog.messages] == [said]
    server.date = format_datetime(IN_TIME + timedelta(minutes=4), usegmt=True)
    assert regimes(prod(server, tmp_path), 14, 15) == ["maintenance_replay", "prod_live"], "a call is judged by itself"


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 01 Jan 99999999 00:00:00 GMT"])
def test_a_provider_that_tells_no_time_is_held_to_the_latest_it_told(
    date: str, server: TimeGPTServer, tmp_path: Path
) -> None:
    assert regimes(prod(server, tmp_path), 14) == ["prod_live"]
    server.date = date
    assert regimes(prod(server, tmp_path, clock=Clock(IN_TIME - timedelta(minutes=6))), 15) == ["maintenance_replay"]
    assert regimes(prod(server, tmp_path), 16) == ["prod_live"]

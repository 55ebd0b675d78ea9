"""Money is counted once, across processes and crashes: the same tests on SQLite and on PostgreSQL."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dagster._core.storage.runs.schema import RunStorageSqlMetadata

from timegpt_assets.adapters.call_errors import BudgetExceeded, Frozen, LedgerUnusable, NotSent
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.ledger.tables import CALLS
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets_tests.adapters import postgres

NOW = datetime(2024, 7, 1, 20, tzinfo=UTC)


class Clock:
    """A clock that is set by hand: ``now`` for days, ``wall`` for leases and cooldowns."""

    def __init__(self) -> None:
        self.at, self.seconds = NOW, 1000.0

    def now(self) -> datetime:
        return self.at

    def wall(self) -> float:
        return self.seconds


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    if not postgres.is_there():
        pytest.skip(f"no PostgreSQL at {postgres.URL}")
    with postgres.schema() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[BudgetLedger]:
    made = BudgetLedger(url, clock=clock.now, wall=clock.wall, lease_sec=60)
    yield made
    made.store.close()


def account(**limits: Any) -> Account:
    return Account(**{"host": "h", "per_run": 3, "per_day": 5, "cooldown_sec": 0.0, **limits})


def asks(*names: str) -> list[LedgerEntry]:
    return [LedgerEntry("forecast", f"hash-{name}", f"snapshot-{name}", {"name": name}) for name in names]


def reserved(ledger: BudgetLedger, *names: str, run: str = "run", **limits: Any) -> list[LedgerEntry]:
    return list(ledger.reserve(asks(*names), account(**limits), budget_run_id=run).values())


def answered(ledger: BudgetLedger, *names: str, run: str = "run", **limits: Any) -> None:
    for call in reserved(ledger, *names, run=run, **limits):
        assert ledger.send(call, account(**limits)) == 0
        ledger.answered(call)


def states(ledger: BudgetLedger) -> list[str]:
    return [call["state"] for call in ledger.calls(account())]


def left_by_the_dead(ledger: BudgetLedger) -> None:
    """Make every call look as if a process of this machine that no longer lives had made it."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    machine, _, started = ledger.calls(account())[0]["owner"].rsplit("/", 2)
    with ledger.store.writing() as connection:
        connection.execute(sa.update(CALLS).values(owner=f"{machine}/{gone.pid}/{started}"))


def test_a_call_goes_from_reserved_to_sent_to_answered(ledger: BudgetLedger) -> None:
    (call,) = reserved(ledger, "a")
    assert states(ledger) == ["RESERVED"]
    assert ledger.send(call, account()) == 0
    assert states(ledger) == ["SENT"]
    assert not ledger.has_answer("hash-a")
    ledger.answered(call)
    assert states(ledger) == ["ANSWERED"]
    assert ledger.has_answer("hash-a")
    assert ledger.records(["snapshot-a", "snapshot-b"]) == {"snapshot-a": ("hash-a", {"name": "a"})}


def test_calls_are_counted_by_what_became_of_them_today_and_in_the_month(ledger: BudgetLedger, clock: Clock) -> None:
    answered(ledger, "june", run="june")
    for days, names in ((30, ("a", "b")), (31, ("c",))):
        clock.at = NOW + timedelta(days=days)  # 31 July and 1 August
        answered(ledger, *names, run=f"of {days}")
    reserved(ledger, "d")
    assert ledger.counts(account()) == {
        ("month", "ANSWERED"): 1,
        ("day", "ANSWERED"): 1,
        ("month", "RESERVED"): 1,
        ("day", "RESERVED"): 1,
    }
    clock.at = NOW + timedelta(days=30)
    assert ledger.counts(account()) == {("month", "ANSWERED"): 3, ("day", "ANSWERED"): 2}
    assert ledger.counts(account(host="other")) == {}


@pytest.mark.parametrize("end", ["rejected", "unknown", "answered"])
def test_whatever_came_back_a_sent_call_stays_spent(ledger: BudgetLedger, end: str) -> None:
    (call,) = reserved(ledger, "a")
    ledger.send(call, account())
    if end == "answered":
        ledger.answered(call)
    else:
        getattr(ledger, end)(call, "note")
    assert ledger.view(account())["spent"] == 1
    assert ledger.left(account(), "run") == {"per_run": 2, "per_day": 4}


def test_a_call_that_never_left_is_given_back(ledger: BudgetLedger) -> None:
    first, second = reserved(ledger, "a", "b")
    ledger.send(first, account())
    ledger.refunded(first, "ConnectError")
    ledger.release((second,))
    assert states(ledger) == ["REFUNDED", "REFUNDED"]
    assert ledger.left(account(), "run") == {"per_run": 3, "per_day": 5}


def test_release_does_not_take_back_what_was_sent(ledger: BudgetLedger) -> None:
    (call,) = reserved(ledger, "a")
    ledger.send(call, account())
    ledger.release((call,))
    assert states(ledger) == ["SENT"]


@pytest.mark.parametrize(("limit", "names"), [("per_run", "abcd"), ("per_day", "abcd"), ("per_month", "abcd")])
def test_all_or_nothing_is_reserved(ledger: BudgetLedger, limit: str, names: str) -> None:
    limits = {"per_run": 9, "per_day": 9, limit: 3}
    with pytest.raises(BudgetExceeded, match=rf"4 TimeGPT calls needed, 3 left under {limit}; nothing was sent"):
        reserved(ledger, *names, **limits)
    assert states(ledger) == []
    assert len(reserved(ledger, *names[:3], **limits)) == 3


def test_reservations_count_against_the_limits(ledger: BudgetLedger) -> None:
    reserved(ledger, "a", "b", run="one")
    reserved(ledger, "c", "d", run="two")
    with pytest.raises(BudgetExceeded) as refused:
        reserved(ledger, "e", "f", run="three")
    assert (refused.value.limit, refused.value.needed, refused.value.left) == ("per_day", 2, 1)


def test_calls_to_come_are_demanded_but_not_reserved(ledger: BudgetLedger) -> None:
    with pytest.raises(BudgetExceeded):
        ledger.reserve(asks("a"), account(), budget_run_id="run", to_come=3)
    assert len(ledger.reserve(asks("a"), account(), budget_run_id="run", to_come=2)) == 1
    assert states(ledger) == ["RESERVED"]


def test_the_budget_day_is_that_of_sending_and_a_new_day_is_a_new_budget(ledger: BudgetLedger, clock: Clock) -> None:
    answered(ledger, "a", "b", run="one", per_day=2)
    with pytest.raises(BudgetExceeded):
        reserved(ledger, "c", run="two", per_day=2)
    clock.at = NOW + timedelta(hours=4)
    answered(ledger, "c", run="two", per_day=2)
    assert ledger.view(account())["by_day"] == {"2024-07-01": 2, "2024-07-02": 1}


def test_a_call_sent_after_midnight_is_held_to_the_new_day(ledger: BudgetLedger, clock: Clock) -> None:
    (late,) = reserved(ledger, "a", run="one", per_day=1)
    clock.at = NOW + timedelta(hours=4)
    answered(ledger, "b", run="two", per_day=1)
    with pytest.raises(BudgetExceeded, match="per_day"):
        ledger.send(late, account(per_day=1))
    assert states(ledger) == ["RESERVED", "ANSWERED"]


def test_the_budget_day_follows_the_time_zone_of_the_account(ledger: BudgetLedger, clock: Clock) -> None:
    clock.at = datetime(2024, 7, 2, 1, tzinfo=UTC)
    answered(ledger, "a", timezone="America/New_York")
    assert ledger.view(account())["by_day"] == {"2024-07-01": 1}


def test_accounts_and_hosts_have_budgets_of_their_own(ledger: BudgetLedger) -> None:
    answered(ledger, "a", "b", "c")
    assert ledger.left(account(name="other"), "run") == {"per_run": 3, "per_day": 5}
    assert ledger.left(account(host="elsewhere"), "run") == {"per_run": 3, "per_day": 5}


def test_what_is_held_or_answered_is_not_granted_twice(ledger: BudgetLedger) -> None:
    answered(ledger, "a")
    reserved(ledger, "b")
    assert [call.request_hash for call in reserved(ledger, "a", "b", "c", run="other")] == ["hash-c"]


def test_the_same_question_twice_in_one_breath_is_one_call(ledger: BudgetLedger) -> None:
    assert len(reserved(ledger, "a", "a")) == 1
    assert states(ledger) == ["RESERVED"]


def test_one_snapshot_is_asked_once_whatever_its_body(ledger: BudgetLedger) -> None:
    answered(ledger, "a")
    revised = LedgerEntry("forecast", "hash-revised", "snapshot-a", {})
    assert ledger.reserve([revised], account(), budget_run_id="run") == {}


def test_every_attempt_is_a_row_with_a_key_of_its_own(ledger: BudgetLedger) -> None:
    for expected in (1, 2):
        (call,) = reserved(ledger, "a")
        assert call.attempt == expected
        ledger.send(call, account())
        ledger.unknown(call, "ReadTimeout")
    assert states(ledger) == ["UNKNOWN", "UNKNOWN"]
    with pytest.raises(sa.exc.IntegrityError), ledger.store.writing() as connection:
        connection.execute(sa.update(CALLS).values(attempt=1))


def test_a_late_answer_turns_unknown_into_answered(ledger: BudgetLedger) -> None:
    (call,) = reserved(ledger, "a")
    ledger.send(call, account())
    ledger.unknown(call, "interrupted")
    ledger.answered(call)
    assert states(ledger) == ["ANSWERED"]


def test_the_dead_are_settled_before_anything_is_granted(ledger: BudgetLedger) -> None:
    first, _ = reserved(ledger, "a", "b")
    ledger.send(first, account())
    left_by_the_dead(ledger)
    assert reserved(ledger, "a", "b") == [], "the caller has to look for the bytes first"
    assert states(ledger) == ["UNKNOWN", "REFUNDED"]
    assert len(reserved(ledger, "a", "b")) == 2
    assert ledger.view(account())["spent"] == 1


def test_the_living_keep_what_they_hold(ledger: BudgetLedger) -> None:
    first, _ = reserved(ledger, "a", "b")
    ledger.send(first, account())
    assert reserved(ledger, "a", "b") == []
    assert states(ledger) == ["SENT", "RESERVED"]


def test_a_lease_that_ran_out_is_settled_and_its_holder_cannot_send(ledger: BudgetLedger, clock: Clock) -> None:
    sent, held = reserved(ledger, "a", "b")
    ledger.send(sent, account())
    clock.seconds += 61
    reserved(ledger, "c", run="other")
    assert states(ledger)[:2] == ["UNKNOWN", "REFUNDED"]
    with pytest.raises(NotSent, match="ran out"):
        ledger.send(held, account())


def test_sending_one_call_renews_the_leases_of_the_others(ledger: BudgetLedger, clock: Clock) -> None:
    first, second = reserved(ledger, "a", "b")
    clock.seconds += 50
    ledger.send(first, account())
    clock.seconds += 50
    assert len(reserved(ledger, "c", run="other")) == 1, "nothing had to be settled"
    assert ledger.send(second, account()) == 0


def test_the_cooldown_is_counted_from_the_last_send_of_anybody(url: str, ledger: BudgetLedger, clock: Clock) -> None:
    (first,) = reserved(ledger, "a", cooldown_sec=2)
    ledger.send(first, account(cooldown_sec=2))
    other = BudgetLedger(url, clock=clock.now, wall=clock.wall, lease_sec=60)
    (second,) = reserved(other, "b", cooldown_sec=2)
    clock.seconds += 0.5
    assert other.send(second, account(cooldown_sec=2)) == 1.5
    assert states(ledger) == ["SENT", "RESERVED"]
    clock.seconds += 1.5
    assert other.send(second, account(cooldown_sec=2)) == 0
    other.store.close()


def test_freezing_stops_what_is_already_reserved(ledger: BudgetLedger) -> None:
    (call,) = reserved(ledger, "a")
    ledger.freeze("stop")
    for act in (lambda: ledger.send(call, account()), lambda: reserved(ledger, "b")):
        with pytest.raises(Frozen, match=r"stop.*budget thaw"):
            act()
    ledger.thaw()
    assert ledger.send(call, account()) == 0


def test_an_answer_stands_until_its_successor_is_there_and_stays_spent(ledger: BudgetLedger) -> None:
    answered(ledger, "a")
    first = ledger.standing("h", "snapshot-a")
    again = replace(asks("a")[0], replaces=first)
    (call,) = ledger.reserve([again], account(), budget_run_id="again").values()
    assert ledger.reserve([again], account(), budget_run_id="other") == {}, "one successor at a time"
    assert ledger.has_answer("hash-a")
    ledger.send(call, account())
    ledger.unknown(call, "the provider is down")
    assert ledger.standing("h", "snapshot-a") == first, "nothing was given up for it"
    (call,) = ledger.reserve([again], account(), budget_run_id="again").values()
    ledger.send(call, account())
    assert ledger.answered(call) == set(), "to the same body"
    assert ledger.standing("h", "snapshot-a") == call.id
    assert ledger.reserve([again], account(), budget_run_id="other") == {}, "somebody else was asked in between"
    assert ledger.view(account())["spent"] == 3


def test_the_exported_view_shows_limits_money_and_what_was_spent(ledger: BudgetLedger, tmp_path: Path) -> None:
    answered(ledger, "a", "b", run="one")
    ledger.export(account(price_per_call=0.25), LocalStore(tmp_path / "artifacts"))
    shown = json.loads((tmp_path / "artifacts" / "api_budget.json").read_text())
    assert shown["spent"] == 2
    assert shown["spent_money"] == 0.5
    assert shown["by_run"] == {"one": 2}
    assert shown["limits"] == {"per_run": 3, "per_day": 5, "per_month": None, "cooldown_sec": 0.0}
    assert [p.name for p in (tmp_path / "artifacts").iterdir() if p.suffix == ".json"] == ["api_budget.json"]


RACER = """
import sys
from datetime import UTC, datetime
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.call_errors import BudgetExceeded
url, run = sys.argv[1:]
ledger = BudgetLedger(url, clock=lambda: datetime(2024, 7, 1, tzinfo=UTC))
account = Account(host="h", per_run=100, per_day=30, cooldown_sec=0.0)
sys.stdin.read()
won = 0
for i in range(40):
    ask = LedgerEntry("forecast", f"hash-{i}", f"snapshot-{i}", {})
    try:
        for call in ledger.reserve([ask], account, budget_run_id=run).values():
            assert ledger.send(call, account) == 0
            ledger.answered(call)
            won += 1
    except BudgetExceeded:
        break
print(won)
"""


def test_racing_processes_never_pass_a_limit_nor_ask_twice(url: str, ledger: BudgetLedger) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url, f"run-{i}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for i in range(3)
    ]
    won = [int(printed) for printed in run_together(racers)]
    calls = [call for call in ledger.calls(account()) if call["state"] == "ANSWERED"]
    assert sum(won) == len(calls) == 30
    assert len({call["request_hash"] for call in calls}) == 30


def run_together(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Return what the processes print, all let go at once."""
    for one in processes:
        assert one.stdin is not None
        one.stdin.close()
        one.stdin = None
    return [one.communicate(timeout=60)[0] for one in processes]


HALF_WAY = """
import os, signal, sys
from datetime import UTC, datetime
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
ledger = BudgetLedger(sys.argv[1], clock=lambda: datetime(2024, 7, 1, 20, tzinfo=UTC))
account = Account(host="h", per_run=3, per_day=5, cooldown_sec=0.0)
asks = [LedgerEntry("forecast", f"hash-{n}", f"snapshot-{n}", {}) for n in "ab"]
calls = list(ledger.reserve(asks, account, budget_run_id="doomed").values())
ledger.send(calls[0], account)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_after_sending_leaves_one_unknown_and_gets_the_rest_back(
    url: str, ledger: BudgetLedger, clock: Clock
) -> None:
    clock.seconds = 0.0  # its lease, in real seconds, is far from over: the process itself is seen to be dead
    killed = subprocess.run([sys.executable, "-c", HALF_WAY, url], check=False)
    assert killed.returncode == -9
    assert states(ledger) == ["SENT", "RESERVED"]
    assert reserved(ledger, "c") == []
    assert states(ledger) == ["UNKNOWN", "REFUNDED"]
    assert ledger.left(account(), "doomed") == {"per_run": 2, "per_day": 4}


@pytest.mark.parametrize("change", [lambda ledger: ledger.calls(account()), lambda ledger: ledger.left(account(), "r")])
def test_the_ledger_is_made_at_first_use_and_not_before(tmp_path: Path, change: Callable[[BudgetLedger], Any]) -> None:
    made = BudgetLedger(f"sqlite:///{tmp_path / 'deep' / 'ledger.db'}", clock=lambda: NOW)
    assert not (tmp_path / "deep").exists()
    change(made)
    assert (tmp_path / "deep" / "ledger.db").exists()
    made.store.close()


def backend(connection: sa.Connection) -> int:
    return connection.execute(sa.text("select pg_backend_pid()")).scalar_one()


def ended(url: str, pid: int) -> None:
    """Have the server end a connection, as an administrator or a restart does."""
    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect() as other:
        assert other.execute(sa.text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid}).scalar()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_ends_is_said_undone_and_opened_anew(url: str, ledger: BudgetLedger) -> None:
    (call,) = reserved(ledger, "a")
    with ledger.store.reading() as idle:
        pid = backend(idle)
    ended(url, pid)
    assert ledger.send(call, account()) == 0, "ended between two uses"

    def ended_in_the_middle() -> None:
        with ledger.store.writing() as connection:
            connection.execute(sa.update(CALLS).values(state="REFUNDED"))
            ended(url, backend(connection))
            connection.execute(sa.select(CALLS))

    with pytest.raises(
        LedgerUnusable,
        match=r"^The call ledger postgresql.*closed the connection.*is there and may be written, and run again",
    ):
        ended_in_the_middle()
    assert states(ledger) == ["SENT"], "what had been begun is undone"
    ledger.answered(call)
    assert len(reserved(ledger, "b")) == 1


def test_a_ledger_is_never_opened_where_dagster_keeps_its_records(url: str) -> None:
    """Both have a table ``snapshots``; whichever came second would find the other's."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    RunStorageSqlMetadata.create_all(engine)
    with pytest.raises(LedgerUnusable, match=r"Dagster keeps its records there \(runs\)") as refused:
        BudgetLedger(url, clock=lambda: NOW).left(account(), "r")
    assert str(refused.value).endswith("Set forecast.api_budget.ledger_url to a database of its own.")
    assert "calls" not in sa.inspect(engine).get_table_names(), "nothing of ours was made in it"

"""Truth 3 under kill -9: requests sent are never more than spent, and what is stored is never paid for again.

Every run kills real processes at a moment aimed at a ledger state, resumes, and compares with a run that nobody killed.
"""

import queue
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.ledger.tables import ANSWERED, REJECTED, RESERVED, SENT, SPENT, UNKNOWN
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.adapters.crashes import NOW, Nursery, Task, killed, nursery
from timegpt_assets_tests.adapters.timegpt.paid_calls import account
from timegpt_assets_tests.servers.timegpt import TimeGPTServer, status, too_many

CALLS_OF_A_DAY = 6
STATES = (RESERVED, SENT, ANSWERED, REJECTED, UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """When to kill: at the nth ``event`` of the server, up to ``within_sec`` later; with ``fault`` struck first."""

    event: str
    nth: tuple[int, int]
    within_sec: float
    fault: str = ""
    processes: int = 1
    days: tuple[str, ...] = ("2024-07-01",)


AIMS = {
    "sent, the server at work": Aim(event="received", nth=(1, 6), within_sec=0.004),
    "between two calls": Aim(event="replied", nth=(1, 5), within_sec=0.06),
    "at the last answer": Aim(event="replied", nth=(6, 6), within_sec=0.02),
    "refused once": Aim(event="replied", nth=(2, 2), within_sec=0.03, fault="429"),
    "lost once": Aim(event="replied", nth=(2, 2), within_sec=0.03, fault="503"),
    "anywhere": Aim(event="", nth=(0, 0), within_sec=0.5),
    "four at the same day": Aim(event="received", nth=(1, 6), within_sec=0.05, processes=4),
    "four at two days": Aim(
        event="received", nth=(1, 10), within_sec=0.05, processes=4, days=("2024-07-01", "2024-07-02")
    ),
}
MEANT_FOR = {
    RESERVED: "between two calls",
    SENT: "sent, the server at work",
    ANSWERED: "at the last answer",
    REJECTED: "refused once",
    UNKNOWN: "lost once",
}


@dataclass(kw_only=True)
class Tally:
    """What the runs came to."""

    runs: int = 0
    landed: Counter[str] = field(default_factory=Counter)
    aims: Counter[str] = field(default_factory=Counter)
    seen: int = 0
    spent: int = 0
    never_received: int = 0
    paid_again: int = 0


@pytest.fixture(scope="module")
def young() -> Iterator[Nursery]:
    with nursery() as made:
        yield made


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'ledger.db'}"


def postgresql(folder: Path) -> AbstractContextManager[str]:
    return postgres.schema()


@pytest.mark.parametrize(
    ("ledger", "count"),
    [
        pytest.param(sqlite, 560, id="sqlite"),
        pytest.param(
            postgresql,
            280,
            id="postgresql",
            marks=pytest.mark.skipif(not postgres.is_there(), reason=f"no PostgreSQL at {postgres.URL}"),
        ),
    ],
)
@pytest.mark.timeout(3600)
def test_a_process_killed_at_any_moment_costs_at_most_the_call_it_had_sent(
    young: Nursery,
    ledger: Callable[[Path], AbstractContextManager[str]],
    count: int,
    repetitions: Callable[[int], int],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    chance, tally, wanted = random.Random(20240701), Tally(), repetitions(count)
    names = list(AIMS)
    expected: dict[object, str] = {}
    while tally.runs < wanted:
        name = chance.choice(names)
        if chance.random() < 0.6:
            name = MEANT_FOR[min(STATES, key=lambda state: tally.landed[state])]
        folder = tmp_path / f"{tally.runs}-{tally.aims.total()}"
        folder.mkdir()
        with ledger(folder) as url:
            if crash(young, AIMS[name], url, folder, chance, tally, expected):
                tally.runs += 1
        tally.aims[name] += 1
    print(tally)  # noqa: T201 - the counts are the proof
    assert tally.seen <= tally.spent
    assert tally.paid_again == 0
    assert tally.spent - tally.seen == tally.never_received
    if pytestconfig.getoption("--soak"):
        assert {state: n for state in STATES if (n := tally.landed[state]) < 50} == {}


def crash(
    young: Nursery,
    aim: Aim,
    url: str,
    folder: Path,
    chance: random.Random,
    tally: Tally,
    expected: dict[object, str],
) -> bool:
    """Kill, resume and check one run; return False when the process was done before the kill came."""
    with TimeGPTServer(input_size=20, delay_sec=0.008) as server:
        hours = (14,) if aim.fault else (14, 15, 16, 17, 18)
        task = Task(url=server.url, folder=str(folder), ledger=url, run="doomed", days=aim.days, hours=hours)
        if aim.fault:
            server.faults.append(too_many("A20") if aim.fault == "429" else status(503))
        tasks = [replace(task, run=f"doomed-{i}") for i in range(aim.processes)]
        pids = [young.start(one) for one in tasks]
        wait_for(server, aim, chance)
        doomed = chance.sample(range(len(pids)), k=chance.randint(1, len(pids)))
        if not killed([pids[i] for i in doomed]):
            for i in set(range(len(pids))) - set(doomed):
                young.finished(tasks[i], pids[i])
            return False
        books = BudgetLedger(url, clock=lambda: NOW)
        landed = state_of(books, server.host, {tasks[i].run for i in doomed})
        survivors = {young.finished(tasks[i], pids[i]) for i in range(len(pids)) if i not in doomed}
        stored = kept(folder, server.host)
        before = server.digests
        resumed = replace(task, run="resumed")
        rows = young.finished(resumed, young.start(resumed))
        key = (aim.days, hours)
        if key not in expected:
            expected[key] = uncrashed(young, task, folder, server)
        assert {rows, *survivors} == {expected[key]}
        check(books, server, stored, before, tally)
        books.store.close()
        tally.landed[landed] += 1
        return True


def wait_for(server: TimeGPTServer, aim: Aim, chance: random.Random) -> None:
    """Return when the moment to kill has come."""
    left = chance.randint(*aim.nth)
    try:
        while left:
            left -= server.events.get(timeout=5) == aim.event
    except queue.Empty:
        return
    time.sleep(chance.uniform(0, aim.within_sec))


def state_of(books: BudgetLedger, host: str, runs: set[str]) -> str:
    """Return the state the kill found: of the call in flight, else reserved, else of the last call the dead made."""
    states = [call["state"] for call in books.calls(account(host)) if call["budget_run_id"] in runs]
    for state in (SENT, RESERVED):
        if state in states:
            return state
    return states[-1] if states else "nothing yet"


def kept(folder: Path, host: str) -> set[str]:
    return set(ForecastCache(LocalStore(folder / "cache")).hashes(host))


def check(books: BudgetLedger, server: TimeGPTServer, stored: set[str], before: Counter[str], tally: Tally) -> None:
    """Hold one run's ledger against what its server received."""
    calls = [call for call in books.calls(account(server.host)) if call["state"] in SPENT]
    unknown = [call for call in calls if call["state"] == UNKNOWN]
    seen, spent = sum(server.counts.values()), len(calls)
    assert seen <= spent, "a request was sent that nobody counted"
    assert spent - seen <= len(unknown), "more was reserved than could have been sent"
    answered = Counter(call["request_hash"] for call in calls if call["state"] == ANSWERED)
    assert set(answered.values()) <= {1}, "an answer was paid for twice"
    later = server.digests - before
    assert len(later) == later.total(), "the resumed run asked twice for the same"
    asked_again = [call for call in calls if call["budget_run_id"] == "resumed" and call["request_hash"] in stored]
    tally.paid_again += len(asked_again)
    tally.seen, tally.spent = tally.seen + seen, tally.spent + spent
    tally.never_received += spent - seen


def uncrashed(young: Nursery, task: Task, folder: Path, server: TimeGPTServer) -> str:
    """Return the digest of the same task in a folder of its own on a server of its own that has the same address."""
    fresh = folder / "fresh"
    fresh.mkdir()
    counted = len(server.received)
    own = replace(task, folder=str(fresh), ledger=f"sqlite:///{fresh / 'ledger.db'}", run="calm")
    said = young.finished(own, young.start(own))
    del server.received[counted:]
    return said

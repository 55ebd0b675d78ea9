"""What people do to the ledger, the cache, the disk, the clock and the key: nothing is ever paid for twice by it.

Each mishap is done for real to a forecaster on the local server; what the server received is what was paid.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from timegpt_assets.adapters.call_errors import CacheDamaged, CacheFull, Frozen, MissingKey
from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.ledger.tables import CALLS, UNKNOWN
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt import cache_care
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets.adapters.timegpt.request_index import BYTES_PER_REQUEST, BYTES_PER_SERIES, BYTES_PER_VALUE, Size
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets_tests.adapters.timegpt.paid_calls import HOURS, SYMBOLS, frame, frames, timegpt
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

ROWS = 80


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=20) as running:
        yield running


def revised(hour: int = 14) -> Frame:
    """Return the frame with every bar a little different."""
    made = frame(hour)
    return replace(made, history=made.history.with_columns(y=pl.col("y") * 1.01))


def sent(server: TimeGPTServer) -> int:
    return server.counts["/v2/forecast"]


def states(forecaster: TimeGPT) -> list[str]:
    return [call["state"] for call in forecaster.ledger.calls(forecaster.account)]


def test_a_lost_ledger_buys_nothing_again_even_when_bars_were_revised(server: TimeGPTServer, tmp_path: Path) -> None:
    timegpt(server.url, tmp_path).answers(frames(), budget_run_id="a")
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    again = timegpt(server.url, tmp_path).answers([revised(hour) for hour in HOURS], budget_run_id="b")
    assert (again.sent, again.cached, again.rows["stale_input"].all()) == (0, 5, True)
    assert sum(server.counts.values()) == 6


def test_a_cache_copied_by_hand_from_another_machine_is_known_by_snapshot(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    timegpt(server.url, tmp_path / "there").answers([frame(14)], budget_run_id="a")
    shutil.copytree(tmp_path / "there" / "cache", tmp_path / "here" / "cache")
    here = timegpt(server.url, tmp_path / "here")
    assert here.answers([revised(14), frame(15)], budget_run_id="b").sent == 1
    assert sent(server) == 2
    assert here.ledger.view(here.account)["spent"] == 1, "what another machine paid is not on this budget"


@pytest.mark.parametrize("how", ["asked", "imported", "copied"])
def test_answers_that_are_gone_are_missed_and_never_bought_again_by_themselves(
    how: str, server: TimeGPTServer, tmp_path: Path
) -> None:
    first = timegpt(server.url, tmp_path / "first")
    first.answers([frame(14)], budget_run_id="a")
    ours = first if how == "asked" else timegpt(server.url, tmp_path / "ours")
    if how == "imported":
        cache_care.exported(first.cache, first.ledger, server.host, ForecastCache(LocalStore(tmp_path / "carried")))
        cache_care.imported(ours.cache, ours.ledger, server.host, ForecastCache(LocalStore(tmp_path / "carried")))
    if how == "copied":
        shutil.copytree(tmp_path / "first" / "cache", tmp_path / "ours" / "cache")
        ours.answers([frame(14)], budget_run_id="b")
    shutil.rmtree(ours.cache.objects.path(""))  # type: ignore[attr-defined]
    for again in (frame(14), revised(14)):
        with pytest.raises(CacheDamaged, match=r"was paid for, but is not in .*--reask"):
            ours.answers([again], budget_run_id="c")
    assert sum(server.counts.values()) == 2


def smaller(series: int) -> Size:
    """Return a size that so many series of ROWS rows just fit into."""
    each = BYTES_PER_SERIES + ROWS * BYTES_PER_VALUE
    return Size(max_bytes=BYTES_PER_REQUEST + series * each, least_rows=ROWS)


class Overtaken(BudgetLedger):
    """A ledger in which another process comes first, right before something is reserved."""

    first: object = None

    def reserve(self, *args, **kwargs):
        if self.first:
            go, self.first = self.first, None
            go()
        return super().reserve(*args, **kwargs)


@pytest.mark.parametrize(("theirs", "ours"), [(3, 2), (2, 3), (1, 2)])
def test_two_processes_with_other_limits_of_a_request_pay_for_no_symbol_twice(
    theirs: int, ours: int, server: TimeGPTServer, tmp_path: Path
) -> None:
    other = timegpt(server.url, tmp_path, size=smaller(theirs))
    other.answers([frame(15)], budget_run_id="before")
    before = len(server.bodies())
    ledger = Overtaken(f"sqlite:///{tmp_path / 'ledger.db'}", clock=other.clock)
    mine = timegpt(server.url, tmp_path, size=smaller(ours), ledger=ledger)
    ledger.first = lambda: other.answers([frame(14)], budget_run_id="theirs")
    rows = mine.answers([frame(14)], budget_run_id="ours").rows
    assert ledger.first is None
    assert sum(len(body["series"]["sizes"]) for body in server.bodies()[before:]) == len(SYMBOLS)
    assert rows.group_by("symbol").len()["len"].to_list() == [15] * len(SYMBOLS)


def test_an_answer_stored_by_a_process_that_died_and_was_settled_by_a_third_is_not_bought_again(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    other = timegpt(server.url, tmp_path)
    other.answers([frame(15)], budget_run_id="before")
    ledger = Overtaken(f"sqlite:///{tmp_path / 'ledger.db'}", clock=other.clock)

    def died_and_was_settled() -> None:
        other.answers([frame(14)], budget_run_id="theirs")
        with ledger.store.writing() as connection:
            connection.execute(sa.update(CALLS).where(CALLS.c.budget_run_id == "theirs").values(state=UNKNOWN))

    ledger.first = died_and_was_settled
    mine = timegpt(server.url, tmp_path, ledger=ledger)
    assert mine.answers([frame(14)], budget_run_id="ours").sent == 0
    assert (sent(server), states(mine)) == (2, ["ANSWERED"] * 3 + ["REFUNDED"])


FULL = """
import resource, signal, sys
from pathlib import Path
from timegpt_assets_tests.adapters.timegpt.paid_calls import frames, timegpt
forecaster = timegpt(sys.argv[1], Path(sys.argv[2]))
forecaster.ledger.calls(forecaster.account)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    forecaster.answers(frames(), budget_run_id="full")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_where_no_answer_can_be_stored_nothing_is_sent(server: TimeGPTServer, tmp_path: Path) -> None:
    ready = timegpt(server.url, tmp_path)
    ready.answers([frame(14)], budget_run_id="before")
    full = [sys.executable, "-c", FULL, server.url, str(tmp_path)]
    said = subprocess.run(full, capture_output=True, text=True, check=True).stdout
    assert said.startswith("CacheFull No answer could be stored; nothing was sent. ")
    assert "forecast.cache_dir" in said
    assert (sent(server), states(ready)) == (1, ["ANSWERED", "ANSWERED"])
    assert ready.answers(frames(), budget_run_id="after").sent == 4


def test_an_answer_that_cannot_be_stored_after_all_is_spent_and_not_asked_again_at_once(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    wall = [10_000.0]
    ready = timegpt(server.url, tmp_path, limits={"cooldown_sec": 1.0})
    ready.ledger.wall = lambda: wall[0]
    ready.sleep = lambda seconds: wall.append(wall.pop() + seconds)
    ready.answers([frame(14)], budget_run_id="before")
    cache = tmp_path / "cache" / server.host.replace(":", "_")

    def block(seconds: float) -> None:
        wall[0] += seconds
        for folder in (cache / f"{i:02x}" for i in range(256)):
            if not folder.exists():
                folder.write_text("in the way")

    ready.sleep = block
    with pytest.raises(CacheFull, match=r"2024-07-01: The answer came, is spent, and could not be stored"):
        ready.answers(frames(), budget_run_id="full")
    assert sent(server) == 2
    assert [state for state in states(ready) if state != "REFUNDED"] == ["ANSWERED", "ANSWERED", "UNKNOWN"]


def test_a_clock_set_back_does_not_make_the_next_call_wait_for_it(server: TimeGPTServer, tmp_path: Path) -> None:
    wall, slept = [10_000.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        wall[0] += seconds

    forecaster = timegpt(server.url, tmp_path, limits={"cooldown_sec": 2.0}, sleep=sleep)
    forecaster.ledger.wall = lambda: wall[0]
    forecaster.answers([frame(14)], budget_run_id="a")
    wall[0] -= 3600
    forecaster.answers([frame(15), frame(16)], budget_run_id="a")
    assert slept == [2.0, 2.0]
    wall[0] -= 1.5
    forecaster.answers([frame(17)], budget_run_id="a")
    assert slept == [2.0, 2.0, 3.5], "a clock that differs by less than the pause is another machine's"


ODD_KEYS = {
    "quoted by a word processor": f"\u201c{KEY}\u201d",
    "of two lines": f"{KEY}\n{KEY}",
    "with a zero": f"{KEY}\x00",
    "with its scheme": f"Bearer {KEY}",
}


@pytest.mark.parametrize("how", ODD_KEYS)
def test_a_key_that_no_header_can_carry_is_refused_before_it_costs_anything(
    how: str, server: TimeGPTServer, tmp_path: Path
) -> None:
    forecaster = timegpt(server.url, tmp_path, api_key=ODD_KEYS[how])
    with pytest.raises(MissingKey, match=r"TIMEGPT_API_KEY holds what no key holds.*nothing was sent") as refused:
        forecaster.answers([frame(14)], budget_run_id="a")
    assert KEY not in repr(refused.value)
    assert states(forecaster) == []
    assert not server.counts


def test_freezing_in_the_middle_of_a_day_stops_it_there_and_keeps_what_came(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    wall = [10_000.0]
    forecaster = timegpt(server.url, tmp_path, limits={"cooldown_sec": 1.0})
    forecaster.ledger.wall = lambda: wall[0]
    stop = BudgetLedger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=forecaster.clock)

    def pause(seconds: float) -> None:
        wall[0] += seconds
        if sent(server) == 2:
            stop.freeze("a bill looks wrong")

    forecaster.sleep = pause
    with pytest.raises(Frozen, match=r"a bill looks wrong.*budget thaw"):
        forecaster.answers(frames(), budget_run_id="a")
    assert states(forecaster) == ["ANSWERED"] * 3 + ["REFUNDED"] * 3
    stop.thaw()
    assert forecaster.answers(frames(), budget_run_id="b").sent == 3
    assert sent(server) == 5


SLEEPING = """
import sys, time
from pathlib import Path
from timegpt_assets_tests.adapters.timegpt.paid_calls import frames, timegpt
def pause(seconds):
    print("asleep", flush=True)
    time.sleep(seconds)
forecaster = timegpt(sys.argv[1], Path(sys.argv[2]), limits={"cooldown_sec": 30.0}, sleep=pause)
forecaster.answers(frames(), budget_run_id="asleep")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_process_stopped_in_the_pause_between_two_calls_gives_back_what_it_held(
    name: str, server: TimeGPTServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SLEEPING, server.url, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asleep\n"
        process.send_signal(getattr(signal, name))
        assert process.wait(30) != 0
    after = timegpt(server.url, tmp_path)
    assert after.answers(frames(), budget_run_id="after").sent == 5
    assert server.counts == {"/model_params": 1, "/v2/forecast": 5}
    assert after.ledger.view(after.account)["spent"] == 6

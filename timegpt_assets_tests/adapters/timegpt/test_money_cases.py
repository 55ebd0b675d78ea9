"""Cases in which strangers lost money or were stuck, each done for real: what is paid twice is 0, what sticks is 0.

Guards against a remedy that does nothing: every error named here is followed by its own remedy, and that must work.
"""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from timegpt_assets.adapters.call_errors import (
    AnswerLost,
    CacheDamaged,
    CallError,
    CannotConnect,
    InvalidAnswer,
    LedgerUnusable,
    ServiceUnavailable,
    UntrustedHost,
)
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt import cache_care, forecaster
from timegpt_assets.adapters.timegpt.cache import MAX_BYTES, ForecastCache, StoredAnswer
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets_tests.adapters.timegpt import paid_calls
from timegpt_assets_tests.adapters.timegpt.paid_calls import account, frame, frames, timegpt
from timegpt_assets_tests.adapters.timegpt.test_mishaps import revised
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import Fault, TimeGPTServer, status

PARAMS = "/model_params"


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=20) as running:
        yield running


def sent(server: TimeGPTServer) -> int:
    return server.counts["/v2/forecast"]


def file_of(forecaster: TimeGPT, request_hash: str) -> Path:
    folder = forecaster.account.host.replace(":", "_")
    return forecaster.cache.objects.path(f"{folder}/{request_hash[:2]}/{request_hash}.zst")  # type: ignore[attr-defined]


# model parameters


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_model_parameters_that_are_lost_are_mended_from_the_ledger(
    server: TimeGPTServer, tmp_path: Path, how: str
) -> None:
    first = timegpt(server.url, tmp_path)
    first.answers([frame(14)], budget_run_id="a")
    file = file_of(first, first.params_request.entry.request_hash)
    file.unlink() if how == "gone" else file.write_bytes(file.read_bytes()[:-4])
    assert timegpt(server.url, tmp_path).answers([frame(14), frame(15)], budget_run_id="b").sent == 1
    assert (server.counts[PARAMS], file.exists()) == (1, True)


@pytest.mark.parametrize("said", [0, -5, 10**9, True, 20.5, "20", None])
def test_absurd_model_parameters_pay_for_no_forecast_and_reask_pays_for_them_alone(
    server: TimeGPTServer, tmp_path: Path, said: object
) -> None:
    server.params, good = {"input_size": said, "horizon": 60}, server.params
    for _ in range(2):
        with pytest.raises(InvalidAnswer, match=r"model parameters of timegpt-1.*input_size is .*--reask"):
            timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    assert server.counts == {PARAMS: 1}
    server.params = good
    assert timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="b", reask=True).sent == 2
    assert timegpt(server.url, tmp_path).answers([frame(14), frame(15)], budget_run_id="c").sent == 1


# --reask gives nothing up before its successor is there


def test_a_provider_that_is_down_costs_no_second_purchase(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path)
    before = forecaster.answers(frames(), budget_run_id="a").rows
    server.faults.extend([None, status(500)])
    with pytest.raises(ServiceUnavailable):
        forecaster.answers(frames(), budget_run_id="b", reask=True)
    assert sent(server) == 7
    again = timegpt(server.url, tmp_path).answers(frames(), budget_run_id="c")
    assert (again.sent, again.rows.drop("asked_at").equals(before.drop("asked_at"))) == (0, True)


def test_a_successor_to_other_bars_stands_and_the_old_answer_is_kept_beside(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    forecaster = timegpt(server.url, tmp_path)
    old = forecaster.answers([frame(14)], budget_run_id="a").rows["request_hash"][0]
    assert forecaster.answers([revised(14)], budget_run_id="b").rows["stale_input"].all()
    new = forecaster.answers([revised(14)], budget_run_id="c", reask=True)
    assert (new.sent, new.rows["stale_input"].any()) == (1, False)
    assert timegpt(server.url, tmp_path).answers([revised(14)], budget_run_id="d").rows.equals(new.rows)
    assert not file_of(forecaster, old).exists()
    assert [path.name for path in (tmp_path / "cache").rglob("replaced/*")] == [f"{old}.0.zst"]


def test_one_bad_answer_costs_one_more_call_and_is_said_before_the_rest_is_bought(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    server.faults.extend([None, Fault(kind="html")])
    with pytest.raises(InvalidAnswer):
        timegpt(server.url, tmp_path).answers(frames(), budget_run_id="a")
    with pytest.raises(InvalidAnswer, match="--reask"):
        timegpt(server.url, tmp_path).answers(frames(), budget_run_id="b")
    assert sent(server) == 2, "the rest of the day is not bought while a known bad answer fails it"
    mended = timegpt(server.url, tmp_path).answers(frames(), budget_run_id="c", reask=True)
    assert (mended.sent, mended.cached, sent(server)) == (4, 1, 6)
    assert timegpt(server.url, tmp_path).answers(frames(), budget_run_id="d").sent == 0


# ledger and cache mend each other


def test_an_older_ledger_and_revised_bars_buy_nothing_again(server: TimeGPTServer, tmp_path: Path) -> None:
    timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    backed_up(tmp_path / "ledger.db", tmp_path / "older.db")
    timegpt(server.url, tmp_path).answers(frames(), budget_run_id="b")
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    shutil.copy(tmp_path / "older.db", tmp_path / "ledger.db")
    again = timegpt(server.url, tmp_path).answers([revised(hour) for hour in (14, 15, 16)], budget_run_id="c")
    assert (again.sent, again.cached, again.rows["stale_input"].all()) == (0, 3, True)


def backed_up(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as connection:
        connection.execute(f"VACUUM INTO '{target}'")
    connection.close()


def test_an_import_answers_a_snapshot_that_failed_here(server: TimeGPTServer, tmp_path: Path) -> None:
    theirs, ours = timegpt(server.url, tmp_path / "theirs"), timegpt(server.url, tmp_path / "ours")
    theirs.answers([frame(14)], budget_run_id="a")
    server.faults.append(status(500))
    with pytest.raises(ServiceUnavailable):
        ours.answers([frame(14)], budget_run_id="b")
    carried = ForecastCache(LocalStore(tmp_path / "carried"))
    cache_care.exported(theirs.cache, theirs.ledger, server.host, carried)
    assert cache_care.imported(ours.cache, ours.ledger, server.host, carried).entered == 1
    assert timegpt(server.url, tmp_path / "ours").answers([revised(14)], budget_run_id="c").sent == 0


def test_what_is_gone_or_damaged_is_told_by_every_walk_until_it_is_mended(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    here = timegpt(server.url, tmp_path)
    rows = here.answers([frame(14), frame(15)], budget_run_id="a").rows
    gone, damaged = rows["request_hash"].unique(maintain_order=True)
    kept = file_of(here, damaged).read_bytes()
    file_of(here, gone).unlink()
    file_of(here, damaged).write_bytes(kept[:-3])
    for _ in range(2):
        report = cache_care.verified(here.cache, here.ledger, server.host)
        assert ([gone in text for text in report.missing], [damaged in text for text in report.damaged]) == (
            [True],
            [True],
        )
    file_of(here, damaged).write_bytes(kept)
    assert here.answers([frame(14), frame(15)], budget_run_id="b", reask=True).sent == 1
    report = cache_care.verified(here.cache, here.ledger, server.host)
    assert (report.missing, report.damaged) == ([], [])


# forged, foreign and hostile files


def forged(forecaster: TimeGPT, request_hash: str, **record: Any) -> StoredAnswer:
    """Store another body under the answer's hash, with a checksum of its own, and return what is stored."""
    answer = forecaster.cache.read(forecaster.account.host, request_hash)
    assert answer is not None
    body = orjson.loads(answer.body)
    body["mean"] = [value + 1e-4 for value in body["mean"]]
    made = {**answer.record, **record}
    forecaster.cache.write(forecaster.account.host, request_hash, made, orjson.dumps(body), replacing=True)
    return StoredAnswer(request_hash, made, orjson.dumps(body))


def test_a_forged_answer_with_its_own_checksum_is_refused_and_reask_mends_it(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    here = timegpt(server.url, tmp_path)
    rows = here.answers([frame(14)], budget_run_id="a").rows
    forged(here, rows["request_hash"][0], asked_at="2031-01-01T00:00:00+00:00")
    with pytest.raises(CacheDamaged, match=r"not the one that was paid for: its bytes differ.*--reask"):
        timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="b")
    assert timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="c", reask=True).sent == 1
    mended = timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="d").rows
    assert mended.drop("asked_at").equals(rows.drop("asked_at"))


def test_what_nobody_here_asked_for_is_never_live(server: TimeGPTServer, tmp_path: Path) -> None:
    server.date = "Tue, 02 Jul 2024 13:00:00 GMT"
    prod = {"profile": "prod", "trusted_hosts": (server.host,), "clock": lambda: datetime(2024, 7, 2, 13, tzinfo=UTC)}
    live = timegpt(server.url, tmp_path, **prod).answers([frame(14)], budget_run_id="a").rows
    assert live["data_regime"].unique().to_list() == ["prod_live"]
    lost = BudgetLedger(f"sqlite:///{tmp_path / 'new.db'}", clock=prod["clock"])  # type: ignore[arg-type]
    entered = timegpt(server.url, tmp_path, ledger=lost, **prod).answers([frame(14)], budget_run_id="b")
    assert (entered.sent, entered.rows["data_regime"].unique().to_list()) == (0, ["maintenance_replay"])
    assert timegpt(server.url, tmp_path, **prod).answers([frame(14)], budget_run_id="c").rows.equals(live)


def test_an_answer_names_its_host_and_the_ledger_remembers_what_came_and_when_the_provider_says(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    here = timegpt(server.url, tmp_path)
    rows = here.answers([frame(14)], budget_run_id="a").rows
    assert rows["host"].unique().to_list() == [server.host]
    answer = here.cache.read(server.host, rows["request_hash"][0])
    assert answer is not None
    (record,) = (record for key, record in here.ledger.all_records().values() if key == answer.request_hash)
    assert record["sha256"] == hashlib.sha256(answer.body).hexdigest()
    assert (record["host"], record["served_at"].endswith(" GMT")) == (server.host, True)
    assert dict(answer.record) == record


def test_a_hash_of_an_import_names_no_place_outside(server: TimeGPTServer, tmp_path: Path) -> None:
    ours, victim = timegpt(server.url, tmp_path / "ours"), tmp_path / "victim.zst"
    victim.write_bytes(b"mine")
    folder = tmp_path / "carried" / server.host.replace(":", "_")
    folder.mkdir(parents=True)
    (folder / "snapshots.json").write_bytes(orjson.dumps({"key": ["../../../victim", {"symbols": []}]}))
    carried = ForecastCache(LocalStore(tmp_path / "carried"))
    assert cache_care.imported(ours.cache, ours.ledger, server.host, carried).entered == 0
    with pytest.raises(CacheDamaged, match="is no request hash"):
        ours.cache.read(server.host, "../../../victim")
    assert victim.read_bytes() == b"mine"


def test_a_stored_bomb_is_damage_and_is_not_unpacked(tmp_path: Path) -> None:
    cache, key = ForecastCache(LocalStore(tmp_path)), hashlib.sha256(b"bomb").hexdigest()
    path = tmp_path / "h" / key[:2] / f"{key}.zst"
    path.parent.mkdir(parents=True)
    path.write_bytes(zstandard.ZstdCompressor(level=1).compress(bytes(MAX_BYTES + 1)))
    with pytest.raises(CacheDamaged, match="unpacks to more than 256 MiB"):
        cache.read("h", key)


def test_paid_answers_and_the_ledger_are_for_their_owner_alone(server: TimeGPTServer, tmp_path: Path) -> None:
    ours = timegpt(server.url, tmp_path, cache=ForecastCache(LocalStore(tmp_path / "cache", mode=0o600)))
    ours.answers([frame(14)], budget_run_id="a")
    files = [*(tmp_path / "cache").rglob("*.zst"), *tmp_path.glob("ledger.db*")]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert len(files) >= 3


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_no_link_laid_where_a_file_is_written_is_followed(tmp_path: Path, kind: str) -> None:
    store, victim = LocalStore(tmp_path / "store"), tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "store").mkdir()
    planted = tmp_path / "store" / ".table.tmp"
    planted.symlink_to(victim) if kind == "symlink" else planted.hardlink_to(victim)
    store.update("table", lambda _: b"ours")
    assert (victim.read_bytes(), (tmp_path / "store" / "table").read_bytes()) == (b"mine", b"ours")


# whom a key goes to, and what never left


@pytest.mark.parametrize(
    "url", ["http://api.nixtla.io", "http://192.168.0.2:80", "https://me@h.io", "https://h.io.", "https://h%2eio"]
)
def test_a_key_goes_over_no_open_line_and_to_no_look_alike(tmp_path: Path, url: str) -> None:
    with pytest.raises(UntrustedHost, match=r"forecast\.base_url is refused: allowed is "):
        timegpt(url, tmp_path, account=account("h"))


@pytest.mark.parametrize(
    "setting", [{"SSL_CERT_FILE": "/nonexistent/ca.pem"}, {"HTTPS_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": ""}]
)
def test_what_fails_before_a_connection_is_begun_is_not_sent(
    server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, str]
) -> None:
    with monkeypatch.context() as broken:
        for name, value in setting.items():
            broken.setenv(name, value)
        with pytest.raises(CannotConnect, match=r"let no connection be made.*nothing was sent\. Mend HTTPS_PROXY"):
            timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    mended = timegpt(server.url, tmp_path)
    assert mended.ledger.view(mended.account)["by_state"] == {"REFUNDED": 1}
    assert mended.answers([frame(14)], budget_run_id="b").sent == 2


# the ledger


HOLDER = """
import sys
from datetime import UTC, datetime
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
ledger = BudgetLedger(sys.argv[1], clock=lambda: datetime.now(UTC))
account = Account(host="h", cooldown_sec=0.0)
(call,) = ledger.reserve([LedgerEntry("forecast", "hash", "snapshot", {})], account, budget_run_id="theirs").values()
ledger.send(call, account)
print("sent", flush=True)
sys.stdin.read()
"""


def test_a_clock_that_runs_ahead_settles_no_living_process_and_a_dead_one_is_settled_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    entry, ours = LedgerEntry("forecast", "hash", "snapshot", {}), account("h")
    ahead = BudgetLedger(url, clock=lambda: datetime.now(UTC), wall=lambda: 4e9)
    with subprocess.Popen([sys.executable, "-c", HOLDER, url], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "sent\n"
        assert ahead.reserve([entry], ours, budget_run_id="ours") == {}
        assert ahead.holders(["snapshot"])[0].startswith(f"process {holder.pid} (SENT since ")
        holder.kill()
    assert ahead.reserve([entry], ours, budget_run_id="ours") == {}, "settled; its bytes are looked for first"
    assert len(ahead.reserve([entry], ours, budget_run_id="ours")) == 1


def test_who_waits_for_another_s_call_says_for_whom_and_since_when(
    server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forecaster, "TELL_AFTER_SEC", 0.1)
    here = timegpt(server.url, tmp_path)
    here.answers([frame(14)], budget_run_id="before")
    asking = [sys.executable, "-m", paid_calls.__name__, server.url, str(tmp_path), "theirs"]
    while not server.events.empty():
        server.events.get()
    server.delay_sec = 1.5
    with subprocess.Popen(asking, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        other.stdin.close()
        assert server.events.get(timeout=60) == "received"
        server.delay_sec = 0.0
        assert here.answers([frame(15)], budget_run_id="ours").sent == 0
        other.stdout.read()
    (told,) = caplog.messages
    assert told.startswith(
        f"snapshot 2024-07-01T15:00:00+00:00 of 2024-07-01 is being asked for by process {other.pid} (SENT since 20"
    )
    assert told.endswith("): waited for.")


def spoilt(folder: Path) -> None:
    (folder / "ledger.db").write_text("this is no ledger")


def locked(folder: Path) -> Callable[[], object]:
    held = sqlite3.connect(folder / "ledger.db")
    held.execute("BEGIN EXCLUSIVE")
    return held.close


def test_a_file_that_is_no_ledger_is_said_and_moving_it_away_costs_nothing(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    spoilt(tmp_path)
    with pytest.raises(LedgerUnusable, match=r"not a database.*move it away: stored answers are entered again"):
        timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="b")
    (tmp_path / "ledger.db").rename(tmp_path / "away")
    assert timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="c").sent == 0


def test_a_locked_ledger_is_said_with_who_to_look_for(
    server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    monkeypatch.setattr("timegpt_assets.adapters.ledger.tables.BUSY_SEC", 0.2)
    late, release = timegpt(server.url, tmp_path), locked(tmp_path)
    with pytest.raises(LedgerUnusable, match=r"locked.*fuser"):
        late.answers([frame(15)], budget_run_id="b")
    release()
    assert timegpt(server.url, tmp_path).answers([frame(15)], budget_run_id="c").sent == 1


# every state of ledger and cache


LEDGERS = ("same", "older", "lost", "newer")
CACHES = ("same", "older", "lost", "damaged", "moved", "imported", "newer")


def known_world(server: TimeGPTServer, folder: Path) -> None:
    """Make three moments of a house: one snapshot paid; both paid; the first one paid again to revised bars."""
    for moment, act in (
        ("older", lambda: timegpt(server.url, folder / "now").answers([frame(14)], budget_run_id="a")),
        ("same", lambda: timegpt(server.url, folder / "now").answers([frame(14), frame(15)], budget_run_id="b")),
        ("newer", lambda: timegpt(server.url, folder / "now").answers([revised(14)], budget_run_id="c", reask=True)),
    ):
        act()
        (folder / moment).mkdir()
        backed_up(folder / "now" / "ledger.db", folder / moment / "ledger.db")
        shutil.copytree(folder / "now" / "cache", folder / moment / "cache")


def restored(world: Path, folder: Path, ledger: str, cache: str, url: str) -> TimeGPT:
    """Return a forecaster on a ledger and a cache of two moments."""
    folder.mkdir()
    if ledger != "lost":
        shutil.copy(world / ledger / "ledger.db", folder)
    lies = folder / ("moved" if cache == "moved" else "cache")
    if cache != "lost":
        shutil.copytree(world / (cache if cache in ("older", "newer") else "same") / "cache", lies)
    made = timegpt(url, folder, cache=ForecastCache(LocalStore(lies)))
    if cache == "damaged":
        files = sorted(lies.glob("*/[0-9a-f][0-9a-f]/*.zst"))
        for file in files[::2]:
            file.write_bytes(file.read_bytes()[:-5])
    if cache == "imported":
        shutil.move(lies, folder / "theirs")
        made.cache.objects.root.mkdir(exist_ok=True)  # type: ignore[attr-defined]
        cache_care.imported(made.cache, made.ledger, made.account.host, ForecastCache(LocalStore(folder / "theirs")))
    return made


def paid_twice(world: Path, folder: Path, case: tuple[str, str, bool, bool], server: TimeGPTServer) -> list[str]:
    """Return what went wrong in one case: a snapshot that ledger or cache knew was sent, or no remedy helped."""
    ledger, cache, is_revised, is_up = case
    house = restored(world, folder, ledger, cache, server.url)
    asked = [revised(14) if is_revised else frame(14), frame(15)]
    knew = {"older": 1, "lost": 0}
    known = max(knew.get(ledger, 2), knew.get(cache, 2))
    before, wrong = sum(server.counts.values()), []
    if not is_up:
        server.faults.extend([status(500)] * 9)
    try:
        house.answers(asked, budget_run_id="plain")
    except (CacheDamaged, ServiceUnavailable, AnswerLost):
        pass
    except CallError as other:
        wrong.append(f"{case}: {type(other).__name__} {other}")
    server.faults.clear()
    if known == 2 and sum(server.counts.values()) != before:
        wrong.append(f"{case}: a call was sent for what ledger or cache knew")
    again = timegpt(server.url, folder, cache=house.cache)
    try:
        again.answers(asked, budget_run_id="remedy")
    except CacheDamaged:
        again.answers(asked, budget_run_id="remedy", reask=True)
    paid = sum(server.counts.values())
    last = timegpt(server.url, folder, cache=house.cache).answers(asked, budget_run_id="after")
    if last.sent or sum(server.counts.values()) != paid or last.rows["snapshot_ts"].n_unique() != 2:
        wrong.append(f"{case}: the remedy did not last")
    return wrong


def test_whatever_ledger_and_cache_are_nothing_known_is_bought_again_and_every_remedy_works(
    server: TimeGPTServer, tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    known_world(server, tmp_path / "world")
    cases = [(a, b, c, d) for a in LEDGERS for b in CACHES for c in (False, True) for d in (True, False)]
    step = len(cases) // max(repetitions(len(cases)), 12) or 1
    wrong = [
        text
        for n, case in enumerate(cases[:: step or 1])
        for text in paid_twice(tmp_path / "world", tmp_path / f"case{n}", case, server)
    ]
    assert wrong == []
    assert KEY not in str(wrong)

"""The paid call against a local server that counts: once per snapshot, never twice, at a price known beforehand."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from timegpt_assets.adapters.call_errors import (
    BudgetExceeded,
    CacheDamaged,
    CallError,
    KeyRefused,
    MissingKey,
    OfflineMiss,
    UntrustedHost,
    UnusableInput,
)
from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt.cache import ForecastCache, StoredAnswer
from timegpt_assets.adapters.timegpt.request_index import Size, params_key
from timegpt_assets.core.tables.columns import SOURCES
from timegpt_assets.core.tables.forecasts import ANSWERS
from timegpt_assets_tests.adapters.timegpt.paid_calls import SYMBOLS, account, frame, frames, timegpt
from timegpt_assets_tests.secret_search import KEY, ROTATED, WRONG
from timegpt_assets_tests.servers.timegpt import Fault, TimeGPTServer

SPENT = ("SENT", "ANSWERED", "REJECTED", "UNKNOWN")


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(key=KEY, input_size=20, horizon=30) as running:
        yield running


def posts(server: TimeGPTServer) -> int:
    return server.counts["/v2/forecast"]


def process(server: TimeGPTServer, folder: Path, run: str) -> subprocess.Popen[str]:
    """Start another process that waits, ready, for its standard input to close."""
    command = [sys.executable, "-m", "timegpt_assets_tests.adapters.timegpt.paid_calls", server.url, str(folder), run]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def outcome(started: subprocess.Popen[str]) -> dict[str, Any]:
    printed, _ = started.communicate(timeout=60)
    return json.loads(printed)


def test_ten_symbols_cost_one_request_per_snapshot_and_one_for_the_model_parameters(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    symbols = [f"S{i}" for i in range(10)]
    day = [frame(hour, symbols=symbols) for hour in (14, 15, 16, 17, 18)]
    answered = timegpt(server.url, tmp_path).answers(day, budget_run_id="run")
    assert server.counts == {"/model_params": 1, "/v2/forecast": 5}
    assert (answered.sent, answered.cached) == (6, 0)
    assert len(answered.seconds) == 6
    assert min(answered.seconds) > 0
    each = answered.rows["request_hash"].unique()
    assert {name: answered.calls[name] for name in each} == dict.fromkeys(each, 1)
    assert answered.rows.height == 5 * 10 * 15
    assert ANSWERS.errors(answered.rows) == []
    assert {"lo_50", "hi_50", "lo_80", "hi_80", "lo_95", "hi_95"} <= set(answered.rows.columns)


def test_the_second_time_nothing_is_sent_and_the_rows_are_the_same_bytes(server: TimeGPTServer, tmp_path: Path) -> None:
    first = timegpt(server.url, tmp_path).answers(frames(), budget_run_id="a")
    again = timegpt(server.url, tmp_path).answers(frames(), budget_run_id="b")
    assert (again.sent, again.cached, again.calls, again.seconds) == (0, 5, {}, ())
    assert again.rows.write_ndjson() == first.rows.write_ndjson()
    assert sum(server.counts.values()) == 6


def test_a_new_process_pays_nothing_again(server: TimeGPTServer, tmp_path: Path) -> None:
    first = timegpt(server.url, tmp_path).answers(frames(), budget_run_id="a")
    other = outcome(process(server, tmp_path, "b"))
    assert (other["sent"], other["cached"]) == (0, 5)
    assert other["rows"] == first.rows.write_ndjson()
    assert sum(server.counts.values()) == 6


def test_two_processes_that_want_the_same_day_send_each_request_once_and_both_get_it(tmp_path: Path) -> None:
    with TimeGPTServer(key=KEY, input_size=20, delay_sec=0.15) as server:
        racing = [process(server, tmp_path, run) for run in ("a", "b")]
        for one in racing:
            assert one.stdin is not None
            one.stdin.close()
            one.stdin = None
        first, second = map(outcome, racing)
        assert server.counts == {"/model_params": 1, "/v2/forecast": 5}
        assert first["sent"] + second["sent"] == 6
        assert first["rows"] == second["rows"]
        calls = timegpt(server.url, tmp_path).ledger.calls(account(server.host))
        assert [call["state"] for call in calls if call["state"] != "REFUNDED"] == ["ANSWERED"] * 6


def test_a_process_killed_while_it_waits_leaves_an_unknown_call_that_stays_spent(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    server.faults.append(Fault(kind="slow", seconds=3))
    doomed = process(server, tmp_path, "a")
    assert doomed.stdin is not None
    doomed.stdin.close()
    doomed.stdin = None
    deadline = time.monotonic() + 20
    while posts(server) == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    doomed.kill()
    doomed.communicate()
    forecaster = timegpt(server.url, tmp_path)
    assert forecaster.answers(frames(), budget_run_id="b").rows.height == 5 * 3 * 15
    states = forecaster.ledger.view(forecaster.account)["by_state"]
    assert states == {"ANSWERED": 6, "UNKNOWN": 1, "REFUNDED": 4}
    assert sum(server.counts.values()) == 7 == forecaster.ledger.view(forecaster.account)["spent"]


def test_a_crash_between_storing_the_bytes_and_the_ledger_costs_nothing(
    server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster = timegpt(server.url, tmp_path)
    forecaster.answers([frame(14)], budget_run_id="a")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        crashing.setattr(BudgetLedger, "answered", crash)
        with pytest.raises(KeyboardInterrupt):
            forecaster.answers([frame(15)], budget_run_id="a")
    assert forecaster.ledger.view(forecaster.account)["by_state"] == {"ANSWERED": 2, "UNKNOWN": 1}
    assert timegpt(server.url, tmp_path).answers([frame(15)], budget_run_id="b").sent == 0
    assert forecaster.ledger.view(forecaster.account)["by_state"] == {"ANSWERED": 3}


def test_the_rows_are_what_the_sdk_itself_returns(server: TimeGPTServer, tmp_path: Path) -> None:
    from nixtla import NixtlaClient

    sent = frame(14)
    ours = timegpt(server.url, tmp_path).answers([sent], budget_run_id="run").rows
    naive = sent.history.select(unique_id="symbol", ds=pl.col("ds").dt.replace_time_zone(None), y="y").to_pandas()
    client = NixtlaClient(api_key=KEY, base_url=server.url)
    theirs = pl.from_pandas(client.forecast(naive, h=15, freq="min", level=[50, 80, 95], model="timegpt-1"))
    names = {"mean": "TimeGPT"} | {f"{s}_{n}": f"TimeGPT-{s}-{n}" for s in ("lo", "hi") for n in (50, 80, 95)}
    assert ours["symbol"].to_list() == theirs["unique_id"].to_list()
    for our_name, their_name in names.items():
        assert ours[our_name].to_list() == theirs[their_name].to_list()
    mine, direct = (one for one in server.received if one.path == "/v2/forecast")
    assert mine.body == direct.body
    assert {k: v for k, v in mine.headers.items() if k != "connection"} == {
        k: v for k, v in direct.headers.items() if k != "connection"
    }


def test_bulk_rows_are_what_the_sdk_itself_returns(server: TimeGPTServer, tmp_path: Path) -> None:
    from nixtla import NixtlaClient

    whole = frame(14)
    windows = tuple(replace(whole, snapshot_ts=whole.snapshot_ts - timedelta(minutes=m)) for m in (45, 15))
    ours = timegpt(server.url, tmp_path).answers([replace(whole, windows=windows)], budget_run_id="run").rows
    naive = whole.history.select(unique_id="symbol", ds=pl.col("ds").dt.replace_time_zone(None), y="y").to_pandas()
    client = NixtlaClient(api_key=KEY, base_url=server.url)
    asked = {"h": 15, "freq": "min", "level": [50, 80, 95], "model": "timegpt-1", "n_windows": 3, "step_size": 15}
    theirs = pl.from_pandas(client.cross_validation(naive, **asked))
    for window in windows:
        mine = ours.filter(pl.col("snapshot_ts") == window.snapshot_ts)
        same = theirs.filter(pl.col("cutoff") == window.snapshot_ts.replace(tzinfo=None))
        assert mine.height == same.height == 3 * 15
        assert mine["symbol"].to_list() == same["unique_id"].to_list()
        assert mine["mean"].to_list() == same["TimeGPT"].to_list()
        assert mine["lo_80"].to_list() == same["TimeGPT-lo-80"].to_list()
    bodies = [one.body for one in server.received if one.path == "/v2/cross_validation"]
    assert bodies[0] == bodies[1]


SMALL = 60_000
"""Bytes of one request: three series of 500 rows fit, of two with 1,900 rows not even at the most they may take."""


def test_too_large_a_request_loses_its_oldest_history_first(server: TimeGPTServer, tmp_path: Path) -> None:
    roomy = TimeGPTServer(key=KEY, input_size=5000)
    with roomy:
        small = timegpt(roomy.url, tmp_path, size=Size(max_bytes=SMALL, least_rows=500))
        assert small.answers([frame(14, rows=3000)], budget_run_id="a").sent == 2
        (body,) = roomy.bodies()
        assert len(set(body["series"]["sizes"])) == 1
        assert 500 < body["series"]["sizes"][0] < 3000
        assert len(roomy.received[-1].body) <= SMALL


def test_only_then_are_the_symbols_split_each_part_a_request_reserved_with_the_others(tmp_path: Path) -> None:
    with TimeGPTServer(key=KEY, input_size=5000) as roomy:
        size = Size(max_bytes=SMALL, least_rows=1900)
        with pytest.raises(BudgetExceeded, match="4 TimeGPT calls needed, 3 left"):
            timegpt(roomy.url, tmp_path, size=size, limits={"per_run": 3}).answers(
                [frame(14, rows=3000)], budget_run_id="a"
            )
        answered = timegpt(roomy.url, tmp_path, size=size).answers([frame(14, rows=3000)], budget_run_id="a")
        assert [len(body["series"]["sizes"]) for body in roomy.bodies()] == [1, 1, 1]
        assert all(n >= 1900 for body in roomy.bodies() for n in body["series"]["sizes"])
        assert all(len(one.body) <= SMALL for one in roomy.received)
        assert answered.rows["symbol"].unique().sort().to_list() == list(SYMBOLS)
        assert timegpt(roomy.url, tmp_path, size=size).answers([frame(14, rows=3000)], budget_run_id="b").sent == 0


def test_a_symbol_added_later_is_asked_for_alone_and_once(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path)
    forecaster.answers([frame(14)], budget_run_id="a")
    for sent, run in ((1, "b"), (0, "c")):
        again = forecaster.answers([frame(14, symbols=(*SYMBOLS, "ZM"))], budget_run_id=run)
        assert again.sent == sent
        assert again.rows["symbol"].n_unique() == 4
        assert not again.rows["stale_input"].any()
    assert [len(body["series"]["sizes"]) for body in server.bodies()] == [3, 1]


def test_the_parameters_are_known_by_the_hash_of_what_the_sdk_sends(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path)
    assert params_key(server.host, "timegpt-1") == forecaster.params_request.entry.request_hash


def test_what_is_sent_is_one_unpartitioned_body_with_levels_and_no_key_check(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    timegpt(server.url, tmp_path).answers([frame(14, rows=300)], budget_run_id="run")
    (body,) = server.bodies()
    assert (body["h"], body["freq"], body["level"], body["model"]) == (15, "min", [50, 80, 95], "timegpt-1")
    assert body["series"]["sizes"] == [3 * 20 + 30] * 3
    assert body["series"]["start_datetime"] == ["2024-07-01T12:31"] * 3
    assert server.received[0].path == "/model_params"


def test_a_compressed_body_is_the_same_request(tmp_path: Path) -> None:
    with TimeGPTServer(key=KEY, input_size=20_000) as server:
        large = frame(14, rows=35_000)
        assert timegpt(server.url, tmp_path).answers([large], budget_run_id="a").sent == 2
        assert server.received[-1].headers["content-encoding"] == "zstd"
        assert timegpt(server.url, tmp_path).answers([large], budget_run_id="b").sent == 0


def test_a_revised_bar_is_marked_and_never_bought_again(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path)
    first = forecaster.answers([frame(14)], budget_run_id="a")
    history = frame(14).history.with_columns(y=pl.when(pl.int_range(pl.len()) == 100).then(0.5).otherwise("y"))
    again = forecaster.answers([replace(frame(14), history=history)], budget_run_id="b")
    assert again.sent == 0
    assert not first.rows["stale_input"].any()
    assert again.rows["stale_input"].all()
    assert again.rows.drop("stale_input").equals(first.rows.drop("stale_input"))


@pytest.mark.parametrize("symbols", [("AAPL", "MSFT"), (*SYMBOLS, "ZM")])
def test_the_batch_is_the_one_that_was_asked_whoever_is_there_now(
    server: TimeGPTServer, tmp_path: Path, symbols: tuple[str, ...]
) -> None:
    forecaster = timegpt(server.url, tmp_path)
    forecaster.answers([replace(frame(14), left_out={"ZM": "short history"})], budget_run_id="a")
    again = forecaster.answers([frame(14, symbols=symbols)], budget_run_id="b")
    assert again.sent == 0, "a symbol that was left out comes late: the batch was asked without it"
    assert again.rows["symbol"].unique().sort().to_list() == list(SYMBOLS)
    assert again.rows["stale_input"].all()


def test_other_settings_that_make_the_same_body_find_the_same_answer(server: TimeGPTServer, tmp_path: Path) -> None:
    first = timegpt(server.url, tmp_path).answers([frame(14, rows=200)], budget_run_id="a")
    longer = timegpt(
        server.url, tmp_path, settings_digest="longer history", profile="prod", trusted_hosts=(server.host,)
    )
    again = longer.answers([frame(14, rows=200)], budget_run_id="b")
    assert again.sent == 0
    assert again.rows.equals(first.rows)


def test_asking_again_on_purpose_pays_again_and_keeps_the_old_bytes(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path)
    forecaster.answers([frame(14)], budget_run_id="a")
    again = forecaster.answers([frame(14)], budget_run_id="b", reask=True)
    assert (again.sent, posts(server)) == (1, 2)
    assert len(list((tmp_path / "cache").rglob("replaced/*.zst"))) == 1
    assert forecaster.answers([frame(14)], budget_run_id="c").sent == 0


def test_asking_again_without_the_money_keeps_the_answer(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path, limits={"per_day": 2})
    forecaster.answers([frame(14)], budget_run_id="a")
    with pytest.raises(BudgetExceeded):
        forecaster.answers([frame(14)], budget_run_id="b", reask=True)
    assert forecaster.answers([frame(14)], budget_run_id="c").cached == 1


@pytest.mark.parametrize("limit", ["per_run", "per_day", "per_month"])
@pytest.mark.parametrize("is_cold", [True, False])
def test_a_day_that_cannot_be_paid_in_full_sends_nothing(
    server: TimeGPTServer, tmp_path: Path, limit: str, is_cold: bool
) -> None:
    if not is_cold:
        timegpt(server.url, tmp_path).answers([frame(13)], budget_run_id="run")
    before, allowed = sum(server.counts.values()), 5 if is_cold else 6
    short = timegpt(server.url, tmp_path, limits={limit: allowed})
    with pytest.raises(BudgetExceeded, match=limit) as refused:
        short.answers(frames(), budget_run_id="run")
    assert (refused.value.limit, refused.value.needed, refused.value.left) == (limit, *((6, 5) if is_cold else (5, 4)))
    assert sum(server.counts.values()) == before
    enough = timegpt(server.url, tmp_path, limits={limit: allowed + 1})
    assert enough.answers(frames(), budget_run_id="run").rows.height == 5 * 3 * 15


def test_offline_replays_without_a_key_and_lists_what_it_misses(server: TimeGPTServer, tmp_path: Path) -> None:
    first = timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    offline = timegpt(server.url, tmp_path, api_mode="offline", profile="offline", api_key=None)
    assert offline.answers([frame(14)], budget_run_id="b").rows.equals(first.rows)
    with pytest.raises(OfflineMiss, match=r"2 answers are not stored.*T15:00.*T16:00"):
        offline.answers([frame(14), frame(15), frame(16)], budget_run_id="b")
    assert sum(server.counts.values()) == 2


def test_offline_with_nothing_stored_misses_everything(server: TimeGPTServer, tmp_path: Path) -> None:
    offline = timegpt(server.url, tmp_path, api_mode="offline", profile="offline", api_key=None)
    with pytest.raises(OfflineMiss, match="6 answers"):
        offline.answers(frames(), budget_run_id="a")
    assert not server.counts


@pytest.mark.parametrize("key", [None, "", "  ", lambda: None])
def test_without_a_key_nothing_is_reserved_or_sent(server: TimeGPTServer, tmp_path: Path, key: Any) -> None:
    forecaster = timegpt(server.url, tmp_path, api_key=key)
    with pytest.raises(MissingKey, match=r"TIMEGPT_API_KEY.*NIXTLA_API_KEY"):
        forecaster.answers(frames(), budget_run_id="a")
    assert not server.counts
    assert forecaster.ledger.calls(forecaster.account) == []


def test_a_refused_key_stops_at_once_and_is_shown_nowhere(
    server: TimeGPTServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    forecaster = timegpt(server.url, tmp_path, api_key=lambda: WRONG)
    with pytest.raises(KeyRefused, match="TIMEGPT_API_KEY") as refused:
        forecaster.answers(frames(), budget_run_id="a")
    assert server.counts == {"/model_params": 1}
    assert forecaster.ledger.view(forecaster.account)["by_state"] == {"REJECTED": 1}
    shown = [caplog.text, repr(forecaster), *map(str, chain(refused.value))]
    stored = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert stored
    assert not [text for text in shown + stored if WRONG in text]


def test_the_key_is_in_no_file_log_or_repr_of_a_good_run(
    server: TimeGPTServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    forecaster = timegpt(server.url, tmp_path)
    forecaster.answers(frames(), budget_run_id="a")
    forecaster.ledger.export(forecaster.account, LocalStore(tmp_path))
    stored = [forecaster.cache.read(server.host, name) for name in forecaster.cache.hashes(server.host)]
    shown = [caplog.text, repr(forecaster), repr(stored), repr(server.received)]
    shown += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(stored) == 6
    assert not [text for text in shown if KEY in text]


def chain(error: BaseException | None) -> Iterator[object]:
    """Give everything a reporter could print of an exception: arguments, attributes, headers, causes."""
    while error is not None:
        yield from (error, repr(error), vars(error))
        request = vars(error).get("_request")
        yield dict(request.headers) if request is not None else ""
        error = error.__cause__ or error.__context__


def test_a_damaged_answer_is_set_aside_and_never_fetched_again(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path)
    request_hash = forecaster.answers([frame(14)], budget_run_id="a").rows["request_hash"][0]
    (path,) = (tmp_path / "cache").rglob(f"{request_hash}.zst")
    path.write_bytes(path.read_bytes()[:-7])
    for _ in range(2):
        with pytest.raises(CacheDamaged, match=r"damaged.*--reask"):
            forecaster.answers([frame(14)], budget_run_id="b")
    assert posts(server) == 1
    assert forecaster.answers([frame(14)], budget_run_id="c", reask=True).sent == 1


def test_a_lost_cache_is_reported_and_not_paid_for_again(server: TimeGPTServer, tmp_path: Path) -> None:
    forecaster = timegpt(server.url, tmp_path)
    request_hash = forecaster.answers([frame(14)], budget_run_id="a").rows["request_hash"][0]
    next((tmp_path / "cache").rglob(f"{request_hash}.zst")).unlink()
    with pytest.raises(CacheDamaged, match="paid for"):
        forecaster.answers([frame(14)], budget_run_id="b")
    assert posts(server) == 1


def test_a_lost_ledger_does_not_buy_stored_answers_again(server: TimeGPTServer, tmp_path: Path) -> None:
    first = timegpt(server.url, tmp_path).answers(frames(), budget_run_id="a")
    other = timegpt(server.url, tmp_path, ledger=BudgetLedger(f"sqlite:///{tmp_path}/new.db", clock=clock_at(2024, 8)))
    again = other.answers(frames(), budget_run_id="b")
    assert again.sent == 0
    assert again.rows.equals(first.rows)


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_never_sent(server: TimeGPTServer, tmp_path: Path, bad: float | None) -> None:
    history = frame(14).history.with_columns(
        y=pl.when(pl.int_range(pl.len()) == 119).then(pl.lit(bad, pl.Float64)).otherwise("y")
    )
    with pytest.raises(UnusableInput, match="AAPL"):
        timegpt(server.url, tmp_path).answers([replace(frame(14), history=history)], budget_run_id="a")
    assert posts(server) == 0


def clock_at(year: int, month: int, day: int = 1, hour: int = 12) -> Any:
    return lambda: datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("profile", "is_trusted", "clock", "sources"),
    [
        ("demo", False, clock_at(2024, 7), ("simulated", "smoke", "maintenance_replay")),
        ("dev", False, clock_at(2024, 7), ("simulated", "maintenance", "maintenance_replay")),
        ("dev", True, clock_at(2024, 7), ("model", "maintenance", "maintenance_replay")),
        ("prod", True, clock_at(2024, 7, 2, 13), ("model", "prod", "prod_live")),
        ("prod", True, clock_at(2024, 7, 2, 14), ("model", "prod", "maintenance_replay")),
    ],
)
def test_where_an_answer_comes_from_is_fixed_when_it_is_asked(
    server: TimeGPTServer, tmp_path: Path, profile: str, is_trusted: bool, clock: Any, sources: tuple[str, ...]
) -> None:
    server.date = format_datetime(clock(), usegmt=True)
    trusted = (server.host,) if is_trusted else ()
    asking = timegpt(server.url, tmp_path, profile=profile, trusted_hosts=trusted, clock=clock)
    rows = asking.answers([frame(14)], budget_run_id="a").rows
    assert rows.select(*SOURCES).unique().row(0) == sources
    assert rows["asked_at"].unique().to_list() == [clock()]
    later = timegpt(server.url, tmp_path, api_mode="offline", profile="offline", clock=clock_at(2025, 1))
    assert later.answers([frame(14)], budget_run_id="b").rows.equals(rows)


def test_prod_refuses_another_host_and_simulate_refuses_the_provider(tmp_path: Path) -> None:
    with pytest.raises(UntrustedHost, match="base_url"):
        timegpt("http://127.0.0.1:9", tmp_path, profile="prod")
    with pytest.raises(UntrustedHost, match="simulate"):
        timegpt("http://127.0.0.1:9", tmp_path, api_mode="simulate", trusted_hosts=("127.0.0.1:9",))


def test_two_profiles_of_one_account_share_one_budget_and_a_new_key_buys_nothing(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    limits = {"per_day": 3}
    timegpt(server.url, tmp_path, limits=limits).answers([frame(14)], budget_run_id="a")
    demo = timegpt(server.url, tmp_path, limits=limits, profile="demo", api_key=ROTATED)
    assert demo.answers([frame(14)], budget_run_id="b").sent == 0
    with pytest.raises(BudgetExceeded, match="per_day"):
        demo.answers([frame(15), frame(16)], budget_run_id="b")


def test_importing_the_sdk_leaves_logging_as_it_was(tmp_path: Path) -> None:
    code = (
        "import logging; from timegpt_assets.adapters.timegpt.sdk import SdkRequests\n"
        "SdkRequests('http://127.0.0.1:9', 1.0).model_params('timegpt-1')\n"
        "print(logging.getLogger().handlers, logging.getLogger().level)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[] 30\n"


def test_no_frames_make_no_rows_and_no_calls(server: TimeGPTServer, tmp_path: Path) -> None:
    answered = timegpt(server.url, tmp_path).answers([], budget_run_id="a")
    assert answered.rows.is_empty()
    assert ANSWERS.errors(answered.rows) == []
    assert not server.counts


def test_every_error_says_what_to_do(server: TimeGPTServer, tmp_path: Path) -> None:
    offline = timegpt(server.url, tmp_path, api_mode="offline")
    with pytest.raises(CallError) as missed:
        offline.answers([frame(14, day=date(2024, 7, 2))], budget_run_id="a")
    assert "2024-07-02" in str(missed.value)
    assert str(missed.value).endswith("Ask for them online first.")


class AnsweredInBetween(ForecastCache):
    """A cache in which another process stores the answer right after it was looked for in vain."""

    meanwhile: ClassVar[list[Callable[[], object]]] = []

    def read(self, host: str, request_hash: str) -> StoredAnswer | None:
        found = super().read(host, request_hash)
        if found is None and self.meanwhile:
            self.meanwhile.pop()()
        return found


def test_an_answer_that_another_process_stores_in_between_is_not_taken_for_a_damaged_one(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    other = timegpt(server.url, tmp_path)
    AnsweredInBetween.meanwhile[:] = [lambda: other.answers([frame(15)], budget_run_id="other")]
    ours = timegpt(server.url, tmp_path, cache=AnsweredInBetween(LocalStore(tmp_path / "cache")))
    assert ours.answers([frame(15)], budget_run_id="ours").rows.height == 3 * 15
    assert AnsweredInBetween.meanwhile == []
    assert posts(server) == 2


def test_a_snapshot_at_which_everybody_is_left_out_is_not_asked_and_not_an_error(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    nobody = replace(
        frame(14), history=frame(14).history.clear(), sigma=frame(14).sigma.clear(), left_out={"AAPL": "short history"}
    )
    answered = timegpt(server.url, tmp_path).answers([nobody], budget_run_id="a")
    assert (answered.rows.height, answered.sent, answered.left_out) == (0, 0, {"AAPL": "short history"})
    assert not server.counts

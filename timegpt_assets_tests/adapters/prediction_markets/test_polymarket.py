"""Polymarket is asked in its own portions, believed where it speaks, and no silence of it is taken for an answer."""

import gzip
import json
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.prediction_markets import gamma
from timegpt_assets.adapters.prediction_markets.asking import VenueFailed, VenueQuestions
from timegpt_assets.adapters.prediction_markets.polymarket import Polymarket
from timegpt_assets.adapters.prediction_markets.tape import Tape
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core.tsfm.series import series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, SPEC, at
from timegpt_assets_tests.servers.polymarket import (
    Fault,
    PolymarketServer,
    condition,
    gamma_market,
    seconds,
    token,
)

TOKENS = [token(0), token(1)]


@pytest.fixture
def venue() -> Iterator[PolymarketServer]:
    with PolymarketServer([gamma_market(number) for number in range(3)]) as server:
        server.interest = {condition(number): 1000.0 + number for number in range(3)}
        server.history = {token(n): [(seconds(at(-5 * k)), 0.3 + n / 10) for k in range(6)] for n in range(3)}
        yield server


def polymarket(server: PolymarketServer, *, slept: list[float] | None = None, **told: Any) -> Polymarket:
    """Return the client of a local server; it waits for nothing but what ``asking`` keeps a clock on."""
    asking = {"timeout_s": 5.0, "max_attempts": 3, "budget_s": 20.0, "spacing_s": 0.0} | told.pop("asking", {})
    ask = VenueQuestions(**asking, clock=lambda: NOON, sleep=[].append if slept is None else slept.append)
    urls = {f"{name}_url": server.url for name in ("gamma", "clob", "data")}
    return Polymarket(ask=ask, **({"max_candidates": 400, "fidelity_min": 5, "known_after_s": 0.0} | urls | told))


def test_markets_are_asked_in_pages_of_a_hundred_the_most_traded_first(venue: PolymarketServer) -> None:
    venue.markets = [gamma_market(number) for number in range(250)]
    found = polymarket(venue, max_candidates=230).snapshot(at(0))
    assert found.height == 230
    assert found["volume_24h"].min() == 80000.0 - 229
    listed = venue.of("/markets")
    assert [one.rpartition("offset=")[2].partition("&")[0] for one in listed] == ["0", "100", "200"]
    assert all("limit=100" in one and "order=volume24hr" in one and "ascending=false" in one for one in listed)
    assert all("active=true" in one and "closed=false" in one for one in listed)


def test_a_market_that_two_pages_show_is_one(venue: PolymarketServer) -> None:
    """Volumes move between two pages, and who was last of the one is the first of the next."""
    page = [gamma_market(number) for number in range(100)]
    venue.faults.extend(Fault(kind="text", body=json.dumps(part)) for part in (page, [page[-1], gamma_market(100)]))
    assert polymarket(venue).snapshot(at(0)).height == 101


def test_a_market_is_read_as_gamma_writes_it(venue: PolymarketServer) -> None:
    told = {"volume24hr": "1234.5", "events": [{"id": "7", "slug": "the-event", "category": "Crypto"}]}
    venue.markets = [gamma_market(0, **told), gamma_market(1, volume24hr=None, volume=None, endDate=None)]
    first, second = polymarket(venue).snapshot(at(0)).sort("market_id").iter_rows(named=True)
    assert first == {
        "day": NOON.date(),
        "as_of": NOON,
        "market_id": "3000000",
        "event_id": "the-event",
        "question": "Will it happen, number 0?",
        "category": "Crypto",
        "token_id": token(0),
        "end_ts": first["end_ts"],
        "active": True,
        "volume_24h": 1234.5,
        "open_interest": 1000.0,
        "bid": 0.41,
        "ask": 0.43,
        "last_trade": 0.42,
        "last_trade_ts": None,
        "ambiguity": None,
        "resolved_yes": None,
        "live": True,
    }
    assert first["end_ts"].isoformat() == "2026-07-24T00:00:00+00:00"
    assert (second["volume_24h"], second["end_ts"], second["category"]) == (None, None, "UNKNOWN")
    assert second["event_id"] == condition(1), "who names no event is one alone"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"clobTokenIds": None}, "bad_clobTokenIds"),
        ({"clobTokenIds": "[1,"}, "bad_clobTokenIds"),
        ({"clobTokenIds": '["1"]'}, "not_two_outcomes"),
        ({"outcomes": '["A", "B", "C"]'}, "not_two_outcomes"),
        ({"id": None}, "no_id"),
        ({"conditionId": ""}, "no_conditionId"),
        ({"volume24hr": "much"}, "bad_volume24hr"),
        ({"volume24hr": -1}, "bad_volume24hr"),
        ({"volume24hr": "NaN"}, "bad_volume24hr"),
        ({"bestBid": True}, "bad_bestBid"),
        ({"endDate": "tomorrow"}, "bad_endDate"),
        ({"endDate": "2026-07-24T00:00:00"}, "bad_endDate"),
    ],
)
def test_a_market_that_cannot_be_read_is_counted_and_the_others_are_there(
    venue: PolymarketServer, told: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(gamma.Unreadable, match=f"^{reason}$"):
        gamma.row(gamma_market(0, **told), at(0))
    venue.faults.append(Fault(kind="text", body=json.dumps([gamma_market(0, **told), gamma_market(1)])))
    with caplog.at_level(logging.INFO):
        assert polymarket(venue).snapshot(at(0))["market_id"].to_list() == ["3000001"]
    assert f"'{reason}': 1" in caplog.text


def test_who_no_longer_takes_orders_is_not_traded() -> None:
    for told in ({"acceptingOrders": False}, {"closed": True}, {"active": False}):
        assert gamma.row(gamma_market(0, **told), at(0))["active"] is False


def test_an_empty_side_of_a_book_is_no_quote_and_no_middle_of_nothing() -> None:
    row = gamma.row(gamma_market(0, bestBid=0, bestAsk=1), at(0))
    assert (row["bid"], row["ask"]) == (None, None)


@pytest.mark.parametrize("listed", [[], [{"id": "1"}]], ids=["none", "unreadable"])
def test_a_list_without_a_market_is_a_failure(venue: PolymarketServer, listed: list[Any]) -> None:
    venue.faults.append(Fault(kind="text", body=json.dumps(listed)))
    with pytest.raises(VenueFailed, match=r"no active market that can be read.*Ask again later") as failed:
        polymarket(venue).snapshot(at(0))
    assert failed.value.kind == "empty"


def test_open_interest_is_asked_by_twenty_and_is_null_where_it_is_not_told(venue: PolymarketServer) -> None:
    venue.markets = [gamma_market(number) for number in range(45)]
    venue.interest = {condition(number): f"{number}" for number in range(44)}
    found = polymarket(venue).snapshot(at(0)).sort("volume_24h", descending=True)
    assert found["open_interest"].to_list() == [*(float(number) for number in range(44)), None]
    assert [one.count("0x") for one in venue.of("/v2/oi")] == [20, 20, 5]
    assert venue.of("/oi") == []


def test_the_older_interface_is_asked_only_where_the_newer_is_not_there(venue: PolymarketServer) -> None:
    venue.missing.add("/v2/oi")
    assert polymarket(venue).snapshot(at(0))["open_interest"].null_count() == 0
    assert len(venue.of("/oi")) == 1
    venue.missing.clear()
    venue.asked.clear()
    venue.rule = lambda asked: Fault(kind="status", status=500) if "/oi" in asked else None
    assert polymarket(venue).snapshot(at(0))["open_interest"].null_count() == 3
    assert venue.of("/oi") == []
    assert len(venue.of("/v2/oi")) == 3


def test_open_interest_of_no_market_at_all_is_said(venue: PolymarketServer, caplog: pytest.LogCaptureFixture) -> None:
    venue.interest = {}
    assert polymarket(venue).snapshot(at(0)).height == 3
    assert "tells the open interest of no market" in caplog.text


def test_books_are_asked_of_who_has_no_quote_and_read_in_any_order(venue: PolymarketServer) -> None:
    venue.markets = [gamma_market(0), gamma_market(1, bestBid=None), gamma_market(2, bestAsk=None, bestBid=None)]
    venue.books = {token(1): (["0.20", "0.45", "0.30"], ["0.99", "0.47", "0.60"]), token(2): ([], ["0.9"])}
    found = polymarket(venue).snapshot(at(0)).sort("market_id")
    assert found.select("bid", "ask").rows() == [(0.41, 0.43), (0.45, 0.47), (None, 0.9)]
    assert len(venue.of("/book")) == 2


def test_a_book_that_cannot_be_had_costs_no_cycle(venue: PolymarketServer, caplog: pytest.LogCaptureFixture) -> None:
    venue.markets = [gamma_market(number, bestBid=None) for number in range(3)]
    assert polymarket(venue).snapshot(at(0))["bid"].null_count() == 3
    assert "books are not asked for further in this cycle" in caplog.text
    assert len(venue.of("/book")) == 1


def test_prices_are_asked_by_twenty_tokens_and_fifteen_days(venue: PolymarketServer) -> None:
    venue.history = {token(n): [(seconds(at(-1440 * k)), n / 100) for k in range(40)] for n in range(25)}
    tokens = [token(n) for n in range(25)]
    found = polymarket(venue).prices(tokens, at(-1440 * 35), at(1))
    assert found.height == 25 * 36
    asked = [json.loads(one.partition("?")[2]) for one in venue.of("/batch-prices-history")]
    assert [len(one["markets"]) for one in asked] == [20, 5] * 3
    assert max(one["end_ts"] - one["start_ts"] for one in asked) <= 15 * 86400
    assert {one["fidelity"] for one in asked} == {5}
    assert found["ts"].min() == at(-1440 * 35)
    assert found.filter(pl.col("token_id") == token(3))["p"].unique().to_list() == [0.03]


def test_prices_one_by_one_where_the_batch_is_not_there(venue: PolymarketServer) -> None:
    venue.missing.add("/batch-prices-history")
    found = polymarket(venue, known_after_s=60.0).prices(TOKENS, at(-10), at(1))
    assert found.height == 6
    assert found.row(0) == (token(0), at(0), 0.3, at(1))
    assert len(venue.of("/prices-history")) == 2
    venue.rule = lambda asked: Fault(kind="status", status=400, body='{"error":"bad"}') if "batch" in asked else None
    with pytest.raises(VenueFailed, match="HTTP 400") as failed:
        polymarket(venue).prices(TOKENS, at(-10), at(1))
    assert failed.value.kind == "refused"


def test_no_price_of_anybody_is_a_failure_and_of_somebody_is_none(venue: PolymarketServer) -> None:
    assert polymarket(venue).prices([token(0), "unknown"], at(-10), at(1))["token_id"].unique().to_list() == [token(0)]
    venue.over = set(TOKENS)
    with pytest.raises(
        VenueFailed, match=r"no price of any of 2 tokens.*keeps none by the minute.*replay from files"
    ) as failed:
        polymarket(venue).prices(TOKENS, at(-10), at(1))
    assert failed.value.kind == "empty"
    assert polymarket(venue, fidelity_min=720).prices(TOKENS, at(-10), at(1)).height == 6
    assert polymarket(venue).prices([], at(-10), at(1)).is_empty()


@pytest.mark.parametrize("body", ["[]", '{"history":[]}', json.dumps({"history": {token(0): [{"p": 1}]}}), '"x"'])
def test_prices_in_another_form_are_a_failure(venue: PolymarketServer, body: str) -> None:
    venue.faults.append(Fault(kind="text", body=body))
    with pytest.raises(VenueFailed, match="Its form may have changed"):
        polymarket(venue).prices(TOKENS, at(-10), at(1))


def test_prices_as_text_are_numbers_and_what_is_none_is_left_to_be_counted(venue: PolymarketServer) -> None:
    venue.history = {token(0): [(seconds(at(0)), "0.5"), (seconds(at(1)), "high"), (seconds(at(2)), 1.2)]}
    assert polymarket(venue).prices(TOKENS, at(0), at(9))["p"].to_list() == [0.5, None, 1.2]


PASSING = [
    Fault(kind="status", status=500),
    Fault(kind="status", status=503, body="<html>"),
    Fault(kind="status", status=429),
    Fault(kind="status", status=429, headers={"Retry-After": "1"}),
    Fault(kind="text", body="<html>It works!</html>"),
    Fault(kind="text", body=""),
    Fault(kind="half"),
    Fault(kind="torn"),
    Fault(kind="reset"),
    Fault(kind="slow", seconds=0.6),
    Fault(kind="drip", seconds=0.02),
    Fault(kind="tarpit", seconds=0.02),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind} {fault.status} {fault.body[:6]}")
def test_what_may_pass_is_asked_again(venue: PolymarketServer, fault: Fault) -> None:
    venue.faults.append(fault)
    source = polymarket(venue, asking={"timeout_s": 0.3})
    assert source.snapshot(at(0)).height == 3
    assert len(venue.of("/markets")) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "attempts", "remedy"),
    [
        (Fault(kind="status", status=500, body="oops"), "broken", 3, "HTTP 500: oops.*Ask again later"),
        (Fault(kind="status", status=429), "throttled", 3, "tsfm.markets.spacing_s"),
        (Fault(kind="status", status=403), "refused", 1, "Ask again later"),
        (Fault(kind="status", status=302, headers={"Location": "https://example.org"}), "refused", 1, "address right"),
        (Fault(kind="status", status=404), "missing_path", 1, "Mend its address in tsfm.markets"),
        (Fault(kind="drip", seconds=0.02), "unreached", 3, r"no whole answer in 0\.2 s"),
        (Fault(kind="text", body='{"error": "x"}'), "broken", 1, "no list of markets"),
    ],
    ids=lambda said: said.kind if isinstance(said, Fault) else None,
)
def test_what_lasts_is_told_in_one_word_with_what_helps(
    venue: PolymarketServer, fault: Fault, kind: str, attempts: int, remedy: str
) -> None:
    venue.rule = lambda asked: fault
    with pytest.raises(VenueFailed, match=remedy) as failed:
        polymarket(venue, asking={"timeout_s": 0.2}).snapshot(at(0))
    assert failed.value.kind == kind
    assert len(venue.asked) == attempts


def test_a_venue_that_asks_for_a_longer_wait_than_the_budget_is_left_alone(venue: PolymarketServer) -> None:
    venue.rule = lambda asked: Fault(kind="status", status=429, headers={"Retry-After": "60"})
    slept: list[float] = []
    with pytest.raises(VenueFailed) as failed:
        polymarket(venue, slept=slept).snapshot(at(0))
    assert failed.value.wait_s == 60.0
    assert len(venue.asked) == 1
    assert sum(slept) == 0.0


def test_all_attempts_of_a_question_end_with_its_budget(venue: PolymarketServer) -> None:
    venue.rule = lambda asked: Fault(kind="drip", seconds=0.02)
    began = time.monotonic()
    with pytest.raises(VenueFailed):
        polymarket(venue, asking={"timeout_s": 5.0, "budget_s": 0.6, "max_attempts": 9}).snapshot(at(0))
    assert time.monotonic() - began < 2.0


def test_questions_are_spaced(venue: PolymarketServer) -> None:
    venue.markets = [gamma_market(number) for number in range(150)]
    slept: list[float] = []
    polymarket(venue, slept=slept, asking={"spacing_s": 30.0}).snapshot(at(0))
    assert len(slept) == len(venue.asked) - 1
    assert min(slept) > 25.0


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_nobody_there_is_unreached(venue: PolymarketServer, url: str) -> None:
    with pytest.raises(VenueFailed, match=r"tsfm\.markets") as failed:
        polymarket(venue, gamma_url=url, asking={"max_attempts": 1}).snapshot(at(0))
    assert failed.value.kind == "unreached"


def test_a_live_cycle_stands_on_tape_and_grid(venue: PolymarketServer, tmp_path: Path) -> None:
    """What the venue said goes over the tape to the grid: history before its first cycle, its middle from then on."""
    source, tape = polymarket(venue), Tape(LocalStore(tmp_path), cycle=timedelta(minutes=5))
    tape.keep_markets(at(0), source.snapshot(at(0)), taken_at=at(0.1))
    lacking = tape.lacking([token(0)], at(0), timedelta(days=1))
    fetched = source.prices(list(lacking), min(lacking.values()), at(0))
    tape.keep_prices(at(0), fetched, since=lacking, until=at(0), taken_at=at(0.1))
    day = tape.day(NOON.date())
    made = series(day.markets, day.prices, [NOON.date()], SPEC).rows.filter(pl.col("market_id") == "3000000")
    until_now = made.filter(pl.col("ts") <= at(5)).select("y", "y_source").rows()
    assert until_now == [*[(0.3, "history")] * 5, (pytest.approx(0.42), "mid"), (pytest.approx(0.42), "ffill")]


def test_every_recorded_market_is_read(real_data: Path) -> None:
    """292 original objects: all of them are over, so none is traded."""
    file = real_data / "extras/polymarket_gamma_raw/BTC-5m-markets-2026-07-24.jsonl.gz"
    raw = [json.loads(line)["raw"] for line in gzip.decompress(file.read_bytes()).splitlines()]
    rows = [gamma.row(market, at(0)) for market in raw]
    assert len(rows) == 292
    assert not any(row["active"] for row in rows)
    assert {row["category"] for row in rows} == {"UNKNOWN"}
    assert sum(row["volume_24h"] is None for row in rows) == 44

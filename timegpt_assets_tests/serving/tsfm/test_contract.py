"""A request is taken as it was meant or refused with the place of each fault and what helps; nothing is guessed."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.config.settings import load_settings
from timegpt_assets.serving.tsfm.contract import MOST_FAULTS, Refused, read
from timegpt_assets.serving.tsfm.terms import Choice, Settled, Terms, carried, settled, terms


@pytest.fixture(scope="module")
def allowed() -> Terms:
    """Return what the demo allows."""
    return terms(load_settings(profile="demo", config_dir=None, environment={}))


GOOD = {"market_id": "m1", "as_of_ts": "2026-02-20T12:00:00Z", "y": [0.4, None, 0.5]}
WHOLE = GOOD | {
    "freq": "5m",
    "horizon_steps": 3,
    "quantiles": [0.05, 0.5, 0.95],
    "x_past": {"volume": [1.0, 2, 3]},
    "x_future": {"volume": [1, 2, 3]},
    "transform": {"space": "identity", "eps": 1e-6},
    "model": {"provider": "tollama", "model_name": "mock", "model_version": "auto", "params": {}},
}


def asked(allowed: Terms, said: dict[str, Any] | None = None, **changed: Any) -> Settled:
    return settled(read(json.dumps((said or GOOD) | changed).encode()), allowed)


def refused(allowed: Terms, **changed: Any) -> list[tuple[str, str, str]]:
    """Return place, words and remedy of each fault."""
    with pytest.raises(Refused) as caught:
        asked(allowed, **changed)
    return [(".".join(map(str, fault.loc)), fault.msg, fault.remedy) for fault in caught.value.faults]


def test_what_is_left_out_is_what_the_settings_say(allowed: Terms) -> None:
    found = asked(allowed)
    assert found.asked.quantiles == (0.1, 0.5, 0.9)
    assert (found.asked.horizon, found.asked.freq_min, found.asked.liquidity_bucket) == (12, 5, "UNKNOWN")
    assert found.choice == Choice(model="chronos2", space="logit")
    assert found.asked.as_of == datetime(2026, 2, 20, 12, tzinfo=UTC)


def test_everything_that_is_said_is_asked(allowed: Terms) -> None:
    found = asked(allowed, WHOLE, volume_24h=60_000)
    assert found.asked.quantiles == (0.05, 0.5, 0.95)
    assert (found.asked.horizon, found.asked.volume_24h, found.asked.liquidity_bucket) == (3, 60_000, "HIGH")
    assert found.choice == Choice(model="mock", space="identity")
    assert {name: values.tolist() for name, values in found.asked.x_past.items()} == {"volume": [1, 2, 3]}
    assert {name: values.tolist() for name, values in found.asked.x_future.items()} == {"volume": [1, 2, 3]}
    assert found.warnings == ()


def test_covariates_are_cut_with_the_prices_they_stand_beside(allowed: Terms) -> None:
    late = asked(allowed, y=[None, 0.4, None, 0.5], x_past={"volume": [1, 2, 3, 4]}).asked
    assert late.x_past["volume"].tolist() == [2, 3, 4]
    long = asked(allowed, y=[0.5] * 300, x_past={"volume": list(range(300))}).asked
    assert long.x_past["volume"].tolist() == list(range(12, 300))


def test_covariates_of_a_model_that_takes_none_are_refused(allowed: Terms) -> None:
    alone = replace(allowed, provider="in_process", model="fracast")
    with pytest.raises(Refused) as caught:
        asked(alone, x_past={"volume": [1, 2, 3]})
    (fault,) = caught.value.faults
    assert (fault.loc, fault.remedy) == (("x_past",), "Leave x_past and x_future out.")
    assert asked(alone).asked.x_past == {}


@pytest.mark.parametrize(
    ("changed", "place", "word", "remedy"),
    [
        ({"horizon_steps": 0}, "horizon_steps", "greater than or equal to 1", "1 or more"),
        ({"horizon_steps": -1}, "horizon_steps", "greater than or equal to 1", "1 or more"),
        ({"horizon_steps": 49}, "horizon_steps", "too far", "max_horizon_steps"),
        ({"horizon_steps": 10**30}, "horizon_steps", "too far", "max_horizon_steps"),
        ({"horizon_steps": "12"}, "horizon_steps", "valid integer", "whole number"),
        ({"horizon_steps": 1.5}, "horizon_steps", "valid integer", "whole number"),
        ({"quantiles": [0.5, 0.1, 0.9]}, "quantiles", "do not rise", "rising"),
        ({"quantiles": [0.1, 0.5, 0.5, 0.9]}, "quantiles", "twice", "rising"),
        ({"quantiles": [0, 0.5, 0.9]}, "quantiles.0", "greater than 0", "between 0 and 1"),
        ({"quantiles": [0.1, 0.5, 1]}, "quantiles.2", "less than 1", "between 0 and 1"),
        ({"quantiles": []}, "quantiles", "at least 1", "between 0 and 1"),
        ({"quantiles": [0.1, 0.9]}, "quantiles", "0.5 is not among them", "0.5 among them"),
        ({"quantiles": [0.5]}, "quantiles", "none on one side", "0.5 among them"),
        ({"quantiles": [0.5, 0.9]}, "quantiles", "none on one side", "0.5 among them"),
        ({"quantiles": [n / 200 for n in range(1, 200)]}, "quantiles", "at most 99", "between 0 and 1"),
        ({"freq": "7m"}, "freq", "'7m' is not the grid", "Send 5m"),
        ({"y": []}, "y", "holds no price", "at least one price"),
        ({"y": [None, None]}, "y", "holds no price", "at least one price"),
        ({"y": [0.1, math.nan]}, "y.1", "finite", "from 0 to 1"),
        ({"y": [0.1, math.inf]}, "y.1", "finite", "from 0 to 1"),
        ({"y": [1.2, 0.1]}, "y.0", "less than or equal to 1", "from 0 to 1"),
        ({"y": [-0.1]}, "y.0", "greater than or equal to 0", "from 0 to 1"),
        ({"y": ["0.5"]}, "y.0", "valid number", "from 0 to 1"),
        ({"y": [True]}, "y.0", "valid number", "from 0 to 1"),
        ({"y": 0.5}, "y", "valid array", "from 0 to 1"),
        ({"y": [0.5] * 2001}, "y", "2001 points are too many", "last 2000"),
        ({"as_of_ts": "2026-02-20T12:00:00"}, "as_of_ts", "timezone", "with its zone"),
        ({"as_of_ts": "yesterday"}, "as_of_ts", "no ISO 8601 moment", "with its zone"),
        ({"as_of_ts": "1700000000"}, "as_of_ts", "no ISO 8601 moment", "with its zone"),
        ({"as_of_ts": None}, "as_of_ts", "valid datetime", "with its zone"),
        ({"as_of_ts": 1700000000}, "as_of_ts", "no ISO 8601 moment", "with its zone"),
        ({"as_of_ts": "2026-02-30T12:00:00Z"}, "as_of_ts", "day value", "with its zone"),
        ({"as_of_ts": "0001-01-01T00:00:00+14:00"}, "as_of_ts", "outside 2000 to 2100", "own moment"),
        ({"end_ts": "9999-12-31T23:59:59-12:00"}, "end_ts", "outside 2000 to 2100", "own moment"),
        ({"model": {"model_name": "chronos"}}, "model.model_name", "chronos is not listed", "chronos2"),
        ({"model": {"provider": "in_process"}}, "model.provider", "in_process is not there", "tollama"),
        ({"model": {"model_version": "7"}}, "model.model_version", "7 is not there", "auto"),
        ({"model": {"params": {"a": 1}}}, "model.params", "not those", "tsfm.model.params"),
        ({"transform": {"space": "log"}}, "transform.space", "'logit' or 'identity'", "logit or identity"),
        ({"transform": {"space": "logit", "eps": 0.1}}, "transform.eps", "0.1", "tsfm.transform.eps"),
        ({"x_past": {"volume": [1.0]}}, "x_past.volume", "1 values beside 3", "as many"),
        ({"x_past": {"v": [1, 2, 3]}, "x_future": {"v": [1]}}, "x_future.v", "1 values for 12", "as many"),
        ({"x_future": {"v": [1] * 12}}, "x_future.v", "no such name", "its past too"),
        ({"x_past": {"v": [1, None, 3]}}, "x_past.v.1", "valid number", "list of numbers"),
        ({"volume_24h": -1}, "volume_24h", "greater than or equal to 0", "USD"),
        ({"market_id": ""}, "market_id", "at least 1 character", "1 to 200"),
        ({"market_id": "a\nb"}, "market_id", "pattern", "printable"),
        ({"horizon": 12}, "horizon", "not permitted", "horizon_steps"),
    ],
)
def test_a_fault_is_named_by_its_place_with_what_helps(
    allowed: Terms, changed: dict[str, Any], place: str, word: str, remedy: str
) -> None:
    ((where, said, helps),) = refused(allowed, **changed)
    assert where == place
    assert word in said
    assert remedy in helps


def test_every_fault_of_a_request_is_told_at_once_but_no_more_than_can_be_read(allowed: Terms) -> None:
    assert {place for place, *_ in refused(allowed, freq="7m", horizon_steps=100, quantiles=[0.5])} == {
        "freq",
        "horizon_steps",
        "quantiles",
    }
    assert len(refused(allowed, **{f"no_{n}": n for n in range(100)})) == MOST_FAULTS


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"NaN"])
def test_a_body_that_is_no_request_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read(body)
    assert caught.value.faults[0].loc == ()
    assert caught.value.faults[0].remedy == "Send one JSON object, as docs/how-to/serve-bands.md shows it."


def test_a_model_for_research_alone_is_refused_where_it_is_traded_and_nowhere_else(allowed: Terms) -> None:
    moirai = {"model": {"model_name": "moirai-2.0-R-small"}}
    assert asked(allowed, **moirai).choice.model == "moirai-2.0-R-small"
    prod = terms(load_settings(profile="prod", config_dir=None, environment={}))
    ((place, said, helps),) = refused(prod, **moirai)
    assert (place, said) == ("model.model_name", "moirai-2.0-R-small is research_only, which profile prod refuses")
    assert "chronos2" in helps
    assert "moirai" not in helps


@pytest.mark.parametrize("points", [1, 288, 2000])
def test_one_point_and_the_most_are_taken_and_the_last_ones_looked_at(allowed: Terms, points: int) -> None:
    y = [n / 2000 for n in range(points)]
    found = asked(allowed, y=y)
    assert found.asked.y.tolist() == y[-288:]
    assert any(one.startswith("input_trimmed") for one in found.warnings) == (points > 288)


def test_a_market_s_segment_is_what_the_graph_would_say(allowed: Terms) -> None:
    volumes = (None, 0, 999.99, 1000, 49_999, 50_000)
    found = [asked(allowed, volume_24h=one).asked.liquidity_bucket for one in volumes]
    assert found == ["UNKNOWN", "LOW", "LOW", "MID", "MID", "HIGH"]
    ends = ("2026-02-20T12:59:00Z", "2026-02-20T14:00:00+01:00", "2026-03-20T12:00:00Z")
    assert [asked(allowed, end_ts=one).tte_bucket for one in ends] == ["<1h", "1-6h", ">168h"]
    assert (asked(allowed).tte_bucket, asked(allowed).category) == ("UNKNOWN", "UNKNOWN")
    assert asked(allowed, category="sports").category == "sports"


@pytest.mark.parametrize(
    "changed",
    [
        {"market_id": "m2"},
        {"as_of_ts": "2026-02-20T12:05:00Z"},
        {"y": [0.4, None, 0.50001]},
        {"y": [0.4, 0.4, 0.5]},
        {"horizon_steps": 11},
        {"quantiles": [0.2, 0.5, 0.9]},
        {"volume_24h": 1.0},
        {"end_ts": "2026-02-21T12:00:00Z"},
        {"category": "sports"},
        {"model": {"model_name": "mock"}},
        {"transform": {"space": "identity"}},
        {"x_past": {"v": [1, 2, 3]}},
        {"x_past": {"v": [1, 2, 3]}, "x_future": {"v": [1] * 12}},
    ],
)
def test_what_asks_something_else_has_another_hash(allowed: Terms, changed: dict[str, Any]) -> None:
    assert asked(allowed, **changed).digest() != asked(allowed).digest()


def test_what_asks_the_same_in_other_words_has_the_same_hash(allowed: Terms) -> None:
    words = {"freq": "5m", "horizon_steps": 12, "as_of_ts": "2026-02-20T13:00:00+01:00", "y": [None, 0.4, None, 0.5]}
    assert asked(allowed, **words).digest() == asked(allowed).digest()


def test_prices_are_carried_for_an_hour_and_no_longer(allowed: Terms) -> None:
    exactly = asked(allowed, y=[None, 0.4, *[None] * 12, 0.5]).asked
    assert exactly.y.tolist() == [0.4] * 13 + [0.5]
    assert exactly.longest_gap_min == 65, "from price to price"
    assert asked(allowed, y=[0.4, *[None] * 11, 0.5]).asked.longest_gap_min == 60
    assert asked(allowed, y=[0.4, *[None] * 12]).asked.longest_gap_min == 60
    longer = asked(allowed, y=[0.4, *[None] * 13]).asked
    assert math.isnan(longer.y[-1])
    assert longer.longest_gap_min == 65
    assert longer.seen.tolist() == [True] + [False] * 13


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=60), st.integers(0, 15))
def test_what_is_carried_is_the_last_price_seen(prices: list[float | None], most: int) -> None:
    filled, seen, longest = carried(np.array([math.nan if p is None else p for p in prices]), most)
    first = next((n for n, price in enumerate(prices) if price is not None), len(prices))
    age, last = 0, math.nan
    for price, got, is_seen in zip(prices[first:], filled, seen, strict=True):
        age, last = (age + 1, last) if price is None else (0, price)
        assert is_seen == (price is not None)
        assert (got == last) if age <= most else math.isnan(got)
    places = [n for n, price in enumerate(prices) if price is not None]
    ways = [later - earlier for earlier, later in pairwise(places)]
    assert longest == (max([*ways, len(prices) - 1 - places[-1]]) if places else len(prices))

"""Whatever a server answers, a series has either finite quantiles of its shape or a fault, and nothing else happens."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.adapters.tollama.answers import KINDS, ModelFailed, detail, read, refused
from timegpt_assets_tests.adapters.tollama.askers import HORIZON, QUANTILES, series

ASKED = [series("m1"), series("m2")]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["m1", "m2"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
COLUMN = st.lists(st.floats() | st.none() | st.integers(), min_size=HORIZON - 1, max_size=HORIZON + 1) | ANYTHING
NAMES = st.sampled_from(["0.1", "0.5", "0.9", "0.10", "mean"])
FORECAST = st.fixed_dictionaries(
    {"id": st.sampled_from(["m1", "m2", "m3"]), "quantiles": st.dictionaries(NAMES, COLUMN) | ANYTHING}
)
ANSWER = st.fixed_dictionaries({"model": st.just("mock"), "forecasts": st.lists(FORECAST | ANYTHING) | ANYTHING})


@settings(max_examples=60, deadline=None)
@given(answer=ANSWER | ANYTHING)
def test_every_series_is_believed_whole_or_has_a_fault(answer: Any) -> None:
    body = json.dumps(answer).encode()
    if not (isinstance(answer, dict) and isinstance(answer.get("forecasts"), list) and answer.get("model") == "mock"):
        with pytest.raises(ModelFailed) as told:
            read(body, ASKED, "mock")
        assert told.value.kind == "invalid_response"
        return
    values, faults, _ = read(body, ASKED, "mock")
    assert values.keys() | faults.keys() == {"m1", "m2"}
    assert not values.keys() & faults.keys()
    for found in values.values():
        assert (found.shape, found.dtype, bool(np.isfinite(found).all())) == ((HORIZON, 3), np.float64, True)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=60), status=st.integers(100, 599))
def test_any_bytes_under_any_status_have_a_name(body: bytes, status: int) -> None:
    assert refused(status, body).kind in KINDS
    with pytest.raises(ModelFailed) as told:
        read(body, ASKED, "mock")
    assert told.value.kind in ("invalid_json", "invalid_response", "streamed")


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(range(5)),
    last=st.lists(st.floats(-20, 20), min_size=5, max_size=5),
)
def test_the_order_of_an_answer_changes_nothing(order: list[int], last: list[float]) -> None:
    asked = [series(f"m{number}") for number in range(5)]
    told = [
        {"id": f"m{number}", "quantiles": {f"{one}": [last[number]] * HORIZON for one in QUANTILES}} for number in order
    ]
    values, faults, _ = read(json.dumps({"model": "mock", "forecasts": told}).encode(), asked, "mock")
    assert not faults
    assert [values[f"m{number}"][0, 0] for number in range(5)] == last


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b'{"detail":"no","hint":"x"}', "no"),
        (b'{"error":"no"}', "no"),
        (b'{"detail":[{"msg":"m","loc":["body",0]}]}', "m (body.0)"),
        (b'{"detail":[]}', ""),
        (b'{"detail":["x"]}', ""),
        (b'{"detail":{"a":1}}', ""),
        (b'{"detail":[{"input":{"y":[1,2,3]}}]}', "None ()"),
        (b"[1]", ""),
        (b"<html>", ""),
        (b"\xff", ""),
    ],
)
def test_a_server_s_own_words_are_found_in_every_shape(said: bytes, told: str) -> None:
    assert detail(said) == told

"""Requests are counted before they are made: who is asked together, and how many bytes that can take at most."""

from itertools import chain

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.adapters.timegpt.request_index import Size, batches
from timegpt_assets.config.addresses import host

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40)


@given(symbols=st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=30), size=st.integers(1, 12))
def test_batches_hold_everybody_once_in_order_and_none_is_too_large(symbols: list[str], size: int) -> None:
    found = batches(symbols, size)
    assert list(chain(*found)) == symbols
    assert all(1 <= len(batch) <= size for batch in found)
    assert len(found) == -(-len(symbols) // size)
    if found:
        assert max(map(len, found)) - min(map(len, found)) <= 1


@given(y=FLOATS, series=st.integers(1, 5))
def test_no_request_is_larger_than_counted(y: list[float], series: int) -> None:
    body = {
        "series": {
            "y": np.tile(np.asarray(y, dtype=np.float32), series),
            "sizes": [len(y)] * series,
            "start_datetime": ["2025-01-30T12:31:00.000000"] * series,
        },
        "level": list(range(1, 100)),
        "model": "m" * 60,
    }
    packed = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    assert len(packed) <= Size(max_bytes=10**9, least_rows=1).bytes(series, len(y))


@given(
    max_bytes=st.integers(5_000, 10**6), least=st.integers(1, 200), columns=st.integers(1, 5), ahead=st.integers(0, 30)
)
def test_a_batch_of_shortest_series_fits_and_one_more_would_not(
    max_bytes: int, least: int, columns: int, ahead: int
) -> None:
    size = Size(max_bytes=max_bytes, least_rows=least, columns=columns, ahead=ahead)
    batch = size.batch
    assert size.bytes(batch + 1, least) > max_bytes
    if batch:
        assert size.bytes(batch, least) <= max_bytes
        assert size.rows(batch) >= least
        assert size.bytes(batch, size.rows(batch)) <= max_bytes


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.nixtla.io", "api.nixtla.io"),
        ("https://API.nixtla.io:443/v2", "api.nixtla.io"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:81/x", "[::1]:81"),
        ("http://user:pass@example.org", "example.org"),
    ],
)
def test_a_host_is_named_without_what_does_not_tell_it_from_others(url: str, name: str) -> None:
    assert host(url) == name

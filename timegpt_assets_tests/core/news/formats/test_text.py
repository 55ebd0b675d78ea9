"""Bytes as text and JSON: what is mended says what was meant, whatever else is refused with place and remedy."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.news.formats.text import decoded, json_value
from timegpt_assets.core.news.formats.unreadable import Unreadable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

MENDED: dict[bytes, Any] = {
    rb'{"t": "it\'s \a \x41 fine"}': {"t": "it's a x41 fine"},
    b'{"t": "two\nlines\x01\ttab"}': {"t": "two\nlines\x01\ttab"},
    rb'["\uD83D", "\uD83D\uDE00", "\udE00!", "\\uD83D"]': ["\ufffd", "\U0001f600", "\ufffd!", "\\uD83D"],
    rb'["\\\' \uZZ"]': ["\\' uZZ"],
    b"\xef\xbb\xbf{}": {},
    '{"t": "ü"}'.encode("utf-16"): {"t": "ü"},
}
REFUSED = {
    b"": r"is empty\.",
    b" \r\n": r"is empty\.",
    b'["ok"]\n["caf\xe9"]': r"no text in utf-8: byte 12, line 2\.",
    b"  <!DOCTYPE html><html>busy": r"page of HTML that begins '<!DOCTYPE html>",
    b"<HTML>": "page of HTML",
    b"Please limit requests": r"no JSON: .* at line 1, near 'Please limit",
    b'{"a": [1, 2': r"no JSON: .* at line 1",
    b"[" * 100_000: "no JSON",
    b"9" * 5000: "no JSON",
}


@pytest.mark.parametrize("body", MENDED)
def test_what_most_writers_get_wrong_is_mended(body: bytes) -> None:
    assert json_value(body) == MENDED[body]


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: repr(body[:12]))
def test_what_is_none_is_refused_with_its_place_and_what_helps(body: bytes) -> None:
    with pytest.raises(Unreadable, match=REFUSED[body]) as refusal:
        json_value(body, "Save it again.")
    assert str(refusal.value).endswith("Save it again.")
    assert len(str(refusal.value)) < 300


@given(VALUES)
def test_json_that_is_right_is_read_as_it_is(value: Any) -> None:
    assert json_value(json.dumps([value]).encode()) == [value]
    assert json_value(json.dumps([value]).encode()[:-1] + b', "\\q"]') == [value, "q"], "and beside what is mended"


@given(st.binary(max_size=40))
def test_any_bytes_are_text_or_refused(body: bytes) -> None:
    with suppress(Unreadable):
        assert isinstance(decoded(body), str)
        json_value(body)

"""Bytes as text and as JSON: what is mended on the way, and what is refused.

Belongs here: what every source's text may suffer from. What the text says is each format's own.
"""

import json
import re
from typing import Any

import orjson

from timegpt_assets.core.news.formats.unreadable import Unreadable

AGAIN = "Ask again later; if it stays so, see what its source answers in a browser."
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_ESCAPE = re.compile(r"""\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(.))""", re.DOTALL)
_LONE = re.compile(
    r"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..)",
)


def decoded(body: bytes, remedy: str = AGAIN) -> str:
    """Return the text: UTF-8, or what its mark names. Raises Unreadable for no bytes, another charset and a page."""
    if not body.strip():
        raise Unreadable(f"is empty. {remedy}")
    encoding = next((name for mark, name in _MARKS if body.startswith(mark)), "utf-8")
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"is no text in {encoding}: byte {error.start:,}, line {line:,}. {remedy}") from error
    if is_page(text):
        raise Unreadable(f"is a page of HTML that begins {text.strip()[:60]!r}. {remedy}")
    return text


def is_page(text: str) -> bool:
    """Return whether the text is a page for a browser."""
    return re.match(r"\s*<(?:!doctype|html|head|body|\?xml)\b", text, re.IGNORECASE) is not None


def json_value(body: bytes, remedy: str = AGAIN) -> Any:
    """Return what the JSON says; illegal escapes, bare control characters and lone surrogates are mended.

    Raises Unreadable for what is none, with the line and the words at fault.
    """
    text = decoded(body, remedy)
    try:
        return orjson.loads(text)
    except ValueError:
        pass  # what most writers get wrong is mended below; whatever remains is refused there
    try:
        return json.loads(_LONE.sub(_paired, _ESCAPE.sub(_legal, text)), strict=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is no JSON: {_place(error, text)}. {remedy}") from error


def _legal(found: re.Match[str]) -> str:
    """Return an escape that JSON knows as it is, of any other its character alone."""
    return found[0] if found[1] else found[2]


def _paired(found: re.Match[str]) -> str:
    r"""Return a pair of surrogates as it is, and for one alone the sign of what is lost, U+FFFD."""
    return found[1] + (found[2] or "\\ufffd")


def _place(error: Exception, text: str) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return f"{error}"
    near = text[max(0, error.pos - 20) : error.pos + 20]
    return f"{error.msg} at line {error.lineno:,}, near {near!r}"

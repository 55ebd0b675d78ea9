"""What a model server answered: believed series by series, and every reason why not has a name.

Belongs here: the names, and what an answer must be like. The server lets much through that is no forecast (nulls, NaN,
another horizon, an id twice), so nothing of an answer is taken on trust; its stamps are not read at all. Quantiles that
cross are the guards' affair.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, get_args

import numpy as np

from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tsfm.asked import Asked, Floats

Kind = Literal[
    "timeout",
    "connection",
    "dns",
    "broken",
    "unavailable",
    "rate_limited",
    "unauthorized",
    "no_key",
    "licence",
    "not_installed",
    "wrong_version",
    "no_such_path",
    "redirected",
    "bad_request",
    "too_large",
    "server_error",
    "unexpected_status",
    "invalid_json",
    "invalid_response",
    "streamed",
    "unusable_input",
    "missing_series",
    "duplicate_series",
    "missing_quantiles",
    "wrong_horizon",
    "non_finite",
]
"""Why a model gave no forecast: what follows ``tollama_error:`` in a reason."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_OF_STATUS: Mapping[int, Kind] = {
    400: "bad_request",
    401: "unauthorized",
    403: "unauthorized",
    404: "not_installed",
    405: "no_such_path",
    408: "unavailable",
    409: "bad_request",
    413: "too_large",
    422: "bad_request",
    429: "rate_limited",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
_REMEDY: Mapping[Kind, str] = {
    "unauthorized": "Set TOLLAMA_API_KEY to a key of its auth.api_keys, and tsfm.tollama.auth_mode to bearer_required.",
    "licence": "Accept it there: tollama pull MODEL --accept-license.",
    "not_installed": "Install it there (tollama pull MODEL), or set tsfm.model.model_name to one it has.",
    "no_such_path": "Set tsfm.tollama.base_url to a tollama daemon's address, without a path.",
    "redirected": "Set tsfm.tollama.base_url to the final address.",
    "bad_request": "See tsfm.model.params and the server's log under the request's id.",
    "too_large": "Lower tsfm.tollama.batch_series, or raise TOLLAMA_MAX_REQUEST_BODY_MB there.",
    "rate_limited": "Ask less often, or raise its limit.",
    "unavailable": "See the server's log: its runner is starting, has failed or is left alone.",
    "streamed": "Ask the server itself: what stands between keeps it from answering in one piece.",
}
_REST = "See the server's log under the request's id, and tsfm.tollama.base_url."
_SAID = 200
"""Letters of a server's own words that are told at most; the words of a 400 hold the whole request."""


class ModelFailed(Explained, RuntimeError):
    """Raised when a request has no answer at all; ``kind`` is its name, the message ends with the remedy."""

    def __init__(self, kind: Kind, message: str) -> None:
        """Keep the name beside the message."""
        self.kind: Kind = kind
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelAnswers:
    """What a model said of many series: market_id -> quantiles (a row a step, a column a quantile), or why not.

    ``latency_ms``: from the first byte asked to the last one read, attempts and waits between them included.
    """

    values: dict[str, Floats]
    faults: dict[str, Kind]
    model_version: str | None
    latency_ms: float
    warnings: tuple[str, ...] = field(default=())


def failed(kind: Kind, what: str) -> ModelFailed:
    """Return the failure, its message ended with what helps."""
    return ModelFailed(kind, f"{what.rstrip('.')}. {_REMEDY.get(kind, _REST)}")


def refused(status: int, body: bytes) -> ModelFailed:
    """Return what an answer of another status than 200 means."""
    said = detail(body)
    about_licence = status in (HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT) and "licen" in said.lower()
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        kind: Kind = "redirected"
    elif about_licence:
        kind = "licence"
    else:
        kind = _OF_STATUS.get(status, "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _UNEXPECTED)
    return failed(kind, f"The model server answered HTTP {status}" + (f": {said}" if said else ""))


_UNEXPECTED: Kind = "unexpected_status"


def is_missing_path(status: int, body: bytes) -> bool:
    """Return whether the path itself does not exist; a model that is not installed is a 404 too, of another kind."""
    return status == HTTPStatus.NOT_FOUND and detail(body) == "Not Found"


def detail(body: bytes) -> str:
    """Return the server's own words of an error on one short line, nothing of what it repeats of the request."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    said = said.get("detail", said.get("error")) if isinstance(said, dict) else None
    if isinstance(said, list):
        said = said[0] if said and isinstance(said[0], dict) else None
        said = said and f"{said.get('msg')} ({'.'.join(str(part) for part in said.get('loc') or [])})"
    return cleaned(said) if isinstance(said, str) else ""


def cleaned(text: str) -> str:
    """Return a text of somebody else's on one line, short, without what no terminal should be sent."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_SAID]


def read(body: bytes, asked: Sequence[Asked], model: str) -> tuple[dict[str, Floats], dict[str, Kind], tuple[str, ...]]:
    """Return the quantiles and faults by market_id, and the warnings, of an answer of 200. Raises ModelFailed."""
    answer = _parsed(body)
    told = answer.get("forecasts")
    if not isinstance(told, list):
        raise failed("invalid_response", "The model server's answer holds no list of forecasts")
    if answer.get("model") != model:
        raise failed("invalid_response", f"Not {model} answered but {cleaned(str(answer.get('model')))}")
    ids = [one.get("id") if isinstance(one, dict) else None for one in told]
    times = Counter(name for name in ids if isinstance(name, str))
    by_id = {name: one for name, one in zip(ids, told, strict=True) if isinstance(name, str)}
    values, faults = dict[str, Floats](), dict[str, Kind]()
    for one in asked:
        found = _of(one, by_id.get(one.market_id), times[one.market_id])
        if isinstance(found, str):
            faults[one.market_id] = found
        else:
            values[one.market_id] = found
    strangers = len(times.keys() - {one.market_id for one in asked}) + sum(not isinstance(name, str) for name in ids)
    own = (f"{strangers} forecasts of series that nobody asked for were left out",) if strangers else ()
    said = answer.get("warnings")
    return values, faults, own + tuple(cleaned(str(one)) for one in (said if isinstance(said, list) else [])[:20])


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        if _is_streamed(body):
            raise failed("streamed", "The model server answered in pieces although it was asked not to") from None
        raise failed("invalid_json", "The model server's answer is no JSON") from None
    if not isinstance(answer, dict):
        raise failed("invalid_response", "The model server's answer is no JSON object")
    return answer


def _is_streamed(body: bytes) -> bool:
    """Return whether every line is a JSON object of its own."""
    lines = body.splitlines()
    try:
        return len(lines) > 1 and all(isinstance(json.loads(line), dict) for line in lines)
    except (ValueError, RecursionError):
        return False


def _of(asked: Asked, told: Mapping[str, Any] | None, times: int) -> Floats | Kind:
    """Return the quantiles of a series, a row a step, or what is wrong with them."""
    if told is None:
        return "missing_series"
    if times > 1:
        return "duplicate_series"
    columns = _columns(told.get("quantiles"), asked.quantiles)
    if columns is None:
        return "missing_quantiles"
    if not all(isinstance(column, list) for column in columns):
        return "invalid_response"
    if any(len(column) != asked.horizon for column in columns):
        return "wrong_horizon"
    cells = [cell for column in columns for cell in column]
    if any(cell is None or (_is_number(cell) and not _is_finite(cell)) for cell in cells):
        return "non_finite"
    if not all(_is_number(cell) for cell in cells):
        return "invalid_response"
    return np.array(columns, dtype=np.float64).T.copy()


def _columns(told: Any, quantiles: Sequence[float]) -> list[Any] | None:
    """Return what is told of each quantile, found by its value and not by how it is written; None: one is missing."""
    by_value: dict[float, Any] = {}
    for name, column in told.items() if isinstance(told, dict) else ():
        try:
            by_value[round(float(name), 9)] = column
        except ValueError:
            continue  # a statistic of another name
    columns = [by_value.get(round(quantile, 9)) for quantile in quantiles]
    return None if any(column is None for column in columns) else columns


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _is_finite(cell: float) -> bool:
    try:
        return math.isfinite(cell)
    except OverflowError:  # an integer beyond every float
        return False

"""The provider's body as rows: the one parser of fresh and of stored answers.

Belongs here: the documented 200 body of /v2/forecast and what makes one unusable. Whether its rows are what was asked
for is decided by core.forecasts.violations.
"""

import math
from collections.abc import Mapping
from typing import Any

import orjson
import polars as pl

from timegpt_assets.adapters.call_errors import InvalidAnswer
from timegpt_assets.core.forecasts.quantiles import Request, violations

_REMEDY = "It is spent, kept in the cache and not asked again. Report it to the provider; --reask pays for another."


def rows(body: bytes, request: Request, *, about: str) -> pl.DataFrame:
    """Return symbol, step (1..h, minutes), mean, lo_<level>, hi_<level>: one row per symbol and step, Float64.

    Values are as answered, in scaled target units. Raises InvalidAnswer, naming ``about``, for anything else than
    n x h finite values for the mean and for both ends of every level, nested.
    """
    answer = _document(body, about)
    columns = {"mean": answer.get("mean")} | _bands(answer.get("intervals"))
    wanted = ["mean", *(f"{side}_{level}" for level in request.levels for side in ("lo", "hi"))]
    n, h = len(request.symbols), len(request.steps)
    data = {name: _numbers(columns.get(name), n * h, name, about) for name in wanted}
    key = {
        "symbol": [symbol for symbol in request.symbols for _ in range(h)],
        "step": list(request.steps) * n,
    }
    frame = pl.DataFrame(key | data, schema_overrides={"step": pl.Int64})
    if errors := violations(frame, request):
        raise InvalidAnswer(f"{about}: the provider's answer is unusable: {'; '.join(errors)}. {_REMEDY}")
    return frame


def windows(body: bytes, request: Request, n_windows: int, *, about: str) -> list[pl.DataFrame]:
    """Return one frame as of ``rows`` per window of a cross-validation, earliest first.

    Raises InvalidAnswer too when the windows are not the last ``n_windows`` of every series, one horizon apart.
    """
    answer = _document(body, about)
    n, h = len(request.symbols), len(request.steps)
    sizes, idxs = answer.get("sizes"), answer.get("idxs")
    if sizes != [n_windows * h] * n or not isinstance(idxs, list) or len(idxs) != n * n_windows * h:
        raise InvalidAnswer(f"{about}: the windows answered are not the {n_windows} asked for. {_REMEDY}")
    per_series = n_windows * h
    for i in range(n):
        own = idxs[i * per_series : (i + 1) * per_series]
        if own != list(range(own[0], own[0] + per_series)):
            raise InvalidAnswer(f"{about}: the windows of series {i + 1} do not follow each other. {_REMEDY}")
    columns = {"mean": answer.get("mean")} | _bands(answer.get("intervals"))
    wanted = ["mean", *(f"{side}_{level}" for level in request.levels for side in ("lo", "hi"))]
    data = {name: _numbers(columns.get(name), n * per_series, name, about) for name in wanted}
    frame = pl.DataFrame(
        {
            "window": [w for _ in range(n) for w in range(n_windows) for _ in range(h)],
            "symbol": [symbol for symbol in request.symbols for _ in range(per_series)],
            "step": list(request.steps) * (n * n_windows),
        }
        | data,
        schema_overrides={"step": pl.Int64},
    )
    parts = [frame.filter(pl.col("window") == w).drop("window") for w in range(n_windows)]
    for w, part in enumerate(parts):
        if errors := violations(part, request):
            raise InvalidAnswer(f"{about}, window {w + 1}: the answer is unusable: {'; '.join(errors)}. {_REMEDY}")
    return parts


def model_params(body: bytes, *, about: str) -> tuple[int, int]:
    """Return the model's input size and horizon, in rows. Raises InvalidAnswer naming ``about``."""
    try:
        detail = orjson.loads(body)["detail"]
        return int(detail["input_size"]), int(detail["horizon"])
    except (ValueError, KeyError, TypeError):
        raise InvalidAnswer(f"{about}: input_size and horizon are missing. {_REMEDY}") from None


def _document(body: bytes, about: str) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and "data" in answer:
        answer = answer["data"]
    if not isinstance(answer, dict):
        raise InvalidAnswer(f"{about}: the provider answered 200 with something that is no JSON object. {_REMEDY}")
    return answer


def _bands(intervals: Any) -> dict[str, Any]:
    """Return lo_<level> and hi_<level> by the level that each name means: lo-80 and lo-80.0 are the same."""
    found = {}
    for name, values in (intervals or {}).items() if isinstance(intervals, dict | None) else ():
        side, _, level = name.partition("-")
        try:
            found[f"{side}_{float(level):g}"] = values
        except ValueError:
            continue  # a band of a name we did not ask for is no answer to us; a missing one is found by the caller
    return found


def _numbers(values: Any, n: int, name: str, about: str) -> list[float]:
    if not isinstance(values, list):
        raise InvalidAnswer(f"{about}: {name} is missing from the provider's answer. {_REMEDY}")
    if len(values) != n:
        raise InvalidAnswer(f"{about}: {name} has {len(values)} values, {n} were asked for. {_REMEDY}")
    if bad := [value for value in values if isinstance(value, bool) or not isinstance(value, int | float)]:
        raise InvalidAnswer(f"{about}: {name} holds {bad[0]!r} where a number belongs. {_REMEDY}")
    if not all(map(math.isfinite, values)):
        raise InvalidAnswer(f"{about}: {name} holds a value that is not finite. {_REMEDY}")
    return [float(value) for value in values]

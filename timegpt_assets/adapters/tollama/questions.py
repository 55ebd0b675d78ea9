"""What a model server is asked: many series in one request, in the shapes and types it insists on.

Belongs here: the body of a request, and which series may be in it. What comes back is answers.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from timegpt_assets.adapters.tollama.answers import Kind, failed
from timegpt_assets.core.tsfm.asked import Asked


def usable(asked: Sequence[Asked]) -> tuple[list[Asked], dict[str, Kind]]:
    """Return the series that may be sent, begun at their first known point, and why others may not.

    The server takes NaN for a number and answers; so whoever has one after that point is not sent. Raises ModelFailed
    where they cannot be asked in one request.
    """
    if len({(one.horizon, one.quantiles) for one in asked}) > 1:
        raise failed("bad_request", "Series of unlike horizons or quantiles cannot be asked in one request")
    if len({one.market_id for one in asked}) < len(asked):
        raise failed("bad_request", "A market stands twice in one request, whose answers are told apart by it")
    begun = [_begun(one) for one in asked]
    good = [one for one in begun if len(one.y) and np.isfinite(one.y).all()]
    kept = {one.market_id for one in good}
    return good, {one.market_id: "unusable_input" for one in asked if one.market_id not in kept}


def body(
    asked: Sequence[Asked], *, model: str, params: Mapping[str, Any], timeout_s: float, stream: bool | None
) -> bytes:
    """Return the JSON of a request; ``stream`` None: not mentioned.

    ``timeout_s`` is what the server grants each attempt of its own runner, several of them: no bound of ours.
    """
    first, stamps = asked[0], _Stamps()
    question: dict[str, Any] = {
        "model": model,
        "horizon": first.horizon,
        "quantiles": [float(quantile) for quantile in first.quantiles],
        "series": [
            {
                "id": one.market_id,
                "freq": f"{one.freq_min}min",  # it takes "5m" as well, which pandas reads as months
                "timestamps": stamps(one),
                "target": one.y.tolist(),
                **_covariates(one),
            }
            for one in asked
        ],
        "options": dict(params),
        "timeout": float(timeout_s),
        "parameters": {"covariates_mode": "best_effort"},
    }
    question |= {} if stream is None else {"stream": stream}
    return json.dumps(question, allow_nan=False, separators=(",", ":")).encode()


class _Stamps:
    """The stamps of series, made once for all that share them."""

    def __init__(self) -> None:
        self._made: dict[tuple[float, int, int], list[str]] = {}

    def __call__(self, one: Asked) -> list[str]:
        """Return a series' stamps as RFC 3339 in UTC, the last one at its as_of."""
        key = (one.as_of.timestamp(), one.freq_min, len(one.y))
        if key not in self._made:
            back = np.arange(1 - len(one.y), 1) * (60 * one.freq_min)
            at = (np.int64(one.as_of.timestamp()) + back).astype("datetime64[s]")
            self._made[key] = [f"{stamp}Z" for stamp in np.datetime_as_string(at)]
        return self._made[key]


def _begun(one: Asked) -> Asked:
    """Return a series from its first known point on, its covariates as well."""
    known = ~np.isnan(one.y)
    first = int(known.argmax()) if known.any() else len(one.y)
    return replace(one, y=one.y[first:], x_past={name: values[first:] for name, values in one.x_past.items()})


def _covariates(one: Asked) -> dict[str, dict[str, list[float]]]:
    """Return what is told beside the prices; nothing where nothing is: the server takes no empty one for none."""
    told = {"past_covariates": one.x_past, "future_covariates": one.x_future}
    return {field: {name: values.tolist() for name, values in given.items()} for field, given in told.items() if given}

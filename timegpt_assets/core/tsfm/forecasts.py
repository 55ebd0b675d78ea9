"""Answers as rows: what was answered about each market of a cycle, beside what the cycle knew of the market.

Belongs here: Asked and Answered to TSFM_FORECASTS. Who answers is behind the adapters; what comes of a row later is
outcomes.py.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core.tables.tsfm import SEGMENT, TSFM_FORECASTS
from timegpt_assets.core.tsfm.asked import Answered, Asked, Floats

_OF_MARKET = ("day", "market_id", "event_id", "as_of", *SEGMENT, "live")


def forecasts(
    selected: pl.DataFrame, asked: Sequence[Asked], answered: Mapping[tuple[str, datetime], Answered]
) -> pl.DataFrame:
    """Return TSFM_FORECASTS: a row for each step of each market that was answered.

    ``selected``: rows of SELECTION with ``live`` of MARKETS; ``answered``: by market and cycle, those without any
    valid answer are absent. The outer quantiles are the lowest and the highest that were asked for.
    """
    made = [_rows(one, answer) for one in asked if (answer := answered.get((one.market_id, one.as_of)))]
    if not made:
        return TSFM_FORECASTS.empty()
    rows = pl.DataFrame(made, infer_schema_length=None).explode(pl.selectors.by_dtype(pl.List))
    # a column of nothing but None has no dtype of its own
    typed = rows.cast({name: TSFM_FORECASTS.schema[name] for name in rows.columns})
    return TSFM_FORECASTS.conformed(typed.join(selected.select(_OF_MARKET), on=["market_id", "as_of"]))


def _rows(asked: Asked, answer: Answered) -> dict[str, Any]:
    """Return one market's answer: what holds of all of its steps, and lists of what each step has."""
    steps = range(1, asked.horizon + 1)
    return {
        "market_id": asked.market_id,
        "as_of": asked.as_of,
        "step": list(steps),
        "target_ts": [asked.as_of + timedelta(minutes=asked.freq_min * step) for step in steps],
        "last_price": asked.last_price,
        **_band("", answer.band(answer.values)),
        **_band("baseline_", answer.band(answer.baseline_values)),
        "score_source": "fallback" if answer.fallback_used else "model",
        "runtime": answer.runtime,
        "model": answer.model,
        "model_version": answer.model_version,
        "fallback_used": answer.fallback_used,
        "reason": answer.reason,
        "baseline": answer.baseline,
        "crossed": answer.crossed > 0,
        "width_flag": [flag or None for flag in answer.width_flags],
        "input_len": answer.input_len,
        "carried_share": answer.carried_share,
    }


def _band(prefix: str, values: Floats) -> dict[str, list[float]]:
    return {f"{prefix}{name}": values[:, n].tolist() for n, name in enumerate(("lower", "median", "upper"))}

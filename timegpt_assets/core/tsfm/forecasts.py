"""Answers as rows: what was answered about each market of a cycle, beside what the cycle knew of the market.

Belongs here: Asked and Answered to TSFM_FORECASTS. Who answers is behind the adapters; what comes of a row later is
outcomes.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.tables.tsfm import SEGMENT, TSFM_FORECASTS
from timegpt_assets.core.tsfm.asked import Answered, Asked

_SELECTED = ("day", "market_id", "event_id", "as_of", *SEGMENT, "live")
_ANSWERED = (
    *("runtime", "model", "model_version", "fallback_used"),
    *("reason", "baseline", "input_len", "carried_share"),
)
"""Columns that are told as the answer has them."""
_WHOLE = ("market_id", "as_of", "last_price", "score_source", "crossed", *_ANSWERED)
_SCHEMA = TSFM_FORECASTS.schema


def forecasts(
    selected: pl.DataFrame, asked: Sequence[Asked], answered: Mapping[tuple[str, datetime], Answered]
) -> pl.DataFrame:
    """Return TSFM_FORECASTS: a row for each step of each market that was answered.

    ``selected``: rows of SELECTION with ``live`` of MARKETS; ``answered``: by market and cycle, those without any
    valid answer are absent. The outer quantiles are the lowest and the highest that were asked for.
    """
    made = [(one, answer) for one in asked if (answer := answered.get((one.market_id, one.as_of)))]
    if not made:
        return TSFM_FORECASTS.empty()
    steps = [np.arange(1, one.horizon + 1) for one, _ in made]
    # a row a market, as often as it has steps; what differs by step comes as whole columns
    markets = pl.DataFrame([_of_market(*pair) for pair in made], {name: _SCHEMA[name] for name in _WHOLE}, orient="row")
    rows = markets[np.repeat(np.arange(len(made)), [one.size for one in steps])].with_columns(
        *_bands(made),
        step=pl.Series(np.concatenate(steps), dtype=pl.Int64),
        ahead=pl.Series(np.concatenate([own * one.freq_min for own, (one, _) in zip(steps, made, strict=True)])),
        width_flag=pl.Series([flag or None for _, answer in made for flag in answer.width_flags], dtype=pl.String),
    )
    timed = rows.with_columns(target_ts=pl.col("as_of") + pl.duration(minutes="ahead"))
    return TSFM_FORECASTS.conformed(timed.join(selected.select(_SELECTED), on=["market_id", "as_of"]))


def _of_market(asked: Asked, answer: Answered) -> tuple[Any, ...]:
    """Return what holds of all steps of one market's answer, in the order of _WHOLE."""
    source = "fallback" if answer.fallback_used else "model"
    known = (asked.market_id, asked.as_of, asked.last_price, source, answer.crossed > 0)
    return (*known, *(getattr(answer, name) for name in _ANSWERED))


def _bands(made: Sequence[tuple[Asked, Answered]]) -> Iterator[pl.Series]:
    """Yield both bands of all markets, a row a step."""
    for prefix in ("", "baseline_"):
        values = np.concatenate([answer.band(getattr(answer, f"{prefix}values")) for _, answer in made])
        for end, column in zip(("lower", "median", "upper"), values.T, strict=True):
            yield pl.Series(f"{prefix}{end}", column, dtype=pl.Float64)

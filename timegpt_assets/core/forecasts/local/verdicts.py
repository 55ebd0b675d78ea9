"""Whether what a local forecaster gave back answers what was asked: it may be anybody's code.

Belongs here: what spoils single answers, which are refused alone, and what spoils everything that was said.
"""

from collections.abc import Iterable, Sequence

import polars as pl

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import Answered
from timegpt_assets.core.forecasts.quantiles import nested, not_finite, not_nested
from timegpt_assets.core.schema import TIME

_KEY = ["snapshot_ts", "symbol"]
_ASKED = {"snapshot_ts": TIME, "symbol": pl.String(), "step": pl.Int64()}


class Unfit(ValueError):
    """Raised when nothing of what a forecaster gave back can be used; says why."""


def asked(frames: Iterable[Frame]) -> pl.DataFrame:
    """Return snapshot_ts, symbol, step: one row for each answer that the frames ask for."""
    parts = [
        frame.sigma.select(
            pl.lit(frame.snapshot_ts, TIME).alias("snapshot_ts"),
            "symbol",
            pl.lit(frame.horizon_min, pl.Int64).alias("step"),
        )
        for frame in frames
    ]
    return pl.concat([pl.DataFrame(schema=_ASKED), *parts])


def judged(said: Answered, asked: pl.DataFrame, *, levels: Sequence[int]) -> Answered:
    """Return the rows that answer what was asked, one each, finite, bands nested; every other symbol with its reason.

    Raises Unfit for something else than rows, for columns or dtypes that are wrong, and for answers to what nobody
    asked: who mistakes the question cannot be trusted with the rest of it.
    """
    rows = _typed(said.rows, levels)
    strange = rows.join(asked, on=[*_KEY, "step"], how="anti").sort(_KEY)
    if not strange.is_empty():
        snapshot_ts, symbol, step = strange.select(*_KEY, "step").row(0)
        raise Unfit(
            f"{strange.height} answers to what was not asked, the first is {symbol} at {snapshot_ts} step {step}"
        )
    faults = {
        "answered more than once": pl.struct(_KEY).is_duplicated(),
        "not finite": not_finite(levels),
        "bands not nested": not_nested(levels),
    }
    reason = pl.coalesce(pl.when(spoilt).then(pl.lit(why)) for why, spoilt in faults.items())
    told = rows.with_columns(reason=reason)
    good, bad = told.filter(pl.col("reason").is_null()).drop("reason"), told.filter(pl.col("reason").is_not_null())
    silent = asked.join(rows, on=_KEY, how="anti").join(said.refused, on=_KEY, how="left")
    refused = pl.concat(
        [
            bad.select(*_KEY, "reason"),
            silent.select(*_KEY, pl.col("reason").fill_null("not answered")),
        ]
    )
    return Answered(rows=good.sort(_KEY), refused=refused.unique().sort(*_KEY, "reason"))


def _typed(rows: object, levels: Sequence[int]) -> pl.DataFrame:
    """Return the columns that answers consist of, or raise Unfit."""
    if not isinstance(rows, pl.DataFrame):
        raise Unfit(f"a {type(rows).__name__} instead of a polars DataFrame")
    numbers = nested(levels)
    if rows.is_empty():  # whoever has nothing to say need not know the columns
        rows = pl.DataFrame(schema={**_ASKED, **dict.fromkeys(numbers, pl.Float64)})
    if missing := [name for name in ("snapshot_ts", "symbol", "step", *numbers) if name not in rows.columns]:
        raise Unfit(f"no column {', '.join(missing)}")
    schema = rows.schema
    fits = {
        "snapshot_ts": schema["snapshot_ts"] == TIME,
        "symbol": schema["symbol"] == pl.String,
        "step": schema["step"].is_integer(),
        **{name: schema[name].is_float() for name in numbers},
    }
    if wrong := [f"{name} of {schema[name]}" for name, fit in fits.items() if not fit]:
        raise Unfit(
            f"columns {', '.join(wrong)}; snapshot_ts is {TIME}, symbol String, step an integer, all else float"
        )
    return rows.select(
        "snapshot_ts", "symbol", pl.col("step").cast(pl.Int64), *(pl.col(n).cast(pl.Float64) for n in numbers)
    )

"""A forecast's question and its answer: the request with its fingerprint, and the answer as tidy quantiles.

Belongs here: quantile names and bands, what is sent, what an answer must hold, inverse scaling, the monotone
projection and the join with what came true. Quantiles are log returns, ``mean`` is taken as the median (q50).
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import orjson
import polars as pl

from timegpt_assets.core.forecasts import framing
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.tables.columns import BANDS, MADE_BY, QUANTILES, SOURCES
from timegpt_assets.core.tables.forecasts import ANSWERS, OUTCOMES, RAW_FORECASTS, SNAPSHOT_TIMES
from timegpt_assets.core.targets import Target, unscaled

FRAMING_VERSION = "1"
"""Raised when the same bars are framed differently: old answers then no longer fit the question."""
FREQ = "min"
_PASSED_ON = ("asked_at", "sigma", *MADE_BY, *SOURCES, "request_hash", "stale_input", "host")


def levels_of(quantiles: Iterable[float], levels: Iterable[int]) -> tuple[int, ...]:
    """Return the interval levels in percent, ascending, that hold the quantiles and the levels asked for.

    Raises ValueError for a quantile whose level 100*|1-2q| is no whole number (the SDK would truncate it silently).
    """
    union = {level for q in quantiles if (level := _level(q))}
    for level in levels:
        if isinstance(level, bool) or level != int(level) or not 0 < level < 100:
            raise ValueError(f"level {level} is no whole percentage between 1 and 99. Mend forecast.levels.")
        union.add(int(level))
    return tuple(sorted(union))


def quantile_name(quantile: float) -> str:
    """Return the column of a quantile: q and the percent in two digits, tenths appended (q05, q50, q975).

    Raises ValueError as levels_of.
    """
    _level(quantile)
    # Rounded: as floats such a product may fall a hair short of the whole number.
    percent, tenths = divmod(round(quantile * 1000), 10)
    return f"q{percent:02d}{tenths or ''}"


def bands(levels: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return level -> the quantile columns that bound it, levels ascending: {50: ("q25", "q75"), ...}."""
    return {
        level: (quantile_name((100 - level) / 200), quantile_name((100 + level) / 200)) for level in sorted(set(levels))
    }


def held_quantiles(levels: Iterable[int]) -> list[float]:
    """Return the quantiles that an answer with bands of these levels holds, ascending: both their ends, the median."""
    return sorted({0.5, *((100 + side * level) / 200 for level in levels for side in (-1, 1))})


def local_requests(
    frame: Frame, models: Mapping[str, Mapping[str, float | int | str]], *, levels: Iterable[int]
) -> dict[str, bytes]:
    """Return for each model what it answers: canonical JSON of everything that shapes the answer.

    A local forecaster reads the whole frame and not y alone, so the frame's digest stands in it beside the model's
    parameters.
    """
    sent = framing.series(frame)
    y = [part["y"].to_numpy() for part in sent.partition_by("symbol", maintain_order=True)]
    common = {
        "framing_version": FRAMING_VERSION,
        "freq": FREQ,
        "h": frame.horizon_min,
        "level": levels_of((), levels),
        "last_ds": frame.snapshot_ts.isoformat(),
        "symbols": tuple(sent["symbol"].unique().sort()),
        # written once, however many models there are
        "y": orjson.Fragment(orjson.dumps(y, option=orjson.OPT_SERIALIZE_NUMPY)),
        "frame_sha256": _digest(frame),
        "day": frame.day.isoformat(),
    }
    return {
        model: orjson.dumps(common | {"model": model, "parameters": dict(own)}, option=orjson.OPT_SORT_KEYS)
        for model, own in models.items()
    }


def fingerprint(body: bytes, *, symbols: Sequence[str], model: str, host: str, endpoint: str) -> str:
    """Return the sha256, in hex, of host, endpoint, model, symbols, framing version and a request's body."""
    # JSON holds no bare newline, so address and body cannot run into each other.
    address = orjson.dumps([host, endpoint, model, list(symbols), FRAMING_VERSION])
    return hashlib.sha256(address + b"\n" + body).hexdigest()


def violations(
    answers: pl.DataFrame, *, symbols: Sequence[str], steps: Sequence[int], levels: Sequence[int]
) -> list[str]:
    """Return one sentence per way in which the answers to one request differ from what was asked; none: good.

    ``answers`` has symbol, step, mean, lo_<level>, hi_<level>: one row per symbol and step, finite, bands nested.
    """
    ascending = nested(levels)
    if missing := [c for c in ("symbol", "step", *ascending) if c not in answers.columns]:
        return [f"columns {', '.join(missing)} are missing"]
    asked = pl.DataFrame({"symbol": symbols}, schema={"symbol": pl.String}).join(
        pl.DataFrame({"step": steps}, schema={"step": pl.Int64}), how="cross"
    )
    key = ["symbol", "step"]
    broken = {
        "not answered": asked.join(answers, on=key, how="anti"),
        "not asked for": answers.join(asked, on=key, how="anti"),
        "answered more than once": answers.filter(pl.struct(key).is_duplicated()),
        "not finite": answers.filter(not_finite(levels)),
        "not nested": answers.filter(not_nested(levels)),
    }
    return [_sentence(what, rows) for what, rows in broken.items() if not rows.is_empty()]


def not_finite(levels: Iterable[int]) -> pl.Expr:
    """Return whether the mean or an end of a band is no finite number."""
    return ~pl.all_horizontal(pl.col(nested(tuple(levels))).is_finite().fill_null(False))


def not_nested(levels: Iterable[int]) -> pl.Expr:
    """Return whether a band does not hold the narrower ones, or the mean."""
    return pl.any_horizontal(pl.col(a) > pl.col(b) for a, b in pairwise(nested(tuple(levels))))


def no_answers(levels: Iterable[int]) -> pl.DataFrame:
    """Return ANSWERS without rows but with the columns of every level: all that a day without a question holds."""
    bands_asked = {f"{side}_{level}": pl.Float64() for side in ("lo", "hi") for level in levels_of((), levels)}
    return pl.DataFrame(schema={**ANSWERS.schema, **bands_asked})


def raw_forecasts(
    answers: pl.DataFrame,
    snapshots: pl.DataFrame,
    *,
    target: Target,
    quantiles: Sequence[float],
    levels: Sequence[int],
) -> pl.DataFrame:
    """Return RAW_FORECASTS of ANSWERS rows: the step at each snapshot's target_ts, as unscaled log returns.

    Quantiles ascend in every row (monotone; ``crossings`` counts the pairs that did not before), a declared one that
    was not asked for is null, one beyond the declared ones is a further column. Raises ValueError for an answer
    without an asked snapshot, without that step, or without a band.
    """
    held = bands(levels_of(quantiles, levels))
    rows = _steps_at_target(answers, snapshots, held)
    values = {"q50": pl.col("mean")}
    for level, (low, high) in held.items():
        values |= {low: pl.col(f"lo_{level}"), high: pl.col(f"hi_{level}")}
    ascending = sorted({*QUANTILES, *values}, key=_probability)
    scaled = rows.with_columns(
        (unscaled(values[name], pl.col("target_scale")) if name in values else pl.lit(None, pl.Float64)).alias(name)
        for name in ascending
    )
    crossed = [pl.col(a) > pl.col(b) for i, a in enumerate(ascending) for b in ascending[i + 1 :]]
    counted = scaled.with_columns(crossings=pl.sum_horizontal(c.cast(pl.Int64) for c in crossed))
    return RAW_FORECASTS.conformed(
        monotone(counted, ascending).select(
            *("day", "symbol", *SNAPSHOT_TIMES, *_PASSED_ON, "crossings", *ascending),
            *_band_columns({**BANDS, **held}),
            label_aligned=pl.lit(target.label_aligned),
            calibration=pl.lit("none"),
        )
    )


def outcomes(raw_forecasts: pl.DataFrame, labels: pl.DataFrame, *, target: Target) -> pl.DataFrame:
    """Return OUTCOMES: the forecasts whose own label is known, with y and ``y_last``, the label known at the snapshot.

    The label is the target's own return (``label_horizon_min``) that ends at target_ts; both are log returns.
    """
    own = labels.filter(pl.col("horizon_min") == target.label_horizon_min)
    key = ["day", "symbol"]
    truth = own.select(*key, "target_ts", "y")
    last = own.select(*key, pl.col("target_ts").alias("snapshot_ts"), pl.col("y").alias("y_last"))
    # a stored lineage_id says how the forecasts were made, not the outcomes: it is stamped anew when these are stored
    made = raw_forecasts.drop("lineage_id", strict=False)
    joined = made.join(truth, on=[*key, "target_ts"]).join(last, on=[*key, "snapshot_ts"], how="left")
    return OUTCOMES.conformed(joined)


_CHUNK = 4096
"""Rows whose quantiles are exchanged at a time."""


def monotone(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the frame with the values of each row rearranged to ascend along ``columns``; nulls stay where they are.

    Sorting is the rearrangement of Chernozhukov, Fernandez-Val and Galichon (2010): never worse in pinball loss.
    """
    if not columns or frame.is_empty():
        return frame
    cast = frame.select(pl.col(columns).cast(pl.Float64))
    if not any(cast.null_count().row(0)) and not cast.select(pl.any_horizontal(pl.all().is_nan().any())).item():
        return frame.with_columns(_exchanged([cast[name].to_numpy() for name in columns], columns))
    values = cast.to_numpy(order="c")
    given, ascending = ~np.isnan(values), np.sort(values, axis=1)  # NaN stands for null and sorts last
    placed = np.full_like(values, np.nan)
    placed[given] = ascending[~np.isnan(ascending)]
    return frame.with_columns(
        pl.Series(name, placed[:, i], nan_to_null=True).cast(pl.Float64) for i, name in enumerate(columns)
    )


def _exchanged(values: Sequence[np.ndarray], names: Sequence[str]) -> list[pl.Series]:
    """Return the columns sorted along each row by compare-exchange, a chunk of rows that fits the cache at a time."""
    pairs, sorted_ = _network(len(values)), [np.empty_like(column) for column in values]
    for start in range(0, values[0].size, _CHUNK):
        chunk = [column[start : start + _CHUNK] for column in values]
        for low, high in pairs:
            chunk[low], chunk[high] = np.minimum(chunk[low], chunk[high]), np.maximum(chunk[low], chunk[high])
        for column, part in zip(sorted_, chunk, strict=True):
            column[start : start + _CHUNK] = part
    return [pl.Series(name, column) for name, column in zip(names, sorted_, strict=True)]


def _network(size: int) -> list[tuple[int, int]]:
    """Return the compare-exchanges that sort ``size`` values: Batcher's merge exchange (Knuth, TAOCP 5.2.2, M)."""
    top = 1 << max(size - 1, 1).bit_length() - 1
    pairs, p = [], top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(size - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return pairs


def _level(quantile: float) -> int:
    tail = Fraction(repr(float(quantile)))  # as written: 0.29 is 29/100, not its nearest binary number
    level = 100 * abs(1 - 2 * tail)
    if not 0 < tail < 1 or level.denominator != 1:
        raise ValueError(
            f"quantile {quantile} has no whole interval level between 1 and 99 (100*|1-2q| = {float(level):g}). "
            "Ask for multiples of 0.005, for example 0.1 or 0.025, in forecast.quantiles."
        )
    return int(level)


def _probability(name: str) -> float:
    return float(f"0.{name[1:]}")


def nested(levels: Collection[int]) -> list[str]:
    """Return the columns of an answer in the order in which their values must ascend."""
    outward = sorted(levels)
    return [*(f"lo_{level}" for level in reversed(outward)), "mean", *(f"hi_{level}" for level in outward)]


def _sentence(what: str, rows: pl.DataFrame) -> str:
    first = rows.sort("symbol", "step").row(0, named=True)
    return f"{rows.height} rows are {what}, the first is {first['symbol']} step {first['step']}"


def _band_columns(held: Mapping[int, tuple[str, str]]) -> list[pl.Expr]:
    sides = [(f"lo_{level}", low, f"hi_{level}", high) for level, (low, high) in sorted(held.items())]
    return [pl.col(q).alias(name) for lo, low, hi, high in sides for name, q in ((lo, low), (hi, high))]


def _steps_at_target(
    answers: pl.DataFrame, snapshots: pl.DataFrame, held: Mapping[int, tuple[str, str]]
) -> pl.DataFrame:
    if missing := [c for level in held for c in (f"lo_{level}", f"hi_{level}") if c not in answers.columns]:
        raise ValueError(f"answers lack {', '.join(missing)}. Ask again with the configured levels (--reask).")
    asked = snapshots.filter("asked").select("day", *SNAPSHOT_TIMES)
    rows = answers.join(asked, left_on=["day", "snapshot_ts", "step"], right_on=["day", "snapshot_ts", "horizon_min"])
    key = ["day", "snapshot_ts", "symbol", "forecaster"]
    lost = answers.select(key).unique().join(rows, on=key, how="anti").sort(key)
    if not lost.is_empty():
        day, snapshot_ts, symbol = lost.select(key[:3]).row(0)
        raise ValueError(
            f"{lost.height} answers have no asked snapshot with their horizon, the first is {symbol} on {day} at "
            f"{snapshot_ts}. Materialise snapshots and answers of that day with the same settings."
        )
    return rows.with_columns(horizon_min=pl.col("step"))


def _digest(frame: Frame) -> str:
    digest = hashlib.sha256()
    for part in (frame.history, frame.sigma):
        digest.update(orjson.dumps([part.columns, part["symbol"].rle().struct.unnest().rows()]))
        for column in part.drop("symbol", "ds", strict=False):
            digest.update(column.to_physical().to_numpy().tobytes())
    return digest.hexdigest()

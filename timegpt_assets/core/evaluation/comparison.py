"""Who is better, by how much, how surely and at what price: forecasters in pairs, on their common rows alone.

Belongs here: the one place where rows of two forecasters meet. Two rows are comparable when symbol, snapshot_ts and
target_ts are equal and both are calibrated, or neither is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np
import polars as pl

from timegpt_assets.core import significance
from timegpt_assets.core.evaluation.forecast import relative, window
from timegpt_assets.core.tables.columns import BANDS, CONTROL, HOSTED, ORIGIN_KEY, REFERENCES, SOURCE_KEY, WILDCARD
from timegpt_assets.core.tables.evaluation import COMPARISON

_MEETS_ON = ["day", "symbol", "snapshot_ts", "target_ts", "is_calibrated"]
_MEASURED = ("pinball", "abs_error", "sq_error", *(f"covered_{level}" for level in BANDS))
RATIOS = {"rmae": "abs_error", "rpinball": "pinball"}
"""Ratio of mean losses on common rows, the own over the other's -> the loss; below 1 is better than the other."""
_LAST = {"rmae_last": ("abs_error", "abs_error_last"), "rrmse_last": ("sq_error", "sq_error_last")}
"""Column -> the loss and that of persistence, which is the same for both: they meet on symbol and snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How forecasters are compared: with whom, how surely, and what a request costs."""

    champion: str
    draws: int
    cluster_days: int
    price_per_call: float | None
    """USD; None: nobody has said."""


def comparison(
    day_scores: pl.DataFrame,
    portfolio: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    lookback_sessions: int,
    terms: Terms,
) -> pl.DataFrame:
    """Return COMPARISON of the ``lookback_sessions`` up to ``as_of``: by symbol and pooled (``*``).

    Losses are compared in daily sums: forecasts of one day hang together. A book's money counts on the sessions of the
    common rows.
    """
    scored = window(day_scores, as_of, lookback_sessions)
    known = dict(sorted(scored.partition_by(ORIGIN_KEY, as_dict=True).items()))
    rows = [
        {"month": month, "as_of": as_of, **row}
        for own, other in product(known, repeat=2)
        if _is_compared(str(own[0]), str(other[0]), terms.champion)
        for row in _pair(known[own], known[other], portfolio, terms)
    ]
    return COMPARISON.conformed(_adjusted(pl.DataFrame(rows, schema=COMPARISON.schema)))


def _is_compared(own: str, other: str, champion: str) -> bool:
    return own != other and (other in (champion, CONTROL, *REFERENCES) or own == champion)


def met(own: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of scores that have a counterpart in the other's, in order, with its ``against_...`` beside them.

    ``other`` holds a row per symbol and snapshot; ``own`` may be several forecasters'.
    """
    calibrated = pl.col("calibration") != "none"
    theirs = other.select(
        *_MEETS_ON[:-1], calibrated.alias(_MEETS_ON[-1]), *(pl.col(name).alias(f"against_{name}") for name in _MEASURED)
    )
    return own.with_columns(calibrated.alias(_MEETS_ON[-1])).join(theirs, on=_MEETS_ON).sort(*_MEETS_ON, *ORIGIN_KEY)


def ratios(common: pl.DataFrame) -> dict[str, object]:
    """Return RATIOS of ``met`` rows of one forecaster with interval, one-sided p and n; nothing of no rows.

    Of daily sums: forecasts of one day hang together.
    """
    days = np.unique(common["day"].to_numpy(), return_inverse=True)[1]
    row: dict[str, object] = {}
    for name, loss in RATIOS.items():
        row |= relative(name, days, common[loss].to_numpy(), common[f"against_{loss}"].to_numpy())
    return row


def _pair(own: pl.DataFrame, other: pl.DataFrame, portfolio: pl.DataFrame, terms: Terms) -> Iterator[dict[str, object]]:
    """Yield the rows of one forecaster against another: pooled, then each symbol's."""
    common = met(own, other)
    origin, opponent = own.select(ORIGIN_KEY).row(0, named=True), other.select(ORIGIN_KEY).row(0, named=True)
    named = origin | {"against": opponent["forecaster"], "against_sources": "+".join(opponent[s] for s in SOURCE_KEY)}
    books = portfolio.filter("admitted", pl.col("book").is_in([origin["forecaster"], opponent["forecaster"]]))
    for symbol in (WILDCARD, *sorted(set(own["symbol"]))):
        is_own = pl.lit(symbol == WILDCARD) | (pl.col("symbol") == symbol)
        found = common.filter(is_own)
        yield {
            "symbol": symbol,
            **named,
            "n": found.height,
            "not_common": own.filter(is_own).height - found.height,
            "sessions": found["day"].n_unique(),
            **_losses(found),
            **_money(found, books.filter(is_own), own=origin["forecaster"], terms=terms),
            **_price(found, own=origin["forecaster"], terms=terms),
        }


def _losses(common: pl.DataFrame) -> dict[str, object]:
    """Return ratios, their tests and coverages of common rows; nothing of none."""
    coverages = {
        f"{prefix}coverage_{level}": common[f"{prefix}covered_{level}"].mean()
        for level, prefix in product(BANDS, ("", "against_"))
    }
    return coverages | ratios(common) | _over_persistence(common) | {"pinball_won": _won(common)}


def _over_persistence(common: pl.DataFrame) -> dict[str, object]:
    """Return the own and the other's error over persistence's on the common rows; None where there is nothing."""
    row: dict[str, object] = {}
    for (name, (loss, last)), prefix in product(_LAST.items(), ("", "against_")):
        known = common.drop_nulls(last)
        top, total = math.fsum(known[f"{prefix}{loss}"]), math.fsum(known[last])
        ratio = top / total if total else None
        row[f"{prefix}{name}"] = math.sqrt(ratio) if ratio is not None and name.startswith("rrmse") else ratio
    return row


def _won(common: pl.DataFrame) -> float | None:
    """Return the mean pinball loss by which the own is smaller, log return; None of no rows."""
    won = common.select((pl.col("against_pinball") - pl.col("pinball")).mean()).item()
    return None if won is None else float(won)


def _money(common: pl.DataFrame, books: pl.DataFrame, *, own: str, terms: Terms) -> dict[str, object]:
    """Return how much more the own book earned than the other on the sessions of the common rows."""
    signed = pl.when(pl.col("book") == own).then("net_pnl").otherwise(-pl.col("net_pnl"))
    earned = books.group_by("day").agg(difference=signed.sum())
    daily = common.select("day").unique().sort("day").join(earned, on="day", how="left", maintain_order="left")
    differences = daily["difference"].fill_null(0.0).to_numpy()
    found = significance.bootstrap(
        differences, np.ones(differences.size), draws=terms.draws, cluster_days=terms.cluster_days
    )
    ends = {"": found.value, "_low": found.low, "_high": found.high}
    return {f"pnl_difference{end}": None if value is None else value * differences.size for end, value in ends.items()}


def _price(common: pl.DataFrame, *, own: str, terms: Terms) -> dict[str, object]:
    """Return what the common forecasts were paid for; those made on this machine cost nothing."""
    requests = common["request_hash"].drop_nulls().n_unique() if own == HOSTED else 0
    each = terms.price_per_call if requests else 0.0
    spent = None if each is None else requests * each
    per_thousand = None if spent is None or not common.height else 1000 * spent / common.height
    won = _won(common) or 0.0
    per_bp = None if per_thousand is None or won <= 0 else per_thousand / (won * 1e4)
    return {"requests": requests, "spent": spent, "spent_per_thousand": per_thousand, "spent_per_bp": per_bp}


def _adjusted(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with Holm's p over the pairs of each symbol."""
    parts = rows.partition_by("symbol", maintain_order=True)
    return pl.concat([rows.clear(), *(_of_family(part) for part in parts)])


def _of_family(part: pl.DataFrame) -> pl.DataFrame:
    ps: dict[str, Sequence[float | None]] = {name: part[f"{name}_p"].to_list() for name in RATIOS}
    return part.with_columns(
        pl.Series(f"{name}_p_holm", significance.holm(p), dtype=pl.Float64) for name, p in ps.items()
    )

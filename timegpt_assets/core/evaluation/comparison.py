"""Who is better, by how much, how surely and at what price: forecasters in pairs, on their common rows alone.

Belongs here: the one place where rows of two forecasters meet. Two rows are comparable when symbol, snapshot_ts and
target_ts are equal and both are calibrated, or neither is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np
import polars as pl

from timegpt_assets.core import significance
from timegpt_assets.core.evaluation.forecast import window
from timegpt_assets.core.tables.columns import BANDS, CONTROL, HOSTED, ORIGIN_KEY, SOURCE_KEY, WILDCARD
from timegpt_assets.core.tables.evaluation import COMPARISON

_MEETS_ON = ["day", "symbol", "snapshot_ts", "target_ts", "is_calibrated"]
_MEASURED = ("pinball", "abs_error", *(f"covered_{level}" for level in BANDS))
_RATIOS = {"rpinball": "pinball", "rmae": "abs_error"}


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
    scored = window(day_scores, as_of, lookback_sessions).with_columns(is_calibrated=pl.col("calibration") != "none")
    known = dict(sorted(scored.partition_by(ORIGIN_KEY, as_dict=True).items()))
    rows = [
        {"month": month, "as_of": as_of, **row}
        for own, other in product(known, repeat=2)
        if _is_compared(str(own[0]), str(other[0]), terms.champion)
        for row in _pair(known[own], known[other], portfolio, terms)
    ]
    return COMPARISON.conformed(_adjusted(pl.DataFrame(rows, schema=COMPARISON.schema)))


def _is_compared(own: str, other: str, champion: str) -> bool:
    return own != other and (other in (champion, CONTROL) or own == champion)


def _pair(own: pl.DataFrame, other: pl.DataFrame, portfolio: pl.DataFrame, terms: Terms) -> Iterator[dict[str, object]]:
    """Yield the rows of one forecaster against another: pooled, then each symbol's."""
    theirs = other.select(*_MEETS_ON, *(pl.col(name).alias(f"against_{name}") for name in _MEASURED))
    common = own.join(theirs, on=_MEETS_ON).sort(_MEETS_ON)
    origin, opponent = own.select(ORIGIN_KEY).row(0, named=True), other.select(ORIGIN_KEY).row(0, named=True)
    named = origin | {"against": opponent["forecaster"], "against_sources": "+".join(opponent[s] for s in SOURCE_KEY)}
    books = portfolio.filter("admitted", pl.col("book").is_in([origin["forecaster"], opponent["forecaster"]]))
    for symbol in (WILDCARD, *sorted(set(own["symbol"]))):
        is_own = pl.lit(symbol == WILDCARD) | (pl.col("symbol") == symbol)
        met = common.filter(is_own)
        yield {
            "symbol": symbol,
            **named,
            "n": met.height,
            "not_common": own.filter(is_own).height - met.height,
            "sessions": met["day"].n_unique(),
            **_losses(met),
            **_money(met, books.filter(is_own), own=origin["forecaster"], terms=terms),
            **_price(met, own=origin["forecaster"], terms=terms),
        }


def _losses(met: pl.DataFrame) -> dict[str, object]:
    """Return ratios, their tests and coverages of common rows; nothing of none."""
    row: dict[str, object] = {}
    for level, prefix in product(BANDS, ("", "against_")):
        row[f"{prefix}coverage_{level}"] = met[f"{prefix}covered_{level}"].mean()
    daily = met.group_by("day", maintain_order=True).agg(pl.len(), pl.col("^(against_)?(pinball|abs_error)$").sum())
    for name, loss in _RATIOS.items():
        top, bottom = daily[loss].to_numpy(), daily[f"against_{loss}"].to_numpy()
        found = significance.ratio(top, bottom)
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        row[f"{name}_p"] = significance.diebold_mariano(top, bottom)
    return row | {"pinball_won": _won(met)}


def _won(met: pl.DataFrame) -> float | None:
    """Return the mean pinball loss by which the own is smaller, log return; None of no rows."""
    won = met.select((pl.col("against_pinball") - pl.col("pinball")).mean()).item()
    return None if won is None else float(won)


def _money(met: pl.DataFrame, books: pl.DataFrame, *, own: str, terms: Terms) -> dict[str, object]:
    """Return how much more the own book earned than the other on the sessions of the common rows."""
    signed = pl.when(pl.col("book") == own).then("net_pnl").otherwise(-pl.col("net_pnl"))
    earned = books.group_by("day").agg(difference=signed.sum())
    daily = met.select("day").unique().sort("day").join(earned, on="day", how="left", maintain_order="left")
    differences = daily["difference"].fill_null(0.0).to_numpy()
    found = significance.bootstrap(
        differences, np.ones(differences.size), draws=terms.draws, cluster_days=terms.cluster_days
    )
    ends = {"": found.value, "_low": found.low, "_high": found.high}
    return {f"pnl_difference{end}": None if value is None else value * differences.size for end, value in ends.items()}


def _price(met: pl.DataFrame, *, own: str, terms: Terms) -> dict[str, object]:
    """Return what the common forecasts were paid for; those made on this machine cost nothing."""
    requests = met["request_hash"].drop_nulls().n_unique() if own == HOSTED else 0
    each = terms.price_per_call if requests else 0.0
    spent = None if each is None else requests * each
    per_thousand = None if spent is None or not met.height else 1000 * spent / met.height
    won = _won(met) or 0.0
    per_bp = None if per_thousand is None or won <= 0 else per_thousand / (won * 1e4)
    return {"requests": requests, "spent": spent, "spent_per_thousand": per_thousand, "spent_per_bp": per_bp}


def _adjusted(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with Holm's p over the pairs of each symbol."""
    parts = rows.partition_by("symbol", maintain_order=True)
    return pl.concat([rows.clear(), *(_of_family(part) for part in parts)])


def _of_family(part: pl.DataFrame) -> pl.DataFrame:
    ps: dict[str, Sequence[float | None]] = {name: part[f"{name}_p"].to_list() for name in _RATIOS}
    return part.with_columns(
        pl.Series(f"{name}_p_holm", significance.holm(p), dtype=pl.Float64) for name, p in ps.items()
    )

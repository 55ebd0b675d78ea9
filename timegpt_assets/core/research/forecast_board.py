"""The scoreboard of a forecast grid: what each combination's forecasts and trades come to, and which is best.

Belongs here: figures of one combination, the composite and the ranks. The best of many is biased upwards: how many were
ever tried is recorded (adapters/storage/trial_store.py), for a verdict to deflate.
"""

import hashlib
from collections.abc import Mapping, Sequence

import polars as pl

from timegpt_assets.core.tables.columns import ORIGIN_KEY, SOURCE_KEY, WILDCARD
from timegpt_assets.core.tables.forecast_grid import BOARD
from timegpt_assets.core.tables.gates import GATES

GATE = ("forecast_gate", "trading_gate")
NOT_TRADEABLE, NO_SHARPE, SCORED = "not_tradeable", "no_sharpe", "scored"
_FORECASTS = {
    "n": "n",
    "rmae": "rmae",
    "pinball": "pinball",
    "pit_coverage": "coverage_50",
    "pit_deviation": "pit_deviation",
}
_TRADES = ("observation_days", "trades", "hit_rate", "net_pnl", "sharpe_daily", "max_drawdown")
_PAYLOAD = {
    "forecasts": ("day", "symbol", "snapshot_ts", "target_ts"),
    "trades": ("day", "symbol", "snapshot_ts", "side", "quantity", "entry_price", "exit_price", "net_pnl"),
}


def figures(
    diagnostics: pl.DataFrame,
    trading_scores: pl.DataFrame,
    forecast_gate: pl.DataFrame,
    trading_gate: pl.DataFrame,
    *,
    champion: str,
) -> pl.DataFrame:
    """Return one row per source triple: the champion's pooled forecasts, its own book, and whether its gates passed.

    The frames are one month's rows of the tables of those names. ``gates_passed`` holds for the rows that the gates
    count; ``gates_failed`` names what did not pass.
    """
    pooled = diagnostics.filter(forecaster=champion, symbol=WILDCARD, stage="calibrated")
    forecasts = pooled.select(*ORIGIN_KEY, *(pl.col(column).alias(name) for name, column in _FORECASTS.items()))
    book = trading_scores.filter(book=champion, symbol=WILDCARD).select(*SOURCE_KEY, *_TRADES)
    judged = pl.concat([forecast_gate.select(*GATES.columns), trading_gate.select(*GATES.columns)]).filter(
        pl.col("gate").is_in(GATE), forecaster=champion, symbol=WILDCARD
    )
    failed = judged.filter(~pl.col("passed")).sort("gate", "criterion")
    counted = judged.select(*SOURCE_KEY).unique().with_columns(gates_passed=pl.lit(failed.is_empty()))
    names = ", ".join(f"{gate}.{criterion}" for gate, criterion in failed.select("gate", "criterion").iter_rows())
    return (
        forecasts.join(book, on=SOURCE_KEY, how="left")
        .join(counted, on=SOURCE_KEY, how="left")
        .with_columns(pl.col("gates_passed").fill_null(False), gates_failed=pl.lit(names))
        .sort(*SOURCE_KEY)
    )


def payload(forecasts: pl.DataFrame, trades: pl.DataFrame, *, champion: str) -> str:
    """Return what changes with any quantile that the champion gave and any trade made of it, as 16 hex digits."""
    quantiles = sorted(name for name in forecasts.columns if name[0] == "q" and name[1:].isdigit())
    parts = ((forecasts, (*_PAYLOAD["forecasts"], *quantiles)), (trades, _PAYLOAD["trades"]))
    digest = hashlib.sha256()
    for frame, columns in parts:
        own = frame.filter(forecaster=champion).select(columns).sort(columns)
        digest.update(own.write_csv().encode())
    return digest.hexdigest()[:16]


def board(measured: pl.DataFrame) -> pl.DataFrame:
    """Return BOARD: the combinations best first, each origin's by themselves.

    ``measured`` are the rows of ``figures`` with combination, words, seed, tradeable and payload, in the order of the
    plan. composite = sharpe_daily x (1 - pit_deviation). Gate-passing ones come first, then by the composite. A loss
    ranks by its Sharpe ratio alone, below every gain: the composite of a loss shrinks as its bands get worse.
    """
    composite = pl.col("sharpe_daily") * (1 - pl.col("pit_deviation"))
    scored = measured.with_row_index("place").with_columns(
        composite=pl.when("tradeable").then(composite),
        first=pl.col("combination").first().over(*SOURCE_KEY, "payload"),
    )
    status = (
        pl.when(~pl.col("tradeable"))
        .then(pl.lit(NOT_TRADEABLE))
        .when(pl.col("composite").is_null())
        .then(pl.lit(NO_SHARPE))
        .otherwise(pl.lit(SCORED))
    )
    named = scored.with_columns(
        status=status, duplicate_payload=pl.when(pl.col("first") != pl.col("combination")).then("first")
    )
    return _ranked(named).select(*BOARD)


def _ranked(rows: pl.DataFrame) -> pl.DataFrame:
    is_scored = pl.col("composite").is_not_null()
    order = rows.sort(
        *SOURCE_KEY,
        is_scored,
        "gates_passed",
        pl.max_horizontal("composite", pl.lit(0.0)),
        "sharpe_daily",
        "pit_deviation",
        "place",
        descending=[*[False] * len(SOURCE_KEY), True, True, True, True, False, False],
        nulls_last=True,
    )
    place = pl.int_range(1, pl.len() + 1).over(SOURCE_KEY).cast(pl.Int64)
    return order.with_columns(rank=pl.when(is_scored).then(place))


def has_scores(rows: pl.DataFrame) -> bool:
    """Return whether any combination has a composite."""
    return bool(rows["rank"].is_not_null().any())


def moved(choices: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the dimensions in which the combinations differ."""
    return [name for name in choices[0] if any(one[name] != choices[0][name] for one in choices)] if choices else []

"""What is forecast: the clock price, the return over the horizon, and its reversible scaling.

Belongs here: target modes, the series of returns known at a moment, and the labels (the same returns, seen from the
moment they are about). Labels are never upstream of a forecast.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from timegpt_assets.core.tables.features import LABELS

KEY = ("day", "symbol")
_OWN_HORIZON = re.compile(r"log_return_(\d+)m")
_MODES = ("log_return", "bp", "volatility_z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a forecaster is sent and asked for.

    ``mode``: log_return (of one minute), log_return_<N>m, bp (return in basis points), volatility_z (return in units of
    ``volatility_column``); the last two over ``horizon_min`` minutes. ``bp_factor``: basis points per unit of return.
    Raises ValueError for an unknown mode or a horizon under one minute.
    """

    mode: str = "log_return_15m"
    horizon_min: int = 15
    volatility_column: str = "vol_ewm_60m"
    bp_factor: float = 10000.0

    def __post_init__(self) -> None:
        """Refuse a mode or horizon that means nothing."""
        if self.mode not in _MODES and not _OWN_HORIZON.fullmatch(self.mode):
            raise ValueError(f"target.mode {self.mode!r} is unknown; write one of {_MODES} or log_return_<N>m.")
        if self.horizon_min < 1 or self.label_horizon_min < 1 or self.bp_factor <= 0:
            raise ValueError(
                f"target {self.mode} with horizon_min {self.horizon_min} and bp_factor {self.bp_factor} means nothing; "
                "write horizons of at least one minute and a positive factor."
            )

    @property
    def label_horizon_min(self) -> int:
        """Return the minutes one y covers: 1 for log_return, N for log_return_<N>m, else the horizon."""
        if own := _OWN_HORIZON.fullmatch(self.mode):
            return int(own[1])
        return 1 if self.mode == "log_return" else self.horizon_min

    @property
    def label_aligned(self) -> bool:
        """Return whether y covers the forecast's horizon; where it does not, nothing is traded."""
        return self.label_horizon_min == self.horizon_min


def clock_prices(bars: pl.DataFrame) -> pl.DataFrame:
    """Return [day, symbol, known_at, price]: P(t) in USD, t from the open to the close, 391 rows per full session.

    P(open) is the open of the session's first bar, P(t) the close of the bar that ends at t; null before the first
    print. ``bars`` BARS, gapless.
    """
    ends = bars.select(*KEY, known_at=pl.col("ts") + pl.duration(minutes=1), price="close")
    first = bars.sort(*KEY, "ts").group_by(KEY, maintain_order=True).first()
    opens = first.select(*KEY, known_at="ts", price="open")
    return pl.concat([ends, opens]).sort(*KEY, "known_at")


def known_returns(panel: pl.DataFrame, *, horizon_min: int) -> pl.DataFrame:
    """Return [day, symbol, known_at, y]: ln P(t) - ln P(t - horizon_min), non-null only, t in [open + h, close].

    Each y is stamped with the time it became known: 391 - h rows per full session. ``panel`` PANEL (its clock_price and
    clock_open are used).
    """
    ends = panel.select(*KEY, "known_at", price="clock_price")
    first = panel.sort(*KEY, "ts").group_by(KEY, maintain_order=True).first()
    opens = first.select(*KEY, known_at="ts", price="clock_open")
    return _returns(pl.concat([ends, opens]).sort(*KEY, "known_at"), horizon_min)


def labels(bars: pl.DataFrame, features: pl.DataFrame, *, horizons: Iterable[int], target: Target) -> pl.DataFrame:
    """Return LABELS: for each horizon the return that becomes known at ``target_ts``, non-null only, in every unit.

    ``ts`` is the bar whose known_at lies ``horizon_min`` minutes earlier; the first label of a session starts at
    P(open), so its ``ts`` is one minute before the open. ``bars`` BARS; ``features`` FEATURES, none dropped, with the
    target's volatility column, which is taken where the label begins: what a forecast of then is scaled back by. It is
    in the scale of a return over ``target.horizon_min`` minutes, and grows with the root of time.
    """
    prices = clock_prices(bars)
    frames = [
        _returns(prices, horizon).select(
            *KEY,
            # ts is where a bar begins, known_at where it ends: hence the minute more.
            ts=pl.col("known_at") - pl.duration(minutes=horizon + 1),
            target_ts="known_at",
            horizon_min=pl.lit(horizon, pl.Int64),
            y="y",
        )
        for horizon in sorted(set(horizons))
    ]
    made = pl.concat([LABELS.empty().drop("y_bp", "y_volatility_z"), *frames])
    joined = made.join(features.select(*KEY, "ts", target.volatility_column), on=[*KEY, "ts"], how="left")
    return LABELS.conformed(joined.with_columns(_in_units(target)).drop(target.volatility_column))


def _in_units(target: Target) -> Iterable[pl.Expr]:
    """Return y_bp and y_volatility_z of labels beside the volatility at their beginning."""
    grown = (pl.col("horizon_min") * (1.0 / target.horizon_min)).sqrt()
    for mode, scale in (("bp", 1.0), ("volatility_z", grown)):
        yield scaled(pl.col("y"), target_scale(replace(target, mode=mode)) * scale).alias(f"y_{mode}")


def target_scale(target: Target) -> pl.Expr:
    """Return the expression of one scaled unit in log return: y = value x target_scale.

    1 for log_return*, 1 / bp_factor for bp, the volatility column (null when it is) for volatility_z.
    """
    if target.mode == "volatility_z":
        return pl.col(target.volatility_column).cast(pl.Float64)
    return pl.lit(1.0 / target.bp_factor if target.mode == "bp" else 1.0)


def scaled(y: pl.Expr, scale: pl.Expr) -> pl.Expr:
    """Return y in target units, y x (1 / scale); null where the scale is null.

    Not y / scale: polars divides by a one-value column as y x (1 / c), so the last bit would hang on the frame's shape.
    """
    return y * (1.0 / scale)


def unscaled(value: pl.Expr, scale: pl.Expr) -> pl.Expr:
    """Return the log return of a value in target units, value x scale: undoes ``scaled`` to the last bit or two."""
    return value * scale


def _returns(prices: pl.DataFrame, horizon_min: int) -> pl.DataFrame:
    """Return [day, symbol, known_at, y] from prices sorted by day, symbol, known_at; a missing minute yields no y."""
    # A shift counts rows, not minutes: behind a hole, or in another session, the row h back is another moment.
    is_apart = pl.col("known_at") - pl.col("known_at").shift(horizon_min) == pl.duration(minutes=horizon_min)
    is_same = pl.all_horizontal(pl.col(c) == pl.col(c).shift(horizon_min) for c in KEY)
    log_price = pl.col("price").log()
    y = pl.when(is_apart & is_same).then(log_price - log_price.shift(horizon_min))
    return prices.select(*KEY, "known_at", y=y).drop_nulls("y")

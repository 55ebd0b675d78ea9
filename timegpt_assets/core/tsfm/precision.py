"""Whether breaches of the model's bands mean as much as those of the baseline's: what sends a rollout back.

Belongs here: breaches that move on, counted on the same rows for both. What a rollout is stands in rollout.py.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tsfm.assignment import assigned, used

COUNTED = ("market_id", "as_of", "step")
OUTCOMES = pl.Schema(
    {"day": pl.Date(), "market_id": pl.String(), "as_of": TIME, "step": pl.Int64(), "target_ts": TIME}
    | dict.fromkeys(("y", "rise", "fall"), pl.Float64())
)
"""What is read of TSFM_OUTCOMES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionSpec:
    """Which band is judged at which step, what moving on is (absolute), and how far precision may fall of a share."""

    band_source: str
    horizon_step: int
    follow_through_move: float
    drop_max: float
    window_days: int
    min_breaches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Breaches of one band, and how many of them moved on."""

    breaches: int
    followed: int

    @property
    def precision(self) -> float | None:
        """Return the share that moved on; None without a breach."""
        return self.followed / self.breaches if self.breaches else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the days up to one say. ``drop``: of precision, as a share of the baseline's; None: it is not judged."""

    first_day: date
    day: date
    markets: int
    rows: int
    tsfm: Side
    baseline: Side
    drop: float | None
    fired: bool
    reason: str


def judged(bands: pl.DataFrame, outcomes: pl.DataFrame, day: date, share: int, spec: PrecisionSpec) -> Verdict:
    """Return what the ``window_days`` UTC days up to a day say of the share's markets, by BANDS and TSFM_OUTCOMES.

    Both bands are asked on the same rows: those of the judged step that the model answered, and whose time to move on
    is over. Precision is the share of breaches that moved on by ``follow_through_move`` in their direction. It fires
    where the model's lies below the baseline's by more than ``drop_max`` of it, and each has ``min_breaches``.
    """
    first = day - timedelta(days=spec.window_days - 1)
    rows = _rows(bands, outcomes.filter(pl.col("day").is_between(first, day)), share, spec)
    own, other = (side(rows, name, spec.follow_through_move) for name in ("", "baseline_"))
    drop = _drop(own, other, spec)
    return Verdict(
        first_day=first,
        day=day,
        markets=rows["market_id"].n_unique(),
        rows=rows.height,
        tsfm=own,
        baseline=other,
        drop=drop,
        fired=drop is not None and drop > spec.drop_max,
        reason=_said(own, other, drop, spec),
    )


def side(rows: pl.DataFrame, name: str, move: float) -> Side:
    """Return the breaches of the band ``{name}lower`` to ``{name}upper`` by ``y``, and those that moved on."""
    above, below = pl.col("y") > pl.col(f"{name}upper"), pl.col("y") < pl.col(f"{name}lower")
    # twelve digits: .53 less .5 is a move of .03
    rise, fall = (pl.col(way).round_sig_figs(12) >= move for way in ("rise", "fall"))
    found = rows.select(breaches=(above | below).sum(), followed=((above & rise) | (below & fall)).sum())
    return Side(breaches=int(found["breaches"][0]), followed=int(found["followed"][0]))


def _rows(bands: pl.DataFrame, outcomes: pl.DataFrame, share: int, spec: PrecisionSpec) -> pl.DataFrame:
    """Return the rows that count, each with the band that the share gets: in shadow, what every market would get."""
    answered = bands.filter(~pl.col("fallback_used"), step=spec.horizon_step)
    own = assigned(answered["market_id"].unique(), share or 100)
    came = outcomes.select(*COUNTED, "y", "rise", "fall").drop_nulls()
    return used(answered.filter(pl.col("market_id").is_in(own)), 100, spec.band_source).join(came, on=COUNTED)


def _drop(own: Side, other: Side, spec: PrecisionSpec) -> float | None:
    if min(own.breaches, other.breaches) < spec.min_breaches or own.precision is None or not other.precision:
        return None
    # twelve digits: a drop of exactly what is allowed is not more
    return float(f"{1.0 - own.precision / other.precision:.12g}")


def _said(own: Side, other: Side, drop: float | None, spec: PrecisionSpec) -> str:
    told = "; ".join(
        f"{name} {one.followed} of {one.breaches} breaches moved on"
        + (f" ({one.precision:.4g})" if one.precision is not None else "")
        for name, one in ((spec.band_source, own), ("baseline", other))
    )
    if drop is not None:
        return f"{told}: {max(drop, 0.0):.1%} less, more than {spec.drop_max:.1%} sends back"
    if min(own.breaches, other.breaches) < spec.min_breaches:
        return f"{told}: not judged, {spec.min_breaches} of each are asked"
    return f"{told}: not judged, the baseline's never do"

"""How the used bands fared on the latest stored days, as a few figures to watch.

Belongs here: names, and the arithmetic of BANDS and TSFM_OUTCOMES: counts of a day, which add up, and figures of such
counts. The offline evaluation is evaluation.py; who exports figures is reports/metrics.py and serving/tsfm/metrics.py.
"""

from collections import Counter
from collections.abc import Mapping

import polars as pl

from timegpt_assets.core.tsfm.precision import COUNTED, side

BREACH_RATE, FOLLOWED = "breach_rate", "breach_followthrough_rate"
MEANING: Mapping[str, str] = {
    "coverage_rolling": "Share of prices inside the used band, latest stored days, liquidity bucket of the name.",
    "interval_width": "Mean width of the used band, latest stored days, liquidity bucket of the name.",
    BREACH_RATE: "Share of prices outside the used band, latest stored days.",
    FOLLOWED: "Share of breaches that moved on in their direction, latest stored days.",
}
"""What a figure, or those that begin with a word, mean."""
OF_BANDS, OF_OUTCOMES = (*COUNTED, "liquidity_bucket", "lower", "upper"), (*COUNTED, "y", "rise", "fall")
"""Columns that are read."""
Counts = Counter[tuple[str, str]]
"""(liquidity bucket, what) -> how much of it: prices, inside, width, breaches whose time is over, followed."""


def means(name: str) -> str:
    """Return what a figure means."""
    return next(told for word, told in MEANING.items() if name == word or name.startswith(f"{word}_"))


def counted(bands: pl.DataFrame, outcomes: pl.DataFrame, *, follow_through_move: float) -> Counts:
    """Return what the prices of OF_OUTCOMES come to beside the bands that were forecast for them, OF_BANDS."""
    rows = bands.select(*OF_BANDS).join(outcomes.select(*OF_OUTCOMES), on=COUNTED)
    found: Counts = Counter()
    for (bucket,), own in rows.group_by("liquidity_bucket"):
        told = side(own.drop_nulls(["rise", "fall"]), "", follow_through_move)
        inside = own["y"].is_between(own["lower"], own["upper"])
        amounts = {
            "prices": own.height,
            "inside": int(inside.sum()),
            "width": float((own["upper"] - own["lower"]).sum()),
        }
        amounts |= {"breaches": told.breaches, "followed": told.followed}
        found.update({(str(bucket).lower(), name): amount for name, amount in amounts.items()})
    return found


def figures(counts: Counts) -> dict[str, float]:
    """Return coverage_rolling_<bucket> and interval_width_<bucket> by liquidity bucket, and two rates of all rows.

    breach_rate: share of prices outside the used band; breach_followthrough_rate: share of the breaches whose time to
    move on is over that did, in their direction. A figure without rows is left out.
    """
    found = dict[str, float]()
    for bucket in sorted({bucket for bucket, _ in counts}):
        prices = counts[bucket, "prices"]
        found[f"coverage_rolling_{bucket}"] = counts[bucket, "inside"] / prices
        found[f"interval_width_{bucket}"] = counts[bucket, "width"] / prices
    whole: Counter[str] = Counter()
    for (_, name), amount in counts.items():
        whole[name] += amount
    if whole["prices"]:
        found[BREACH_RATE] = 1 - whole["inside"] / whole["prices"]
    if whole["breaches"]:
        found[FOLLOWED] = whole["followed"] / whole["breaches"]
    return found

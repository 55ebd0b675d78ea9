"""Volatility doubles and no forecast sees it: how many sessions until each method's 80 % band covers again.

Run: python -m timegpt_assets_tests.benchmarks.volatility_break
Made-up outcomes, 24 a session, right before the break; every method as shipped, walked forward, embargo included. Each
draw is a symbol of its own.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.calibration import applied, models, samples
from timegpt_assets.core.calibration.methods import METHODS, CalibrationSpec
from timegpt_assets.core.tables.columns import BANDS
from timegpt_assets.core.tables.forecasts import OUTCOMES
from timegpt_assets_tests import outcome_sets
from timegpt_assets_tests.core.calibration.pools import pool

DRAWS, A_SESSION, BEFORE, AFTER, FACTOR = 40, 24, 31, 36, 2.0
LEVEL = 80
SPANS = ((1, 5), (6, 10), (11, 15), (16, 20), (21, 36))
"""Sessions since the break, the first of wild outcomes counted as 1, over which coverage is averaged."""
PLAIN = {"horizon_min": 15, "backend": "baseline", "model": "made up", "score_source": "baseline"}
PLAIN |= {"run_source": "smoke", "data_regime": "maintenance_replay", "request_hash": "", "stale_input": False}
PLAIN |= {"label_aligned": True, "crossings": 0, "calibration": "none", "y_last": 0.0}


def outcomes(symbol: str, days: list[date], rng: np.random.Generator) -> pl.DataFrame:
    """Return OUTCOMES of one draw: bands that keep their promise until the break, errors twice as large from it on."""
    own = pool(len(days) * A_SESSION, rng, a_session=A_SESSION, band=1.0)
    wild = own.known >= BEFORE
    times = [
        (day, calendar.session(day).open + timedelta(minutes=15 * (1 + i))) for day in days for i in range(A_SESSION)
    ]
    asked = [instant for _, instant in times]  # the dense preset's
    columns = {"day": [day for day, _ in times], "snapshot_ts": asked, "asked_at": asked}
    columns |= {"q50": own.q50, "sigma": own.sigma, "y": own.q50 + (own.y - own.q50) * np.where(wild, FACTOR, 1.0)}
    for at, (level, (low, high)) in enumerate(BANDS.items()):
        columns |= dict.fromkeys((f"lo_{level}", low), own.q50 - own.low[:, at])
        columns |= dict.fromkeys((f"hi_{level}", high), own.q50 + own.high[:, at])
    frame = pl.DataFrame(columns).with_columns(
        symbol=pl.lit(symbol), target_ts=pl.col("snapshot_ts").dt.offset_by("15m")
    )
    plain = [pl.lit(value, OUTCOMES.columns[name].dtype).alias(name) for name, value in PLAIN.items()]
    return OUTCOMES.conformed(frame.with_columns(plain))


def coverage(own: pl.DataFrame, rule: CalibrationSpec, days: list[date]) -> np.ndarray:
    """Return the share of each draw's outcomes inside the 80 % band, by session since the break: [draws, sessions]."""
    keys, after = samples.snapshot_times(own), days[BEFORE:]
    found = models.models(own, days=after, keys=keys, levels=tuple(BANDS), calibration_spec=rule)
    made = applied.calibrated(own.filter(pl.col("day").is_in(after)).drop("y", "y_last"), found)
    told = made.join(own.select("day", "symbol", "snapshot_ts", "y"), on=["day", "symbol", "snapshot_ts"])
    held = pl.col("y").is_between(f"lo_{LEVEL}", f"hi_{LEVEL}").mean().alias("held")
    shares: np.ndarray = told.group_by("symbol", "day").agg(held).sort("symbol", "day")["held"].to_numpy()
    return shares.reshape(DRAWS, AFTER)


def row(name: str, shares: np.ndarray) -> str:
    """Return one method's line: sessions until a day covers again (median and quartiles), and coverage by span."""
    back = shares >= LEVEL / 100
    waited = np.where(back.any(axis=1), back.argmax(axis=1), AFTER)
    low, middle, high = np.quantile(waited, [0.25, 0.5, 0.75])
    cells = [name, f"{middle:g} ({low:g} to {high:g})" if middle < AFTER else "never"]
    cells += [f"{shares[:, first - 1 : last].mean():.3f}" for first, last in SPANS]
    return "| " + " | ".join(cells) + " |"


def lines() -> Iterator[str]:
    """Yield the table."""
    rng = np.random.default_rng(0)
    days = [calendar.shifted(date(2025, 1, 2), i) for i in range(BEFORE + AFTER)]
    own = pl.concat([outcomes(f"draw {i:02}", days, rng) for i in range(DRAWS)])
    shipped = core_inputs.calibration_spec(outcome_sets.settings())
    yield "| method | sessions | " + " | ".join(f"{first} to {last}" for first, last in SPANS) + " |"
    yield "|" + "---|" * (2 + len(SPANS))
    for method in ("none", *METHODS):
        yield row("raw" if method == "none" else method, coverage(own, replace(shipped, method=method), days))


def main() -> None:
    """Print the table."""
    for line in lines():
        print(line, flush=True)


if __name__ == "__main__":
    main()

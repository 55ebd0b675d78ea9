"""Made-up prediction markets: events whose bands exclude each other, priced as files of a venue tell them.

Belongs here: the files, for tests that replay them. Prices wander in logits, one common shock an event, and end on the
side of the outcome.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl

KNOWN_AFTER_S = 60
"""A stamp is the start of its minute."""


def written(folder: Path, days: Sequence[date], *, bands: int = 3, seed: int = 7, step_min: int = 5) -> tuple[str, ...]:
    """Write an event a day, priced over the 24 hours before its end at 17:00; return the settings that replay it."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    markets, prices = [], []
    for day in days:
        end = datetime.combine(day, time(17), UTC)
        stamps = [end - timedelta(minutes=minutes) for minutes in range(24 * 60, 0, -step_min)]
        common = np.cumsum(draws.normal(0, 0.08, len(stamps)))
        won = int(draws.integers(bands))
        for band in range(bands):
            market = f"m-{day}-{band}"
            toward = np.linspace(0, 5.0 if band == won else -5.0, len(stamps)) ** 3 / 25
            logits = draws.normal(-0.7, 0.4) + toward + common + np.cumsum(draws.normal(0, 0.05, len(stamps)))
            moved = draws.random(len(stamps)) < 0.4  # most steps of a real market are zero
            shown = np.round(1 / (1 + np.exp(-logits)), 3)
            held = np.maximum.accumulate(np.where(moved, np.arange(len(stamps)), 0))
            markets.append(
                {
                    "market_id": market, "event_id": f"e-{day}", "question": f"Band {band} on {day}?",
                    "category": ("crypto", "sports")[day.day % 2], "start_ts": stamps[0], "end_ts": end,
                }
            )  # fmt: skip
            prices.append(pl.DataFrame({"market_id": market, "ts": stamps, "p": shown[held]}))
    pl.DataFrame(markets).write_parquet(folder / "markets.parquet")
    pl.concat(prices).write_parquet(folder / "prices.parquet")
    return replayed(folder)


def replayed(folder: Path) -> tuple[str, ...]:
    """Return the settings of a replay of these files."""
    return (
        "tsfm.markets.source=files",
        f"tsfm.markets.path={folder}",
        f"tsfm.markets.known_after_s={KNOWN_AFTER_S}",
    )

"""Frames and forecasters for tests of the paid call; run as a module it is a second process that asks for a day.

Belongs here: what test_timegpt, test_timegpt_faults and the processes they start have in common.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.schema import TIME
from timegpt_assets_tests.secret_search import KEY

DAY = date(2024, 7, 1)
HOURS = (14, 15, 16, 17, 18)
SYMBOLS = ("AAPL", "MSFT", "NVDA")


def frame(hour: int = 14, *, symbols: Sequence[str] = SYMBOLS, rows: int = 120, day: date = DAY) -> Frame:
    """Return a frame at ``hour`` UTC of ``rows`` returns per symbol, drawn from day, hour and symbol alone."""
    snapshot = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    minutes = pl.Series([snapshot - timedelta(minutes=rows - 1 - i) for i in range(rows)], dtype=TIME)
    history = pl.concat(
        pl.DataFrame({"day": [day] * rows, "known_at": minutes, "ds": minutes, "y": _returns(symbol, snapshot, rows)})
        .with_columns(symbol=pl.lit(symbol))
        .select("symbol", "day", "known_at", "ds", "y")
        for symbol in sorted(symbols)
    )
    n = len(symbols)
    sigma = pl.DataFrame({"symbol": sorted(symbols), "sigma": [1e-3] * n, "target_scale": [1.0] * n})
    return Frame(day=day, snapshot_ts=snapshot, horizon_min=15, history=history, sigma=sigma, left_out={})


def lively(hour: int = 14) -> Frame:
    """Return a frame whose last symbol moves eight times as much as its first: a change of their order shows."""
    made = frame(hour)
    grown = pl.when(pl.col("symbol") == SYMBOLS[-1]).then(pl.col("y") * 8).otherwise("y")
    return replace(made, history=made.history.with_columns(y=grown))


def frames(*, day: date = DAY) -> list[Frame]:
    """Return the five frames of a day."""
    return [frame(hour, day=day) for hour in HOURS]


def account(host: str, **limits: Any) -> Account:
    """Return an account without a cooldown, its limits as given."""
    return Account(**{"host": host, "cooldown_sec": 0.0, **limits})


def timegpt(url: str, folder: Path, *, limits: dict[str, Any] | None = None, **settings: Any) -> TimeGPT:
    """Return a forecaster on a local server with its cache and ledger in ``folder``; it never really sleeps long."""
    clock = settings.pop("clock", lambda: datetime.now(UTC))
    usual = {
        "api_key": KEY,
        "model": "timegpt-1",
        "levels": (50, 80, 95),
        "settings_digest": "settings",
        "features_hash": "0123456789ab",
        "profile": "dev",
        "account": account(url.removeprefix("http://"), **(limits or {})),
        "cache": ForecastCache(LocalStore(folder / "cache")),
        "ledger": BudgetLedger(f"sqlite:///{folder / 'ledger.db'}", clock=clock),
        "clock": clock,
        "base_url": url,
        "sleep": lambda seconds: time.sleep(min(seconds, 0.02)),
    }
    return TimeGPT(**{**usual, **settings})


def _returns(symbol: str, snapshot: datetime, rows: int) -> np.ndarray[Any, Any]:
    seed = [*symbol.encode(), int(snapshot.timestamp())]
    return np.random.default_rng(seed).normal(0, 1e-3, rows)


def main() -> None:
    """Answer the day's frames once standard input closes and write what it took, and the rows, to standard output."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    forecaster = timegpt(url, folder)
    forecaster._sdk_requests.model_params("warmed-up")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    answered = forecaster.answers(frames(), budget_run_id=sys.argv[3])
    taken = {"sent": answered.sent, "cached": answered.cached, "rows": answered.rows.write_ndjson()}
    sys.stdout.write(json.dumps(taken))


if __name__ == "__main__":
    main()

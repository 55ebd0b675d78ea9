"""What the tests of the model server ask, and who asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from timegpt_assets.adapters.tollama.answers import ModelAnswers
from timegpt_assets.adapters.tollama.client import AUTO, Patience, Tollama
from timegpt_assets.adapters.tollama.probe import Probing
from timegpt_assets.core.tsfm.asked import Asked, Floats

NOW = datetime(2026, 2, 20, 12, 0, tzinfo=UTC)
QUANTILES = (0.1, 0.5, 0.9)
HORIZON = 3
PROBING = Probing(points=32, horizon=12, quantiles=QUANTILES, freq_min=5, timeout_s=0.3, warm_up_s=3.0)


@dataclass
class Hands:
    """A clock that only sleeping moves; ``slept``: how long each time."""

    at: float = 0.0
    slept: list[float] = field(default_factory=list)

    def ticks(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.at)


def tollama(url: str, hands: Hands | None = None, **changes: Any) -> Tollama:
    """Return who asks a server; ``hands``: by a clock that only sleeping moves."""
    usual: dict[str, Any] = {
        "base_url": url,
        "model": "mock",
        "version": AUTO,
        "params": {},
        "auth": "bearer_optional",
        "patience": Patience(retries=1, backoff_s=0.02, jitter_s=0.01),
        "probing": PROBING,
        "key": lambda: None,
        "clock": lambda: NOW,
    }
    if hands:
        usual |= {"clock": hands.clock, "sleep": hands.sleep, "ticks": hands.ticks}
    return Tollama(**(usual | changes))


def series(market_id: str = "m1", y: Sequence[float] | Floats | None = None, **changes: Any) -> Asked:
    """Return a market's past: forty steps up to noon."""
    past = np.array(y if y is not None else 0.4 + 0.002 * np.arange(40), dtype=np.float64)
    usual: dict[str, Any] = {
        "market_id": market_id,
        "as_of": NOW,
        "y": past,
        "seen": np.ones(len(past), dtype=np.bool_),
        "longest_gap_min": 0.0,
        "freq_min": 5,
        "horizon": HORIZON,
        "quantiles": QUANTILES,
    }
    return Asked(**(usual | changes))


def forecast(one: Tollama, *asked: Asked, timeout_s: float = 5.0, request_id: str = "rid-1") -> ModelAnswers:
    """Return what is said of series, of m1 where none is named."""
    return one.forecast(asked or [series()], timeout_s=timeout_s, request_id=request_id)

"""What is promised (section tsfm.slo), held against what was measured: a line of the log where it changes.

Belongs here: which measure each promise has, and from how many answers on it is judged. Measuring is windows.py.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from timegpt_assets.serving.tsfm.logs import Log
from timegpt_assets.serving.tsfm.windows import Window

LOOKED_EVERY_S = 10.0
"""Seconds between two looks at what was measured."""
FEWEST = 20
"""Answers from which on there is a twentieth of them."""
REQUEST, FALLBACK = "request", "fallback"
"""Kinds of latencies: of every request that was answered, and of those that a model was not asked for."""
MEASURES: Mapping[str, tuple[str, Callable[[Window], float]]] = {
    "request_p95_ms": (REQUEST, lambda window: window.p95(REQUEST)),
    "fallback_ms": (FALLBACK, lambda window: window.p95(FALLBACK)),
    "error_rate_max": ("asked", lambda window: window.share("failed", "asked")),
}
"""Setting below tsfm.slo -> of what there must be enough, and what is held against it."""


@dataclass
class Promises:
    """Says once that a promise is broken and once that it is kept again. ``limits``: setting -> most that may be."""

    window: Window
    limits: Mapping[str, float]
    log: Log
    broken: set[str] = field(default_factory=set)

    async def watch(self) -> None:
        """Look and wait, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOKED_EVERY_S)

    def look(self) -> None:
        """Hold each promise against what was measured; of too little nothing is said, and what was said stands."""
        for name, (counted, measure) in MEASURES.items():
            if self.window.count(counted) < FEWEST:
                continue
            found, limit = measure(self.window), self.limits[name]
            if (found > limit) == (name in self.broken):
                continue
            say, word = (self.log.warning, "slo_broken") if found > limit else (self.log.info, "slo_kept")
            self.broken ^= {name}
            say(word, promise=f"tsfm.slo.{name}", found=round(found, 3), limit=limit)

"""Whether the model server answers, asked at a steady pace and never by a request.

Belongs here: the pace, and the last answer. What an outage does to forecasts is the runner's and the degradation's.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable

from timegpt_assets.adapters.tollama.probe import Health


class Monitor:
    """Asks ``probe`` every ``every_s`` seconds; ``last`` is the last answer. A probe that fails is an unhealthy one."""

    def __init__(self, probe: Callable[[], Health], every_s: float) -> None:
        """Keep what is asked; nothing is asked yet."""
        self._probe, self._every_s = probe, every_s
        self.last: Health = _unhealthy("not probed yet")

    async def watch(self, in_thread: Callable[[Callable[[], Health]], Awaitable[Health]]) -> None:
        """Probe and wait, until cancelled."""
        while True:
            try:
                self.last = await in_thread(self._probe)
            except Exception as error:  # noqa: BLE001 - the pace outlives whatever a probe raises, and readiness tells
                self.last = _unhealthy(f"the probe failed: {type(error).__name__}")
            await asyncio.sleep(self._every_s)


def _unhealthy(why: str) -> Health:
    return Health(healthy=False, why=why, latency_ms=math.nan)

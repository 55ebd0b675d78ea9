"""Whether the model server answers, asked at a steady pace and never by a request.

Belongs here: the pace, and the last answer. What an outage does to forecasts is the runner's and the degradation's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol


class Health(Protocol):
    """What a probe found."""

    @property
    def healthy(self) -> bool:
        """Return whether the model forecast."""
        ...

    @property
    def why(self) -> str:
        """Return what it said, in words."""
        ...


@dataclass(frozen=True, slots=True)
class Unprobed:
    """Nobody asked yet: forecasts are tried, and fall back by themselves."""

    healthy: bool = True
    why: str = "not probed yet"


class Monitor:
    """Asks ``probe`` every ``every_s`` seconds and tells ``heard`` what it found; ``last`` is the last answer."""

    def __init__(self, probe: Callable[[], Health], heard: Callable[[Health], None], every_s: float) -> None:
        """Keep what is asked; nothing is asked yet."""
        self._probe, self._heard, self._every_s = probe, heard, every_s
        self.last: Health = Unprobed()

    async def watch(self, in_thread: Callable[[Callable[[], Health]], Awaitable[Health]]) -> None:
        """Probe, tell and wait, until cancelled."""
        while True:
            self.last = await in_thread(self._probe)
            self._heard(self.last)
            await asyncio.sleep(self._every_s)

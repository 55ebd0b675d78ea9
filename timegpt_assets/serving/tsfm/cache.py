"""Answers kept for a while by the request's hash, and one question for all who ask it at once.

Belongs here: what is kept, for how long, and who waits for whom. Which answers may be kept is said by whoever makes
this. It lives on one event loop, so nothing in it needs a lock.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Answers(Generic[T]):
    """Answers by key: kept ``ttl_s`` seconds by a clock that only goes on, ``entries`` of them at most.

    ``keeps``: whether an answer may serve a later request. One that may not, and an error, serves those who asked while
    it was made and nobody after them.
    """

    def __init__(
        self, *, ttl_s: float, entries: int, monotonic: Callable[[], float], keeps: Callable[[T], bool]
    ) -> None:
        """Keep the rules; there is nothing yet."""
        self._ttl_s, self._entries, self._monotonic, self._keeps = ttl_s, entries, monotonic, keeps
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._flights: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    async def get(self, key: str, make: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """Return the answer to a key, and whether somebody else's question brought it. Raises what making it raises."""
        if (kept := self._kept.get(key)) and self._monotonic() < kept[0]:
            return kept[1], True
        if shared := (flight := self._flights.get(key)) is not None:
            return await asyncio.shield(flight), shared
        # a task of its own: whoever began it may leave, and those who joined must still be answered
        flight = asyncio.ensure_future(_awaited(make))
        self._flights[key] = flight
        flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight), False

    def _landed(self, key: str, flight: "asyncio.Task[T]") -> None:
        self._flights.pop(key, None)
        if flight.cancelled() or flight.exception() is not None or not self._keeps(flight.result()):
            return
        now = self._monotonic()
        self._kept.pop(key, None)
        if self._ttl_s:
            self._kept[key] = (now + self._ttl_s, flight.result())
        # all live equally long, so the first of them end first
        while self._kept and (len(self._kept) > self._entries or next(iter(self._kept.values()))[0] <= now):
            self._kept.popitem(last=False)


async def _awaited(make: Callable[[], Awaitable[T]]) -> T:
    return await make()

"""What is stored, looked at every few seconds at most, however often it is asked for.

Belongs here: the pace. What a look finds, and what stands in where it fails, is said by whoever looks.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Paced(Generic[T]):
    """Returns what ``look`` found last, ``every_s`` seconds ago at most; any thread may ask.

    A look that raises has found nothing: whoever asks next looks again. ``monotonic``: a clock that only goes on.
    """

    def __init__(self, look: Callable[[], T], every_s: float, monotonic: Callable[[], float]) -> None:
        """Keep the pace; nothing is looked at yet."""
        self._look, self._every_s, self._monotonic = look, every_s, monotonic
        self._found: tuple[float, T] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> T:
        """Return what is known. Raises what a look raises."""
        with self._lock:
            now = self._monotonic()
            if self._found is None or now - self._found[0] >= self._every_s:
                self._found = now, self._look()
            return self._found[1]

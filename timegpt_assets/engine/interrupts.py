"""Whether somebody wants the work to stop: SIGINT and SIGTERM, heard whoever handles them.

Belongs here: hearing. Dagster keeps signals back between the steps of a run and drops one that comes after the last:
the next run would begin, and spend, as if nobody had said anything.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

STOPPING = frozenset({signal.SIGINT, signal.SIGTERM})


@contextmanager
def signals_heard() -> Iterator[Callable[[], bool]]:
    """Yield what returns whether SIGINT or SIGTERM came since; handlers stay as they are.

    Only the main thread is told of signals: on another one it returns False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    reader, writer = socket.socketpair()
    found: set[int] = set()

    def heard() -> bool:
        with suppress(BlockingIOError):  # nothing new
            found.update(reader.recv(4096))
        return bool(found & STOPPING)

    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        # the one thing Python does with a signal whatever handler stands at the time
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield heard
        finally:
            signal.set_wakeup_fd(before)

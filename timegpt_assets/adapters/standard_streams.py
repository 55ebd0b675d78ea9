"""Standard output and error of this process without its secrets, whoever prints them: a library, an asset, a warning.

Belongs here: the streams. What a run's steps print, Dagster keeps beside its records and shows in the UI. What is
written past Python (by compiled code, a child) does not come through here.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class _Redacting:
    """A text stream that takes secrets out of what is written to it; all else is the stream's own."""

    def __init__(self, stream: TextIO, redacted: Callable[[str], str]) -> None:
        self.beneath, self._redacted = stream, redacted

    def write(self, text: str) -> int:
        self.beneath.write(self._redacted(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)


def redact_streams(redacted: Callable[[str], str]) -> None:
    """Have this process print no secret from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, _Redacting):  # definitions are loaded again, under settings that may have changed
            stream = stream.beneath
        if stream is not None:  # without a terminal there may be none
            setattr(sys, name, _Redacting(stream, redacted))


@contextmanager
def redacted_streams(redacted: Callable[[str], str]) -> Iterator[None]:
    """Have this process print no secret within."""
    before = sys.stdout, sys.stderr
    redact_streams(redacted)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before

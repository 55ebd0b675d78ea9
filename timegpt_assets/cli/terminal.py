"""What a terminal is given: text as it is, never markup, and no control character of a name or a note is obeyed.

Belongs here: the one console of the command line. What is printed is console.py and the verbs.
"""

import logging
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import IO, Any, ClassVar, TextIO

from rich.console import Console
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""All but tab and newline; and what is invisible or turns the writing round."""
_COMMAND = re.compile(r"(timegpt-assets (?!init\b|demo\b)[a-z]+(?:-[a-z]+)*)")
"""A command with its verb; those two are of one profile each."""


class Line:
    """The last line of a terminal, drawn again in its place; in a pipe, and on a dumb terminal, lines under each other.

    It keeps a handle of the stream as it is now: Dagster puts a file of its own under standard error while a step runs.
    """

    seen: "ClassVar[Line | None]" = None
    """Whose line is to be seen: other words take it away first."""
    lock = threading.RLock()
    """Held while anything is written: the line is drawn by a thread of its own."""

    def __init__(self, console: "Terminal") -> None:
        """Write to where this console writes now."""
        self.moves = console.is_screen and not console.is_dumb_terminal
        self._stream: IO[str] = console.file
        with suppress(OSError, ValueError):  # a stream of a test or a notebook lies on no file
            self._stream = os.fdopen(os.dup(console.file.fileno()), "w", errors="backslashreplace")
        self._is_own = self._stream is not console.file

    def draw(self, text: str) -> None:
        """Show the text in the place of the last, or on a line of its own where lines do not move."""
        with Line.lock:
            self._stream.write(f"\r\x1b[2K{printable(text)}\r" if self.moves else f"{printable(text)}\n")
            self._stream.flush()
            Line.seen = self if self.moves and text else None

    def close(self) -> None:
        """Take the line away, and let go of the stream."""
        if Line.seen is self:
            self.draw("")
        if self._is_own:
            self._stream.close()

    @staticmethod
    def take_away() -> None:
        """Have no line to be seen."""
        if Line.seen is not None:
            Line.seen.draw("")


class Terminal(Console):
    """A console that takes every text literally; what is meant to be styled is a ``Text``."""

    profile: ClassVar[str | None] = None
    """The profile that was said: a command that is printed must work as it stands, and so says it, too."""
    redacted: ClassVar[Callable[[str], str]] = staticmethod(str)
    """Takes the secrets of the environment out of a text; known once a command has read it."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Write to standard output, or to standard error."""
        # markup would make colours, and links, of brackets in a file's name
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; in a pipe no line is broken: whoever reads it there looks for whole ones."""
        options = {"soft_wrap": not self.is_screen, "crop": False} | options
        with Line.lock:
            Line.take_away()  # or what is printed would begin on top of it
            super().print(*objects, **options)

    @property
    def is_screen(self) -> bool:
        """Return whether somebody looks at it: FORCE_COLOR asks a pipe for colours, and makes no screen of it."""
        said = self._environ.get("TTY_COMPATIBLE")
        return self.is_terminal and (said == "1" or getattr(self.file, "isatty", bool)())

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text, printable; every text and every cell of a table comes by here."""
        return super().render_str(under(self.profile, printable(Terminal.redacted(text))), **options)


class _Printed(logging.Handler):
    """Prints what the package says while it works, as every other message of the command line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record to standard error; a name in it is as strange as any."""
        Terminal(stderr=True).print(self.format(record), soft_wrap=True)


def listen() -> None:
    """Have the package's warnings printed; Python's own last resort would hand the terminal whatever is in them."""
    logger = logging.getLogger("timegpt_assets")
    if not any(isinstance(handler, _Printed) for handler in logger.handlers):
        logger.addHandler(_Printed(logging.WARNING))


def show_what_cannot_be_encoded(stream: TextIO) -> None:
    """Have characters that the stream's encoding lacks written as escapes: a name or a tick is no reason to fail."""
    if isinstance(stream, TextIOWrapper):  # None without a terminal, another one under a test or a notebook
        stream.reconfigure(errors="backslashreplace")


def under(profile: str | None, text: str) -> str:
    """Return the text with ``--profile`` in each command of ours that says none; the same text without a profile."""
    if profile is None:
        return text
    # cut before each command: one that says its profile may stand beside one that does not
    parts = _COMMAND.split(text)
    return parts[0] + "".join(
        verb + ("" if "--profile" in rest else f" --profile {profile}") + rest
        for verb, rest in zip(parts[1::2], parts[2::2], strict=True)
    )


def printable(text: str) -> str:
    """Return the text with its control characters shown as escapes."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)

"""Opening what a person put somewhere: regular files only, for a pipe in a file's place is waited on for ever.

Belongs here: the one way a file is opened whose kind is not known. What is in it is the business of whoever asks.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO, cast


class IrregularFile(OSError):
    """Raised for a pipe, a socket, a device or a folder where a file must lie; names it and the remedy."""


def opened(path: Path) -> BinaryIO:
    """Return the file, open for reading, unbuffered. Raises IrregularFile, and what the system refuses as OSError.

    It is opened without waiting and looked at afterwards: what lay there a moment before says nothing.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise IrregularFile(f"{path} is no regular file. Put a file there, or take it away.")
        return cast("BinaryIO", os.fdopen(handle, "rb", buffering=0))
    # An interrupt must not leave the handle open either.
    except BaseException:
        os.close(handle)
        raise


MOST_TEXT = 1_000_000
"""Bytes of settings or of an environment file; ours have some thousands."""


def text(path: Path) -> str:
    """Return the file's text in UTF-8.

    Raises OSError, also for more than MOST_TEXT bytes and as IrregularFile, and UnicodeDecodeError.
    """
    with opened(path) as file:
        # One byte more than allowed tells a file that is too long, without reading it all.
        found = file.read(MOST_TEXT + 1)
    if len(found) > MOST_TEXT:
        raise OSError(f"{path} has more than {MOST_TEXT:,} bytes. Put a file of settings there.")
    return found.decode("utf-8")

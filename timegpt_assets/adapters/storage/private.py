"""What is its owner's alone: a file or folder of ours that others of the machine may look into is closed to them.

Belongs here: modes of what already lies there, from an earlier version or a copy. New files are made with theirs.
"""

import logging
import os
import stat
from pathlib import Path

_LOG = logging.getLogger(__name__)


def close_to_others(path: Path) -> None:
    """Take from others what they may do with a file or folder of this account, and say so; absent is left absent.

    A group that may write was let in on purpose, by people who share one ledger: it stays. Somebody else's file is
    somebody else's to close.
    """
    try:
        found = path.stat()
        is_shared = found.st_mode & stat.S_IWGRP
        too_much = found.st_mode & (stat.S_IRWXO if is_shared else stat.S_IRWXO | stat.S_IRWXG)
        if not too_much or found.st_uid != os.geteuid():
            return
        path.chmod(stat.S_IMODE(found.st_mode) & ~too_much)
    except FileNotFoundError:
        return
    except OSError as error:  # a disk without modes: what is on it is open to all, and the work goes on
        _LOG.warning("%s cannot be closed to others of this machine: %s. Put it on a disk that can.", path, error)
        return
    was, now = stat.S_IMODE(found.st_mode), stat.S_IMODE(path.stat().st_mode)
    _LOG.warning("%s was open to others of this machine, by mode %03o; it has mode %03o now.", path, was, now)

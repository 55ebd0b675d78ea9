"""Which process holds a reservation, and whether it still lives.

Belongs here: process identity only. A reservation of a dead process is settled at once on its own machine;
elsewhere nobody can look, so there its lease has to run out first.
"""

import os
from pathlib import Path


def owner() -> str:
    """Return this process's name: machine, process id and start time (ids are used again, start times are not)."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}"


def place() -> str:
    """Return this process's name for people: they may look for it."""
    return f"process {os.getpid()} on {os.uname().nodename}"


def is_known_alive(name: str) -> bool:
    """Return whether the named process is another one of this machine and certainly runs.

    This process itself is not asked about: what it left behind, its own lease ends.
    """
    return name != owner() and name.rsplit("/", 2)[0] == _machine() and not is_known_dead(name)


def is_known_dead(name: str) -> bool:
    """Return whether the named process is certainly gone; False when it lives or runs on another machine."""
    machine, pid, started = name.rsplit("/", 2)
    if machine != _machine():
        return False
    try:
        # signal 0 asks without touching; PermissionError means somebody is there, of another user
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # the id was given to another process meanwhile
    return _started(int(pid)) != started


def is_on_this_machine(name: str) -> bool:
    """Return whether the named process belongs to this boot of this machine, and its id can be looked up here."""
    return name.rsplit("/", 2)[0] == _machine()


def _machine() -> str:
    """Return boot id and process-id namespace: two containers of one host do not share process ids."""
    try:
        # boot id: after a restart all ids of before are dead, though some are in use again
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return os.uname().nodename


def _started(pid: int) -> str:
    """Return the start time in clock ticks, "0" where the system has no /proc, "dead" for a zombie."""
    try:
        # after the last ")": a process may have blanks and brackets in its name
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "0"
    return "dead" if fields[0] in "ZX" else fields[19]

"""Which version of a month's model is live: what the pointer says, and how it is written.

Belongs here: its text. Where it lies, and when it may be switched, is registry.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from timegpt_assets.core.models.manifests import canonical, parsed, pin_fault

KEYS = {"name", "month", "digest", "since", "previous", "seconds"}


@dataclass(frozen=True, slots=True)
class Live:
    """What is live: its digest, since when, what was before it, and how long its training took."""

    digest: str
    since: datetime
    previous: str | None
    seconds: float | None


def read_live(name: str, month: str, data: bytes) -> Live | None:
    """Return what the pointer of this name and month says, None where it is not as ``written_live`` writes it."""
    said = parsed(data)
    if said is None or said.keys() != KEYS:
        return None
    previous, seconds, pinned = said["previous"], said["seconds"], said["digest"]
    digests: Sequence[object] = [pinned] if previous is None else [pinned, previous]
    try:
        since = datetime.fromisoformat(said["since"])
        live = Live(pinned, since, previous, None if seconds is None else float(seconds))
    except (TypeError, ValueError):
        return None
    whole = since.tzinfo is not None and not any(map(pin_fault, digests))
    return live if whole and written_live(name, month, live) == data else None


def written_live(name: str, month: str, live: Live) -> bytes:
    """Return the pointer's text: what is live of which name and month."""
    return canonical(_said(name, month, live))


def _said(name: str, month: str, live: Live) -> dict[str, object]:
    return {
        "name": name,
        "month": month,
        "digest": live.digest,
        "since": live.since.isoformat(),
        "previous": live.previous,
        "seconds": live.seconds,
    }

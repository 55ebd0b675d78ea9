"""What was answered is kept: a cycle made again asks nobody again, and has the same rows.

Belongs here: ``tsfm/answers/<settings>/<day>/<HHMMSS>``, an object per cycle, and which answers may stand. A question
is known by all it holds: of another past it is another question.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import orjson
import zstandard

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.adapters.tollama.runner import Unanswered
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tsfm import reasons
from timegpt_assets.core.tsfm.asked import Answered, Asked

MAX_BYTES = 64 << 20
"""Most that an object may unpack to."""


class AnswersDamaged(Explained, RuntimeError):
    """Raised for kept answers that are not what was written; names the object and the remedy."""


class BandForecaster(Protocol):
    """Who answers about markets."""

    def forecast(self, asked: Sequence[Asked]) -> Sequence[Answered | Unanswered]:
        """Return an answer for each question, in their order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """A runner that is asked only what it did not answer before. ``settings``: digest of what shapes an answer.

    A fallback for want of the model stands where it was made in its cycle, within ``live_for`` of it; one of later is
    asked for again.
    """

    runner: Callable[[], BandForecaster] = field(repr=False)
    objects: ObjectStore
    settings: str
    clock: Callable[[], datetime] = field(repr=False)
    live_for: timedelta

    def forecast(self, asked: Sequence[Asked]) -> list[Answered | Unanswered]:
        """Return an answer for each question, in their order. Raises AnswersDamaged, ObjectStoreError."""
        found: list[Answered | Unanswered] = []
        for as_of, own in groupby(asked, key=lambda one: one.as_of):
            found += self._cycle(as_of, list(own))
        return found

    def _cycle(self, as_of: datetime, asked: Sequence[Asked]) -> list[Answered | Unanswered]:
        name = f"tsfm/answers/{self.settings}/{as_of.date()}/{as_of:%H%M%S}"
        there = self.objects.read(name)
        kept = _unpacked(name, there.data if there else b"")
        keys = [_key(one) for one in asked]
        lacking = [one for one, key in zip(asked, keys, strict=True) if key not in kept]
        made = {_key(one): answer for one, answer in zip(lacking, self._ask(lacking), strict=True)}
        stands = {key: _written(one) for key, one in made.items() if self._stands(one)}
        if stands:
            self.objects.update(name, lambda current: _merged(name, current, stands))
        return [made[key] if key in made else _read(kept[key]) for key in keys]

    def _ask(self, asked: Sequence[Asked]) -> Sequence[Answered | Unanswered]:
        return self.runner().forecast(asked) if asked else []

    def _stands(self, answer: Answered | Unanswered) -> bool:
        return not reasons.is_for_want_of_model(answer.reason) or self.clock() - answer.as_of < self.live_for


def _key(asked: Asked) -> str:
    """Return what a question is known by: its market and a digest of everything it holds."""
    found = hashlib.sha256(asked.y.tobytes() + asked.seen.tobytes())
    said = (asked.longest_gap_min, asked.freq_min, asked.horizon, asked.quantiles, asked.liquidity_bucket)
    found.update(repr((*said, asked.volume_24h)).encode())
    for name, values in [*sorted(asked.x_past.items()), *sorted(asked.x_future.items())]:
        found.update(name.encode() + values.tobytes())
    return f"{asked.market_id} {found.hexdigest()[:24]}"


def _written(answer: Answered | Unanswered) -> dict[str, Any]:
    return asdict(answer)


def _read(said: dict[str, Any]) -> Answered | Unanswered:
    at = said | {"as_of": datetime.fromisoformat(said["as_of"])}
    if "values" not in said:
        return Unanswered(**at)
    at |= {name: np.array(said[name], dtype=np.float64) for name in ("values", "baseline_values")}
    return Answered(**(at | {name: tuple(said[name]) for name in ("quantiles", "width_flags", "warnings")}))


def _merged(name: str, current: Current, more: dict[str, Any]) -> bytes:
    # what stands stays: of two who asked at once the first one's answer is the cycle's
    kept = more | _unpacked(name, file.read() if (file := current()) else b"")
    text = orjson.dumps(kept, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS)
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(text)


def _unpacked(name: str, data: bytes) -> dict[str, Any]:
    if not data:
        return {}
    try:
        if zstandard.frame_content_size(data) > MAX_BYTES:
            raise ValueError(f"it says it unpacks to more than {MAX_BYTES >> 20} MiB")
        found: dict[str, Any] = orjson.loads(zstandard.ZstdDecompressor().decompress(data))
    except (ValueError, zstandard.ZstdError) as error:
        raise AnswersDamaged(
            f"{name} is damaged ({str(error).splitlines()[0]}). Restore it from a backup, or delete it: its cycle is "
            "then asked about again."
        ) from None
    return found

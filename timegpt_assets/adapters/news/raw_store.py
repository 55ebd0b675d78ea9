"""What sources delivered, kept once: bodies by their sha256, and an index of which question each of them answers.

Belongs here: bytes in, the same bytes out, or an error. A body is a zstd frame under ``news/bodies/<sha256>.zst``, an
entry of the index a line of JSON under ``news/index/<source>/``. A body is stored before its entry, each whole or not
at all, so that whoever is killed leaves at worst bytes nobody knows of; of two who keep an answer, the first stays.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

import orjson
import zstandard

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.core.explained import Explained

MAX_BYTES = 256 << 20
"""Most that a body may unpack to."""
_SHOWN = 80
"""Characters of a question that its entry's name begins with, for people and for ``listed``."""


class NewsDamaged(Explained, RuntimeError):
    """Raised for a stored body or entry that is gone or not what was written; names it and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One kept answer: to which question of which source, when it came, under what status, and its bytes' sha256.

    ``day``: the session it was taken for.
    """

    source: str
    asked: str
    day: date
    fetched_at: datetime
    status: int
    size: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class RawStore:
    """The answers of every source under one storage root. A question that was answered is never asked again."""

    objects: ObjectStore

    def answered(self, source: str, asked: str) -> Answer | None:
        """Return the answer to a question, None when there is none yet or its bytes are gone. Raises NewsDamaged."""
        name = _entry_name(source, asked)
        found = self.objects.read(name)
        return self._whole(name, found.data) if found else None

    def keep(self, source: str, asked: str, body: bytes, *, day: date, fetched_at: datetime, status: int) -> Answer:
        """Store an answer durably and return the one that stands: the first, should somebody have been faster.

        ``day``: the session it is taken for. Raises ObjectStoreError.
        """
        digest = hashlib.sha256(body).hexdigest()
        new = Answer(
            source=source,
            asked=asked,
            day=day,
            fetched_at=fetched_at,
            status=status,
            size=len(body),
            content_hash=digest,
        )
        self.objects.write_new(
            _body_name(digest), zstandard.ZstdCompressor(level=3, write_checksum=True).compress(body)
        )
        name, stands = _entry_name(source, asked), [new]

        def change(current: Current) -> bytes:
            known = file.read() if (file := current()) else b""
            # an entry whose bytes are gone makes way: its question was asked anew for that
            stands[:] = [(self._whole(name, known) if known else None) or new]
            return orjson.dumps(stands[0])

        self.objects.update(name, change)
        return stands[0]

    def listed(self, source: str, beginning: str = "") -> Iterator[Answer]:
        """Give the answers of a source whose question begins so, sorted by question. Raises NewsDamaged."""
        prefix = f"{_folder(source)}/{_shown(beginning)}"
        for name, _ in self.objects.names(prefix):
            found = self.objects.read(name)
            answer = self._whole(name, found.data) if found else None
            if answer and answer.asked.startswith(beginning):
                yield answer

    def body(self, content_hash: str) -> bytes:
        """Return the bytes as they were delivered. Raises NewsDamaged for what is gone or has another sha256."""
        name = _body_name(content_hash)
        found = self.objects.read(name)
        if found is None:
            raise NewsDamaged(f"{self.objects.shown(name)} is gone. {_ASK}")
        try:
            if zstandard.frame_content_size(found.data) > MAX_BYTES:
                raise ValueError(f"it says it unpacks to more than {MAX_BYTES >> 20} MiB")
            body = zstandard.ZstdDecompressor().decompress(found.data, max_output_size=MAX_BYTES)
            if hashlib.sha256(body).hexdigest() != content_hash:
                raise ValueError("its bytes have another sha256")
        except (ValueError, zstandard.ZstdError) as error:
            raise NewsDamaged(f"{self.objects.shown(name)} is damaged ({error}). Delete it. {_ASK}") from None
        return body

    def lies_at(self, content_hash: str) -> str | None:
        """Return the place of the bytes, for people; None when they are gone."""
        name = _body_name(content_hash)
        return self.objects.shown(name) if self.objects.generation(name) is not None else None

    def _whole(self, name: str, data: bytes) -> Answer | None:
        """Return what an entry says, None when its bytes are gone. Raises NewsDamaged."""
        try:
            said = orjson.loads(data)
            answer = Answer(
                source=str(said["source"]),
                asked=str(said["asked"]),
                day=date.fromisoformat(said["day"]),
                fetched_at=datetime.fromisoformat(said["fetched_at"]),
                status=int(said["status"]),
                size=int(said["size"]),
                content_hash=str(said["content_hash"]),
            )
            if _entry_name(answer.source, answer.asked) != name:
                raise ValueError("it is the entry of another question")
            body = _body_name(answer.content_hash)
        except (ValueError, TypeError, KeyError) as error:
            raise NewsDamaged(f"{self.objects.shown(name)} is damaged ({error!r}). Delete it. {_ASK}") from None
        return answer if self.objects.generation(body) is not None else None


_ASK = "Materialise raw_news of its days again: what it answered is asked once more. Or restore the file from a backup."


def _entry_name(source: str, asked: str) -> str:
    return f"{_folder(source)}/{_shown(asked)}.{hashlib.sha256(asked.encode()).hexdigest()}.json"


def _folder(source: str) -> str:
    if not re.fullmatch(r"[a-z_]+", source):
        raise ValueError(f"{source[:80]!r} is no source (lower-case letters and _); nothing was read or written.")
    return f"news/index/{source}"


def _shown(asked: str) -> str:
    """Return the beginning of a question as a file's name may hold it; of two with one beginning both begin so."""
    return re.sub(r"^\.|[^0-9A-Za-z._=-]", "_", asked[:_SHOWN])


def _body_name(content_hash: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", content_hash):
        raise ValueError(f"{content_hash[:80]!r} is no sha256 (64 hex digits)")
    return f"news/bodies/{content_hash}.zst"

"""Paid answers in an object store, content-addressed: ``<host>/<hash[:2]>/<hash>.zst``, one file per answer.

Belongs here: bytes in, the same bytes out, or an error. A file is one zstd frame with a checksum: a first line of JSON
(the body's sha256 and the record of the moment it was asked), then the provider's body as it came
(``zstdcat FILE | head -1`` shows the record). Files appear whole or not at all and are never overwritten.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard

from timegpt_assets.adapters.call_errors import CacheDamaged, CacheFull
from timegpt_assets.adapters.storage.object_store import ObjectStore, ObjectStoreError

_PROBE_BYTES = 1 << 20
"""Room asked for before a call: a large answer takes less, also when fifty are stored side by side."""
_WHOLE = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})\.zst")
_HASH = re.compile(r"[0-9a-f]{64}")
MAX_BYTES = 256 << 20
"""Most that an answer may unpack to: 500 symbols of an hour with seven bands take 20 MB."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was remembered when it was asked, and the provider's body as it came; ``stale``: inputs changed since."""

    request_hash: str
    record: Mapping[str, Any]
    body: bytes
    stale: bool = False


@dataclass(frozen=True, slots=True)
class ForecastCache:
    """Stored answers of every provider host in one place, shared by all profiles."""

    objects: ObjectStore

    def read(self, host: str, request_hash: str) -> StoredAnswer | None:
        """Return the stored answer, None when there never was one.

        Raises CacheDamaged for a file that is not what was written (it is set aside), now and ever after.
        """
        name, aside = _name(host, request_hash), _aside(host, request_hash)
        # what was set aside still counts as stored: forgetting it would buy the same answer a second time
        found = self.objects.read(name)
        if found is None and self.objects.generation(aside) is None:
            return None
        if found is None:
            damaged = f"The paid answer {request_hash} is damaged: {self.objects.shown(aside)}"
            raise CacheDamaged(f"{damaged}. {self._remedy(name)}")
        try:
            return _entry(found.data, request_hash)
        except (ValueError, TypeError, zstandard.ZstdError) as error:
            raise self.set_aside(host, request_hash, str(error)) from None

    def set_aside(self, host: str, request_hash: str, why: str) -> CacheDamaged:
        """Move an answer aside that cannot be used, and return the error that says so, with the remedy."""
        name, aside = _name(host, request_hash), _aside(host, request_hash)
        # aside and not deleted: it was paid for, and somebody may yet mend it
        self.objects.move(name, aside)
        what = f"is damaged ({why}); set aside as {self.objects.shown(aside)}"
        return CacheDamaged(f"The paid answer {request_hash} {what}. {self._remedy(name)}")

    def has(self, host: str, request_hash: str) -> bool:
        """Return whether an answer is stored, be it damaged."""
        names = (_name(host, request_hash), _aside(host, request_hash))
        return any(self.objects.generation(name) is not None for name in names)

    def lies_at(self, host: str, request_hash: str) -> str | None:
        """Return where the answer lies, None when none is stored; nothing of it is read."""
        name = _name(host, request_hash)
        return None if self.objects.generation(name) is None else self.objects.shown(name)

    def write(
        self, host: str, request_hash: str, record: Mapping[str, Any], body: bytes, *, replacing: bool = False
    ) -> None:
        """Store an answer durably before returning; the first one stored stays, unless it is told to make way.

        What makes way is kept under ``replaced``; at every moment one whole answer lies there. Raises CacheFull.
        """
        name, packed = _name(host, request_hash), _packed(record, body, request_hash)
        try:
            if replacing:
                self._keep_replaced(host, request_hash)
                self.objects.update(name, lambda _: packed)
                self.objects.delete(_aside(host, request_hash))
            else:
                # the first stays: a second answer to the same bytes may differ, and rows were made of the first
                self.objects.write_new(name, packed)
        except ObjectStoreError as error:
            raise CacheFull(f"The answer came, is spent, and could not be stored. {error}") from None

    def check_writable(self, host: str) -> None:
        """Raise CacheFull when an answer could not be stored now: it would be paid for and lost."""
        name = f"{folder(host)}/.probe"
        try:
            self.objects.update(name, lambda _: os.urandom(_PROBE_BYTES))
            self.objects.delete(name)
        except ObjectStoreError as error:
            raise CacheFull(f"No answer could be stored; nothing was sent. {error}") from None

    def retire(self, host: str, request_hash: str) -> None:
        """Move an answer whose successor is stored under ``replaced``."""
        self._keep_replaced(host, request_hash)
        for name in (_name(host, request_hash), _aside(host, request_hash)):
            self.objects.delete(name)

    def _keep_replaced(self, host: str, request_hash: str) -> None:
        kept = f"{folder(host)}/replaced/{request_hash}."
        for name in (_name(host, request_hash), _aside(host, request_hash)):
            if found := self.objects.read(name):
                self.objects.write_new(f"{kept}{sum(1 for _ in self.objects.names(kept))}.zst", found.data)

    def hashes(self, host: str) -> Iterator[str]:
        """Give the request hashes stored for the host, sorted."""
        ours = f"{folder(host)}/"
        for name, _ in self.objects.names(ours):
            if found := _WHOLE.fullmatch(name.removeprefix(ours)):
                yield found[1]

    def damaged(self, host: str) -> Iterator[str]:
        """Give the request hashes of answers that were found damaged and not restored since, sorted."""
        aside = f"{folder(host)}/damaged/"
        for name, _ in self.objects.names(aside):
            found = name.removeprefix(aside).removesuffix(".zst")
            if is_request_hash(found) and self.objects.generation(_name(host, found)) is None:
                yield found

    def _remedy(self, name: str) -> str:
        where = self.objects.shown(name)
        return f"Nothing was sent. Restore the file to {where} from a backup, or pay again with --reask."


def is_request_hash(text: object) -> bool:
    """Return whether the text can be a request's hash: what else a file says it is could name any place."""
    return isinstance(text, str) and _HASH.fullmatch(text) is not None


def _name(host: str, request_hash: str) -> str:
    if not is_request_hash(request_hash):
        raise CacheDamaged(f"{request_hash[:80]!r} is no request hash (64 hex digits); nothing was read or written.")
    return f"{folder(host)}/{request_hash[:2]}/{request_hash}.zst"


def _aside(host: str, request_hash: str) -> str:
    return f"{folder(host)}/damaged/{request_hash}.zst"


def folder(host: str) -> str:
    """Return the folder of a provider's answers."""
    return host.replace(":", "_").replace("/", "_")


def _packed(record: Mapping[str, Any], body: bytes, request_hash: str) -> bytes:
    head = {"request_hash": request_hash, "sha256": hashlib.sha256(body).hexdigest(), "record": dict(record)}
    # two checksums: zstd's finds a torn file, the digest of the body is what the ledger can be asked about
    line = orjson.dumps(head, option=orjson.OPT_SORT_KEYS)
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(line + b"\n" + body)


def _entry(packed: bytes, request_hash: str) -> StoredAnswer:
    # the header says the size: a bomb is refused before a byte of it is unpacked
    if zstandard.frame_content_size(packed) > MAX_BYTES:
        raise ValueError(f"it says it unpacks to more than {MAX_BYTES >> 20} MiB")
    line, _, body = zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BYTES).partition(b"\n")
    head = orjson.loads(line)
    orjson.dumps(
        head
    )  # refuses what is nested deeper than anything of ours: whoever reads the record would choke on it
    if not (
        isinstance(head, dict) and head.keys() >= {"request_hash", "sha256"} and isinstance(head.get("record"), dict)
    ):
        raise ValueError("its first line is no record")
    if head["request_hash"] != request_hash:
        raise ValueError(f"it holds the answer to {head['request_hash']}")
    if head["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("its body does not match its checksum")
    return StoredAnswer(request_hash, head["record"], body)

"""Paid answers on local disk, content-addressed: ``<root>/<host>/<hash[:2]>/<hash>.zst``, one file per answer.

Belongs here: bytes in, the same bytes out, or an error. A file is one zstd frame with a checksum: a first line of JSON
(the body's sha256 and the record of the moment it was asked), then the provider's body as it came
(``zstdcat FILE | head -1`` shows the record). Files appear whole or not at all and are never overwritten.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import zstandard

from timegpt_assets.adapters.call_errors import CacheDamaged


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer: what was remembered when it was asked, and the provider's body, byte for byte."""

    record: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class ForecastCache:
    """Stored answers of every provider host under one folder, shared by all profiles."""

    root: Path

    def read(self, host: str, request_hash: str) -> Entry | None:
        """Return the stored answer, None when there never was one.

        Raises CacheDamaged for a file that is not what was written (it is set aside), now and ever after.
        """
        path, aside = self._path(host, request_hash), self._aside(host, request_hash)
        try:
            return _entry(path.read_bytes(), request_hash)
        except FileNotFoundError:
            if not aside.exists():
                return None
            raise CacheDamaged(f"The paid answer {request_hash} is damaged: {aside}. {_remedy(path)}") from None
        except (ValueError, zstandard.ZstdError) as error:
            _move(path, aside)
            message = f"The paid answer {request_hash} is damaged ({error}); set aside as {aside}. {_remedy(path)}"
            raise CacheDamaged(message) from None

    def has(self, host: str, request_hash: str) -> bool:
        """Return whether an answer is stored, be it damaged."""
        return self._path(host, request_hash).exists() or self._aside(host, request_hash).exists()

    def write(self, host: str, request_hash: str, record: Mapping[str, Any], body: bytes) -> None:
        """Store an answer durably before returning; the first one stored stays."""
        path = self._path(host, request_hash)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f".{request_hash}.{os.getpid()}.half")
        with half.open("wb") as file:
            file.write(_packed(record, body, request_hash))
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        _sync_folder(path.parent)

    def give_up(self, host: str, request_hash: str) -> None:
        """Set an answer aside so that it can be asked again (--reask); its bytes are kept under ``replaced``."""
        for path in (self._path(host, request_hash), self._aside(host, request_hash)):
            if path.exists():
                folder = self.root / _folder(host) / "replaced"
                _move(path, folder / f"{request_hash}.{sum(1 for _ in folder.glob(f'{request_hash}.*'))}.zst")

    def hashes(self, host: str) -> Iterator[str]:
        """Give the request hashes stored for the host, sorted."""
        yield from sorted(path.stem for path in (self.root / _folder(host)).glob("[0-9a-f][0-9a-f]/*.zst"))

    def _path(self, host: str, request_hash: str) -> Path:
        return self.root / _folder(host) / request_hash[:2] / f"{request_hash}.zst"

    def _aside(self, host: str, request_hash: str) -> Path:
        return self.root / _folder(host) / "damaged" / f"{request_hash}.zst"


def _remedy(path: Path) -> str:
    return f"Nothing was sent. Restore the file to {path} from a backup, or pay again with --reask."


def _folder(host: str) -> str:
    return host.replace(":", "_").replace("/", "_")


def _packed(record: Mapping[str, Any], body: bytes, request_hash: str) -> bytes:
    head = {"request_hash": request_hash, "sha256": hashlib.sha256(body).hexdigest(), "record": dict(record)}
    line = orjson.dumps(head, option=orjson.OPT_SORT_KEYS)
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(line + b"\n" + body)


def _entry(packed: bytes, request_hash: str) -> Entry:
    line, _, body = zstandard.ZstdDecompressor().decompress(packed).partition(b"\n")
    head = orjson.loads(line)
    if head["request_hash"] != request_hash:
        raise ValueError(f"it holds the answer to {head['request_hash']}")
    if head["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("its body does not match its checksum")
    return Entry(head["record"], body)


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

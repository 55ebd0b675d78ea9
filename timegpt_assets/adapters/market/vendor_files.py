"""Looking before reading: which files there are below a path, what kind they are, and whether they are within bounds.

Belongs here: names, kinds, sizes and bytes. What the bytes say is vendor_tables.py. Nothing that is no regular file is
opened, paths are never patterns, and no more is unpacked than the limits allow.
"""

import gzip
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import zstandard

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.config.files import IrregularFile, opened
from timegpt_assets.core.vendors.findings import Refused

TEXT = (".csv", ".txt", ".tsv", ".dat", ".itxt", ".prn")
PARQUET = (".parquet", ".pq")
PACKED = (".gz", ".zst", ".zstd")
KINDS = (*TEXT, *PARQUET, *(text + packed for text in TEXT for packed in PACKED), ".zip")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a file is taken in. What each means stands in configs/importing.yaml."""

    max_bytes: int = 1 << 30
    max_expansion: float = 100.0
    max_rows: int = 20_000_000
    max_members: int = 10_000
    max_unreadable_share: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorFile:
    """One file, or one member of an archive; ``path`` is what lies on the disk, ``parts`` its name below the root."""

    path: Path
    parts: tuple[str, ...]
    member: str | None = None
    refused: str = ""

    @property
    def shown(self) -> str:
        """Return what a person calls it, escape characters escaped."""
        text = f"{self.path}{f' ({self.member})' if self.member else ''}"
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

    @property
    def is_parquet(self) -> bool:
        """Return whether it is read as parquet."""
        return self.parts[-1].lower().endswith(PARQUET)


def files(path: Path, limits: Limits | None = None) -> list[VendorFile]:
    """Return the files to import: ``path`` itself, or what lies below it, by name, archives opened.

    Resource forks and hidden files are passed over; what is no regular file comes back refused. Raises MarketDataError
    for a folder in which nothing could be bars.
    """
    limits = limits or Limits()
    if not path.is_dir():
        return list(_looked(path, path.parent, limits))
    found = [entry for entry in _below(path) if entry.name.lower().endswith(KINDS) and not _is_hidden(entry, path)]
    if not found:
        raise MarketDataError(f"{path} holds no bars: no file that ends in {', '.join(KINDS)}. Name another path.")
    return [file for entry in found for file in _looked(entry, path, limits)]


def _below(path: Path) -> list[Path]:
    """Return everything below a folder that is no folder, sorted; links to folders are not followed."""
    found = []
    # links to folders may lead in a circle, or out of what was named
    for folder, _, names in os.walk(path, followlinks=False):
        found += [Path(folder, name) for name in names]
    return sorted(found)


def _is_hidden(entry: Path, root: Path) -> bool:
    """Return whether it is a Mac's resource fork, or hidden."""
    return any(part.startswith(".") or part == "__MACOSX" for part in entry.relative_to(root).parts)


def _looked(path: Path, root: Path, limits: Limits) -> Iterator[VendorFile]:
    parts = (root.name, *path.relative_to(root).parts)
    whole = VendorFile(path=path, parts=parts)
    try:
        status = path.stat()
    except OSError as error:
        yield _refused(whole, f"cannot be looked at: {error.strerror}. Mend the link or rights.")
        return
    if not stat.S_ISREG(status.st_mode):
        yield _refused(whole, "is no regular file. Name a file of bars.")
    elif path.name.lower().endswith(".zip"):
        yield from _members(whole, limits)
    else:
        yield whole


def _members(archive: VendorFile, limits: Limits) -> Iterator[VendorFile]:
    """Yield the members of an archive that could be bars; an archive of none comes back refused."""
    try:
        with zipfile.ZipFile(archive.path) as unpacked:
            names = [info.filename for info in unpacked.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield _refused(archive, f"cannot be read as zip: {error}. Fetch the file again.")
        return
    if len(names) > limits.max_members:
        yield _refused(
            archive, f"has {len(names):,} members, over importing.max_members {limits.max_members:,}. Unpack it."
        )
        return
    bars = [name for name in names if name.lower().endswith((*TEXT, *PARQUET)) and not _is_fork(name)]
    if not bars:
        yield _refused(
            archive, f"is an archive without a file of bars ({', '.join(names[:3]) or 'empty'}). Name another."
        )
    for name in sorted(bars):
        # an archive's names are a stranger's words: none may lead upwards
        inner = tuple(part for part in PurePosixPath(name).parts if part not in ("/", ".."))
        yield VendorFile(path=archive.path, parts=(*archive.parts[:-1], *inner), member=name)


def _is_fork(name: str) -> bool:
    parts = [part for part in PurePosixPath(name).parts if part != ".."]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _refused(file: VendorFile, why: str) -> VendorFile:
    return VendorFile(path=file.path, parts=file.parts, refused=why)


def contents(file: VendorFile, limits: Limits) -> bytes:
    """Return the file's bytes, unpacked. Raises Refused for more than the limits allow, and for damage."""
    name = file.parts[-1].lower()
    try:
        if file.member is not None:
            with zipfile.ZipFile(file.path) as archive, archive.open(file.member) as member:
                packed = archive.getinfo(file.member).compress_size
                return _bounded(cast("BinaryIO", member), packed, limits)
        with regular(file.path) as raw:
            size = os.fstat(raw.fileno()).st_size
            return _bounded(_unpacked(raw, name), size, limits)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, zstandard.ZstdError, RuntimeError,
            NotImplementedError) as error:  # fmt: skip
        raise Refused(f"cannot be unpacked: {error}. Fetch or export the file again.") from error


def _unpacked(raw: BinaryIO, name: str) -> BinaryIO:
    """Return the stream of what a packed file holds, by the ending of its name."""
    if name.endswith(".gz"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    if name.endswith((".zst", ".zstd")):
        return cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    return raw


def regular(path: Path) -> BinaryIO:
    """Return the opened file. Raises Refused for what is no regular file, which is never waited for."""
    try:
        return io.BufferedReader(cast("io.RawIOBase", opened(path)))
    except IrregularFile as error:
        raise Refused("is no regular file. Name a file of bars.") from error


def _bounded(stream: BinaryIO, packed: int, limits: Limits) -> bytes:
    """Return all of the stream, read in parts, so that a bomb is told before it is whole."""
    # at least 64 KiB count as packed: small files honestly unpack to many times their size
    most = int(min(limits.max_bytes, max(packed, 1 << 16) * limits.max_expansion))
    held = io.BytesIO()
    while part := stream.read(_CHUNK):
        held.write(part)
        if held.tell() > most:
            over = "max_bytes" if most == limits.max_bytes else "max_expansion"
            bound = f"{limits.max_bytes:,}" if over == "max_bytes" else f"{limits.max_expansion:g} times its size"
            raise Refused(f"holds more than importing.{over} allows ({bound}). Split it, or raise the limit.")
    return held.getvalue()

"""A user's files of news, kept as they are: the bytes once, under a name that says how they are read.

Belongs here: files in, answers of the source own out, and which of several imports of a file counts. What a file says
is core/news/formats/own.py. Nothing that was kept is changed: what stands in the place of another says so in its name.
"""

import dataclasses
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.market.vendor_files import Limits, VendorFile, contents
from timegpt_assets.adapters.news import raw_store
from timegpt_assets.adapters.news.raw_store import Answer, RawStore
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.news.formats.own import Understood, session_of, understood
from timegpt_assets.core.news.formats.own_imports import Import, Reading, imported
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.core.vendors.findings import Refused

SOURCE = "own"
PLAIN = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")
ENDINGS = (*PLAIN, *(end + packed for end in PLAIN for packed in (".gz", ".zst")), ".parquet", ".pq", ".zip", ".xlsx")
"""Endings that a folder is searched for; the last two are refused aloud."""
Became = Literal["taken", "there", "beside", "instead", "looked at", "refused"]


class NoNews(Explained, RuntimeError):
    """Raised for a path that holds no file of news; names it and what is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one file, how it was understood, and in words why it was refused or what it stands beside."""

    name: str
    became: Became
    found: Understood | None = None
    taken: Import | None = None
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """Takes files in. ``replace``: in the place of earlier imports of the same name, and of the same bytes."""

    raw: RawStore
    limits: Limits
    reading: Reading
    now: datetime
    replace: bool

    def looked_at(self, file: Path, name: str) -> Told:
        """Return how a file would be understood, without keeping anything."""
        return self._told(file, name)[0]

    def imported(self, file: Path, name: str) -> Told:
        """Keep a file's bytes, unless they are there, and return what became of it."""
        told, body = self._told(file, name)
        if told.taken is None:
            return told
        digest = told.taken.content_hash
        current = counting(self.raw)
        there = [one for _, one in current if one.content_hash == digest and one.reading == self.reading]
        other = [found for found in current if found[1] not in there and _is_of(found[1], digest, name)]
        if there and not (self.replace and other):
            return dataclasses.replace(told, became="there", words=_other_name(there[0], name))
        if otherwise := [one for _, one in other if one.content_hash == digest and not self.replace]:
            words = f"was taken in as {otherwise[0].name}, and read otherwise. To read it so instead, say --replace."
            return dataclasses.replace(told, became="refused", words=words)
        taken = dataclasses.replace(told.taken, instead=self._earlier(name, digest) if self.replace and other else 0)
        self._keep(taken, body)
        if self.replace or not other:
            return dataclasses.replace(told, became="instead" if other else "taken", taken=taken)
        return dataclasses.replace(told, became="beside", taken=taken, words=_beside(other[0][0]))

    def _told(self, file: Path, name: str) -> tuple[Told, bytes]:
        try:
            body = _body(file, self.limits)
            found = understood(body, self.reading)
        except (Unreadable, Refused) as error:
            return Told(name=name, became="refused", words=str(error)), b""
        first, last = (session_of(found.events[at][0]) for at in (0, -1))
        taken = Import(
            name=name, first=first, last=last, reading=self.reading, content_hash=hashlib.sha256(body).hexdigest()
        )
        return Told(name=name, became="looked at", found=found, taken=taken), body

    def _earlier(self, name: str, digest: str) -> int:
        """Return how many imports, counting or not, the next of the name stands in the place of."""
        known = (imported(answer.asked)[1] for answer in self.raw.listed(SOURCE))
        return sum(_is_of(one, digest, name) for one in known)

    def _keep(self, taken: Import, body: bytes) -> None:
        self.raw.keep(
            SOURCE, taken.asked, body, day=taken.last, fetched_at=self.now, status=int(HTTPStatus.OK)
        )  # fmt: skip


def counting(raw: RawStore, *, by: datetime | None = None) -> list[tuple[Answer, Import]]:
    """Return the imports that count, oldest first: those in whose place no later one stands.

    ``by``: as it was then, later imports unknown. Raises NewsDamaged.
    """
    counted: list[tuple[Answer, Import]] = []
    known = [answer for answer in raw.listed(SOURCE) if by is None or answer.fetched_at <= by]
    for answer in sorted(known, key=lambda one: (one.fetched_at, one.asked)):
        one = imported(answer.asked)[1]
        if one.instead:
            counted = [found for found in counted if not _is_of(found[1], one.content_hash, one.name)]
        counted.append((answer, one))
    return counted


def _is_of(one: Import, digest: str, name: str) -> bool:
    """Return whether an import is of a file of that name, or of those bytes."""
    return one.name == name or one.content_hash == digest


def news_files(path: Path) -> list[tuple[Path, str]]:
    """Return the files below a path, beside their names: a file itself, or what in a folder could be news, by name.

    Hidden files are passed over, links to folders not followed. Raises NoNews.
    """
    if not path.is_dir():
        return [(path, path.name)]
    found = sorted(file for file in _below(path) if file.name.lower().endswith(ENDINGS))
    if not found:
        raise NoNews(f"{path} holds no news: no file that ends in {', '.join(ENDINGS[:6])} or .parquet. Name another.")
    return [(file, file.relative_to(path).as_posix()) for file in found]


def _below(path: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(path, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _body(file: Path, limits: Limits) -> bytes:
    """Return a file's bytes, unpacked. Raises Refused for more than the limits allow, Unreadable for damage."""
    if not file.is_file():
        raise Unreadable("is no regular file. Name a file of news.")
    bound = dataclasses.replace(limits, max_bytes=min(limits.max_bytes, raw_store.MAX_BYTES))
    body = contents(VendorFile(path=file, parts=(file.name,)), bound)
    if body.startswith(b"PAR1"):
        _refuse_damage(body, bound)
    return body


def _refuse_damage(body: bytes, limits: Limits) -> None:
    """Raise Unreadable for a parquet file that is not whole: pyarrow says so where polars would end the process."""
    try:
        with pq.ParquetFile(io.BytesIO(body)) as opened:
            groups = (opened.metadata.row_group(n) for n in range(opened.metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > limits.max_bytes:
                raise Unreadable(f"unpacks to more than {limits.max_bytes:,} bytes. Split it.")
            for batch in opened.iter_batches():
                batch.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"is damaged: {str(error).splitlines()[0][:200]}. Export it again.") from error


def _other_name(one: Import, name: str) -> str:
    return "" if one.name == name else f"its bytes were taken in as {one.name}"


def _beside(answer: Answer) -> str:
    """Return what a person should know of a file that changed since it was taken in."""
    return (
        f"has changed since {answer.fetched_at:%Y-%m-%d %H:%M} UTC: both count, what both tell once. "
        "If it corrects what was there, say --replace."
    )

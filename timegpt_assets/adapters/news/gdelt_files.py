"""GDELT's export files: one every quarter of an hour, named by the moment it was made, and never throttled.

Belongs here: which files a session needs, and what a download is worth. What a file tells is in
core/news/formats/gdelt_export.py.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus

from timegpt_assets.adapters.news.connector import Doubt, Question, Verdict, of_status

URL = "http://data.gdeltproject.org"
"""Its certificate names another host, so GDELT itself lists its files under http."""
EVERY = timedelta(minutes=15)
LATE = timedelta(minutes=15)
"""A file may be there some minutes after the moment it is named by."""
MAX_BYTES = 256 << 20
"""Most that a file may unpack to; the largest have some 3 MB."""


@dataclass(frozen=True, kw_only=True)
class GdeltFiles:
    """GDELT 2.0's event files, where ``base_url`` says they lie."""

    base_url: str = URL

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        return "gdelt_files"

    def questions(self, window: tuple[datetime, datetime], day: date) -> Sequence[Question]:
        """Return a question per file that was made in the window: 96 of a day, 288 of a Monday."""
        after, by = window
        first = after.replace(minute=after.minute // 15 * 15, second=0, microsecond=0) + EVERY
        count = (by - first) // EVERY + 1
        return [self._file(first + number * EVERY) for number in range(count)]

    def _file(self, made: datetime) -> Question:
        name = f"{made:%Y%m%d%H%M%S}.export.CSV.zip"
        return Question(source=self.name, asked=name, url=f"{self.base_url}/gdeltv2/{name}", whole_at=made + LATE)

    def further(self, question: Question, body: bytes) -> Sequence[Question]:
        """Return nothing: a file is whole."""
        return ()

    def secret(self) -> Mapping[str, str]:
        """Return nothing: everybody may have the files."""
        return {}

    def judged(self, question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Verdict | None:
        """Return why a download cannot be used.

        A file that is not there is never believed to have been left out: GDELT makes one every quarter of an hour,
        some of them late, and some it never made. It is looked for again whenever its day is materialised.
        """
        if status == HTTPStatus.NOT_FOUND:
            return Verdict(Doubt.EMPTY, "GDELT has no such file, or not yet")
        return of_status(status, body) or _torn(body)


def _torn(body: bytes) -> Verdict | None:
    """Return what is wrong with a zip, None when every byte of it agrees with its checksum."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            size = sum(member.file_size for member in packed.infolist())
            if size > MAX_BYTES:
                return Verdict(Doubt.BROKEN, f"the file says it unpacks to more than {MAX_BYTES >> 20} MiB")
            bad = packed.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        return Verdict(Doubt.BROKEN, f"{len(body)} bytes that are no whole zip file ({error}): {body[:40]!r}")
    if bad:
        return Verdict(Doubt.BROKEN, f"{bad} in the zip file does not match its checksum")
    return None if size else Verdict(Doubt.EMPTY, "the zip file holds nothing")

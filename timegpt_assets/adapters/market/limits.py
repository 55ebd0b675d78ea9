"""How large a file of bars may be, looked at before it is read, and how much of a stranger's text is repeated.

Belongs here: bounds on what comes from outside. What a file within them holds is month_file.py.
"""

from dataclasses import dataclass

import pyarrow.parquet as pq

MEGABYTE = 1_000_000
_TOLD = 500
"""Characters of a sentence about a file that are kept: it is stored beside every day of the month."""
_NAME = 32
"""Characters of a name inside a file that are repeated; no ticker is as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most a month file may have: megabytes as it lies, rows, and megabytes its columns say they unpack to."""

    file_mb: float = 256.0
    rows: int = 1_000_000
    unpacked_mb: float = 512.0

    def of_size(self, size: int) -> str | None:
        """Return what is wrong with a file of so many bytes, in words, if anything."""
        return self._beyond("file_mb", size / MEGABYTE, f"{self.file_mb:g} MB")

    def of_parquet(self, found: pq.FileMetaData) -> str | None:
        """Return what is wrong with the sizes that a footer tells, in words, if anything."""
        groups = [found.row_group(n) for n in range(found.num_row_groups)]
        rows = max(found.num_rows, sum(group.num_rows for group in groups))
        unpacked = sum(group.total_byte_size for group in groups) / MEGABYTE
        return self._beyond("rows", rows, f"{self.rows:,} rows") or self._beyond(
            "unpacked_mb", unpacked, f"{self.unpacked_mb:g} MB unpacked"
        )

    def _beyond(self, name: str, found: float, allowed: str) -> str | None:
        if found <= getattr(self, name):
            return None
        amount = f"{found:,.0f}" if name == "rows" else f"{found:,.1f}"
        return f" has {amount}, over the {allowed} of data.limits.{name}, and was not read."


def shown(text: str, most: int = _TOLD) -> str:
    """Return a stranger's text as one may print and store it: control characters escaped, cut where it is too long."""
    cut = text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def shown_name(name: object) -> str:
    """Return a name from inside a file, quoted, escaped and short."""
    return repr(shown(name, _NAME)) if isinstance(name, str) else repr(name)

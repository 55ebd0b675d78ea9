"""Records that are added to and never changed: JSON lines under the storage root, each with the hash of the one before.

Belongs here: the chain. What a line says is its writer's affair (promotion_record.py); each has the ``time`` it was
written. Beside a record lies its head, how many lines it has and the hash of the last: a chain cannot tell by itself
that its end was cut off. Neither is signed: whoever writes both anew, hashes and all, is not seen.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.adapters.storage.parquet_files import StoreError

Entry = Mapping[str, Any]


class RecordBroken(StoreError):
    """Raised for a record that is not as it was written; names what is wrong, where, and the remedy."""


class ClockWentBack(StoreError):
    """Raised when something is to be recorded at an earlier time than what was recorded last."""


@dataclass(frozen=True, slots=True)
class ChainedRecord:
    """One record of a storage root, by the name of its file."""

    objects: ObjectStore
    name: str

    def entries(self) -> list[Entry]:
        """Return what was recorded, oldest first. Raises RecordBroken where it was edited, moved, added to or cut."""
        return self._whole(lambda: found.data if (found := self.objects.read(self.name)) else b"")[1]

    def append(self, entry: Entry | Callable[[Sequence[Entry]], Entry], *, clock: Callable[[], datetime]) -> Entry:
        """Add an entry at the time at which nobody else is writing, and return it as it stands there.

        One that depends on what is recorded is made of it then. Raises RecordBroken, ClockWentBack and what making it
        raises; the record is then as it was.
        """
        lines: list[Entry] = []

        def change(current: Current) -> bytes:
            data, known = self._whole(lambda: file.read() if (file := current()) else b"")
            self._note(known)  # what a killed writer left unsaid, or that there is a record: it has a head from now on
            now = clock()
            if known and now < datetime.fromisoformat(known[-1]["time"]):
                raise ClockWentBack(
                    f"it is {now.isoformat()} by this machine's clock, and {self.objects.shown(self.name)} was written "
                    f"to at {known[-1]['time']}. Set the clock right, or wait until then, and do it again."
                )
            made = entry(known) if callable(entry) else entry
            body = {"time": now.isoformat(), **made, "before": known[-1]["hash"] if known else ""}
            lines[:] = [*known, body | {"hash": _digest(body)}]
            return data + _line(lines[-1])

        self.objects.update(self.name, change)
        self._note(lines)
        return lines[-1]

    @property
    def _head_name(self) -> str:
        return f"{self.name}.head"

    def _head(self) -> tuple[int, str] | None:
        """Return how many lines there are at least, and the hash of the last of them; None without a record."""
        found = self.objects.read(self._head_name)
        return self._read_head(found.data) if found else None

    def _read_head(self, data: bytes) -> tuple[int, str]:
        try:
            lines, last = json.loads(data)
            return int(lines), str(last)
        except (ValueError, TypeError) as error:
            raise self._broken(f"{self.objects.shown(self._head_name)} cannot be read") from error

    def _note(self, entries: Sequence[Entry]) -> None:
        """Write the head; one that a later writer has written already stays."""
        head = (len(entries), entries[-1]["hash"] if entries else "")

        def change(current: Current) -> bytes:
            file = current()
            known = self._read_head(file.read()) if file else (0, "")
            return json.dumps(max(known, head, key=lambda head: head[0])).encode()

        self.objects.update(self._head_name, change)

    def _whole(self, read: Callable[[], bytes]) -> tuple[bytes, list[Entry]]:
        """Return a record's bytes and its entries. Raises RecordBroken."""
        # The head first: what is written meanwhile is more than it says, and never less.
        head, data = self._head(), read()
        if data and head is None and self._head() is None:  # else the record was begun between the two
            raise self._broken(f"its head {self.objects.shown(self._head_name)} is gone")
        entries, (lines, last) = self._chained(data), head or (0, "")
        if len(entries) < lines:
            raise self._broken(f"it has {len(entries)} lines, and {lines} were written")
        if lines and entries[lines - 1]["hash"] != last:
            raise self._broken(f"line {lines} is not what was written there")
        return data, entries

    def _chained(self, data: bytes) -> list[Entry]:
        entries: list[Entry] = []
        for number, line in enumerate(data.splitlines(keepends=True), 1):
            entry = _entry(line)
            if entry is None or entry["before"] != (entries[-1]["hash"] if entries else ""):
                raise self._broken(f"line {number} is not what was written there")
            entries.append(entry)
        return entries

    def _broken(self, what: str) -> RecordBroken:
        return RecordBroken(
            f"{self.objects.shown(self.name)} was changed by hand or is damaged: {what}. Restore it and its .head from "
            "a backup; without one, move both away: what they held then counts no more, and is to be recorded anew."
        )


def _entry(line: bytes) -> Entry | None:
    """Return what a line says, None where it is not one as it would be written."""
    try:
        entry = json.loads(line)
        body = {name: value for name, value in entry.items() if name != "hash"}
        whole = entry["hash"] == _digest(body) and _line(entry) == line and datetime.fromisoformat(entry["time"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return entry if whole and "before" in entry else None


def _digest(body: Entry) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _line(entry: Entry) -> bytes:
    return json.dumps(entry).encode() + b"\n"

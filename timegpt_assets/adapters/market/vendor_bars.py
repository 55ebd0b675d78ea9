"""Vendors' files of minute bars into the template's layout: looked at, read, understood, judged whole, then written.

Belongs here: the order of that work, and what is written. Which files there are is vendor_files.py, what they hold
core/vendors/; what is written is judged by core/bars/session_grid.py like any delivery. Importing a file again adds
nothing, and a file that is refused has written nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.market import vendor_tables
from timegpt_assets.adapters.market.market_data import TEMPLATE, MarketDataError, template_path
from timegpt_assets.adapters.market.month_file import DAMAGE
from timegpt_assets.adapters.market.vendor_files import Limits, VendorFile
from timegpt_assets.adapters.storage.object_store import REMEDIES, LocalStore, ObjectStore, ObjectStoreError, is_refusal
from timegpt_assets.core.bars.vendor_columns import NUMBERS
from timegpt_assets.core.vendors import understand
from timegpt_assets.core.vendors.collisions import Collisions, collided
from timegpt_assets.core.vendors.findings import Finding, Refused, Said
from timegpt_assets.core.vendors.understand import BARS, Understood

PROVENANCE = b"timegpt_assets.imports"
"""Footer key of a month: which files its bars came from, and how each was read."""
KEPT_IMPORTS = 400
"""Files remembered per month; of more the oldest are forgotten, their bars not."""


@dataclass(kw_only=True)
class Imported:
    """What became of one file: how it was read, its rows by what became of them, and the months they lie in.

    ``left_out``: reason -> rows. ``wrong``: why nothing of it was written. ``looked_at``: its first bars, when it was
    only looked at.
    """

    file: VendorFile
    format: str = ""
    read: int = 0
    new: int = 0
    known: int = 0
    replaced: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    wrong: str = ""
    findings: tuple[Finding, ...] = ()
    months: set[tuple[str, date]] = field(default_factory=set)
    looked_at: pl.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class _Month:
    """What a month will hold: its name, the rows, and what became of the file's."""

    name: str
    collisions: Collisions


@dataclass(frozen=True, kw_only=True)
class Importer:
    """Writes bars to ``objects`` by ``template``; ``said``: the user's word, ``replace``: a file may correct others."""

    objects: ObjectStore
    template: str = TEMPLATE
    said: Said = field(default_factory=Said)
    limits: Limits = field(default_factory=Limits)
    replace: bool = False

    def imported(self, file: VendorFile) -> Imported:
        """Add the file's bars to their months and return what became of it; ``wrong`` says why nothing was written.

        Raises ObjectStoreError when the store itself fails.
        """
        told = Imported(file=file)
        found = self._understood(file, told)
        if found is None:
            return told
        try:
            parts = understand.months(found.bars)
            months = [self._collided(file, *part) for part in parts]
        except (Refused, MarketDataError) as error:
            told.wrong = str(error)
            return told
        entry = self._entry(file, found)
        for month in months:
            self._write(month, entry, told)
        told.months = {(symbol, first) for symbol, first, _ in parts}
        return told

    def looked_at(self, file: VendorFile, rows: int = 5) -> Imported:
        """Return what would become of the file, with its first bars as they would be stored; nothing is written."""
        told = Imported(file=file)
        found = self._understood(file, told)
        if found is not None:
            told.looked_at = found.bars.head(rows)
        return told

    def _understood(self, file: VendorFile, told: Imported) -> Understood | None:
        """Return what the file holds; None, and the reason in ``told``, when it cannot be understood."""
        if file.refused:
            told.wrong = file.refused
            return None
        try:
            table = vendor_tables.table(file, self.limits)
            found = understand.understand(table, self.said, max_unreadable_share=self.limits.max_unreadable_share)
        except Refused as error:
            told.wrong = str(error)
            return None
        except DAMAGE as error:
            told.wrong = _damaged(error)
            return None
        told.format, told.read, told.findings = found.format, found.read, found.findings
        told.left_out = dict(found.left_out)
        if table.notes:
            noted = Finding(
                "other lines", f"{len(table.notes)} left out", f"for example {_printable(table.notes[-1])!r}"
            )
            told.findings = (*told.findings, noted)
        return found

    def _collided(self, file: VendorFile, symbol: str, month: date, rows: pl.DataFrame) -> _Month:
        """Return what becomes of a month. Raises Refused where the file contradicts what is stored there."""
        name = template_path(self.template, symbol, month)
        self._require_inside(name)
        stored, imports = self._stored(name)
        found = collided(stored, rows, replace=self.replace)
        if found.contradictions.height:
            raise Refused(_contradicts(found.contradictions, symbol, self.objects.shown(name), imports))
        return _Month(name=name, collisions=found)

    def _require_inside(self, name: str) -> None:
        """Raise Refused for a name that leads out of the store: by the template, or by a link in its way."""
        # a ticker comes from a stranger's file, and with the template it makes a path
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise Refused(f"{name} leads out of the folder. Mend data.template.")
        if isinstance(self.objects, LocalStore):
            target = self.objects.path(name).resolve()
            if not target.is_relative_to(self.objects.root.resolve()):
                raise Refused(
                    f"{self.objects.shown(name)} leads out of {self.objects.root} (to {target}). Remove the link."
                )

    def _stored(self, name: str) -> tuple[pl.DataFrame, dict[str, object]]:
        """Return a month's bars and provenance. Raises Refused for a damaged one, ObjectStoreError for the store."""
        try:
            return _opened(self.objects.opened(name))
        except DAMAGE as error:
            words, shown = str(error).partition("\n")[0], self.objects.shown(name)
            if is_refusal(error):
                raise ObjectStoreError(f"{shown} cannot be read: {words}. {REMEDIES['read']}") from error
            raise Refused(f"{shown} cannot be read as parquet: {words} Remove it, and import again.") from error

    def _entry(self, file: VendorFile, found: Understood) -> dict[str, object]:
        """Return what is remembered of a file: its name, the digest of its bars, and how it was read."""
        digest = hashlib.sha256(found.bars.hash_rows(seed=1).to_numpy().tobytes()).hexdigest()[:16]
        sentences = [str(one) for one in found.findings]
        return {"file": file.shown, "digest": digest, "format": found.format, "findings": sentences}

    def _write(self, month: _Month, entry: Mapping[str, object], told: Imported) -> None:
        """Put the rows in, under the store's own lock; a month that holds them all is not touched."""
        found = month.collisions
        told.new, told.known = told.new + found.new, told.known + found.known
        told.replaced += found.replaced
        if found.unfinished:
            key = "unfinished, the stored bar is later"
            told.left_out[key] = told.left_out.get(key, 0) + found.unfinished
        # untouched, so that a second import of a file is no revision to anybody who watches the month
        if not (found.new or found.replaced):
            return
        rows = found.rows
        first, last = rows.select(first=pl.col("ts").min(), last=pl.col("ts").max()).row(0)
        entry = {**entry, "rows": rows.height, "first": f"{first:%Y-%m-%dT%H:%MZ}", "last": f"{last:%Y-%m-%dT%H:%MZ}"}

        def change(current: object) -> pa.Buffer:
            stored, imports = _opened(current())  # type: ignore[operator]  # bound above, which a closure hides
            # compared again under the lock: another import may have written the month since it was looked at
            again = collided(stored, rows, replace=self.replace)
            return _bytes(again.joined, _remembered(imports, entry))

        self.objects.update(month.name, change)


def _damaged(error: Exception) -> str:
    """Return what is wrong with a file in one line that ends with the remedy."""
    words = _printable(str(error).partition("\n")[0]).removesuffix(".")
    return f"cannot be read: {words}. Fetch or export the file again."


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _contradicts(rows: pl.DataFrame, symbol: str, shown: str, imports: Mapping[str, object]) -> str:
    """Return which minutes contradict which, naming the file that the stored rows came from, and the remedy."""
    first = rows.row(0, named=True)
    name = next((name for name in NUMBERS if first[name] != first[f"{name}_stored"]), "close")
    at = f"{first['ts']:%Y-%m-%dT%H:%MZ}"
    files = imports.get("files")
    held = [one for one in files if one["first"] <= at <= one["last"]] if isinstance(files, list) else []
    other = held[-1]["file"] if held else shown
    return (
        f"contradicts {other} in {rows.height:,} minutes of {symbol}: at {at} its {name} is {first[name]:,} and "
        f"{first[f'{name}_stored']:,} is stored in {shown}. If this file is the right one, say --replace."
    )


def _opened(file: BinaryIO | None) -> tuple[pl.DataFrame, dict[str, object]]:
    """Return what a month holds, null and NaN alike null, and its provenance; nothing where there is no file."""
    if file is None:
        return pl.DataFrame(schema=BARS), {}
    with file, pq.ParquetFile(file) as parquet:
        rows = pl.DataFrame(pl.from_arrow(parquet.read(BARS.names()))).cast(dict(BARS.items()))
        told = (parquet.schema_arrow.metadata or {}).get(PROVENANCE)
    imports = orjson.loads(told) if told else {}
    return rows.fill_nan(None), imports if isinstance(imports, dict) else {}


def _remembered(imports: Mapping[str, object], entry: Mapping[str, object]) -> dict[str, object]:
    """Return the provenance with one file more; sentences that several files share are kept once."""
    before = imports.get("files")
    files = [one for one in before if one.get("digest") != entry["digest"]] if isinstance(before, list) else []
    kept = [*files, dict(entry)][-KEPT_IMPORTS:]
    forgotten = imports.get("forgotten")
    count = (forgotten if isinstance(forgotten, int) else 0) + len(files) + 1 - len(kept)
    return {"files": kept, "forgotten": count}


def provenance(path: Path) -> dict[str, object]:
    """Return which files a stored month's bars came from and how each was read; empty for a month of other making."""
    return _opened(path.open("rb"))[1]


def _bytes(rows: pl.DataFrame, imports: Mapping[str, object]) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    told = rows.to_arrow()
    told = told.replace_schema_metadata({**(told.schema.metadata or {}), PROVENANCE: orjson.dumps(imports)})
    pq.write_table(told, sink, compression="zstd", row_group_size=100_000)
    return sink.getvalue()

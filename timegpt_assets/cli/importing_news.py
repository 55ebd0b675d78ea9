"""The verb import-news: one's own news, whatever its columns are called, into what the source own answers with.

Belongs here: what a person types, in which order the work goes, and what is printed. Taking in is
adapters/news/imports.py.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import orjson
import typer

from timegpt_assets.adapters.market.vendor_files import Limits
from timegpt_assets.adapters.news.imports import SOURCE, Importer, Told, news_files
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.cli.exit_codes import FAILED
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal, under
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.calendar import last_closed_session
from timegpt_assets.core.news.formats.own_columns import ALIASES
from timegpt_assets.core.news.formats.own_imports import Reading
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.runtime import Runtime

LISTED = 40


def reading(zone: str | None, date_order: Literal["mdy", "dmy"] | None, columns: str | None) -> Reading:
    """Return how files are read. Raises Unreadable for columns that are no pairs."""
    return Reading(
        zone=zone, date_order=date_order, columns=dict(_pair(part) for part in (columns or "").split(",") if part)
    )


def import_news(runtime: Runtime, path: Path, reading: Reading, *, look: bool, replace: bool, as_json: bool) -> None:
    """Take the files in, or look at them; print what was understood, and end with the exit code that says so."""
    limits = Limits(**runtime.settings.importing.model_dump())
    raw = RawStore(runtime.storage)
    importer = Importer(raw=raw, limits=limits, reading=reading, now=runtime.clock(), replace=replace)
    files = news_files(path)
    told = [importer.looked_at(*file) if look else importer.imported(*file) for file in files]
    after = "" if look else next_step(told, runtime.settings, last_closed_session(runtime.clock()))
    if as_json:
        plain = {"files": [_plain(one) for one in told], "next": under(Terminal.profile, after) or None}
        sys.stdout.write(orjson.dumps(plain, default=str).decode() + "\n")
    else:
        show(told, after, Terminal())
    if any(one.became == "refused" for one in told):
        raise typer.Exit(FAILED)


def next_step(told: Sequence[Told], settings: Settings, closed: date) -> str:
    """Return the command that makes the news of what was taken in, or what is in its way; "" where nothing was taken.

    Of the sessions up to ``closed``, the newest that has, as far as they lie on the grid.
    """
    spans = [one.taken for one in told if one.taken and one.became != "refused"]
    if not spans:
        return ""
    sources, begins, ends = settings.news.sources, settings.data.start_date, settings.data.end_date or closed
    listed = "" if SOURCE in sources else f" --set news.sources=[{','.join((*sources, SOURCE))}]"
    first, last = min(one.first for one in spans), max(one.last for one in spans)
    if last < begins or first > min(ends, closed):
        return (
            f"no closed session of {first} to {last} lies on the grid, which runs from {begins} to {ends}. "
            "Move data.start_date or data.end_date, or wait for the close."
        )
    return f"timegpt-assets fetch-news --start {max(first, begins)} --end {min(last, ends, closed)}{listed}"


def show(told: Sequence[Told], after: str, out: Terminal) -> None:
    """Print a row per file, refused ones first, what was concluded and left out, and the next command."""
    worst_first = sorted(told, key=lambda one: (one.became != "refused", one.name))
    table = Table(("file", "rows", "events", "from", "to", "taken for", "left out", "what became of it"), title="news")
    for one in worst_first[:LISTED]:
        table.add(*_cells(one), style="red" if one.became == "refused" else "")
    out.print(table)
    if len(told) > LISTED:
        out.print(f"and {len(told) - LISTED:,} files more; --json lists them all")
    for one in worst_first[:LISTED]:
        for line in _said(one):
            out.print(f"{one.name}: {line}", soft_wrap=True)
    for line in _closing(told, after):
        out.print(line, soft_wrap=True)


def _pair(part: str) -> tuple[str, str]:
    role, sign, name = part.partition("=")
    if not sign or role.strip() not in ALIASES:
        raise Unreadable(f"--columns {part!r} is no pair. Write {'=NAME,'.join(ALIASES)}=NAME, those you need.")
    return role.strip(), name.strip()


def _cells(one: Told) -> tuple[object, ...]:
    if one.found is None or one.taken is None:
        return one.name, "", "", "", "", "", "", one.became
    taken = ", ".join(f"{role}: {name}" for role, name in one.found.columns.items())
    left_out = sum(map(len, one.found.left_out.values()))
    span = _day(one.taken.first), _day(one.taken.last)
    return one.name, f"{one.found.rows:,}", f"{len(one.found.events):,}", *span, taken, f"{left_out:,}", one.became


def _day(day: date) -> str:
    return f"{day:%Y-%m-%d}"


def _said(one: Told) -> list[str]:
    """Return the sentences about a file."""
    notes = list(one.found.notes) if one.found else []
    left_out = one.found.left_out if one.found else {}
    return [*([one.words] if one.words else []), *notes, *(_lines(reason, lines) for reason, lines in left_out.items())]


def _lines(reason: str, lines: Sequence[int]) -> str:
    first = ", ".join(f"{line:,}" for line in lines[:5])
    return f"{len(lines):,} rows left out: {reason} (line {first}{', ...' if len(lines) > 5 else ''})"


def _closing(told: Sequence[Told], after: str) -> list[str]:
    refused = sum(one.became == "refused" for one in told)
    if not after:
        return [f"{len(told):,} file{'s' * (len(told) != 1)}, {refused:,} refused; nothing was written."]
    new = sum(one.became in ("taken", "beside", "instead") for one in told)
    files = f"{len(told):,} file{'s' * (len(told) != 1)}"
    return [f"{files}: {new:,} taken in, {refused:,} refused, the others were there.", f"next: {after}"]


def _plain(one: Told) -> Mapping[str, Any]:
    found = {} if one.found is None else {
        "rows": one.found.rows,
        "events": len(one.found.events),
        "columns": one.found.columns,
        "left_out": one.found.left_out,
        "notes": one.found.notes,
    }  # fmt: skip
    span = {} if one.taken is None else {"first": one.taken.first, "last": one.taken.last}
    return {"file": one.name, "became": one.became, "words": one.words, **span, **found}

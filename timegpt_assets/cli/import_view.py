"""What import-bars prints: what became of each file, what was inferred and why, the verdicts; for people or as JSON.

Belongs here: tables and sentences. File names are shown with their escape characters escaped, and never as markup.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from timegpt_assets.adapters.market.vendor_bars import Imported
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.vendors.findings import Finding

LISTED = 40
COUNTS = ("read", "new", "known", "replaced")


def plain(told: Sequence[Imported], judged: pl.DataFrame, root: Path) -> dict[str, Any]:
    """Return everything as plain values: root, files with their findings, and verdicts."""
    return {"root": str(root), "files": [_file(one) for one in told], "verdicts": judged.to_dicts()}


def _file(one: Imported) -> dict[str, Any]:
    looked_at = {} if one.looked_at is None else {"first_rows": one.looked_at.to_dicts()}
    return {
        "file": one.file.shown,
        "format": one.format,
        **{name: getattr(one, name) for name in COUNTS},
        "left_out": one.left_out,
        "wrong": one.wrong,
        "months": len(one.months),
        "findings": [{"question": f.question, "answer": f.answer, "evidence": f.evidence} for f in one.findings],
        **looked_at,
    }


def show(told: Sequence[Imported], judged: pl.DataFrame, root: Path | None, out: Terminal) -> None:
    """Print what became of the files, worst first, what was inferred, the verdicts per symbol, and the totals.

    Without a root nothing is said of how the bars are read: settings say it.
    """
    _show_files(sorted(told, key=lambda one: (not one.wrong, one.file.shown)), out)
    _show_findings([one for one in told if not one.wrong], out)
    for one in told:
        if one.looked_at is not None:
            out.print(f"{one.file.parts[-1]}: first bars as they would be stored")
            out.print(_bars(one.looked_at))
    if judged.height:
        names = ("symbol", "first", "last", "ok", "warned", "quarantined", "no data", "first reason")
        table = Table(names, title="verdicts")
        for row in judged.iter_rows():
            table.add(*row)
        out.print(table)
    for line in _closing(told, root):
        out.print(line, soft_wrap=True)


def _show_files(told: Sequence[Imported], out: Terminal) -> None:
    table = Table(("file", "format", "rows", "new", "there", "replaced", "left out"), title="files")
    for one in told[:LISTED]:
        counts = (f"{getattr(one, name):,}" for name in COUNTS)
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in one.left_out.items())
        style = "red" if one.wrong else ""
        table.add(Path(one.file.shown).name, one.format, *counts, left_out, style=style)
    out.print(table)
    if len(told) > LISTED:
        out.print(f"and {len(told) - LISTED:,} files more")
    for one in [one for one in told if one.wrong][:LISTED]:
        out.print(f"refused: {one.file.shown} {one.wrong}", soft_wrap=True, style="red")


def _show_findings(told: Sequence[Imported], out: Terminal) -> None:
    """Print each question's answers, once for all the files that got the same, with the first one's evidence."""
    groups: dict[tuple[str, str], list[tuple[Imported, Finding]]] = {}
    for one in told:
        for found in one.findings:
            groups.setdefault((found.question, found.answer), []).append((one, found))
    for members in list(groups.values())[:LISTED]:
        many = f" [{len(members):,} of {len(told):,} files]" if len(told) > 1 else ""
        out.print(f"inferred: {members[0][1]}{many}", soft_wrap=True)
    if len(groups) > LISTED:
        out.print(f"and {len(groups) - LISTED:,} inferences more; --json lists them all, by file")


def _bars(rows: pl.DataFrame) -> Table:
    table = Table(rows.columns)
    for row in rows.iter_rows(named=True):
        shown: Mapping[str, Any] = {**row, "ts": f"{row['ts']:%Y-%m-%d %H:%M} UTC"}
        table.add(*shown.values())
    return table


def _closing(told: Sequence[Imported], root: Path | None) -> list[str]:
    sums = {name: sum(getattr(one, name) for one in told) for name in COUNTS}
    left_out = sum(sum(one.left_out.values()) for one in told)
    wrong = sum(bool(one.wrong) for one in told)
    if any(one.looked_at is not None for one in told):
        return [f"{len(told):,} files looked at, {wrong:,} of them would be refused; nothing was written."]
    return [
        f"{len(told):,} files, {sums['read']:,} rows: {sums['new']:,} new, {sums['known']:,} already there, "
        f"{sums['replaced']:,} in the place of others, {left_out:,} left out; {wrong:,} files were refused.",
        *([] if root is None else [f"bars in {root}: read them with data.source=local and data.root"]),
    ]

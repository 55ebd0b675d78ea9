"""Names that companies are told of by, from files: those that are shipped, and the user's own beside them.

Belongs here: finding, reading and checking these files, line by line. What a name means is core/news/directory.py.
"""

import csv
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.market.limits import shown_name
from timegpt_assets.config import files
from timegpt_assets.config.shipped import CONFIGS
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.news.directory import ALIASES, CARES, KINDS, OF_NOBODY, OPTIONAL, Directory, directory
from timegpt_assets.core.news.words import plain, words

SHIPPED = CONFIGS / "news_aliases.csv"
_KEY = "news.aliases_path"
_REQUIRED = tuple(name for name in ALIASES if name not in OPTIONAL)


class AliasFileError(Explained, ValueError):
    """Raised when a file of names cannot be read as it should be; names the file, the line and the remedy."""


def names(own: Path | None, symbols: Collection[str]) -> Directory:
    """Return the directory of the shipped names, the user's ``own`` and the universe. Raises AliasFileError."""
    mine = aliases(own) if own else pl.DataFrame(schema=ALIASES)
    return directory(aliases(SHIPPED), mine, symbols)


def aliases(path: Path) -> pl.DataFrame:
    """Return the rows of a CSV of names as ALIASES. Raises AliasFileError."""
    if not path.is_file():
        raise AliasFileError(f"{path} is no file. Set {_KEY} to the file, or to null to do without it.")
    # a comment may hold a quote that never ends: to the reader it is an empty line
    lines = ["" if line.startswith("#") else line for line in _text(path).splitlines()]
    ahead = next((nth for nth, line in enumerate(lines) if line.strip()), 0)
    reader = csv.DictReader(lines[ahead:], strict=True)
    rows: list[dict[str, object]] = []
    _check_columns(path, reader.fieldnames or ())
    while True:
        begins = ahead + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise AliasFileError(
                f"{path}, line {begins} cannot be read: {error}. Mend its quotes and commas."
            ) from error
        if row is None:
            return pl.DataFrame(rows, schema=ALIASES)
        rows.append(_row(f"{path}, line {ahead + reader.line_num}", row))


def _text(path: Path) -> str:
    try:
        return files.text(path).removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        raise AliasFileError(f"{path} cannot be read: {error}. Save it as UTF-8, or set {_KEY} to another.") from error


def _check_columns(path: Path, found: Collection[str]) -> None:
    missing = [name for name in _REQUIRED if name not in found]
    unknown = [shown_name(name) for name in found if name not in ALIASES]
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}, which nobody reads"
        raise AliasFileError(
            f"{path} {wrong}. Write the first line as {','.join(_REQUIRED)}, with kind and care behind them or not."
        )


def _row(where: str, row: Mapping[str, str | None]) -> dict[str, object]:
    """Return one row as ALIASES. Raises AliasFileError where it does not say whose name it is, and when."""
    if None in row or None in row.values():
        raise AliasFileError(
            f"{where} has not as many cells as there are columns. Put quotes about a name with a comma."
        )
    said = {name: (row.get(name) or "").strip() for name in ALIASES}
    kind, care = said["kind"] or "alias", said["care"]
    if kind not in KINDS:
        raise AliasFileError(f"{where}: {shown_name(kind)} is no kind. Choose {', '.join(KINDS)}, or leave it empty.")
    if care not in CARES:
        raise AliasFileError(
            f"{where}: {shown_name(care)} is no care. Choose {', '.join(CARES[1:])}, or leave it empty."
        )
    if not words(plain(said["name"])):
        raise AliasFileError(f"{where} has no name: {shown_name(said['name'])}. Write letters or digits, or delete it.")
    if (kind in OF_NOBODY) is bool(said["ticker"]):
        wrong = f"is of kind {kind} and has a ticker. Leave it" if said["ticker"] else "has no ticker. Leave not it"
        raise AliasFileError(f"{where} {wrong} empty.")
    first, last = (_date(where, name, said[name]) for name in ("from", "to"))
    if first and last and first > last:
        raise AliasFileError(f"{where} ends on {last}, before it begins on {first}. Change from and to.")
    return {**said, "from": first, "to": last, "kind": kind}


def _date(where: str, column: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise AliasFileError(
            f"{where}: {column} is {shown_name(text)}, no date. Write it as YYYY-MM-DD, or leave it empty."
        ) from error

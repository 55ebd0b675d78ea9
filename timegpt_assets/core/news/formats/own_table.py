"""A user's file of news as rows of cells: text with separators, JSON lines, a JSON array, or parquet.

Belongs here: bytes into named columns. Which column is what is own_columns.py, what a time says own_times.py.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson
import polars as pl

from timegpt_assets.core.news.formats.text import decoded, json_value
from timegpt_assets.core.news.formats.unreadable import Unreadable

SEPARATORS = ",;\t|"
AGAIN = "Export it again as CSV, JSON lines or parquet."
UTF_8 = "Save the table of news itself, as text in UTF-8."
_LONGEST = 20
"""Most lines of one row: a quote that is never closed swallows a file without a word."""
_HEADER = 1 << 16
"""Most characters of a header that its separator is looked for in."""
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"%PDF", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A file's rows under its columns' names: each with its line or number, and how many are no rows, by reason."""

    columns: tuple[str, ...]
    cells: list[tuple[int, Sequence[Any]]]
    broken: dict[str, list[int]] = field(default_factory=dict)


def rows(body: bytes, wanted: Callable[[Sequence[str]], int]) -> Rows:
    """Return the rows. ``wanted``: how many of the columns that are looked for have one of these names.

    Raises Unreadable for what is none of the four.
    """
    if body.startswith(b"PAR1"):
        return _parquet(body)
    if body.startswith(_PACKED):
        raise Unreadable(f"is no text but begins {body[:4]!r}, as archives and spreadsheets do. {AGAIN}")
    text = decoded(body, UTF_8)
    if "\0" in text[:4096]:
        raise Unreadable(f"is no text in utf-8: it holds bytes of zero. {UTF_8}")
    if text.lstrip()[:1] in ("[", "{"):
        return _json(text)
    return _separated(text, wanted)


def _parquet(body: bytes) -> Rows:
    try:
        frame = pl.read_parquet(io.BytesIO(body))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Unreadable(f"is no whole parquet file: {str(error).splitlines()[0]}. {AGAIN}") from error
    except pl.exceptions.PanicException as error:  # how polars takes damage; its reading is over by then
        raise Unreadable(f"is damaged: {str(error).splitlines()[0]}. {AGAIN}") from None
    return Rows(columns=tuple(frame.columns), cells=list(enumerate(frame.rows(), 1)))


def _json(text: str) -> Rows:
    """Return the objects of an array, of the one list inside an object, or of lines."""
    try:
        said = orjson.loads(text)
    except ValueError:
        lines = _lines(text)
        said = lines if lines.cells else json_value(text.encode())
    if isinstance(said, Rows):
        return said
    if isinstance(said, dict):
        lists = [value for value in said.values() if isinstance(value, list)]
        said = lists[0] if len(lists) == 1 else [said]
    return _objects(enumerate(said, 1) if isinstance(said, list) else [])


def _lines(text: str) -> Rows:
    return _objects((number, _line(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _line(line: str) -> Any:
    try:
        return json_value(line.encode())
    except Unreadable:
        return None


def _objects(found: Iterable[tuple[int, Any]]) -> Rows:
    columns: dict[str, None] = {}
    objects: list[tuple[int, dict[str, Any]]] = []
    broken: list[int] = []
    for number, one in found:
        if isinstance(one, dict):
            columns.update(dict.fromkeys(map(str, one)))
            objects.append((number, one))
        else:
            broken.append(number)
    cells: list[tuple[int, Sequence[Any]]] = [(number, [one.get(name) for name in columns]) for number, one in objects]
    return Rows(columns=tuple(columns), cells=cells, broken={"no JSON object": broken} if broken else {})


def _separated(text: str, wanted: Callable[[Sequence[str]], int]) -> Rows:
    text, separator = _separator(text, wanted)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    columns: tuple[str, ...] = ()
    cells: list[tuple[int, Sequence[Any]]] = []
    broken: dict[str, list[int]] = {}
    for line, row in _numbered(reader):
        if not any(cell.strip() for cell in row):
            continue
        if not columns:
            columns = tuple(cell.strip() for cell in row)
        elif len(row) < len(columns) or any(cell.strip() for cell in row[len(columns) :]):
            broken.setdefault(f"not {len(columns)} fields, as the header has", []).append(line)
        else:
            cells.append((line, row[: len(columns)]))
    return Rows(columns=columns, cells=cells, broken=broken)


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of a csv.reader beside the line on which it begins. Raises Unreadable for quotes left open."""
    line = 1
    try:
        for row in reader:
            if reader.line_num - line >= _LONGEST:
                raise csv.Error(f"a quote that is opened is not closed within {_LONGEST} lines")
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        why = f"has quotes that do not pair in line {line:,}: {error}"
        raise Unreadable(f"{why}. Double the quotes inside one.") from None


def _separator(text: str, wanted: Callable[[Sequence[str]], int]) -> tuple[str, str]:
    """Return the text and what separates its fields: what says sep=, or gives most columns that are looked for."""
    first, _, rest = text.partition("\n")
    if first.strip().strip('"').lower().startswith("sep=") and len(first.strip().strip('"')) == 5:
        return rest, first.strip().strip('"')[4]
    header = next((line for line in text.splitlines() if line.strip()), "")[:_HEADER]
    names = {sign: next(csv.reader([header], delimiter=sign, skipinitialspace=True), []) for sign in SEPARATORS}
    return text, max(SEPARATORS, key=lambda sign: (wanted(names[sign]), len(names[sign])))


def cell_text(cell: Any) -> str:
    """Return a cell as one text; "" for none."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    if isinstance(cell, date):
        return str(cell)
    return cell.strip() if isinstance(cell, str) else json.dumps(cell, default=str, ensure_ascii=False)

"""A vendor's file as a table of cells: its encoding, separator, header and footers, or its parquet columns.

Belongs here: text and parquet. Nothing is guessed from the first rows of a column: text stays text, and what it means
is core/vendors/.
"""

import csv
import io
import re

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.market.vendor_files import Limits, VendorFile, contents, regular
from timegpt_assets.core.bars.vendor_columns import ALIASES
from timegpt_assets.core.vendors import headers
from timegpt_assets.core.vendors.clock_forms import form_of
from timegpt_assets.core.vendors.findings import Refused, Table

SEPARATORS = ",;\t|"
_HEAD = 1 << 16
_LINES_BEFORE = 20


def table(file: VendorFile, limits: Limits) -> Table:
    """Return the file as a table. Raises Refused for what cannot be read, or is beyond the limits."""
    if file.is_parquet:
        return _parquet(file, limits)
    return _text(file.parts, contents(file, limits), limits)


def _parquet(file: VendorFile, limits: Limits) -> Table:
    """Return a parquet file, whose footer is looked at before a row is read; pyarrow does not die of damage."""
    source = io.BytesIO(contents(file, limits)) if file.member else regular(file.path)
    with source, pq.ParquetFile(source) as opened:
        meta = opened.metadata
        if meta.num_rows > limits.max_rows:
            raise Refused(_over(f"{meta.num_rows:,} rows", "max_rows", limits.max_rows))
        held = sum(meta.row_group(n).total_byte_size for n in range(meta.num_row_groups))
        if max(held, 0) > limits.max_bytes:
            raise Refused(
                f"holds {held:,} bytes, over importing.max_bytes {limits.max_bytes:,}. Split it, or raise it."
            )
        names = tuple(opened.schema_arrow.names)
        read = _read_groups(opened, limits)
    cells = pl.DataFrame(pl.from_arrow(read.rename_columns([f"c{n}" for n in range(len(names))])))
    for name, dtype in cells.schema.items():
        if isinstance(dtype, (pl.Categorical, pl.Enum)):
            cells = cells.with_columns(pl.col(name).cast(pl.String))
    header = tuple("" if name.startswith("__index_level_") else name for name in names)
    return Table(path=file.parts, header=header, cells=cells)


def _over(held: str, limit: str, bound: int) -> str:
    return f"holds {held}, over importing.{limit} {bound:,}. Split it, or raise the limit."


def _read_groups(opened: pq.ParquetFile, limits: Limits) -> pa.Table:
    """Return all rows, batch by batch, so that strings repeated by a dictionary are told before they are all there."""
    schema = opened.schema_arrow
    batches: list[pa.RecordBatch] = []
    held = 0
    for batch in opened.iter_batches(batch_size=65_536):
        held += batch.nbytes
        if held > limits.max_bytes:
            raise Refused(_over("more bytes unpacked", "max_bytes", limits.max_bytes))
        batch.validate(full=True)
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=batches[0].schema if batches else schema)


def _text(path: tuple[str, ...], data: bytes, limits: Limits) -> Table:
    """Return a file of text. The header is the first line that names columns; other lines and a footer are noted."""
    text = _decoded(data)
    lines = _lines(text)
    if not lines:
        raise Refused("is empty. Fetch or export the file again.")
    notes: list[str] = []
    if said := re.fullmatch(r'"?sep=(.)"?', lines[0].strip(), re.IGNORECASE):
        notes.append(lines[0].strip())
        lines, text, separator = lines[1:], _without_lines(text, 1), said[1]
    else:
        separator = _separator(lines)
    at = _header_at(lines, separator)
    if at:
        notes += [line.strip()[:80] for line in lines[:at] if line.strip()]
        text = _without_lines(text, at)
        lines = lines[at:]
    has_header = _is_header(_cells(lines[0], separator))
    if text.count("\n") > limits.max_rows:
        raise Refused(
            f"has {text.count(chr(10)):,} lines, over importing.max_rows {limits.max_rows:,}. Split it, or raise it."
        )
    header = _cells(lines[0], separator) if has_header else None
    cells, more = _parsed(text, separator, header)
    if header is not None:
        header, cells = _without_levels(header, cells)
    return Table(
        path=path, header=tuple(header) if header is not None else None, cells=cells, separator=separator,
        notes=(*notes, *more),
    )  # fmt: skip


def _decoded(data: bytes) -> str:
    """Return the text: UTF-8 or UTF-16, by its mark or by its zeros."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return _strict(data, encoding)
    head = data[:200]
    if len(head) > 3 and head[1::2].count(0) * 2 > len(head[1::2]):
        return _strict(data, "utf-16-le")
    if len(head) > 3 and head[0::2].count(0) * 2 > len(head[0::2]):
        return _strict(data, "utf-16-be")
    if data[:4] in (b"PK\x03\x04", b"PAR1", b"\x28\xb5\x2f\xfd") or data[:2] == b"\x1f\x8b" or b"\0" in head:
        raise Refused("is no text, whatever its ending says. Give the file the ending of what it is.")
    return _strict(data, "utf-8")


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refused(f"is no text in {encoding} (byte {error.start:,}). Save it as UTF-8.") from error


def _lines(text: str) -> list[str]:
    """Return the first lines, blank ones at the very top too."""
    return text[:_HEAD].splitlines()[: _LINES_BEFORE + 30] if text.strip() else []


def _without_lines(text: str, count: int) -> str:
    return "".join(text.splitlines(keepends=True)[count:]) if count else text


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def _separator(lines: list[str]) -> str:
    """Return what separates fields: the sign that gives most of the first lines the same, and the most, fields."""
    body = [line for line in lines if line.strip()]
    counts = {sign: [len(_cells(line, sign)) for line in body] for sign in SEPARATORS}
    common = {sign: max(set(many), key=many.count) for sign, many in counts.items()}
    return max(SEPARATORS, key=lambda sign: (min(common[sign], 5), counts[sign].count(common[sign]), common[sign]))


def _header_at(lines: list[str], separator: str) -> int:
    """Return how many lines stand before the header, or before the first row of a file without one."""
    for n, line in enumerate(lines[:_LINES_BEFORE]):
        if _is_header(_cells(line, separator)) and _prices_named(_cells(line, separator)) >= 3:
            return n
    widths = [len(_cells(line, separator)) for line in lines]
    usual = max(set(widths), key=widths.count)
    return next((n for n, width in enumerate(widths[:_LINES_BEFORE]) if width == usual and width > 1), 0)


def _prices_named(cells: list[str]) -> int:
    known = {name for role in ("open", "high", "low", "close") for name in (*ALIASES[role], *headers.MORE[role])}
    return sum(headers.spelled(cell) in known for cell in cells)


def _is_header(cells: list[str]) -> bool:
    """Return whether no cell of a line is a number or a time: a header's are names."""
    return not any(_is_value(cell) for cell in cells) and any(cells)


def _is_value(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?[$€£]?\d[\d.,]*(?:[eE][+-]?\d+)?%?", cell)) or (
        bool(cell) and form_of(cell) is not None
    )


def _parsed(text: str, separator: str, header: list[str] | None) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows as text, c0, c1, ..., and what stood behind the last of them.

    A row with more fields than the header is refused unless the further ones are empty; with fewer, its rest is null.
    """
    names = separator.join(f"c{n}" for n in range(_width(text, separator, header)))
    body = text if header is None else text.partition("\n")[2]
    frame = pl.read_csv(io.BytesIO(f"{names}\n{body}".encode()), infer_schema=False, separator=separator)
    width = frame.width - 1
    for name in frame.columns[width:]:
        extra = frame[name].drop_nulls()
        if extra.len() and (extra.str.strip_chars() != "").any():
            raise Refused(f"has rows with more fields than its header ({extra[0]!r} is one too many). Export it again.")
    return _without_footer(frame.select(frame.columns[:width]))


def _width(text: str, separator: str, header: list[str] | None) -> int:
    """Return how many fields a row may have: as the header or the first row, and an empty one behind the last sign."""
    if header is not None:
        return len(header) + 1
    return len(_cells(next(line for line in text[:_HEAD].splitlines() if line.strip()), separator)) + 1


def _without_footer(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows without those at the end of which only the first cell is filled, and these."""
    if frame.width < 3:
        return frame, []
    rest = frame.select(
        pl.all_horizontal((pl.col(c).is_null() | (pl.col(c) == "")) for c in frame.columns[1:]).alias("e")
    )
    lone = rest["e"]
    count = 0
    while count < min(5, frame.height) and lone[frame.height - 1 - count]:
        count += 1
    notes = [str(cell).strip()[:80] for cell in frame[frame.columns[0]].tail(count).to_list() if cell] if count else []
    return frame.head(frame.height - count), notes


def _without_levels(header: list[str], cells: pl.DataFrame) -> tuple[list[str], pl.DataFrame]:
    """Return header and rows of a frame whose columns had levels: rows called Ticker and Datetime below the header."""
    if not cells.height or headers.spelled(header[0]) != "price":
        return header, cells
    labels = [str(cell or "").strip().lower() for cell in cells["c0"].head(2)]
    if labels[:1] != ["ticker"] or labels[1:] not in (["datetime"], ["date"]):
        return header, cells
    names = {str(cell).strip() for cell in cells.row(0)[1:] if cell}
    if len(names) != 1:
        raise Refused(f"has the columns of {len(names)} tickers side by side. Save each ticker by itself.")
    ticker = names.pop()
    rows = cells.slice(2).with_columns(pl.lit(ticker).alias(f"c{len(header)}"))
    return ["Datetime", *header[1:], "Ticker"], rows.select(f"c{n}" for n in range(len(header) + 1))

"""Prices and volumes as vendors write them: decimal comma, thousands, currency signs, K and M; one dialect per file.

Belongs here: from text to numbers. What unit a number counts is price_scale.py and volume_unit.py.
"""

from collections.abc import Mapping
from typing import Literal

import polars as pl

from timegpt_assets.core.bars.vendor_columns import NUMBERS, PRICES
from timegpt_assets.core.vendors.findings import Finding, Refused

MISSING = ("", "null", "none", "nan", "na", "n/a", "#n/a", "nil", "-", "--", "\\n")
"""What a vendor writes, in any letters, where he has no number. Anything else that is no number is unreadable."""
Decimal = Literal["point", "comma"]
_PLAIN = r"^[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?$"
_GROUPS = r"^[+-]?\d{1,3}(?:,\d{3})+$"
_POINT_GROUPS = r"^[+-]?\d{1,3}(?:\.\d{3})+$"
_FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9}


def numbers(cells: pl.DataFrame, columns: Mapping[str, tuple[str, ...]], said: Decimal | None) -> tuple[
    pl.DataFrame, pl.DataFrame, list[Finding]
]:  # fmt: skip
    """Return the numbers by role (null: missing or unreadable), which of them are unreadable, and the findings.

    Several columns of one role are added. Raises Refused where point and comma could change places.
    """
    used = [column for role in NUMBERS for column in columns[role]]
    texts = {name: _bare(cells[name]) for name in used if cells.schema[name] == pl.String}
    decimal, findings = _decimal(texts, columns, said)
    read = {name: _floats(texts[name], decimal) if name in texts else _typed(cells[name]) for name in used}
    values, unreadable = {}, {}
    for role in NUMBERS:
        parts = [read[column] for column in columns[role]]
        values[role] = sum(parts[1:], start=parts[0])
        bad = pl.repeat(False, cells.height, eager=True)
        for column in columns[role]:
            bad = bad | (texts[column].is_not_null() & read[column].is_null()) if column in texts else bad
        unreadable[role] = bad
    return pl.DataFrame(values), pl.DataFrame(unreadable), findings


def _typed(column: pl.Series) -> pl.Series:
    if not (column.dtype.is_numeric() or column.dtype.is_decimal()):
        raise Refused(f"a column of prices or volume is {column.dtype}. Write numbers in it.")
    return column.cast(pl.Float64).fill_nan(None)


def _bare(text: pl.Series) -> pl.Series:
    """Return the text without blanks, currency and apostrophes that group thousands; null where a number is missing."""
    known = text.cast(pl.Float64, strict=False)
    if known.null_count() == text.null_count() and known.is_finite().all():  # the usual case: nothing to strip
        return text
    plain = text.str.replace_all(r"[\s\u00a0\u202f\u2009'’$€£¥]|USD|US\$", "")
    return plain.to_frame("t").select(
        pl.when(~pl.col("t").str.to_lowercase().is_in(list(MISSING))).then("t")
    )["t"]  # fmt: skip


def _decimal(
    texts: Mapping[str, pl.Series], columns: Mapping[str, tuple[str, ...]], said: Decimal | None
) -> tuple[Decimal, list[Finding]]:
    """Return which sign stands before fractions, decided by all columns together."""
    commas = {name: text.filter(text.str.contains(",", literal=True)) for name, text in texts.items()}
    commas = {name: text for name, text in commas.items() if text.len()}
    if not commas:
        return _by_points(texts, said)
    if said is not None:
        return said, [Finding("decimals", f"behind a {said}", "as --decimal says")]
    prices = [name for role in PRICES for name in columns[role]]
    both = [text for text in commas.values() if text.str.contains(".", literal=True).any()]
    if both:
        mixed = pl.concat(both).drop_nulls()
        mixed = mixed.filter(mixed.str.contains(".", literal=True))
        last_is_comma = mixed.str.contains(r",\d*$") & ~mixed.str.contains(r"\.\d*$")
        if last_is_comma.all() or not last_is_comma.any():
            sign: Decimal = "comma" if last_is_comma.all() else "point"
            return sign, [Finding("decimals", f"behind a {sign}", f"{mixed[0]} has it last")]
        raise Refused(
            f"has numbers with both signs in both orders, for example {mixed[0]}. Say --decimal point or comma."
        )
    for text in commas.values():
        odd = text.filter(~text.str.contains(_GROUPS))
        if odd.len():
            return "comma", [Finding("decimals", "behind a comma", f"{odd[0]} is no group of thousands")]
    fractions = [texts[name] for name in prices if name in texts and texts[name].str.contains(r"\d\.\d").any()]
    grouped = next(iter(commas.values()))[0]
    if fractions and not any(name in commas for name in prices):
        return "point", [
            Finding("decimals", "behind a point", f"prices have one, the commas of {grouped} group thousands")
        ]
    raise Refused(f"{grouped} can be either: no number of the file decides. Say --decimal point or --decimal comma.")


def _by_points(texts: Mapping[str, pl.Series], said: Decimal | None) -> tuple[Decimal, list[Finding]]:
    """Return the sign of a file without commas: a point, unless the user says that points group thousands."""
    if said == "comma":
        return "comma", [Finding("decimals", "behind a comma", "as --decimal says")]
    grouped = [
        t for text in texts.values() for t in text.filter(text.str.contains(r"^\d{1,3}(?:\.\d{3}){2,}$")).head(1)
    ]
    if grouped:
        return "comma", [Finding("decimals", "behind a comma", f"the points of {grouped[0]} group thousands")]
    return "point", []


def _floats(text: pl.Series, decimal: Decimal) -> pl.Series:
    """Return the numbers of a column of text, null where it says none."""
    quick = text.cast(pl.Float64, strict=False) if decimal == "point" else None
    if quick is not None and quick.null_count() == text.null_count():
        return quick.fill_nan(None)
    group, sign = (",", ".") if decimal == "point" else (".", ",")
    factor = text.str.extract(r"\d([kKmMbB])$").str.to_lowercase().replace_strict(_FACTORS, default=1.0)
    factor = factor.cast(pl.Float64).fill_null(1.0)
    bare = text.str.replace(r"(\d)[kKmMbB]$", "${1}")
    split = rf"^[+-]?(?:\d+|\d{{1,3}}(?:\{group}\d{{3}})+)(?:\{sign}\d*)?(?:[eE][+-]?\d+)?$"
    frame = pl.DataFrame({"t": bare, "f": factor})
    plain = pl.col("t").str.replace_all(group, "", literal=True).str.replace(sign, ".", literal=True)
    value = pl.when(pl.col("t").str.contains(split)).then(plain).cast(pl.Float64, strict=False)
    return frame.select(v=pl.when(pl.col("f") == 1.0).then(value).otherwise(value * pl.col("f")))["v"].fill_nan(None)

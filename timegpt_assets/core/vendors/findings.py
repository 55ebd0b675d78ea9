"""What is found out about a vendor's file, what a user said about it, and the refusal of what stays open.

Belongs here: the three values every question of this room is asked with and answered by. The questions are their own
files; who asks them in which order is understand.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

Side = Literal["start", "end"]
DateOrder = Literal["mdy", "dmy"]


class Refused(ValueError):
    """Raised when a file cannot be understood; says what is open or contradicted, and ends with what settles it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer with its evidence: printed when the file is imported, and stored beside its bars."""

    question: str
    answer: str
    evidence: str

    def __str__(self) -> str:
        """Return the finding as one sentence."""
        return f"{self.question}: {self.answer}; {self.evidence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the user said about the files; None and empty where he left it to the evidence.

    ``columns``: roles by position, or role=name pairs. ``price_scale``: USD of one unit of the file's prices.
    ``volume_scale``: shares of one unit of its volume. ``symbols``: the vendor's ticker -> ours. ``known``: tickers of
    the universe, which a name in small letters is checked against.
    """

    format: str | None = None
    columns: str | None = None
    symbol: str | None = None
    symbols: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    stamp: Side | None = None
    date_order: DateOrder | None = None
    decimal: Literal["point", "comma"] | None = None
    price_scale: float | None = None
    volume_scale: float | None = None
    one_minute: bool = False
    known: frozenset[str] = frozenset()


def share(mask: pl.Series) -> float:
    """Return which share of a mask is true; of an empty one none is."""
    return float(mask.sum()) / mask.len() if mask.len() else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file as read: ``cells`` has a column c0, c1, ... per field, text unless the file itself is typed.

    ``header`` names the fields, None where the file has no header line. ``path`` is the parts of its name, folders
    first. ``notes`` are rows that are none: a footer, a line before the header.
    """

    path: tuple[str, ...]
    header: tuple[str, ...] | None
    cells: pl.DataFrame
    separator: str = ","
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the file's own name."""
        return self.path[-1]

"""What the plans of this project ask for, and which tests show that it is there: the rows of requirements.csv.

Belongs here: reading the rows. Whoever adds a requirement adds a row; the page of the reference is made of them.
"""

import csv
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parent / "requirements.csv"


class Row(NamedTuple):
    """A requirement: its id and words, the tests that show it, a note of what shows it else, and what is missing."""

    id: str
    capability: str
    requirement: str
    tests: tuple[str, ...]
    note: str
    missing: str


def rows() -> list[Row]:
    """Return every requirement, by capability."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [Row(**(row | {"tests": tuple(row["tests"].split())})) for row in csv.DictReader(file)]

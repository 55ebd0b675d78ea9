"""What a check says of a key that does not fit the others.

Belongs here: its shape alone; checks.py and tsfm_checks.py yield it, faults.py adds file and value.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A key that does not fit the others."""

    key: str
    allowed: str
    remedy: str


Refusals = Iterator[Refusal]

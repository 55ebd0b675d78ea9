"""The known name that is closest to a mistyped one.

Belongs here: the comparison, of names of any kind.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, whatever its case; None where none is close."""
    folded = {one.casefold(): one for one in known}
    found = get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question ``Did you mean X? ``, a space behind it, or nothing."""
    meant = closest(name, known)
    return f"Did you mean {meant}? " if meant else ""

"""Promotion: what may go live, read from the rows of the gates and from nothing else."""

from collections.abc import Mapping
from datetime import date

import polars as pl

from timegpt_assets.core.gates import counted
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import GATES


def promotion(
    *gates: pl.DataFrame,
    month: str,
    as_of: date,
    champion: str,
    withheld: str = "",
) -> pl.DataFrame:
    """Return GATES: the account's verdict (``*``) and each symbol's, from the champion's live rows of the gates.

    The account is promoted when every ``*`` row passed; a symbol when the account is and all its own rows passed.
    ``value`` counts the criteria passed, ``threshold`` all of them; the reason names the others. ``withheld`` says why
    nothing may be promoted, whatever passed; a gate without a live row of the champion promotes nothing, either.
    """
    judged = [gate.select(*GATES.columns).filter(forecaster=champion, **counted.LIVE) for gate in gates]
    absent = "" if judged and all(gate.height for gate in judged) else "a gate says nothing of what is live"
    every, rows = pl.concat([GATES.empty(), *judged]), []
    for symbol in [WILDCARD, *sorted(set(every["symbol"]) - {WILDCARD})]:
        own = every.filter(pl.col("symbol").is_in([WILDCARD, symbol]))
        failed = own.filter(~pl.col("passed")).sort("gate", "symbol", "criterion")
        names = ", ".join(f"{gate}.{criterion}" for gate, criterion in failed.select("gate", "criterion").iter_rows())
        reason = withheld or absent or (f"not passed: {names}" if names else "all passed")
        counts = {"value": float(own.height - failed.height), "threshold": float(own.height), "n": own.height}
        passed = failed.is_empty() and not (withheld or absent)
        verdict = {"criterion": "promoted", "passed": passed, "reason": reason}
        rows.append({"forecaster": champion, "gate": "promotion", "symbol": symbol, **counts, **verdict})
    return counted.stamped(rows, month, as_of)


def mismatch(stored: Mapping[str, pl.DataFrame], made: Mapping[str, pl.DataFrame], *, month: str) -> str:
    """Return which stored gates hold other rows of the month than their scores give; empty where none does.

    They were edited, or made of other scores or fewer trials than there are: nothing is promoted over either.
    """
    differing = [name for name in made if not _rows(stored[name], month).equals(_rows(made[name], month))]
    if not differing:
        return ""
    return (
        f"stored rows of {', '.join(differing)} are not what the scores and trials give now: they are older, or were "
        "edited. Make them again: timegpt-assets promote, or evaluate --force"
    )


def _rows(gate: pl.DataFrame, month: str) -> pl.DataFrame:
    return gate.filter(month=month).select(*GATES.columns).sort(GATES.key)

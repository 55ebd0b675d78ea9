"""The page of a promotion: what was asked and what passed, how much was tried, and what the record says.

Belongs here: the page alone. It shows prod + model + prod_live figures, for a gate counts no others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from timegpt_assets.core.gates.luck import Luck, Trials, worst_choice
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.reports.html import document, section, table
from timegpt_assets.reports.pictures.gates import judged, strip
from timegpt_assets.reports.pictures.luck import overfitting
from timegpt_assets.reports.pictures.render import figure
from timegpt_assets.reports.pictures.style import Picture


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """A month's verdict on one forecaster, with the rows it was made of and everything beside it."""

    month: str
    forecaster: str
    criteria: pl.DataFrame
    verdict: pl.DataFrame
    trials: Trials
    luck: Luck
    scorecard: Mapping[str, Any] | None
    record: Sequence[Mapping[str, Any]] = ()

    def promoted(self) -> list[str]:
        """Return the symbols that passed every criterion; none unless the account did."""
        passed = self.verdict.filter("passed")
        account = passed.filter(symbol=WILDCARD).height == 1
        return sorted(set(passed["symbol"]) - {WILDCARD}) if account else []

    def recorded(self, record: Sequence[Mapping[str, Any]]) -> "Promoted":
        """Return the same with the last entries of the record."""
        return replace(self, record=record)


def page(found: Promoted) -> str:
    """Return the promotion as one HTML file: pictures and figures inline, no script, nothing fetched."""
    return document(
        f"timegpt_assets, promotion of {found.month}, {found.forecaster}",
        [
            section("Verdict", table(["symbol", "promoted", "reason"], _verdict(found))),
            section("What was asked", figure("criteria", lambda: strip(found.criteria)), _asked(found)),
            section("What was tried", _tried(found), figure("overfitting", lambda: _overfitting(found))),
            section("Review", _review(found)),
            section("Record", _record(found)),
        ],
    )


def _verdict(found: Promoted) -> list[tuple[object, ...]]:
    rows = found.verdict.sort("symbol").select("symbol", "passed", "reason").iter_rows()
    return [("all" if symbol == WILDCARD else symbol, "yes" if passed else "no", why) for symbol, passed, why in rows]


def _asked(found: Promoted) -> str:
    columns = ["gate", "symbol", "criterion", "value", "threshold", "low", "high", "n", "outcome", "reason"]
    return table(columns, judged(found.criteria).sort("gate", "criterion", "symbol").select(columns).rows())


def _tried(found: Promoted) -> str:
    """Return how many were tried of each kind, on whose forecasts, and on which sessions."""
    by = found.trials.tried.group_by("kind", "forecaster").agg(
        pl.col("combination").n_unique(), pl.col("first_day").min(), pl.col("last_day").max()
    )
    return table(by.columns, by.sort("kind", "forecaster").rows()) if by.height else "<p>Nothing was ever tried.</p>"


def _overfitting(found: Promoted) -> Picture:
    own = found.trials.of(found.forecaster, until=found.verdict["as_of"][0])
    return overfitting(worst_choice(own, found.luck))


def _review(found: Promoted) -> str:
    if found.scorecard is None:
        return "<p>No scorecard was given.</p>"
    rows = [
        (name, *(said.values() if isinstance(said, Mapping) else (said, ""))) for name, said in found.scorecard.items()
    ]
    return table(["question", "grade", "why"], rows)


def _record(found: Promoted) -> str:
    """Return the last entries, the newest first."""
    columns = ["time", "what", "forecaster", "symbols", "who", "why"]
    rows = [tuple(", ".join(e[c]) if c == "symbols" else e[c] for c in columns) for e in reversed(found.record)]
    return table(columns, rows)

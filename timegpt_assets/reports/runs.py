"""Sides beside each other: two runs, or the forecasters of one: what differs in settings, and in what came of them.

Belongs here: the page of a comparison, and the file in which a report says under which settings and from which tables
it was made. What is counted on common rows is core/evaluation/.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import orjson
import polars as pl

from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.reports import html
from timegpt_assets.reports.figures import Report, dollars_between, ratio_between
from timegpt_assets.reports.interactive import Album
from timegpt_assets.reports.pictures.pnl import dollars
from timegpt_assets.reports.pictures.style import Picture, latest

SETTINGS = "settings.json"
HEAD = ("first", "against", "common", "not common", "pinball loss", "p", "error", "in the 80 % band", "P&L, USD")


def settings_file(report: Report, *, storage: str) -> bytes:
    """Return the settings a report was made under and where its tables lie, as JSON; secrets are redacted."""
    said = {setting.key: {"value": setting.value, "origin": setting.origin} for setting in report.settings}
    about = {
        "month": report.month,
        "profile": report.profile,
        "champion": report.champion,
        "storage": storage,
        "sessions": [str(day) for day in report.days],
    }
    return orjson.dumps(about | {"settings": said}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One column of a comparison: settings by key, figures by name, both as printed."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first against the other on ``n`` common forecasts; each ratio and amount with its 95 % interval."""

    first: str
    against: str
    row: Mapping[str, float | int | None]

    def told(self) -> tuple[object, ...]:
        """Return the difference as printed, in the columns of HEAD."""
        row = self.row
        covered = [row.get(f"{whose}coverage_80") for whose in ("", "against_")]
        shares = [share for share in covered if share is not None]
        return (
            self.first,
            self.against,
            row.get("n"),
            row.get("not_common"),
            ratio(row, "rpinball"),
            _likely(row.get("rpinball_p")),
            ratio(row, "rmae"),
            " : ".join(f"{share:.1%}" for share in shares) or None,
            amount(row, "pnl_difference"),
        )

    @property
    def verdict(self) -> int:
        """Return 1 where the first surely lost less, -1 where it surely lost more, 0 where nothing is sure."""
        low, high = self.row.get("rpinball_low"), self.row.get("rpinball_high")
        if low is None or high is None:
            return 0
        return 1 if high < 1 else -1 if low > 1 else 0


def _likely(p: float | None) -> str | None:
    """Return a p as it is read: nobody tells a ten-millionth from a thousandth of that."""
    return None if p is None else "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def ratio(row: Mapping[str, Any], name: str) -> str | None:
    """Return a ratio with its interval as printed; None where it is not known."""
    value = row.get(name)
    return None if value is None else f"{value:.3f}{ratio_between(row.get(f'{name}_low'), row.get(f'{name}_high'))}"


def amount(row: Mapping[str, Any], name: str) -> str | None:
    """Return USD with their interval as printed; None where they are not known."""
    value = row.get(name)
    return (
        None if value is None else f"{dollars(value)}{dollars_between(row.get(f'{name}_low'), row.get(f'{name}_high'))}"
    )


def pairs_of(comparison: pl.DataFrame) -> list[Difference]:
    """Return the last month's pairs of forecasters, all symbols pooled; p is Holm's."""
    own = latest(comparison).filter(symbol=WILDCARD).sort("against", "rpinball", "forecaster")
    return [
        Difference(first=row["forecaster"], against=row["against"], row=row | {"rpinball_p": row["rpinball_p_holm"]})
        for row in own.iter_rows(named=True)
    ]


def sentence(differences: Sequence[Difference]) -> str:
    """Return what the differences come to, and on how many forecasts; without a common one that there is none."""
    rows = [one for one in differences if one.row.get("n")]
    if not rows:
        return "Nothing can be compared row by row: they have no forecast in common. Figures stand side by side."
    n = max(int(one.row["n"] or 0) for one in rows)
    if all(one.row.get("rpinball") == 1.0 and not one.row.get("pnl_difference") for one in rows):
        return f"On what they have in common they are equal: the same losses, the same money, {n:,} forecasts each."
    better = [f"{one.first} than {one.against}" for one in rows if one.verdict == 1]
    worse = [f"{one.first} than {one.against}" for one in rows if one.verdict == -1]
    told = [
        f"{verb}: {', '.join(who)}" for verb, who in (("Surely less lost", better), ("Surely more lost", worse)) if who
    ]
    return f"{'. '.join(told) or 'No difference is told apart from chance'}. At most {n:,} common forecasts a pair."


def differing(sides: Sequence[Side]) -> list[tuple[str, ...]]:
    """Return the settings that are not the same on every side: key, then the value of each."""
    keys = sorted({key for side in sides for key in side.settings})
    rows = [(key, *(side.settings.get(key, "not there") for side in sides)) for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1]


def figures(sides: Sequence[Side]) -> list[tuple[str, ...]]:
    """Return every figure with its value on each side, in the order of the first side that has it."""
    names = dict.fromkeys(name for side in sides for name in side.figures)
    return [(name, *(side.figures.get(name, "–") for side in sides)) for name in names]


def page(title: str, sides: Sequence[Side], differences: Sequence[Difference], draw: Callable[[], Picture]) -> str:
    """Return the comparison as one HTML file that fetches nothing; a part that fails is a sentence in its place."""
    album = Album()
    names = [side.name for side in sides]
    made = [
        html.section(
            "On common forecasts",
            html.part("differences", lambda: html.table(HEAD, [one.told() for one in differences])),
            html.said(
                "Loss and error: the first's over the other's, below 1 is better; P&L: the first's less the other's."
            ),
        ),
        html.section("Money", album.figure("books", draw)),
        html.section(
            "Figures side by side", html.part("figures", lambda: html.table(["figure", *names], figures(sides)))
        ),
        html.section("What differs in the settings", html.part("settings", lambda: _settings(sides, names))),
    ]
    told = html.part("verdict", lambda: escape(sentence(differences)))
    verdict = f'<div class="verdict" role="note"><p><strong>{told}</strong></p></div>'
    return html.document(title, [verdict, html.contents(made), *made], last=album.scripts())


def _settings(sides: Sequence[Side], names: Sequence[str]) -> str:
    rows = differing(sides)
    return (html.table(["key", *names], rows) if rows else "") + html.said(same(sides))


def same(sides: Sequence[Side]) -> str:
    """Return how many settings are the same, in words."""
    known = len({key for side in sides for key in side.settings})
    if not known:
        return "All of them were made under the same settings."
    return f"{known - len(differing(sides)):,} of {known:,} settings are the same."


def book_figures(costs: pl.DataFrame, book: str) -> dict[str, str]:
    """Return what a book came to at the costs as configured, as printed; nothing for one without a row."""
    rows = costs.filter(book=book, cost_multiplier=1.0) if costs.height else costs
    if rows.is_empty():
        return {}
    row = rows.sort("trades", descending=True).row(0, named=True)
    return {
        "trades": f"{row['trades']:,}",
        "sessions": f"{row['observation_days']:,}",
        "net P&L": amount(row, "net_pnl") or "–",
        "Sharpe ratio": "–" if row["sharpe_daily"] is None else f"{row['sharpe_daily']:.2f}",
        "deepest drawdown": f"{row['max_drawdown']:.2%}",
    }


def named(portfolio: pl.DataFrame, book: str, name: str) -> pl.DataFrame:
    """Return a book's rows under another name, for one picture of several runs."""
    return portfolio.filter(book=book).with_columns(book=pl.lit(name))

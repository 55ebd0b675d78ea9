"""Reports as Markdown, for a terminal and for code hosts: what came of a month, and how robust that is.

Belongs here: plain tables and their order. The figures are in figures.py and headline.py.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import polars as pl

from timegpt_assets.core.backtest.funnel import FATES
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.reports import headline as first
from timegpt_assets.reports import html, ladder, news, rows
from timegpt_assets.reports.figures import Report, champion_first, percent_between, summary_rows
from timegpt_assets.reports.pictures.gates import judged
from timegpt_assets.reports.pictures.style import latest
from timegpt_assets.reports.runs import HEAD, pairs_of

MOST_LINES = 40
"""Rows of a table that are shown: more are read on the page, or in the table itself."""
Parts = Mapping[str, Callable[[], str]]


def report_text(report: Report) -> str:
    """Return what came of the month: verdict, key figures, forecasters, calibration, gates, data."""
    return document(
        f"Report of {report.month}, profile {report.profile}",
        report,
        {
            "Key figures": lambda: table(["figure", "value", "rests on"], first.cards(report)),
            "Why forecasts were not traded": lambda: _funnel(report),
            "Forecasters side by side": lambda: _pairs(report.comparison),
            **({"Model ladder": lambda: _ladder(report.ladder)} if report.ladder else {}),
            **({"News": lambda: _news(report.news)} if report.news else {}),
            "Calibration": lambda: _calibration(report.diagnostics),
            "Costs": lambda: _costs(report.costs),
            "Gates": lambda: _gates(report.gates),
            "Data quality": lambda: table(["what", "value"], rows.quality(report)),
            "About": lambda: table(["what", "value"], rows.about(report)),
        },
    )


def robustness_text(report: Report, *, grid: Callable[[], pl.DataFrame], board: Callable[[], pl.DataFrame]) -> str:
    """Return how robust the month's figures are: under which settings, beside which others, at which costs.

    ``grid`` reads TRADING_GRID of the month, ``board`` the scoreboard of the last forecast grid; both may be empty.
    """
    figures = [(name, value) for section, name, value in summary_rows(report) if section == "headline"]
    return document(
        f"Robustness of {report.month}, profile {report.profile}",
        report,
        {
            "Key figures": lambda: table(["figure", "value", "rests on"], first.cards(report)),
            "All figures": lambda: table(["figure", "value"], figures),
            "Best of the trading grid": lambda: _best(grid(), "sweep"),
            "Best of the forecast grid": lambda: _best(board(), "sweep --forecast-grid FILE"),
            "Costs": lambda: _costs(report.costs),
            "Gates": lambda: _gates(report.gates),
            "Calibration": lambda: _calibration(report.diagnostics),
            "Budget": lambda: table(["what", "value"], rows.budget(report)),
            "Data quality": lambda: table(["what", "value"], rows.quality(report)),
            "Settings": lambda: table(
                ["key", "value", "from"], [(s.key, s.value, s.origin) for s in report.settings], most=1000
            ),
        },
    )


def document(title: str, report: Report, parts: Parts) -> str:
    """Return the verdict and the parts below their headings; one that cannot be made is a sentence in its place."""
    lead = html.part("verdict", lambda: _lead(report), plain)
    made = (f"## {name}\n\n{html.part(name, make, plain)}\n" for name, make in parts.items())
    return f"# {plain(title)}\n\n{lead}\n\n" + "\n".join(made)


def _lead(report: Report) -> str:
    found = first.headline(report)
    return f"**{plain(found.sentence)}**\n\n{plain(found.basis)}"


def plain(value: object) -> str:
    """Return a value as text that Markdown takes for nothing else."""
    if value is None:
        return "–"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return html.figure(value)
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(str(value).split()))


def table(columns: Sequence[str], lines: Iterable[Sequence[object]], *, most: int = MOST_LINES) -> str:
    """Return the rows as a table whose columns line up in a terminal, the first ``most`` of them."""
    cells = [[plain(value) for value in line] for line in lines]
    if not cells:
        return "no rows"
    shown = [[name.replace("_", " ") for name in columns], *cells[:most]]
    # a long text at the end of a row needs no room after it, and one in between not all of it
    widths = [min(28, max(map(len, column))) for column in zip(*shown, strict=True)]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in shown
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    cut = [f"\nThe first {most:,} of {len(cells):,} rows."] if len(cells) > most else []
    return "\n".join([*text, *cut])


def _funnel(report: Report) -> str:
    counts = report.funnel.group_by("forecaster", "fate").agg(pl.col("n").sum())
    if counts.is_empty():
        return "No forecast has come to the rules."
    names = champion_first(counts["forecaster"].unique(), report.champion)
    of = {(who, fate): n for who, fate, n in counts.select("forecaster", "fate", "n").iter_rows()}
    met = {fate for _, fate in of}
    order = [fate for fate in FATES if fate in met] + sorted(met - FATES.keys())
    lines = [[fate, *(of.get((name, fate), 0) for name in names), FATES.get(fate, "")] for fate in order]
    return table(["fell at", *names, "that is"], lines)


def _pairs(comparison: pl.DataFrame) -> str:
    return table(HEAD, [one.told() for one in pairs_of(comparison)])


def _ladder(own: ladder.Ladder) -> str:
    """Return the verdict, the ladder table, what the rungs take, and what was recorded of the rollout."""
    drifted = own.drift.filter("drifted").select("forecaster", "feature", "psi", "threshold", "n").sort(pl.all())
    parts = [
        f"**{plain(ladder.verdict(own))}**",
        plain(ladder.basis(own)),
        table(ladder.HEAD, ladder.table(own)),
        table(["rung", "takes"], ladder.costs(own)) if own.timings else "",
        "Features that drifted:\n\n" + table(drifted.columns, drifted.rows()) if own.drift.height else "",
        table(["time", "forecaster", "phase", "share", "why", "who"], ladder.rollout(own)) if own.rollout else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _news(own: news.News) -> str:
    """Return the verdict, what each month came to, and how the sources answered."""
    parts = [
        f"**{plain(news.verdict(own))}**",
        plain(news.basis(own)),
        table(news.WORTH_HEAD, news.worth_table(own)) if own.values.height else "",
        table(news.SOURCE_HEAD, news.source_table(own)) if own.health.height else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _calibration(diagnostics: pl.DataFrame) -> str:
    now = latest(diagnostics).filter(symbol=WILDCARD).sort("stage", "score_source", descending=True)
    lines = [
        (row["stage"], row["n"], *(_covered(row, level) for level in (50, 80, 95)), row["rmae"], row["pinball"])
        for row in now.iter_rows(named=True)
    ]
    return table(["stage", "n", "in 50 %", "in 80 %", "in 95 %", "error / persistence", "pinball loss"], lines)


def _covered(row: Mapping[str, float | None], level: int) -> str | None:
    share = row[f"coverage_{level}"]
    ends = (row[f"coverage_{level}_day_low"], row[f"coverage_{level}_day_high"])
    return None if share is None else f"{share:.1%}{percent_between(*ends)}"


def _costs(costs: pl.DataFrame) -> str:
    columns = ["cost_multiplier", "trades", "observation_days", "gross_pnl", "cost", "net_pnl", "max_drawdown",
               "drawdown_days", "sharpe_daily", "sharpe_daily_low", "sharpe_daily_high", "score_source"]  # fmt: skip
    return table(columns, latest(costs).sort("score_source", "cost_multiplier").select(columns).rows())


def _gates(gates: pl.DataFrame) -> str:
    rank = pl.col("outcome").replace_strict(["failed", "insufficient", "passed"], [0, 1, 2], return_dtype=pl.Int64)
    now = judged(latest(gates)).sort("gate", rank, "criterion", "symbol")
    counts = now.group_by("gate", maintain_order=True).agg(
        (pl.col("outcome") == "passed").sum().alias("passed"), pl.len()
    )
    columns = ["gate", "outcome", "criterion", "symbol", "value", "threshold", "n", "reason"]
    listed = table(columns, now.select(columns).rows())
    return f"{table(['gate', 'passed', 'of'], counts.rows())}\n\n{listed}"


def _best(found: pl.DataFrame, verb: str) -> str:
    """Return the first ranks of a grid, of the costs as configured where there are several."""
    if found.is_empty():
        return f"None is there: timegpt-assets {verb} makes one."
    if "cost_multiplier" in found.columns:
        found = found.filter(cost_multiplier=1.0)
    named = ("rank", "name", "rules", "settings", "forecaster", "trades", "net_pnl", "sharpe_daily", "sharpe_daily_low",
             "sharpe_daily_high", "max_drawdown", "pinball", "plateau")  # fmt: skip
    columns = [name for name in named if name in found.columns]
    return table(columns, found.sort("rank").select(columns).rows(), most=10)

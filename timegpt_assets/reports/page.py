"""The report's page: one self-contained HTML file of figures and pictures, the verdict first.

Belongs here: what stands where. The figures are in figures.py and headline.py, the tables in rows.py, the pictures in
pictures/, how parts look in html.py and page.css.
"""

from collections.abc import Callable
from datetime import date
from html import escape

from timegpt_assets.reports import headline as first
from timegpt_assets.reports import html, ladder, news, rows
from timegpt_assets.reports.figures import Report
from timegpt_assets.reports.interactive import Album
from timegpt_assets.reports.pictures.comparison import losses
from timegpt_assets.reports.pictures.coverage import coverage, reliability
from timegpt_assets.reports.pictures.day_bars import day_bars
from timegpt_assets.reports.pictures.equity import equity
from timegpt_assets.reports.pictures.fan import fan
from timegpt_assets.reports.pictures.gates import lights, strip
from timegpt_assets.reports.pictures.intervals import drift, histogram, widths
from timegpt_assets.reports.pictures.ladder import feature_drift, importance, rollout, rungs
from timegpt_assets.reports.pictures.news import sources, worth
from timegpt_assets.reports.pictures.pnl import pnl
from timegpt_assets.reports.pictures.quality import quality
from timegpt_assets.reports.pictures.style import Picture, nothing
from timegpt_assets.reports.pictures.waterfall import waterfall

HINT = (
    "Point at a picture to read its figures; drag moves its axis of time, Shift and the wheel zoom, a double click "
    "goes back. Amounts are USD, times New York's."
)


def page(report: Report) -> str:
    """Return the report as one HTML file: style, script, pictures and figures inline, nothing fetched.

    No part of it is worth the run: one that cannot be made is a sentence in its place, a long table is cut and says so.
    Without a script every picture and figure is there all the same.
    """
    album = Album()
    made = [make(report, album) for make in SECTIONS]
    about = ", ".join(text for name, text in rows.about(report) if name in ("profile", "period", "symbols", "bars"))
    parts = [
        f'<p class="about">{escape(about)}</p>',
        html.part("verdict", lambda: _verdict(report)),
        html.part("key figures", lambda: html.cards(first.cards(report))),
        html.contents(made),
        f'<p class="hint">{escape(HINT)}</p>',
        *made,
    ]
    return html.document(f"Report of {report.month}, profile {report.profile}", parts, last=album.scripts())


def _verdict(report: Report) -> str:
    found = first.headline(report)
    told = f"<p><strong>{escape(found.sentence)}</strong></p><p>{escape(found.basis)}</p>"
    return f'<div class="verdict {found.tone}" role="note">{told}</div>'


def _money(report: Report, album: Album) -> str:
    return html.section(
        "Money",
        album.figure(
            "profit and loss, and drawdown", lambda: equity(report.books, days=report.days, seats=rows.seats(report))
        ),
        html.part("what was traded", lambda: _traded(report, album)),
        html.part("costs", lambda: rows.costs(report.costs)),
    )


def _traded(report: Report, album: Album) -> str:
    """Return what the champion's trades came to; without any, why there are none instead of two empty pictures."""
    if not report.portfolio["admitted"].any():
        return html.said(f"Of {report.champion or 'nobody'}, {first.no_trade(report)}.")
    return grid(
        album.figure("profit and loss at several costs", lambda: pnl(report.portfolio, days=report.days)),
        album.figure("from gross to net", lambda: waterfall(report.portfolio)),
    )


def _trades(report: Report, album: Album) -> str:
    return html.section("Trades", html.part("trades", lambda: rows.trades(report.portfolio)))


def _funnel(report: Report, album: Album) -> str:
    return html.section(
        "Why forecasts were not traded", html.part("funnel", lambda: rows.funnel(report.funnel, report.champion))
    )


def _forecasters(report: Report, album: Album) -> str:
    return html.section(
        "Forecasters side by side",
        album.figure("losses compared", lambda: losses(report.comparison, champion=report.champion)),
        html.part("forecasters", lambda: rows.forecasters(report)),
        html.part("pairs", lambda: html.folded("every pair of forecasters", rows.pairs(report.comparison))),
    )


def _ladder(report: Report, album: Album) -> str:
    """Return what the rungs of the model ladder have proven; nothing where none is seated."""
    own = report.ladder
    if not own:
        return ""
    return html.section(
        "Model ladder",
        html.part(
            "ladder", lambda: f"<p><strong>{escape(ladder.verdict(own))}</strong></p>{html.said(ladder.basis(own))}"
        ),
        album.figure("rungs against the control arm", lambda: rungs(own.report)),
        html.part("rungs", lambda: html.table(ladder.HEAD, ladder.table(own), sortable=True)),
        html.part("pairs of rungs", lambda: html.folded("every pair, and as answered", _every(own))),
        html.part("what it takes", lambda: html.pairs(ladder.costs(own)) if own.timings else ""),
        grid(
            album.figure("drift of features", lambda: feature_drift(own.drift)),
            album.figure("what features are worth", lambda: importance(own.importance)),
        ),
        html.part("rollout", lambda: _rollout(own, album)),
    )


def _every(own: ladder.Ladder) -> str:
    return html.table(ladder.HEAD, ladder.table(own, every=True), sortable=True)


def _rollout(own: ladder.Ladder, album: Album) -> str:
    """Return the phases of the challengers over time, and what was recorded of each."""
    if not own.rollout:
        return html.said("No challenger is in rollout: the champion trades every symbol.")
    steps = [(one.time, one.forecaster, one.share) for one in own.rollout]
    head = ["time", "forecaster", "phase", "share", "why", "who"]
    drawn = album.figure("rollout", lambda: rollout(steps, until=max(time for time, _, _ in steps)))
    return drawn + html.folded("every record of the rollout", html.table(head, ladder.rollout(own)))


def _news(report: Report, album: Album) -> str:
    """Return what the news was worth and how its sources answered; nothing where none is listed."""
    own = report.news
    if not own:
        return ""
    goals = {"success_min": own.success_min, "publish_to_ingest_p95_s": own.publish_to_ingest_p95_s}
    return html.section(
        "News",
        html.part("news", lambda: f"<p><strong>{escape(news.verdict(own))}</strong></p>{html.said(news.basis(own))}"),
        album.figure("what the news was worth", lambda: worth(own.values)) if own.values.height else "",
        html.part("worth", lambda: html.table(news.WORTH_HEAD, news.worth_table(own))) if own.values.height else "",
        album.figure("how its sources answered", lambda: sources(own.health, **goals)) if own.health.height else "",
        html.part("sources", lambda: html.table(news.SOURCE_HEAD, news.source_table(own))) if own.health.height else "",
    )


def _symbols(report: Report, album: Album) -> str:
    return html.section(
        "Symbols side by side",
        html.part("symbols", lambda: rows.symbols(report)),
        album.figure("forecast fans", lambda: _fan(report)),
    )


def _calibration(report: Report, album: Album) -> str:
    return html.section(
        "Calibration",
        grid(
            album.figure("coverage", lambda: coverage(report.diagnostics)),
            album.figure("reliability", lambda: reliability(report.reliability)),
            album.figure("histogram", lambda: histogram(report.reliability)),
            album.figure("widths", lambda: widths(report.widths)),
        ),
        album.figure("drift", lambda: drift(report.drift)),
    )


def _gates(report: Report, album: Album) -> str:
    return html.section(
        "Gates",
        html.part("gates", lambda: rows.gates(report.gates)),
        html.folded("gates over time", album.figure("gates over time", lambda: lights(report.gate_history))),
        html.folded("verdicts by symbol", album.figure("verdicts by symbol", lambda: strip(report.gates))),
    )


def _quality(report: Report, album: Album) -> str:
    return html.section(
        "Data quality",
        html.part("verdicts", lambda: html.pairs(rows.quality(report))),
        grid(
            album.figure("verdicts per day and symbol", lambda: quality(report.quality), pixels=True),
            album.figure("the day with the most filled minutes", lambda: _worst_day(report)),
        ),
        html.part("faults", lambda: rows.faults(report.quality)),
    )


def _budget(report: Report, album: Album) -> str:
    return html.section("Budget", html.part("budget", lambda: html.pairs(rows.budget(report))))


def _origin(report: Report, album: Album) -> str:
    return html.section(
        "Where it comes from",
        html.part("about", lambda: html.pairs(rows.about(report))),
        html.part("settings", lambda: rows.settings(report)),
        html.part("lineage", lambda: rows.lineage(report.lineage)),
    )


SECTIONS: tuple[Callable[[Report, Album], str], ...] = (
    _money, _trades, _funnel, _forecasters, _ladder, _news, _symbols, _calibration, _gates, _quality, _budget, _origin,
)  # fmt: skip
"""The page's sections, in reading order."""


def grid(*parts: str) -> str:
    """Return the parts side by side where there is room."""
    return f'<div class="grid">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def _fan(report: Report) -> Picture:
    """Return the fans of the day asked for, or of the last one with forecasts."""
    last = report.forecasts["day"].max() if report.forecasts.height else None
    day = report.fan_day or (last if isinstance(last, date) else date.fromisoformat(f"{report.month}-01"))
    return fan(report.forecasts, report.bars, report.portfolio, day=day)


def _worst_day(report: Report) -> Picture:
    """Return the chart of the usable day with the most filled minutes, of equal ones the last; blamed rows in it."""
    drawn = report.bars.select("day", "symbol").unique()
    own = report.quality.join(drawn, on=["day", "symbol"], how="semi").sort("filled", "day", "symbol")
    if own.is_empty():
        return nothing("The day with the most filled minutes")
    worst = own.row(-1, named=True)
    about = {"verdict": worst["verdict"], "offending": worst["offending"]}
    return day_bars(report.bars, day=worst["day"], symbol=worst["symbol"], **about)

"""The report page: self-contained, escaped, complete; its figures are those of the frames."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.bars import BARS, QUALITY
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.evaluation import COST_SENSITIVITY, FORECAST_DIAGNOSTICS, PIT_RELIABILITY
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets.reports.figures import Lineage, Report, summary_rows
from timegpt_assets.reports.page import page
from timegpt_assets_tests.reports.pictures import frames

SYMBOLS = ["AAPL", "MSFT"]
DAYS = frames.sessions(6)
HOSTILE = "<script src=//evil>\"'&</td>"
SECTIONS = [
    "What this is", "Headline", "Data quality", "Forecasts", "Calibration", "Backtest", "Comparison", "Gates",
    "Lineage",
]  # fmt: skip


class _Page(HTMLParser):
    """The elements of a page with their attributes, its texts, and whatever was left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def report() -> Report:
    return Report(
        month="2024-03",
        profile="demo",
        days=DAYS,
        symbols=SYMBOLS,
        data_source="synthetic market, seed 7",
        planted_predictability=0.2,
        quality=frames.quality(SYMBOLS, DAYS),
        forecasts=frames.forecasts(SYMBOLS),
        bars=frames.bars(SYMBOLS),
        diagnostics=frames.diagnostics(SYMBOLS),
        reliability=frames.reliability(),
        portfolio=frames.portfolio(SYMBOLS, DAYS),
        costs=frames.costs(),
        champion="timegpt",
        comparison=frames.comparison(),
        books=frames.books(SYMBOLS, DAYS),
        gates=frames.gates(SYMBOLS),
        gate_history=frames.gates(SYMBOLS),
        lineage=[Lineage(lineage_id="ab12", tables=["features", "bars"], stands_for={"config_digest": "9f3"})],
    )


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return page(report)


@pytest.fixture(scope="module")
def nothing() -> Report:
    return Report(
        month="2024-03",
        profile="demo",
        days=[],
        symbols=[],
        data_source="none",
        planted_predictability=None,
        quality=QUALITY.empty(),
        forecasts=FORECASTS.empty(),
        bars=BARS.empty(),
        diagnostics=FORECAST_DIAGNOSTICS.empty(),
        reliability=PIT_RELIABILITY.empty(),
        portfolio=PORTFOLIO.empty(),
        costs=COST_SENSITIVITY.empty(),
        gates=GATES.empty(),
    )


def test_the_page_is_one_file_that_fetches_and_runs_nothing(html: str) -> None:
    parsed = _Page(html)
    assert not parsed.open
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in parsed.elements}
    sources = [value or "" for _, attrs in parsed.elements for name, value in attrs.items() if name in ("src", "href")]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/png;base64,")
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\son\w+=", html.replace(sources[0], ""))


def test_the_page_has_every_section_and_its_pictures(html: str) -> None:
    assert re.findall("<h2>(.*?)</h2>", html) == SECTIONS
    assert html.count("<svg") == 14
    assert html.count("<img") == 1
    texts = _Page(html).texts
    assert any("outcomes inside the 80 % band" in text for text in texts)
    assert any("admitted trades over 6 sessions" in text for text in texts)


def test_every_figure_of_the_summary_stands_on_the_page(report: Report, html: str) -> None:
    texts = _Page(html).texts
    shown = [(name, value) for section, name, value in summary_rows(report) if section != "gates"]
    assert len(shown) > 15
    for name, value in shown:
        assert name in texts
        assert value in texts


def test_the_headline_says_what_the_frames_say(report: Report) -> None:
    figures = {name: value for section, name, value in summary_rows(report) if section == "headline"}
    assert figures == {
        "symbols": "2: AAPL, MSFT",
        "days": "6",
        "forecasts": "10",
        "forecasts scored": "1,240",
        "calibrated share": "93.0%",
        "coverage of the 50 % band": "raw 41.0% [39.0%, 44.0%], calibrated 51.2% [49.2%, 54.2%]",
        "coverage of the 80 % band": "raw 70.0% [68.0%, 73.0%], calibrated 79.6% [77.6%, 82.6%]",
        "coverage of the 95 % band": "raw 88.0% [86.0%, 91.0%], calibrated 94.4% [92.4%, 97.4%]",
        "error against persistence": "0.710 [0.700, 0.720], p 0.004, n 800",
        "error against a zero return": "1.002 [0.992, 1.012], p 0.004, n 800",
        "pinball loss against uncalibrated": "–",
        "error against zero": "1.000, n 1,200",
        "pinball loss against zero": "1.010 [0.900, 1.100], p 0.004, n 1,200",
        "error against climatology": "1.000, n 1,200",
        "pinball loss against climatology": "0.943 [0.900, 1.100], p 0.004, n 1,200",
        "trades": "31 over 60 sessions",
        "P&L at 1x costs": "+$2,960",
        "P&L at 1.5x costs": "+$2,340",
        "P&L at 2x costs": "+$1,720",
    }


def test_a_p_is_never_nothing(report: Report) -> None:
    sure = replace(report, diagnostics=report.diagnostics.with_columns(rmae_p=pl.lit(0.0)))
    assert ("headline", "error against persistence", "0.710 [0.700, 0.720], p < 0.0001, n 800") in summary_rows(sure)


def test_names_are_unique_in_their_section_even_with_several_sources(report: Report) -> None:
    other = {"score_source": pl.lit("model")}
    several = replace(
        report,
        diagnostics=pl.concat([report.diagnostics, report.diagnostics.with_columns(**other)]),
        costs=pl.concat([report.costs, report.costs.with_columns(**other)]),
        comparison=pl.concat([report.comparison, report.comparison.with_columns(**other)]),
    )
    rows = summary_rows(several)
    assert max(Counter((section, name) for section, name, _ in rows).values()) == 1
    assert ("headline", "P&L at 1x costs (model / smoke / maintenance_replay)", "+$2,960") in rows


def test_every_criterion_is_listed_with_its_verdict_and_reason(report: Report, html: str) -> None:
    table = html[html.index("<h2>Gates") : html.index("<h2>Lineage")]
    assert table.count("<tr>") == report.gates.height + 1
    assert "insufficient_observation: 12 of 60 days" in table
    assert '<td class="insufficient">insufficient</td>' in table
    assert '<td class="number">2,340</td>' in table


def test_synthetic_bars_are_announced_and_real_ones_are_not(report: Report, html: str) -> None:
    assert "The bars are synthetic" in html
    assert "correlation of 0.2" in html
    assert "synthetic" not in page(replace(report, planted_predictability=None, data_source="local"))


def test_lineage_says_what_an_id_stands_for(html: str) -> None:
    assert "<td>ab12</td><td>bars, features</td><td>config_digest: 9f3</td>" in html


def test_hostile_strings_are_escaped_everywhere(report: Report, html: str) -> None:
    words = pl.lit(HOSTILE)
    hostile = replace(
        report,
        month=HOSTILE,
        profile=HOSTILE,
        symbols=[HOSTILE],
        data_source=HOSTILE,
        quality=report.quality.with_columns(verdict=pl.lit("quarantined"), reason=words),
        forecasts=frames.forecasts(["A"]).with_columns(symbol=words, calibration=words, score_source=words),
        bars=frames.bars(["A"]).with_columns(symbol=words),
        diagnostics=report.diagnostics.with_columns(score_source=words),
        portfolio=report.portfolio.with_columns(run_source=words),
        gates=report.gates.with_columns(gate=words, reason=words),
        lineage=[Lineage(lineage_id=HOSTILE, tables=[HOSTILE], stands_for={HOSTILE: HOSTILE})],
    )
    parsed = _Page(page(hostile))
    assert not parsed.open
    assert Counter(tag for tag, _ in parsed.elements)["script"] == 0
    assert sum(HOSTILE in text for text in parsed.texts) > 20


def test_empty_frames_give_a_page_that_says_so(nothing: Report) -> None:
    empty = page(nothing)
    assert re.findall("<h2>(.*?)</h2>", empty) == SECTIONS
    assert empty.count(">no rows<") >= 8
    assert ("gates", "verdicts", "no rows") in summary_rows(nothing)
    assert ("about", "period", "no session") in summary_rows(nothing)


def test_the_same_report_gives_the_same_bytes_whatever_the_order_of_rows(report: Report, html: str) -> None:
    names = ("quality", "forecasts", "bars", "diagnostics", "reliability", "portfolio", "costs", "gates")
    assert page(replace(report, **{name: getattr(report, name).reverse() for name in names})) == html


@pytest.mark.parametrize("part", ["quality", "day_bars", "fan", "coverage", "pnl", "strip", "_faults", "_gate_table"])
def test_a_part_that_fails_is_a_sentence_and_leaves_every_other_part_there(
    report: Report, html: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("planted")

    monkeypatch.setattr(f"timegpt_assets.reports.page.{part}", planted)
    broken = page(report)
    assert broken.count('class="notice"') == html.count('class="notice"') + 1
    assert [name for name in SECTIONS if f"<h2>{name}</h2>" not in broken] == []
    assert "could not be" in broken


def test_a_long_table_is_cut_and_says_so(report: Report) -> None:
    symbols = [f"S{n:03}" for n in range(300)]
    days = frames.sessions(3)
    long = frames.quality(symbols, days).with_columns(verdict=pl.lit("no_data"))
    html = page(replace(report, quality=long, gates=frames.gates(symbols)))
    assert "The first 500 of 900 rows." in html
    assert html.count("<td>no_data</td>") == 500
    assert len(html) < 4_000_000

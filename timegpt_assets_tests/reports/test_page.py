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
from timegpt_assets.core.tables.research import TRADING_GRID
from timegpt_assets.reports.figures import Asked, Lineage, Report, Setting, summary_rows
from timegpt_assets.reports.headline import headline
from timegpt_assets.reports.markdown import plain, report_text, robustness_text
from timegpt_assets.reports.page import page
from timegpt_assets_tests.reports.pictures import frames

SYMBOLS = ["AAPL", "MSFT"]
DAYS = frames.sessions(6)
HOSTILE = "<script src=//evil>\"'&</td>"
SECTIONS = [
    "Money", "Trades", "Why forecasts were not traded", "Forecasters side by side", "Symbols side by side",
    "Calibration", "Gates", "Data quality", "Budget", "Where it comes from",
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
        if tag not in ("meta", "img", "input"):
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
        book_costs=frames.costs().with_columns(book=pl.lit("timegpt")),
        funnel=frames.funnel(DAYS),
        trading=frames.trading(SYMBOLS),
        drift=frames.drift(),
        widths=frames.widths(),
        requests=[("timegpt", 30)],
        price_per_call=0.02,
        limits=[("limit of a run", "25 calls")],
        settings=[Setting(key="forecast.api_budget.account", value="[REDACTED]", origin="configs/forecast.yaml")],
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


def test_the_page_is_one_file_that_names_no_address_to_fetch_from(html: str) -> None:
    parsed = _Page(html)
    assert not parsed.open
    assert not {"link", "iframe", "object"} & {tag for tag, _ in parsed.elements}
    assert not [attrs for tag, attrs in parsed.elements if tag == "script" and "src" in attrs]
    places = [value or "" for _, attrs in parsed.elements for name, value in attrs.items() if name in ("src", "href")]
    assert {place.partition(",")[0] for place in places if not place.startswith("#")} == {"data:image/png;base64"}
    assert {f"#{name}" for name in re.findall('<section id="([^"]+)"', html)} == {p for p in places if p[:1] == "#"}
    bare = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"https?:|//[a-z]|@import|\bon\w+=", re.sub(r"data:image/png;base64,[^\"]*", "", bare))


def test_the_page_has_every_section_and_its_pictures_with_words_for_who_cannot_see_them(html: str) -> None:
    assert re.findall("<h2>(.*?)</h2>", html) == SECTIONS
    assert html.count("<svg role") == 13
    assert html.count("<img alt=") == 1
    assert len(re.findall(r'(?:aria-label|alt)="[a-z][^"]+: [^"]+"', html)) == 14
    texts = _Page(html).texts
    assert any("outcomes inside the 80 % band" in text for text in texts)
    assert any("admitted trades over 6 sessions" in text for text in texts)
    assert len(html) < 2_000_000


def test_every_figure_of_the_summary_stands_in_the_robustness_report(report: Report) -> None:
    text = robustness_text(report, grid=TRADING_GRID.empty, board=pl.DataFrame)
    shown = [(name, value) for section, name, value in summary_rows(report) if section == "headline"]
    assert len(shown) > 15
    for name, value in shown:
        assert re.search(rf"^\| {re.escape(plain(name))} +\| {re.escape(plain(value))} +\|$", text, flags=re.MULTILINE)


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


def test_every_criterion_is_listed_behind_its_gate_what_is_not_passed_first(report: Report, html: str) -> None:
    part = html[html.index("<h2>Gates") : html.index("<h2>Data quality")]
    gates = report.gates["gate"].n_unique()
    assert part.count("<tr>") == report.gates.height + gates
    summaries = re.findall('<summary class="([a-z]+)">(.*?)</summary>', part)
    assert [tone for tone, _ in summaries] == ["passed", "failed", "insufficient"]
    assert [text for _, text in summaries] == [
        "forecast_gate: 6 of 6 passed",
        "promotion: 0 of 1 passed; first prod_rows: ",
        "trading_gate: 1 of 2 passed; first sharpe_daily: insufficient_observation: 12 of 60 days",
    ]
    assert "insufficient_observation: 12 of 60 days" in part
    assert '<td class="insufficient">insufficient</td>' in part
    assert '<td class="number">2,340</td>' in part


def test_synthetic_bars_are_announced_and_real_ones_are_not(report: Report, html: str) -> None:
    assert "The bars are synthetic" in html
    assert "correlation of 0.2" in html
    assert "synthetic" not in page(replace(report, planted_predictability=None, data_source="local"))


def test_lineage_says_what_an_id_stands_for(html: str) -> None:
    assert "<td>ab12</td><td>bars, features</td><td>config_digest: 9f3</td>" in html
    assert "<td>[REDACTED]</td>" in html


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
    assert Counter(tag for tag, _ in parsed.elements)["script"] == 3
    assert sum(HOSTILE in text for text in parsed.texts) > 20
    for text in (report_text(hostile), robustness_text(hostile, grid=TRADING_GRID.empty, board=pl.DataFrame)):
        assert "<script" not in text.replace(r"\<script", "")


def test_empty_frames_give_a_page_that_says_so(nothing: Report) -> None:
    empty = page(nothing)
    assert re.findall("<h2>(.*?)</h2>", empty) == SECTIONS
    assert empty.count(">no rows<") >= 6
    assert "Nothing can be said of 2024-03: no forecast has met its outcome yet." in empty
    assert "no rows" in report_text(nothing)
    assert ("gates", "verdicts", "no rows") in summary_rows(nothing)
    assert ("about", "period", "no session") in summary_rows(nothing)


def test_the_same_report_gives_the_same_bytes_whatever_the_order_of_rows(report: Report, html: str) -> None:
    names = ("quality", "forecasts", "bars", "diagnostics", "reliability", "portfolio", "costs", "gates")
    assert page(replace(report, **{name: getattr(report, name).reverse() for name in names})) == html


PARTS = (
    "quality", "day_bars", "fan", "coverage", "pnl", "equity", "lights", "rows.faults", "rows.gates", "rows.trades",
    "rows.funnel", "rows.forecasters", "rows.symbols", "rows.budget", "first.headline", "first.cards",
)  # fmt: skip


@pytest.mark.parametrize("broken", [PARTS[::2], PARTS[1::2]])
def test_parts_that_fail_are_sentences_and_leave_every_other_part_there(
    report: Report, html: str, broken: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("planted")

    for part in broken:
        monkeypatch.setattr(f"timegpt_assets.reports.page.{part}", planted)
    found = page(report)
    assert found.count('class="notice"') == html.count('class="notice"') + len(broken)
    assert re.findall("<h2>(.*?)</h2>", found) == SECTIONS
    assert found.count("could not be") == len(broken)


def test_a_long_table_is_cut_and_says_so(report: Report) -> None:
    symbols = [f"S{n:03}" for n in range(300)]
    days = frames.sessions(3)
    long = frames.quality(symbols, days).with_columns(verdict=pl.lit("no_data"))
    html = page(replace(report, quality=long, gates=frames.gates(symbols)))
    assert "The first 300 of 900 rows." in html
    assert html.count("<td>no_data</td>") == 300
    assert "The first 150 of 900 rows." in html


@pytest.mark.whole
def test_five_hundred_symbols_of_a_year_fit_a_page_and_what_is_cut_is_said(report: Report) -> None:
    symbols, days = [f"S{n:03}" for n in range(500)], frames.sessions(25)
    many = replace(
        report,
        symbols=symbols,
        days=days,
        quality=frames.quality(symbols, days),
        forecasts=frames.forecasts(symbols[:60]),
        bars=frames.bars(symbols[:60]),
        diagnostics=frames.diagnostics(symbols),
        portfolio=frames.portfolio(symbols, days),
        books=frames.books(symbols, days),
        trading=frames.trading(symbols),
        gates=frames.gates(symbols),
        gate_history=frames.gates(symbols),
    )
    html = page(many)
    assert len(html.encode()) < 2_000_000
    assert "could not be" not in html
    for cut in ("52 further symbols not drawn", "the 80 of 500 symbols", "The first 300 of", "485 further symbols"):
        assert cut in html
    assert "500 symbols: S000, S001" in html
    assert "and 488 more" in html


def test_one_symbol_and_one_session_make_a_page_that_claims_nothing(report: Report) -> None:
    day, drift = DAYS[0], frames.drift().filter(day=DAYS[0]).with_columns(alarm=False)
    one = replace(
        report,
        symbols=["AAPL"],
        days=[day],
        quality=frames.quality(["AAPL"], [day]),
        forecasts=frames.forecasts(["AAPL"]).head(1),
        drift=drift,
        portfolio=PORTFOLIO.empty(),
        books=PORTFOLIO.empty(),
        costs=frames.costs().with_columns(trades=0, observation_days=1, sharpe_daily=None, net_pnl=0.0),
        comparison=report.comparison.clear(),
        diagnostics=report.diagnostics.with_columns(
            pl.lit(None, pl.Float64).alias(name) for name in ("coverage_80_day_low", "rmae_low")
        ),
    )
    html = page(one)
    assert html.count("no interval; ") == 2
    assert "Too early for a verdict: 1 of 60 sessions are there and 1 of 1,000 forecasts of each symbol." in html
    assert "Rests on 1 scored forecast and 0 trades of timegpt over 1 session" in html
    assert "Coverage on 1 session: too little to say anything of it" in html
    assert "No trade was admitted in these sessions." in html
    assert "promise all month" not in html
    assert "could not be" not in html


ENOUGH = Asked(sessions=1, forecasts=1)


def test_with_enough_seen_the_verdict_says_what_the_money_the_bands_and_the_gates_say(report: Report) -> None:
    judged = replace(report, asked=ENOUGH)
    found = headline(judged)
    assert found.tone == "bad"
    assert found.sentence == (
        "Do not trade this: it is not shown to earn or to lose: +$2,960 after costs [-$300, +$6,000] on 31 trades; "
        "its 80 % band held 79.6% of outcomes [77.6%, 82.6%], as promised; 2 criteria are not passed, first "
        "promotion prod_rows."
    )
    surely = frames.costs().with_columns(net_pnl_low=10.0)
    assert "it earned +$2,960" in headline(replace(judged, costs=surely)).sentence
    losing = frames.costs().with_columns(net_pnl=-9.0, net_pnl_high=-1.0)
    assert "it lost: -$9" in headline(replace(judged, costs=losing)).sentence
    narrow = report.diagnostics.with_columns(coverage_80_day_high=pl.lit(0.7), coverage_80=pl.lit(0.65))
    assert "less than promised" in headline(replace(judged, diagnostics=narrow)).sentence
    passed = report.gates.with_columns(passed=pl.lit(True))
    assert headline(replace(judged, gates=passed)).tone == "good"


def test_a_month_without_a_trade_says_at_which_rule_forecasts_fell(report: Report) -> None:
    idle = replace(report, asked=ENOUGH, costs=frames.costs().with_columns(trades=0))
    told = "nothing was traded: 42 of 60 forecasts fell at no_direction (the rule set asks for neither side)"
    assert told in headline(idle).sentence
    html = page(idle)
    texts = [text.strip() for text in _Page(html).texts if text.strip()]
    meaning = "the rule set asks for neither side"
    assert texts[texts.index("no direction") :][:6] == ["no direction", meaning, "42", "70%", "60", "100%"]
    assert "Of timegpt, nothing was traded" in page(replace(idle, portfolio=PORTFOLIO.empty()))
    assert "no_direction" in report_text(idle)


def test_a_challenger_that_is_missing_leaves_the_others_side_by_side(report: Report) -> None:
    lone = replace(report, comparison=report.comparison.filter(forecaster="size"), book_costs=report.book_costs.clear())
    html = page(lone)
    assert "could not be" not in html
    assert "<td>timegpt (champion)</td>" in html
    assert "<td>ridge</td>" in html


def test_the_robustness_report_has_what_was_asked_of_it(report: Report) -> None:
    text = robustness_text(report, grid=TRADING_GRID.empty, board=pl.DataFrame)
    headings = re.findall("^## (.*)$", text, flags=re.MULTILINE)
    assert headings == [
        "Key figures", "All figures", "Best of the trading grid", "Best of the forecast grid", "Costs", "Gates",
        "Calibration", "Budget", "Data quality", "Settings",
    ]  # fmt: skip
    assert "None is there: timegpt-assets sweep makes one." in text
    assert r"| forecast.api_budget.account" in text
    assert r"\[REDACTED\]" in text
    assert re.search(r"^\| requests of timegpt +\| 30, USD 0.60", text, flags=re.MULTILINE)
    assert re.search(r"^\| 1.5 +\| 31 ", text, flags=re.MULTILINE)

    def damaged() -> pl.DataFrame:
        raise pl.exceptions.ComputeError("planted")

    told = robustness_text(report, grid=damaged, board=damaged)
    assert told.count("this part could not be made (ComputeError)") == 2
    assert re.findall("^## (.*)$", told, flags=re.MULTILINE) == headings

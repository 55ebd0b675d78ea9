"""Files in the shapes people really have, each with what must come of it: these bars, or this refusal."""

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import timegpt_assets_tests
from timegpt_assets.adapters.market.market_data import LocalMarketData
from timegpt_assets.adapters.market.vendor_bars import Imported, Importer
from timegpt_assets.adapters.market.vendor_files import files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.cli import app as cli
from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.findings import Said

ARCHIVE = Path(timegpt_assets_tests.__file__).parent / "vendor_cases" / "files.tar.xz"
FOUR = (date(2025, 1, 2), date(2025, 1, 7))
JULY = (date(2025, 7, 7), date(2025, 7, 10))
BARS = {"AAPL": 1560}
EDGES = {"AAPL": (139.96, 141.04)}
"""First and last close of the first file's walk over FOUR."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """``said``: the options; ``rows``: symbol -> session rows stored; ``edges``: symbol -> first and last close.

    ``refused``: what the refusal says, of every file; ``told``: what a finding or a count says.
    """

    said: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=lambda: BARS)
    edges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    days: tuple[date, date] = FOUR
    refused: str = ""
    told: str = ""


NEW_YORK = {"timezone": "America/New_York"}
NEW_YORK_FOUND = "zone: America/New_York; volume begins and ends with the New York session"
CASES: Mapping[str, Case] = {
    "01-ibkr-zone-name": Case(edges=EDGES, told="US/Eastern"),
    "02b-space-after-comma": Case(said=NEW_YORK, edges=EDGES),
    "03-tradingview-names": Case(rows={"AAPL": 1560, "MSFT": 1560, "BATS": 0}),
    "04-class-share-file-names": Case(rows={"BRK.A": 1560, "BRK.B": 1560, "BRK": 0}),
    "05-alphavantage-names": Case(said=NEW_YORK, rows={"IBM": 1560, "MSFT": 1560, "INTRADAY": 0}),
    "06-databento-fixed-point": Case(edges=EDGES, told="whole numbers of 1e-9 USD"),
    "07-postgres-short-offset": Case(edges=EDGES),
    "08-fourteen-digit-stamp": Case(said=NEW_YORK, edges=EDGES, told="dates and times of 14 digits"),
    "08b-twelve-digit-stamp": Case(edges=EDGES, told="dates and times of 12 digits"),
    "09-decimal-comma": Case(said=NEW_YORK, edges=EDGES, told="decimals: behind a comma"),
    "10-thousands-separator": Case(edges=EDGES, told="the commas of 61,672 group thousands"),
    "11-day-first": Case(said=NEW_YORK, days=(date(2025, 1, 2), date(2025, 1, 13)), rows={"AAPL": 2730},
                         told="dates: day first; 1 of 7 dates have a first number above 12"),
    "12-firstrate-no-header": Case(edges=EDGES, told="format: firstrate"),
    "14-naive-new-york-extended-hours": Case(days=JULY, told="zone: America/New_York; all rows lie between 04:00"),
    "15-stooq": Case(edges=EDGES, told="AAPL.US is AAPL"),
    "16-daily-file": Case(rows={"AAPL": 0}, refused="holds no times of day"),
    "18b-yfinance-history": Case(edges=EDGES, told="format: yfinance"),
    "19-pandas-unnamed-index": Case(rows={"AAPL": 1560, "MSFT": 1560}),
    "20-bom-gz": Case(edges=EDGES),
    "21-mixed-offsets": Case(days=(date(2025, 3, 6), date(2025, 3, 12)), rows={"AAPL": 1950}),
    "22b-start-stamps-said-end": Case(said={"stamp": "end"}, rows={"AAPL": 0},
                                      refused="--stamp end is contradicted by its bars.*Say --stamp start"),
    "23-barchart-footer": Case(edges=EDGES, told="Downloaded from Barchart"),
    "24-trailing-comma": Case(edges=EDGES),
    "25-integer-stamp-parquet": Case(edges=EDGES),
    "26-excel-scientific": Case(rows={"AAPL": 0}, refused="rounded by a spreadsheet"),
    "27-tickers": Case(rows={"NA": 1560, "TRUE": 1560, "BRK.B": 1560}),
    "28-mac-zip": Case(edges=EDGES),
    "29-lean": Case(days=(date(2025, 1, 2), date(2025, 1, 2)), rows={"AAPL": 390}, told="whole numbers of 1e-4 USD"),
    "32-bars-before-2000": Case(said=NEW_YORK, days=(date(2000, 1, 3), date(2000, 1, 4)), rows={"IBM": 780},
                                told="780 outside the calendar"),
    "33-one-bad-epoch": Case(edges=EDGES, told="2 without a time"),
    "34-bad-high-print": Case(edges=EDGES),
    "35b-level-1e9": Case(rows={"AAPL": 0}, refused="two units in one file"),
    "35c-level-100": Case(),
    "38-eodhd": Case(edges=EDGES, told="'Timestamp'; it says its zone"),
    **{f"39{letter}-stamp-forms": Case(edges=EDGES) for letter in "abcdegi"},
    "40-unfinished-last-bar": Case(edges=EDGES),
    "41-date-time-beside-timestamp": Case(days=JULY, told="'timestamp'; it says its zone, 'date', 'time' do not"),
    "42-polygon-flat-file": Case(days=(date(2025, 1, 2), date(2025, 1, 2)), rows={"AAPL": 390, "MSFT": 390}),
    "44-databento-zst": Case(edges=EDGES),
    "45-zip": Case(days=(date(2025, 1, 2), date(2025, 1, 2)), rows={"AAPL": 0}, told="format: polygon"),
    "48-five-minute-bars": Case(rows={"AAPL": 0}, refused="bars of 5 minutes"),
}  # fmt: skip
WITHOUT_A_WORD = ("02b-space-after-comma", "08-fourteen-digit-stamp", "09-decimal-comma", "11-day-first",
                  "32-bars-before-2000")  # fmt: skip
"""Cases whose options the bars make unnecessary."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vendor_cases")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def words(told: Imported) -> str:
    counts = (f"{count:,} {reason}" for reason, count in told.left_out.items())
    return "\n".join([*map(str, told.findings), *counts])


def stored(root: Path, symbol: str, days: tuple[date, date]) -> pl.DataFrame:
    """Return the session's rows of a symbol, as a run would read them."""
    sessions = calendar.sessions(*days)
    if not root.exists():
        return pl.DataFrame()
    found = LocalMarketData(root).delivery([symbol], [session.day for session in sessions])
    assert found.faults.is_empty()
    inside = pl.any_horizontal(pl.col("ts").is_between(s.open, s.close, closed="left") for s in sessions)
    return found.bars.filter(inside).sort("ts")


def judged(cases: Path, root: Path, name: str, said: Mapping[str, Any]) -> list[Imported]:
    importer = Importer(objects=LocalStore(root), said=Said(**said))
    return [importer.imported(file) for file in files(cases / name / "input")]


def test_every_case_has_its_right_result_written_down(cases: Path) -> None:
    assert sorted(path.name for path in cases.iterdir()) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_file_as_people_have_it_gives_its_bars_or_is_refused_with_the_remedy(
    cases: Path, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    told = judged(cases, tmp_path / "root", name, case.said)
    check(tmp_path / "root", case, told)


@pytest.mark.parametrize("name", WITHOUT_A_WORD)
def test_what_the_bars_show_by_themselves_need_not_be_said(cases: Path, tmp_path: Path, name: str) -> None:
    told = judged(cases, tmp_path / "root", name, {})
    check(tmp_path / "root", CASES[name], told)
    assert "zone: America/New_York; volume begins" in words(told[0])


def check(root: Path, case: Case, told: list[Imported]) -> None:
    assert [bool(one.wrong) for one in told] == [bool(case.refused)] * len(told), told
    for symbol, rows in case.rows.items():
        bars = stored(root, symbol, case.days)
        assert bars.height == rows, symbol
        if symbol in case.edges:
            assert (bars["close"][0], bars["close"][-1]) == case.edges[symbol]
    if case.refused:
        assert told[0].wrong
        assert pl.Series([told[0].wrong]).str.contains(case.refused).all(), told[0].wrong
        assert not root.exists(), "a refused file has written nothing"
    if case.told:
        assert case.told in "\n".join(words(one) for one in told)


def test_the_finished_bar_counts_whichever_download_comes_first(cases: Path, tmp_path: Path) -> None:
    noon, full = files(cases / "40-unfinished-last-bar" / "input")
    importer = Importer(objects=LocalStore(tmp_path / "root"))
    told = [importer.imported(file) for file in (full, noon)]
    assert told[1].left_out == {"unfinished, the stored bar is later": 1}
    assert stored(tmp_path / "root", "AAPL", FOUR)["close"][-1] == 141.04
    noon_bar = stored(tmp_path / "root", "AAPL", FOUR).filter(pl.col("volume") == 0)
    assert noon_bar.is_empty()


@pytest.mark.parametrize(
    ("name", "options", "code", "said"),
    [
        ("01-ibkr-zone-name", [], 0, "4"),
        ("14-naive-new-york-extended-hours", [], 0, "inferred: zone: America/New_York"),
        ("16-daily-file", [], 1, "holds no times of day"),
        ("22b-start-stamps-said-end", ["--stamp", "end"], 1, "--stamp end is contradicted"),
        ("14-naive-new-york-extended-hours", ["--timezone", "UTC"], 1, "is contradicted"),
        ("45-zip", [], 4, "0 of 390 minutes"),
    ],
)
def test_the_verb_exits_as_a_user_would_judge(
    cases: Path, tmp_path: Path, name: str, options: list[str], code: int, said: str
) -> None:
    command = ["import-bars", str(cases / name / "input"), "--into", str(tmp_path / "root"), "--profile", "dev"]
    done = CliRunner().invoke(cli.app, [*command, *options], env={"COLUMNS": "300"})
    assert done.exit_code == code, done.output
    assert said in done.output

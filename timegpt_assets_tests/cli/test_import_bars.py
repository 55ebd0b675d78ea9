"""The verb import-bars as a person meets it: looking first, a remedy that works, JSON for scripts."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.cli import app as cli
from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.understand import BARS
from timegpt_assets_tests.vendor_writers import OHLCV, PRICES, local, shares, written

DAYS = tuple(s.day for s in calendar.sessions(date(2025, 3, 4), date(2025, 3, 4)))
"""One session whose date can be read either way."""


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return SyntheticMarket(symbols=("AAPL",)).bars(("AAPL",), DAYS).select(BARS.names()).sort("ts")


def run(folder: Path, *options: str) -> Result:
    command = ["import-bars", str(folder / "in"), "--into", str(folder / "root"), "--profile", "dev", *options]
    return CliRunner().invoke(cli.app, command, env={"COLUMNS": "250"})


def midday(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the hour after noon, whose edges tell nothing."""
    return bars.filter(pl.col("ts").dt.hour() == 17)


ISO, NAIVE = local("%Y-%m-%dT%H:%M:%SZ", zone="UTC"), local("%Y-%m-%d %H:%M:%S")
Change = Callable[[pl.DataFrame], pl.DataFrame]


def frame(stamp: pl.Expr, **columns: pl.Expr) -> Change:
    return lambda rows: shares(rows).select(stamp.alias("ts"), **{n: columns.get(n, pl.col(n)) for n in OHLCV})


def even_dollars(rows: pl.DataFrame) -> pl.DataFrame:
    dollars = {n: pl.lit(5_000) + 50 * pl.int_range(pl.len()) for n in PRICES}
    return frame(ISO, **dollars)(rows)


def in_thousands(rows: pl.DataFrame) -> pl.DataFrame:
    return frame(ISO, **{n: pl.lit("123,456") for n in PRICES}, volume=pl.lit("1,000"))(rows)


REMEDIES: dict[str, tuple[str, Change, str, tuple[str, ...]]] = {
    "zone": ("AAPL.csv", lambda b: frame(NAIVE)(midday(b)), "Say --timezone ZONE",
             ("--timezone", "America/New_York", "--stamp", "start")),
    "end of the minute": ("AAPL.csv", lambda b: frame(ISO)(midday(b)), "Say --stamp start", ("--stamp", "start")),
    "day or month": ("AAPL.csv", frame(local("%m/%d/%Y %H:%M")), "Say --date-order mdy", ("--date-order", "mdy")),
    "ticker": ("quotes.csv", frame(ISO), "with --symbol TICKER", ("--symbol", "AAPL")),
    "ticker by a map": ("quotes.csv", frame(ISO), "with --symbol TICKER", ("--symbol-map", "{map}")),
    "columns": ("AAPL.csv", lambda b: frame(ISO)(b).rename({"ts": "Zeit"}), "--columns ts=NAME",
                ("--columns", "ts=Zeit")),
    "price unit": ("AAPL.csv", even_dollars, "Say --price-scale", ("--price-scale", "1")),
    "decimals": ("AAPL.csv", in_thousands, "Say --decimal point or", ("--decimal", "comma")),
    "interval": ("AAPL.csv", lambda b: frame(ISO)(b.gather_every(5)), "say --interval 1m",
                 ("--interval", "1m", "--stamp", "start")),
    "volume": ("AAPL.csv", lambda b: frame(ISO, volume=pl.lit(0))(b).with_columns(pl.lit(9).alias("Stück")),
               "--columns volume=NAME", ("--columns", "volume=Stück")),
    "rows": ("AAPL.csv", frame(ISO), "", ("--set", "importing.max_rows=1000")),
}  # fmt: skip


@pytest.mark.parametrize("name", REMEDIES)
def test_the_remedy_that_a_refusal_names_works(bars: pl.DataFrame, tmp_path: Path, name: str) -> None:
    file, change, remedy, options = REMEDIES[name]
    written(change(bars), tmp_path / "in" / file)
    (tmp_path / "map.csv").write_text("quotes,AAPL\n")
    before = run(tmp_path, *(["--set", "importing.max_rows=100"] if name == "rows" else []))
    assert before.exit_code == 1, before.output
    assert remedy in before.output
    assert not (tmp_path / "root").exists()
    after = run(tmp_path, *(option.format(map=tmp_path / "map.csv") for option in options))
    assert after.exit_code in (0, 4), after.output
    assert [path.name for path in (tmp_path / "root").rglob("*.parquet")] == ["AAPL_2025_03.parquet"]


def test_looking_shows_the_bars_and_every_inference_and_writes_nothing(bars: pl.DataFrame, tmp_path: Path) -> None:
    written(frame(NAIVE)(bars), tmp_path / "in" / "AAPL.csv")
    looked = run(tmp_path, "--look")
    assert looked.exit_code == 0, looked.output
    for question in ("format", "stamps", "ticker", "interval", "zone", "stamps name", "prices", "volume"):
        assert f"inferred: {question}: " in looked.output
    assert "2025-03-04 14:30 UTC" in looked.output
    assert "nothing was written" in looked.output
    assert not (tmp_path / "root").exists()
    (tmp_path / "in" / "BAD.csv").write_text("a,b\n1,2\n")
    assert run(tmp_path, "--look").exit_code == 1


def test_json_gives_scripts_the_findings_of_each_file_and_its_first_rows(bars: pl.DataFrame, tmp_path: Path) -> None:
    written(frame(ISO)(bars), tmp_path / "in" / "AAPL.csv")
    found = json.loads(run(tmp_path, "--look", "--json").stdout)
    (file,) = found["files"]
    assert {f["question"]: f["answer"] for f in file["findings"]}["stamps name"] == "the start of the minute"
    assert [row["ts"][:16] for row in file["first_rows"][:2]] == ["2025-03-04T14:30", "2025-03-04T14:31"]
    stored = json.loads(run(tmp_path, "--json").stdout)
    assert (stored["files"][0]["new"], stored["verdicts"][0]["ok"]) == (390, 1)


def test_a_map_that_is_none_and_words_that_are_none_are_told(bars: pl.DataFrame, tmp_path: Path) -> None:
    written(frame(ISO)(bars), tmp_path / "in" / "AAPL.csv")
    (tmp_path / "map.csv").write_text("quotes;AAPL\n")
    told = run(tmp_path, "--symbol-map", str(tmp_path / "map.csv"))
    assert told.exit_code == 1
    assert "is no pair. Write their ticker, a comma, our ticker." in told.output
    for options, words in (
        (("--format", "bloomberg"), "--format bloomberg is unknown. Write one of alpaca"),
        (("--timezone", "Mars"), "no zone of the IANA database"),
        (("--columns", "when=ts"), "--columns names 'when'"),
        (("--columns", "ts,open"), "high, low, close, volume is not named"),
        (("--format", "ibkr", "--columns", "ts=ts"), "Leave one of them out"),
    ):
        assert words in run(tmp_path, *options).output, options

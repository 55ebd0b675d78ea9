"""Files of names: what is refused, by its line and with a remedy that works, and what those that are shipped hold."""

import textwrap
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.news.aliases import AliasFileError, aliases, names
from timegpt_assets.core.news.directory import ALIASES
from timegpt_assets_tests.core.bars.bars_factory import REAL_DATA, needs_real_data
from timegpt_assets_tests.core.news.linking import DAY, links, shipped, shipped_rows
from timegpt_assets_tests.project import PROJECT

HEAD = "name,ticker,from,to\n"
BAD = {
    "Acme,ACM,2018-02-30,": ("line 2: from is '2018-02-30', no date", "Acme,ACM,2018-02-28,"),
    "Acme,ACM,2019-01-01,2018-01-01": ("line 2 ends on 2018-01-01, before it begins", "Acme,ACM,2018-01-01,2019-01-01"),
    "Acme,,,": ("line 2 has no ticker", "Acme,ACM,,"),
    "...,ACM,,": ("line 2 has no name: '...'", "Acme,ACM,,"),
    "Acme, Inc.,ACM,,": ("line 2 has not as many cells", '"Acme, Inc.",ACM,,'),
    "Acme,ACM": ("line 2 has not as many cells", "Acme,ACM,,"),
    '"Acme,ACM,,': ("line 2 cannot be read", "Acme,ACM,,"),
    "# Acme\n\nAcme,ACM,,x": ("line 4: to is 'x'", "# Acme\n\nAcme,ACM,,"),
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Return what writes a text into a file of names."""

    def write(text: str) -> Path:
        path = tmp_path / "mine.csv"
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.parametrize("bad", BAD)
def test_a_row_that_says_too_little_is_refused_by_its_line_and_mended_it_is_read(written, bad):
    said, mended = BAD[bad]
    with pytest.raises(AliasFileError, match=said):
        aliases(written(HEAD + bad))
    assert links("Acme waits", directory=names(written(HEAD + mended), ()))


@pytest.mark.parametrize(
    ("head", "row", "said", "mended"),
    [
        ("name,ticker,from\n", "Acme,ACM,", "lacks to", (HEAD, "Acme,ACM,,")),
        ("name,ticker,from,to,nmae\n", "Acme,ACM,,,", "has 'nmae', which nobody reads", (HEAD, "Acme,ACM,,")),
        (HEAD[:-1] + ",kind\n", "Acme,ACM,,,nick", "'nick' is no kind. Choose name, alias", None),
        (HEAD[:-1] + ",kind\n", "Acme,ACM,,,not", "is of kind not and has a ticker", None),
        (HEAD[:-1] + ",care\n", "Acme,ACM,,,much", "'much' is no care. Choose proper, word, whole", None),
    ],
)
def test_columns_kinds_and_cares_that_nobody_knows_are_refused(written, head, row, said, mended):
    with pytest.raises(AliasFileError, match=said):
        aliases(written(head + row))
    assert aliases(written("".join(mended) if mended else head + "Acme,ACM,,,")).height == 1


def test_a_file_that_is_none_or_no_text_names_the_setting(tmp_path, written):
    with pytest.raises(AliasFileError, match=r"nowhere.csv is no file. Set news.aliases_path"):
        aliases(tmp_path / "nowhere.csv")
    path = written("")
    path.write_bytes(b"name,ticker,from,to\n\xff\xfe,ACM,,\n")
    with pytest.raises(AliasFileError, match="Save it as UTF-8"):
        aliases(path)
    with pytest.raises(AliasFileError, match="lacks name, ticker, from, to"):
        aliases(written(""))


def test_a_mark_at_its_head_and_quotes_in_comments_are_no_names(written):
    text = '\ufeff# "not a quote that ends\n' + HEAD + "# Acme's\nAcme,ACM,2018-01-01,\n"
    assert aliases(written(text)).rows() == [
        ("Acme", "ACM", *pl.Series(["2018-01-01"]).str.to_date(), None, "alias", "")
    ]


def test_what_is_shipped_is_sorted_by_company_and_says_nothing_twice():
    rows = shipped_rows()
    assert rows.schema == ALIASES
    again = rows.filter(rows.is_duplicated())
    assert again.is_empty(), again
    first = rows.filter(kind="name").group_by("ticker").len().filter(pl.col("len") > 1)["ticker"].to_list()
    for company in first:  # two first names are of two times
        dated = rows.filter(pl.col("ticker") == company, kind="name").sort("from", nulls_last=False)
        assert (dated["from"].shift(-1) > dated["to"]).drop_nulls().all(), company


@needs_real_data
@pytest.mark.parametrize(("bars", "day"), [("us_large_cap_2018", DAY), ("mag7_spy_2025", date(2025, 1, 15))])
def test_every_symbol_of_a_bar_set_has_a_name_on_its_days(bars, day):
    symbols = {path.name for path in (Path(REAL_DATA) / bars / "stocks" / "1m").iterdir()}
    gone = {"CPN": date(2018, 3, 8), "JUNO": date(2018, 3, 5)}  # taken over while the bars go on
    for symbol in symbols:
        known = shipped().as_of(min(day, gone.get(symbol, day)))
        assert any(company in known.called for company in known.tickers[symbol]), symbol


def test_the_file_of_the_how_to_does_what_it_says(written):
    page = (PROJECT / "docs" / "how-to" / "name-companies-in-the-news.md").read_text()
    example = textwrap.dedent(page.split("```")[1]).strip()
    mine = names(written(example), ())
    assert links("Who owns the big blue box", directory=mine, day=date(2018, 5, 1)) == {"FB": "alias"}
    assert links("Acme Rockets lands", directory=mine, day=date(2024, 3, 1)) == {"ACMR": "alias"}
    rows = [row for row in page.split("`") if row.count(",") == 5 and "\n" not in row]
    assert len(rows) == 4
    assert aliases(written("\n".join(["name,ticker,from,to,kind,care", *rows]))).height == 4

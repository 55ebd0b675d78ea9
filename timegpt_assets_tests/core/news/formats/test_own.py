"""A user's own news, whatever it was exported by: what is taken for what, what is left out, and what is refused.

Guards against a file that is half read without a word.
"""

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.news.formats.own import tickers, told, understood
from timegpt_assets.core.news.formats.own_imports import Import, Reading, imported
from timegpt_assets.core.news.formats.unreadable import Unreadable

AT = datetime(2018, 3, 1, 14, 15, tzinfo=UTC)
ROWS = [
    {
        "published_at": "2018-03-01T14:15:00Z",
        "title": "Acme; up, 5%",
        "url": "https://n.example/1",
        "tickers": "AAPL, MSFT",
    },
    {"published_at": "2018-03-02T14:15:00Z", "title": 'He said "no"', "url": "", "tickers": ""},
]


def csv_of(separator: str = ",", **names: str) -> str:
    head = [names.get(name, name) for name in ROWS[0]]
    lines = [['"{}"'.format(cell.replace('"', '""')) for cell in row.values()] for row in ROWS]
    return "\n".join(separator.join(line) for line in [head, *lines]) + "\n"


def parquet(frame: pl.DataFrame) -> bytes:
    made = io.BytesIO()
    frame.write_parquet(made)
    return made.getvalue()


def moments(unit: Any) -> bytes:
    times = pl.Series([1519913700000, 1520000100000]).cast(pl.Datetime("ms")).cast(pl.Datetime(unit, "UTC"))
    return parquet(pl.DataFrame(ROWS).with_columns(published_at=times))


def numbers(factor: int) -> bytes:
    times = pl.Series([1519913700, 1520000100]) * factor
    return parquet(pl.DataFrame(ROWS).with_columns(published_at=times))


GERMAN = {"published_at": "Zeitpunkt", "title": "Überschrift", "url": "Link", "tickers": "Kürzel"}
BODIES: dict[str, bytes] = {
    "csv": csv_of().encode(),
    "csv with a mark and Windows lines": csv_of().replace("\n", "\r\n").encode("utf-8-sig"),
    "semicolons and German names": csv_of(";", **GERMAN).encode(),
    "semicolons after sep=": ("sep=;\r\n" + csv_of(";")).encode(),
    "tabs": csv_of("\t").encode(),
    "bars": csv_of("|").encode(),
    "utf-16": csv_of().encode("utf-16"),
    "JSON lines": "\n".join(map(json.dumps, ROWS)).encode(),
    "a JSON array": json.dumps(ROWS, indent=1).encode(),
    "a list inside an object": json.dumps({"status": "ok", "articles": ROWS}).encode(),
    "JSON lines with what no JSON has": "\n".join(map(json.dumps, ROWS)).replace("up", r"\up" + "\x01").encode(),
    "parquet of texts": parquet(pl.DataFrame(ROWS)),
    "parquet of lists": parquet(pl.DataFrame(ROWS).with_columns(pl.col("tickers").str.split(", "))),
    "parquet in ms": moments("ms"),
    "parquet in us": moments("us"),
    "parquet in ns": moments("ns"),
    "numbers of seconds": numbers(1),
    "numbers of ms": numbers(10**3),
    "numbers of us": numbers(10**6),
    "numbers of ns": numbers(10**9),
}


@pytest.mark.parametrize("name", BODIES)
def test_whatever_it_was_exported_by_it_tells_the_same(name: str) -> None:
    found = understood(BODIES[name], Reading())
    first, second = (event for _, event in found.events)
    assert (first.published_at, first.url, first.tickers) == (AT, "https://n.example/1", ("AAPL", "MSFT"))
    assert (first.title.replace("\x01", ""), second.title, second.url) == ("Acme; up, 5%", 'He said "no"', None)
    assert (found.rows, found.left_out) == (2, {})


def test_a_day_and_a_clock_beside_it_are_one_time() -> None:
    body = "Datum;Uhrzeit;Titel\n01.03.2018;15:15;Acme steigt\n02.03.2018;;Nur ein Tag\n"
    found = understood(body.encode(), Reading(zone="Europe/Berlin"))
    assert found.columns == {"date": "Datum", "clock": "Uhrzeit", "title": "Titel"}
    assert [(one.published_at, one.published_on) for _, one in found.events] == [(AT, None), (None, date(2018, 3, 2))]


@pytest.mark.parametrize("day", [date(2018, 3, 29), date(2018, 3, 30), date(2018, 3, 31)])
def test_a_date_alone_could_be_known_at_the_next_session_s_open(day: date) -> None:
    ((moment, event),) = understood(f"date,headline\n{day},Acme\n".encode(), Reading()).events
    assert moment == calendar.session(date(2018, 4, 2)).open
    assert (event.published_at, event.published_on) == (None, day)


def test_names_of_columns_that_are_said_count_before_those_that_are_known() -> None:
    body = b"ts,when,title,what\n2018-01-01T00:01Z,2018-03-01T14:15Z,x,Acme\n"
    found = understood(body, Reading(columns={"time": "when", "title": "what"}))
    assert found.events[0][1].title == "Acme"
    assert found.events[0][1].published_at == AT


def test_rows_that_tell_nothing_are_left_out_by_reason_with_their_lines() -> None:
    body = (
        "time,title\n2018-03-01T14:15Z,Acme\n,no time\nsoon,no time\n2018-03-01T14:15Z,\n"
        "2018-03-01T14:15Z,Acme, Inc\n2018-03-01T14:15Z\n1999-03-01T14:15Z,too old\n2055-01-01T14:15Z,too new\n\n"
    )
    found = understood(body.encode(), Reading())
    assert len(found.events) == 1
    assert found.left_out == {
        "not 2 fields, as the header has": [6, 7],
        "no time": [3],
        "a time nobody can read": [4],
        "no title": [5],
        "outside the calendar": [8, 9],
    }
    assert found.rows == 8


def test_a_line_that_is_no_json_object_is_left_out_with_its_number() -> None:
    body = b'{"time": "2018-03-01T14:15Z", "title": "Acme"}\n\n{"time": "2018-\n[1]\n'
    assert understood(body, Reading()).left_out == {"no JSON object": [3, 4]}


def test_five_hundred_times_the_same_are_five_hundred_rows() -> None:
    body = "time,title\n" + "2018-03-01T14:15Z,Acme\n" * 500
    assert len(understood(body.encode(), Reading()).events) == 500, "which are one event is said once, in normalise"


REFUSED: dict[str, tuple[bytes, str]] = {
    "no bytes": (b"", r"is empty\. Save the table of news itself, as text in UTF-8\.$"),
    "a page": (b"<!DOCTYPE html><html>", "is a page of HTML"),
    "another charset": (
        "time,title\n,Börse\n".encode("latin-1"),
        r"byte 13, line 2\. Save the table of news itself, as text in UTF-8\.$",
    ),
    "a spreadsheet": (b"PK\x03\x04 and more", "as archives and spreadsheets do. Export it again"),
    "zeros": ("time,title\n".encode("utf-16-le"), "it holds bytes of zero"),
    "half a parquet file": (BODIES["parquet in us"][:-9], "is no whole parquet file"),
    "a header alone": (b"time,title\n", "tells nothing: it has no rows"),
    "no title": (b"time,price\n2018-03-01T14:15Z,1\n", r"no column .* known as title\. Its columns are time, price\."),
    "no time": (b"title,price\nAcme,1\n", r"no column that is known as time\. .* --columns time=NAME,title=NAME\.$"),
    "no header": (b"2018-03-01T14:15Z,Acme\n", "no column that is known as title"),
    "a quote that swallows rows": (b'time,title\n,"Acme\n' + b",Acme\n" * 30 + b',Acme"\n', "in line 2: a quote that"),
    "a quote that never ends": (b'time,title\n,x\n,"Acme\n', r"in line 3: .*Double the quotes inside one\.$"),
    "nothing but bad rows": (b"time,title\nsoon,Acme\n", r"tells nothing: 1 rows have a time nobody .* \(line 2\)"),
    "no JSON": (b'{"a": [1, 2', "is no JSON"),
    "another JSON": (b"[1, 2]", "no column that is known as title. Its columns are none"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_understood_is_refused_with_what_helps(name: str) -> None:
    body, why = REFUSED[name]
    with pytest.raises(Unreadable, match=why) as refusal:
        understood(body, Reading())
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(("role", "name"), [("time", "Datum"), ("titel", "title")])
def test_a_column_that_is_said_and_not_there_is_refused(role: str, name: str) -> None:
    with pytest.raises(Unreadable, match=rf"{name!r}|{role!r}"):
        understood(BODIES["csv"], Reading(columns={role: name}))


TICKERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "signs": ("AAPL, MSFT;GOOG|F", ("AAPL", "MSFT", "GOOG", "F")),
    "blanks": ("AAPL MSFT", ("AAPL", "MSFT")),
    "a list": (["AAPL", "AAPL", "MSFT"], ("AAPL", "MSFT")),
    "a list as text": ("['AAPL', 'BRK-B']", ("AAPL", "BRK.B")),
    "exchanges": ("NASDAQ:AAPL, NYSE:BRK.B", ("AAPL", "BRK.B")),
    "cashtags": ("$AAPL $F", ("AAPL", "F")),
    "Bloomberg": ("AAPL US Equity", ("AAPL",)),
    "words": ("Apple and friends, all", ()),
    "nothing": (None, ()),
}


@pytest.mark.parametrize("name", TICKERS)
def test_a_cell_may_name_several_tickers_and_words_are_none(name: str) -> None:
    cell, named = TICKERS[name]
    assert tickers(cell) == named


def test_cells_without_a_ticker_are_told() -> None:
    assert understood(BODIES["csv"], Reading()).notes == ("1 events name no ticker in tickers",)


@given(
    st.text(min_size=1, max_size=20),
    st.builds(
        Reading,
        zone=st.none() | st.just("Europe/Berlin"),
        date_order=st.sampled_from([None, "mdy", "dmy"]),
        columns=st.dictionaries(st.sampled_from(["time", "title"]), st.text(min_size=1, max_size=9)),
    ),
    st.integers(0, 3),
)
def test_an_import_is_named_so_that_it_is_read_the_same_again(name: str, reading: Reading, instead: int) -> None:
    one = Import(
        name=name, first=date(2018, 3, 1), last=date(2018, 3, 2), reading=reading, content_hash="ab", instead=instead
    )
    assert imported(one.asked) == (None, one)
    assert imported(one.of(date(2018, 3, 2))) == (date(2018, 3, 2), one)


def taken(first: date, last: date) -> Import:
    return Import(name="x.csv", first=first, last=last, reading=Reading(zone="UTC"), content_hash="ab")


def test_a_session_is_told_what_could_be_known_in_its_window_and_no_session_is_told_everything() -> None:
    close = calendar.session(date(2018, 3, 29)).close
    body = f"time,title\n{close:%Y-%m-%d %H:%M},Thursday\n{close:%Y-%m-%d %H}:01,Monday\n2018-03-30,Friday\n".encode()
    one = taken(date(2018, 3, 29), date(2018, 4, 2))
    told_of: Callable[[date], list[str]] = lambda day: [t.title for t in told(body, asked=one.of(day))]  # noqa: E731
    assert told_of(date(2018, 3, 29)) == ["Thursday"]
    assert told_of(date(2018, 4, 2)) == ["Monday", "Friday"]
    assert told_of(date(2018, 4, 3)) == []
    assert len(told(body, asked=one.asked)) == 3

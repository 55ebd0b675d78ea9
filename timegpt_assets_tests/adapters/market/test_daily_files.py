"""VIX, the macro calendar and earnings dates from files: what they add, and what is refused by name."""

import os
from datetime import UTC, date, datetime, time
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.market.daily_files import DailyFileError, earnings, macro_events, vix_closes
from timegpt_assets.core.events import EventCalendar
from timegpt_assets_tests.core.bars.bars_factory import REAL_DATA, needs_real_data

OURS = EventCalendar({"event_cpi": (date(2025, 1, 15),)}, {"event_cpi": (datetime(2025, 1, 15, 13, 30, tzinfo=UTC),)})
MACRO = pl.DataFrame(
    {
        "date": [date(2025, 1, 29), date(2025, 1, 15), date(2025, 2, 12), date(2025, 2, 7)],
        "event": ["fomc_decision", "cpi", "cpi", "nfp"],
        "time_et": [time(14, 0), time(8, 30), None, time(8, 30)],
    }
)
REPORTS = pl.DataFrame(
    {
        "date": [date(2025, 1, 30), date(2025, 1, 31), date(2025, 2, 1)],
        "ticker": ["AAPL", "XOM", "BRK.B"],
        "timing": ["AMC", "BMO", "BMO"],
    }
)


@pytest.fixture(params=["csv", "parquet"])
def stored(request: pytest.FixtureRequest, tmp_path: Path):
    """Return the function that writes a frame as CSV or parquet and gives its path."""

    def write(frame: pl.DataFrame) -> Path:
        path = tmp_path / f"file.{request.param}"
        (frame.write_csv if request.param == "csv" else frame.write_parquet)(path)
        return path

    return write


def test_vix_is_read_sorted_whatever_else_the_file_holds(stored):
    frame = pl.DataFrame({"date": [date(2025, 1, 3), date(2025, 1, 2)], "open": [1.0, 2.0], "close": [17.5, 18.5]})
    assert vix_closes(stored(frame)).rows() == [(date(2025, 1, 2), 18.5), (date(2025, 1, 3), 17.5)]


def test_the_macro_calendar_adds_the_dates_and_times_of_the_events_asked_for(stored):
    names = {"event_fomc": "fomc_decision", "event_cpi": "cpi"}
    found = macro_events(stored(MACRO), names, OURS)
    assert found.days == {"event_cpi": (date(2025, 1, 15), date(2025, 2, 12)), "event_fomc": (date(2025, 1, 29),)}
    assert found.times["event_fomc"] == (datetime(2025, 1, 29, 19, 0, tzinfo=UTC),)
    assert found.times["event_cpi"] == OURS.times["event_cpi"], "a date that is there keeps its time; one has none"


def test_earnings_concern_their_day_and_after_the_close_the_next_session_too(stored):
    found = earnings(stored(REPORTS), OURS).symbols["event_earnings"]
    assert found["AAPL"] == (date(2025, 1, 30), date(2025, 1, 31))
    assert found["XOM"] == (date(2025, 1, 31),)
    assert found["BRK.B"] == (date(2025, 2, 3),), "a Saturday's report waits for Monday"


@pytest.mark.parametrize(
    ("read", "frame", "said"),
    [
        (vix_closes, pl.DataFrame({"day": ["x"], "close": [1.0]}), "has no column date; it has day, close"),
        (vix_closes, pl.DataFrame({"date": [date(2025, 1, 2)] * 2, "close": [1.0, 2.0]}), "holds a day twice"),
        (vix_closes, pl.DataFrame({"date": [date(2025, 1, 2)], "close": [0.0]}), "a close that is not positive"),
        (lambda p: macro_events(p, {"event_x": "x"}, OURS), MACRO, r"has no event x; it has cpi, fomc_decision, nfp"),
        (lambda p: earnings(p, OURS), MACRO, "has no column ticker"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_by_name(stored, read, frame: pl.DataFrame, said: str):
    path = stored(frame)
    with pytest.raises(DailyFileError, match=said) as error:
        read(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_absent_or_torn_is_refused_with_the_setting(tmp_path: Path):
    with pytest.raises(DailyFileError, match=r"is no file\. Set data.vix_path to the file, or to null"):
        vix_closes(tmp_path / "vix.parquet")
    torn = tmp_path / "vix.parquet"
    torn.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DailyFileError, match=r"cannot be read: .* Mend the file, or set data.vix_path to another"):
        vix_closes(torn)
    dates = tmp_path / "vix.csv"
    dates.write_text("date,close\n02.01.2025,17\n")
    with pytest.raises(DailyFileError, match="cannot be read"):
        vix_closes(dates)


@needs_real_data
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_real_calendar_agrees_with_the_configured_dates(suffix: str):
    from timegpt_assets.config import core_inputs
    from timegpt_assets.config.settings import load_settings

    settings = load_settings(profile="demo", config_dir=None, environment={})
    ours = core_inputs.event_calendar(settings)
    found = macro_events(Path(REAL_DATA) / "extras" / f"macro_events_us.{suffix}", settings.events.calendar_names, ours)
    for name, days in ours.days.items():
        own = {day for day in found.days[name] if day.year in (2018, 2024, 2025)}
        assert own == {day for day in days if day.year in (2018, 2024, 2025)}, name
    assert len(found.days["event_fomc"]) > 200
    extras = Path(REAL_DATA) / "extras"
    assert (date(2025, 1, 30)) in earnings(extras / "megacap_earnings_dates.csv", found).symbols["event_earnings"][
        "AAPL"
    ]
    assert vix_closes(extras / "vix_daily.parquet").height > 9_000


def test_a_name_is_no_pattern_and_a_pipe_is_refused(tmp_path):
    named, other = tmp_path / "[vix].csv", tmp_path / "v.csv"
    named.write_text("date,close\n2025-01-30,15.5\n")
    other.write_text("date,close\n2025-01-30,99\n")
    assert vix_closes(named)["close"].to_list() == [15.5]
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DailyFileError, match=r"Set data\.vix_path to the file, or to null"):
        vix_closes(tmp_path / "pipe.csv")

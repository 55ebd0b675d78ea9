"""The drawing beside every partition: of the right rows, for every partition of a range, and never worth a run."""

import json
from datetime import date, timedelta

import polars as pl
import pytest

from timegpt_assets.assets import glimpses
from timegpt_assets.core import calendar
from timegpt_assets.reports.pictures import glimpse
from timegpt_assets_tests.reports.pictures import frames, newsrooms
from timegpt_assets_tests.reports.pictures.test_glimpse import drawn

DAYS = [date(2024, 3, 14), date(2024, 3, 15)]
SYMBOLS = ["AAPL", "BRK.B"]


def bars_of(quality: pl.DataFrame) -> pl.DataFrame:
    """Return the bars of the verdicts that are usable, as the session grid gives them."""
    whole = pl.concat([frames.bars(SYMBOLS, day) for day in DAYS])
    return whole.join(quality.filter(verdict="ok").select("day", "symbol"), on=["day", "symbol"])


@pytest.fixture
def quality() -> pl.DataFrame:
    """Return two days of two symbols, of which one is quarantined at 10:30 and one has no data."""
    moment = calendar.session(DAYS[0]).open + timedelta(hours=1)
    offending = json.dumps([{"rule": "impossible", "row": 60, "ts": moment.isoformat()}])
    at = (pl.col("day") == DAYS[0]) & (pl.col("symbol") == "AAPL")
    absent = (pl.col("day") == DAYS[1]) & (pl.col("symbol") == "AAPL")
    return frames.quality(SYMBOLS, DAYS).with_columns(
        verdict=pl.when(at).then(pl.lit("quarantined")).when(absent).then(pl.lit("no_data")).otherwise(pl.lit("ok")),
        offending=pl.when(at).then(pl.lit(offending)).otherwise(pl.lit("[]")),
        rows_raw=pl.when(absent).then(0).otherwise(390),
        rows_session=pl.when(absent).then(0).otherwise(390),
    )


def test_every_partition_of_a_range_has_its_drawing(quality: pl.DataFrame) -> None:
    notes = glimpses.of_bars(bars_of(quality), quality, bars_of)[glimpses.NAME]
    assert set(notes) == {f"{DAYS[0]}|AAPL", f"{DAYS[0]}|BRK.B", f"{DAYS[1]}|BRK.B"}, "all that have rows"
    assert all(len(str(note.value)) <= glimpse.LIMIT for note in notes.values())


def test_a_quarantined_day_is_drawn_as_it_came_with_the_row_to_blame(quality: pl.DataFrame) -> None:
    notes = glimpses.of_bars(bars_of(quality), quality, bars_of)[glimpses.NAME]
    bad = str(notes[f"{DAYS[0]}|AAPL"].value)
    assert bad.startswith(f"AAPL on {DAYS[0]}: quarantined")
    assert drawn(bad)[glimpse.VERMILION] == f"M{160 * 60 / 390:.0f},0v40"
    assert len(drawn(bad)[glimpse.BLUE]) > 200, "its path, though it has no bars"
    assert glimpse.VERMILION not in drawn(str(notes[f"{DAYS[0]}|BRK.B"].value))


def test_what_cannot_be_drawn_is_left_out_and_logged(quality: pl.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    broken = quality.with_columns(offending=pl.lit("{"))
    assert glimpses.of_bars(bars_of(quality), broken, bars_of) == {}
    assert "of_bars is not shown; the rows are stored all the same" in caplog.text


def scored() -> pl.DataFrame:
    """Return three forecasts of each symbol and day in sigmas of one and two, one of them missed."""
    rows = [
        {
            "day": day, "symbol": symbol, "snapshot_ts": frames.opened(day) + timedelta(hours=n), "sigma": n + 1.0,
            "target_ts": frames.opened(day) + timedelta(hours=n, minutes=15), "forecaster": "ridge",
            "q10": -1.3 * (n + 1), "q25": -0.7 * (n + 1), "q75": 0.7 * (n + 1), "q90": 1.3 * (n + 1),
            "y": 5.0 if n == 2 else 0.0, "covered_80": n != 2,
        }
        for day in DAYS for symbol in SYMBOLS for n in range(3)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def test_a_day_s_forecasts_stand_beside_their_outcomes_for_a_symbol_and_for_all() -> None:
    rows = scored()
    of_symbols = glimpses.of_forecasts(rows.drop("y", "covered_80"), rows)[glimpses.NAME]
    assert set(of_symbols) == {f"{day}|{symbol}" for day in DAYS for symbol in SYMBOLS}
    one = str(of_symbols[f"{DAYS[1]}|BRK.B"].value)
    assert one.startswith(f"BRK.B on {DAYS[1]}: 2 of 3 outcomes in the 80 % band\n")
    bands = drawn(one)[glimpse.SKY]
    heights = {part.split(",")[1] for part in bands.split("M")[1:]}
    assert len(heights) == 1, "in sigmas all bands are as wide"
    of_days = glimpses.of_days(rows)[glimpses.NAME]
    assert str(of_days[str(DAYS[0])].value).startswith(f"{DAYS[0]}: 4 of 6 outcomes in the 80 % band\n")


def test_forecasts_without_an_outcome_have_no_drawing() -> None:
    waiting = scored().with_columns(y=pl.lit(None, pl.Float64))
    assert glimpses.of_days(waiting) == {glimpses.NAME: {}}


def test_every_public_drawing_is_guarded() -> None:
    assert all(hasattr(f, "__wrapped__") for f in (glimpses.of_bars, glimpses.of_forecasts, glimpses.of_days))


def test_every_session_shows_how_much_each_source_answered_and_who_was_not_good() -> None:
    notes = glimpses.of_sources(newsrooms.health())[glimpses.NAME]
    assert set(notes) == {str(day) for day in newsrooms.DAYS}
    bad = str(notes[str(newsrooms.REFUSED_ON)].value)
    assert bad.startswith(f"answered on {newsrooms.REFUSED_ON}: fred 100%, gdelt_files 52%, own not asked")
    paths = drawn(bad)
    assert (paths[glimpse.BLUE], paths[glimpse.VERMILION]) == ("M27,40v-40", "M80,40v-21"), (
        "who is not asked has no bar"
    )
    good = str(notes[str(newsrooms.DAYS[0])].value)
    assert glimpse.VERMILION not in drawn(good)
    assert len(bad) <= glimpse.LIMIT

"""What becomes of a file's bars beside those that are stored: counted new, known and replaced, or contradicted."""

from datetime import UTC, datetime, timedelta

import polars as pl

from timegpt_assets.core.bars.vendor_columns import NUMBERS
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.vendors.collisions import Collisions, collided

NOON, NEXT_NOON = datetime(2025, 1, 2, 17, 0, tzinfo=UTC), datetime(2025, 1, 3, 17, 0, tzinfo=UTC)
SCHEMA = {"symbol": pl.String, "ts": TIME} | dict.fromkeys(NUMBERS, pl.Float64)


def bars(closes: dict[int, float | None], start: datetime = NOON) -> pl.DataFrame:
    """Return a bar for each minute after ``start`` that has a close."""
    rows = [("AAPL", start + timedelta(minutes=n), 9.0, 9.9, 8.0, close, 100.0) for n, close in closes.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def counts(found: Collisions) -> tuple[int, int, int, int, int]:
    return found.new, found.known, found.replaced, found.unfinished, found.contradictions.height


def test_a_first_import_is_all_new() -> None:
    found = collided(bars({}), bars({0: 1.0, 1: 2.0}), replace=False)
    assert counts(found) == (2, 0, 0, 0, 0)
    assert found.joined.equals(bars({0: 1.0, 1: 2.0}))


def test_rows_that_are_stored_are_known_even_with_an_empty_cell_and_later_ones_are_new() -> None:
    stored = bars({0: 1.0, 1: None, 2: 3.0})
    found = collided(stored, bars({1: None, 2: 3.0, 3: 4.0}), replace=False)
    assert counts(found) == (1, 2, 0, 0, 0)
    assert found.joined.equals(bars({0: 1.0, 1: None, 2: 3.0, 3: 4.0}))


def test_a_row_that_the_vendor_repeats_stays_a_repetition() -> None:
    once, twice = bars({0: 1.0}), pl.concat([bars({0: 1.0}), bars({0: 1.0})])
    assert counts(collided(bars({}), twice, replace=False)) == (2, 0, 0, 0, 0)
    assert counts(collided(twice, twice, replace=False)) == (0, 2, 0, 0, 0)
    assert counts(collided(twice, once, replace=False)) == (0, 1, 0, 0, 0)


def test_two_closes_of_a_finished_minute_contradict_each_other() -> None:
    found = collided(bars({0: 1.0, 1: 2.0, 2: 3.0}), bars({0: 1.0, 1: 2.5, 2: 3.0}), replace=False)
    assert counts(found)[2:] == (0, 0, 1)
    at, close, stored = found.contradictions.select("ts", "close", "close_stored").row(0)
    assert (at, close, stored) == (NOON + timedelta(minutes=1), 2.5, 2.0)


def test_where_neither_goes_on_the_last_minute_contradicts_too() -> None:
    found = collided(bars({0: 1.0, 1: 2.0}), bars({0: 1.0, 1: 2.5}), replace=False)
    assert counts(found)[2:] == (0, 0, 1)


def test_a_stored_bar_that_was_still_forming_gives_way_to_the_finished_one() -> None:
    found = collided(bars({0: 1.0, 1: 2.0}), bars({1: 2.5, 2: 3.0}), replace=False)
    assert counts(found) == (1, 0, 1, 0, 0)
    assert found.joined.equals(bars({0: 1.0, 1: 2.5, 2: 3.0}))
    assert found.rows.equals(bars({1: 2.5, 2: 3.0}))


def test_a_forming_bar_of_the_file_gives_way_to_the_stored_one() -> None:
    stored = bars({0: 1.0, 1: 2.0, 2: 3.0})
    found = collided(stored, bars({0: 1.0, 1: 2.5}), replace=False)
    assert counts(found) == (0, 1, 0, 1, 0)
    assert found.joined.equals(stored)
    assert found.rows.equals(bars({0: 1.0}))


def test_what_goes_on_the_next_day_only_does_not_finish_a_bar_of_today() -> None:
    file = pl.concat([bars({1: 2.5}), bars({0: 7.0}, NEXT_NOON)])
    assert counts(collided(bars({0: 1.0, 1: 2.0}), file, replace=False))[2:] == (0, 0, 1)


def test_told_to_replace_every_differing_minute_of_the_file_counts() -> None:
    found = collided(bars({0: 1.0, 1: 2.0, 2: 3.0}), bars({0: 1.5, 1: 2.0, 3: 4.0}), replace=True)
    assert counts(found) == (1, 1, 1, 0, 0)
    assert found.joined.equals(bars({0: 1.5, 1: 2.0, 2: 3.0, 3: 4.0}))

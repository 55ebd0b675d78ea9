"""What a value's surprise is: its change against those before it, as they were known with it."""

from collections.abc import Iterable
from datetime import date, timedelta
from statistics import mean, stdev

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.news.surprise import surprises

SCHEMA = {
    "event_id": pl.String, "series": pl.String, "period": pl.Date, "vintage": pl.Date, "value": pl.Float64
}  # fmt: skip
LEVELS = (100.0, 102.0, 103.0, 107.0, 108.0)  # changes 2, 1, 4, 1


def quarter(n: int) -> date:
    return date(2015 + n // 4, n % 4 * 3 + 1, 1)


def vintage(n: int) -> date:
    return date(2020, 1, 1) + timedelta(days=n)


def values(*rows: tuple[str | None, str, date, date, float | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def history(levels: Iterable[float | None] = LEVELS, *, series: str = "GDP") -> list:
    return [(None, series, quarter(n), vintage(0), level) for n, level in enumerate(levels)]


def surprise(*rows: tuple, changes: int = 4) -> dict[str, float | None]:
    return dict(surprises(values(*rows), changes=changes).rows())


def test_a_first_value_is_held_against_the_mean_of_the_changes_before_it() -> None:
    found = surprise(*history(), ("new", "GDP", quarter(5), vintage(1), 113.0))
    assert found == {"new": pytest.approx((5 - mean((2, 1, 4, 1))) / stdev((2, 1, 4, 1)))}
    latest = surprise(*history(), ("new", "GDP", quarter(5), vintage(1), 113.0), changes=3)
    assert latest == {"new": pytest.approx((5 - mean((1, 4, 1))) / stdev((1, 4, 1)))}


def test_a_revised_value_is_held_against_what_it_was() -> None:
    found = surprise(*history([*LEVELS, 113.0]), ("revised", "GDP", quarter(5), vintage(1), 112.0))
    assert found == {"revised": pytest.approx(-1 / stdev((2, 1, 4, 1)))}


def test_a_series_on_a_new_base_surprises_nobody() -> None:
    rebased = [(f"{n}", "GDP", quarter(n), vintage(1), level + 500) for n, level in enumerate([*LEVELS, 110.0])]
    assert surprise(*history([*LEVELS, 110.0]), *rebased)["5"] == pytest.approx(0)
    first = surprise(*history(), *rebased)["5"]
    assert first == pytest.approx((2 - mean((2, 1, 4, 1))) / stdev((2, 1, 4, 1)))


@pytest.mark.parametrize(
    ("levels", "value"),
    [
        (LEVELS[1:], 113.0),  # three changes are not four
        ((0.1, 0.2, 0.3, 0.4, 0.5), 0.9),  # it always changed alike
        (LEVELS, None),  # no value
        ((*LEVELS[:4], None), 113.0),  # the period before never came: the government was shut
        ((), 113.0),
    ],
)
def test_nobody_can_say(levels: tuple[float | None, ...], value: float | None) -> None:
    offset = 5 - len(levels)
    past = [(None, "GDP", quarter(n + offset), vintage(0), level) for n, level in enumerate(levels)]
    assert surprise(*past, ("new", "GDP", quarter(5), vintage(1), value)) == {"new": None}


def test_series_know_nothing_of_each_other() -> None:
    new = ("new", "GDP", quarter(5), vintage(1), 113.0)
    other = [*history((7.0, 1.0, 9.0, 2.0, 8.0), series="CPI"), ("cpi", "CPI", quarter(5), vintage(1), 9.0)]
    assert surprise(*history(), new, *other)["new"] == surprise(*history(), new)["new"]


LEVEL = st.one_of(st.none(), st.integers(-50, 50).map(float))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6), LEVEL), unique_by=lambda row: row[:2]))
def test_what_is_told_later_changes_no_surprise(later: list[tuple[int, int, float | None]]) -> None:
    rows = [(f"{n}-{at}", "GDP", quarter(n), vintage(at), value) for n, at, value in later]
    found = surprise(*history(), *rows, changes=3)
    for cut in range(1, 7):
        known = [row for row in rows if row[3] <= vintage(cut)]
        assert surprise(*history(), *known, changes=3) == {row[0]: found[row[0]] for row in known}

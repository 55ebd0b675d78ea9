"""Figures are of the used band, each by its bucket, and those of several days are those of all their rows."""

import polars as pl
import pytest

from timegpt_assets.core.tsfm.figures import MEANING, Counts, counted, figures, means
from timegpt_assets_tests.core.tsfm.band_rows import band, bands
from timegpt_assets_tests.core.tsfm.outcome_rows import came

ROWS = bands(*(band(minutes=5 * i, liquidity_bucket="LOW" if i else "HIGH") for i in range(4)))


def of(rows: pl.DataFrame, outcomes: pl.DataFrame) -> Counts:
    return counted(rows, outcomes, follow_through_move=0.03)


def test_figures_are_of_the_used_band() -> None:
    found = figures(of(ROWS, came([0.05, 0.0, 0.05, None])))
    assert found == pytest.approx(
        {
            "coverage_rolling_high": 0.0,
            "interval_width_high": 0.2,
            "coverage_rolling_low": 0.0,
            "interval_width_low": 0.2,
            "breach_rate": 1.0,
            "breach_followthrough_rate": 2 / 3,
        }
    )
    assert figures(of(ROWS.clear(), came([0.05]))) == {}


def test_a_price_inside_is_covered_and_a_figure_without_rows_is_left_out() -> None:
    found = figures(of(ROWS, came([0.0] * 4, y=0.6)))
    assert (found["coverage_rolling_high"], found["breach_rate"]) == (1.0, 0.0)
    assert "breach_followthrough_rate" not in found


def test_counts_of_days_add_up_to_those_of_all_rows() -> None:
    outcomes = came([0.05, 0.0, 0.05, None])
    apart = of(ROWS, outcomes[:1])
    apart.update(of(ROWS, outcomes[1:]))
    assert figures(apart) == figures(of(ROWS, outcomes))


@pytest.mark.parametrize(
    "name", ["coverage_rolling_low", "interval_width_unknown", "breach_rate", "breach_followthrough_rate"]
)
def test_every_figure_has_a_meaning_of_its_own(name: str) -> None:
    assert means(name) in MEANING.values()
    assert (means(name) == MEANING["breach_rate"]) == (name == "breach_rate")

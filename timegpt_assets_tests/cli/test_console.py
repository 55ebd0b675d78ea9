"""What a run found, in words: why forecasts were not traded."""

from datetime import date

import polars as pl

from timegpt_assets.cli.console import fates, funnel_text
from timegpt_assets.core.backtest.funnel import FATES, TRADED

FUNNEL = pl.DataFrame(
    {
        "day": [date(2025, 1, 16), date(2025, 1, 16), date(2025, 1, 17), date(2025, 1, 17), date(2025, 1, 17)],
        "forecaster": ["ridge", "ridge", "ridge", "climatology", "ridge"],
        "fate": [TRADED, "low_ev", "low_ev", "low_ev", "no_direction"],
        "n": [2, 5, 7, 100, 1],
    }
)


def test_the_champion_s_forecasts_are_counted_over_the_days_in_the_order_of_the_rules() -> None:
    found = fates(FUNNEL, "ridge")
    assert list(found.items()) == [("no_direction", 1), ("low_ev", 12), (TRADED, 2)]
    assert list(FATES).index("no_direction") < list(FATES).index("low_ev")
    assert fates(pl.DataFrame(), "ridge") == {}


def test_a_fate_that_nobody_knows_any_more_is_still_counted() -> None:
    old = FUNNEL.with_columns(fate=pl.lit("a rule of before"))
    assert fates(old, "ridge") == {"a rule of before": 15}
    assert funnel_text(fates(old, "ridge")).startswith("0 of 15 forecasts were traded; fell: 15 at a rule of before.")


def test_one_line_says_how_many_fell_at_which_rule_and_what_the_worst_means() -> None:
    assert funnel_text({"no_direction": 1, "low_ev": 12}) == (
        "0 of 13 forecasts were traded; fell: 1 at no_direction, 12 at low_ev. "
        "low_ev means: the expected value after costs is not positive."
    )
    assert funnel_text({TRADED: 3}) == "3 of 3 forecasts were traded."

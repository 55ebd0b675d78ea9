"""What may be learnt from on a day: window and embargo, distances of bands, pools in order, the latest sessions."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.calibration import samples as made
from timegpt_assets.core.calibration.samples import CalibrationError, Samples
from timegpt_assets.core.tables.forecasts import OUTCOMES

DAY = date(2025, 2, 21)


def outcome(back: int = 1, *, symbol: str = "A", hour: int = 15, held: int = 0, **changes: Any) -> dict[str, Any]:
    """Return an outcome asked so many sessions before DAY and known ``held`` sessions later."""
    at = datetime.combine(calendar.shifted(DAY, -back), datetime.min.time(), UTC) + timedelta(hours=hour)
    known = datetime.combine(calendar.shifted(DAY, held - back), datetime.min.time(), UTC) + timedelta(hours=hour + 1)
    row = {"symbol": symbol, "snapshot_ts": at, "target_ts": known, "y": 0.5, "q50": 0.0, "sigma": 2.0,
           "lo_50": -1.0, "hi_50": 3.0, "lo_80": -2.0, "hi_80": 4.0}  # fmt: skip
    return row | changes


def samples(*rows: dict[str, Any]) -> Samples:
    return made.samples(pl.DataFrame(list(rows), schema_overrides={"y": pl.Float64, "lo_50": pl.Float64}), [80, 50])


def test_a_window_ends_an_embargo_before_its_day_and_is_as_long_as_asked() -> None:
    assert made.offsets(5, 2) == (-7, -3)
    first, last = made.window(DAY, window_days=5, embargo_days=2)
    assert (first, last) == (calendar.shifted(DAY, -7), calendar.shifted(DAY, -3))
    assert made.window(DAY, window_days=1, embargo_days=1)[0] == calendar.shifted(DAY, -2)
    with pytest.raises(CalibrationError, match=r"leaves 0 sessions.*embargo_days to 1 or more"):
        made.window(DAY, window_days=5, embargo_days=0)
    with pytest.raises(CalibrationError, match=r"holds 0 sessions.*window_days to 1 or more"):
        made.window(DAY, window_days=0, embargo_days=1)


def test_what_is_asked_before_the_window_or_known_behind_it_is_not_in_it() -> None:
    own = samples(outcome(6), outcome(5), outcome(3, y=0.1), outcome(3, held=1, y=0.2), outcome(2))
    first, last = calendar.shifted(DAY, -5), calendar.shifted(DAY, -3)
    assert own.within(first, last).y.tolist() == [0.5, 0.1]


def test_a_model_that_saw_more_than_its_window_is_told() -> None:
    first, last = made.window(DAY, window_days=5, embargo_days=1)
    seen = datetime.combine(last, datetime.min.time(), UTC) + timedelta(hours=18)
    row = {"day": DAY, "window_first": first, "window_last": last, "last_target_ts": seen}
    asked = {"window_days": 5, "embargo_days": 1}

    def told(**changes: Any) -> list[str]:
        return made.breaches(pl.DataFrame([row | changes], schema_overrides={"last_target_ts": pl.Datetime}), **asked)

    assert told() == told(last_target_ts=None) == []
    assert told(window_first=first + timedelta(days=1), window_last=last - timedelta(days=1)) == []
    assert len(told(window_first=first - timedelta(days=1))) == 1
    assert len(told(window_last=last + timedelta(days=1))) == 1
    assert "Make calibration_models of 2025-02-21 again" in told(last_target_ts=seen + timedelta(days=1))[0]


def test_bands_are_distances_from_the_median_and_a_broken_one_has_none() -> None:
    own = samples(
        outcome(q50=0.5), outcome(lo_50=None), outcome(hi_50=float("inf")), outcome(lo_50=0.1), outcome(hi_50=-0.1),
        outcome(lo_50=0.0, hi_50=0.0), outcome(lo_50=0.0, hi_50=1.0), outcome(lo_50=-1.0, hi_50=0.0),
    )  # fmt: skip
    assert own.levels == (50, 80)
    assert own.low[:, 0].tolist() == pytest.approx([1.5, *[np.nan] * 5, 0.0, 1.0], nan_ok=True)
    assert own.high[:, 0].tolist() == pytest.approx([2.5, *[np.nan] * 5, 1.0, 0.0], nan_ok=True)
    assert own.low[0].tolist() == [1.5, 2.5]
    assert own.unit("band_80")[0] == 6.0
    assert own.unit("band_50")[0] == 4.0
    assert own.unit("sigma")[0] == 2.0
    assert own.unit("absolute")[0] == 1.0


def test_an_outcome_without_finite_y_or_median_is_none() -> None:
    assert len(samples(outcome(y=None), outcome(y=float("nan")), outcome(q50=float("inf")), outcome())) == 1


def test_pools_are_tried_from_the_cell_to_all() -> None:
    own = samples(outcome(3), outcome(2, symbol="B"), outcome(1), outcome(1, hour=19))
    found = {key: positions.tolist() for key, positions in made.pools(own).items()}
    assert [name for name, _ in made.POOLS] == ["cell", "symbol", "time", "all"]
    assert found == {
        ("cell", ("A", "10:00")): [0, 2], ("cell", ("B", "10:00")): [1], ("cell", ("A", "14:00")): [3],
        ("symbol", ("A",)): [0, 2, 3], ("symbol", ("B",)): [1],
        ("time", ("10:00",)): [0, 1, 2], ("time", ("14:00",)): [3], ("all", ()): [0, 1, 2, 3],
    }  # fmt: skip
    nothing = made.pools(own.of(np.zeros(4, dtype=bool)))
    assert {key: positions.size for key, positions in nothing.items()} == {("all", ()): 0}


@pytest.mark.parametrize(
    ("least", "sessions", "kept"),
    [(1, 1, 1), (2, 1, 3), (3, 1, 3), (4, 1, 4), (1, 2, 3), (1, 3, 4), (9, 9, 4), (0, 0, 1)],
)
def test_the_latest_sessions_that_hold_enough_are_kept_whole(least: int, sessions: int, kept: int) -> None:
    own = samples(outcome(3), outcome(2), outcome(2, symbol="B"), outcome(1))
    assert len(own.recent(least, sessions)) == kept
    assert len(own.of(np.zeros(4, dtype=bool)).recent(least, sessions)) == 0


def test_a_digest_is_of_everything_learnt_from() -> None:
    own = samples(outcome(3), outcome(2))
    assert len(own.digest()) == 16
    assert own.digest() == samples(outcome(3), outcome(2)).digest()
    for other in ({"y": 0.6}, {"q50": 0.1}, {"sigma": 3.0}, {"lo_50": -1.5}, {"hi_80": 5.0}):
        assert samples(outcome(3), outcome(2, **other)).digest() != own.digest()
    assert samples(outcome(3), outcome(1)).digest() != own.digest()


def test_before_anything_is_stored_a_band_of_any_level_has_no_outcomes() -> None:
    """A house's first sessions read an empty table, which holds the ends of the declared bands alone."""
    own = made.samples(OUTCOMES.empty(), [50, 60, 90])
    assert (own.levels, own.low.shape, own.high.shape) == ((50, 60, 90), (0, 3), (0, 3))
    held = made.samples(pl.DataFrame([outcome()], schema_overrides={"y": pl.Float64, "lo_50": pl.Float64}), [50, 60])
    assert np.isfinite(held.low[0, 0])
    assert np.isnan(held.low[0, 1])

"""What a model does to a raw forecast: centre, bands, the bound on their width, and what is said of each row."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.calibration.applied import calibrated
from timegpt_assets.core.tables.calibration import CALIBRATION_MODELS
from timegpt_assets.core.tables.forecasts import RAW_FORECASTS

DAY, AT = date(2025, 2, 21), datetime(2025, 2, 21, 15, 0, tzinfo=UTC)
MAKER = {"forecaster": "f", "backend": "b", "model": "m", "score_source": "s"}
RAW = {
    "day": DAY, "symbol": "A", "snapshot_ts": AT, "target_ts": AT, "horizon_min": 15, "asked_at": AT, "sigma": 2.0,
    "run_source": "smoke", "data_regime": "maintenance_replay", "request_hash": "", "stale_input": False,
    "label_aligned": True, "crossings": 0, "q50": 10.0, "lo_50": 8.0, "hi_50": 14.0, "lo_80": 6.0, "hi_80": 18.0,
    "lo_95": 2.0, "hi_95": 26.0, **MAKER,
}  # fmt: skip
MODEL = {
    "day": DAY, "symbol": "A", "snapshot_time": "10:00", "embargo_days": 1,
    "window_first": date(2025, 1, 2), "window_last": date(2025, 2, 19),
    "max_width_multiple": 100.0, "calibration_pool": "cell", "calibration_n": 30, "fitted_on": "", "validation_n": 0,
    "method": "conformal", "score": "sigma", "slope": 1.0, "offset": 0.0, "note": "", "calibration_reason": "",
    "rank": 1, "rank_n": 30, "tracked_level": 50.0, "half_width": 1.5, **MAKER,
}  # fmt: skip

ALL = ("q025", "q10", "q25", "q50", "q75", "q90", "q975")


def applied(
    *, raw: dict[str, Any] | None = None, half: tuple[float | None, ...] = (1.5, 3.0, 5.0), **model: Any
) -> dict[str, Any]:
    """Return the one calibrated row; ``half`` are the half-widths of the bands of 50, 80 and 95 %."""
    rows = [MODEL | model | {"level": level, "half_width": h} | ({} if h is not None else {"method": "none",
            "calibration_reason": "rank"}) for level, h in zip((50, 80, 95), half, strict=True)]  # fmt: skip
    models = CALIBRATION_MODELS.conformed(pl.DataFrame(rows, schema=CALIBRATION_MODELS.schema))
    schema = dict(RAW_FORECASTS.schema) | {name: pl.Float64 for name in RAW if name[:3] in ("lo_", "hi_")}
    given = RAW | (raw or {})
    given |= {
        name: given[end]
        for name, end in zip(ALL, ("lo_95", "lo_80", "lo_50", "q50", "hi_50", "hi_80", "hi_95"), strict=True)
    }
    frame = pl.DataFrame([given], schema=schema)
    return calibrated(frame, models if half != (None,) * 3 or model.get("keep") else models.clear()).row(0, named=True)


def band(row: dict[str, Any], *names: str) -> list[float | None]:
    return [row[name] for name in names]


def test_bands_are_half_widths_in_units_around_the_kept_median() -> None:
    row = applied()
    assert band(row, *ALL) == [0.0, 4.0, 7.0, 10.0, 13.0, 16.0, 20.0]
    assert band(row, *(f"raw_{q}" for q in ALL)) == [2.0, 6.0, 8.0, 10.0, 14.0, 18.0, 26.0]
    assert (row["lo_80"], row["hi_80"]) == (4.0, 16.0)
    assert band(row, "calibration", "calibration_pool", "calibration_n", "calibration_reason") == [
        "conformal", "cell", 30, "",
    ]  # fmt: skip


def test_each_score_is_a_unit_of_its_own() -> None:
    assert band(applied(score="absolute"), "q25", "q75") == [8.5, 11.5]
    assert band(applied(score="band_50", half=(0.5, 0.75, 1.0)), "q25", "q10", "q75") == [7.0, 5.5, 13.0]
    assert band(applied(score="band_80", half=(0.25, 0.5, 1.0)), "q25", "q75") == [7.0, 13.0]
    own = applied(score="own", half=(1.5, 2.0, 1.0), method="widen")
    assert band(own, *ALL) == [2.0, 2.0, 7.0, 10.0, 16.0, 26.0, 26.0]


def test_the_centre_is_a_line_or_a_curve() -> None:
    line = applied(score="band_50", slope=0.5, offset=0.25, half=(0.5, 0.75, 1.0), method="affine")
    assert band(line, "q25", "q50", "q75") == [3.5, 6.5, 9.5]
    assert applied(slope=0.5)["q50"] == 5.0
    assert applied(offset=0.25)["q50"] == 10.5
    curve = applied(score="band_50", knots_x=[1.0, 2.0], knots_y=[0.0, 3.0], half=(0.5, 0.75, 1.0), method="isotonic")
    assert curve["q50"] == pytest.approx(12.0)  # 10 / 6 of a unit is two thirds of the way to 3 units of 6
    assert band(curve, "q25", "q75") == pytest.approx([9.0, 15.0])


def test_a_band_is_held_at_its_multiple_of_the_raw_one_and_its_sides_keep_their_shape() -> None:
    row = applied(max_width_multiple=0.5)
    assert band(row, "q25", "q75") == [8.5, 11.5]  # raw 6 wide, half of it 3; asked were 6
    assert row["calibration_reason"] == "; ".join(f"{level} %: width held at 0.5 x raw" for level in (50, 80, 95))
    just = applied(max_width_multiple=1.0)
    assert band(just, "q25", "q75") == [7.0, 13.0]
    assert "50 %" not in just["calibration_reason"]
    own = applied(score="own", half=(3.0, 3.0, 3.0), max_width_multiple=1.5, method="widen")
    assert band(own, "q25", "q75") == [7.0, 16.0]
    none = applied(raw={"lo_50": 10.0, "hi_50": 10.0}, max_width_multiple=0.5)
    assert band(none, "q25", "q75") == [7.0, 13.0], "a raw band of no width bounds nothing"


def test_crossed_quantiles_are_sorted_and_their_pairs_counted() -> None:
    row = applied(half=(3.0, 1.5, 5.0))
    assert band(row, *ALL) == [0.0, 4.0, 7.0, 10.0, 13.0, 16.0, 20.0]
    assert row["calibration_crossings"] == 2
    assert applied()["calibration_crossings"] == 0


def test_one_level_that_cannot_be_promised_is_null_and_says_so() -> None:
    row = applied(half=(1.5, 3.0, None))
    assert band(row, *ALL) == [None, 4.0, 7.0, 10.0, 13.0, 16.0, None]
    assert (row["calibration"], row["calibration_reason"]) == ("conformal", "rank")


@pytest.mark.parametrize(
    ("raw", "model", "reason"),
    [
        ({}, {"half": (None, None, None)}, "no_model: no calibration model"),
        ({}, {"half": (None, None, None), "keep": True}, "rank"),
        ({"sigma": None}, {}, "no_variance: sigma is null"),
        ({"lo_50": None, "hi_50": None}, {"score": "band_50"}, "no_width: the raw band"),
        ({"lo_50": 10.0, "hi_50": 10.0}, {"score": "band_50"}, "no_width: the raw band"),
        ({"lo_50": 10.0, "hi_50": 10.0}, {"score": "own"}, "no_width: the raw band"),
    ],
)
def test_a_row_without_model_or_unit_stays_raw_with_the_reason(
    raw: dict[str, Any], model: dict[str, Any], reason: str
) -> None:
    row = applied(raw=raw, **model)
    assert row["calibration"] == "none"
    assert row["calibration_reason"].startswith(reason)
    assert band(row, "q10", "q50", "q90") == [6.0, 10.0, 18.0]


def test_a_blends_row_finds_its_model_and_still_says_its_policy() -> None:
    row = applied(raw={"forecaster": "blend", "model": "blend_alpha_0.3"}, forecaster="blend", model="blend")
    assert band(row, "calibration", "model", "q25", "q75") == ["conformal", "blend_alpha_0.3", 7.0, 13.0]
    stranger = applied(raw={"forecaster": "f", "model": "blend_alpha_0.3"}, forecaster="f", model="f")
    assert stranger["calibration"] == "none"


def test_without_a_model_a_row_has_no_pool() -> None:
    assert band(applied(half=(None, None, None)), "calibration_pool", "calibration_n") == ["", 0]

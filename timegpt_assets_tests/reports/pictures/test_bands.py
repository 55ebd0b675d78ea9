"""Bands of prediction markets drawn: who held what, in the order of reading, and what is beyond the tolerance."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from timegpt_assets.assets import previews
from timegpt_assets.core.tables.tsfm import TSFM_EVALUATION
from timegpt_assets.core.tsfm.evaluation import SERVED
from timegpt_assets.core.tsfm.scoring import ScoringSpec, scored
from timegpt_assets.reports.pictures import bands, render
from timegpt_assets.reports.pictures.style import Picture
from timegpt_assets_tests.core.tsfm.outcome_rows import DAY, outcomes
from timegpt_assets_tests.test_previews import Context

SCORING = ScoringSpec(move=0.03, tolerance=0.03, draws=50)


def rows(split: str = "all", *, months: tuple[str, ...] = ("2026-02",)) -> pl.DataFrame:
    """Return TSFM_EVALUATION of ten events: conformal holds 48 of 50 prices, raw and the baseline 30."""
    ends = ["<1h", "1-6h", ">168h", "24-168h", "6-24h"]
    prices = [0.0005, 0.01, 0.5, 0.97, None]
    came = pl.concat(
        outcomes([0.5, 0.62, 0.65, 0.5, 0.5], market=f"m{n}", tte_bucket=ends[n % 5], last_price=prices,
                 liquidity_bucket=["HIGH", "LOW"][n % 2])
        for n in range(10)
    )  # fmt: skip
    narrower = pl.col("event_id").is_in(["event of m1", "event of m2"])
    upper = pl.when(narrower).then(0.64).otherwise(0.66)
    made = came.with_columns(adjusted_lower=0.4, adjusted_median=0.5, adjusted_upper=upper, baseline_upper=0.55)
    found = scored(made, SERVED, SCORING, level=0.9, split=split, floor=True)
    return pl.concat(
        TSFM_EVALUATION.conformed(
            found.with_columns(month=pl.lit(month), as_of=pl.lit(DAY)).select(list(TSFM_EVALUATION.columns))
        )
        for month in months
    )


def drawn(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return max(spec["datasets"].values(), key=len)


def test_every_arm_has_a_point_in_every_segment_but_steps_and_the_title_says_what_was_held() -> None:
    own = rows()
    spec = bands.coverage(own).to_dict()
    points = {(row["arm"], row["segment"]): row["coverage"] for row in drawn(spec)}
    told = own.filter(~pl.col("segment").str.starts_with("step=")).select("arm", "segment", "coverage").rows()
    assert points == {(arm, segment): held for arm, segment, held in told}
    assert spec["title"]["text"] == "Bands that promise 90% held: raw 60.0%, conformal 96.0%, baseline 60.0%"
    ends = {row["arm"]: (row["low"], row["high"]) for row in drawn(spec) if row["segment"] == "all"}
    assert ends["conformal"][0] < 0.96 < ends["conformal"][1]


def test_segments_stand_in_the_order_of_what_they_are_cut_by() -> None:
    order = bands.coverage(rows()).to_dict()["layer"][1]["encoding"]["y"]["sort"]
    assert order == [
        "all", "liquidity_bucket=LOW", "liquidity_bucket=HIGH",
        "tte_bucket=<1h", "tte_bucket=1-6h", "tte_bucket=6-24h", "tte_bucket=24-168h", "tte_bucket=>168h",
        "category=Sports", "price=<=.001", "price=.001-.05", "price=.05-.95", "price=>.95", "price=UNKNOWN",
    ]  # fmt: skip


def test_what_is_beyond_the_tolerance_is_hollow() -> None:
    hollow = [layer for layer in bands.coverage(rows()).to_dict()["layer"] if layer["mark"].get("fill") == "white"]
    assert [layer["transform"] for layer in hollow] == [[{"filter": "!datum.within_tolerance"}]]


def test_with_and_without_the_floor_stand_apart_and_the_title_says_what_was_held() -> None:
    own = splits()
    spec = bands.arms(own).to_dict()
    assert [panel["title"]["text"] for panel in spec["concat"]] == [
        "with the floor of the width", "without the floor of the width",
    ]  # fmt: skip
    assert spec["title"]["text"] == "Bands that promise 90% held 96.0% to 96.0% after conformal"
    points = [row for rows in spec["datasets"].values() for row in rows if "arm" in row]
    assert {(row["segment"], row["arm"]) for row in points} == {
        (words, arm) for words in (bands.SPLITS["time"], bands.SPLITS["event"]) for arm in SERVED
    }


def test_the_narrowest_band_that_holds_is_named_and_none_where_none_does() -> None:
    own = splits()
    assert bands.cost(own).to_dict()["title"]["text"] == "No band holds what it promises"
    kept = own.with_columns(within_tolerance=pl.col("arm") != "raw", width=pl.col("width") + pl.col("floor"))
    narrowest = kept.filter("within_tolerance", segment="all").sort("width").row(0, named=True)
    spec = bands.cost(kept).to_dict()
    assert spec["title"]["text"] == f"The narrowest bands that hold: baseline, {narrowest['width']:.3f} wide"
    assert [panel["title"]["text"] for panel in spec["concat"]] == [bands.SPLITS["time"], bands.SPLITS["event"]]


def splits() -> pl.DataFrame:
    """Return rows of two splits, with the floor and without it."""
    return pl.concat(
        rows(split).with_columns(floor=pl.lit(floor)) for split in ("time", "event") for floor in (True, False)
    )


@pytest.mark.parametrize("drawn", [bands.coverage, bands.arms, bands.cost])
def test_of_no_rows_there_is_a_picture_that_says_so(drawn: Callable[[pl.DataFrame], Picture]) -> None:
    assert ">no rows<" in render.svg(drawn(TSFM_EVALUATION.empty()))


@pytest.mark.parametrize(("splits", "said"), [(("all", "adjusted"), "conformal 96.0%"), (("all",), "held: raw 60.0%")])
def test_beside_the_newest_month_stands_what_compares_all_arms(splits: tuple[str, ...], said: str) -> None:
    context: Any = Context("2026-01-01", "2026-02-01")
    served = {"all": pl.col("arm") != "conformal", "adjusted": pl.lit(True)}
    own = pl.concat(rows(split, months=("2026-01", "2026-02")).filter(served[split]) for split in splits)
    found = previews.held(context, own)
    assert list(found["held"]) == list(context.noted) == ["2026-02-01"]
    assert str(found["held"]["2026-02-01"].value).startswith("![what bands held in 2026-02](data:image/png")
    assert said in bands.told(own.filter(split=splits[-1]))
    assert previews.held(context, own.clear()) == {}

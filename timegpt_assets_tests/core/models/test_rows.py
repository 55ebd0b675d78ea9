"""What is learnt from: the grid's rows, nothing of them but the outcome from beyond the snapshot, one road for all."""

import math
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.models.rows import KEY, OUTCOME, snapshot_rows, training_rows
from timegpt_assets.core.tables.models import TRAINING_SET
from timegpt_assets_tests.core.models.made import DAYS, PANEL, SPEC, labels, moments

LABELS = labels(PANEL)
ROWS = training_rows(PANEL, LABELS, SPEC)


def minutes(symbol: str = "AAA", day: int = 0) -> list[dict]:
    """Return a session's rows of the panel, oldest first."""
    return PANEL.filter(pl.col("symbol") == symbol, pl.col("day") == DAYS[day]).sort("ts").to_dicts()


def test_a_row_is_what_plain_loops_find() -> None:
    own, n = minutes(), SPEC.n_tokens
    for row in ROWS.filter(pl.col("symbol") == "AAA", pl.col("day") == DAYS[0]).to_dicts():
        at = next(i for i, minute in enumerate(own) if minute["known_at"] == row["snapshot_ts"])
        window = [own[i] if i >= 0 else None for i in range(at - n + 1, at + 1)]
        tokens = [np.float32(m[c]) if m and m[c] is not None else math.nan for m in window for c in SPEC.channels]
        np.testing.assert_array_equal(row["tokens"], np.array(tokens, dtype=np.float32))
        prices = [own[at + i]["clock_price"] for i in range(16)]
        y = math.log(prices[-1]) - math.log(prices[0])
        steps = [math.log(b) - math.log(a) for a, b in pairwise(prices)]
        assert row["sigma"] == own[at]["sigma_60m"]
        assert row["y"] == pytest.approx(y, abs=1e-15)
        assert row["z"] == row["y"] / row["sigma"]
        assert row["realised"] == pytest.approx(math.sqrt(sum(step**2 for step in steps)), rel=1e-9)
        assert row["vol_ewm_60m"] == np.float32(own[at]["vol_ewm_60m"])
        assert row["target_ts"] - row["snapshot_ts"] == timedelta(minutes=15)


def test_the_grid_is_that_of_the_settings_and_no_label_ends_after_the_close() -> None:
    assert ROWS.filter(pl.col("symbol") == "AAA", pl.col("day") == DAYS[0])["snapshot_ts"].to_list() == moments(DAYS[0])
    every_five = training_rows(PANEL, LABELS, replace(SPEC, snapshot_every_min=5))
    assert every_five.height == 2 * 3 * (375 // 5 - 2)  # 09:35 and 09:40 have no volatility yet
    assert ROWS.columns[: len(TRAINING_SET.columns)] == list(TRAINING_SET.columns)
    assert ROWS.equals(ROWS.sort(KEY))


def test_rows_that_are_asked_are_those_that_were_learnt_from_bit_for_bit() -> None:
    asked = snapshot_rows(
        PANEL.sample(fraction=1.0, shuffle=True, seed=1), [m for d in DAYS[:3] for m in moments(d)], SPEC
    )
    assert asked.equals(ROWS.drop(OUTCOME))
    alone = snapshot_rows(PANEL.filter(pl.col("day") == DAYS[1]), moments(DAYS[1]), SPEC)
    assert alone.equals(asked.filter(pl.col("day") == DAYS[1]))
    single = snapshot_rows(PANEL.filter(pl.col("symbol") == "BBB"), moments(DAYS[1])[3:4], SPEC)
    assert single.equals(alone.filter(pl.col("symbol") == "BBB", pl.col("snapshot_ts") == moments(DAYS[1])[3]))


def test_nothing_after_the_snapshot_reaches_a_row_but_its_outcome() -> None:
    at = moments(DAYS[0])[10]
    later = pl.col("known_at") > at
    disturbed = PANEL.with_columns(
        (pl.col(c) * pl.when(later).then(1.7).otherwise(1.0)).alias(c)
        for c in ("clock_price", "sigma_60m", "vol_ewm_60m")
    )
    upto = pl.col("snapshot_ts") <= at
    learnt = training_rows(disturbed, labels(disturbed), SPEC)
    assert learnt.drop(OUTCOME).filter(upto).equals(ROWS.drop(OUTCOME).filter(upto))
    assert not learnt.filter(pl.col("snapshot_ts") == at)["y"].equals(ROWS.filter(pl.col("snapshot_ts") == at)["y"])
    cut = snapshot_rows(PANEL.filter(~later), [at], SPEC)
    assert cut.equals(ROWS.drop(OUTCOME).filter(pl.col("snapshot_ts") == at))


@pytest.mark.parametrize("volatility", [None, 0.0, math.nan, math.inf])
def test_without_a_volatility_or_a_label_there_is_no_row(volatility: float | None) -> None:
    at = moments(DAYS[0])[4]
    its = (pl.col("known_at") == at) & (pl.col("symbol") == "AAA")
    without = PANEL.with_columns(sigma_60m=pl.when(its).then(pl.lit(volatility, pl.Float64)).otherwise("sigma_60m"))
    row = (pl.col("snapshot_ts") == at) & (pl.col("symbol") == "AAA")
    assert training_rows(without, LABELS, SPEC).select(KEY).equals(ROWS.filter(~row).select(KEY))
    assert snapshot_rows(without, [at], SPEC)["symbol"].to_list() == ["BBB"]
    missing = LABELS.filter((pl.col("target_ts") != at + timedelta(minutes=15)) | (pl.col("symbol") != "AAA"))
    assert training_rows(PANEL, missing, SPEC).select(KEY).equals(ROWS.filter(~row).select(KEY))


def test_a_missing_number_is_null_in_its_column_and_not_a_number_in_a_token() -> None:
    at = moments(DAYS[0])[4]
    unknown = PANEL.with_columns(clock_price=pl.when(pl.col("known_at") != at).then("clock_price"))
    row = snapshot_rows(unknown, [at], SPEC).row(0, named=True)
    assert row["clock_price"] is None
    assert math.isnan(row["tokens"][-2])
    assert not math.isnan(row["tokens"][-4])


def test_a_hole_in_the_minutes_is_a_hole_in_the_tokens() -> None:
    at = moments(DAYS[0])[4]
    holed = PANEL.filter(pl.col("known_at") != at - timedelta(minutes=2))
    tokens = snapshot_rows(holed, [at], SPEC)["tokens"][0].to_numpy().reshape(SPEC.n_tokens, 2)
    whole = ROWS.filter(pl.col("snapshot_ts") == at)["tokens"][0].to_numpy().reshape(SPEC.n_tokens, 2)
    assert np.isnan(tokens[-3]).all()
    np.testing.assert_array_equal(np.delete(tokens, -3, 0), np.delete(whole, -3, 0))


def test_an_early_close_ends_the_grid_early() -> None:
    day = next(
        s.day
        for s in calendar.sessions(DAYS[0].replace(month=7, day=1), DAYS[0].replace(month=7, day=5))
        if s.minutes < 390
    )
    short = PANEL.filter(pl.col("day") == DAYS[0])
    move = calendar.session(day).open - calendar.session(DAYS[0]).open
    moved = short.with_columns(pl.col("ts") + move, pl.col("known_at") + move, day=pl.lit(day)).filter(
        pl.col("known_at") <= calendar.session(day).close
    )
    rows = training_rows(moved, labels(moved), SPEC)
    assert rows["target_ts"].max() == calendar.session(day).close


def test_a_panel_without_a_column_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"no column vwap_30m\. Switch on its group in features\.groups"):
        training_rows(PANEL, LABELS, replace(SPEC, channels=("vwap_30m",)))


def test_no_rows_are_rows_too() -> None:
    assert snapshot_rows(PANEL.clear(), [], SPEC).is_empty()
    assert training_rows(PANEL, LABELS.clear(), SPEC).is_empty()

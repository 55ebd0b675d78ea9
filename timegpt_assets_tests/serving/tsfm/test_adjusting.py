"""A band is adjusted by the parameters of its day and segment where they were learnt from forecasts like it."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS
from timegpt_assets.core.tsfm import conformal, forecasts
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.serving.tsfm.adjusting import Adjusting
from timegpt_assets.serving.tsfm.contract import read
from timegpt_assets.serving.tsfm.parameters import ASSET, Parameters
from timegpt_assets.serving.tsfm.replies import Adjusted
from timegpt_assets.serving.tsfm.terms import Settled, settled, terms
from timegpt_assets_tests.serving.tsfm.made import GOOD, Repeating

SETTINGS = load_settings(profile="demo", config_dir=None, environment={})
LIQUID = {"volume_24h": 1e6}


def row(step: int, pool: str, adjustment: float, **said: Any) -> dict[str, Any]:
    """Return a row of CONFORMAL_PARAMETERS."""
    segment = {"price_bucket": "*", "liquidity_bucket": "*", "tte_bucket": "*", "category": "*"}
    known = {"day": date(2026, 2, 20), "level": 0.9, "band": "tsfm", "samples": 600}
    days = {"first_day": date(2026, 2, 6), "last_day": date(2026, 2, 19)}
    return known | days | segment | {"step": step, "pool": pool, "adjustment": adjustment} | said


def adjusting(root: Path, *, enabled: bool = True) -> Adjusting:
    """Return what adjusts by the parameters that are stored there."""
    spec = tsfm_inputs.conformal_spec(SETTINGS)
    return Adjusting(
        parameters=Parameters(ParquetStore(LocalStore(root)), spec.target, lambda: 0.0),
        spec=spec,
        terms=terms(SETTINGS),
        enabled=enabled,
    )


def asking(**asked: Any) -> tuple[Settled, Answered]:
    """Return a question and its answer."""
    question = settled(read(json.dumps(GOOD | asked).encode()), terms(SETTINGS))
    (answered,) = Repeating().forecast([question.asked])
    assert isinstance(answered, Answered)
    return question, answered


def adjusted(root: Path, rows: list[dict[str, Any]], *, enabled: bool = True, **asked: Any) -> Adjusted:
    """Return what becomes of a band of .45 to .55 around .5, the baseline's being .12 wide."""
    if rows:
        frame = pl.DataFrame(rows, schema=CONFORMAL_PARAMETERS.schema).with_columns(lineage_id=pl.lit("a"))
        ParquetStore(LocalStore(root)).write(ASSET, "2026-02-20", frame)
    return adjusting(root, enabled=enabled)(*asking(**asked))


def test_the_finest_pool_of_its_segment_moves_both_ends_of_each_step(tmp_path: Path) -> None:
    everything = [row(step, "all", step / 12) for step in range(1, 13)]
    price = {"pool": "price_bucket+liquidity_bucket", "price_bucket": ".25-.75"}
    noise = [
        row(1, adjustment=3, liquidity_bucket="LOW", **price),
        row(1, "price_bucket", 3, price_bucket=".75-.95"),
        row(1, "all", 3, band="baseline"),
        row(1, "all", 3, level=0.8),
        row(1, "all", 3, level=0.95),
    ]
    own = [row(2, adjustment=-1 / 6, liquidity_bucket="HIGH", **price)]
    found = adjusted(tmp_path, [*everything, *noise, *own], **LIQUID)
    assert found.band is not None
    assert np.allclose(found.band[0], [0.44, 0.5, 0.56])
    assert np.allclose(found.band[1], [0.47, 0.5, 0.53])
    assert np.allclose(found.band[11], [0.33, 0.5, 0.67])
    assert (found.day, found.pool, found.warnings) == ("2026-02-20", "all,price_bucket+liquidity_bucket", ())


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"as_of_ts": "2026-02-19T12:00:00Z"}, "conformal_absent"),
        ({"as_of_ts": "2026-03-07T12:00:00Z"}, "conformal_old"),
        ({"horizon_steps": 13}, "conformal_few"),
        ({"quantiles": [0.05, 0.5, 0.95]}, "conformal_other"),
        ({"model": {"model_name": "mock"}}, "conformal_other"),
        ({"transform": {"space": "identity"}}, "conformal_other"),
    ],
)
def test_a_forecast_that_no_parameters_were_learnt_from_stays_and_says_why(
    tmp_path: Path, asked: dict[str, Any], why: str
) -> None:
    rows = [row(step, "all", 0.01) for step in range(1, 13)]
    assert adjusted(tmp_path, rows).band is not None
    found = adjusted(tmp_path, rows, **asked)
    assert (found.band, found.day, found.pool) == (None, None, None)
    assert [one.partition(":")[0] for one in found.warnings] == [why]


def test_inner_quantiles_change_nothing(tmp_path: Path) -> None:
    rows = [row(step, "all", 0.01) for step in range(1, 13)]
    narrow, more = adjusted(tmp_path, rows), adjusted(tmp_path, rows, quantiles=[0.1, 0.2, 0.3, 0.5, 0.9])
    assert narrow.band is not None
    assert more.band is not None
    assert more.band.shape == narrow.band.shape == (12, 3)


def test_switched_off_nothing_is_adjusted(tmp_path: Path) -> None:
    found = adjusted(tmp_path, [row(step, "all", 0.01) for step in range(1, 13)], enabled=False)
    assert (found.band, found.warnings) == (None, ("conformal_off: tsfm.conformal.enabled is false",))


def test_a_request_is_adjusted_as_the_row_of_the_graph_is(tmp_path: Path) -> None:
    levels = [("<=.001", 0.1), (".01-.05", 0.2), (".25-.75", -0.3), (".75-.95", 0.4)]
    rows = [row(step, "price_bucket", by * step, price_bucket=level) for step in range(1, 13) for level, by in levels]
    rows += [row(step, "all", 7.0) for step in range(1, 13)]
    adjusted(tmp_path, rows)
    for y in ([0.9, 0.0005], [0.9, 0.03], [0.03, None, 0.5], [0.5, 0.9], [0.5, 0.99]):
        question, answered = asking(y=y, category="Sports", **LIQUID)
        segment = pl.DataFrame(
            {
                "day": [question.asked.as_of.date()], "market_id": ["m1"], "event_id": ["e"], "live": [True],
                "as_of": [question.asked.as_of], "liquidity_bucket": [question.asked.liquidity_bucket],
                "tte_bucket": [question.tte_bucket], "category": [question.category],
            }
        ).cast({"as_of": TIME})  # fmt: skip
        made = forecasts.forecasts(segment, [question.asked], {("m1", question.asked.as_of): answered})
        parameters = CONFORMAL_PARAMETERS.conformed(pl.DataFrame(rows, schema=CONFORMAL_PARAMETERS.schema))
        spec = tsfm_inputs.conformal_spec(SETTINGS)
        told = conformal.adjusted(made, parameters, spec, level=spec.target)
        found = adjusting(tmp_path)(question, answered)
        ends = told.select("adjusted_lower", "adjusted_median", "adjusted_upper").rows()
        assert found.band is not None
        assert [tuple(one) for one in found.band.tolist()] == ends
        assert found.pool == told["pool"][0]

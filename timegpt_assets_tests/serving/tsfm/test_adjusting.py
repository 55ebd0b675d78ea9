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
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.serving.tsfm.adjusting import Adjusting
from timegpt_assets.serving.tsfm.contract import read
from timegpt_assets.serving.tsfm.parameters import ASSET, Parameters
from timegpt_assets.serving.tsfm.replies import Adjusted
from timegpt_assets.serving.tsfm.terms import settled, terms
from timegpt_assets_tests.serving.tsfm.made import GOOD, Repeating

SETTINGS = load_settings(profile="demo", config_dir=None, environment={})
LIQUID = {"volume_24h": 1e6}


def row(step: int, pool: str, adjustment: float, **said: Any) -> dict[str, Any]:
    """Return a row of CONFORMAL_PARAMETERS."""
    segment = {"liquidity_bucket": "*", "tte_bucket": "*", "category": "*"}
    known = {"day": date(2026, 2, 20), "level": 0.9, "band": "tsfm", "samples": 600}
    days = {"first_day": date(2026, 2, 6), "last_day": date(2026, 2, 19)}
    return known | days | segment | {"step": step, "pool": pool, "adjustment": adjustment} | said


def adjusted(root: Path, rows: list[dict[str, Any]], *, enabled: bool = True, **asked: Any) -> Adjusted:
    """Return what becomes of a band of .45 to .55 around .5."""
    if rows:
        frame = pl.DataFrame(rows, schema=CONFORMAL_PARAMETERS.schema).with_columns(lineage_id=pl.lit("a"))
        ParquetStore(LocalStore(root)).write(ASSET, "2026-02-20", frame)
    allowed = terms(SETTINGS)
    question = settled(read(json.dumps(GOOD | asked).encode()), allowed)
    (answered,) = Repeating().forecast([question.asked])
    assert isinstance(answered, Answered)
    adjusting = Adjusting(
        parameters=Parameters(ParquetStore(LocalStore(root)), lambda: 0.0),
        spec=tsfm_inputs.conformal_spec(SETTINGS),
        terms=allowed,
        enabled=enabled,
    )
    return adjusting(question, answered)


def test_the_finest_pool_of_its_segment_moves_both_ends_of_each_step(tmp_path: Path) -> None:
    everything = [row(step, "all", 0.01 * step) for step in range(1, 13)]
    noise = [row(1, "liquidity_bucket", 0.4, liquidity_bucket="LOW"), row(1, "all", 0.4, band="baseline")]
    own = [row(2, "liquidity_bucket", -0.02, liquidity_bucket="HIGH")]
    found = adjusted(tmp_path, [*everything, *noise, *own, row(1, "all", 0.4, level=0.8)], **LIQUID)
    assert found.band is not None
    assert np.allclose(found.band[0], [0.44, 0.5, 0.56])
    assert np.allclose(found.band[1], [0.47, 0.5, 0.53])
    assert np.allclose(found.band[11], [0.33, 0.5, 0.67])
    assert (found.day, found.pool, found.warnings) == ("2026-02-20", "all,liquidity_bucket", ())


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

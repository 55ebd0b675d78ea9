"""Base scores against a clerk's loop: which answers are scored, in which unit, and that no row hangs on another."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation.base_scores import base_scores
from timegpt_assets.core.tables.features import LABELS
from timegpt_assets.core.tables.forecasts import BASE_ANSWERS
from timegpt_assets.core.targets import Target

DAY = date(2025, 2, 20)
OPEN = calendar.session(DAY).open
LEVELS = (50, 80)
QUANTILES = {"lo_80": 0.1, "lo_50": 0.25, "mean": 0.5, "hi_50": 0.75, "hi_80": 0.9}
BP = Target(mode="bp")


def answers(n: int = 12) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for i in range(n):
        snapshot = OPEN + timedelta(minutes=30 + 15 * (i // 4))
        ends = np.sort(rng.normal(0, 20, len(QUANTILES)))
        rows.append(
            {
                "day": DAY,
                "snapshot_ts": snapshot,
                "request_hash": "",
                "symbol": ("AAA", "BBB")[i % 2],
                "step": 15,
                "asked_at": snapshot,
                "sigma": (0.002, None)[i == 5],
                "target_scale": 1e-4,
                "forecaster": ("ridge", "zero")[i // 2 % 2],
                "backend": "baseline",
                "model": "ridge",
                "score_source": "baseline",
                "run_source": "smoke",
                "data_regime": "maintenance_replay",
                "stale_input": False,
                "host": None,
                **dict(zip(QUANTILES, ends.tolist(), strict=True)),
            }
        )
    levels = dict.fromkeys((name for name in QUANTILES if name != "mean"), pl.Float64)
    on_the_way = [row | {"step": 5} for row in rows[:3]]
    return BASE_ANSWERS.conformed(pl.DataFrame(rows + on_the_way, schema={**BASE_ANSWERS.schema, **levels}))


def labels() -> pl.DataFrame:
    rng = np.random.default_rng(4)
    ends = [OPEN + timedelta(minutes=30 + m) for m in range(1, 46)]  # the third snapshot's own is not there
    rows = [
        {"day": DAY, "symbol": s, "ts": end - timedelta(minutes=h + 1), "target_ts": end, "horizon_min": h}
        | {"y": rng.normal(0, 0.002), "y_bp": 0.0, "y_volatility_z": 0.0}
        for s in ("AAA", "BBB")
        for end in ends[:-1]
        for h in (1, 15)
    ]
    return LABELS.conformed(pl.DataFrame(rows, schema=LABELS.schema))


def test_each_answer_with_a_label_and_a_volatility_is_scored_as_a_clerk_would() -> None:
    found = base_scores(answers(), labels(), target=BP, levels=LEVELS)
    known = {
        (s, end): y for s, end, h, y in labels().select("symbol", "target_ts", "horizon_min", "y").rows() if h == 15
    }
    expected = {}
    for row in answers().iter_rows(named=True):
        y = known.get((row["symbol"], row["snapshot_ts"] + timedelta(minutes=15)))
        if y is not None and row["sigma"] and row["step"] == 15:
            missed = {q: y - row[name] * 1e-4 for name, q in QUANTILES.items()}
            loss = sum(q * e if e > 0 else (q - 1) * e for q, e in missed.items()) / len(QUANTILES) / row["sigma"]
            expected[row["snapshot_ts"], row["symbol"], row["forecaster"]] = loss
    scored = {tuple(key): loss for *key, loss in found.select("snapshot_ts", "symbol", "forecaster", "pinball").rows()}
    assert len(expected) == 7, "guard: one without a volatility and those without a label are left out"
    assert scored == pytest.approx(expected, rel=1e-12)
    assert found.height == 7
    assert found["y"].is_in(list(known.values())).all()


def test_the_score_of_an_answer_hangs_on_no_other_answer() -> None:
    together = base_scores(answers(), labels(), target=BP, levels=LEVELS)
    alone = [base_scores(own, labels(), target=BP, levels=LEVELS) for own in answers().iter_slices(1)]
    key = ["day", "symbol", "snapshot_ts", "forecaster"]
    assert_frame_equal(pl.concat(alone).sort(key), together, check_exact=True)

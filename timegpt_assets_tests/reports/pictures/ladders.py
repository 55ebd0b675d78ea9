"""A small ladder for the tests of its pictures and of its part of the report: one rung proven better, one not."""

import math
from datetime import UTC, date, datetime

import polars as pl

from timegpt_assets.core.evaluation.ladder import PAIRS
from timegpt_assets.core.tables.columns import SOURCE_KEY, TWIN
from timegpt_assets.core.tables.models import FEATURE_DRIFT, MODEL_REPORT
from timegpt_assets.reports.ladder import IMPORTANCE, Ladder, Phase, Timing
from timegpt_assets_tests.reports.pictures.frames import SOURCE, framed

MONTH = {"month": "2024-03", "as_of": date(2024, 3, 21)}
GOOD = "lightgbm"
FEATURES = [*(f"ret_{n}m" for n in (1, 5, 15, 30)), *(f"rv_{n}m" for n in range(5, 75, 5))]


def ladder_report() -> pl.DataFrame:
    """Return MODEL_REPORT in which the tree alone is better than everybody below it."""
    forward = {name: SOURCE[name] for name in SOURCE_KEY}
    rows = []
    for against, rung in PAIRS:
        ratio = 0.97 if rung == GOOD else 1.01
        measured = {
            "control_settings": "5e77ed",
            "n": 1200,
            "sessions": 40,
            "pinball_ratio": ratio,
            "pinball_ratio_low": ratio - 0.012,
            "pinball_ratio_high": ratio + 0.012,
            "mae_ratio": 1.0,
            "mae_ratio_low": 0.998,
            "mae_ratio_high": 1.002,
            "dm_p": 0.003 if rung == GOOD else 0.8,
            "better": rung == GOOD,
        }
        money = {"net_pnl": -12.5, "against_net_pnl": -40.0, "max_drawdown": 0.02, "against_max_drawdown": 0.04}
        named = MONTH | {"rung": rung, "against": against} | measured
        rows.append(named | {"stage": "validation"} | dict.fromkeys(SOURCE_KEY, "*") | {"sessions": 10})
        if against != TWIN:
            rows += [named | forward | money | {"stage": stage} for stage in ("forward", "forward_raw")]
    return framed(MODEL_REPORT, rows)


def feature_drift() -> pl.DataFrame:
    values = [0.4 * math.exp(-place / 3) for place in range(len(FEATURES))]
    rows = [
        MONTH | {"forecaster": GOOD, "feature": name, "psi": psi, "threshold": 0.25, "drifted": psi > 0.25, "n": 900}
        for name, psi in zip(FEATURES, values, strict=True)
    ]
    return framed(FEATURE_DRIFT, rows)


def importance() -> pl.DataFrame:
    shares = [0.5**place for place in range(1, len(FEATURES) + 1)]
    rows = [
        (GOOD, part, name, share) for part in ("centre", "size") for name, share in zip(FEATURES, shares, strict=True)
    ]
    return pl.DataFrame(rows, schema=IMPORTANCE, orient="row")


def ladder() -> Ladder:
    records = (("shadow", 0, "started by hand"), ("canary", 10, "20 sessions, every criterion holds"))
    records += (("shadow", 0, "rolled back: 3 sessions in a row failed their gates"),)
    return Ladder(
        report=ladder_report(),
        drift=feature_drift(),
        importance=importance(),
        timings=[Timing(forecaster=GOOD, training_s=2.25, inference_ms=3.4), Timing(forecaster="tsmixer")],
        rollout=[
            Phase(
                time=datetime(2024, 3, 5 * n, 21, tzinfo=UTC),
                forecaster=GOOD,
                phase=phase,
                share=share,
                why=why,
                who="me",
            )
            for n, (phase, share, why) in enumerate(records, 1)
        ],
    )

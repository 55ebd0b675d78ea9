"""Forecasters in pairs: common rows alone, each figure by pencil, and nobody's figure moved by another's rows."""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.evaluation.comparison import Terms, comparison
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.evaluation import DAY_SCORES
from timegpt_assets_tests.reports.pictures.frames import framed

AS_OF = date(2025, 2, 21)
DAYS = [calendar.shifted(AS_OF, -back) for back in range(3, -1, -1)]
LIVE = {"score_source": "model", "run_source": "prod", "data_regime": "prod_live"}
LOCAL = {"score_source": "baseline", "run_source": "prod", "data_regime": "maintenance_replay"}
TERMS = Terms(champion="timegpt", draws=200, cluster_days=1, price_per_call=0.5)


def score(forecaster: str, day: date, *, loss: float, symbol: str = "AAA", minute: int = 30, **other: Any) -> Any:
    snapshot = calendar.session(day).open + timedelta(minutes=minute)
    sources = LIVE if forecaster == "timegpt" else LOCAL
    measured = {"pinball": loss, "raw_pinball": loss, "abs_error": 2 * loss, "calibration": "affine"}
    covered = {f"covered_{level}": loss < 2.0 for level in (50, 80, 95)}
    asked = {"target_ts": snapshot + timedelta(minutes=15), "request_hash": f"{day}{minute}"}
    own = {"forecaster": forecaster, "day": day, "symbol": symbol, "snapshot_ts": snapshot}
    return own | sources | measured | covered | asked | other


def trade(book: str, day: date, net: float, *, admitted: bool = True, symbol: str = "AAA") -> dict[str, Any]:
    entry = calendar.session(day).open + timedelta(minutes=31)
    times = {"snapshot_ts": entry - timedelta(minutes=1), "target_ts": entry, "entry_ts": entry}
    return {
        "book": book,
        "forecaster": book,
        "day": day,
        "symbol": symbol,
        "gross_pnl": net,
        "net_pnl": net,
        "admitted": admitted,
    } | times


def scores(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return framed(DAY_SCORES, rows)


def compared(rows: list[dict[str, Any]], trades: list[dict[str, Any]] | None = None, **changes: Any) -> pl.DataFrame:
    book = framed(PORTFOLIO, trades) if trades else PORTFOLIO.empty()
    given = {"month": "2025-02", "as_of": AS_OF, "lookback_sessions": 4, "terms": TERMS} | changes
    return comparison(scores(rows), book, **given)


OWN = [score("timegpt", day, loss=loss) for day, loss in zip(DAYS, (1.0, 1.0, 2.0, 1.0), strict=True)]
RIDGE = [score("ridge", day, loss=loss) for day, loss in zip(DAYS, (2.0, 2.0, 1.0, 2.0), strict=True)]


def pair(frame: pl.DataFrame, own: str, against: str, symbol: str = "*") -> dict[str, Any]:
    return frame.filter(forecaster=own, against=against, symbol=symbol).row(0, named=True)


def test_a_pair_by_pencil() -> None:
    trades = [trade("timegpt", DAYS[0], 30.0), trade("ridge", DAYS[0], 10.0), trade("ridge", DAYS[2], -4.0)]
    trades += [trade("timegpt", DAYS[3], 99.0, admitted=False), trade("live", DAYS[0], 30.0)]
    frame = compared([*OWN, *RIDGE], trades)
    row = pair(frame, "timegpt", "ridge")
    assert (row["n"], row["not_common"], row["sessions"]) == (4, 0, 4)
    assert row["rpinball"] == pytest.approx(5 / 7)
    assert row["rmae"] == pytest.approx(5 / 7)
    assert row["pinball_won"] == pytest.approx(2 / 4)
    assert (row["coverage_50"], row["against_coverage_50"]) == (0.75, 0.25)
    assert row["pnl_difference"] == pytest.approx(30 - 10 + 4)
    assert row["pnl_difference_low"] <= row["pnl_difference"] <= row["pnl_difference_high"]
    assert (row["requests"], row["spent"], row["spent_per_thousand"]) == (4, 2.0, 500.0)
    assert row["spent_per_bp"] == pytest.approx(500.0 / (0.5 * 1e4))
    assert row["against_sources"] == "+".join(LOCAL.values())
    other = pair(frame, "ridge", "timegpt")
    assert other["rpinball"] == pytest.approx(7 / 5)
    assert other["pnl_difference"] == pytest.approx(-24)
    assert (other["requests"], other["spent"], other["spent_per_bp"]) == (0, 0.0, None)
    assert row["rpinball_p"] < 0.5 < other["rpinball_p"]
    assert row["rpinball_p"] == pytest.approx(
        significance.diebold_mariano(np.array([1.0, 1, 2, 1]), np.array([2.0, 2, 1, 2]))
    )


def test_errors_over_persistences_are_those_of_the_common_rows_by_pencil() -> None:
    """OWN errs 2, 2, 4, 2 and RIDGE 4, 4, 2, 4 where persistence errs 5, 5, 5 and, once, is not known."""
    last = [{"abs_error_last": 5.0, "sq_error_last": 25.0}] * 3 + [{"abs_error_last": None, "sq_error_last": None}]
    own, ridge = (
        [row | gone | {"sq_error": row["abs_error"] ** 2} for row, gone in zip(rows, last, strict=True)]
        for rows in (OWN, RIDGE)
    )
    alone = score("timegpt", DAYS[0], loss=50.0, minute=90) | last[0] | {"sq_error": 1e4}
    row = compared([*own, *ridge, alone]).filter(symbol="*", forecaster="timegpt", against="ridge").row(0, named=True)
    assert (row["rmae_last"], row["against_rmae_last"]) == pytest.approx((8 / 15, 10 / 15))
    assert row["rrmse_last"] == pytest.approx(math.sqrt((4 + 4 + 16) / 75))
    assert row["against_rrmse_last"] == pytest.approx(math.sqrt((16 + 16 + 4) / 75))
    unknown = [row | last[3] | {"sq_error": 1.0} for row in (*OWN, *RIDGE)]
    row = compared(unknown).filter(symbol="*", forecaster="timegpt", against="ridge").row(0, named=True)
    assert (row["rmae_last"], row["against_rrmse_last"]) == (None, None)


def test_only_common_rows_count_and_the_others_are_told() -> None:
    earlier = calendar.shifted(AS_OF, -9)
    strange = [
        score("timegpt", DAYS[0], loss=900.0, minute=60),  # nobody else was asked then
        score("timegpt", DAYS[1], loss=900.0, minute=90),
        score("ridge", DAYS[1], loss=1.0, minute=90, calibration="none"),  # one is calibrated, the other is not
        score("timegpt", DAYS[2], loss=900.0, symbol="BBB"),
        score("timegpt", earlier, loss=900.0),
        score("ridge", earlier, loss=1.0),  # before the window
    ]
    frame = compared([*OWN, *RIDGE, *strange])
    clean = compared([*OWN, *RIDGE])
    row, alone = pair(frame, "timegpt", "ridge"), pair(clean, "timegpt", "ridge")
    assert (row["n"], row["not_common"]) == (4, 3)
    figures = [name for name in row if name not in ("not_common",)]
    assert {name: row[name] for name in figures} == {name: alone[name] for name in figures}
    nothing = pair(frame, "timegpt", "ridge", "BBB")
    assert (nothing["n"], nothing["not_common"], nothing["rpinball"], nothing["coverage_50"]) == (0, 1, None, None)
    assert nothing["spent_per_thousand"] is None


def test_both_uncalibrated_are_comparable() -> None:
    rows = [row | {"calibration": "none"} for row in (*OWN, *RIDGE)]
    assert pair(compared(rows), "timegpt", "ridge")["n"] == 4


def test_everybody_meets_champion_control_arm_and_references_and_the_champion_everybody() -> None:
    others = ("zero", "climatology", "size", "persistence")
    rows = [row | {"forecaster": name} for name in others for row in RIDGE]
    frame = compared([*OWN, *RIDGE, *rows]).filter(symbol="*")
    found = set(frame.select("forecaster", "against").iter_rows())
    everyone, met_by_all = {"timegpt", "ridge", *others}, {"timegpt", "ridge", "zero", "climatology"}
    pairs = {(own, other) for own in everyone for other in met_by_all if own != other}
    assert found == pairs | {("timegpt", "size"), ("timegpt", "persistence")}


def test_every_figure_equals_that_of_the_pairs_own_rows() -> None:
    rng = np.random.default_rng(3)
    names, sources = ("timegpt", "ridge", "zero", "size", "climatology"), (LIVE, LOCAL, LIVE | {"run_source": "smoke"})
    rows = [
        score(name, day, loss=float(rng.uniform(1, 3)), symbol=symbol, minute=30 + 5 * regime) | sources[regime]
        for name in names
        for day in DAYS
        for symbol in ("AAA", "BBB")
        for regime in range(3)
    ]
    trades = [trade(name, day, float(rng.normal(0, 9))) for name in names for day in DAYS]
    mixed = compared(rows, trades)
    figures = [name for name in mixed.columns if not name.endswith("_holm")]
    seen = 0
    for own, other in (("timegpt", "zero"), ("size", "ridge"), ("climatology", "timegpt")):
        pure = compared([r for r in rows if r["forecaster"] in (own, other)], trades)
        for frame in (mixed, pure):
            assert frame.filter(forecaster=own, against=other).height >= 3 * 3
        wanted = {"forecaster": own, "against": other}
        assert_frame_equal(mixed.filter(**wanted).select(figures), pure.filter(**wanted).select(figures))
        seen += mixed.filter(**wanted).height
    assert seen > 50


def test_an_unknown_price_is_null_and_what_is_free_is_free() -> None:
    terms = Terms(champion="timegpt", draws=200, cluster_days=1, price_per_call=None)
    frame = compared([*OWN, *RIDGE], terms=terms)
    assert pair(frame, "timegpt", "ridge")["spent"] is None
    assert pair(frame, "ridge", "timegpt")["spent"] == 0.0


def test_holm_against_its_own_table() -> None:
    # Holm (1979): sorted p times 4, 3, 2, 1, never below the one before.
    assert significance.holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0]
    assert significance.holm([]) == []
    assert math.isclose(significance.holm([0.2])[0] or 0, 0.2)

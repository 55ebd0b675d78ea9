"""Two runs on their common rows: by pencil, and what is not common."""

import pytest

from timegpt_assets.core.evaluation.two_runs import Run, differences
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets_tests.core.evaluation.test_comparison import DAYS, score, scores, trade
from timegpt_assets_tests.reports.pictures.frames import framed

SAMPLING = Sampling(draws=200, cluster_days=1)
OWN = [score("timegpt", day, loss=loss) for day, loss in zip(DAYS, (1.0, 1.0, 2.0, 1.0), strict=True)]
OTHER = [score("timegpt", day, loss=loss) for day, loss in zip(DAYS, (2.0, 2.0, 1.0, 2.0), strict=True)]
EARNED = [trade("timegpt", DAYS[0], 30.0), trade("timegpt", DAYS[3], 99.0), trade("live", DAYS[1], 7.0)]
LESS = [trade("timegpt", DAYS[0], 10.0), trade("timegpt", DAYS[1], 5.0, admitted=False)]


def _run(rows, trades=(), days=DAYS) -> Run:
    return Run(scores=scores(rows), portfolio=framed(PORTFOLIO, trades) if trades else PORTFOLIO.empty(), sessions=days)


def test_losses_and_money_of_common_rows_and_sessions_by_pencil() -> None:
    row = differences(_run(OWN, EARNED), _run(OTHER, LESS, DAYS[:3]), SAMPLING).row(0, named=True)
    assert (row["forecaster"], row["n"], row["not_common"], row["sessions"]) == ("timegpt", 4, 0, 4)
    assert row["rpinball"] == pytest.approx(5 / 7)
    assert (row["coverage_50"], row["against_coverage_50"]) == (0.75, 0.25)
    assert row["pnl_difference"] == pytest.approx(30 - 10), "the fourth session is not in both"
    back = differences(_run(OTHER, LESS, DAYS[:3]), _run(OWN, EARNED), SAMPLING).row(0, named=True)
    assert back["rpinball"] == pytest.approx(7 / 5)
    assert back["pnl_difference"] == pytest.approx(-20)


def test_a_run_against_itself_differs_in_nothing() -> None:
    row = differences(_run(OWN, EARNED), _run(OWN, EARNED), SAMPLING).row(0, named=True)
    assert (row["rpinball"], row["rmae"], row["pnl_difference"]) == (1.0, 1.0, 0.0)
    assert row["coverage_80"] == row["against_coverage_80"]


def test_runs_of_other_days_have_no_common_row_and_a_forecaster_of_one_is_left_out() -> None:
    later = _run([*OWN[2:], score("ridge", DAYS[3], loss=1.0)], days=DAYS[2:])
    found = differences(_run(OWN[:2], EARNED[:1], DAYS[:2]), later, SAMPLING)
    assert found["forecaster"].to_list() == ["timegpt"]
    row = found.row(0, named=True)
    assert (row["n"], row["not_common"], row["rpinball"], row["pnl_difference"]) == (0, 2, None, None)

"""Climatology: quantiles of what came at the same time of the last sessions, and of nothing else."""

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.climatology import Climatology
from timegpt_assets_tests.core.forecasts.local.made import (
    DAY,
    DAYS,
    PANEL,
    SYMBOLS,
    agree,
    answers,
    framed,
    lessons,
    said,
    usual_frames,
)  # fmt: skip


@pytest.mark.parametrize("sessions", [4, 10, 30])
def test_the_answer_is_numpy_s_quantile_of_the_last_known_returns(sessions: int) -> None:
    def oracle(frame: Frame, symbol: str) -> tuple[float, ...]:
        learnt, now = lessons(frame, symbol)
        came = [lesson.came for lesson in learnt if lesson.minute == now["minute"]][-sessions:]
        assert len(came) == min(sessions, 10)
        return tuple(np.quantile(came, [0.5, 0.25, 0.75]))

    agree(Climatology(sessions=sessions, min_sessions=2), oracle)


def test_the_last_known_ones_count_and_not_the_last_sessions() -> None:
    one = Climatology(sessions=4, min_sessions=4)
    gone = PANEL.filter(~((pl.col("day") == DAYS[9]) & (pl.col("symbol") == "AAA")))
    earlier = PANEL.filter(pl.col("day") >= DAYS[5])
    ours = pl.col("symbol") == "AAA"
    four = answers(framed(gone.filter(pl.col("day") >= DAYS[5])), one).filter(ours)
    assert four.equals(answers(framed(gone), one).filter(ours))
    assert four.height == 25
    assert not four.equals(answers(framed(earlier), one).filter(ours))


def test_too_few_sessions_are_refused_in_their_own_words() -> None:
    found = said(framed(day=DAY, history_days=3), Climatology(sessions=20, min_sessions=4))
    assert found.rows.is_empty()
    assert set(found.refused["reason"]) == {"short history: 3 sessions with a return at this time, at least 4"}
    assert found.refused.height == len(usual_frames()) * len(SYMBOLS)

"""The unlearnt twin: the same bands of the same rows, and nothing that features could have told."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.models import unlearnt
from timegpt_assets.core.models.judged import losses

DAYS = [session.day for session in calendar.sessions(date(2025, 2, 3), date(2025, 3, 14))]
LEVELS = (50, 80)


def rows(*, noise: float, moves: float) -> pl.DataFrame:
    """Return rows of two symbols: returns of volatility 1 and 3, which itself ``moves``, and what sigma makes of it."""
    rng = np.random.default_rng(3)
    made = []
    for day in DAYS:
        for minute in range(30, 360, 15):
            for symbol, usual in (("AAA", 1.0), ("BBB", 3.0)):
                true = usual * np.exp(moves * rng.standard_normal())
                sigma = true * np.exp(noise * rng.standard_normal())
                at = calendar.session(day).open + timedelta(minutes=minute)
                made.append((day, symbol, at, sigma, true * rng.standard_normal() / sigma))
    return pl.DataFrame(made, schema=["day", "symbol", "snapshot_ts", "sigma", "z"], orient="row")


def test_a_volatility_that_only_scatters_is_not_believed_and_one_that_moves_is() -> None:
    assert unlearnt.twin(rows(noise=0.4, moves=0.0), window_min=120).share == 1.0
    assert unlearnt.twin(rows(noise=0.0, moves=0.4), window_min=120).share == 0.0


def test_the_usual_volatility_is_each_symbols_own() -> None:
    known = rows(noise=0.4, moves=0.0)
    said = unlearnt.twin(known, window_min=120).predicted(known, LEVELS)
    width = said.join(known, on=["day", "symbol", "snapshot_ts"]).select("symbol", pl.col("hi_80") * pl.col("sigma"))
    by_symbol = dict(width.group_by("symbol").mean().iter_rows())
    assert by_symbol["AAA"] == pytest.approx(1.28, rel=0.1)
    assert by_symbol["BBB"] == pytest.approx(3 * 1.28, rel=0.1)


def test_its_bands_hold_what_they_say_and_expect_no_direction() -> None:
    known = rows(noise=0.2, moves=0.2)
    past, later = (known.filter(own) for own in (pl.col("day") < DAYS[20], pl.col("day") >= DAYS[20]))
    said = unlearnt.twin(past, window_min=120).predicted(later.drop("z"), LEVELS)
    met = said.join(later, on=["day", "symbol", "snapshot_ts"])
    assert (said["mean"] == 0).all()
    assert (said["lo_80"] + said["hi_80"]).abs().max() == 0
    for level in LEVELS:
        inside = met.select(pl.col("z").is_between(f"lo_{level}", f"hi_{level}").mean()).item()
        assert inside == pytest.approx(level / 100, abs=0.05)


def test_a_session_is_answered_by_the_others_alone_and_a_single_one_by_nobody() -> None:
    known = rows(noise=0.2, moves=0.0)
    first = known["day"] == DAYS[0]
    wild = known.with_columns(z=pl.when(first).then(pl.lit(99.0)).otherwise("z"))
    told, of_wild = (unlearnt.by_the_others(own, LEVELS, window_min=120) for own in (known, wild))
    assert told.filter(day=DAYS[0]).equals(of_wild.filter(day=DAYS[0]))
    assert not told.filter(day=DAYS[1]).equals(of_wild.filter(day=DAYS[1])), "guard: the others do learn from it"
    assert unlearnt.by_the_others(known.filter(first), LEVELS, window_min=120).is_empty()
    assert losses(known, told, LEVELS).height == known.height

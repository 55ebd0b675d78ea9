"""Triggers: what fires and what does not, by hand and on noise, where a trigger must keep still."""

import math
from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.rollout import triggers
from timegpt_assets.core.rollout.gate_sessions import FAILED, PASSED, SILENT, UNDECIDED, gate_sessions, said
from timegpt_assets.core.rollout.triggers import TRIGGERS, Asked, Evidence, judged
from timegpt_assets_tests.rollouts import LAST_PRICE, Session, drift, features, gates, portfolio, scores

ASKED = Asked(gate_failures=3, anomaly_sigma=3.0, sessions=20)
DAYS = [s.day for s in calendar.sessions(date(2025, 3, 3), date(2025, 3, 31))]


def evidence(*sessions: Session, days: list[date] = DAYS) -> Evidence:
    """Return what is stored after good sessions that end with these."""
    every = [*[Session()] * (len(days) - len(sessions)), *sessions]
    pairs = list(zip(days, every, strict=True))
    rows = pl.concat(portfolio(day, "size", session) for day, session in pairs)
    last = rows.select("day", "symbol", "snapshot_ts").unique().with_columns(last_price=pl.lit(LAST_PRICE))
    return Evidence(
        forecaster="size",
        control="ridge",
        sessions=days,
        symbol_gates=pl.concat(gates(day, "size", session) for day, session in pairs),
        day_scores=pl.concat(scores(day, "size", session) for day, session in pairs),
        portfolio=rows,
        last_prices=last,
        coverage_drift=pl.concat(drift(day, session) for day, session in pairs),
        feature_drift=features(days[-1], "size", every[-1].psi or 0.1),
    )


def fired(found: Evidence, asked: Asked = ASKED) -> list[str]:
    return [finding.trigger for finding in judged(found, asked) if finding.fired]


def test_each_fires_alone_and_says_its_figures() -> None:
    assert fired(evidence()) == []
    for name, said_of, sessions in (
        ("gate_failures", "3 sessions in a row, 3 send back: 2025-03-27 5 of 20 eligible", [Session(eligible=5)] * 3),
        ("coverage_drift", "50 % bands covered 0.4100; the alarm rings alone", [Session(alarms=("size",))]),
        ("feature_drift", "median PSI of 5 features in 2025-03 0.408, over 0.25 sends back", [Session(psi=0.4)]),
        ("reject_rate", "12 of 800 signals refused, ridge 0 of 800, over 20 sessions", [Session(refused=12)]),
        ("slippage", "entries slipped by 0.0", [Session(slipped=0.9)]),
    ):
        found = evidence(*sessions)
        assert fired(found) == [name]
        (finding,) = (one for one in judged(found, ASKED) if one.fired)
        assert said_of in finding.reason


def test_what_comes_short_of_a_trigger_sends_nobody_back() -> None:
    assert fired(evidence(*[Session(eligible=5)] * 2)) == []
    assert fired(evidence(Session(eligible=5), Session(eligible=5), Session(eligible=11))) == []
    assert fired(evidence(Session(alarms=("size", "ridge")))) == [], "the market moved: the control arm rings, too"
    assert fired(evidence(Session(alarms=("ridge", "zero")))) == []
    assert fired(evidence(Session(alarms=("size",)), Session())) == [], "it is judged on its own session"
    assert fired(evidence(Session(psi=0.2))) == []
    assert fired(evidence(Session(refused=2))) == []
    assert fired(evidence(Session(psi=0.9), days=DAYS[:-1])) == [], "part of a month"


def test_settings_move_each_threshold() -> None:
    assert fired(evidence(*[Session(eligible=5)] * 2), replace(ASKED, gate_failures=2)) == ["gate_failures"]
    assert fired(evidence(Session(refused=12)), replace(ASKED, anomaly_sigma=8.0)) == []
    assert fired(evidence(Session(slipped=0.9)), replace(ASKED, anomaly_sigma=30.0)) == []
    assert fired(evidence(Session(refused=12), *[Session()] * 5), replace(ASKED, sessions=5)) == [], "further back"


def test_a_month_that_was_measured_whole_counts_until_the_next_one_is() -> None:
    april = [*DAYS, *[s.day for s in calendar.sessions(date(2025, 4, 1), date(2025, 4, 4))]]
    found = evidence(days=april[-21:])
    whole = features(DAYS[-1], "size", 0.4)
    both = replace(found, feature_drift=pl.concat([whole, features(april[-1], "size", 9.0)]))
    assert fired(replace(found, feature_drift=whole)) == ["feature_drift"]
    (finding,) = (one for one in judged(both, ASKED) if one.fired)
    assert finding.value == pytest.approx(0.408)


def test_silence_is_a_failure_and_too_little_seen_is_neither_and_breaks_no_row_of_failures() -> None:
    sessions = [Session(), Session(eligible=10), Session(answers=""), Session(answers="fallback"), Session()]
    found = evidence(*sessions, days=DAYS[:5])
    unseen = found.symbol_gates.with_columns(
        verdict=pl.when(day=DAYS[4]).then(pl.lit("insufficient_observation")).otherwise("verdict")
    )
    told = gate_sessions(unseen, found.day_scores, forecaster="size", days=DAYS[:5])
    assert [one.verdict for one in told] == [PASSED, FAILED, SILENT, SILENT, UNDECIDED]
    assert said(told[1:3]) == "2025-03-04 10 of 20 eligible, 2025-03-05 no answer"
    assert triggers.gate_failures(replace(found, symbol_gates=unseen), ASKED).fired
    nobody = gate_sessions(found.symbol_gates, found.day_scores.clear(), forecaster="size", days=DAYS[:1])
    assert nobody[0].verdict == UNDECIDED, "nobody was asked"


def test_a_verdict_on_other_sources_than_those_it_answered_under_counts_for_nothing() -> None:
    found = evidence(*[Session(eligible=5)] * 3)
    other = found.symbol_gates.with_columns(run_source=pl.lit("prod"))
    assert fired(replace(found, symbol_gates=other)) == []


@pytest.mark.parametrize("name", TRIGGERS)
def test_neither_the_order_of_rows_nor_rows_of_others_or_of_later_days_change_what_is_found(name: str) -> None:
    bad = Session(eligible=5, alarms=("size",), psi=0.4, refused=12, slipped=0.9)
    found, later = evidence(bad, bad, bad), evidence(bad, days=[date(2025, 4, 1)])
    tables = {
        table: pl.concat([getattr(found, table), getattr(later, table)]).sample(fraction=1.0, shuffle=True, seed=3)
        for table in ("symbol_gates", "day_scores", "portfolio", "last_prices", "coverage_drift", "feature_drift")
    }
    mine, other = TRIGGERS[name](found, ASKED), TRIGGERS[name](replace(found, **tables), ASKED)
    assert mine.fired
    assert (other.fired, other.threshold) == (True, pytest.approx(mine.threshold))
    assert other.value == pytest.approx(mine.value)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 99))
def test_the_tail_of_hits_is_exact_and_falls_with_more_of_them(hits: int, more: int, percent: int) -> None:
    of, rate = hits + more, Fraction(percent, 100)
    exact = sum(math.comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(hits, of + 1))
    assert triggers.binomial_tail(hits, of, percent / 100) == pytest.approx(float(exact), rel=1e-9)
    tails = [triggers.binomial_tail(k, of, percent / 100) for k in range(of + 1)]
    assert all(high >= low for high, low in pairwise(tails))


def test_as_many_refusals_as_three_deviations_and_of_many_thousand_signals() -> None:
    assert triggers.normal_tail(3.0) == pytest.approx(0.00134990, rel=1e-5)
    assert triggers.binomial_tail(0, 0, 0.5) == 1.0
    assert triggers.binomial_tail(6_000, 20_000, 0.01) == 0.0
    assert triggers.binomial_tail(100, 20_000, 0.005) == pytest.approx(0.513, abs=0.01)


@pytest.mark.parametrize("together", [True, False])
def test_on_noise_that_hangs_together_by_session_slippage_fires_in_less_than_one_of_two_hundred(together: bool) -> None:
    """Both arms draw the same distribution; what a session shares is the same for both, or each one's own."""
    rng, beyond = np.random.default_rng(5), []
    for _ in range(2000):
        shared = rng.normal(0, 0.2, 20)
        usual = [shared[d] + rng.normal(0, 0.5, 40) for d in range(20)]
        own = [(shared[d] if together else rng.normal(0, 0.2)) + rng.normal(0, 0.5, 6) for d in range(20)]
        deviation = triggers.deviation_of_difference(usual, entries=120, sessions=20)
        beyond.append((np.concatenate(own).mean() - np.concatenate(usual).mean()) / deviation)
    assert np.mean(np.array(beyond) > 3.0) < 0.005
    assert together or 0.85 < np.std(beyond) < 1.15, "three deviations are what they are called"


def test_who_has_no_entries_or_no_control_arm_beside_it_is_not_measured() -> None:
    found = evidence(Session(slipped=0.9, refused=12))
    alone = replace(found, portfolio=found.portfolio.filter(pl.col("book") != "ridge"))
    assert fired(alone) == []
    assert judged(alone, ASKED)[-1].reason == "not measured: 800 entries, ridge 0, over 20 sessions"
    idle = replace(found, portfolio=found.portfolio.filter(pl.col("book") != "size"))
    assert fired(idle) == []

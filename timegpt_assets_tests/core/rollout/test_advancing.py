"""Advancing: what is asked, what cannot be decided, and what a rung of the ladder must have shown."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.books import assigned, bucket
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.rollout.advancing import (
    Shown,
    Unproven,
    criteria,
    missing,
    refuse_nothing_to_trade,
    refuse_unproven,
)
from timegpt_assets.core.rollout.gate_sessions import GateSession
from timegpt_assets.core.rollout.phases import CANARY, FULL, RolloutRefused, Standing
from timegpt_assets.core.rollout.triggers import Finding
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets.core.tables.models import MODEL_REPORT
from timegpt_assets_tests.core.gates.made import LADDER, MONTH, ladder_report
from timegpt_assets_tests.rollouts import SYMBOLS

DAYS = [s.day for s in calendar.sessions(date(2025, 2, 3), date(2025, 2, 28))]
STANDING = Standing(
    forecaster="size",
    phase="shadow",
    share=0,
    since=calendar.session(DAYS[0]).open - timedelta(hours=1),
    who="me",
    why="",
)
GOOD = Finding(trigger="slippage", fired=False, value=0.0, threshold=3.0, reason="none")


def session(day: date, eligible: int = 3, ineligible: int = 1, *, silent: bool = False) -> GateSession:
    return GateSession(day=day, eligible=eligible, ineligible=ineligible, silent=silent)


SHOWN = Shown(
    standing=STANDING,
    gate_sessions=[session(day) for day in DAYS],
    gates=GATES.empty(),
    model_report=MODEL_REPORT.empty(),
    ladder=LADDER,
    triples=[LIVE],
    findings=[GOOD],
)


def failed(shown: Shown, min_days: int = len(DAYS)) -> list[str]:
    return [row["criterion"] for row in criteria(shown, min_days=min_days) if not row["passed"]]


def gate(**row: Any) -> pl.DataFrame:
    base = {"gate": "hard_metrics", "symbol": "*", "forecaster": "size", "criterion": "max_drawdown", **LIVE, **MONTH}
    rows = pl.DataFrame([base | {"n": 1, "reason": "holds", "passed": True} | row], schema=GATES.schema)
    return GATES.conformed(rows)


def test_all_must_hold_and_each_that_does_not_is_named_with_its_figures() -> None:
    assert failed(SHOWN) == []
    refuse_unproven(STANDING, CANARY, criteria(SHOWN, min_days=len(DAYS)))
    short = criteria(SHOWN, min_days=len(DAYS) + 1)
    since = "in shadow since 2025-02-03 13:30 UTC"
    assert missing(short) == [
        f"sessions: 19 finished sessions {since}, 20 asked",
        "symbol_gates: its gates passed on 19 of 19 sessions, 20 asked",
    ]
    with pytest.raises(Unproven, match=r"size stays in shadow, for canary is missing: sessions: 19 .*; symbol_gates: "):
        refuse_unproven(STANDING, CANARY, short)


def test_only_sessions_whose_gates_passed_count_and_the_others_are_told() -> None:
    sessions = [*SHOWN.gate_sessions[:-2], session(DAYS[-2], 1, 1), session(DAYS[-1], 0, 0)]
    shown = replace(SHOWN, gate_sessions=sessions)
    assert failed(shown) == ["symbol_gates"]
    assert failed(shown, min_days=17) == []
    told = (
        "its gates passed on 17 of 19 sessions, 19 asked; not on 2025-02-27 1 of 2 eligible, 2025-02-28 0 of 0 eligible"
    )
    assert missing(criteria(shown, min_days=19)) == [f"symbol_gates: {told}"]


def test_gates_of_the_month_are_asked_as_far_as_they_can_be_decided() -> None:
    unseen = gate(passed=False, reason="insufficient_observation: 3 days, 60 needed")
    bad = gate(passed=False, reason="0.2 <= 0.1 does not hold")
    assert failed(replace(SHOWN, gates=unseen)) == []
    assert failed(replace(SHOWN, gates=bad)) == ["hard_metrics"]
    assert failed(replace(SHOWN, gates=bad.with_columns(forecaster=pl.lit("ridge")))) == [], "somebody else's"
    assert failed(replace(SHOWN, gates=bad.with_columns(symbol=pl.lit("AAA")))) == [], "symbols have gates of the day"
    (told,) = missing(criteria(replace(SHOWN, gates=bad), min_days=1))
    assert told == (
        "hard_metrics: 0 of 1 criteria that can be decided hold; not max_drawdown (0.2 <= 0.1 does not hold)"
    )


def test_a_trigger_that_holds_keeps_it_where_it_is() -> None:
    assert failed(replace(SHOWN, findings=[GOOD, replace(GOOD, trigger="reject_rate", fired=True)])) == ["reject_rate"]


def test_a_rung_of_the_ladder_must_have_beaten_the_control_arm_and_nobody_else_is_asked() -> None:
    blend = replace(SHOWN, standing=replace(STANDING, forecaster="blend"), model_report=ladder_report())
    assert failed(blend) == []
    worse = replace(blend, model_report=ladder_report(dm_p=0.2, net_pnl=1.0))
    assert failed(worse) == ["ladder_forward_p", "net_pnl_over_lightgbm", "net_pnl_over_tsmixer"]
    unproven = replace(blend, model_report=MODEL_REPORT.empty(), triples=[])
    assert {"ladder_validation", "ladder_forward"} <= set(failed(unproven)), "not measured is not passed"
    assert failed(replace(SHOWN, model_report=ladder_report(dm_p=0.2))) == []


def test_a_phase_in_which_nothing_would_be_traded_is_refused_with_the_least_share_that_trades() -> None:
    least = min(bucket("size", symbol) for symbol in SYMBOLS)
    with pytest.raises(
        RolloutRefused, match=rf"{least} % of 20 symbols is none .* rollout.shares.canary to {least + 1} or"
    ):
        refuse_nothing_to_trade(STANDING, CANARY, least, SYMBOLS)
    refuse_nothing_to_trade(STANDING, CANARY, least + 1, SYMBOLS)
    assert len(assigned(SYMBOLS, [("size", least + 1)], champion="")) == 1
    refuse_nothing_to_trade(STANDING, FULL, 100, SYMBOLS)

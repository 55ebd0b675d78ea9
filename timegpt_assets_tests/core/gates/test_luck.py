"""Luck: what is asked of the best of many, by pencil; trials are never fewer than were recorded, and none is unseen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar, overfitting
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.gates.luck import Luck, Trials, luck_gate
from timegpt_assets_tests.core.gates.made_books import asked_on, portfolio

AS_OF = date(2025, 11, 28)
DAYS = [calendar.shifted(AS_OF, -back) for back in range(249, -1, -1)]
BEFORE = calendar.shifted(DAYS[0], -1)
ASKED = Luck(
    min_observation_days=60, oos_start=BEFORE, dsr_gte=0.95, pbo_lte=0.5, pbo_blocks=8, track_record_confidence=0.95,
    trials_in_oos_lte=0,
)  # fmt: skip
TRIED = {
    "kind": pl.String,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "forecaster": pl.String,
    "combination": pl.String,
}
EARNED = {"day": pl.Date, "forecaster": pl.String, "combination": pl.String, "net_pnl": pl.Float64}
NEVER = Trials(tried=pl.DataFrame(schema=TRIED), days=pl.DataFrame(schema=EARNED))
MAINTENANCE = LIVE | {"run_source": "maintenance", "data_regime": "maintenance_replay"}


def earning(sharpe: float, n: int = 250, seed: int = 5) -> np.ndarray:
    """Return n days of P&L whose Sharpe ratio of one session is exactly this."""
    noise = np.random.default_rng(seed).normal(0, 1, n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return 1000 * (noise + sharpe)


def tried(
    ratios: Sequence[float], *, kind: str = "sweep", forecaster: str = "timegpt", stored: bool = True,
    last: date = BEFORE, n: int = 120,
) -> Trials:  # fmt: skip
    """Return combinations with these Sharpe ratios on the n sessions up to ``last``."""
    days = [calendar.shifted(last, -back) for back in range(n - 1, -1, -1)]
    rows = [(kind, days[0], last, forecaster, f"{kind}{i}") for i in range(len(ratios))]
    earned = [
        (day, forecaster, f"sweep{i}", float(net))
        for i, ratio in enumerate(ratios)
        for day, net in zip(days, earning(ratio, n, seed=i), strict=True)
    ]
    return Trials(
        tried=pl.DataFrame(rows, TRIED, orient="row"),
        days=pl.DataFrame(earned if stored else [], EARNED, orient="row"),
    )


def both(*trials: Trials) -> Trials:
    return Trials(tried=pl.concat(one.tried for one in trials), days=pl.concat(one.days for one in trials))


def judged(
    net: np.ndarray | None = None,
    trials: Trials = NEVER,
    frame: pl.DataFrame | None = None,
    scores: pl.DataFrame | None = None,
    **changes: Any,
) -> dict[str, dict[str, Any]]:
    """Return the rows of the book timegpt by criterion."""
    net = earning(0.15) if net is None else net
    days = DAYS[-len(net) :]
    rows = luck_gate(
        portfolio(dict(zip(days, net.tolist(), strict=True))) if frame is None else frame,
        asked_on(days) if scores is None else scores,
        trials,
        month="2025-11",
        as_of=AS_OF,
        sessions=DAYS,
        lookback_sessions=252,
        books={"timegpt": "timegpt"},
        asked=replace(ASKED, **changes),
    )
    assert set(rows["gate"]) == {"promotion"}
    return {row["criterion"]: row for row in rows.iter_rows(named=True)}


def test_without_a_trial_the_deflated_ratio_is_the_probabilistic_one_and_nothing_was_chosen() -> None:
    found = judged()
    record = overfitting.track_record(earning(0.15))
    assert record is not None
    record = replace(record, skewness=min(record.skewness, 0.0))
    assert found["deflated_sharpe"]["value"] == pytest.approx(overfitting.probabilistic_sharpe(record), abs=1e-12)
    assert found["deflated_sharpe"]["reason"].endswith("holds: 0 tried: nothing to deflate")
    needed = overfitting.min_track_record(record, confidence=0.95)
    assert (found["min_track_record"]["value"], found["min_track_record"]["threshold"]) == (pytest.approx(needed), 250)
    assert found["pbo"]["value"] == 0.0
    assert "nothing was chosen" in found["pbo"]["reason"]
    assert all(row["passed"] for row in found.values())
    assert list(found) == sorted(["deflated_sharpe", "min_track_record", "pbo", "trials_in_oos"])


def test_as_many_trials_as_were_recorded_deflate_by_how_their_ratios_scatter() -> None:
    ratios = [-0.1, -0.05, 0.0, 0.05, 0.1]
    found = judged(trials=tried(ratios))["deflated_sharpe"]
    record = overfitting.track_record(earning(0.15))
    assert record is not None
    record = replace(record, skewness=min(record.skewness, 0.0))
    by_hand = overfitting.deflated_sharpe(record, trials=5, variance=float(np.var(ratios, ddof=1)))
    assert found["value"] == pytest.approx(by_hand, abs=1e-9)
    assert "5 tried (sweep 5); 0.150 a session, the best of luck 0.09" in found["reason"]
    # another forecaster's count, for whoever takes the best has chosen among them, and their scatter does not
    more = judged(trials=both(tried(ratios), tried([3.0, -3.0, 1.0], forecaster="ridge")))["deflated_sharpe"]
    by_hand = overfitting.deflated_sharpe(record, trials=8, variance=float(np.var(ratios, ddof=1)))
    assert more["value"] == pytest.approx(by_hand, abs=1e-9)


def test_trials_without_days_count_and_scatter_as_those_without_skill_do() -> None:
    lost = judged(trials=both(tried([0.0, 0.001]), tried([0.0] * 30, kind="search", stored=False)))["deflated_sharpe"]
    record = overfitting.track_record(earning(0.15))
    assert record is not None
    record = replace(record, skewness=min(record.skewness, 0.0))
    assert lost["value"] == pytest.approx(overfitting.deflated_sharpe(record, trials=32, variance=1 / 249), abs=1e-9)
    assert "32 tried (search 30, sweep 2), of 30 no days are stored" in lost["reason"]
    assert not lost["passed"]
    assert judged(trials=tried([0.0, 0.001]))["deflated_sharpe"]["passed"], "two alike are no choice to speak of"


def test_the_same_trial_again_is_no_other_and_one_of_another_kind_is() -> None:
    once = tried([0.0, 0.1])
    later = tried([0.0, 0.1], last=AS_OF)
    assert len(both(once, once)) == len(both(once, later)) == 2
    assert len(both(once, tried([0.0, 0.1], kind="search", stored=False))) == 4


def test_a_choice_that_holds_elsewhere_passes_and_one_that_does_not_is_refused() -> None:
    skilled = judged(trials=tried([0.0, 0.0, 0.0, 0.4]))["pbo"]
    assert (skilled["value"], skilled["passed"], skilled["n"]) == (0.0, True, 120)
    # what is best in one half is worst in the other
    n = 120
    halves = np.concatenate([np.ones(n // 2), -np.ones(n // 2)])
    swapped = tried([0.0, 0.0, 0.0])
    nets = np.concatenate([earning(0, n, 0) + 300 * halves, earning(0, n, 0) - 300 * halves, earning(0, n, 0) * 0.9])
    found = judged(trials=replace(swapped, days=swapped.days.with_columns(net_pnl=nets)))["pbo"]
    assert found["value"] > 0.5
    assert not found["passed"]


def test_the_worst_of_several_sweeps_decides_and_combinations_that_trade_alike_are_one() -> None:
    good = tried([0.0, 0.0, 0.0, 0.4])
    alike = replace(
        good, days=pl.concat([good.days, good.days.with_columns(combination=pl.lit("again_") + pl.col("combination"))])
    )
    alike = replace(
        alike,
        tried=pl.concat([good.tried, good.tried.with_columns(combination=pl.lit("again_") + pl.col("combination"))]),
    )
    assert judged(trials=alike)["pbo"]["reason"].endswith("4 that differ, of 8 tried")
    noise = tried([0.0, 0.01, 0.02], n=100)
    noise = Trials(
        tried=noise.tried.with_columns(combination=pl.lit("other_") + pl.col("combination")),
        days=noise.days.with_columns(combination=pl.lit("other_") + pl.col("combination")),
    )
    together = judged(trials=both(good, noise))["pbo"]
    assert together["value"] == judged(trials=noise)["pbo"]["value"] > judged(trials=good)["pbo"]["value"]
    assert together["n"] == 100


@pytest.mark.parametrize(
    "trials",
    [
        tried([0.0, 0.4], stored=False),
        tried([0.0, 0.4], n=59),
        tried([0.0, 0.4], kind="search", stored=False),
    ],
)  # fmt: skip
def test_a_choice_whose_days_are_not_there_cannot_be_said_and_is_not_passed(trials: Trials) -> None:
    found = judged(trials=trials)["pbo"]
    assert (found["value"], found["passed"]) == (None, False)
    assert found["reason"].startswith(
        "insufficient_observation: 2 were tried, and no two that differ have 60 days stored"
    )
    assert "sweep them, or a grid around what was chosen" in found["reason"]


def test_trials_that_reach_out_of_sample_have_seen_it() -> None:
    assert judged(trials=tried([0.1, 0.2]))["trials_in_oos"]["passed"]
    found = judged(trials=both(tried([0.1, 0.2]), tried([0.1, 0.2, 0.3], last=DAYS[0])))["trials_in_oos"]
    assert (found["value"], found["passed"]) == (3.0, False)
    assert f"tried on sessions after {BEFORE}" in found["reason"]
    later = calendar.shifted(AS_OF, 130)
    assert judged(trials=tried([0.1, 0.2], last=later, n=100))["trials_in_oos"]["passed"], "nobody had seen it yet"
    # set later, what those trials saw is no longer out of sample
    moved = judged(trials=tried([0.1, 0.2], last=DAYS[0]), oos_start=DAYS[0])
    assert moved["trials_in_oos"]["passed"]
    assert moved["min_track_record"]["n"] == 249


def test_what_trials_earn_after_the_month_changes_none_of_its_verdicts() -> None:
    known = tried([0.0, 0.1, 0.05], last=BEFORE)
    later = tried([3.0, -3.0, 1.0], last=calendar.shifted(AS_OF, 130))
    assert judged(trials=replace(known, days=pl.concat([known.days, later.days]))) == judged(trials=known)


def test_finalists_confirmed_out_of_sample_are_a_choice_among_them() -> None:
    alone = judged(trials=tried([0.1], last=AS_OF), trials_in_oos_lte=5)
    assert alone["min_track_record"]["value"] == judged()["min_track_record"]["value"], "one is no choice"
    five = judged(trials=tried([0.1] * 5, last=AS_OF, stored=False), trials_in_oos_lte=5)
    assert five["trials_in_oos"]["passed"]
    record = overfitting.track_record(earning(0.15))
    assert record is not None
    record = replace(record, skewness=min(record.skewness, 0.0))
    best = overfitting.best_of(5, variance=1 / 249)
    needed = overfitting.min_track_record(record, confidence=0.95, above=best)
    assert five["min_track_record"]["value"] == pytest.approx(needed)
    assert not five["min_track_record"]["passed"]
    assert f"{best:.3f} a session, the best of 5 by luck" in five["min_track_record"]["reason"]


def test_without_a_start_of_what_is_out_of_sample_nothing_is() -> None:
    found = judged(oos_start=None)
    assert found["trials_in_oos"]["reason"].startswith("insufficient_observation: gates.oos_start is not set")
    assert found["min_track_record"]["reason"].startswith("insufficient_observation: 0 days out of sample")
    assert not found["trials_in_oos"]["passed"]
    assert not found["min_track_record"]["passed"]


@pytest.mark.parametrize(("net", "reason"), [
    (np.array([1000.0]), "insufficient_observation: 1 days"),
    (np.zeros(250), "deflated_sharpe is undefined: no variance"),
    (np.full(250, 7.0), "deflated_sharpe is undefined: no variance"),
])  # fmt: skip
def test_one_day_and_days_that_are_all_alike_show_nothing(net: np.ndarray, reason: str) -> None:
    found = judged(net, trials=tried([0.0, 0.4]))
    assert found["deflated_sharpe"]["reason"].startswith(reason)
    assert not found["deflated_sharpe"]["passed"]
    assert not found["min_track_record"]["passed"]


def test_a_loss_never_has_a_track_record_that_is_long_enough() -> None:
    found = judged(earning(-0.01))["min_track_record"]
    assert (found["value"], found["passed"]) == (None, False)
    assert found["reason"].startswith("no number of sessions is enough")


def test_a_few_trades_that_all_won_are_no_proof() -> None:
    net = np.zeros(250)
    net[[20, 90, 200]] = [500.0, 510.0, 490.0]
    assert not judged(net)["deflated_sharpe"]["passed"]


def test_rows_of_other_sources_change_no_bit() -> None:
    net = earning(0.15)
    lost = dict(zip(DAYS, (-5 * net).tolist(), strict=True))
    pure = judged(net, trials=tried([0.0, 0.1, 0.3]))
    frame = pl.concat([portfolio(dict(zip(DAYS, net.tolist(), strict=True))), portfolio(lost, MAINTENANCE)])
    scores = pl.concat([asked_on(DAYS), asked_on(DAYS, MAINTENANCE)])
    assert judged(net, tried([0.0, 0.1, 0.3]), frame, scores) == pure
    none_left = judged(net, NEVER, portfolio(lost, MAINTENANCE), asked_on(DAYS, MAINTENANCE))
    assert none_left["deflated_sharpe"]["reason"].startswith("insufficient_observation: 0 days")


@pytest.mark.parametrize(("setting", "criterion"), [
    ("dsr_gte", "deflated_sharpe"), ("pbo_lte", "pbo"), ("trials_in_oos_lte", "trials_in_oos"),
])  # fmt: skip
def test_each_threshold_moved_across_the_value_flips_its_own_criterion_alone(setting: str, criterion: str) -> None:
    trials = both(tried([0.0, 0.1, 0.05, 0.02]), tried([0.0, 0.2], kind="search", stored=False, last=AS_OF))
    value = judged(trials=trials)[criterion]["value"]
    step = 1 if setting == "trials_in_oos_lte" else 1e-9
    below, above = (judged(trials=trials, **{setting: type(step)(value) + move}) for move in (-step, step))
    flipped = {name for name in below if below[name]["passed"] != above[name]["passed"]}
    assert flipped == {criterion}


def test_confidence_moved_across_the_probability_flips_the_track_record_alone() -> None:
    sure = judged()["deflated_sharpe"]["value"]  # of one trial, on the same days: the same probability
    less, more = (judged(track_record_confidence=sure + move) for move in (-1e-6, 1e-6))
    assert {name for name in less if less[name]["passed"] != more[name]["passed"]} == {"min_track_record"}


def test_trials_of_some_sessions_are_those_that_saw_one_of_them() -> None:
    spans = {"before": (1, 5), "its first": (2, 6), "its last": (9, 12), "after": (10, 12)}
    rows = [("sweep", date(2025, 1, a), date(2025, 1, b), "ridge", name) for name, (a, b) in spans.items()]
    columns = ["kind", "first_day", "last_day", "forecaster", "combination"]
    trials = Trials(tried=pl.DataFrame(rows, columns, orient="row"), days=pl.DataFrame())
    assert trials.meeting(date(2025, 1, 5), date(2025, 1, 9)) == 2

"""Best of a thousand random strategies on noise, and one planted beforehand, through the gates of promotion.

Forecasts are taken to have passed everything: what is asked here is whether money earned by luck is promoted.
"""

import math
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.adapters.storage.trial_store import EARNED, TRIED
from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation import runs
from timegpt_assets.core.evaluation import trading as scored
from timegpt_assets.core.gates import hard_metrics, luck, promotion, trading
from timegpt_assets.core.gates.luck import Trials
from timegpt_assets.core.significance import share_ends
from timegpt_assets_tests.core.gates.made_books import asked_on, portfolio

AS_OF, STRATEGIES, SHARPE = date(2025, 11, 28), 1000, 3.0
DAYS = [calendar.shifted(AS_OF, -back) for back in range(249, -1, -1)]
BEFORE = calendar.shifted(DAYS[0], -1)
DEVIATION, COST = 500.0, 25.0
"""USD a day, of a capital of 100,000: half a per cent, and what a day's trade costs."""
ABOUT: dict[str, Any] = {"month": "2025-11", "as_of": AS_OF, "sessions": DAYS}
NEVER = Trials(tried=pl.DataFrame(schema=TRIED), days=pl.DataFrame(schema=EARNED))
LUCK = ("deflated_sharpe", "min_track_record", "pbo", "trials_in_oos")


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Return the shipped settings of prod, for one symbol, with all sessions out of sample."""
    chosen = ["universe.tickers=[AAA]", f"gates.oos_start={BEFORE}"]
    return load_settings(profile="prod", config_dir=None, overrides=chosen, environment={"HOME": "."})


def failures(settings: Settings, net: np.ndarray, trials: Trials) -> set[str]:
    """Return promotion's criteria on money that a book with this net P&L of each day does not pass."""
    book, asked = portfolio(dict(zip(DAYS, net.tolist(), strict=True)), cost=COST), asked_on(DAYS)
    about = ABOUT | {"lookback_sessions": settings.gates.lookback_sessions}
    of = {"account": strategy_inputs.account(settings), "sampling": strategy_inputs.sampling(settings)}
    multipliers = settings.backtest.cost_multipliers
    scores = scored.trading_scores(book, asked, **about, **of)
    said: dict[str, Any] = {"month": "2025-11", "as_of": AS_OF, "books": ["timegpt"]}
    said["judged"] = strategy_inputs.judged(settings)
    money = trading.trading_gate(
        trading.Measured(
            scores=scores,
            costs=scored.cost_sensitivity(book, asked, **about, **of, multipliers=multipliers),
            oos=scored.oos_summary(book, asked, **about, **of, multipliers=multipliers, oos_start=BEFORE),
        ),
        **said,
        gate=strategy_inputs.trading_gate(settings),
        promotion=strategy_inputs.trading_promotion(settings),
    )
    made = runs.backtest_runs(book, asked, **about, config="")
    risk = hard_metrics.hard_metrics(scores, made, **said, asked=strategy_inputs.hard_metrics(settings))
    asked_of_luck = strategy_inputs.luck(settings)
    against_luck = luck.luck_gate(book, asked, trials, **about, books={"timegpt": "timegpt"}, asked=asked_of_luck)
    gates = (money, risk, against_luck)
    verdict = promotion.promotion(*gates, month="2025-11", as_of=AS_OF, champion="timegpt")
    failed = set(pl.concat(gates).filter(~pl.col("passed"))["criterion"])
    assert verdict["passed"].item() == (not failed)
    return failed


def swept(nets: np.ndarray) -> Trials:
    """Return the trials of a sweep of these P&L [sessions, strategies] on the very sessions that are judged."""
    names = np.array([f"s{i}" for i in range(nets.shape[1])])
    tried = pl.DataFrame({"combination": names}).with_columns(
        kind=pl.lit("sweep"), first_day=DAYS[0], last_day=DAYS[-1], forecaster=pl.lit("timegpt")
    )
    earned = pl.DataFrame(
        {
            "day": np.repeat(np.array(DAYS, "datetime64[D]"), len(names)),
            "combination": np.tile(names, len(DAYS)),
            "net_pnl": nets.ravel(),
        }
    ).with_columns(pl.col("day").cast(pl.Date), forecaster=pl.lit("timegpt"))
    return Trials(tried=tried.select(*TRIED), days=earned.select(*EARNED))


def share(found: list[set[str]], *, asked: Collection[str]) -> tuple[float, float, float]:
    """Return the share that passes when these criteria on luck are asked, between the ends of its 95 % interval."""
    unasked = set(LUCK) - set(asked)
    passed = sum(not (failed - unasked) for failed in found) / len(found)
    low, high = share_ends(np.array([passed]), np.array([len(found)]))
    return passed, float(low[0]), float(high[0])


def told(name: str, found: list[set[str]]) -> None:
    """Write the figures of a simulation, as docs/explanation/gates.md has them (pytest -s)."""
    for asked in ((), *((one,) for one in LUCK), LUCK[:3], LUCK):
        passed, low, high = share(found, asked=asked)
        sys.stdout.write(f"{name}, {', '.join(asked) or 'none'}: {passed:.2%} ({low:.2%} to {high:.2%})\n")


@pytest.mark.timeout(1800)
def test_the_best_of_a_thousand_random_strategies_is_not_promoted(
    settings: Settings, repetitions: Callable[[int], int]
) -> None:
    found = []
    for seed in range(repetitions(400)):
        nets = np.random.default_rng(seed).normal(0, DEVIATION, (len(DAYS), STRATEGIES))
        best = nets[:, np.argmax(nets.mean(axis=0) / nets.std(axis=0, ddof=1))]
        found.append(failures(settings, best, swept(nets)))
    told("best of noise", found)
    assert share(found, asked=())[0] > 0.9, "without the criteria on luck they pass"
    for asked in (LUCK, LUCK[:3], LUCK[:1]):  # nor where nobody asks who had seen those sessions
        passed, _, high = share(found, asked=asked)
        assert passed <= 0.05
        assert high <= 0.08 or len(found) < 100


@pytest.mark.timeout(1800)
def test_one_strategy_said_beforehand_is_promoted_when_it_is_good(
    settings: Settings, repetitions: Callable[[int], int]
) -> None:
    planted = DEVIATION * SHARPE / math.sqrt(settings.backtest.annualization_days)
    draw = partial(np.random.default_rng(7).normal, planted, DEVIATION, len(DAYS))
    found = [failures(settings, draw(), NEVER) for _ in range(repetitions(400))]
    told("planted", found)
    assert share(found, asked=LUCK)[0] >= 0.8


@pytest.mark.whole
@pytest.mark.timeout(1800)
def test_of_noise_said_beforehand_one_in_twenty_passes_as_a_confidence_of_95_per_cent_says(
    settings: Settings, repetitions: Callable[[int], int]
) -> None:
    """Alone, nothing is to be deflated: what is left is a test at 5 % that its Sharpe ratio is above zero."""
    draw = partial(np.random.default_rng(8).normal, 0, DEVIATION, len(DAYS))
    found = [failures(settings, draw(), NEVER) for _ in range(repetitions(400))]
    told("one of noise", found)
    _, low, high = share(found, asked=LUCK)
    assert low <= 1 - settings.gates.luck.dsr_gte <= high


def test_a_sweep_that_ended_before_what_is_judged_costs_a_good_strategy_little(settings: Settings) -> None:
    """Nine combinations of a plateau, tried on the year before: they are deflated by how little they differ."""
    rng = np.random.default_rng(3)
    planted = DEVIATION * 4.5 / math.sqrt(settings.backtest.annualization_days)
    common = rng.normal(planted, DEVIATION, (len(DAYS), 1))
    trials = swept(common + rng.normal(0, DEVIATION / 5, (len(DAYS), 9)) + np.linspace(-15, 15, 9))
    back = [calendar.shifted(DAYS[0], -n) for n in range(len(DAYS), 0, -1)]
    moved = dict(zip(DAYS, back, strict=True))
    before = replace(
        trials,
        tried=trials.tried.with_columns(first_day=back[0], last_day=back[-1]),
        days=trials.days.with_columns(pl.col("day").replace_strict(moved)),
    )
    assert failures(settings, rng.normal(planted, DEVIATION, len(DAYS)), before) == set()

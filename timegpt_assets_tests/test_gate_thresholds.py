"""Every threshold of configs/gates.yaml decides its own criterion and no other: moved past what was measured, it flips.

The cases are compared with the keys that are there: a threshold without a case fails by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any

import polars as pl
import pytest

from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.layers import flat
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core.gates import contract, eligibility, forecast, hard_metrics, ladder, luck, references, trading
from timegpt_assets.core.gates.luck import Trials
from timegpt_assets.core.tables.evaluation import COST_SENSITIVITY, OOS_SUMMARY, TRADING_SCORES
from timegpt_assets_tests.core.gates import made, made_books, test_luck

MONTH: Any = made.MONTH
OUT_OF_SAMPLE = date(2025, 9, 30)
Found = Mapping[tuple[str, str, str], bool]
"""(gate, symbol, criterion) -> whether it passed."""


@dataclass(frozen=True)
class Case:
    """A key at a value at which everything passes, at one at which it does not, and the criteria that then do not."""

    passes: Any
    fails: Any
    flips: frozenset[tuple[str, str, str]]


def case(passes: Any, fails: Any, *flips: tuple[str, str, str]) -> Case:
    return Case(passes, fails, frozenset(flips))


def day(*criteria: str) -> list[tuple[str, str, str]]:
    """Return the criteria of a symbol's eligibility, and the verdict that they add up to."""
    return [("symbol_gates", "AAA", name) for name in (*criteria, "eligibility")]


def month(*criteria: str) -> list[tuple[str, str, str]]:
    """Return the criteria of the month's forecasts of a symbol, and that no symbol passed."""
    return [*(("forecast_gate", "AAA", name) for name in criteria), ("forecast_gate", "*", "symbols_passed")]


def asked(gate: str, *criteria: str) -> list[tuple[str, str, str]]:
    return [(gate, "*", name) for name in criteria]


OF_SYMBOLS = day("rmae", "rrmse", "coverage_50", *references.CRITERIA)
OF_FORECASTS = [
    *month("rmae", "rrmse", "coverage_50", "width_spearman", "crossed_quantiles"),
    *asked("promotion", "median_rmae", "median_pit_deviation"),
    *asked("promotion", *references.CRITERIA, *(f"{name}_p" for name in references.CRITERIA)),
]
DEAR = ("oos_sharpe_at_1.5x_costs", "pnl_at_1.5x_costs")
OF_TRADING = [
    *asked("trading_gate", "observation_days", "oos_sharpe", "hit_rate", "pnl_at_1.5x_costs"),
    *asked("promotion", *DEAR),
]
OF_RISK = asked("hard_metrics", "observation_days", "sharpe_daily", "max_drawdown", "reject_rate")
OF_LUCK = asked("promotion", "deflated_sharpe", "min_track_record", "pbo")
OF_LADDER = asked(
    "promotion", "ladder_forward", "ladder_forward_p", "net_pnl_over_lightgbm", "net_pnl_over_tsmixer",
    "drawdown_over_ridge",
)  # fmt: skip
CASES: Mapping[str, Case] = {
    "symbol_min_forecasts": case(300, 301, *OF_SYMBOLS),
    "min_forecasts": case(1200, 1201, *OF_FORECASTS),
    # hard metrics need sessions of their own
    "min_observation_days": case(40, 260, *OF_TRADING, *OF_LUCK),
    "trade_eligibility.rmae_lt": case(0.3357, 0.3356, *day("rmae")),
    "trade_eligibility.rrmse_lt": case(0.3378, 0.3377, *day("rrmse")),
    "trade_eligibility.coverage_tol": case(0.1, 0.0999, *day("coverage_50")),
    "forecast_gates.rmae_lt": case(0.6501, 0.65, *month("rmae")),
    "forecast_gates.rrmse_lt": case(0.6501, 0.65, *month("rrmse")),
    "forecast_gates.coverage_tol": case(0.0101, 0.0099, *month("coverage_50")),
    "forecast_gates.width_spearman_gt": case(0.9999, 1.0, *month("width_spearman")),
    "trading_gates.oos_sharpe_gte": case(3.0, 3.01, *asked("trading_gate", "oos_sharpe")),
    "trading_gates.hit_rate_gte": case(0.5, 0.501, *asked("trading_gate", "hit_rate")),
    "trading_gates.pnl_at_1p5x_costs_gte": case(150.0, 150.1, *asked("trading_gate", "pnl_at_1.5x_costs")),
    "trading_gates.pnl_cost_multiplier": case(1.5, 2.0, *asked("trading_gate", "pnl_at_1.5x_costs", "pnl_at_2x_costs")),
    "promotion.rmae_lte": case(0.65, 0.649, *asked("promotion", "median_rmae")),
    "promotion.pit_dev_max": case(0.01, 0.009, *asked("promotion", "median_pit_deviation")),
    "promotion.sharpe_gte": case(3.0, 3.01, *asked("promotion", DEAR[0])),
    "promotion.sharpe_cost_multiplier": case(1.5, 2.0, *asked("promotion", DEAR[0], "oos_sharpe_at_2x_costs")),
    "promotion.pnl_gt": case(149.9, 150.0, *asked("promotion", DEAR[1])),
    "promotion.pnl_cost_multiplier": case(1.5, 2.0, *asked("promotion", DEAR[1], "pnl_at_2x_costs")),
    "promotion.dm_p_lt": case(0.0101, 0.01, *asked("promotion", *(f"{name}_p" for name in references.CRITERIA))),
    "hard_metrics.min_completed_runs": case(60, 61, *asked("hard_metrics", "completed_runs")),
    "hard_metrics.min_observation_days": case(60, 61, *OF_RISK),
    "hard_metrics.sharpe_daily_gte": case(3.0, 3.01, *asked("hard_metrics", "sharpe_daily")),
    "hard_metrics.max_drawdown_lte": case(0.01, 0.009, *asked("hard_metrics", "max_drawdown")),
    "hard_metrics.reject_rate_lte": case(0.1, 0.09, *asked("hard_metrics", "reject_rate")),
    "luck.dsr_gte": case(0.5, 1.0, *asked("promotion", "deflated_sharpe")),
    "luck.pbo_lte": case(1.0, 0.0, *asked("promotion", "pbo")),
    "luck.track_record_confidence": case(0.6, 1 - 1e-12, *asked("promotion", "min_track_record")),
    "luck.trials_in_oos_lte": case(6, 5, *asked("promotion", "trials_in_oos")),
    "ladder.pinball_ratio_lt": case(
        0.9, 0.8, *asked("promotion", "ladder_validation", "ladder_forward", "unlearnt_validation")
    ),
    "ladder.dm_p_lt": case(
        0.011, 0.01, *asked("promotion", "ladder_validation_p", "ladder_forward_p", "unlearnt_validation_p")
    ),
    "ladder.min_sessions": case(60, 61, *OF_LADDER),
    "contract.backend": case("nixtla", "baseline", *asked("contract", "backend")),
}
"""Key of the section ``gates`` -> its two values and what it decides."""
NO_THRESHOLD = {
    "symbol_lookback_sessions": "which sessions are looked at: test_scores_of_the_day_itself_or_before_the_window...",
    "lookback_sessions": "which sessions are looked at: test_lineage.py, and core/evaluation",
    "bootstrap": "what trades do with a verdict: core/backtest/test_event_loop.py",
    "oos_start": "which sessions are out of sample: test_without_an_oos_start_nothing_out_of_sample_passes",
    "include_sources": "which rows are judged: test_other_roads_and_regimes_are_judged_where_they_are_included",
    "include_regimes": "which rows are judged: test_other_roads_and_regimes_are_judged_where_they_are_included",
    "luck.pbo_blocks": "what the probability is measured with: core/test_overfitting.py",
}
"""Keys that ask for nothing by themselves -> what stands on them and where that is shown."""


@cache
def shipped() -> Settings:
    return load_settings(
        profile="dev", config_dir=None, overrides=("universe.tickers=[AAA]",), environment={"HOME": "."}
    )


def changed(settings: Settings, key: str, value: Any) -> Settings:
    """Return the settings with another value under a key of ``gates``."""
    *section, name = key.split(".")
    gates = settings.gates
    if section:
        inner = getattr(gates, section[0]).model_copy(update={name: value})
        return replace(settings, gates=gates.model_copy(update={section[0]: inner}))
    return replace(settings, gates=gates.model_copy(update={name: value}))


@cache
def base() -> Settings:
    """Return settings under which everything measured here passes: every threshold at its value that does."""
    settings = changed(shipped(), "oos_start", OUT_OF_SAMPLE)
    settings = changed(settings, "luck.pbo_blocks", 4)  # as many give the same shares, and sixteen take seconds
    for key, one in CASES.items():
        settings = changed(settings, key, one.passes)
    return settings


@cache
def own_scores() -> pl.DataFrame:
    """Return 60 sessions of five forecasts, three of which lie in their band every day, and the references' own."""
    frame = made.scores(made.sessions(60), skill=0.5)
    place = pl.int_range(pl.len()).over("day")
    frame = frame.with_columns((place < 3).alias(f"{p}covered_50") for p in ("", "raw_"))
    return pl.concat([frame, made.of_references(frame)])


@cache
def account() -> dict[str, pl.DataFrame]:
    """Return the tables of an account that earns at 1.5 times the costs and loses at twice."""
    dear = {"sharpe_daily": -1.0, "net_pnl": -10.0}

    def at_all_costs(table: Any) -> pl.DataFrame:
        twice = made.figures(table, **dear)[1:].with_columns(cost_multiplier=pl.lit(2.0))
        return pl.concat([made.figures(table, sharpe_daily=3.0), twice])

    return {
        "scores": made.figures(TRADING_SCORES, sharpe_daily=3.0),
        "costs": at_all_costs(COST_SENSITIVITY),
        "oos": at_all_costs(OOS_SUMMARY),
    }


@cache
def luck_given() -> tuple[pl.DataFrame, pl.DataFrame, Trials]:
    """Return a good book, on which days it was asked, and what was tried: six of it on sessions out of sample."""
    net = test_luck.earning(0.25)
    earlier = test_luck.tried([-0.02, 0.0, 0.02, 0.05], last=OUT_OF_SAMPLE)
    later = test_luck.tried([0.0] * 6, kind="search", stored=False, last=test_luck.AS_OF, n=20)
    book = made_books.portfolio(dict(zip(test_luck.DAYS, net.tolist(), strict=True)))
    return book, made_books.asked_on(test_luck.DAYS), test_luck.both(earlier, later)


def verdicts(settings: Settings) -> Found:
    """Return every criterion of every gate of one symbol and one book, judged by these settings."""
    of, about = strategy_inputs, {"judged": strategy_inputs.judged(settings), **MONTH}
    diagnostics = made.diagnostics("AAA", coverage_50_day_low=0.505, coverage_50_day_high=0.52)
    measured = forecast.Measured(
        diagnostics=diagnostics,
        comparison=pl.concat([made.compared(), made.beside_zero(["AAA"])]),
        widths=made.widths(["AAA"]),
    )
    tables, (book, days, tried) = account(), luck_given()
    gates = [
        eligibility.symbol_gates(
            own_scores(), day=made.DAY, symbols=["AAA"], forecasters=made.SEATED, eligibility=of.eligibility(settings)
        ).filter(forecaster="timegpt").with_columns(gate=pl.lit("symbol_gates")),
        forecast.forecast_gate(
            measured, **about, symbols=["AAA"], forecasters=made.SEATED, gate=of.forecast_gate(settings),
            promotion=of.forecast_promotion(settings),
        ).filter(forecaster="timegpt"),
        trading.trading_gate(
            trading.Measured(**tables), **about, books=["timegpt"], gate=of.trading_gate(settings),
            promotion=of.trading_promotion(settings),
        ),
        hard_metrics.hard_metrics(
            tables["scores"], made.runs(), **about, books=["timegpt"], asked=of.hard_metrics(settings)
        ),
        contract.contract(
            made.sessions(60), dict.fromkeys(made.sessions(60), made.HOLDS), **MONTH, champion="timegpt",
            asked=replace(made.CONTRACT, asked_backend=settings.gates.contract.backend),
        ),
        luck.luck_gate(
            book, days, tried, month="2025-11", as_of=test_luck.AS_OF, sessions=test_luck.DAYS,
            lookback_sessions=settings.gates.lookback_sessions, books={"timegpt": "timegpt"}, asked=of.luck(settings),
        ),
        ladder.ladder_gate(
            made.ladder_report(), **about, forecasters=["blend"], asked=of.ladder(settings)
        ),
    ]  # fmt: skip
    rows = (frame.select("gate", "symbol", "criterion", "passed").iter_rows() for frame in gates)
    return {(gate, symbol, name): passed for own in rows for gate, symbol, name, passed in own}


@cache
def before() -> Found:
    return verdicts(base())


def test_every_key_of_the_gates_has_a_case_or_says_why_it_asks_for_nothing() -> None:
    keys = {".".join(path) for path, _ in flat(shipped().gates.model_dump(), ())}
    assert keys == {*CASES, *NO_THRESHOLD}
    assert not CASES.keys() & NO_THRESHOLD.keys()


def test_every_criterion_passes_where_every_threshold_is_met_and_each_is_some_thresholds() -> None:
    assert [name for name, passed in before().items() if not passed] == []
    decided = frozenset().union(*(one.flips for one in CASES.values()))
    of_versions = {("contract", "*", name) for name in contract.FIELDS}
    assert before().keys() - decided == of_versions, "these ask for what holds now: core/gates/test_contract.py"


@pytest.mark.parametrize("key", CASES)
def test_a_threshold_moved_past_what_was_measured_flips_its_own_criteria_and_no_other(key: str) -> None:
    after = verdicts(changed(base(), key, CASES[key].fails))
    flipped = {name for name in before().keys() | after.keys() if before().get(name) is not after.get(name)}
    assert flipped == CASES[key].flips
    assert not any(after.get(name, False) for name in flipped)


def test_without_an_oos_start_nothing_out_of_sample_passes() -> None:
    after = verdicts(changed(base(), "oos_start", None))
    flipped = {name for name in before() if before()[name] is not after.get(name)}
    assert flipped == {*asked("promotion", "min_track_record", "trials_in_oos")}
    # the account's own figures are made by oos_summary, which then has no row: core/evaluation/test_trading.py


@pytest.mark.parametrize(
    ("key", "value"), [("include_sources", ("maintenance",)), ("include_regimes", ("maintenance_replay",))]
)
def test_other_roads_and_regimes_are_judged_where_they_are_included(key: str, value: tuple[str, ...]) -> None:
    after = verdicts(changed(base(), key, value))
    judged_so = {"forecast_gate", "trading_gate", "hard_metrics"}
    assert not any(after[name] for name in after if name[0] in judged_so), "nothing here is of theirs"
    assert {name: passed for name, passed in after.items() if name[0] in ("symbol_gates", "contract")} == {
        name: passed for name, passed in before().items() if name[0] in ("symbol_gates", "contract")
    }

"""Is the news worth anything: a planted effect is found, noise is not, and nothing that comes later is looked at.

The markets are core/models/made.py's: March teaches, April judges. Prices move as the labels say.
"""

from dataclasses import fields, replace
from datetime import date, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.costs import Costs
from timegpt_assets.core.backtest.rules import Rules
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets.core.evaluation.information_value import Market, information_value, is_seated
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.models import folds
from timegpt_assets.core.models.arms import WITH, WITHOUT, Arms, answered, moved, with_columns_of
from timegpt_assets.core.models.judged import Comparison, compared, losses
from timegpt_assets.core.models.tree import settled
from timegpt_assets.core.tables.columns import CONTROL, TREE
from timegpt_assets_tests.core.models.made import DAYS, FEATURES, rows, tree_spec

MONTH, NAMES = "2025-04", ("news_tone", "news_since_min")
PLANT = 1.0
"""Volatilities that news moves a price by, its sign saying which way."""
LUCKY = 26
"""A still market in which the arm with random news is surely better than the one without."""
SPEC = tree_spec(boosting=replace(tree_spec().boosting, rounds=12, learning_rate=0.3))
SPEC = replace(SPEC, features=(*SPEC.features, *NAMES), own=(*SPEC.own, *NAMES))
RULES = Rules(
    rule_set="enhancement",
    k_sigma=0.1,
    s_stop=3.0,
    s_take=3.0,
    s_trail=None,
    ev_lambda=0.0,
    max_width_sigma=4.0,
    cap_per_trade=1.0,
    daily_trade_cap=None,
    max_open_per_symbol=1,
    cooldown_bars=0,
    time_stop_et=time(15, 55),
    early_close_margin_min=5,
    entry_lag_bars=0,
    exit_at_forecast_ts=True,
    require_positive_ev=False,
    suppress_wide=True,
)
FREE = {"*": 0.0}
TRADING = TradingSpec(
    rules=RULES,
    costs=Costs(
        fees_bps={"*": 0.1},
        half_spread_ticks={"*": 0.0},
        tick_size=0.01,
        slippage_ticks=FREE,
        slippage_bps=FREE,
        borrow_bps=FREE,
        impact=0.0,
    ),
    capital=100_000.0,
    bootstrap="block",
    participation=0.01,
    sigma_column="sigma_60m",
)


@cache
def world(seed: int = 1, effect: float = 0.0, late: bool = False) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return TRAINING_SET rows and the group's: a seventh of the rows has news, whose sign moves z by ``effect``.

    ``late``: the news of a row tells of what came of it, and becomes known at the same minute of the session after.
    """
    # every half an hour: the control arm takes its time for each moment
    market = rows(len(DAYS), size=0.0, seed=seed).filter(pl.col("minute_index") % 30 == 0)
    rng = np.random.default_rng([seed, 99])
    has, sign = rng.random(market.height) < 1 / 7, rng.choice([-1.0, 1.0], market.height)
    sign = np.sign(market["z"].to_numpy()) if late else sign
    told = np.where(has, sign, 0.0)
    market = market.with_columns(z=pl.col("z") + pl.Series(effect * told))
    market = market.with_columns(y=pl.col("z") * pl.col("sigma"))
    group = market.select("day", "symbol", known_at="snapshot_ts").with_columns(
        pl.Series("news_tone", told), pl.Series("news_since_min", np.where(has, 5.0, 300.0))
    )
    if late:
        after = dict(pairwise(DAYS))
        moved = group.filter(pl.col("day") != DAYS[-1]).with_columns(
            own=pl.col("day"), day=pl.col("day").replace_strict(after, return_dtype=pl.Date)
        )
        shift = pl.col("known_at") + (pl.col("day") - pl.col("own"))
        group = moved.with_columns(known_at=shift).drop("own")
    return market, group


@cache
def bars(seed: int, effect: float, late: bool = False) -> pl.DataFrame:
    """Return BARS of April whose closes go from snapshot to snapshot as the labels say."""
    own = world(seed, effect, late)[0].filter(pl.col("day") >= calendar.month_sessions(MONTH)[0])
    parts = []
    for (day, symbol), of in own.sort("snapshot_ts").partition_by("day", "symbol", as_dict=True).items():
        session = calendar.session(day)
        grid = pl.datetime_range(session.open, session.close, "1m", closed="left", eager=True, time_unit="us")
        known = grid + timedelta(minutes=1)
        sums = np.cumsum(of["y"].to_numpy())
        at = [session.open, *(moment for span in of.select("snapshot_ts", "target_ts").iter_rows() for moment in span)]
        logs = [0.0, *np.stack([sums - of["y"].to_numpy(), sums], axis=1).ravel()]
        paths = np.interp(known.dt.epoch("us"), [int(t.timestamp() * 1e6) for t in at], logs)
        close = 100 * np.exp(paths)
        opened = np.concatenate([[100.0], close[:-1]])
        parts.append(
            pl.DataFrame(
                {
                    "day": [day] * len(grid),
                    "symbol": [symbol] * len(grid),
                    "ts": grid,
                    "open": opened,
                    "high": np.maximum(opened, close),
                    "low": np.minimum(opened, close),
                    "close": close,
                    "volume": np.full(len(grid), 1e4),
                    "is_filled": [False] * len(grid),
                }
            )
        )
    return pl.concat(parts)


def measured(seed: int = 1, effect: float = 0.0, *, late: bool = False, ahead: bool = False) -> pl.DataFrame:
    """Return INFORMATION_VALUE of a world; ``ahead``: its news is taken for known a session too early."""
    market, group = world(seed, effect, late)
    if ahead:
        before = {later: day for day, later in pairwise(DAYS)}
        group = group.filter(pl.col("day") != DAYS[0])
        group = group.with_columns(
            own=pl.col("day"), day=pl.col("day").replace_strict(before, return_dtype=pl.Date)
        ).with_columns(known_at=pl.col("known_at") + (pl.col("day") - pl.col("own")))
    found = both(market, group)
    on = Market(bars=bars(seed, effect, late), spec=TRADING, events=EventCalendar({}))
    return information_value(found, on, month=MONTH, dm_p_lt=0.05)


def both(market: pl.DataFrame, group: pl.DataFrame, *, month: str = MONTH, window_months: int = 12) -> Arms:
    """Return both arms of April."""
    return answered(with_columns_of(market, group, NAMES), SPEC, NAMES, month=month, window_months=window_months)


def of_tree(found: pl.DataFrame) -> dict[str, Any]:
    """Return the tree's row."""
    return found.filter(forecaster=TREE).row(0, named=True)


def traded(seed: int, effect: float, *, fees_bps: float = 0.1) -> Market:
    """Return the market that a world's answers are traded on."""
    costs = replace(TRADING.costs, fees_bps={"*": fees_bps})
    return Market(bars=bars(seed, effect), spec=replace(TRADING, costs=costs), events=EventCalendar({}))


@pytest.fixture(scope="module")
def planted() -> Arms:
    """Return both arms of a month whose news moves prices."""
    return both(*world(1, PLANT))


def test_a_planted_effect_is_found_and_earns(planted: Arms) -> None:
    found = information_value(planted, traded(1, PLANT), month=MONTH, dm_p_lt=0.05)
    row = of_tree(found)
    assert row["seated"]
    assert row["pinball_ratio_high"] < 1
    assert row["pnl_difference"] > 0
    assert row["trades"] > row["without_trades"]
    assert (row["n"], row["sessions"], row["features"], row["covered"]) == (1008, 21, 2, 1.0)
    control = found.filter(forecaster=CONTROL).row(0, named=True)
    assert control["reason"].startswith("reads_no_features")
    assert (control["n"], control["pinball_ratio"], control["seated"]) == (0, None, False)


def test_what_is_compared_is_what_plain_loops_find(planted: Arms) -> None:
    row = of_tree(information_value(planted, traded(1, PLANT), month=MONTH, dm_p_lt=0.05))
    mean = dict[str, float]()
    for word, told in planted.told.items():
        both_sides = planted.asked.select("day", "symbol", "snapshot_ts", "z").join(
            told, on=["day", "symbol", "snapshot_ts"]
        )
        lost = []
        for z, *said in both_sides.select("z", "lo_80", "lo_50", "mean", "hi_50", "hi_80").iter_rows():
            tails = zip((0.1, 0.25, 0.5, 0.75, 0.9), said, strict=True)
            lost.append(sum(max(q * (z - own), (q - 1) * (z - own)) for q, own in tails) / 5)
        mean[word] = sum(lost) / len(lost)
    assert row["pinball"] == pytest.approx(mean[WITH])
    assert row["without_pinball"] == pytest.approx(mean[WITHOUT])
    assert row["pinball_ratio"] == pytest.approx(mean[WITH] / mean[WITHOUT])
    assert row["control_ratio"] == pytest.approx(mean[CONTROL] and mean[WITH] / mean[CONTROL])


def test_news_that_lowers_the_loss_and_loses_money_is_not_seated(planted: Arms) -> None:
    dear = of_tree(information_value(planted, traded(1, PLANT, fees_bps=500.0), month=MONTH, dm_p_lt=0.05))
    assert dear["pinball_ratio_high"] < 1
    assert dear["trades"] > 0
    assert dear["pnl_difference"] < 0
    assert not dear["seated"]


def judged(ratio: float | None, p: float | None) -> Comparison:
    """Return a comparison of which no more is known."""
    unknown = {field.name: None for field in fields(Comparison)}
    return Comparison(**(unknown | {"n": 9, "sessions": 9, "pinball_ratio": ratio, "dm_p": p}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratio", "p", "gained", "seated"),
    [
        (0.99, 0.02, 0.0, True),
        (0.99, 0.02, -0.01, False),
        (0.99, 0.025, 5.0, False),
        (1.0, 0.01, 5.0, False),
        (0.99, None, 5.0, False),
        (None, None, 0.0, False),
    ],
)
def test_seated_is_less_lost_surely_than_in_any_arm_and_no_less_earned(
    ratio: float | None, p: float | None, gained: float, seated: bool
) -> None:
    one, sure = judged(ratio, p), judged(0.9, 0.001)
    for against in ([one, sure], [sure, one]):  # two looks
        assert is_seated(against, gained, dm_p_lt=0.05) is seated


def test_who_is_surely_better_by_believing_less_noise_is_no_better_than_with_news_of_other_sessions() -> None:
    found = both(*world(LUCKY))
    levels = list(SPEC.levels)
    lost = {word: losses(found.asked, told, levels) for word, told in found.told.items()}
    assert compared(lost[WITH], lost[WITHOUT]).better, "guard: by luck alone"
    row = of_tree(measured(LUCKY))
    assert row["dm_p"] < 0.05
    assert row["placebo_dm_p"] is None or row["placebo_dm_p"] >= 0.05
    assert not row["seated"]


def test_a_placebo_is_shown_the_same_symbol_and_minute_of_another_session_and_nothing_else_changes() -> None:
    market = with_columns_of(*world(1, PLANT), NAMES).drop("tokens")
    days = folds.sessions(market)
    for place, far in enumerate((10, 21, 31)):  # of 42, cut into four
        shown = moved(market, NAMES, place)
        assert shown.drop(NAMES).equals(market.drop(NAMES))
        other = dict(zip(days, [*days[far:], *days[:far]], strict=True))
        keyed = market.select("symbol", "minute_index", *NAMES, other="day")
        expected = (
            market.select("day", "symbol", "minute_index", other=pl.col("day").replace_strict(other))
            .join(keyed, on=["other", "symbol", "minute_index"], how="left", maintain_order="left")
            .select(NAMES)
        )
        assert shown.select(NAMES).equals(expected)
        assert not shown.select(NAMES).equals(market.select(NAMES))


def test_random_news_is_worth_nothing() -> None:
    row = of_tree(measured(1))
    assert row["reason"] == ""
    assert not row["seated"]


@pytest.mark.whole
def test_of_twenty_still_markets_at_most_one_reads_as_worth_something() -> None:
    assert sum(of_tree(measured(seed))["seated"] for seed in range(1, 21)) <= 1


def test_what_is_told_a_session_later_is_worth_nothing_and_taken_too_early_it_is_found_out() -> None:
    assert not of_tree(measured(late=True))["seated"]
    leaked = of_tree(measured(late=True, ahead=True))
    assert leaked["pinball_ratio_high"] < 1
    assert max(leaked["dm_p"], leaked["placebo_dm_p"]) < 0.01


def test_nothing_that_comes_later_reaches_an_answer(planted: Arms) -> None:
    market, group = world(1, PLANT)
    moment = sorted({*planted.asked["snapshot_ts"]})[100]
    changed_group = group.with_columns(
        pl.when(pl.col("known_at") > moment).then(-9.0).otherwise(pl.col(name)).alias(name) for name in NAMES
    )
    at = pl.col("day") >= min(planted.asked["day"])
    changed = market.with_columns(
        pl.when(at).then(pl.col(name) * -7).otherwise(pl.col(name)).alias(name) for name in ("y", "z", "realised")
    )
    again = both(changed, changed_group)
    so_far = pl.col("snapshot_ts") <= moment
    for word, told in planted.told.items():
        assert again.told[word].filter(so_far).equals(told.filter(so_far))
    assert not again.told[WITH].equals(planted.told[WITH])


def test_the_same_arms_come_of_rows_that_hold_the_group_already(planted: Arms) -> None:
    market, group = world(1, PLANT)
    switched_on = market.with_columns(pl.lit(3.0, pl.Float32).alias(name) for name in NAMES)
    again = both(switched_on.sample(fraction=1.0, shuffle=True, seed=5), group.sample(fraction=1.0, shuffle=True))
    for word, told in planted.told.items():
        assert again.told[word].equals(told)


def test_the_arm_without_sees_nothing_of_the_group_and_both_learn_an_embargo_before_the_month(planted: Arms) -> None:
    market, _ = world(1, PLANT)
    march = market.filter(pl.col("day") < date(2025, 4, 1))
    learnt = march.filter(pl.col("day") < max(march["day"]))
    alone = settled(learnt, replace(SPEC, features=FEATURES, own=FEATURES[:6])).predicted(planted.asked, SPEC.levels)
    assert planted.told[WITHOUT].equals(alone)
    assert planted.taught == folds.sessions(learnt)
    assert both(*world(1, PLANT), month="2025-05", window_months=1).taught == folds.sessions(planted.asked)[:-1]


def test_what_cannot_be_measured_is_a_row_with_its_reason() -> None:
    market, group = world(1)
    few = calendar.month_sessions("2025-03")[-10:]
    silent = group.with_columns(pl.lit(None, pl.Float64).alias(name) for name in NAMES)
    for reason, arms in (
        (
            "insufficient_history: 9 sessions with rows, at least 16",
            both(market.filter(pl.col("day") >= few[0]), group),
        ),
        ("no_rows: ", both(market.filter(pl.col("day") < date(2025, 4, 1)), group)),
        ("no_news: ", both(market, silent)),
    ):
        found = information_value(arms, traded(1, 0.0), month=MONTH, dm_p_lt=0.05)
        row = of_tree(found)
        assert row["reason"].startswith(reason)
        assert (found.height, row["seated"], row["n"], row["pinball_ratio"]) == (2, False, 0, None)
        assert row["as_of"] == calendar.month_sessions(MONTH)[-1]

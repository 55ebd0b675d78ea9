"""The blend: chosen on earlier months alone, an average of its parts and nothing else, whatever order rows come in."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.calendar import month_sessions
from timegpt_assets.core.forecasts.quantiles import not_nested
from timegpt_assets.core.models import blend
from timegpt_assets.core.models.blend import ALPHAS, BlendSpec, Policy, Vouched, blended, policy
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.forecasts import BASE_ANSWERS
from timegpt_assets.core.tables.models import BASE_SCORES

SPEC = BlendSpec(months=3, min_sessions=20)
DAYS = [day for month in ("2025-01", "2025-02", "2025-03") for day in month_sessions(month)]
WIDTHS = {50: 0.67, 80: 1.28, 95: 1.96}
TREE, NET = "lightgbm", "tsmixer"
SHARES = {"lo_95": 0.025, "lo_80": 0.1, "lo_50": 0.25, "mean": 0.5, "hi_50": 0.75, "hi_80": 0.9, "hi_95": 0.975}
VOUCHED = Vouched(digest="d" * 64)


def answered(word: str, centre: np.ndarray, *, days: Sequence[date], scale: float = 1.0) -> pl.DataFrame:
    """Return BASE_ANSWERS rows of one forecaster: bands times ``scale`` around a centre [day, symbol]."""
    rows = [
        {"day": day, "symbol": symbol, "mean": centre[i, j]}
        | {
            f"{side}_{n}": centre[i, j] + sign * w * scale
            for n, w in WIDTHS.items()
            for side, sign in (("lo", -1), ("hi", 1))
        }
        for i, day in enumerate(days)
        for j, symbol in enumerate(("AAA", "BBB"))
    ]
    at = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.offset_by("15h").cast(TIME)
    marks = {"sigma": 0.002, "target_scale": 0.5, "model": word, "backend": "baseline", "score_source": "baseline"}
    marks |= {"run_source": "smoke", "data_regime": "maintenance_replay", "stale_input": False, "forecaster": word}
    stamped = pl.DataFrame(rows).with_columns(
        *(pl.lit(value).alias(name) for name, value in marks.items()),
        snapshot_ts=at, asked_at=at, step=pl.lit(15, pl.Int64), request_hash=pl.format("{} {}", pl.lit(word), "day"),
        host=pl.lit(None, pl.String),
    )  # fmt: skip
    return BASE_ANSWERS.conformed(stamped)


def scored(answers: pl.DataFrame, y: np.ndarray, days: Sequence[date] = DAYS) -> pl.DataFrame:
    """Return BASE_SCORES of answers whose numbers are log returns already."""
    truth = pl.DataFrame(
        {"day": [day for day in days for _ in range(2)], "symbol": ["AAA", "BBB"] * len(days), "y": y.ravel()}
    )
    times = {"target_ts": pl.col("snapshot_ts").dt.offset_by("15m"), "horizon_min": pl.lit(15, pl.Int64)}
    rows = answers.join(truth, on=["day", "symbol"]).with_columns(**times, pinball=pl.lit(0.0), sigma=pl.lit(1.0))
    return BASE_SCORES.conformed(rows.select(*BASE_SCORES.columns, *(f"{s}_{n}" for n in WIDTHS for s in ("lo", "hi"))))


@cache
def market(share: float, *, days: tuple[date, ...] = tuple(DAYS), seed: int = 1) -> tuple[pl.DataFrame, np.ndarray]:
    """Return scores of both parts where what comes lies around (1 - share) x the tree's centre + share x the net's."""
    draws = np.random.default_rng(seed)
    tree, net = draws.normal(size=(2, len(days), 2))
    y = (1 - share) * tree + share * net + 0.05 * draws.normal(size=tree.shape)
    parts = [answered(TREE, tree, days=days, scale=0.05), answered(NET, net, days=days, scale=0.05)]
    return pl.concat([scored(part, y, days) for part in parts]), y


def chosen(scores: pl.DataFrame, month: str = "2025-04", spec: BlendSpec = SPEC) -> blend.Chosen:
    return policy(scores, month=month, spec=spec, control="ridge")


@pytest.mark.parametrize(("share", "name"), [(0.0, "tabular_only"), (0.3, "blend_alpha_0.3"), (1.0, "nn_only")])
def test_the_share_that_the_market_was_made_with_is_chosen(share: float, name: str) -> None:
    found = chosen(market(share)[0])
    assert found.policy is not None
    assert found.policy.name == name
    assert found.pinball == min(found.losses.values())
    assert (found.sessions, found.rows) == (len(DAYS), 2 * len(DAYS))
    assert (found.first_day, found.last_day) == (DAYS[0], DAYS[-1])
    assert found.report["fold_metrics"][name] == {"pinball": found.pinball}


def test_the_loss_is_the_mean_pinball_loss_of_the_averaged_quantiles_in_volatilities() -> None:
    scores, y = market(0.5)
    tree, net = (scores.filter(forecaster=word).sort("day", "symbol") for word in (TREE, NET))
    total = []
    for name, share in SHARES.items():
        quantile = 0.7 * tree[name].to_numpy() + 0.3 * net[name].to_numpy()
        total += [max(share * (t - q), (share - 1) * (t - q)) for t, q in zip(y.ravel(), quantile, strict=True)]
    assert chosen(scores).losses["blend_alpha_0.3"] == pytest.approx(float(np.mean(total)), rel=1e-12)


def test_of_equal_losses_the_smaller_share_of_the_net_wins() -> None:
    draws = np.random.default_rng(3)
    centre, y = draws.normal(size=(2, len(DAYS), 2))
    same = [scored(answered(word, centre, days=DAYS), y) for word in (TREE, NET)]
    found = chosen(pl.concat(same))
    assert found.policy == Policy(alpha=0.0)


def test_rows_of_the_month_itself_and_later_ones_change_nothing() -> None:
    scores, _ = market(0.3)
    later, _ = market(1.0, days=(*month_sessions("2025-04"), *month_sessions("2025-05")), seed=9)
    alone, told = chosen(scores), chosen(pl.concat([later, scores]))
    assert told == alone


def test_only_the_months_before_are_read() -> None:
    long_ago, _ = market(1.0, days=tuple(month_sessions("2024-12")), seed=9)
    scores, _ = market(0.0)
    assert chosen(pl.concat([long_ago, scores])) == chosen(scores)
    wider = chosen(pl.concat([long_ago, scores]), spec=BlendSpec(months=4, min_sessions=20))
    assert wider.first_day == month_sessions("2024-12")[0]


def test_too_few_sessions_are_a_reason_and_no_policy() -> None:
    scores, _ = market(0.3, days=tuple(DAYS[-19:]))
    found = chosen(scores)
    assert found.policy is None
    assert found.reason.startswith("insufficient_history: 19 sessions before 2025-04 on which both parts answered")
    assert chosen(market(0.3, days=tuple(DAYS[-20:]))[0]).policy is not None
    assert chosen(BASE_SCORES.empty()).policy is None


def test_rows_that_one_part_did_not_answer_by_itself_do_not_count() -> None:
    scores, _ = market(0.3)
    fallen = (pl.col("forecaster") == NET) & pl.col("day").is_in(DAYS[:10])
    without = scores.filter(~fallen)
    stood_in = scores.with_columns(
        score_source=pl.when(fallen).then(pl.lit("fallback")).otherwise("score_source"),
        mean=pl.when(fallen).then(99.0).otherwise("mean"),
    )
    assert chosen(stood_in) == chosen(without)
    assert chosen(without).sessions == len(DAYS) - 10


def test_the_control_arm_is_measured_on_the_same_rows() -> None:
    scores, y = market(0.3)
    zeros = scored(answered("ridge", np.zeros_like(y), days=DAYS, scale=1.0), y)
    found = chosen(pl.concat([scores, zeros.filter(pl.col("symbol") == "AAA")]))
    assert found.control_pinball is not None
    assert found.pinball is not None
    assert found.control_pinball > found.pinball
    assert chosen(scores).control_pinball is None


@settings(max_examples=12)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(random: Any) -> None:
    scores, _ = market(0.3, days=tuple(DAYS[:25]))
    places = list(range(scores.height))
    random.shuffle(places)
    assert chosen(scores[places]) == chosen(scores)
    draws = np.random.default_rng(2).normal(size=(2, 5, 2))
    base = pl.concat([answered(TREE, draws[0], days=DAYS[:5]), answered(NET, draws[1], days=DAYS[:5])])
    shuffled = base.sample(fraction=1.0, shuffle=True, seed=random.randrange(1000))
    for alpha in (0.0, 0.3, 1.0):
        mixed, plain = (blended(rows, Policy(alpha=alpha), VOUCHED) for rows in (shuffled, base))
        assert_frame_equal(mixed, plain, check_exact=True)


def base(*, seed: int = 5, days: Sequence[date] = DAYS[:6]) -> pl.DataFrame:
    """Return answers of both parts and of somebody else."""
    draws = np.random.default_rng(seed)
    tree, net, other = draws.normal(size=(3, len(days), 2))
    scales = np.exp(draws.normal(size=3))
    return pl.concat(
        answered(word, centre, days=days, scale=float(scale))
        for word, centre, scale in zip((TREE, NET, "ridge"), (tree, net, other), scales, strict=True)
    )


NUMBERS = ["day", "snapshot_ts", "symbol", "step", "mean", *(f"{s}_{n}" for n in WIDTHS for s in ("lo", "hi")), "sigma"]


@settings(max_examples=12)
@given(st.integers(0, 10_000))
def test_all_of_one_part_is_that_part_to_the_bit(seed: int) -> None:
    rows = base(seed=seed)
    for alpha, word in ((0.0, TREE), (1.0, NET)):
        found = blended(rows, Policy(alpha=alpha), VOUCHED)
        own = rows.filter(forecaster=word).sort(NUMBERS[:3])
        assert_frame_equal(found.select(NUMBERS), own.select(NUMBERS), check_exact=True)
        assert set(found["model"]) == {Policy(alpha=alpha).name}


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from(ALPHAS))
def test_averaged_bands_nest_and_lie_between_those_of_the_parts(seed: int, alpha: float) -> None:
    rows = base(seed=seed)
    found = blended(rows, Policy(alpha=alpha), VOUCHED)
    assert found.height == 12
    assert found.filter(not_nested(tuple(WIDTHS))).is_empty()
    BASE_ANSWERS.conformed(found)
    tree, net = (rows.filter(forecaster=word).sort(NUMBERS[:3]) for word in (TREE, NET))
    for name in NUMBERS[4:-1]:
        low, high = np.minimum(tree[name], net[name]), np.maximum(tree[name], net[name])
        assert ((found[name] >= low - 1e-12) & (found[name] <= high + 1e-12)).all()


def test_a_row_that_a_part_left_out_is_left_out_where_the_part_counts() -> None:
    rows = base().filter((pl.col("forecaster") != NET) | (pl.col("symbol") == "AAA"))
    assert set(blended(rows, Policy(alpha=0.5), VOUCHED)["symbol"]) == {"AAA"}
    assert set(blended(rows, Policy(alpha=0.0), VOUCHED)["symbol"]) == {"AAA", "BBB"}


def marked(word: str, **marks: str) -> list[pl.Expr]:
    return [pl.when(pl.col("forecaster") == word).then(pl.lit(v)).otherwise(n).alias(n) for n, v in marks.items()]


def test_where_the_control_arm_stood_in_for_a_part_it_stands_in_for_the_blend() -> None:
    rows = base().with_columns(marked(NET, score_source="fallback"))
    found = blended(rows, Policy(alpha=0.3), VOUCHED)
    assert set(found["score_source"]) == {"fallback"}
    stand_in = rows.filter(forecaster=NET).sort(NUMBERS[:3])
    assert_frame_equal(found.select(NUMBERS), stand_in.select(NUMBERS), check_exact=True)
    # a part of no weight is not asked
    assert set(blended(rows, Policy(alpha=0.0), VOUCHED)["score_source"]) == {"baseline"}
    both = rows.with_columns(marked(TREE, score_source="fallback"))
    assert set(blended(both, Policy(alpha=0.3), VOUCHED)["score_source"]) == {"fallback"}


def test_a_blend_is_worth_what_the_least_of_its_parts_and_its_policy_are() -> None:
    live = {"score_source": "model", "data_regime": "prod_live"}
    verified = Vouched(digest="d" * 64, **live)
    rows = base().with_columns(marked(TREE, **live)).with_columns(marked(NET, **live))
    half = Policy(alpha=0.5)
    assert blended(rows, half, verified).select(list(live)).unique().rows() == [("model", "prod_live")]
    assert blended(rows, half, VOUCHED).select(list(live)).unique().rows() == [("baseline", "maintenance_replay")]
    unsigned = rows.with_columns(marked(NET, score_source="baseline"))
    assert blended(unsigned, half, verified).select(list(live)).unique().rows() == [("baseline", "prod_live")]
    late = rows.with_columns(marked(TREE, data_regime="maintenance_replay"))
    assert blended(late, half, verified).select(list(live)).unique().rows() == [("model", "maintenance_replay")]


def test_the_hash_holds_the_policy_its_digest_and_the_parts_requests() -> None:
    rows = base()
    found = [
        set(blended(rows, Policy(alpha=alpha), Vouched(digest=digest))["request_hash"])
        for alpha, digest in ((0.3, "a"), (0.4, "a"), (0.3, "b"))
    ]
    asked = rows.with_columns(request_hash=pl.format("{}!", "request_hash"))
    found.append(set(blended(asked, Policy(alpha=0.3), Vouched(digest="a"))["request_hash"]))
    assert len(set.union(*found)) == sum(len(each) for each in found)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_policy_is_read_back_as_it_was_written(alpha: float) -> None:
    assert blend.load_policy(Policy(alpha=alpha).saved()[blend.FILE]) == Policy(alpha=alpha)


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b"{}", b'{"alpha":"x"}', b'{"alpha":0.35,"parts":["lightgbm","tsmixer"],"policy":"blend_alpha_0.35"}',
     b'{"alpha":0.3,"parts":["lightgbm","tsmixer"],"policy":"nn_only"}', b'{"alpha":NaN}'],
)  # fmt: skip
def test_what_is_no_policy_is_refused(said: bytes) -> None:
    with pytest.raises(blend.PolicyError, match=r"holds no policy|no choice writes"):
        blend.load_policy(said)


def test_the_months_before_cross_the_turn_of_the_year() -> None:
    assert calendar.months_later(date(2025, 2, 1), -3) == date(2024, 11, 1)
    assert calendar.months_later(date(2025, 12, 1), -12) == date(2024, 12, 1)

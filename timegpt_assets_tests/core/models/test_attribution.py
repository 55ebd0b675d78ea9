"""What moved a forecast: shares that add up to it, the strongest named, and a blend's as its parts'."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.models import attribution
from timegpt_assets.core.models import net as nets
from timegpt_assets.core.models.attribution import blended, moved, named
from timegpt_assets.core.models.net import Net
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.teaching import teacher
from timegpt_assets.core.models.tree import Form, Tree, fitted
from timegpt_assets_tests.core.models.made import CHANNELS, FEATURES, TOKENS, net_spec, rows, tokened, tree_spec

LEVELS = (50, 80, 95)
ROWS = rows(20, linear=0.3)
ASKED = rows(22, linear=0.3).filter(pl.col("day") > ROWS["day"].max()).sort(KEY)
PART = [*KEY, "part"]


@pytest.fixture(scope="module", params=["apart", "quantile", "conformal"])
def tree(request: pytest.FixtureRequest) -> Tree:
    """Return a tree of each form."""
    form: Form = request.param
    return fitted(ROWS, tree_spec(road="apart" if form == "apart" else "together"), form)[0]


def parts(told: pl.DataFrame) -> pl.DataFrame:
    """Return each part of each forecast, with what all its contributions add up to."""
    return told.group_by(PART, maintain_order=True).agg(
        pl.col("contribution").sum(), pl.col("base", "forecast").first()
    )


def test_contributions_and_base_add_up_to_what_is_forecast(tree: Tree) -> None:
    told, said = parts(moved(tree, ASKED, LEVELS)), tree.predicted(ASKED, LEVELS)
    centre, size = (told.filter(part=part).sort(KEY) for part in ("centre", "size"))
    assert centre.height == size.height == said.height == ASKED.height
    assert centre["forecast"].to_list() == said["mean"].to_list()
    assert size["forecast"].to_list() == ((said["hi_50"] - said["lo_50"]) / 2).to_list()
    # quantiles that crossed were put in order after the boosters had spoken
    straight = np.abs(told["base"] + told["contribution"] - told["forecast"]) < 1e-9
    assert straight.mean() > (0.95 if tree.form == "quantile" else 0.9999)
    assert centre.select(pl.col("contribution").abs().max()).item() > 0.01


def test_the_base_knows_nothing_of_the_row(tree: Tree) -> None:
    told = parts(moved(tree, ASKED, LEVELS))
    assert told.filter(part="centre")["base"].n_unique() == 1
    of_size = told.filter(part="size").with_columns(at=pl.col("snapshot_ts").dt.time())
    # a symbol's factor and the reach of the time of day are no feature's
    assert of_size.select(pl.col("base").round(9).n_unique().over("symbol", "at").max()).item() == 1


def test_what_the_market_was_made_of_moves_the_centre_most(tree: Tree) -> None:
    told = moved(tree, ASKED, LEVELS).filter(part="centre")
    total = told.group_by("feature").agg(pl.col("contribution").abs().sum()).sort("contribution")
    assert total["feature"][-1] == "ret_15m"


def test_the_value_is_the_rows_own_and_one_that_is_not_known_is_missing(tree: Tree) -> None:
    blind = ASKED.with_columns(ret_5m=pl.when(pl.col("symbol") == "AAA").then(None).otherwise("ret_5m"))
    told = moved(tree, blind, LEVELS).filter(feature="ret_5m", part="centre")
    aaa, others = told.filter(symbol="AAA"), told.filter(pl.col("symbol") != "AAA")
    assert aaa["missing"].all()
    assert aaa["value"].null_count() == aaa.height
    assert not others["missing"].any()
    own = ASKED.select(*KEY, "ret_5m").join(others, on=list(KEY))
    assert own["value"].to_list() == own["ret_5m"].cast(pl.Float64).to_list()


def test_the_strongest_are_named_and_all_others_stand_in_one_sum(tree: Tree) -> None:
    every = moved(tree, ASKED, LEVELS)
    told = named(every, forecaster="lightgbm", top=2, policy=None, digest="d")
    centre = told.filter(part="centre")
    assert centre.group_by(KEY).len()["len"].unique().to_list() == [3]
    assert centre.filter(rank=3)["feature"].unique().to_list() == ["*"]
    size = pl.col("contribution").abs()
    assert centre.select(size.filter(pl.col("rank") == 1).min() >= 0).item()
    first, second = (centre.filter(rank=rank)["contribution"].abs() for rank in (1, 2))
    assert (first >= second).all()
    rest = every.filter(part="centre").join(centre.filter(pl.col("rank") < 3), on=[*PART, "feature"], how="anti")
    sums = rest.group_by(KEY).agg(pl.col("contribution").sum()).sort(KEY)["contribution"]
    assert centre.filter(rank=3).sort(KEY)["contribution"].to_list() == pytest.approx(sums.to_list(), abs=0.02)
    assert parts(told).select((pl.col("contribution") + pl.col("base") - pl.col("forecast")).abs().max()).item() < 1e-9


def test_a_part_that_nothing_moves_has_one_row() -> None:
    still = fitted(ROWS, tree_spec(road="together"), "conformal")[0]
    told = named(moved(still, ASKED, LEVELS), forecaster="lightgbm", top=5, policy=None, digest="d").filter(part="size")
    assert told.select("rank", "feature", "missing").unique().rows() == [(1, "*", False)]
    assert told["contribution"].to_list() == pytest.approx([0.0] * ASKED.height, abs=1e-12)
    assert told["base"].to_list() == pytest.approx(told["forecast"].to_list())


def test_a_blend_is_moved_by_what_moves_its_parts_each_by_its_weight(tree: Tree) -> None:
    one = moved(tree, ASKED, LEVELS)
    other = one.with_columns(
        pl.col("contribution", "base", "forecast") * 3.0,
        feature=pl.col("feature").replace("ret_1m", "token"),
        method=pl.lit("occlusion"),
    )
    told = blended(one, other, 0.25)
    key = [*PART, "feature"]
    weights = told.join(one, on=key, suffix="_one").filter(pl.col("feature") != "ret_1m")
    assert weights["contribution"].to_list() == pytest.approx((weights["contribution_one"] * 1.5).to_list())
    assert weights["forecast"].to_list() == pytest.approx((weights["forecast_one"] * 1.5).to_list())
    assert weights["base"].to_list() == pytest.approx((weights["base_one"] * 1.5).to_list())
    alone = told.filter(feature="ret_1m").join(one, on=key, suffix="_one")
    assert alone["contribution"].to_list() == pytest.approx((alone["contribution_one"] * 0.75).to_list())
    assert set(told["method"]) == {"blend"}
    half = blended(one.filter(pl.col("symbol") == "AAA"), other, 0.5)
    assert set(half["symbol"]) == {"AAA"}


def test_all_of_one_part_is_explained_as_that_part_is(tree: Tree) -> None:
    one = moved(tree, ASKED, LEVELS)
    told = blended(one, one, 0.0)
    assert_frame_equal(told.drop("method"), one.drop("method"), check_exact=True, check_row_order=False)


def test_the_order_of_rows_changes_no_bit(tree: Tree) -> None:
    told = named(moved(tree, ASKED, LEVELS), forecaster="x", top=3, policy=None, digest="d")
    mixed = ASKED.sample(fraction=1.0, shuffle=True, seed=3)
    again = named(moved(tree, mixed, LEVELS), forecaster="x", top=3, policy=None, digest="d")
    assert_frame_equal(again, told, check_exact=True)


def test_nobody_is_explained_where_nobody_was_asked(tree: Tree) -> None:
    nothing = moved(tree, ASKED.clear(), LEVELS)
    assert nothing.is_empty()
    assert named(nothing, forecaster="x", top=3, policy=None, digest="d").is_empty()
    assert set(FEATURES) >= set(moved(tree, ASKED[:1], LEVELS)["feature"]) - {"*"}
    assert attribution.moved(tree, ASKED[:1], LEVELS).height > 0


@pytest.fixture(scope="module")
def net() -> Net:
    """Return a net that only both of its channels together tell anything."""
    pytest.importorskip("torch", reason="torch is not installed: make setup-neural")
    spec = net_spec()
    taught = tokened(ROWS, interaction=0.4)
    return nets.fitted(taught, teacher(taught, spec.tree), spec)[0]


SEEN = tokened(ASKED, interaction=0.4, seed=9)


def without(*channels: int) -> pl.DataFrame:
    """Return the rows with the minutes of some channels unknown: to a net that is the mean of its training."""
    tokens = SEEN["tokens"].explode().to_numpy().reshape(SEEN.height, TOKENS, len(CHANNELS)).copy()
    tokens[:, :, list(channels)] = np.nan
    return SEEN.with_columns(pl.Series("tokens", tokens.reshape(SEEN.height, -1)).cast(pl.List(pl.Float32)))


def test_a_nets_channel_added_what_the_centre_loses_without_it(net: Net) -> None:
    told = moved(net, SEEN, LEVELS).filter(part="centre").sort(KEY)
    assert set(told["method"]) == {"occlusion"}
    assert told["forecast"].to_list() == pytest.approx(np.repeat(net.centre(SEEN), 2).tolist(), abs=1e-6)
    for place, name in enumerate(CHANNELS):
        own = told.filter(feature=name)
        lost = net.centre(SEEN) - net.centre(without(place))
        assert own["contribution"].to_list() == pytest.approx(lost.tolist(), abs=1e-5)
        last = SEEN["tokens"].list.get(len(CHANNELS) * (TOKENS - 1) + place)
        assert own["value"].to_list() == last.cast(pl.Float64).to_list()
    assert told.select(pl.col("contribution").abs().max()).item() > 0.01


def test_what_channels_do_together_stands_with_all_others_and_the_sum_is_the_forecast(net: Net) -> None:
    every = moved(net, SEEN, LEVELS)
    base = every.filter(part="centre")["base"].to_numpy()
    assert np.ptp(base) < 1e-5
    told = named(every, forecaster="tsmixer", top=5, policy=None, digest="d")
    sums = parts(told)
    assert (sums["contribution"] + sums["base"]).to_list() == pytest.approx(sums["forecast"].to_list(), abs=1e-9)
    together = told.filter(part="centre", feature="*")["contribution"].abs()
    assert together.max() > 0.01
    size = told.filter(part="size")
    assert set(size["method"]) == {"contributions"}
    said = net.predicted(SEEN, LEVELS)
    assert size.filter(rank=1).sort(KEY)["forecast"].to_list() == ((said["hi_50"] - said["lo_50"]) / 2).to_list()


def test_a_blend_of_tree_and_net_is_explained_by_both(net: Net) -> None:
    tree = fitted(ROWS, tree_spec(), "apart")[0]
    told = blended(moved(tree, SEEN, LEVELS), moved(net, SEEN, LEVELS), 0.3)
    sums = named(told, forecaster="blend", top=3, policy="blend_alpha_0.3", digest="d")
    both = 0.7 * tree.predicted(SEEN, LEVELS)["mean"] + 0.3 * net.predicted(SEEN, LEVELS)["mean"]
    centre = sums.filter(part="centre", rank=1).sort(KEY)
    assert centre["forecast"].to_list() == pytest.approx(both.to_list(), abs=1e-9)
    added = parts(sums)
    assert (added["contribution"] + added["base"]).to_list() == pytest.approx(added["forecast"].to_list(), abs=1e-9)
    assert {"ret_1m", "volume_norm_5m"} <= set(told.filter(part="centre")["feature"])

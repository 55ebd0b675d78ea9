"""The road apart: what is believed is chosen on days never seen, and whoever teaches a block never saw it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.models.apart import Apart, learn_apart
from timegpt_assets.core.models.folds import sessions
from timegpt_assets.core.models.rows import KEY, OUTCOME
from timegpt_assets.core.models.shares import shares
from timegpt_assets.core.models.tree import Tree
from timegpt_assets_tests.core.models.made import rows, tree_spec

SPEC, LEVELS = tree_spec(), (50, 80, 95)
SIGNAL = rows(linear=0.2, interaction=0.3)
NOISE = rows(size=0.0)
EAGER = replace(SPEC, boosting=replace(SPEC.boosting, rounds=80, leaves=31, min_rows=5, l2=0.0))
"""Whoever learns like this knows the days it saw by heart."""


@pytest.fixture(scope="module")
def model() -> Apart:
    """Return what is learnt of the market with a signal."""
    return learn_apart(SIGNAL, SPEC)[0]


def test_of_noise_nothing_is_believed_however_well_the_days_seen_are_known() -> None:
    eager, chosen = learn_apart(NOISE, EAGER)
    inside = np.corrcoef(eager.centre.booster.predicted(eager.centre.design.matrix(NOISE)), NOISE["z"])[0, 1]
    assert inside > 0.5
    assert chosen["shrink"] == 0.0
    assert chosen["size_share"] <= 0.25
    said = eager.predicted(NOISE.drop(OUTCOME), LEVELS)
    assert said["mean"].unique().to_list() == [0.0]
    assert learn_apart(SIGNAL, SPEC)[1]["shrink"] == 1.0


def test_bands_hold_what_they_say_on_days_never_seen_even_if_the_days_seen_are_known_by_heart() -> None:
    made = rows(40, size=0.5)
    days = sessions(made)
    taught, asked = (made.filter(pl.col("day").is_in(some)) for some in (days[:24], days[25:]))
    said = asked.join(learn_apart(taught, EAGER)[0].predicted(asked, LEVELS), on=list(KEY))
    for level in LEVELS:
        held = said.select(pl.col("z").is_between(f"lo_{level}", f"hi_{level}").mean()).item()
        assert held == pytest.approx(level / 100, abs=0.06)


def test_what_the_whole_market_does_is_no_reason(model: Apart) -> None:
    asked = SIGNAL.drop(OUTCOME)
    told = model.predicted(asked, LEVELS)
    assert model.predicted(asked.with_columns(spy_ret_15m=pl.lit(9.0, pl.Float32)), LEVELS).equals(told)
    shocked = SIGNAL.with_columns(
        z=pl.col("z") + pl.col("snapshot_ts").rank("dense").cast(pl.Float64).mul(37).mod(11).sub(5)
    )
    centre = learn_apart(shocked, SPEC)[0].centre.at(asked)
    np.testing.assert_allclose(centre, model.centre.at(asked), atol=1e-6)


def test_bands_widen_with_the_size_and_the_symbol_and_are_alike_on_both_sides(model: Apart) -> None:
    one = SIGNAL.drop(OUTCOME)[:1]
    wild = one.with_columns(vol_ewm_15m=(pl.col("sigma") * 3).cast(pl.Float32))
    calm = one.with_columns(vol_ewm_15m=(pl.col("sigma") / 3).cast(pl.Float32))
    width = {}
    for name, asked in {"wild": wild, "calm": calm, "DDD": one.with_columns(symbol=pl.lit("DDD"))}.items():
        said = model.predicted(asked, LEVELS).row(0, named=True)
        for level in LEVELS:
            assert said[f"hi_{level}"] - said["mean"] == pytest.approx(said["mean"] - said[f"lo_{level}"])
        width[name] = said["hi_80"] - said["lo_80"]
    assert width["wild"] > 2 * width["calm"]
    own = model.predicted(one, LEVELS).row(0, named=True)  # AAA: its moves are two thirds of DDD's
    assert 1.2 < width["DDD"] / (own["hi_80"] - own["lo_80"]) < 1.6


def test_a_symbol_never_seen_is_answered_as_the_mean_symbol_would_be(model: Apart) -> None:
    one = SIGNAL.drop(OUTCOME)[:1]
    new = model.predicted(one.with_columns(symbol=pl.lit("NEW")), LEVELS).row(0, named=True)
    own = model.predicted(one, LEVELS).row(0, named=True)
    assert new["mean"] == own["mean"]
    assert new["hi_80"] - new["mean"] == pytest.approx((own["hi_80"] - own["mean"]) / model.bands.factors["AAA"])
    assert "NEW" not in model.bands.factors


def test_a_feature_not_known_when_asked_is_no_reason_not_to_answer(model: Apart) -> None:
    asked = SIGNAL.drop(OUTCOME)[:5].with_columns(
        ret_15m=pl.lit(None, pl.Float32), vol_ewm_15m=pl.lit(None, pl.Float32)
    )
    said = model.predicted(asked, LEVELS)
    assert said.height == 5
    assert said.select(pl.all_horizontal(pl.selectors.float().is_finite().all())).item()


def test_contributions_add_up_to_what_the_parts_say(model: Apart) -> None:
    asked = SIGNAL.drop(OUTCOME)[:20]
    centre, size = shares(Tree(form="apart", model=model, features=SPEC.features, libraries=""), asked, 50)
    assert {*centre.names, *size.names} == {*SPEC.own, *SPEC.clock}
    np.testing.assert_allclose(centre.base + centre.added.sum(axis=1), model.centre.at(asked), atol=1e-9)
    np.testing.assert_allclose(centre.base, centre.base[0], atol=1e-9)
    said = model.predicted(asked, (50,))
    half = ((said["hi_50"] - said["lo_50"]) / 2).to_numpy()
    np.testing.assert_allclose(size.base + size.added.sum(axis=1), half, atol=1e-9)
    unit = half / np.exp(model.bands.size.at(asked))
    logs = np.log(size.base / unit)
    np.testing.assert_allclose(logs, logs[0], atol=1e-9)
    assert size.names[np.abs(size.added).mean(axis=0).argmax()] == "vol_ewm_15m"


@pytest.mark.parametrize("moved", [0.0, 0.3])
def test_an_outcome_that_never_changes_makes_a_flat_answer_and_no_fault(moved: float) -> None:
    flat = SIGNAL.with_columns(z=pl.lit(moved), y=pl.lit(moved) * pl.col("sigma"), realised=pl.lit(0.0))
    model, chosen = learn_apart(flat, SPEC)
    said = model.predicted(flat.drop(OUTCOME), LEVELS)
    assert chosen["shrink"] == 0.0
    np.testing.assert_allclose(said["hi_95"].to_numpy(), moved)
    np.testing.assert_allclose(said["mean"].to_numpy(), 0.0)


def test_a_market_three_times_as_wild_is_the_same_market(model: Apart) -> None:
    asked = SIGNAL.drop(OUTCOME)
    moves = [name for name in SPEC.scaled if name in asked.columns]
    wild = asked.with_columns(pl.col("sigma") * 4, *(pl.col(name) * 4 for name in moves))
    assert model.predicted(wild, LEVELS).equals(model.predicted(asked, LEVELS))

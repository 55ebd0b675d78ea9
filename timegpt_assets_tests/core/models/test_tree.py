"""The tree: what it finds where something is planted, one artifact whoever makes it, and what it does with bad rows."""

from dataclasses import replace

import pytest

from timegpt_assets.core.forecasts.quantiles import not_nested
from timegpt_assets.core.models.learnt import Learnt
from timegpt_assets.core.models.rows import KEY, OUTCOME
from timegpt_assets.core.models.tree import FORMS, fitted, learn_tree, load_tree
from timegpt_assets_tests.core.models.made import rows, tree_spec

ROWS, SPEC, LEVELS = rows(), tree_spec(), (50, 80, 95)
ASKED = ROWS.drop(OUTCOME)


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    """Return what is learnt from a market whose sizes can be told."""
    return learn_tree(ROWS, SPEC)


def the(learnt: Learnt) -> bytes:
    """Return the bytes of the artifact."""
    assert learnt.model is not None
    return learnt.model.saved()[".json"]


def test_the_road_apart_finds_sizes_and_beats_zero_and_the_control_arm_on_days_it_never_saw(learnt: Learnt) -> None:
    judged = learnt.report["validation"]["forms"]["apart"]
    for against in ("zero", "ridge"):
        assert judged[against]["pinball_ratio_high"] < 1
        assert judged[against]["better"]
    assert set(learnt.report["validation"]["forms"]) == {"apart", "quantile", "conformal"}
    assert learnt.report["chosen"]["size_share"] == 1.0
    assert (learnt.sessions, learnt.reason, learnt.rows) == (23, "", 23 * 100)


def test_the_same_rows_in_any_order_and_any_threads_give_the_same_bytes(learnt: Learnt) -> None:
    shuffled = ROWS.sample(fraction=1.0, shuffle=True, seed=3)
    two = replace(SPEC, boosting=replace(SPEC.boosting, threads=2))
    again = learn_tree(shuffled, two)
    assert the(again) == the(learnt)
    assert again.report == learnt.report
    assert again.out_of_fold.equals(learnt.out_of_fold)
    other = learn_tree(ROWS, replace(SPEC, boosting=replace(SPEC.boosting, rounds=39)))
    assert the(other) != the(learnt)


@pytest.mark.parametrize("form", [form for forms in FORMS.values() for form in forms])
def test_a_tree_read_from_its_artifact_answers_bit_for_bit_and_nests(form: str) -> None:
    tree = fitted(ROWS, SPEC, form)[0]
    loaded = load_tree(tree.saved()[".json"])
    said = tree.predicted(ASKED, LEVELS)
    assert loaded.predicted(ASKED.sample(fraction=1.0, shuffle=True, seed=1), LEVELS).equals(said)
    assert loaded.saved() == tree.saved()
    assert said.filter(not_nested(LEVELS)).is_empty()
    assert said.select(KEY).equals(ROWS.select(KEY))
    alone = ASKED[7:8]
    assert loaded.predicted(alone, LEVELS).equals(said[7:8])
    assert loaded.predicted(ASKED.clear(), LEVELS).is_empty()

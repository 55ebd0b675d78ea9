"""The tree: what it finds where something is planted, one artifact whoever makes it, and what it does with bad rows."""

import json
import sys
from dataclasses import replace
from datetime import date
from importlib.metadata import version

import polars as pl
import pytest

from timegpt_assets.cli.models import validation_ratio
from timegpt_assets.core.forecasts.quantiles import not_nested
from timegpt_assets.core.models import folds
from timegpt_assets.core.models.boosting import LibraryAbsent
from timegpt_assets.core.models.learnt import Learnt
from timegpt_assets.core.models.rows import KEY, OUTCOME
from timegpt_assets.core.models.tree import FORMS, fitted, learn_tree, load_tree, settled
from timegpt_assets_tests.core.models.made import FEATURES, rows, tree_spec

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


def test_the_same_rows_in_any_order_give_the_same_bytes_report_and_lessons(learnt: Learnt) -> None:
    again = learn_tree(ROWS.sample(fraction=1.0, shuffle=True, seed=3), SPEC)
    assert the(again) == the(learnt)
    assert again.report == learnt.report
    assert again.out_of_fold.equals(learnt.out_of_fold)
    assert again.losses.equals(learnt.losses)


@pytest.mark.parametrize("form", [form for forms in FORMS.values() for form in forms])
def test_a_tree_of_rows_in_any_order_read_from_its_artifact_answers_bit_for_bit_and_nests(form: str) -> None:
    tree = fitted(ROWS, SPEC, form)[0]
    loaded = load_tree(tree.saved()[".json"])
    said = tree.predicted(ASKED, LEVELS)
    assert loaded.predicted(ASKED.sample(fraction=1.0, shuffle=True, seed=1), LEVELS).equals(said)
    assert loaded.saved() == tree.saved()
    assert fitted(ROWS.sample(fraction=1.0, shuffle=True, seed=2), SPEC, form)[0].saved() == tree.saved()
    assert said.filter(not_nested(LEVELS)).is_empty()
    assert said.select(KEY).equals(ROWS.select(KEY))
    alone = ASKED[7:8]
    assert loaded.predicted(alone, LEVELS).equals(said[7:8])
    assert loaded.predicted(ASKED.clear(), LEVELS).is_empty()


def test_what_the_embargo_holds_back_changes_no_bit(learnt: Learnt) -> None:
    def changed_from(day: date) -> Learnt:
        at = pl.col("day") >= day
        return learn_tree(
            ROWS.with_columns(
                pl.when(at).then(pl.col(name) * 9).otherwise(pl.col(name)).alias(name)
                for name in ("y", "z", "realised")
            ),
            SPEC,
        )

    *_, last_learnt, last = folds.sessions(ROWS)
    again = changed_from(last)
    assert the(again) == the(learnt)
    assert again.report == learnt.report
    assert learnt.last_day == last_learnt
    assert the(changed_from(last_learnt)) != the(learnt)


def test_outcomes_of_the_validation_reach_no_form_that_is_validated() -> None:
    split = folds.walk_forward(ROWS, validation_sessions=6, embargo_days=1)
    asked = split.test.drop(OUTCOME)
    held_back = ROWS.filter(pl.col("day") > split.train["day"].max())
    whole = pl.concat([split.train, held_back.with_columns(pl.col("y", "z", "realised") * -5)])
    again = folds.walk_forward(whole, validation_sessions=6, embargo_days=1)
    for form in ("apart", "conformal"):
        told, changed = (fitted(rows.train, SPEC, form)[0].predicted(asked, LEVELS) for rows in (split, again))
        assert changed.equals(told)


def test_a_planted_interaction_is_found_by_the_tree_and_by_no_line() -> None:
    learnt = learn_tree(rows(40, interaction=0.3, size=0.0), replace(SPEC, validation_sessions=16))
    judged = learnt.report["validation"]["forms"]["apart"]
    assert learnt.report["chosen"]["shrink"] == 1.0
    assert judged["ridge"]["mae_ratio_high"] < 1
    assert judged["ridge"]["dm_p"] < 0.01
    assert judged["zero"]["dm_p"] < 0.01


def test_of_a_road_s_forms_the_one_that_wins_in_validation_is_learnt(learnt: Learnt) -> None:
    together = learn_tree(ROWS, replace(SPEC, road="together"))
    forms = together.report["validation"]["forms"]
    assert together.report["form"] == min(FORMS["together"], key=lambda form: forms[form]["zero"]["pinball"])
    assert forms == learnt.report["validation"]["forms"]
    taught = folds.learnt_from(ROWS, embargo_days=1).sample(fraction=1.0, shuffle=True, seed=4)
    assert settled(taught, replace(SPEC, road="together")).form == together.report["form"]
    assert the(together) != the(learnt)
    assert together.out_of_fold.select(KEY).equals(ROWS.filter(pl.col("day") <= together.last_day).select(KEY))


def test_too_few_sessions_are_a_reason_with_figures_and_no_model() -> None:
    short = learn_tree(ROWS.filter(pl.col("day").is_in(folds.sessions(ROWS)[:16])), SPEC)
    assert short.model is None
    assert short.reason == "insufficient_history: 15 sessions with rows, at least 16 (models.min_sessions)"
    assert (short.sessions, short.report) == (15, {"reason": short.reason})
    nothing = learn_tree(ROWS.clear(), SPEC)
    assert (nothing.model, nothing.sessions, nothing.first_day) == (None, 0, None)


def test_a_feature_that_no_row_knows_is_left_out_and_named(learnt: Learnt) -> None:
    blind = ROWS.with_columns(ret_5m=pl.lit(None, pl.Float32), spy_ret_15m=pl.lit(float("nan"), pl.Float32))
    found = learn_tree(blind, SPEC)
    assert found.report["dropped"] == ["ret_5m", "spy_ret_15m"]
    assert found.report["features"] == [name for name in FEATURES if name not in found.report["dropped"]]
    assert learnt.report["dropped"] == []
    assert found.model is not None
    without = found.model.predicted(ASKED.drop(found.report["dropped"]), LEVELS)  # nor is it asked for
    assert found.model.predicted(ASKED, LEVELS).equals(without)


def test_rows_of_other_features_are_refused_with_what_to_do(learnt: Learnt) -> None:
    other = ROWS.drop("vol_ewm_15m", "ret_1m")
    with pytest.raises(ValueError, match=r"no ret_1m, vol_ewm_15m, .*timegpt-assets train.*features\.groups"):
        learn_tree(other, SPEC)
    assert learnt.model is not None
    with pytest.raises(ValueError, match=r"no ret_1m, vol_ewm_15m, which the model was taught"):
        learnt.model.predicted(other, LEVELS)


def test_a_level_that_quantile_boosters_never_learnt_is_refused_and_any_other_form_answers_it() -> None:
    with pytest.raises(ValueError, match=r"without lo_90, hi_90.*forecast\.levels"):
        fitted(ROWS, SPEC, "quantile")[0].predicted(ASKED, (50, 90))
    for form in ("apart", "conformal"):
        assert "hi_90" in fitted(ROWS, SPEC, form)[0].predicted(ASKED, (50, 90)).columns


@pytest.mark.parametrize("artifact", [b'{"format":9,"form":"apart"}', b'{"format":1,"form":"forest"}', b"{}"])
def test_an_artifact_of_another_format_is_refused(artifact: bytes) -> None:
    with pytest.raises(ValueError, match=r"cannot be read, 1 can\. Learn anew"):
        load_tree(artifact)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(LibraryAbsent, match=r"timegpt-assets\[models\].*forecast\.challengers"):
        fitted(ROWS, SPEC, "apart")


def test_the_report_is_json_and_knows_no_clock(learnt: Learnt) -> None:
    text = json.dumps(learnt.report, allow_nan=False, sort_keys=True)
    assert learnt.report["control_arm"]["settings"] == "digest"
    assert learnt.report["library_versions"] == {"lightgbm": version("lightgbm")}
    assert "insufficient" not in text
    assert len(learnt.report["chosen"]["folds"]) == 3
    assert learnt.report["settings"] == SPEC.saved()


def test_what_lists_of_models_show_of_a_tree_is_its_loss_over_the_control_arm_s(learnt: Learnt) -> None:
    told = learnt.report["control_arm"]
    assert validation_ratio(learnt.report) == pytest.approx(told["pinball_ratio"], rel=1e-9)
    assert 0.5 < told["pinball_ratio"] < 1


def test_who_knows_days_by_heart_is_found_out_in_validation() -> None:
    eager = replace(SPEC.boosting, rounds=50, leaves=31, min_rows=5, l2=0.0)
    forms = learn_tree(rows(size=0.0), replace(SPEC, boosting=eager)).report["validation"]["forms"]
    assert forms["conformal"]["zero"]["pinball_ratio"] > 1.02
    assert forms["quantile"]["zero"]["pinball_ratio"] > 1.02
    assert forms["apart"]["zero"]["pinball_ratio"] == pytest.approx(1.0, abs=0.02)

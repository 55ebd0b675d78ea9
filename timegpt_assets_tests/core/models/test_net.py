"""The net: what it finds where only what multiplies sees it, one artifact whoever makes it, and what it refuses."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import significance
from timegpt_assets.core.forecasts.quantiles import not_nested
from timegpt_assets.core.models import pupil as pupils
from timegpt_assets.core.models.boosting import LibraryAbsent
from timegpt_assets.core.models.folds import sessions
from timegpt_assets.core.models.learnt import Learnt
from timegpt_assets.core.models.manifests import Expected, LearntFrom, artifact, canonical, sha256
from timegpt_assets.core.models.net import fitted, learn_net, load_net
from timegpt_assets.core.models.part import SHARES
from timegpt_assets.core.models.rows import KEY, OUTCOME
from timegpt_assets.core.models.teaching import teacher
from timegpt_assets_tests.core.models.made import TOKENS, net_spec, rows, tokened, tree_spec

SPEC, LEVELS = net_spec(), (50, 80, 95)
ROWS = tokened(rows(), interaction=0.4)
ASKED = ROWS.drop(OUTCOME)
NOBODY = pl.DataFrame(schema={name: ROWS.schema[name] for name in KEY} | {"mean": pl.Float64})
WITHOUT = "torch is not installed: make setup-neural"


JUDGES = ("ridge", "zero", "unlearnt")


@pytest.fixture(scope="module", autouse=True)
def torch():
    """Skip without torch, saying what helps."""
    return pytest.importorskip("torch", reason=WITHOUT)


@pytest.fixture(scope="module")
def taught() -> pl.DataFrame:
    """Return what the tree teaches of the rows."""
    return teacher(ROWS, SPEC.tree)


@pytest.fixture(scope="module")
def learnt(taught: pl.DataFrame) -> Learnt:
    """Return what is learnt from a market whose returns are told by two channels together, by neither alone."""
    return learn_net(ROWS, taught, SPEC)


def the(learnt: Learnt) -> bytes:
    """Return the bytes of the artifact."""
    assert learnt.model is not None
    return learnt.model.saved()[".pt"]


def test_it_beats_whoever_cannot_multiply_on_days_it_never_saw(learnt: Learnt) -> None:
    against = learnt.report["validation"]["against"]
    assert {word: one["better"] for word, one in against.items()} == dict.fromkeys((*JUDGES, "lightgbm"), True)
    assert learnt.report["ensemble_alpha"] > 0.5
    assert learnt.report["chosen"]["shrink"] == 1.0
    assert set(learnt.losses["forecaster"]) == {"tsmixer", "lightgbm", *JUDGES}
    assert (learnt.sessions, learnt.rows, learnt.reason) == (23, 23 * 100, "")


def test_the_blends_share_is_the_one_of_least_loss_in_validation(learnt: Learnt) -> None:
    losses = learnt.report["validation"]["pinball_by_alpha"]
    assert losses[f"{learnt.report['ensemble_alpha']:g}"] == min(losses.values())
    mine = learnt.losses.filter(forecaster="tsmixer")
    assert losses["1"] == pytest.approx(mine["pinball"].sum() / mine["n"].sum())


def test_the_same_rows_in_any_order_give_the_same_bytes(learnt: Learnt, taught: pl.DataFrame) -> None:
    again = learn_net(*(one.sample(fraction=1.0, shuffle=True, seed=3) for one in (ROWS, taught)), SPEC)
    assert the(again) == the(learnt)
    assert again.report == learnt.report
    assert again.losses.equals(learnt.losses)


def test_a_net_read_from_its_artifact_answers_bit_for_bit_alone_and_together(learnt: Learnt) -> None:
    loaded = load_net(the(learnt))
    said = learnt.model.predicted(ASKED[:300], LEVELS)
    assert loaded.saved()[".pt"] == the(learnt)
    assert loaded.predicted(ASKED[:300].sample(fraction=1.0, shuffle=True, seed=1), LEVELS).equals(said)
    assert said.filter(not_nested(LEVELS)).is_empty()
    assert said["mean"].n_unique() > 100
    for place in range(0, 300, 29):
        assert loaded.predicted(ASKED[place : place + 1], LEVELS).equals(said[place : place + 1])
    assert loaded.predicted(ASKED.clear(), LEVELS).is_empty()


def test_its_manifest_holds_what_is_asked_of_a_net(learnt: Learnt) -> None:
    own = {name: learnt.report[name] for name in ("type", "normalization", "n_tokens", "n_channels", "ensemble_alpha")}
    made = artifact(
        "tsmixer",
        universe="mag7",
        month="2025-06",
        learnt_from=LearntFrom(first_day=learnt.first_day, last_day=learnt.last_day, sessions=23, rows=learnt.rows),
        made_under=Expected(
            feature_version="1", features_hash="h", feature_payload_schema_version="1", label_definition="l"
        ),
        seed=7,
        saved=learnt.model.saved(),
        report=learnt.report,
        own=own,
    )
    assert made.manifest["type"] == "tsmixer_liquid"
    assert (made.manifest["n_tokens"], made.manifest["n_channels"]) == (TOKENS, 2)
    assert set(made.manifest["files"]) == {"liquid_mag7_tsmixer_v2.pt", "train_report.json"}
    # the checkpoint says by itself which report it belongs to
    assert load_net(the(learnt)).train_report_hash == made.manifest["train_report_hash"]
    assert sha256(canonical(learnt.report)) == made.manifest["train_report_hash"]


def test_nothing_of_the_sessions_it_is_used_on_or_judged_on_moves_how_it_sees(monkeypatch, taught) -> None:
    """Each fit of channels' means reads the days that it learns from; what is left out changes no bit."""
    read, real = list[list](), pupils.sight
    monkeypatch.setattr(pupils, "sight", lambda rows, **how: read.append(sessions(rows)) or real(rows, **how))
    days = sessions(ROWS)
    last = pl.col("day") == days[-1]
    wild = ROWS.with_columns(
        z=pl.when(last).then(99.0).otherwise("z"),
        tokens=pl.when(last).then(pl.col("tokens").list.eval(pl.element() * 1e3)).otherwise("tokens"),
    )
    quick = replace(SPEC, epochs=1)
    assert the(learn_net(wild, taught, quick)) == the(learn_net(ROWS, taught, quick))
    window, judged, folds = days[:-1], days[-7:-1], SPEC.tree.folds
    inner, outer = read[: folds + 1], read[folds + 1 : 2 * (folds + 1)]
    assert not any({*judged} & {*seen} for seen in inner)
    assert [seen == window for seen in outer] == [False] * folds + [True]
    assert all(len(seen) < len(window) - len(window) // folds for seen in outer[:-1])


def test_the_teacher_pulls_and_rows_it_does_not_tell_have_no_such_term(taught: pl.DataFrame) -> None:
    def bits(teacher: pl.DataFrame, distill_lambda: float) -> dict[str, bytes]:
        found = pupils.learn_pupil(ROWS, teacher, replace(SPEC, epochs=1, distill_lambda=distill_lambda))
        return {name: one.numpy().tobytes() for name, one in found.weights.items()}

    plain = bits(NOBODY, 0.5)
    assert bits(taught, 0.0) == plain
    assert bits(taught[:0], 0.5) == plain
    assert bits(taught, 0.5) != plain
    assert bits(taught[:500], 0.5) not in (plain, bits(taught, 0.5))


def test_a_market_in_which_nothing_happens_is_answered_with_nothing(torch) -> None:
    still = ROWS.with_columns(z=0.0, y=0.0, realised=0.0)
    learnt = learn_net(still, NOBODY, SPEC)
    said = load_net(the(learnt)).predicted(ASKED[:50], LEVELS)
    assert said.drop(KEY).to_numpy().tolist() == np.zeros((50, 7)).tolist()


def test_unknown_tokens_symbols_and_channels_are_answered_as_what_is_usual(learnt: Learnt) -> None:
    nan = float("nan")
    few = ASKED[:4].with_columns(
        tokens=pl.Series(
            [[nan] * 2 * TOKENS, [nan] * (2 * TOKENS - 1) + [1.5], [None, *[0.0] * (2 * TOKENS - 1)], [1e30] * 16],
            dtype=pl.List(pl.Float32),
        )
    )
    said = learnt.model.predicted(few, LEVELS)
    assert said.select(KEY).equals(few[1:].select(KEY).sort(KEY))  # of the first nothing is known
    assert np.isfinite(said.drop(KEY).to_numpy()).all()
    one = ASKED.filter(symbol="AAA")[:50]
    stranger = learnt.model.predicted(one.with_columns(symbol=pl.lit("NEW")), LEVELS)
    assert stranger["mean"].equals(learnt.model.predicted(one, LEVELS)["mean"])
    blind = ROWS.with_columns(
        tokens=pl.col("tokens").list.eval(pl.when(pl.int_range(pl.len()) % 2 == 1).then(nan).otherwise(pl.element()))
    )
    said = fitted(blind, NOBODY, replace(SPEC, epochs=1))[0].predicted(blind[:50], LEVELS)
    assert said["mean"].is_finite().all()


def test_too_few_sessions_leave_the_seat_out_with_the_reason() -> None:
    few = learn_net(ROWS.filter(pl.col("day") <= sessions(ROWS)[15]), NOBODY, SPEC)
    assert few.model is None
    assert few.reason == "insufficient_history: 15 sessions with rows, at least 16 (models.min_sessions)"


def test_without_torch_the_seat_is_left_out_and_a_net_is_refused_with_the_remedy(monkeypatch, learnt: Learnt) -> None:
    data = the(learnt)
    monkeypatch.delitem(sys.modules, "timegpt_assets.core.models.mixer")
    monkeypatch.delattr("timegpt_assets.core.models.mixer")
    monkeypatch.setitem(sys.modules, "torch", None)
    absent = learn_net(ROWS, NOBODY, SPEC)
    assert absent.model is None
    assert absent.reason.startswith("library_absent: torch is not installed")
    for remedy in ("make setup-neural", "pip install 'timegpt-assets[neural]'", "forecast.challengers"):
        assert remedy in absent.reason
    with pytest.raises(LibraryAbsent, match="make setup-neural"):
        load_net(data)


def test_whoever_learns_and_asks_no_net_imports_no_torch() -> None:
    told = "import sys; import timegpt_assets.core.models.net; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_an_artifact_of_another_shape_format_or_kind_is_refused_by_name(torch, learnt: Learnt) -> None:
    mixer = pupils.arithmetic()
    held = mixer.unpacked(the(learnt))
    state = held.pop("state")
    wrong = {
        "tensor enter.weight is": state | {"enter.weight": torch.zeros(3, 3)},
        "tensor more is": state | {"more": torch.zeros(1)},
        "tensor leave.bias is None": {name: one for name, one in state.items() if name != "leave.bias"},
        "tensor leave.bias is torch.float64": state | {"leave.bias": torch.zeros(1, dtype=torch.float64)},
    }
    for said, weights in wrong.items():
        with pytest.raises(ValueError, match=rf"{said}.*timegpt-assets train"):
            load_net(mixer.packed(weights, held))
    for changed, said in (({"format": 99}, "format 99"), ({"type": "other"}, "type 'other'"), ({"bands": "{"}, "read")):
        with pytest.raises(ValueError, match=said):
            load_net(mixer.packed(state, held | changed))
    with pytest.raises(ValueError, match="no state dict"):
        load_net(b"nothing of the kind")


def test_the_road_together_learns_the_whole_of_z() -> None:
    together = replace(SPEC, tree=tree_spec(road="together"), epochs=1)
    net, chosen = fitted(ROWS, NOBODY, together)
    assert np.array_equal(pupils.target(ROWS, together), ROWS["z"].to_numpy())
    assert abs(pupils.target(ROWS, SPEC).reshape(-1).sum()) < 1e-6
    assert chosen["shrink"] in SHARES
    assert net.predicted(ASKED[:50], LEVELS).height == 50


@pytest.mark.whole
def test_on_a_planted_interaction_it_beats_a_ridge_on_the_same_tokens_beyond_doubt() -> None:
    many = tokened(rows(40), interaction=0.3)
    days = sessions(many)
    train, test = (many.filter(pl.col("day").is_in(part)) for part in (days[:24], days[25:]))
    net, _ = fitted(train, teacher(train, SPEC.tree), SPEC)
    own = pupils.learn_pupil(train, NOBODY, SPEC).sight
    x, y = own.of(train).reshape(train.height, -1).astype(float), pupils.target(train, SPEC)
    slope = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
    line = own.of(test).reshape(test.height, -1) @ slope
    lost = test.with_columns(
        net=(pl.Series(net.centre(test)) - pupils.target(test, SPEC)) ** 2,
        line=(pl.Series(line) - pupils.target(test, SPEC)) ** 2,
    )
    daily = lost.group_by("day", maintain_order=True).agg(pl.col("net", "line").sum())
    p = significance.diebold_mariano(daily["net"].to_numpy(), daily["line"].to_numpy())
    assert p is not None
    assert p < 0.01


@pytest.mark.whole
@pytest.mark.parametrize("seed", range(6))
def test_on_noise_it_never_loses_more_than_a_hundredth_to_the_bands_alone(seed: int) -> None:
    noise = tokened(rows(seed=seed), seed=seed + 100)
    learnt = learn_net(noise, teacher(noise, SPEC.tree), SPEC)
    assert learnt.report["validation"]["against"]["lightgbm"]["pinball_ratio"] < 1.01
    assert (learnt.report["validation"]["against"]["lightgbm"]["dm_p"] or 1.0) > 0.01  # None where they say the same

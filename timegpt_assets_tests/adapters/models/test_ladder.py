"""The ladder's seats, asked with real artifacts: whose rows they are, what these say of themselves, who stands in."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.forecaster import ForecastResult
from timegpt_assets.core import calendar
from timegpt_assets.core import models as core_models
from timegpt_assets.core.forecasts.quantiles import nested, not_nested
from timegpt_assets.core.models import boosting
from timegpt_assets.core.models.rows import snapshot_rows
from timegpt_assets.core.tables.forecasts import BASE_ANSWERS
from timegpt_assets.core.tables.models import MODEL
from timegpt_assets.core.targets import Target
from timegpt_assets_tests.adapters.models import rungs
from timegpt_assets_tests.adapters.models.artifacts import UNDER, signer
from timegpt_assets_tests.adapters.models.rungs import APRIL, DAY, LEVELS, MONTH, RIDGE, ZERO, House, frames, market

NUMBERS = ["snapshot_ts", "symbol", "step", *nested(LEVELS), "sigma", "target_scale"]
SOURCES = ["model", "score_source", "run_source", "data_regime"]
TREE = pl.col("forecaster") == "lightgbm"
OTHER = "qGZbG6QqVYXyYcqAJ2LHvqHlCCzwRsQQVhBbq1ixTLI="


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a house whose tree is signed, live and believed."""
    found = House(folder=tmp_path)
    found.publish(rungs.of_tree(), signer())
    return found


def of_tree(found: ForecastResult) -> pl.DataFrame:
    return found.rows.filter(TREE).sort("snapshot_ts", "symbol")


@pytest.mark.parametrize("mode", ["log_return_15m", "bp", "volatility_z"])
def test_a_rung_says_what_its_model_says_in_the_units_that_are_asked(house: House, mode: str) -> None:
    shown = frames(target=Target(mode=mode))
    rows = of_tree(house.answers(shown=shown))
    asked = snapshot_rows(market().filter(pl.col("day") == DAY), [f.snapshot_ts for f in shown], rungs.SPEC)
    said = rungs.tree().predicted(asked, LEVELS).filter(pl.col("symbol") != "CCC")
    assert rows.height == said.height == len(shown) * 2
    unit = rows["sigma"] / rows["target_scale"]
    for name in nested(LEVELS):
        assert rows[name].to_list() == pytest.approx((said.sort("snapshot_ts", "symbol")[name] * unit).to_list())
    assert rows.select(pl.col("mean").n_unique()).item() > 1
    BASE_ANSWERS.conformed(rows)
    assert rows.filter(not_nested(LEVELS)).is_empty()
    assert rows.filter(pl.col("asked_at") != pl.col("snapshot_ts")).is_empty()


def test_a_rung_that_is_verified_is_a_model_and_one_that_nobody_signed_a_baseline(house: House, tmp_path: Path) -> None:
    found = house.answers()
    assert of_tree(found).select(SOURCES).unique().rows() == [("lightgbm", "model", "smoke", "maintenance_replay")]
    assert found.ladder == {"lightgbm": f"liquid_demo_lgbm_baseline_v2 2025-04 {rungs.of_tree().digest[:12]}, model"}
    unsigned = House(folder=tmp_path / "unsigned")
    unsigned.publish(rungs.of_tree(), None)
    rows = of_tree(unsigned.answers())
    assert rows.select(SOURCES).unique().rows() == [("lightgbm", "baseline", "smoke", "maintenance_replay")]
    assert_frame_equal(rows.select(NUMBERS), of_tree(found).select(NUMBERS), check_exact=True)


def test_only_what_was_live_before_the_next_session_opens_answers_live(house: House, tmp_path: Path) -> None:
    opens = calendar.session(calendar.shifted(DAY, 1)).open
    regimes = {}
    for name, at in (("before", opens - timedelta(seconds=1)), ("after", opens)):
        own = House(folder=tmp_path / name, demand=True, is_live=True)
        own.publish(rungs.of_tree(), signer(), at=at)
        regimes[name] = set(of_tree(own.answers())["data_regime"])
    assert regimes == {"before": {"prod_live"}, "after": {"maintenance_replay"}}
    unsigned = replace(house, folder=tmp_path / "unsigned", is_live=True)
    unsigned.publish(rungs.of_tree(), None)
    assert set(of_tree(unsigned.answers())["data_regime"]) == {"maintenance_replay"}


def test_a_seat_more_changes_no_bit_of_the_others(house: House) -> None:
    full = replace(house, seats=(RIDGE, ZERO))
    with_it, without = full.answers().rows, full.local.answers(frames()).rows
    assert_frame_equal(with_it.filter(~TREE), without, check_exact=True, check_row_order=False)
    alone = replace(house, seats=()).answers()
    assert_frame_equal(of_tree(alone), of_tree(full.answers()), check_exact=True)


def test_a_symbol_asked_by_itself_is_answered_as_among_the_others(house: House) -> None:
    alone = of_tree(house.answers(shown=frames(symbols=("AAA",))))
    among = of_tree(house.answers()).filter(symbol="AAA")
    assert_frame_equal(alone.select(NUMBERS), among.select(NUMBERS), check_exact=True)


def test_whatever_comes_later_is_in_no_earlier_answer_nor_in_its_hash(house: House) -> None:
    shown = frames()
    after = shown[1].snapshot_ts
    later = (pl.col("known_at") > after) & (pl.col("day") == DAY)
    floats = [name for name, kind in market().schema.items() if kind.is_float()]
    other = market().with_columns(pl.when(later).then(pl.col(n) * 1.01).otherwise(n).alias(n) for n in floats)
    before, now = of_tree(house.answers()), of_tree(house.answers(rows=other))
    early = pl.col("snapshot_ts") <= after
    assert_frame_equal(now.filter(early), before.filter(early), check_exact=True)
    late = before.filter(~early).join(now.filter(~early), on=["snapshot_ts", "symbol"], suffix="_other")
    assert (late["request_hash"] != late["request_hash_other"]).all()


def test_what_a_rung_saw_beside_the_frame_and_who_it_is_are_in_its_hash(house: House, tmp_path: Path) -> None:
    usual = of_tree(house.answers())
    seen = market().with_columns(
        pl.when(pl.col("day") == DAY).then(pl.col("ret_5m") * 2).otherwise("ret_5m").alias("ret_5m")
    )
    changed = of_tree(house.answers(rows=seen, shown=frames()))
    assert set(changed["request_hash"]).isdisjoint(usual["request_hash"])
    own = House(folder=tmp_path / "another", expected=replace(UNDER, feature_version="price.2"))
    other = rungs.of_tree(own.expected)
    own.publish(other, signer())
    rows = of_tree(own.answers(rungs.stated("lightgbm", other.digest)))
    assert set(rows["request_hash"]).isdisjoint(usual["request_hash"])


def flipped(house: House) -> House:
    (file,) = rungs_folder(house).glob("liquid_demo_lgbm_baseline_v2.json")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    return house


def rungs_folder(house: House) -> Path:
    return house.publish(rungs.of_tree(), None)


def unlive(house: House) -> House:
    rungs_folder(house).with_name("live.json").unlink()
    return house


def another_is_live(house: House) -> House:
    other = rungs.stored("lightgbm", {".json": b"{}"})
    house.publish(other, signer(), at=rungs.IN_TIME + timedelta(hours=1))
    return house


def unsigned(house: House) -> House:
    (rungs_folder(house) / "manifest.sig").unlink()
    return replace(house, demand=True)


def expecting(**changed: str) -> Callable[[House], House]:
    return lambda house: replace(house, expected=replace(UNDER, **changed))


def believing(**keys: str) -> Callable[[House], House]:
    return lambda house: replace(house, keys=keys, demand=True)


STRANGER = "it is signed by 'ada', whom models.public_keys does not name"
REFUSED: dict[str, tuple[Callable[[House], House], str]] = {
    "one flipped byte": (flipped, "liquid_demo_lgbm_baseline_v2.json is not what its manifest says"),
    "another feature version": (
        expecting(feature_version="price.2"),
        "feature_version is 'price.1+clock.1', and 'price.2' is in use",
    ),
    "another features hash": (expecting(features_hash="e" * 64), "features_hash is"),
    "another schema": (
        expecting(feature_payload_schema_version="2"),
        "feature_payload_schema_version is '1', and '2' is in use",
    ),
    "unsigned in prod": (unsigned, "it is not signed"),
    "an unknown key in prod": (believing(bob=OTHER), STRANGER),
    "no key at all in prod": (believing(), STRANGER),
    "a key of another under the name": (believing(ada=OTHER), "its signature is not ada's"),
    "nothing live": (unlive, "of that month none is live"),
    "another one live": (another_is_live, "is live"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_control_arm_stands_in_for_an_artifact_that_is_refused_and_says_so(house: House, case: str) -> None:
    spoil, said = REFUSED[case]
    own = spoil(house)
    found = own.answers()
    rows = of_tree(found)
    assert rows.select(SOURCES).unique().rows() == [("ridge", "fallback", "smoke", "maintenance_replay")]
    # the control arm answers though it is not seated itself
    ridge = replace(own, seats=(RIDGE,)).local.answers(frames()).rows.sort("snapshot_ts", "symbol")
    assert_frame_equal(rows.select(NUMBERS), ridge.select(NUMBERS), check_exact=True)
    assert set(rows["request_hash"]).isdisjoint(ridge["request_hash"])
    assert said in found.ladder["lightgbm"]
    assert found.ladder["lightgbm"].startswith("fallback: ")
    assert set(found.rows["forecaster"]) == {"zero", "lightgbm"}


def test_outside_prod_a_key_that_nobody_knows_makes_a_baseline(house: House) -> None:
    assert set(of_tree(replace(house, keys={}).answers())["score_source"]) == {"baseline"}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (rungs.stated("lightgbm", None, "insufficient_history: 3 sessions, at least 20"), "insufficient_history: 3"),
        (MODEL.empty(), "no model of 2025-04. Make it: timegpt-assets train --month 2025-04"),
        (rungs.stated("lightgbm", "a" * 64, month="2025-03"), "no model of 2025-04"),
    ],
)
def test_without_a_model_the_seat_is_left_out_with_the_reason_and_nobody_stands_in(
    house: House, models: pl.DataFrame, said: str
) -> None:
    found = house.answers(models)
    assert set(found.rows["forecaster"]) == {"zero"}
    assert found.left_out["lightgbm"].startswith(said)
    assert "lightgbm" not in found.ladder


def test_without_its_library_the_seat_is_left_out_and_says_what_to_install(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    boosting._parsed.cache_clear()
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    found = house.answers()
    assert set(found.rows["forecaster"]) == {"zero"}
    assert found.left_out["lightgbm"].startswith("absent: LibraryAbsent: lightgbm is not installed")
    assert "timegpt-assets[models]" in found.left_out["lightgbm"]


def test_a_symbol_that_was_never_learnt_from_is_answered_like_the_mean_one(house: House) -> None:
    shown = frames(symbols=("AAA", "CCC"))
    rows = of_tree(house.answers(shown=shown)).filter(symbol="CCC")
    assert rows.height == len(shown)
    assert rows.select(nested(LEVELS)).null_count().sum_horizontal().item() == 0
    assert rows.filter(not_nested(LEVELS)).is_empty()


def test_a_feature_that_is_null_throughout_when_asked_spoils_nobody(house: House) -> None:
    blind = market().with_columns(
        pl.when(pl.col("day") == DAY).then(None).otherwise(pl.col("ret_15m")).alias("ret_15m")
    )
    rows = of_tree(house.answers(rows=blind, shown=frames()))
    assert rows.height == 6
    assert rows.filter(not_nested(LEVELS)).is_empty()
    nothing = market().with_columns(pl.lit(None, pl.Float32).alias(name) for name in rungs.FEATURES)
    assert of_tree(house.answers(rows=nothing, shown=frames())).height == 6


def test_a_panel_without_a_feature_leaves_the_seat_out_and_names_it(house: House) -> None:
    found = house.answers(rows=market().drop("ret_15m"), shown=frames())
    assert set(found.rows["forecaster"]) == {"zero"}
    assert "the panel has no column ret_15m" in found.left_out["lightgbm"]


def test_a_symbol_without_a_volatility_in_the_panel_is_left_out_alone(house: House) -> None:
    shown = frames()
    gone = market().filter(~((pl.col("day") == DAY) & (pl.col("symbol") == "BBB")))
    found = house.answers(rows=gone, shown=shown)
    assert set(of_tree(found)["symbol"]) == {"AAA"}
    assert found.left_out["lightgbm BBB"] == "no volatility in the panel"


def test_another_horizon_than_the_one_that_was_learnt_is_not_answered(house: House) -> None:
    shown = tuple(replace(frame, horizon_min=30) for frame in frames())
    found = house.answers(shown=shown)
    assert of_tree(found).is_empty()
    assert found.left_out["lightgbm"].startswith("learnt 15 minutes ahead, asked 30")


def test_an_artifact_is_read_once_for_its_month_whoever_many_days_ask(house: House) -> None:
    ladder = house.ladder
    first = of_tree(house.answers(ladder=ladder))
    flipped(house)
    again = of_tree(house.answers(ladder=ladder))
    assert_frame_equal(again, first, check_exact=True)
    other = of_tree(house.answers(ladder=ladder, day=APRIL[2]))
    assert set(other["score_source"]) == {"model"}
    # and a process that begins afterwards reads, and refuses
    assert set(of_tree(house.answers())["score_source"]) == {"fallback"}


def test_the_same_day_gives_the_same_rows_after_a_fresh_start(house: House) -> None:
    assert_frame_equal(house.answers().rows, house.answers().rows, check_exact=True)


def blended(
    house: House, alpha: float, *, publish: bool = True, keep: bool = True
) -> tuple[ForecastResult, pl.DataFrame]:
    made = rungs.of_blend(alpha)
    if publish:
        house.publish(made, signer())
    base = replace(house, seats=(RIDGE, ZERO)).answers().rows
    base = base if keep else base.filter(~TREE)
    return house.ladder.blended(base, rungs.stated("blend", made.digest), day=DAY), base


def test_a_blend_answers_by_its_months_policy(house: House) -> None:
    found, base = blended(house, 0.0)
    assert_frame_equal(found.rows.select(NUMBERS), base.filter(TREE).sort("snapshot_ts", "symbol").select(NUMBERS))
    assert found.rows.select("forecaster", *SOURCES).unique().rows() == [
        ("blend", "tabular_only", "model", "smoke", "maintenance_replay")
    ]
    assert found.ladder["blend"].startswith("tabular_only, liquid_demo_blend_v2 2025-04 ")
    assert found.left_out == {}


def test_the_control_arm_stands_in_for_a_blend_whose_policy_is_refused(house: House) -> None:
    found, base = blended(house, 0.0, publish=False)
    ridge = base.filter(forecaster="ridge").sort("snapshot_ts", "symbol")
    assert_frame_equal(found.rows.sort("snapshot_ts", "symbol").select(NUMBERS), ridge.select(NUMBERS))
    assert found.rows.select("forecaster", *SOURCES).unique().rows() == [
        ("blend", "ridge", "fallback", "smoke", "maintenance_replay")
    ]
    assert found.ladder["blend"].startswith("fallback: ")


def test_a_blend_without_a_part_that_counts_says_who_did_not_answer(house: House) -> None:
    found, _ = blended(house, 0.3)
    assert found.rows.is_empty()
    assert found.left_out == {"blend": "blend_alpha_0.3: tsmixer did not answer"}
    without, _ = blended(house, 0.0, keep=False)
    assert without.left_out == {"blend": "tabular_only: lightgbm did not answer"}


def test_a_blend_that_was_never_chosen_is_left_out_with_the_reason(house: House) -> None:
    base = house.answers().rows
    models = rungs.stated("blend", None, "insufficient_history: 3 sessions")
    found = house.ladder.blended(base, models, day=DAY)
    assert found.rows.is_empty()
    assert found.left_out == {"blend": "insufficient_history: 3 sessions"}


def test_an_artifact_that_holds_no_policy_is_refused(house: House) -> None:
    made = rungs.stored("blend", {".json": b'{"alpha":0.35}'}, policy="tabular_only", parts={})
    house.publish(made, signer())
    base = replace(house, seats=(RIDGE,)).answers().rows
    found = house.ladder.blended(base, rungs.stated("blend", made.digest), day=DAY)
    assert set(found.rows["score_source"]) == {"fallback"}
    assert "it cannot be read: no choice writes" in found.ladder["blend"]
    assert MONTH in found.ladder["blend"]


def test_the_time_of_the_day_is_that_of_the_snapshot(house: House) -> None:
    rows = of_tree(house.answers())
    assert rows["asked_at"].min() > datetime.combine(DAY, datetime.min.time(), UTC)


def with_net(house: House) -> House:
    return replace(house, words=("lightgbm", "tsmixer", "blend"))


def test_a_net_answers_like_every_rung_and_a_blend_lies_between_tree_and_net(house: House) -> None:
    pytest.importorskip("torch", reason="torch is not installed: make setup-neural")
    own, net = with_net(house), rungs.of_net()
    own.publish(net, signer())
    made = rungs.of_blend(0.5)
    own.publish(made, signer())
    models = pl.concat([rungs.stated("lightgbm", rungs.of_tree().digest), rungs.stated("tsmixer", net.digest)])
    found = own.answers(models)
    rows = found.rows.filter(forecaster="tsmixer").sort("snapshot_ts", "symbol")
    assert rows.select(SOURCES).unique().rows() == [("tsmixer", "model", "smoke", "maintenance_replay")]
    assert rows.height == 6
    assert rows.filter(not_nested(LEVELS)).is_empty()
    assert_frame_equal(of_tree(found), of_tree(house.answers()), check_exact=True)
    both = own.ladder.blended(found.rows, rungs.stated("blend", made.digest), day=DAY)
    half = (of_tree(found)["lo_80"] + rows["lo_80"]) / 2
    assert both.rows.sort("snapshot_ts", "symbol")["lo_80"].to_list() == pytest.approx(half.to_list())
    alone = own.answers(models, shown=frames(symbols=("AAA",))).rows.filter(forecaster="tsmixer")
    assert_frame_equal(alone.select(NUMBERS), rows.filter(symbol="AAA").select(NUMBERS), check_exact=True)


def test_without_torch_the_nets_seat_is_left_out_with_the_remedy_and_the_tree_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = with_net(house)
    said = {"type": "tsmixer_liquid", "normalization": {}, "n_tokens": 8, "n_channels": 2, "ensemble_alpha": None}
    net = rungs.stored("tsmixer", {".pt": b"a state dict"}, **said)
    own.publish(net, signer())
    # as in a process that begins without torch
    monkeypatch.delattr(core_models, "mixer", raising=False)
    monkeypatch.delitem(sys.modules, f"{core_models.__name__}.mixer", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    models = pl.concat([rungs.stated("lightgbm", rungs.of_tree().digest), rungs.stated("tsmixer", net.digest)])
    found = own.answers(models)
    assert set(found.rows["forecaster"]) == {"zero", "lightgbm"}
    assert found.left_out["tsmixer"].startswith("absent: ")
    assert "make setup-neural" in found.left_out["tsmixer"]

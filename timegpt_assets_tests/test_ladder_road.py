"""The ladder on a whole road: what each month's models learn from, which days they answer, and what moves no bit."""

from collections.abc import Iterator
from datetime import date, timedelta
from importlib.util import find_spec
from itertools import product

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.models.signing import SIGNING_KEY
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts import framing
from timegpt_assets.runtime import local_forecasters, market_data
from timegpt_assets_tests import markets
from timegpt_assets_tests.adapters.models.artifacts import public
from timegpt_assets_tests.ladder_house import (
    ANSWERS,
    FEBRUARY,
    JANUARY,
    MARCH,
    artifacts,
    february,
    january,
    ladder_road,
)
from timegpt_assets_tests.roads import Road, non_null
from timegpt_assets_tests.secret_search import SIGNING
from timegpt_assets_tests.strategies import Changed

TREE = "lightgbm"
KEY = ("symbol", "snapshot_ts")
BY_MONTH = ("models/training_set", "models/tabular_model")


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a house with the tree seated: a month to learn from, days of the next one answered on, all at once."""
    with ladder_road(tmp_path_factory.mktemp("answered")) as built:
        january(built)
        february(built)
        yield built


def test_a_month_s_training_set_holds_every_symbol_at_every_snapshot_of_its_own_sessions(answered: Road) -> None:
    stored, settings = answered.tables()["models/training_set"], answered.runtime.settings
    assert set(stored["month"]) == {"2025-01"}, "complete months alone"
    every = settings.models.snapshot_every_min
    expected = {
        (day, symbol, calendar.session(day).open + timedelta(minutes=minute))
        for day, symbol in product(JANUARY, settings.universe.tickers)
        for minute in range(every, 390 - 15 + 1, every)
    }
    found = set(stored.select("day", "symbol", "snapshot_ts").iter_rows())
    assert found <= expected, "of no other moment"
    assert len(found) > 0.9 * len(expected), "guard: hardly one is without a volatility"
    labels = answered.tables()["features/labels"].filter(horizon_min=15)
    joined = stored.join(labels, on=["day", "symbol", "target_ts"], suffix="_label")
    assert joined.height == stored.height
    assert joined.filter(pl.col("y") != pl.col("y_label")).is_empty()


def test_a_month_s_model_learns_from_the_month_before_less_its_last_session(answered: Road) -> None:
    row = answered.tables()["models/tabular_model"].filter(month="2025-02").row(0, named=True)
    assert (row["first_day"], row["last_day"], row["sessions"]) == (JANUARY[0], JANUARY[-2], len(JANUARY) - 1)
    assert (row["reason"], row["as_of"]) == ("", JANUARY[-1])
    assert row["validation_sessions"] == 2
    assert {one["forecaster"] for one in row["validation"]} == {TREE, "ridge", "zero", "unlearnt"}
    assert min(row["pinball"], row["control_pinball"]) > 0
    assert any(row["digest"] in name for name in artifacts(answered))


def test_the_tree_answers_the_days_of_its_month_and_is_scored_like_everybody(answered: Road) -> None:
    stored = answered.tables()
    for asset in ("forecasts/base_answers", "forecasts/raw_forecasts", "evaluation/base_scores"):
        own = stored[asset].filter(forecaster=TREE)
        assert set(own["day"]) == set(FEBRUARY), asset
        assert set(own["score_source"]) == {"baseline"}, "nobody signed it"
    assert "forecasts/local_answers" not in stored, "where nothing is blended nothing reads it"


def test_what_moved_the_tree_s_forecasts_is_told_on_request_and_adds_up_to_what_it_answered(answered: Road) -> None:
    assert "models/attribution" not in answered.tables(), "no day asks for it"
    answered.run(FEBRUARY, assets=["attribution"])
    stored = answered.tables()
    told, own = stored["models/attribution"], stored["forecasts/base_answers"].filter(forecaster=TREE)
    assert set(told["digest"]) == set(stored["models/tabular_model"].filter(month="2025-02")["digest"])
    forecasts = ["day", "symbol", "snapshot_ts"]
    centre = told.filter(part="centre")
    sums = centre.group_by(forecasts).agg(pl.col("contribution").sum(), pl.col("base", "forecast").first())
    both = own.join(sums, on=forecasts)
    assert both.height == own.height > 0
    said = both["mean"] * both["target_scale"] / both["sigma"]
    assert (both["base"] + both["contribution"]).to_list() == pytest.approx(said.to_list(), abs=1e-9)
    assert both["forecast"].to_list() == pytest.approx(said.to_list(), abs=1e-9)
    assert centre["rank"].max() <= answered.runtime.settings.models.attribution_top + 1


def test_a_range_over_a_month_s_turn_is_answered_day_by_day_by_the_day_s_own_month(answered: Road) -> None:
    before = answered.tables()["forecasts/base_answers"]
    answered.run([JANUARY[-1], *FEBRUARY], assets=["base_answers"], force=True)
    stored = answered.tables()
    models = stored["models/tabular_model"].filter(month="2025-01").row(0, named=True)
    assert models["digest"] is None
    assert models["reason"].startswith("insufficient_history: 0 sessions")
    again = stored["forecasts/base_answers"]
    assert again.filter(day=JANUARY[-1], forecaster=TREE).is_empty(), "nothing was learnt before January"
    assert again.filter(day=JANUARY[-1], forecaster="ridge").height > 0
    assert_frame_equal(again.filter(pl.col("day").is_in(FEBRUARY)), before, check_exact=True)


def test_models_of_several_months_made_in_one_range_learn_from_their_own_windows(answered: Road) -> None:
    before = answered.tables()["models/tabular_model"].filter(month="2025-02")
    answered.run([FEBRUARY[0], MARCH], assets=["tabular_model"], force=True)
    stored = answered.tables()
    assert set(stored["models/training_set"]["month"]) == {"2025-01", "2025-02"}, "the range was handed both"
    march = stored["models/tabular_model"].filter(month="2025-03")
    assert march["last_day"].to_list() == [FEBRUARY[-2]]
    assert_frame_equal(stored["models/tabular_model"].filter(month="2025-02"), before)


def test_a_net_that_cannot_learn_and_a_blend_without_it_are_rows_with_the_reason_and_no_failure(answered: Road) -> None:
    answered.run(FEBRUARY, assets=["neural_model", "ensemble_policy"])
    stored = answered.tables()
    net = stored["models/neural_model"].filter(month="2025-02").row(0, named=True)
    if find_spec("torch"):
        assert (net["reason"], net["sessions"]) == ("", len(JANUARY) - 1)
    else:
        assert net["digest"] is None
        assert net["reason"].startswith("library_absent: ")
        assert "make setup-neural" in net["reason"]
    blend = stored["models/ensemble_policy"].filter(month="2025-02").row(0, named=True)
    assert (blend["digest"], blend["policy"]) == (None, None)
    assert blend["reason"].startswith("insufficient_history: 0 sessions before 2025-02")


def test_a_seat_more_changes_no_bit_of_the_others(answered: Road) -> None:
    settings, store = answered.runtime.settings, ParquetStore(answered.runtime.storage)
    panel = store.read("features/panel", [str(day) for day in (*JANUARY[-3:], *FEBRUARY)])
    asked, spec = store.read("forecasts/snapshots", [str(day) for day in FEBRUARY]), core_inputs.frame_spec(settings)
    alone = [local_forecasters(settings).answers(framing.frames(panel, asked, spec, day=day)).rows for day in FEBRUARY]
    stored = store.read("forecasts/base_answers", [str(day) for day in FEBRUARY]).drop("lineage_id")
    others = stored.filter(pl.col("forecaster") != TREE)
    key = ["day", "snapshot_ts", "symbol", "forecaster"]
    assert others.height > 20
    assert_frame_equal(pl.concat(alone).select(others.columns).sort(key), others.sort(key), check_exact=True)


@pytest.mark.whole
def test_days_made_one_by_one_are_answered_by_the_same_models_with_the_same_bytes(
    answered: Road, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ladder_road(tmp_path_factory.mktemp("by_day")) as by_day:
        for day in JANUARY:
            by_day.run([day], assets=["panel", "labels"])
        for day in FEBRUARY:
            by_day.run([day], assets=ANSWERS)
        mine, theirs = (of_february(road) for road in (answered, by_day))
        assert {name.rpartition("/")[0] for name in theirs} >= {*BY_MONTH, "forecasts/base_answers"}
        assert [name for name in theirs if theirs[name] != mine[name]] == []
        assert {*artifacts(by_day).items()} <= {*artifacts(answered).items()}
        assert len(artifacts(by_day)) >= 4


def of_february(road: Road) -> dict[str, bytes]:
    """Return the stored files but those of other days that a test made later."""
    later = (str(JANUARY[-1]), str(MARCH), "tabular_model/2025-01", "tabular_model/2025-03", "training_set/2025-02")
    own = {name: data for name, data in road.bytes().items() if not name.removesuffix(".parquet").endswith(later)}
    return {name: data for name, data in own.items() if not name.startswith(("models/neural", "models/ensemble"))}


def test_nothing_after_a_month_s_first_minute_changes_its_models_by_a_bit_made_however(
    answered: Road, tmp_path_factory: pytest.TempPathFactory
) -> None:
    moved: dict[date, int] = {}
    bars = Changed(market=market_data(answered.runtime), after=markets.minute(FEBRUARY[0], 1), seed=3, moved=moved)
    with ladder_road(tmp_path_factory.mktemp("changed"), overriding={"market_data": bars}) as otherwise:
        january(otherwise)
        for day in FEBRUARY:
            otherwise.run([day], assets=ANSWERS)
        assert sum(moved.values()) > 100
        mine, theirs = (
            {n: b for n, b in of_february(r).items() if n.rpartition("/")[0] in BY_MONTH} for r in (answered, otherwise)
        )
        assert {name.rpartition("/")[0] for name in theirs} == {*BY_MONTH}
        assert theirs == mine
        assert {*artifacts(otherwise).items()} <= {*artifacts(answered).items()}
        assert len(artifacts(otherwise)) >= 4
        before, after = (r.tables()["forecasts/base_answers"].filter(forecaster=TREE) for r in (answered, otherwise))
        assert non_null(before) > 100
        own = [frame.filter(day=FEBRUARY[1]).get_column("lo_80") for frame in (before, after)]
        assert not own[0].equals(own[1]), "nothing came of the change: it proves nothing"


@pytest.mark.whole
def test_what_is_signed_answers_as_a_model_and_one_flipped_byte_has_the_control_arm_stand_in(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    said, key = f"models.public_keys.ada={public(SIGNING)}", {SIGNING_KEY: SIGNING}
    with ladder_road(tmp_path_factory.mktemp("signed"), said, environment=key) as built:

        def own(which: str = TREE) -> pl.DataFrame:
            return built.tables()["forecasts/base_answers"].filter(forecaster=which)

        january(built)
        built.run(FEBRUARY[:1], assets=["base_answers"])
        assert set(own()["score_source"]) == {"model"}
        (file,) = (name for name in artifacts(built) if name.endswith("_v2.json"))
        whole = (built.root / file).read_bytes()
        (built.root / file).write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        built.runtime.models.clear()  # another process has loaded none
        built.run(FEBRUARY[:1], assets=["base_answers"], force=True)
        assert set(own()["score_source"]) == {"fallback"}
        assert_frame_equal(*(own(word).select(*KEY, "mean", "lo_80").sort(KEY) for word in (TREE, "ridge")))
        (built.root / file).write_bytes(whole)
        built.run(FEBRUARY[:1], assets=["base_answers"], force=True)
        assert set(own()["score_source"]) == {"model"}

"""A month's models on request: which month may be asked for, and what its training brings along."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from timegpt_assets.config.settings import load_settings
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.promoting import verdict
from timegpt_assets.engine.stages import Refused
from timegpt_assets.engine.training import month_asked, month_judged, trained
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.ladder_house import ladder_road
from timegpt_assets_tests.roads import SMALL, Road, sessions

MARCH = date(2025, 3, 1)


def asked(month: str | None, at: str, *overrides: str) -> date:
    settings = load_settings(profile="demo", config_dir=None, overrides=[*SMALL, *overrides], environment={})
    return month_asked(settings, month, at=datetime.fromisoformat(at).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("at", "end", "month"),
    [
        ("2025-03-01T12:00", "null", MARCH),  # a Saturday: its first session is still to come
        ("2025-03-31T23:00", "null", MARCH),  # after the last close, and April has not begun in New York
        ("2025-04-01T02:00", "null", MARCH),  # April in Greenwich alone
        ("2025-04-01T12:00", "null", date(2025, 4, 1)),
        ("2026-06-01T12:00", "2025-02-28", date(2025, 2, 1)),
    ],
)
def test_without_a_month_the_one_it_is_in_new_york_is_meant_or_the_grid_s_last(at, end, month):
    assert asked(None, at, f"data.end_date={end}") == month


@pytest.mark.parametrize(
    ("month", "said"),
    [
        ("2025-3", r"^--month is 2025-3. Write it like 2025-02\.$"),
        ("2025-04", r"^2025-04 has not begun: .* Ask for 2025-03 or earlier, or for it from 2025-04-01 on\.$"),
        ("2024-12", r"^2024-12 lies outside the grid, which runs from 2025-01-02 to today\. Move data\.start_date or "),
    ],
)
def test_a_month_that_cannot_be_trained_is_refused_with_the_remedy(month, said):
    assert asked("2025-01", "2025-03-03T12:00", "data.end_date=null") == date(2025, 1, 1)
    with pytest.raises(Refused, match=said):
        asked(month, "2025-03-03T12:00", "data.end_date=null")


def test_a_month_after_the_grid_s_end_is_refused_though_it_is_over():
    with pytest.raises(Refused, match=r"^2025-03 lies outside the grid, which runs from 2025-01-02 to 2025-02-28\."):
        asked("2025-03", "2026-06-01T12:00")


def judged(month: str | None, at: str, *overrides: str) -> date:
    settings = load_settings(profile="demo", config_dir=None, overrides=[*SMALL, *overrides], environment={})
    return month_judged(settings, month, at=datetime.fromisoformat(at).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("at", "end", "month"),
    [
        ("2025-03-31T23:00", "null", MARCH),  # after the month's last close
        ("2025-03-31T19:00", "null", date(2025, 2, 1)),  # an hour before it
        ("2026-06-01T12:00", "2025-03-31", MARCH),
        ("2026-06-01T12:00", "2025-03-28", date(2025, 2, 1)),  # the grid ends a session too soon
    ],
)
def test_what_is_judged_without_a_month_is_the_last_whole_one(at, end, month):
    assert judged(None, at, f"data.end_date={end}") == month


@pytest.mark.parametrize("month", ["2025-03", None])
def test_a_month_that_is_not_whole_is_refused_with_its_last_session(month):
    start = "data.start_date=2025-03-03"
    with pytest.raises(Refused, match=r"^2025-03 is not whole: .* 2025-03-31, .* move data\.end_date to 2025-03-31\.$"):
        judged(month, "2026-06-01T12:00", start, "data.end_date=2025-03-20")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    with ladder_road(tmp_path_factory.mktemp("trained"), "data.end_date=2025-04-04") as built:
        yield built


def test_a_training_demands_the_sessions_that_are_learnt_from_and_nothing_that_is_asked_for(house):
    graph = graph_context(house.runtime.settings)
    wanted = trained(house.engine, graph, date(2025, 4, 1))
    names = {key.path[-1] for key in wanted.assets}
    assert wanted.days == tuple(sessions(date(2025, 2, 1), date(2025, 3, 31))), "the window of two months"
    assert {"panel", "labels", "training_set", "tabular_model", "ensemble_policy", "model_report"} <= names
    assert not names & {"snapshots", "answers", "base_answers", "base_scores", "raw_forecasts"}
    assert not wanted.forced
    assert wanted.history[0][1] > 0, "bars that features and volatility of the first session need"
    asked = {key.path[-1]: months for key, months in house.engine.asked(wanted).items()}
    assert asked["training_set"] == {PartitionRef(date(2025, 2, 1)), PartitionRef(MARCH)}
    assert asked["tabular_model"] == {PartitionRef(date(2025, 4, 1))}
    forced = trained(house.engine, graph, date(2025, 4, 1), force=True).forced
    assert {key.path[0] for key in forced} == {"models"}


def test_the_grid_s_first_month_has_no_session_to_learn_from(house):
    wanted = trained(house.engine, graph_context(house.runtime.settings), date(2025, 1, 1))
    assert {key.path[0] for key in wanted.assets} == {"models"}
    assert trained(house.engine, graph_context(house.runtime.settings), date(2025, 2, 1)).days == tuple(
        sessions(date(2025, 1, 21), date(2025, 1, 31))
    ), "as far as the grid goes"


def test_a_promotion_judges_the_month_and_learns_no_model_anew(house):
    own = {key.path[-1] for key in verdict(house.engine, graph_context(house.runtime.settings), MARCH).assets}
    assert {"promotion", "model_report", "forecast_gate"} <= own
    assert not own & {"training_set", "tabular_model", "ensemble_policy"}

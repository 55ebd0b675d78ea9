"""Settings of the news as its layers take them: each key reaches the one place it is meant for."""

from dataclasses import fields
from datetime import timedelta

import pytest

from timegpt_assets.config import news_inputs
from timegpt_assets.core.news.normalise import ClockSpec
from timegpt_assets_tests.config.test_core_inputs import loaded


def test_an_hour_of_latency_is_that_source_s_alone() -> None:
    usual, slow = (news_inputs.clock_spec(loaded(*said)) for said in ([], ["news.source.own.latency_s=3600"]))
    assert slow.latency == {**usual.latency, "own": timedelta(hours=1)}
    assert usual.latency["gdelt_files"] == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [("clock=live", "clock", "live"), ("ahead_tolerance_s=60", "tolerance", timedelta(minutes=1))],
)
def test_clock_and_tolerance_are_taken_each_alone(said: str, field: str, value: object) -> None:
    usual, changed = news_inputs.clock_spec(loaded()), news_inputs.clock_spec(loaded(f"news.{said}"))
    assert [f.name for f in fields(ClockSpec) if getattr(usual, f.name) != getattr(changed, f.name)] == [field]
    assert getattr(changed, field) == value

"""The watch's cursor: one that cannot be read is begun anew, at the cost of a comparison, and stops no tick."""

import dagster as dg
import pytest

from timegpt_assets.automation.source import _agreed


@pytest.mark.parametrize("cursor", ["{", "[]", "7", '"text"', "null", '{"AAPL 2025-01": 5}', "\x00"])
def test_a_damaged_cursor_is_begun_anew(cursor: str) -> None:
    with dg.build_sensor_context(cursor=cursor) as context:
        assert _agreed(context) == {}


def test_a_good_cursor_is_what_it_says() -> None:
    with dg.build_sensor_context(cursor='{"AAPL 2025-01": "5-7"}') as context:
        assert _agreed(context) == {"AAPL 2025-01": "5-7"}
    with dg.build_sensor_context() as context:
        assert _agreed(context) == {}

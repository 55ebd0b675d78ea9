"""A promise that is broken is said once, and once more when it is kept again; of too few answers nothing is said."""

import io
import json
from typing import Any

import pytest

from timegpt_assets.serving.tsfm.logs import logger
from timegpt_assets.serving.tsfm.promises import FEWEST, Promises
from timegpt_assets.serving.tsfm.windows import Window
from timegpt_assets_tests.serving.tsfm.made import NOW

LIMITS = {"request_p95_ms": 300.0, "fallback_ms": 50.0, "error_rate_max": 0.05}


class Watched:
    """Promises over a window of ten minutes, their log, and a clock."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self.now, self.stream = 0.0, io.StringIO()
        self.window = Window(600, lambda: self.now)
        self.promises = Promises(self.window, LIMITS, logger(self.stream, lambda: NOW))

    def said(self) -> list[tuple[Any, ...]]:
        """Look, and return what was said since the last look."""
        self.stream.seek(0)
        self.stream.truncate()
        self.promises.look()
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [(one["level"], one["event"], one["promise"], one["found"], one["limit"]) for one in lines]


@pytest.mark.parametrize(
    ("kind", "promise", "limit"),
    [("request", "request_p95_ms", 300.0), ("fallback", "fallback_ms", 50.0)],
)
def test_a_slow_p95_is_said_once_and_once_when_it_is_over(kind: str, promise: str, limit: float) -> None:
    watched = Watched()
    for _ in range(FEWEST - 1):
        watched.window.took(kind, 900.0)
    assert watched.said() == [], "too few"
    watched.window.took(kind, 900.0)
    assert watched.said() == [("warning", "slo_broken", f"tsfm.slo.{promise}", 900.0, limit)]
    assert watched.said() == []
    watched.now = 601
    assert watched.said() == [], "nobody asked: nothing is known to be better"
    for _ in range(FEWEST):
        watched.window.took(kind, limit)
    assert watched.said() == [("info", "slo_kept", f"tsfm.slo.{promise}", limit, limit)]


def test_more_errors_than_are_allowed_are_said_and_as_many_are_not() -> None:
    watched = Watched()
    watched.window.add(asked=20, failed=1)
    assert watched.said() == []
    watched.window.add(asked=1, failed=1)
    assert watched.said() == [("warning", "slo_broken", "tsfm.slo.error_rate_max", 0.095, 0.05)]

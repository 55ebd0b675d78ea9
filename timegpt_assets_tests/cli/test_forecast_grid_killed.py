"""A forecast grid killed while it pays: the same command goes on from there, and pays for nothing twice.

Each kill is of a fresh process at the real command line; the local server counts what it is paid for.
"""

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from timegpt_assets_tests.adapters.crashes import killed
from timegpt_assets_tests.commands import Commands, finished
from timegpt_assets_tests.engine.test_call_budget import FORECAST, PARAMS, modest
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

GRID = "target_modes: [log_return_15m, volatility_z]\ncalibration_methods: [none, widen]\n"
QUESTIONS, ASKED = 2, 4
WORDS = ("sweep", "--start", "2025-01-30", "--end", "2025-01-31", "--execute", "--json")
WAIT_SEC = 900.0


def asked(server: TimeGPTServer, count: int) -> None:
    """Wait until the server has answered so many forecasts."""
    deadline = time.monotonic() + WAIT_SEC
    while server.worked < count:
        assert time.monotonic() < deadline, server.counts
        time.sleep(0.01)


@pytest.mark.whole
@pytest.mark.timeout(3600)
def test_killed_in_the_middle_it_goes_on_and_pays_for_nothing_twice(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    grid = tmp_path / "mine.yaml"
    grid.write_text(GRID)
    with TimeGPTServer(input_size=60, key=KEY, delay_sec=0.2) as server:
        environment = {
            "TIMEGPT_ASSETS_SET": "\n".join([*TINY, *modest(server.url), "forecast.api_budget.per_run=50"]),
            "TIMEGPT_ASSETS_PROFILE": "dev",
            "TIMEGPT_ASSETS_CONFIG_DIR": str(tmp_path / "configs"),
            "TIMEGPT_API_KEY": KEY,
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        words, drawn = [*WORDS, "--forecast-grid", str(grid)], random.Random(5)
        kept = set[str]()
        # in the first question, between the questions, in the second
        for n, met in enumerate((2, ASKED, ASKED + 2)):
            log = tmp_path / f"{n}.log"
            pid = commands.start(words, environment, log)
            asked(server, met)
            time.sleep(drawn.random())
            assert killed([pid]), log.read_text()
            kept = {path.name for path in (tmp_path / "artifacts/forecast_cache").rglob("*.zst")}
        log = tmp_path / "last.log"
        found = finished(commands.start(words, environment, log), log, within_sec=WAIT_SEC)
        assert found.endswith("exit 0"), found[-3000:]
        said = json.loads(next(line for line in found.splitlines() if line.startswith("{")))
        assert (said["made"], said["waiting"], said["failed"]) == (QUESTIONS * 2, 0, 0)
        stored = {path.name for path in (tmp_path / "artifacts/forecast_cache").rglob("*.zst")}
        # what was in flight when its process was killed was never stored, and is asked again
        again = Counter({digest: n for digest, n in server.digests.items() if n > 1})
        assert sum(again.values()) - len(again) <= 3, again
        assert kept <= stored
        assert len(stored) == QUESTIONS * ASKED + 1
        counts = server.counts
        assert QUESTIONS * ASKED <= counts[FORECAST] <= QUESTIONS * ASKED + 3
        assert counts[PARAMS] <= 2

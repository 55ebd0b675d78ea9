"""What assets log: who is asked, each snapshot, a day's calls, whose quantiles crossed, and what was traded."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.call_errors import AnswerLost, KeyRefused
from timegpt_assets.adapters.forecaster import ForecastResult
from timegpt_assets.adapters.stage_logs import kept
from timegpt_assets.assets import logged
from timegpt_assets.config.forecasting import Forecast
from timegpt_assets.config.settings import load_settings

DAY, NEXT = date(2025, 1, 28), date(2025, 1, 29)
AT = datetime(2025, 1, 28, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def forecast() -> Forecast:
    overrides = ["data.source=synthetic", "forecast.backend=nixtla", "forecast.base_url=http://127.0.0.1:9"]
    return load_settings(profile="dev", config_dir=None, overrides=overrides, environment={}).forecast


def lines(folder: Path, stage: str) -> list[dict[str, Any]]:
    """Return the lines of a stage's log, less the time."""
    found = (folder / f"{stage}.log").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "ts"} for line in found]


def test_a_day_is_logged_with_who_is_asked_each_snapshot_and_its_calls(tmp_path: Path, forecast: Forecast) -> None:
    rows = pl.DataFrame({"snapshot_ts": [AT, AT], "symbol": ["MSFT", "AAPL"], "request_hash": ["h", "h"]})
    with kept(tmp_path):
        logged.backend(forecast, run="r1")
        result = ForecastResult(rows=rows, sent=2, cached=3, calls={"h": 2}, seconds=(0.1239, 2.0))
        logged.answered(result, day=str(DAY), run="r1", forecast=forecast)
    who, snapshot, day = lines(tmp_path, "forecast")
    assert who["event"] == "Using forecast backend=NixtlaTimeGPTBackend"
    assert (who["api_mode"], who["run"]) == ("simulate", "r1")
    assert (snapshot["symbol"], snapshot["series"], snapshot["requests"]) == (["AAPL", "MSFT"], 2, 1)
    assert (snapshot["day"], snapshot["backend"], snapshot["h"]) == ("2025-01-28", "nixtla", 15)
    assert snapshot["quantiles"] == list(forecast.quantiles)
    assert snapshot["calls_used"] == 2
    assert (day["calls_used"], day["calls_cached"], day["cache_hits"], day["seconds"]) == (2, 3, "60%", [0.124, 2.0])


def test_a_refused_key_is_named_as_that_and_any_other_fault_by_its_own_name(tmp_path: Path) -> None:
    with kept(tmp_path):
        logged.refused(KeyRefused("the API key is not accepted."), day=str(DAY), run="r1")
        logged.refused(AnswerLost("lost"), day=str(NEXT), run="r1")
    said = [(one["level"], one["event"], one["day"], one["error"]) for one in lines(tmp_path, "forecast")]
    assert said == [
        ("error", "Invalid API key", "2025-01-28", "KeyRefused"),
        ("error", "day not answered", "2025-01-29", "AnswerLost"),
    ]


def test_crossed_quantiles_trades_and_sweeps_are_logged_and_what_is_in_order_is_not(tmp_path: Path) -> None:
    about = {"day": [DAY] * 3, "symbol": ["AAPL", "AAPL", "MSFT"], "forecaster": ["timegpt"] * 3}
    traded = {"day": [DAY] * 2, "book": ["live"] * 2, "admitted": [True, False], "net_pnl": [2.5, 9.0]}
    with kept(tmp_path):
        logged.crossed(pl.DataFrame(about | {"crossings": [1, 2, 0]}), run="r1")
        logged.traded(pl.DataFrame(traded), days=[DAY, NEXT], run="r1")
        logged.swept(9, days=[DAY, NEXT], engine="loop", run="r1")
    (crossed,), (book, silent), (sweep,) = (lines(tmp_path, stage) for stage in ("forecast", "backtest", "sweep"))
    assert (crossed["event"], crossed["symbol"], crossed["snapshots"]) == ("quantiles crossed", "AAPL", 2)
    assert (book["trades"], book["admitted"], book["net_pnl"]) == (2, 1, 2.5)
    assert (silent["event"], silent["day"]) == ("no signal", "2025-01-29")
    assert (sweep["combinations"], sweep["first_day"], sweep["last_day"]) == (9, "2025-01-28", "2025-01-29")


def test_what_each_gate_said_is_logged_with_what_it_was_refused_for(tmp_path: Path) -> None:
    about = {"month": "2025-01", "gate": "trading_gate", "forecaster": "live"}
    rows = pl.DataFrame(
        [
            {**about, "criterion": "sharpe", "passed": False},
            {**about, "criterion": "costs", "passed": False},
            {**about, "criterion": "hit_rate", "passed": True},
            {**about, "gate": "promotion", "criterion": "pnl", "passed": True},
        ]
    )
    with kept(tmp_path):
        logged.judged(rows, table="trading_gate", run="r1")
        logged.judged(rows.filter("passed"), table="forecast_gate", run="r1")
    passed, refused = lines(tmp_path, "backtest")
    assert (passed["event"], passed["gate"], passed["level"]) == ("gate passed", "promotion", "info")
    assert (refused["event"], refused["gate"], refused["level"]) == ("gate refused", "trading_gate", "warning")
    assert (refused["criteria"], refused["month"], refused["run"]) == (["costs", "sharpe"], "2025-01", "r1")
    assert {line["event"] for line in lines(tmp_path, "forecast")} == {"gate passed"}

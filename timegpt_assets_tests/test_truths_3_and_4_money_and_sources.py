"""Truths 3 and 4 of a whole road: nothing is paid twice, and no forecast says it came from where it did not.

The provider is the local server of servers/timegpt.py, asked by the real SDK; what it received is what was sent.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.core.tables.columns import SOURCES
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets_tests.markets import DAYS
from timegpt_assets_tests.roads import LATER, TINY, Road, non_null, road
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

FORECAST = "/v2/forecast"
TWO_DAYS = DAYS[:2]
"""The second is the day of a rate decision: nothing is asked."""
FROM_ANSWERS_TO_TRADES = {
    "forecasts/answers": ("backend", "model"),
    "forecasts/raw_forecasts": ("backend", "model"),
    "forecasts/outcomes": ("backend", "model"),
    "calibration/forecasts": ("backend", "model"),
    "evaluation/forecast_scores": (),
    "evaluation/day_scores": (),
    "backtest/trades": (),
    "backtest/book": (),
    "backtest/portfolio": (),
}
"""Asset -> what it says of its maker beside the three sources."""
SIMULATED = {"score_source": "simulated", "run_source": "maintenance", "data_regime": "maintenance_replay"}
BASELINE = {"score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay"}


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer() as running:
        yield running


def nixtla_road(folder: Path, server: TimeGPTServer, *overrides: str, **options: Any):
    """Return a road of the made-up market forecast by TimeGPT at the local server."""
    chosen = (
        "data.source=synthetic",
        "data.synthetic.predictability=0.6",
        "universe.context=[SPY]",
        "forecast.backend=nixtla",
        f"forecast.base_url={server.url}",
        "forecast.api_budget.cooldown_sec=0",
        "forecast.api_budget.per_run=60",
        "gates.bootstrap=trade",
        "trading.k_sigma=0.0",
        "trading.require_positive_ev=false",
        "trading.filters.enabled=false",
        *overrides,
    )
    given = {"profile": "dev", "base": TINY, "environment": {"TIMEGPT_API_KEY": KEY}, "pictures": False}
    return road(folder, *chosen, **(given | options))


def asked(built: Road) -> int:
    """Return how many snapshots are asked on the days stored."""
    return built.tables()["forecasts/snapshots"]["asked"].sum()


def later() -> datetime:
    """Return a moment long after every other run: what is stored must not hang on it."""
    return LATER + timedelta(days=3, minutes=7)


AGAIN: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "on a fresh instance in a fresh store": (("data.storage_root=data/another",), {"clock": later}),
    "by another profile, offline and without a key": (
        ("forecast.api_mode=offline",),
        {"profile": "offline", "environment": {}, "clock": later},
    ),
}


@pytest.mark.parametrize("again", AGAIN)
def test_a_snapshot_is_sent_once_however_often_and_from_wherever_it_is_asked(
    again: str, server: TimeGPTServer, tmp_path: Path
) -> None:
    with nixtla_road(tmp_path, server) as first:
        first.run(TWO_DAYS, assets=["answers"])
        snapshots, answers = asked(first), first.tables()["forecasts/answers"]
        assert snapshots == 5
        assert server.counts == {FORECAST: snapshots, "/model_params": 1}
        assert first.run(TWO_DAYS, assets=["answers"], force=True).made == len(TWO_DAYS)
    overrides, options = AGAIN[again]
    with nixtla_road(tmp_path, server, *overrides, **options) as second:
        second.run(TWO_DAYS, assets=["answers"])
        repeated = second.tables()["forecasts/answers"]
    assert server.counts == {FORECAST: snapshots, "/model_params": 1}
    assert answers["request_hash"].n_unique() == snapshots
    assert non_null(answers) >= 1000
    assert repeated.drop("lineage_id").equals(answers.drop("lineage_id"))


def test_a_day_on_which_nothing_is_asked_costs_nothing_and_has_empty_tables(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with nixtla_road(tmp_path, server) as built:
        built.run([TWO_DAYS[1]])
        stored = built.tables()
    assert server.received == []
    assert stored["bars/bars"].height > 0
    for asset in FROM_ANSWERS_TO_TRADES:
        assert stored[asset].is_empty(), asset


def test_rows_of_a_server_that_is_not_the_provider_are_simulated_to_the_last_and_pass_no_gate(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with nixtla_road(tmp_path, server, "gates.min_forecasts=1", "gates.min_observation_days=1") as built:
        built.run(DAYS[:3], assets=(*EVERYDAY, "promotion"))
        stored = built.tables()
    assert_made_by(stored, backend="nixtla", model="timegpt-1", sources=SIMULATED)
    assert_no_gate_is_passed(stored)


def test_rows_of_the_local_forecaster_are_baseline_to_the_last_and_pass_no_gate(tmp_path: Path) -> None:
    easy = ("gates.min_forecasts=1", "gates.min_observation_days=1", "data.synthetic.predictability=0.6")
    with road(tmp_path, *easy, "forecast.snapshot_preset=dense", base=TINY, pictures=False) as built:
        built.run(DAYS[:3], assets=(*EVERYDAY, "promotion"))
        stored = built.tables()
    assert_made_by(stored, backend="baseline", model="ridge", sources=BASELINE)
    assert_no_gate_is_passed(stored)


def assert_made_by(stored: dict[str, pl.DataFrame], *, backend: str, model: str, sources: dict[str, str]) -> None:
    """Assert that each row from answers to trades says who made it, and that there are rows of each asset."""
    made_by = {"backend": backend, "model": model}
    whose = "ridge" if backend == "baseline" else "timegpt"
    assert (
        stored["forecasts/base_answers" if backend == "nixtla" else "forecasts/answers"]
        .filter(forecaster=whose)
        .is_empty()
    )
    stored = {asset: f.filter(forecaster=whose) if "forecaster" in f.columns else f for asset, f in stored.items()}
    stored |= {asset: f.filter(book=whose) for asset, f in stored.items() if "book" in f.columns}
    if backend == "baseline":
        stored["forecasts/answers"] = stored["forecasts/base_answers"]
    for asset, names in FROM_ANSWERS_TO_TRADES.items():
        frame = stored[asset]
        assert frame.height > 0, asset
        for name, value in (sources | {name: made_by[name] for name in names}).items():
            assert frame[name].unique().to_list() == [value], f"{asset} {name}"
    assert sum(non_null(stored[asset]) for asset in FROM_ANSWERS_TO_TRADES) >= 1000
    for asset in ("evaluation/forecast_diagnostics", "evaluation/trading_scores"):
        assert set(stored[asset].select(*SOURCES).unique().rows()) <= {tuple(sources[s] for s in SOURCES)}


OF_NO_ROWS = ("backend", "pbo", "trials_in_oos")
"""Criteria on how the champion is asked and on what was tried: no forecast and no trade is counted."""


def assert_no_gate_is_passed(stored: dict[str, pl.DataFrame]) -> None:
    """Assert that every criterion of the monthly gates and of promotion fails, for want of rows it may count."""
    for gate in (*VERDICTS, "promotion"):
        verdicts = stored[f"gates/{gate}"].filter(~pl.col("criterion").is_in(OF_NO_ROWS))
        assert verdicts.height > 0
        assert not verdicts["passed"].any(), verdicts.filter("passed")
    measured = pl.concat([stored[f"gates/{gate}"] for gate in VERDICTS])
    counting = measured.filter(~pl.col("criterion").is_in(OF_NO_ROWS))
    assert counting.height >= 20
    assert counting["n"].sum() == 0, counting.filter(pl.col("n") > 0)


def test_offline_and_not_stored_is_an_error_that_names_every_missing_snapshot(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with (
        nixtla_road(tmp_path, server, "forecast.api_mode=offline", profile="offline", environment={}) as built,
        pytest.raises(RunFailed) as failure,
    ):
        built.run(TWO_DAYS)
    assert failure.value.asset == "forecasts/answers"
    wanted = built.tables()["forecasts/snapshots"].filter("asked")
    assert wanted.height == 5
    for snapshot_ts in wanted["snapshot_ts"]:
        assert snapshot_ts.isoformat() in str(failure.value)
    assert "Ask for them online" in str(failure.value)
    assert server.received == []
    assert "forecasts/answers" not in built.tables()
    assert built.tables()["features/panel"].height > 0


def test_what_was_asked_for_as_dev_stays_so_when_offline_reads_it(server: TimeGPTServer, tmp_path: Path) -> None:
    with nixtla_road(tmp_path, server) as first:
        first.run(TWO_DAYS, assets=["answers"])
    with nixtla_road(
        tmp_path, server, "forecast.api_mode=offline", profile="offline", environment={}, clock=later
    ) as offline:
        offline.run(TWO_DAYS, assets=["raw_forecasts"])
        stored = offline.tables()
    assert offline.runtime.settings.profile == "offline"
    assert stored["forecasts/answers"].height == 15 * 5 * 3
    for asset in ("forecasts/answers", "forecasts/raw_forecasts"):
        frame = stored[asset].filter(forecaster="timegpt")
        assert frame.select(*SOURCES).unique().rows() == [tuple(SIMULATED[s] for s in SOURCES)]
        assert frame["backend"].unique().to_list() == ["nixtla"]
        assert frame["asked_at"].unique().to_list() == [LATER]


@pytest.mark.parametrize(
    ("profile", "overrides"),
    [
        ("prod", ("forecast.backend=baseline",)),
        ("prod", ("forecast.base_url=http://127.0.0.1:9", "data.source=local", "data.root=.")),
        ("prod", ("forecast.api_mode=simulate",)),
        ("prod", ("data.source=synthetic",)),
        ("offline", ("forecast.backend=baseline",)),
        ("offline", ("forecast.api_mode=online",)),
        ("demo", ("forecast.backend=nixtla", "forecast.api_mode=online")),
        ("dev", ("forecast.backend=nixtla", "forecast.api_mode=online")),
    ],
)
def test_no_profile_takes_another_s_forecaster(profile: str, overrides: tuple[str, ...], tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=rf"profile {profile}"),
        road(tmp_path, *overrides, profile=profile, base=()),
    ):
        pass


def test_without_a_key_nothing_is_made_up_in_its_place(server: TimeGPTServer, tmp_path: Path) -> None:
    with nixtla_road(tmp_path, server, environment={}) as built, pytest.raises(RunFailed, match="TIMEGPT_API_KEY"):
        built.run(TWO_DAYS)
    assert server.received == []
    assert "forecasts/answers" not in built.tables()

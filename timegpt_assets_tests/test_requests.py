"""What leaves the house: the bodies of requests, as the local server received them from the product's own run."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts import framing
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets.runtime import MarketData
from timegpt_assets_tests.engine.test_call_budget import OPTIONS, Clock, house, modest
from timegpt_assets_tests.markets import DAYS
from timegpt_assets_tests.roads import TINY, load_runtime, road
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

DAY = [DAYS[2]]
BESIDE = (
    "forecast.exogenous.future=[minutes_to_close, event_fomc]",
    "forecast.exogenous.historic=[sigma_60m]",
)

PROJECTED = (
    "forecast.exogenous.future=[minute_ahead, liquidity_bucket, regime_up, regime_volatile, event_fomc]",
    "forecast.exogenous.historic=[sigma_60m, dispersion]",
)
BULK = ("forecast.history_mode=cross_validation", "forecast.snapshot_preset=liquidity_profile")


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60) as running:
        yield running


def test_exogenous_columns_go_out_known_ahead_first_with_exactly_the_horizon(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path, server, *BESIDE) as built:
        built.run(DAY, assets=["answers"])
        rows = built.tables()["forecasts/answers"]
        panel = built.tables()["features/panel"]
    with house(tmp_path, server) as plain:
        assert [calls.needed for calls in budget_planner(plain.runtime).day_calls(DAY)] == [2], (
            "without them it is another question"
        )
    assert rows.height == 2 * 3 * 15
    body = server.bodies()[0]["series"]
    per_series = body["sizes"][0]
    to_close, fomc, sigma = body["X"]
    ahead_to_close, ahead_fomc = body["X_future"]
    snapshot = rows["snapshot_ts"].min()
    left = int((calendar.session(DAY[0]).close - snapshot).total_seconds()) // 60
    assert to_close[per_series - 1] == left
    assert ahead_to_close[:15] == [left - k for k in range(1, 16)]
    assert len(ahead_to_close) == 3 * 15
    assert ahead_fomc == [0.0] * 45
    assert set(fomc) == {0.0, 1.0}, "the day before was one of a rate decision"
    known = panel.filter((pl.col("symbol") == "AAPL") & (pl.col("known_at") == snapshot))
    assert sigma[per_series - 1] == pytest.approx(known["sigma_60m"].item())


def test_events_of_a_calendar_file_are_flagged_too(server: TimeGPTServer, tmp_path: Path) -> None:
    others = "2026-01-07,cpi,08:30:00\n2026-01-08,fomc_decision,14:00:00\n"
    (tmp_path / "macro.csv").write_text(f"date,event,time_et\n{DAYS[1]},payrolls,08:30:00\n{others}")
    named = (f"events.calendar_path={tmp_path / 'macro.csv'}", "events.calendar_names.event_payrolls=payrolls")
    with house(tmp_path, server, *named, "forecast.exogenous.future=[event_payrolls]") as built:
        built.run(DAY, assets=["answers"])
    body = server.bodies()[0]["series"]
    assert set(body["X"][0]) == {0.0, 1.0}, "the file's day is among the days before"
    assert set(body["X_future"][0]) == {0.0}


def test_exogenous_columns_go_out_in_bulk_too(server: TimeGPTServer, tmp_path: Path) -> None:
    with house(tmp_path, server, *BULK, *BESIDE) as built:
        built.run(DAY, assets=["answers"])
        assert built.tables()["forecasts/answers"].height == 5 * 3 * 15
    (body,) = server.bodies("/v2/cross_validation")
    assert len(body["series"]["X"]) == 3
    assert body["hist_exog"] == [2]


def test_what_is_projected_goes_out_as_it_came_and_ahead_as_the_snapshot_knew_it(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path, server, *PROJECTED) as built:
        built.run(DAY, assets=["answers"])
        panel = built.tables()["features/panel"]
        snapshot = built.tables()["forecasts/answers"]["snapshot_ts"].min()
    body = server.bodies()[0]["series"]
    own = dict(zip(("minute_ahead", "liquidity_bucket", "regime_up", "regime_volatile"), body["X"], strict=False))
    ahead = dict(zip(own, body["X_future"], strict=False))
    now = panel.filter((pl.col("symbol") == "AAPL") & (pl.col("known_at") == snapshot))
    last = body["sizes"][0] - 1
    assert (own["minute_ahead"][last], ahead["minute_ahead"][:15]) == (15, list(range(1, 16)))
    for name in ("regime_up", "regime_volatile"):
        assert ahead[name][:15] == [own[name][last]] * 15 == [float(now[name].item())] * 15
    assert own["liquidity_bucket"][last] == now["liquidity_bucket"].item()
    assert set(ahead["liquidity_bucket"]) <= {-1, 0, 1, 2}
    assert len(set(ahead["liquidity_bucket"])) > 1


@pytest.mark.parametrize("mode", [(), pytest.param(BULK, marks=pytest.mark.whole)])
def test_what_was_paid_for_with_columns_beside_y_is_replayed_offline_without_a_call_or_a_key(
    server: TimeGPTServer, tmp_path: Path, mode: tuple[str, ...]
) -> None:
    with house(tmp_path, server, *PROJECTED, *mode, "forecast.api_mode=online") as built:
        built.run(DAY, assets=["raw_forecasts"])
        paid = built.tables()
    sent = len(server.received)
    assert sent == (2 if mode else 3)
    offline = (*modest(server.url), *PROJECTED, *mode, "forecast.api_mode=offline")
    with road(tmp_path, *offline, profile="offline", base=TINY, clock=Clock(), pictures=False) as replaying:
        replaying.run(DAY, assets=["raw_forecasts"])
        replayed = replaying.tables()
        assert replaying.root != built.root
    assert len(server.received) == sent
    for asset in ("forecasts/answers", "forecasts/raw_forecasts"):
        before, after = (tables[asset].drop("lineage_id") for tables in (paid, replayed))
        assert_frame_equal(after, before, check_exact=True)
        assert not before["stale_input"].any()
        assert not after["stale_input"].any(), "the question made offline is the one that was paid for, to the byte"
    other = (f"{PROJECTED[0][:-1]}, weekday]", PROJECTED[1])
    with (
        road(tmp_path, *modest(server.url), *other, *mode, *offline[-1:], profile="offline", base=TINY) as missing,
        pytest.raises(RunFailed, match="Offline, and"),
    ):
        missing.run(DAY, assets=["answers"], force=True)


class Bent:
    """A market whose prices after a moment are others."""

    def __init__(self, market: MarketData, after: datetime) -> None:
        self.market, self.after = market, after

    def bars(self, symbols: Any, days: Any) -> pl.DataFrame:
        found = self.market.bars(symbols, days)
        return found.with_columns(
            pl.when(pl.col("ts") >= self.after).then(pl.col(name) * 1.01).otherwise(name).alias(name)
            for name in ("open", "high", "low", "close")
        )


def bodies(folder: Path, *overrides: str, bent: bool = False) -> list[dict[str, Any]]:
    """Return what the first snapshot's request holds, in a market that may be another afterwards."""
    from timegpt_assets import runtime as runtimes

    with TimeGPTServer(input_size=200) as server:
        runtime = load_runtime(folder, *modest(server.url), *overrides, clock=Clock(), **OPTIONS)
        market = runtimes.market_data(runtime)
        first = calendar.session(DAY[0]).open + timedelta(minutes=30)
        given = Bent(market, first) if bent else market
        with house(folder, server, *overrides, overriding={"market_data": given}) as built:
            built.run(DAY, assets=["answers"])
        return server.bodies()


@pytest.mark.parametrize("beside", [BESIDE, PROJECTED])
def test_the_bytes_of_a_request_do_not_change_when_later_bars_do(tmp_path: Path, beside: tuple[str, ...]) -> None:
    told, bent = bodies(tmp_path / "a", *beside), bodies(tmp_path / "b", *beside, bent=True)
    assert json.dumps(told[0]) == json.dumps(bent[0])
    assert told[1]["series"]["y"] != bent[1]["series"]["y"], "the later snapshot sees them"


def test_the_regime_to_come_planted_in_the_horizon_is_seen_by_that_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = framing.frames

    def leaking(panel: pl.DataFrame, asked: pl.DataFrame, spec: framing.FrameSpec, *, day: date) -> tuple[Frame, ...]:
        """Return frames whose regimes are those of fifteen minutes later."""
        to_come = pl.col("regime_up").shift(-15).over("symbol", "day")
        return honest(panel.with_columns(regime_up=pl.coalesce(to_come, "regime_up")), asked, spec, day=day)

    monkeypatch.setattr(framing, "frames", leaking)
    told, bent = bodies(tmp_path / "a", *PROJECTED), bodies(tmp_path / "b", *PROJECTED, bent=True)
    assert json.dumps(told[0]) != json.dumps(bent[0])


def test_the_forward_label_planted_in_y_is_seen_by_that_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = framing.frames

    def leaking(panel: pl.DataFrame, asked: pl.DataFrame, spec: framing.FrameSpec, *, day: date) -> tuple[Frame, ...]:
        """Return frames whose y at each minute is the return that begins there, made from the whole day's prices."""
        ahead = pl.col("clock_price").shift(-15).over("symbol", "day")
        return honest(panel.with_columns(clock_price=pl.coalesce(ahead, "clock_price")), asked, spec, day=day)

    monkeypatch.setattr(framing, "frames", leaking)
    told, bent = bodies(tmp_path / "a"), bodies(tmp_path / "b", bent=True)
    assert json.dumps(told[0]) != json.dumps(bent[0])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("forecast.exogenous.future=[close]", "minutes_since_open | minutes_to_close"),
        ("forecast.exogenous.future=[regime_stress]", "Take out regime_stress"),  # there is no VIX file
        ("forecast.exogenous.historic=[spread]", "Take out spread, or add its group to features.groups"),
        ("forecast.exogenous.historic=[news_own_age]", "Take out news_own_age: on a day without an answer"),
        ("forecast.max_bytes_per_call=1000", "at least"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_load(override: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_runtime(tmp_path, *modest("http://127.0.0.1:9"), override, **OPTIONS)
    assert says in str(refused.value)

"""Signals: what is settled at the snapshot, before a bar is stepped through."""

from datetime import timedelta

import polars as pl
import pytest

from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest import signals
from timegpt_assets_tests.core.backtest import test_event_loop as loop

MINUTE = timedelta(minutes=1)


def features(clock: str, **columns: float | None) -> pl.DataFrame:
    """A minute of FEATURES, and the next one with other numbers."""
    keys = {"day": loop.DAY, "symbol": "AAA"}
    rows = [
        keys
        | {"known_at": loop.at(clock) + later * MINUTE}
        | {k: v if v is None else v + later for k, v in columns.items()}
        for later in (0, 1)
    ]
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(columns, pl.Float64))


@pytest.mark.parametrize("column", ["sigma_5m", "vol_ewm_60m"])
def test_sigma_is_the_named_feature_at_the_snapshot_and_no_longer_the_answers_own(column: str) -> None:
    made = loop.forecasts({})
    found = signals.measured_in(made, features("10:00", sigma_5m=0.002, vol_ewm_60m=0.003), column=column)
    assert found["sigma"].to_list() == [{"sigma_5m": 0.002, "vol_ewm_60m": 0.003}[column]]
    assert made["sigma"].to_list() == [loop.SIGMA], "the forecast keeps its own"


def test_a_snapshot_without_the_feature_is_unknown_and_never_falls_back_on_the_answers_own() -> None:
    elsewhere = features("10:30", sigma_5m=0.002)
    null = features("10:00", sigma_5m=None)
    for frame in (elsewhere, null):
        found = signals.measured_in(loop.forecasts({}), frame, column="sigma_5m")
        assert found["sigma"].to_list() == [None]
        assert loop.ledger(found, loop.bars()).is_empty()


def test_levels_and_size_stand_on_the_sigma_of_the_row() -> None:
    made = loop.forecasts({"q25": 0.0005, "q50": 0.0012, "q75": 0.0015})
    found = signals.measured_in(made, features("10:00", sigma_5m=0.002), column="sigma_5m")
    market = loop.bars({"10:05": {"low": 99.85}, "10:06": {"low": 99.7}})
    row = loop.one(found, market, sigma_column="sigma_5m")
    assert (row["sigma"], row["sigma_column"], row["size"]) == (0.002, "sigma_5m", pytest.approx(0.6))
    assert (row["exit_ts"], row["exit_reason"]) == (loop.at("10:07"), "stop")


def test_every_forecast_is_judged_and_the_reasons_are_those_the_docs_print() -> None:
    rows = [
        {"clock": "10:00"},
        {"clock": "10:10", "label_aligned": False},
        {"clock": "10:20", "sigma": None},
        {"clock": "10:30", "q25": -0.1},
        {"clock": "10:40", "symbol": "BBB"},
    ]
    spec = signals.TradingSpec(
        rules=loop.RULES, costs=loop.COSTS, capital=1.0, participation=0.1, bootstrap="trade", sigma_column="sigma_60m"
    )
    made = loop.forecasts(*rows)
    found = signals.judged(loop.inputs(made, loop.bars()), spec)
    by_clock = dict(found.select("snapshot_ts", "reason").iter_rows())
    said = ["", "unaligned", "unknown", "no_direction", "no_price"]
    assert by_clock == {loop.at(row["clock"]): reason for row, reason in zip(rows, said, strict=True)}
    assert set(by_clock.values()) - {""} <= {*trading.NO_SIGNAL, *signals.TURNED_AWAY}

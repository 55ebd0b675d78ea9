"""Metrics of minute bars: each value is that of the rows it is told of, and what is not known is no sample."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

from timegpt_assets.core import calendar
from timegpt_assets.core.tables.news import SOURCE_HEALTH
from timegpt_assets.reports.metrics import exposition
from timegpt_assets.reports.metrics_house import NOTHING, House, families

DAY, BEFORE = date(2025, 1, 31), date(2025, 1, 30)
ORIGIN = {
    "forecaster": "timegpt",
    "score_source": "model",
    "run_source": "prod",
    "data_regime": "prod_live",
    "stage": "calibrated",
}
SOURCES = {"run_source": "prod", "data_regime": "prod_live"}


def line(event: str, **said: Any) -> dict[str, Any]:
    return {"event": event, "level": "error" if "error" in said else "info", **said}


def covered(**changed: Any) -> dict[str, Any]:
    whole = {"symbol": "*", "snapshot_time": "*", "coverage_50": 0.53, "coverage_80": 0.79, "coverage_95": None}
    return {**ORIGIN, **whole, "pit_deviation": 0.03, **changed}


def account(**changed: Any) -> dict[str, Any]:
    figures = {"trades": 7, "net_pnl": 12.5, "sharpe_daily": None, "max_drawdown": 0.02, "hit_rate": 0.6}
    return {**SOURCES, "book": "live", "symbol": "*", **figures, **changed}


def drift(day: date, symbol: str, alarm: bool) -> dict[str, Any]:
    return {**ORIGIN, "day": day, "symbol": symbol, "alarm": alarm}


def whole_house() -> House:
    """Return a house with something of everything."""
    return House(
        newest={"bars": DAY, "forecasts": BEFORE},
        calls={("day", "ANSWERED"): 3, ("day", "RESERVED"): 2, ("month", "ANSWERED"): 40, ("month", "UNKNOWN"): 1},
        left={"per_day": 95, "per_month": 959},
        limits={"per_day": 100, "per_month": 1000},
        frozen=False,
        price_per_call=0.5,
        logged=[
            line("day answered", calls_used=3, calls_cached=1, seconds=[0.2, 0.4, 1.2]),
            line("day answered", calls_used=0, calls_cached=4, seconds=[]),
            line("snapshot answered", calls=7),
            line("day not answered", error="AnswerLost"),
            line("Invalid API key", error="KeyRefused"),
        ],
        quality=pl.DataFrame({"verdict": ["ok", "ok", "late"], "completeness": [1.0, 0.8, 0.3]}),
        forecasts=pl.DataFrame(
            {
                "forecaster": ["timegpt", "timegpt", "zero"],
                "crossings": [2, 0, 0],
                "calibration_crossings": [0, 0, 1],
            }
        ),
        coverage=pl.DataFrame(
            [covered(), covered(snapshot_time="10:00", coverage_80=0.2), covered(symbol="AAPL", coverage_50=0.1)]
        ),
        drift=pl.DataFrame([drift(DAY, "AAPL", True), drift(DAY, "MSFT", False), drift(BEFORE, "MSFT", True)]),
        verdicts=pl.DataFrame(
            [{**SOURCES, "gate": "trading_gate", "passed": passed} for passed in (True, False, False)]
        ),
        trading=pl.DataFrame([account(), account(symbol="AAPL", net_pnl=99.0), account(book="zero", net_pnl=98.0)]),
    )


Samples = dict[tuple[str, tuple[str, ...]], float]


def key(**labels: str) -> tuple[str, ...]:
    """Return the values of labels, in the order of their names."""
    return tuple(value for _, value in sorted(labels.items()))


@pytest.fixture(scope="module")
def told() -> Samples:
    """Return the samples as Prometheus reads them: name and values of labels -> value."""
    text = exposition(SOURCE_HEALTH.empty(), {}, whole_house())
    found = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return {(s.name.removeprefix("timegpt_assets_"), key(**s.labels)): s.value for s in found}


def of(samples: Samples, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for (found, labels), value in samples.items() if found == name}


def test_calls_are_told_by_what_became_of_them_and_money_of_those_that_were_sent(told: Samples) -> None:
    assert of(told, "calls")["day", "RESERVED"] == 2
    assert of(told, "calls")["month", "ANSWERED"] == 40
    assert of(told, "calls_left") == {("per_day",): 95, ("per_month",): 959}
    assert of(told, "calls_limit") == {("per_day",): 100, ("per_month",): 1000}
    assert of(told, "calls_frozen") == {(): 0}
    assert of(told, "money_spent") == {("day",): 1.5, ("month",): 20.5}


def test_answers_of_the_last_day_say_the_share_of_the_cache_and_how_long_calls_took(told: Samples) -> None:
    assert of(told, "answers") == {("cache",): 5, ("provider",): 3}
    assert of(told, "cache_hit_ratio") == {(): 5 / 8}
    assert of(told, "call_seconds") == {("0.5",): 0.4, ("0.95",): 1.2}
    assert of(told, "faults") == {("AnswerLost",): 1, ("KeyRefused",): 1}


def test_bars_and_forecasts_of_the_newest_session_are_counted(told: Samples) -> None:
    closes = {
        (table,): calendar.session(day).close.timestamp() for table, day in (("bars", DAY), ("forecasts", BEFORE))
    }
    assert of(told, "session_timestamp_seconds") == closes
    assert of(told, "bars") == {("ok",): 2, ("late",): 1}
    assert of(told, "bars_completeness") == {("mean",): pytest.approx(0.7), ("worst",): 0.3}
    assert of(told, "forecasts") == {("timegpt",): 2, ("zero",): 1}
    crossed = {("timegpt", "raw"): 1, ("timegpt", "calibrated"): 0, ("zero", "raw"): 0, ("zero", "calibrated"): 1}
    assert of(told, "forecasts_crossed") == crossed


def test_coverage_gates_and_the_account_are_whole_and_of_their_sources(told: Samples) -> None:
    assert of(told, "coverage") == {key(**ORIGIN, level="50"): 0.53, key(**ORIGIN, level="80"): 0.79}
    assert of(told, "pit_deviation") == {key(**ORIGIN): 0.03}
    assert of(told, "coverage_alarms") == {key(**ORIGIN): 1}
    assert of(told, "gate_criteria") == {
        key(**SOURCES, gate="trading_gate", result="passed"): 1,
        key(**SOURCES, gate="trading_gate", result="refused"): 2,
    }
    assert of(told, "trading") == {
        key(**SOURCES, figure="trades"): 7,
        key(**SOURCES, figure="net_pnl"): 12.5,
        key(**SOURCES, figure="max_drawdown"): 0.02,
        key(**SOURCES, figure="hit_rate"): 0.6,
    }


def test_a_house_in_which_nothing_is_made_has_every_family_and_no_sample() -> None:
    assert {one.name for one in families(NOTHING)} == {one.name for one in families(whole_house())}
    assert [one.name for one in families(NOTHING) if one.values] == []


def test_no_two_families_have_a_name_and_each_says_what_it_means() -> None:
    found = [*families(whole_house())]
    assert len({one.name for one in found}) == len(found) > 15
    assert all(one.told.endswith((".", ")")) for one in found)
    assert list(_unlabelled(found)) == []


def _unlabelled(found: list[Any]) -> Iterator[str]:
    for one in found:
        yield from (one.name for labels in one.values if len(labels) != len(one.labels))

"""Stress phases: which trades belong to which, by hand, and that nothing is lost between them."""

from datetime import date, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation import stress
from timegpt_assets.core.events import EventCalendar
from timegpt_assets_tests.core.evaluation.test_trading import ALL_LIVE, AS_OF, DAYS, ROWS, SAMPLING, portfolio

EVENTS = EventCalendar({"event_fomc": (DAYS[0],)}, symbols={"event_earnings": {"BBB": (DAYS[1],)}})
NO_GAPS = pl.DataFrame(schema={"day": pl.Date, "symbol": pl.String, "gap": pl.Float64})


def phases(
    rows: pl.DataFrame, gaps: pl.DataFrame = NO_GAPS, events: EventCalendar = EVENTS
) -> dict[str, dict[str, Any]]:
    found = stress.stress_phases(
        rows,
        ALL_LIVE,
        gaps,
        month="2025-02",
        as_of=AS_OF,
        sessions=DAYS,
        lookback_sessions=5,
        events=events,
        sampling=SAMPLING,
    )
    return {row["phase"]: row for row in found.iter_rows(named=True)}


def trades(rows: pl.DataFrame, gaps: pl.DataFrame = NO_GAPS) -> dict[str, int]:
    return {phase: row["trades"] for phase, row in phases(rows, gaps).items()}


def entered(day: date, minutes: int, **more: Any) -> dict[str, Any]:
    return {"day": day, "entry_ts": calendar.session(day).open + timedelta(minutes=minutes), "gross_pnl": 1.0} | more


def test_every_phase_has_a_row_and_admitted_trades_alone_count() -> None:
    found = phases(ROWS)
    assert set(found) == {"all", *stress.PHASES, "calm"}
    assert found["all"]["trades"] == 3
    assert (found["all"]["net_pnl"], found["all"]["worst"]) == (-10.0, -40.0)
    assert found["event_day"]["trades"] == 1
    assert (found["gap"]["trades"], found["gap"]["hit_rate"], found["gap"]["worst"]) == (0, None, None)


def test_half_hours_include_their_first_minute_and_not_the_next_one() -> None:
    day = DAYS[2]
    found = trades(portfolio(*(entered(day, minute, sigma=0.0) for minute in (1, 29, 30, 359, 360, 384))))
    assert (found["first_half_hour"], found["last_half_hour"], found["calm"]) == (2, 2, 2)


def test_an_event_of_one_company_is_no_event_of_another() -> None:
    found = trades(
        portfolio(entered(DAYS[1], 100, symbol="AAA", sigma=0.0), entered(DAYS[1], 100, symbol="BBB", sigma=0.0))
    )
    assert (found["event_day"], found["calm"]) == (1, 1)


def test_high_volatility_and_gaps_are_the_top_tenth_of_each_symbol() -> None:
    hours = [
        entered(DAYS[2], 60 + i, symbol=symbol, sigma=0.001 * (i + 1)) for i in range(20) for symbol in ("AAA", "BBB")
    ]
    calm = {"symbol": "AAA", "admitted": False, "refused_by": "thin"}
    found = trades(portfolio(*hours))
    assert (found["top_volatility"], found["calm"]) == (4, 36)
    louder = [entered(DAYS[2], 100 + i, sigma=1.0, **calm) for i in range(3)]
    assert trades(portfolio(*hours, *louder))["top_volatility"] == 2, (
        "signals that were not admitted count for the tenth"
    )
    gaps = pl.DataFrame(
        [(day, "AAA", gap) for day, gap in zip(DAYS, (0.0, -0.001, 0.03, -0.01, None), strict=True)],
        schema=NO_GAPS.schema,
        orient="row",
    )
    days = portfolio(
        *(entered(day, 100 + i, symbol=s, sigma=0.0) for i, day in enumerate(DAYS) for s in ("AAA", "BBB"))
    )
    assert trades(days, gaps)["gap"] == 1


def test_what_is_in_no_phase_is_calm_and_both_sides_add_up() -> None:
    rows = portfolio(
        *(
            entered(day, minute, symbol=symbol, sigma=0.001 * (1 + minute % 7), gross_pnl=float(minute), cost=3.0)
            for day in DAYS
            for minute in (2, 100, 200, 380)
            for symbol in ("AAA", "BBB")
        )
    )
    found = phases(rows)
    assert found["calm"]["trades"] > 0
    assert found["all"]["trades"] == rows.height
    assert found["all"]["trades"] - found["calm"]["trades"] <= sum(found[name]["trades"] for name in stress.PHASES)
    assert found["all"]["net_pnl"] == sum(rows["net_pnl"])
    nothing = phases(portfolio())
    assert {row["trades"] for row in nothing.values()} == {0}

"""Which end of its minute a stamp names: told by the edges of sessions, contradicted by them, or asked."""

from collections.abc import Callable
from datetime import date, timedelta

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.bars.vendor_columns import NUMBERS
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.stamp_side import stamp_side
from timegpt_assets_tests.core.vendors.wall_clocks import Bars

ENDS: Callable[[Bars], Bars] = lambda bars: bars.with_columns(pl.col("ts").dt.offset_by("1m"))  # noqa: E731


@pytest.mark.parametrize("hours", ["session", "long_day"])
@pytest.mark.parametrize("side", ["start", "end"])
def test_the_end_of_the_minute_is_read_off_the_sessions_edges(
    hours: str, side: str, request: pytest.FixtureRequest
) -> None:
    bars = request.getfixturevalue(hours)
    bars = ENDS(bars) if side == "end" else bars
    found, told = stamp_side(bars, said=None, claimed=None)
    assert found == side, str(told)
    other = "end" if side == "start" else "start"
    with pytest.raises(Refused, match=rf"--stamp {other} is contradicted by its bars: .* Say --stamp {side}"):
        stamp_side(bars, said=other, claimed=None)  # type: ignore[arg-type]


def crossed(bars: Bars, at: str) -> Bars:
    """Return the bars with a print of one price, the cross, a minute before the open or at the close."""
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date()
    rows = []
    for (day,), part in bars.group_by(local, maintain_order=True):
        session = calendar.session(day)  # type: ignore[arg-type]
        edge = part.head(1) if at == "open" else part.tail(1)
        time = session.open - timedelta(minutes=1) if at == "open" else session.close
        price = edge["open"][0]
        rows.append(edge.with_columns(pl.lit(time).cast(bars.schema["ts"]).alias("ts"),
                                      *(pl.lit(price).alias(n) for n in ("open", "high", "low", "close"))))  # fmt: skip
    return pl.concat([bars, *rows]).sort("ts")


def test_crosses_at_the_edges_do_not_turn_starts_into_ends(session: Bars) -> None:
    for bars in (crossed(session, "open"), crossed(session, "close"), crossed(crossed(session, "open"), "close")):
        assert stamp_side(bars, said=None, claimed=None)[0] == "start"
    ends = ENDS(crossed(session, "open"))  # 09:30 is a cross, then 09:31 to 16:00
    assert stamp_side(ends, said=None, claimed=None)[0] == "end"


def test_an_end_that_nothing_tells_is_asked_about_and_a_word_then_holds(session: Bars) -> None:
    midday = session.filter(pl.col("ts").dt.hour().is_between(16, 17))
    with pytest.raises(Refused, match=r"which end of the minute .* Say --stamp start or --stamp end"):
        stamp_side(midday, said=None, claimed=None)
    assert stamp_side(midday, said="end", claimed=None)[0] == "end"
    assert stamp_side(midday, said=None, claimed="end")[0] == "end"


DAYS = [s.day for s in calendar.sessions(date(2025, 2, 3), date(2025, 8, 8))]
Day = dict[float, float]
"""Minutes from the open -> volume; 390 is the close. A minute with half behind it is of one price."""


def made(*days: tuple[int, Day]) -> Bars:
    """Return bars of as many symbol-days of each kind, one after the other."""
    kinds = [kind for count, kind in days for _ in range(count)]
    rows = []
    for day, kind in zip(DAYS[: len(kinds)], kinds, strict=True):
        opens = calendar.session(day).open
        for minute, volume in kind.items():
            high = 10.0 if minute % 1 else 10.5
            rows.append(("AAPL", opens + timedelta(minutes=int(minute)), 10.0, high, 10.0, 10.0, volume))
    names = {"symbol": pl.String, "ts": TIME} | dict.fromkeys(NUMBERS, pl.Float64)
    return pl.DataFrame(rows, schema=names, orient="row")


def found(*days: tuple[int, Day]) -> str | None:
    """Return the side that the bars tell, None where they do not."""
    try:
        return stamp_side(made(*days), said=None, claimed=None)[0]
    except Refused:
        return None


def at(*minutes: float) -> Day:
    return dict.fromkeys(minutes, 1.0)


STARTS, ENDED, BOTH, LATE = at(0, 200, 389), at(1, 200, 390), at(0, 200, 390), at(2, 200, 390)


@pytest.mark.parametrize(
    ("days", "side"),
    [
        # Most begin at 09:30 or before it, and most end at 15:59: half of them are not most.
        ([(10, STARTS)], "start"),
        ([(10, at(-1, 200, 389))], "start"),
        ([(10, at(0, 200, 388))], None),
        ([(6, STARTS), (4, BOTH)], "start"),
        ([(5, STARTS), (5, BOTH)], None),
        ([(6, STARTS), (2, at(1, 389)), (2, at(1, 390))], "start"),
        ([(5, STARTS), (3, at(1, 389)), (2, at(1, 390))], None),
        # Most begin at 09:31 and end at 16:00 or behind it, and fewer than a tenth begin before.
        ([(10, ENDED)], "end"),
        ([(10, at(1, 200, 391))], "end"),
        ([(6, ENDED), (4, LATE)], "end"),
        ([(5, ENDED), (5, LATE)], None),
        ([(6, ENDED), (4, at(1, 200, 388))], "end"),
        ([(5, ENDED), (5, at(1, 200, 388))], None),
        ([(9, ENDED), (1, BOTH)], None),
        ([(11, ENDED), (1, BOTH)], "end"),
        # What stands further from the edges than a cross is no first and no last bar.
        ([(8, ENDED), (2, at(-2, 1, 200, 390))], "end"),
        ([(5, STARTS), (5, at(0, 200, 389, 392))], "start"),
        # A thin share seldom has its last minute, but has none at the close: one in ten is too many.
        ([(3, STARTS), (7, at(0, 200, 388))], "start"),
        ([(2, STARTS), (8, at(0, 200, 388))], None),
        ([(3, at(1, 389)), (2, at(0, 388)), (5, at(3, 388))], "start"),
        ([(3, at(1, 389)), (1, at(0, 388)), (6, at(3, 388))], None),
        ([(3, STARTS), (1, at(0, 390)), (6, at(0, 388))], None),
    ],
)
def test_shares_of_days_decide_at_the_edges(days: list[tuple[int, Day]], side: str | None) -> None:
    assert found(*days) == side


@pytest.mark.parametrize(
    ("flat_opens", "flat_closes", "side"),
    [(1, 9, "start"), (2, 9, None), (1, 8, None), (9, 1, "end"), (9, 2, None), (8, 1, None), (0, 0, None)],
)
def test_a_bar_of_one_price_at_an_edge_is_a_cross_when_nearly_all_are(
    flat_opens: int, flat_closes: int, side: str | None
) -> None:
    days = [at(0.5 if n < flat_opens else 0, 200, 390.5 if n < flat_closes else 390) for n in range(10)]
    assert found(*((1, day) for day in days)) == side


@pytest.mark.parametrize(
    ("around", "side"),
    [(-31, "start"), (-30, None), (-2, None), (-1, "start"), (392, None), (420, None), (421, "start")],
)
def test_prints_around_the_session_take_their_say_from_its_edges(around: int, side: str | None) -> None:
    assert found((10, STARTS | at(around))) == side


def test_prints_around_half_of_the_days_are_no_extended_hours() -> None:
    assert found((5, STARTS | at(-30)), (5, STARTS)) == "start"
    assert found((6, STARTS | at(-30)), (4, STARTS)) is None


def jump(before: float, at_open: float, inside: float) -> Day:
    """Return a day whose volume a minute is ``before``, then ``inside``; minutes next to those are no part of it."""
    edges = {-17.0: 1e6, -16.0: before * 7, -2.0: before * 8, -1.0: 1e6, 1.0: 1.0, 11.0: 1.0}
    return {-20.0: 1.0} | edges | {0.0: at_open, 2.0: 1.0, 10.0: 2 * inside - 1}


@pytest.mark.parametrize(
    ("days", "place", "side"),
    [(5, 0.62, "start"), (5, 0.58, None), (5, 0.42, None), (5, 0.38, "end"),
     (4, 0.92, "start"), (4, 0.88, None), (4, 0.12, None), (4, 0.08, "end")],
)  # fmt: skip
def test_the_bar_at_the_open_is_placed_between_the_volumes_around_it(days: int, place: float, side: str | None) -> None:
    assert found((days, jump(9.0, 10.0 ** (1 + 2 * place) - 1, 999.0))) == side


def test_minutes_without_volume_count_as_zero_on_the_log_scale() -> None:
    assert found((5, jump(0.0, 1000.0**0.62 - 1, 999.0))) == "start"
    assert found((4, jump(0.0, 0.0, 500.0))) == "end"


def test_a_rise_of_less_than_three_tells_nothing() -> None:
    assert found((5, jump(9.0, 30.0, 30.0))) == "start"
    assert found((5, jump(9.0, 28.0, 28.0))) is None
    assert found((5, jump(0.0, 1.9, 1.9))) is None


def test_the_sentence_says_how_far_volume_rises_and_of_how_many_days() -> None:
    told = stamp_side(made((5, jump(9.0, 999.0, 999.0))), said=None, claimed=None)[1]
    assert "100-fold" in told.evidence
    assert "of 5 symbol-days" in told.evidence


@pytest.mark.parametrize(
    ("first", "last", "side"), [(-330, 629, "start"), (-329, 630, "end"), (-330, 630, None), (-329, 629, None)]
)
def test_level_hours_tell_by_where_they_begin_and_end(first: int, last: int, side: str | None) -> None:
    day = at(first, -20, 0, 389, last)
    assert found((6, day), (4, at(-20, 0, 389))) == side
    assert found((5, day), (5, at(-20, 0, 389))) is None


@pytest.mark.parametrize(("days", "asked"), [(1, 1), (120, 120), (121, 61)])
def test_of_a_long_file_days_are_asked_spread_evenly(days: int, asked: int) -> None:
    told = stamp_side(made((days, STARTS)), said=None, claimed=None)[1]
    assert f"of {asked} symbol-days" in told.evidence


def test_rows_on_days_without_a_session_tell_nothing() -> None:
    saturday = made((1, STARTS)).with_columns(pl.col("ts").dt.offset_by("-2d"))
    with pytest.raises(Refused, match="no row lies in a session"):
        stamp_side(saturday, said=None, claimed=None)

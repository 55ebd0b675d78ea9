"""Which end of its minute a bar's stamp names: asked of the first and last bars of sessions, and of where volume jumps.

Belongs here: placed bars. A session of starts runs from 09:30 to 15:59, one of ends from 09:31 to 16:00. A print of a
cross may stand before the first or behind the last of either, so 09:30 to 16:00 alone decides nothing.
"""

import math

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.findings import Finding, Refused, Side

DAYS_ASKED = 120
"""Days looked at at most, spread evenly over the file."""
MOST, FEW = 0.5, 0.1
"""Shares of symbol-days: what holds for most decides, what holds for few is an exception."""
FLAT = 0.8
JUMP = math.log(3)
ENOUGH = 5
"""Symbol-days from which on a median is believed."""
SHOW_OPTION = "Say --stamp start or --stamp end."
_KEY = ("symbol", "day")
_DAWN, _DUSK = -330, 630
"""04:00 and 20:00 New York, between which shares trade, as minutes from the open at 09:30."""


def stamp_side(bars: pl.DataFrame, *, said: Side | None, claimed: Side | None) -> tuple[Side, Finding]:
    """Return which end stamps name, and the finding. ``bars`` [symbol, ts in UTC, open, high, low, close, volume].

    Raises Refused for a word that the bars contradict, and where neither word nor bars decide.
    """
    found, why = _evidence(_facts(bars))
    if said is not None:
        if found not in (None, said):
            raise Refused(f"--stamp {said} is contradicted by its bars: {why}. Say --stamp {found}, or leave it out.")
        how = f"as --stamp says, and {why}" if found else f"as --stamp says; {why}"
        return said, Finding("stamps name", f"the {said} of the minute", how)
    if found is not None:
        return found, Finding("stamps name", f"the {found} of the minute", why)
    if claimed is not None:
        return claimed, Finding("stamps name", f"the {claimed} of the minute", f"as its format has it; {why}")
    raise Refused(f"does not say which end of the minute its stamps name, and {why}. {SHOW_OPTION}")


def _facts(bars: pl.DataFrame) -> pl.DataFrame:
    """Return per symbol and session what stands around its edges; ``o`` counts minutes from the open, ``c`` to the
    close."""
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE)
    rows = bars.with_columns(day=local.dt.date())
    days = [d for d in rows["day"].unique().drop_nulls() if calendar.FIRST_DAY <= d <= calendar.LAST_DAY]
    if not days:
        return pl.DataFrame()
    held = sorted({s.day for s in calendar.sessions(min(days), max(days))} & set(days))
    asked = held[:: len(held) // (DAYS_ASKED + 1) + 1]
    sessions = calendar.sessions_frame(asked).rename({"open": "opens", "close": "closes"})
    rows = rows.join(sessions, on="day", how="inner").with_columns(
        o=(pl.col("ts") - pl.col("opens")).dt.total_minutes(),
        c=(pl.col("ts") - pl.col("closes")).dt.total_minutes(),
        flat=(pl.col("open") == pl.col("close")) & (pl.col("high") == pl.col("low")),
    )
    o, c = pl.col("o"), pl.col("c")
    return rows.group_by(_KEY).agg(
        before=o.is_between(-30, -2).any(),
        after=c.is_between(2, 30).any(),
        first=o.filter(o >= -1).min(),
        last=c.filter(c <= 1).max(),
        flat_open=pl.col("flat").filter(o == 0).any(),
        flat_close=pl.col("flat").filter(c == 0).any(),
        at_open=pl.col("volume").filter(o == 0).sum(),
        before_open=pl.col("volume").filter(o.is_between(-16, -2)).sum() / 15,
        in_session=pl.col("volume").filter(o.is_between(2, 10)).median(),
        dawn=o.min(),
        dusk=o.max(),
    )


def _share(facts: pl.DataFrame, asked: pl.Expr) -> float:
    return float(facts.select(asked.fill_null(False).mean()).item() or 0.0)


def _evidence(facts: pl.DataFrame) -> tuple[Side | None, str]:
    if not facts.height:
        return None, "no row lies in a session"
    shown = f"of {facts.height:,} symbol-days"
    extended = max(_share(facts, pl.col("before")), _share(facts, pl.col("after"))) > MOST
    found = _by_jump(facts, shown) if extended else _by_edges(facts, shown)
    return found or (None, f"the edges of its {facts.height:,} symbol-days do not tell")


def _by_edges(facts: pl.DataFrame, shown: str) -> tuple[Side, str] | None:
    """Return what first and last bars say, where a file holds the session and nothing around it."""
    opens = _share(facts, pl.col("first") <= 0)
    late = _share(facts, pl.col("first") == 1)
    early, at_close = _share(facts, pl.col("last") == -1), _share(facts, pl.col("last") >= 0)
    if early > MOST and opens > MOST:
        return "start", f"{opens:.0%} {shown} begin at 09:30 and {early:.0%} end at 15:59"
    if late > MOST and opens < FEW and at_close > MOST:
        return "end", f"{late:.0%} {shown} begin at 09:31 and {at_close:.0%} end at 16:00"
    if opens > MOST and at_close > MOST:
        return _by_flat(facts, shown)
    if at_close < FEW and early > 5 * FEW / 2 and opens > FEW:
        return "start", f"{early:.0%} {shown} end at 15:59 and {at_close:.0%} at 16:00"
    return None


def _by_flat(facts: pl.DataFrame, shown: str) -> tuple[Side, str] | None:
    """Return which of the bars at 09:30 and 16:00 is a minute: a print of a cross has one price."""
    flat_open, flat_close = _share(facts, pl.col("flat_open")), _share(facts, pl.col("flat_close"))
    words = f"of the bars at 09:30 {flat_open:.0%} have one price, of those at 16:00 {flat_close:.0%}: a cross has one"
    if flat_close > FLAT and flat_open < 1 - FLAT:
        return "start", words
    if flat_open > FLAT and flat_close < 1 - FLAT:
        return "end", words
    return None


def _by_jump(facts: pl.DataFrame, shown: str) -> tuple[Side, str] | None:
    """Return whether the bar at 09:30 is of the session or of the minutes before it, by its volume.

    Where it lies between the two on a log scale, 0 being the minutes before: a single minute is noise, so few
    symbol-days have to be surer than many. Else extended hours tell by where they begin and end.
    """
    low, high = (pl.col("before_open") + 1).log(), (pl.col("in_session") + 1).log()
    rises = facts.filter((high - low) > JUMP)
    place = rises.select((((pl.col("at_open") + 1).log() - low) / (high - low)).median()).item()
    doubt = 0.4 if rises.height >= ENOUGH else 0.1
    if place is not None:
        times = math.exp(rises.select((high - low).median()).item())
        words = f"volume rises {times:,.0f}-fold into the session in the median {shown}, and the bar at 09:30 is"
        if place > 1 - doubt:
            return "start", f"{words} of the session"
        if place < doubt:
            return "end", f"{words} of the minutes before it"
    if _share(facts, (pl.col("dawn") == _DAWN) & (pl.col("dusk") == _DUSK - 1)) > MOST:
        return "start", f"most {shown} begin at 04:00 and end at 19:59"
    if _share(facts, (pl.col("dawn") == _DAWN + 1) & (pl.col("dusk") == _DUSK)) > MOST:
        return "end", f"most {shown} begin at 04:01 and end at 20:00"
    return None

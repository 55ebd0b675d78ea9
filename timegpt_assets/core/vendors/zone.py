"""In which zone a clock stands: the bars themselves tell, by where their volume begins and ends against the calendar.

Belongs here: whole clocks. In the right zone volume rises at the session's open and falls at its close, on every day
and on both sides of a clock change; an hour off, one of the edges has nothing behind it. The minute at an edge is left
out, so that neither the crosses nor the end of the minute that a stamp names matter here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.clock_forms import is_zone
from timegpt_assets.core.vendors.findings import Finding, Refused
from timegpt_assets.core.vendors.shapes import NEW_YORK

DAYS_ASKED = 60
"""Days looked at, spread evenly over the file: enough for both sides of a clock change."""
LEAST_ROWS = 20
_FEW = 0.001
"""Share of rows that may lie outside the hours in which shares trade."""
DECIDED, MARGIN = 0.35, 0.3
"""A zone is decided when its edges score this much (1: nothing outside, -1: nothing inside), and this much more than
any other zone on the days on which that gives other times. Extended hours score 0.6 to 0.95, an hour off below 0.3."""
EDGE = 30
"""Minutes looked at on either side of an edge."""
_LEAST_INSIDE = 0.015
"""Share of a day's volume that lies inside an edge of the session at the least: level, it would be twice that."""
FIRST_TRADE, LAST_TRADE = 4 * 60, 20 * 60
"""Minutes of the New York day between which shares trade."""
OFFERED = ("UTC", NEW_YORK, "America/Chicago", "America/Denver", "America/Los_Angeles", "Europe/London",
           "Europe/Berlin", "Europe/Helsinki", "Europe/Moscow", "Asia/Kolkata", "Asia/Hong_Kong", "Asia/Tokyo",
           "Australia/Sydney", *(f"Etc/GMT{-hours:+d}" for hours in range(-11, 14) if hours))  # fmt: skip
SHOW_OPTION = "Say --timezone ZONE, for example --timezone America/New_York."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How well a zone fits: its edges' score by day, the share of rows in trading hours, whether it fills these."""

    zone: str
    days: Mapping[date, float]
    traded: float
    fills: bool

    @property
    def score(self) -> float:
        """Return the mean over the days, -1 without any."""
        return sum(self.days.values()) / len(self.days) if self.days else -1.0

    def lead(self, other: "Fit") -> float | None:
        """Return by how much it scores more than another on the days on which they differ; None where on none."""
        own = [score for day, score in self.days.items() if other.days.get(day) != score]
        others = [score for day, score in other.days.items() if self.days.get(day) != score]
        if not own and not others:
            return None
        return (sum(own) / len(own) if own else -1.0) - (sum(others) / len(others) if others else -1.0)


def zone(bars: pl.DataFrame, *, exact: bool, said: str | None, claimed: str | None) -> tuple[str, Finding]:
    """Return the zone of the clock ``wall`` in ``bars`` [wall, volume], and the finding.

    ``exact``: the file itself says that its clock is UTC. ``said`` is the user's word, ``claimed`` the vendor's. Raises
    Refused for a word that the bars contradict, and for a naive clock that neither word nor bars place.
    """
    if said is not None and not is_zone(said):
        raise Refused(
            f"--timezone {said} is no zone of the IANA database. Say for example --timezone America/New_York."
        )
    words = [word for word in (said, "UTC" if exact else None, claimed) if word]
    fits = _fits(_minutes(bars), [*words, *OFFERED])
    best, why = _decided(fits)
    if exact and (said is None or _same(fits, said, "UTC")):
        return _held(
            "UTC", "its stamps say their zone", fits, (best, why), f"--timezone {best.zone if best else NEW_YORK}"
        )
    if said is not None:
        return _held(said, "as --timezone says", fits, (best, why), "another --timezone, or none")
    if best is not None:
        return best.zone, Finding("zone", _shown(best.zone), why)
    if claimed is not None:
        return claimed, Finding("zone", _shown(claimed), f"as its format has it; {why}")
    raise Refused(f"names no zone with its times, and {why}. {SHOW_OPTION}")


def _held(word: str, whose: str, fits: list[Fit], found: tuple[Fit | None, str], remedy: str) -> tuple[str, Finding]:
    """Return the zone that somebody's word names, unless the bars are of another."""
    best, why = found
    own = next((fit for fit in fits if fit.zone == word), None)
    if best is None:
        return word, Finding("zone", _shown(word), f"{whose}; the bars do not contradict it")
    lead = None if own is None else best.lead(own)
    if own is None or lead is None or (lead < MARGIN and own.traded > best.traded - _FEW):
        return word, Finding("zone", _shown(word), f"{whose}, and {why}")
    raise Refused(
        f"{_shown(word)}, {whose}, is contradicted by its bars: read so {own.traded:.1%} of them lie between 04:00 and "
        f"20:00 New York and their volume scores {own.score:+.2f} at the session's edges (1: all of it inside), read "
        f"as {_shown(best.zone)} {best.traded:.1%} and {best.score:+.2f}. Say {remedy}, or fetch the file again."
    )


def _shown(name: str) -> str:
    return f"UTC{-int(name[7:]):+d}" if name.startswith("Etc/GMT") else name


def _edges(fit: Fit) -> str:
    return f"volume begins and ends with the New York session (edges score {fit.score:+.2f} of 1)"


def _minutes(bars: pl.DataFrame) -> pl.DataFrame:
    """Return volume per minute of the wall clock [wall, volume], of at most DAYS_ASKED days, in order."""
    rows = bars.select(pl.col("wall").dt.truncate("1m"), "volume").drop_nulls("wall")
    rows = rows.filter(pl.col("wall").dt.date().is_between(calendar.FIRST_DAY, calendar.LAST_DAY))
    days = rows["wall"].dt.date().unique().sort()
    asked = days.gather_every(max(1, -(-days.len() // DAYS_ASKED)))
    rows = rows.filter(pl.col("wall").dt.date().is_in(asked.to_list())) if asked.len() < days.len() else rows
    rows = rows.group_by("wall").agg(pl.col("volume").fill_null(0.0).sum(), rows=pl.len()).sort("wall")
    weight = pl.col("volume") if (rows["volume"].sum() or 0.0) > 0 else pl.col("rows").cast(pl.Float64)
    return rows.select("wall", weight.alias("volume"))


def _fits(minutes: pl.DataFrame, names: Iterable[str]) -> list[Fit]:
    """Return how each zone fits; of zones that give the same times the first is kept, except for its name's sake."""
    if minutes.height < LEAST_ROWS:
        return []
    seen: dict[tuple[object, ...], Fit] = {}
    fits: dict[str, Fit] = {}
    for name in dict.fromkeys(names):
        placed = minutes.with_columns(utc=pl.col("wall").dt.replace_time_zone(
            name, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC"))  # fmt: skip
        shift = placed.select((pl.col("utc").dt.replace_time_zone(None) - pl.col("wall")).dt.total_minutes().rle())
        key = tuple(map(tuple, (row.values() for row in shift.to_series().to_list())))
        if key not in seen:
            seen[key] = _fit(name, placed)
        fits[name] = replace(seen[key], zone=name)
    return list(fits.values())


def _fit(name: str, placed: pl.DataFrame) -> Fit:
    local = pl.col("utc").dt.convert_time_zone(NEW_YORK)
    rows = placed.drop_nulls("utc").with_columns(
        day=local.dt.date(), at=local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()
    )
    low, high = rows.select(low=pl.col("day").min(), high=pl.col("day").max()).row(0)
    sessions = _sessions(low, high)
    rows = rows.join(sessions, on="day", how="left")
    traded = rows.select((pl.col("closes").is_not_null() & pl.col("at").is_between(FIRST_TRADE, LAST_TRADE)).mean())
    by_day = rows.group_by("day").agg(
        *_edge("open", pl.col("at") - 570), *_edge("close", pl.col("closes") - 1 - pl.col("at")),
        first=pl.col("at").min(), last=pl.col("at").max(), all=pl.col("volume").sum(),
        open=pl.col("closes").first().is_not_null(),
    )  # fmt: skip
    # A stray print on a day without a session is no proof against a zone.
    by_day = by_day.filter(pl.col("open") | (pl.col("all") >= _LEAST_STRAY * pl.col("all").mean()))
    edges = pl.min_horizontal(_contrast("open"), _contrast("close"))  # where trading ends at 20:00 one edge fits too
    scores = by_day.select("day", score=pl.when("open").then(edges).otherwise(-1.0))
    fills = by_day.select(
        ((pl.col("first") <= FIRST_TRADE + 5) & (pl.col("last") >= LAST_TRADE - 5)).mean()
    ).item()  # fmt: skip
    return Fit(zone=name, days=dict(scores.iter_rows()), traded=float(traded.item()), fills=fills >= 0.5)


_LEAST_STRAY = 0.05
"""Share of a mean day's volume, on a day on which the exchange is closed, that counts against a zone."""


def _edge(name: str, since: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the volume within EDGE minutes inside and outside an edge; ``since`` counts minutes into the session."""
    inside, outside = since.is_between(1, EDGE), since.is_between(-EDGE - 1, -3)
    return (
        pl.col("volume").filter(inside).sum().alias(f"{name}_in"),
        pl.col("volume").filter(outside).sum().alias(f"{name}_out"),
    )


def _contrast(edge: str) -> pl.Expr:
    inside, outside = pl.col(f"{edge}_in"), pl.col(f"{edge}_out")
    is_enough = (inside > 0) & (inside >= _LEAST_INSIDE * pl.col("all"))
    return pl.when(is_enough).then((inside - outside) / (inside + outside)).otherwise(-1.0)


def _sessions(low: date | None, high: date | None) -> pl.DataFrame:
    """Return [day, closes]: the sessions between, and the minute of the New York day at which each closes."""
    first, last = max(low or calendar.FIRST_DAY, calendar.FIRST_DAY), min(high or calendar.FIRST_DAY, calendar.LAST_DAY)
    held = calendar.sessions(first, last) if first <= last else ()
    closes = [570 + session.minutes for session in held]
    schema = {"day": pl.Date, "closes": pl.Int32}
    return pl.DataFrame({"day": [session.day for session in held], "closes": closes}, schema=schema)


def _decided(fits: list[Fit]) -> tuple[Fit | None, str]:
    """Return the zone that the bars decide for, and why; None when they do not."""
    if not fits:
        return None, f"{LEAST_ROWS} minutes are the least that can tell"
    best = max(fits, key=lambda fit: fit.score)
    leads = [lead for fit in fits if (lead := best.lead(fit)) is not None]
    if best.score >= DECIDED and min(leads, default=1.0) >= MARGIN:
        return best, _edges(best)
    # Reversed: of zones that fit alike the first stays, and what was said or claimed comes first.
    within = {tuple(fit.days.items()): fit for fit in reversed(fits) if fit.traded >= 1 - _FEW}
    if len(within) == 1 and (only := next(iter(within.values()))).fills:
        return only, "all rows lie between 04:00 and 20:00 New York, and fill it, in no other zone"
    return None, f"its volume does not tell: {_shown(best.zone)} fits best, {best.score:+.2f} at the session's edges"


def _same(fits: list[Fit], one: str, other: str) -> bool:
    by_name = {fit.zone: fit for fit in fits}
    if one == other or one not in by_name or other not in by_name:
        return one == other or one not in by_name
    return by_name[one].lead(by_name[other]) is None

"""Scored news as the layers leave it, made up: every kind of event at awkward moments, and a slow way to count it.

Belongs here: seeded events, what a change of later ones is, and the features of news by plain loops over dicts.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.news.windows import window
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.news import RAW_NEWS, SCORED_NEWS

SOURCES = ("fred", "own", "gdelt_files")
TIERS = {"fred": 1, "own": 2, "gdelt_files": 3}
Event = Mapping[str, Any]


def link(event: int, known_at: datetime, *, symbol: str | None = None, macro: bool = False, **other: Any) -> Event:
    """Return one link of an event, as SCORED_NEWS holds it, without its day."""
    entity = "market" if macro else symbol or "nobody"
    source = other.get("source", "own")
    return {
        "event_id": f"{event:08x}",
        "source": source,
        "type": "headline",
        "title": f"story {event}",
        "known_at": known_at,
        "entity": entity,
        "entity_kind": "macro" if macro else "symbol" if symbol else "company",
        "symbol": symbol,
        "method": "given",
        "synthetic_link": False,
        "cluster_id": f"{event:08x}",
        "surprise": None,
        "tier": TIERS[source],
        "confidence": 0.8,
        "novelty": 1.0,
        "quality": 0.5,
        "used": True,
    } | other


def links(days: Sequence[date], symbols: Sequence[str], *, seed: int = 1, each: int = 90) -> list[Event]:
    """Return links of events of the sessions and of the one before them: of everybody, of nobody, of two at once.

    A third of them is known on a minute, a third a microsecond after one; some tell what others told, some are no use.
    """
    random, found = np.random.default_rng(seed), list[Event]()
    for n, day in enumerate([calendar.shifted(min(days), -1), *days]):
        opened, (begun, ended) = calendar.session(day).open, window(day)
        for i in range(each):
            event = n * 1_000_000 + i
            span = (begun, opened) if i % 3 == 0 else (opened - timedelta(minutes=40), ended)
            minutes = int(random.integers(1, (span[1] - span[0]) // timedelta(minutes=1)))
            known_at = span[0] + timedelta(minutes=minutes, microseconds=(0, 1, int(random.integers(6e7)))[i % 3])
            kind = str(random.choice(["headline", "headline", "value", "release"]))
            about: dict[str, Any] = {
                "source": str(random.choice(SOURCES)),
                "type": kind,
                "novelty": float(random.choice([1.0, 0.5])),
                "surprise": float(random.normal(0.0, 1.5)) if kind == "value" and random.random() < 0.8 else None,
                "used": bool(random.random() < 0.9),
            }
            symbol = str(random.choice(symbols))
            for who in ({"symbol": symbol}, {"macro": True}, {}, {"symbol": symbols[0], "entity": "a share of it"}):
                if random.random() < 0.4:
                    found.append(link(event, known_at, **who, **about, quality=float(random.random())))
    return found


def scored(made: Sequence[Event], days: Collection[date]) -> pl.DataFrame:
    """Return SCORED_NEWS of the days: the links of each, and of the session before it."""
    schema = {name: dtype for name, dtype in SCORED_NEWS.schema.items() if name != "day"}
    frame = pl.DataFrame(list(made), schema=schema, orient="row")
    parts = []
    for day in sorted(set(days)):
        begun, ended = window(calendar.shifted(day, -1))[0], window(day)[1]
        known = pl.col("known_at").is_between(pl.lit(begun, TIME), pl.lit(ended, TIME), closed="right")
        parts.append(frame.filter(known).with_columns(day=pl.lit(day)))
    return SCORED_NEWS.conformed(pl.concat([SCORED_NEWS.empty(), *(p.select(*SCORED_NEWS.columns) for p in parts)]))


def raw(answered: Collection[date], silent: Collection[date] = (), sources: Sequence[str] = SOURCES) -> pl.DataFrame:
    """Return RAW_NEWS: two questions of each day to each source, of which one was answered, or none."""
    rows = [
        {"day": day, "source": source, "asked": f"{n}", "failed": None if n and day in answered else "no answer"}
        for day in (*answered, *silent)
        for source in sources
        for n in range(2)
    ]
    return RAW_NEWS.conformed(pl.DataFrame(rows, schema=RAW_NEWS.schema))


def otherwise_after(made: Sequence[Event], at: datetime, seed: int) -> list[Event]:
    """Return the links with every event that was not known by ``at`` changed, some gone, and some more."""
    random = np.random.default_rng(seed)
    known = [one for one in made if one["known_at"] <= at]
    later = [one for one in made if one["known_at"] > at]
    moved = [
        {**one, "quality": float(random.random()), "novelty": 1.5 - one["novelty"], "used": True, "source": "fred"}
        | {"surprise": float(random.normal(0.0, 3.0)) if one["type"] == "value" else None}
        for one in later
        if random.random() < 0.8
    ]
    copies = [{**one, "event_id": f"copy of {one['event_id']}", "type": "release"} for one in later[::3]]
    just_then = [
        link(90_000_000 + n, at + timedelta(microseconds=1), **who, type=kind, source=SOURCES[n % 3], surprise=surprise)
        for n, (who, kind, surprise) in enumerate(
            (who, kind, surprise)
            for who in ({"symbol": "AAA"}, {"macro": True})
            for kind, surprise in (("headline", None), ("release", None), ("value", 9.0), ("value", -9.0))
        )
    ]
    return [*known, *moved, *copies, *just_then]


def slowly(made: Sequence[Event], *, symbol: str, at: datetime, answered: bool) -> dict[str, float | None]:
    """Return the features of news of a symbol at a moment, one event after the other; None for null."""
    flags = ("news_missing", "news_headline_missing", "news_value_missing", "news_release_missing")
    found: dict[str, float | None] = dict.fromkeys(flags, float(not answered))
    known = [one for one in made if one["used"] and one["known_at"] <= at]
    markets = [one for one in known if one["entity_kind"] == "macro"]
    own = [one for one in known if one["symbol"] == symbol and one["entity_kind"] != "macro"]
    best = {one["event_id"]: one for one in sorted([*markets, *own], key=itemgetter("quality"))}
    for name, minutes in (("30m", 30), ("1d", 24 * 60)):
        inside = [one for one in best.values() if at - one["known_at"] < timedelta(minutes=minutes)]
        for kind in ("headline", "value", "release"):
            alike = [one for one in inside if one["type"] == kind]
            found[f"news_{kind}_count_{name}"] = float(len(alike))
            found[f"news_{kind}_weight_{name}"] = sum(one["quality"] for one in alike)
        found[f"news_first_count_{name}"] = float(sum(one["novelty"] == 1.0 for one in inside))
        told = [one["surprise"] for one in inside if one["surprise"] is not None]
        found[f"news_surprise_above_{name}"] = float(any(value >= 1.0 for value in told))
        found[f"news_surprise_below_{name}"] = float(any(value <= -1.0 for value in told))
        found[f"news_sources_{name}"] = float(len({one["source"] for one in inside}))
    for name, whose in (("news_own_age", own), ("news_market_age", markets)):
        newest = max((one["known_at"] for one in whose), default=None)
        found[name] = None if newest is None else (at - newest) / timedelta(minutes=1)
    return found if answered else dict.fromkeys(found) | dict.fromkeys(flags, 1.0)

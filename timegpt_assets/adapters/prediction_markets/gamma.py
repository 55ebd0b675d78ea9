"""What Gamma tells of a market, as a row of MARKETS: JSON inside JSON, numbers as text, fields that may be absent.

Belongs here: reading one market. Which are asked for is polymarket.py.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from timegpt_assets.core.tsfm.segments import UNKNOWN

Row = dict[str, Any]


class Unreadable(ValueError):
    """Raised for a market that cannot be read; its text is the reason that is counted."""


def row(market: object, at: datetime) -> Row:
    """Return a market as a row of MARKETS, its condition beside it as ``condition_id``. Raises Unreadable.

    The price is that of the first outcome: Gamma's quotes are of its token. 0 and 1 are no quotes, nobody can bid
    them: such a side of the book is empty. Gamma tells no time of a last trade.
    """
    if not isinstance(market, Mapping):
        raise Unreadable("no_object")
    tokens, outcomes = _listed(market, "clobTokenIds"), _listed(market, "outcomes")
    if len(tokens) != 2 or len(outcomes) != 2:
        raise Unreadable("not_two_outcomes")
    event = _event(market)
    bid, ask = _number(market, "bestBid"), _number(market, "bestAsk")
    return {
        "day": at.date(),
        "as_of": at,
        "market_id": _text(market, "id"),
        "event_id": str(event.get("slug") or event.get("id") or _text(market, "conditionId")),
        "question": _text(market, "question"),
        "category": str(market.get("category") or event.get("category") or UNKNOWN),
        "token_id": str(tokens[0]),
        "end_ts": _moment(market, "endDate"),
        "active": market.get("active") is True
        and market.get("closed") is not True
        and market.get("acceptingOrders") is not False,
        "volume_24h": _amount(market, "volume24hr"),
        "open_interest": _amount(market, "openInterest"),
        "bid": None if bid == 0.0 else bid,
        "ask": None if ask == 1.0 else ask,
        "last_trade": _number(market, "lastTradePrice"),
        "last_trade_ts": None,
        "ambiguity": None,
        "resolved_yes": None,
        "live": True,
        "condition_id": _text(market, "conditionId"),
    }


def _event(market: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the event that a market belongs to; one that names none is its own."""
    events = market.get("events")
    found = events[0] if isinstance(events, Sequence) and events else None
    return found if isinstance(found, Mapping) else {}


def _text(market: Mapping[str, Any], name: str) -> str:
    said = market.get(name)
    if isinstance(said, (str, int)) and str(said).strip():
        return str(said).strip()
    raise Unreadable(f"no_{name}")


def _listed(market: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list, which Gamma writes as JSON inside of a text."""
    said = market.get(name)
    try:
        found = orjson.loads(said) if isinstance(said, str) else said
    except ValueError:
        raise Unreadable(f"bad_{name}") from None
    if not isinstance(found, list):
        raise Unreadable(f"bad_{name}")
    return found


def _number(market: Mapping[str, Any], name: str) -> float | None:
    """Return a number, written as one or as text; None where it is absent or null."""
    said = market.get(name)
    if said is None or said == "":
        return None
    try:
        found = float(said)
    except (TypeError, ValueError):
        raise Unreadable(f"bad_{name}") from None
    if isinstance(said, bool) or not math.isfinite(found):
        raise Unreadable(f"bad_{name}")
    return found


def _amount(market: Mapping[str, Any], name: str) -> float | None:
    found = _number(market, name)
    if found is not None and found < 0:
        raise Unreadable(f"bad_{name}")
    return found


def _moment(market: Mapping[str, Any], name: str) -> datetime | None:
    said = market.get(name)
    if not said:
        return None
    try:
        found = datetime.fromisoformat(str(said))
    except ValueError:
        raise Unreadable(f"bad_{name}") from None
    if found.tzinfo is None:
        raise Unreadable(f"bad_{name}")
    return found.astimezone(UTC)

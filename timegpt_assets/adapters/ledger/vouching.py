"""What the ledger vouches for: that an answer was asked from here, and that it may say it was live.

Belongs here: the seal on a stored answer's record, and the provider's clock beside this machine's. A restored cache, a
copied one and a forged file have whole checksums too; only what this ledger sealed is what was asked from here, when it
says.
"""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from timegpt_assets.adapters.ledger.tables import MARKS

_LOG = logging.getLogger(__name__)
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far honest clocks may lie apart."""
SEAL = "seal"


Sealing: TypeAlias = Callable[[str, Mapping[str, Any], datetime], dict[str, Any]]
"""(request hash, the record of its answer, when it came) -> the record sealed.

It is fetched before a call is sent, so that nothing stands between its answer and the disk; a closure, because it holds
a secret that no repr may show.
"""


def sealing(connection: sa.Connection, host: str, spent: Mapping[str, str]) -> Sealing:
    """Return what seals an answer of the host; the secret is made once, backed up and restored with the ledger.

    ``spent`` is what the call is booked under, for a ledger that is restored from before it.
    """
    if not _mark(connection, SEAL):
        _set_mark(connection, SEAL, secrets.token_hex(32))
    secret, heard = bytes.fromhex(_mark(connection, SEAL)), _mark(connection, _clock(host))
    latest = datetime.fromisoformat(heard) if heard else None

    def sealed(request_hash: str, record: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        kept = {**_at_most_as_live(record, latest, now), "spent": dict(spent)}
        return {**kept, SEAL: _seal(secret, request_hash, kept)}

    return sealed


def _at_most_as_live(record: Mapping[str, Any], latest: datetime | None, now: datetime) -> Mapping[str, Any]:
    """Return the record; not live where this machine's clock is behind the latest time that the provider told."""
    told = max(filter(None, (served(record), latest)), default=now)
    if not is_live(record) or told <= now + CLOCKS_DIFFER:
        return record
    said = "%s said it was %s when this machine's clock said %s: what is asked by it is not live. Set the clock."
    _LOG.warning(said, record.get("host"), told.isoformat(), now.isoformat())
    return not_live(record)


def is_sealed(connection: sa.Connection, request_hash: str, record: Mapping[str, Any]) -> bool:
    """Return whether this ledger sealed the record of the request's answer."""
    secret = bytes.fromhex(_mark(connection, SEAL))
    kept = {name: value for name, value in record.items() if name != SEAL}
    claimed = str(record.get(SEAL)).encode(errors="replace")
    return bool(secret) and hmac.compare_digest(claimed, _seal(secret, request_hash, kept).encode())


def remember_clock(connection: sa.Connection, host: str, record: Mapping[str, Any], *, now: datetime) -> None:
    """Keep the latest time that the provider told; one that lies ahead of this clock is one clock's word alone."""
    told, latest = served(record), _mark(connection, _clock(host))
    if told and told <= now + CLOCKS_DIFFER and (not latest or told > datetime.fromisoformat(latest)):
        _set_mark(connection, _clock(host), told.isoformat())


def served(record: Mapping[str, Any]) -> datetime | None:
    """Return when the provider says it served the answer, None where it does not say."""
    try:
        found = parsedate_to_datetime(str(record.get("served_at")))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def is_live(record: Mapping[str, Any]) -> bool:
    """Return whether the record says that its answer was asked live."""
    return record.get("data_regime") == "prod_live"


def not_live(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of an answer whose own word that it was live is nobody's word here."""
    return {**record, "data_regime": "maintenance_replay"} if is_live(record) else {**record}


def _seal(secret: bytes, request_hash: str, record: Mapping[str, Any]) -> str:
    # sorted JSON: the record is read back from the cache and from the ledger, in either's order
    return hmac.new(
        secret, json.dumps([request_hash, dict(record)], sort_keys=True).encode(), hashlib.sha256
    ).hexdigest()


def _clock(host: str) -> str:
    return f"served by {host}"


def _mark(connection: sa.Connection, name: str) -> str:
    return connection.execute(sa.select(MARKS.c.value).where(MARKS.c.name == name)).scalar() or ""


def _set_mark(connection: sa.Connection, name: str, value: str) -> None:
    connection.execute(sa.delete(MARKS).where(MARKS.c.name == name))
    connection.execute(sa.insert(MARKS).values(name=name, value=value))

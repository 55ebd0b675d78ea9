"""Deliveries made up for the tests of the layers: bodies are names, readers answer with what is planned for them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from timegpt_assets.core.news.delivered import Delivered, Told
from timegpt_assets.core.news.normalise import ClockSpec, Normalised, Reader, normalised

LATE = datetime(2026, 1, 5, 12, tzinfo=UTC)
REPLAY = ClockSpec(
    clock="replay",
    latency={"own": timedelta(minutes=1), "gdelt_doc": timedelta(minutes=15), "fred": timedelta(0)},
    tolerance=timedelta(minutes=5),
)
LIVE = ClockSpec(clock="live", latency=REPLAY.latency, tolerance=REPLAY.tolerance)


def headline(title: str, at: datetime | date, url: str | None = None, tickers: Sequence[str] = ()) -> Told:
    """Return a headline of a moment, or of a date alone."""
    is_moment = isinstance(at, datetime)
    return Told(
        type="headline",
        title=title,
        url=url,
        tickers=tuple(tickers),
        published_at=at if is_moment else None,
        published_on=None if is_moment else at,
    )


def delivery(name: str, *, source: str = "own", fetched_at: datetime = LATE) -> Delivered:
    """Return the delivery of a body that is its own name."""
    body = name.encode()
    found = hashlib.sha256(body).hexdigest()
    return Delivered(source=source, asked=name, fetched_at=fetched_at, content_hash=found, body=body)


def rows(
    said: Mapping[str, Sequence[Told]],
    days: Iterable[date],
    *,
    clock: ClockSpec = REPLAY,
    source: str = "own",
    fetched_at: datetime = LATE,
) -> Normalised:
    """Return what is made of deliveries that tell this, by the name of each."""
    reader: Reader = lambda answer: said[answer.body.decode()]  # noqa: E731 - a plan, not a function
    deliveries = [delivery(name, source=source, fetched_at=fetched_at) for name in said]
    return normalised(deliveries, readers={source: reader}, clock=clock, days=list(days))

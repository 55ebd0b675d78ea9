"""FRED's answers: what each period's value was said to be, and since when; on which dates releases came.

Belongs here: reading the two kinds of answer and telling their events. A question is named by its path and parameters
(``named``), so that an answer is read against what was asked: FRED passes over what it does not know with status 200.
Source of the format: fred.stlouisfed.org/docs/api, and bodies recorded by others (timegpt_assets_tests/fixtures/fred).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.core.news.delivered import Told
from timegpt_assets.core.news.formats.text import json_value
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.core.news.surprise import surprises
from timegpt_assets.core.news.windows import next_open

OBSERVATIONS, RELEASES = "series/observations", "releases/dates"
ZONE = "America/Chicago"
"""FRED's days are those of US Central time."""
PAGE = 1000
"""Most release dates in one answer."""
OBSERVED = pl.Schema({"period": pl.Date, "start": pl.Date, "end": pl.Date, "value": pl.Float64})
_REMEDY = "Nothing of it is used. Materialise raw_news of the day again later; if it stays so, report it."
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FredSpec:
    """What a FRED answer alone does not say.

    ``moments``: series -> date -> the moment of its release that day, where known. ``releases``: release id -> the same
    of each release whose dates are events. ``changes``: of how many changes a surprise is told (surprise.py).
    """

    moments: Mapping[str, Mapping[date, datetime]] = field(default_factory=dict)
    releases: Mapping[int, Mapping[date, datetime]] = field(default_factory=dict)
    changes: int


def named(path: str, parameters: Mapping[str, str]) -> str:
    """Return the name of a question: its path and parameters, in their order."""
    return f"{path}?{urlencode(parameters)}"


def asked_for(asked: str) -> tuple[str, dict[str, str]]:
    """Return path and parameters of a question."""
    parts = urlsplit(asked)
    return parts.path, dict(parse_qsl(parts.query))


def told(body: bytes, *, asked: str, fetched_at: datetime, spec: FredSpec) -> list[Told]:
    """Return the events of an answer: new values of a series, or releases. Raises Unreadable.

    A value is known from its release's moment, where the spec has one of that date, else from the next session's open.
    """
    path, parameters = asked_for(asked)
    if path == RELEASES:
        return [_released(row, spec) for row in release_dates(body, asked=asked) if row[0] in spec.releases]
    return _valued(observations(body, asked=asked, fetched_at=fetched_at), parameters, spec)


def observations(body: bytes, *, asked: str, fetched_at: datetime) -> pl.DataFrame:
    """Return [period, start, end: from and until when it was the value, value] of an answer, by period and start.

    A null value: there was none, or it was withdrawn. Raises Unreadable for an answer to another question (FRED ignores
    parameters it does not know), for a value dated ahead of the question's end or of FRED's own today, and for two
    values of a period at once.
    """
    said = _mapping(body, ("observations", "count", "output_type", "units"))
    _, wanted = asked_for(asked)
    first, last = _echoed(said, wanted)
    if (kind := (said["output_type"], said["units"])) != (1, "lin"):
        raise Unreadable(
            f"is of output_type {kind[0]} in units {kind[1]}, not 1 in lin: type 4 begins at the first vintage that "
            f"FRED keeps and leaves older periods out without a word. {_REMEDY}"
        )
    rows = said["observations"]
    if not isinstance(rows, list) or said["count"] != len(rows):
        raise Unreadable(f"says that it has {said['count']} observations and has {_length(rows)}. {_REMEDY}")
    frame = pl.DataFrame([_row(row, n) for n, row in enumerate(rows)], schema=OBSERVED, orient="row")
    _refuse_ahead(frame, first, min(last, fetched_at.astimezone(ZoneInfo(ZONE)).date()))
    return _refuse_overlaps(frame.sort("period", "start"))


def as_of(observed: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return [period, value] as known on a day that the answer covers, by period; null: none, or withdrawn."""
    return observed.filter(pl.col("start") <= day, pl.col("end") >= day).select("period", "value")


def release_dates(body: bytes, *, asked: str) -> list[tuple[int, str, date]]:
    """Return (release id, name, date) of each release in one page. Raises Unreadable."""
    said = _mapping(body, ("release_dates", "count", "offset"))
    _, wanted = asked_for(asked)
    first, last = _echoed(said, wanted)
    rows, offset = said["release_dates"], int(wanted["offset"])
    if not isinstance(rows, list) or said["offset"] != offset or len(rows) != min(PAGE, said["count"] - offset):
        raise Unreadable(
            f"has {_length(rows)} release dates from number {said['offset']} of {said['count']}, "
            f"asked for {PAGE} from number {offset}. {_REMEDY}"
        )
    found = [_release(row, n) for n, row in enumerate(rows)]
    if outside := [day for _, _, day in found if not first <= day <= last]:
        raise Unreadable(f"has a release dated {outside[0]}, asked for {first}..{last}. {_REMEDY}")
    return found


def pages_left(body: bytes) -> bool:
    """Return whether a page of release dates is not the last."""
    said = json_value(body)
    return bool(said["offset"] + len(said["release_dates"]) < said["count"])


def _valued(observed: pl.DataFrame, wanted: Mapping[str, str], spec: FredSpec) -> list[Told]:
    """Return the values that are new after the first day asked about: what was known on it came then or earlier."""
    begin = date.fromisoformat(wanted["realtime_start"])
    before = {vintage: dict(as_of(observed, vintage - _DAY).rows()) for vintage in observed["start"].unique()}
    rows = [
        (period, start, value, before[start].get(period))
        for period, start, _, value in observed.rows()
        if start > begin and not (period in before[start] and before[start][period] == value)
    ]
    found = _surprises(observed, [(period, start) for period, start, _, _ in rows], wanted["series_id"], spec.changes)
    return [_value(wanted["series_id"], row, spec, found[row[:2]]) for row in rows]


def _surprises(
    observed: pl.DataFrame, events: list[tuple[date, date]], series: str, changes: int
) -> dict[tuple[date, date], float | None]:
    """Return (period, vintage) -> surprise of each event."""
    rows = [
        (f"{period} {start}" if (period, start) in set(events) else None, series, period, start, value)
        for period, start, _, value in observed.rows()
    ]
    schema = {"event_id": pl.String, "series": pl.String, "period": pl.Date, "vintage": pl.Date, "value": pl.Float64}
    found = dict(surprises(pl.DataFrame(rows, schema=schema, orient="row"), changes=changes).rows())
    return {(period, start): found[f"{period} {start}"] for period, start in events}


def _value(
    series: str, row: tuple[date, date, float | None, float | None], spec: FredSpec, surprise: float | None
) -> Told:
    period, vintage, value, was = row
    at = spec.moments.get(series, {}).get(vintage)
    return Told(
        type="value",
        title=f"{series} of {period}: {_in_words(value, was)}",
        url=f"https://fred.stlouisfed.org/series/{series}",
        series=series,
        value=value,
        surprise=surprise,
        published_on=vintage,
        published_at=at,
        known_from=None if at else next_open(vintage),
    )


def _in_words(value: float | None, was: float | None) -> str:
    if value is None:
        return "no value" if was is None else f"withdrawn, was {was:.15g}"
    return f"{value:.15g}" if was is None else f"{value:.15g}, revised from {was:.15g}"


def _released(row: tuple[int, str, date], spec: FredSpec) -> Told:
    number, name, day = row
    at = spec.releases[number].get(day)
    return Told(
        type="release",
        title=f"{name}: released on {day}",
        url=f"https://fred.stlouisfed.org/release?rid={number}",
        published_on=day,
        published_at=at,
        known_from=None if at else next_open(day),
    )


def _mapping(body: bytes, fields: tuple[str, ...]) -> dict[str, Any]:
    said = json_value(body)
    if not isinstance(said, dict):
        raise Unreadable(f"is no JSON object but begins {body[:60]!r}. {_REMEDY}")
    if missing := [name for name in (*fields, "realtime_start", "realtime_end") if name not in said]:
        raise Unreadable(f"lacks {missing[0]}: {str(said.get('error_message', sorted(said)))[:200]}. {_REMEDY}")
    return said


def _echoed(said: Mapping[str, Any], wanted: Mapping[str, str]) -> tuple[date, date]:
    """Return the first and last day asked about. Raises Unreadable where the answer is about other days."""
    for name in ("realtime_start", "realtime_end"):
        if said[name] != wanted[name]:
            raise Unreadable(
                f"is about {name} {said[name]}, asked was {wanted[name]}: values as known on other days. {_REMEDY}"
            )
    return date.fromisoformat(wanted["realtime_start"]), date.fromisoformat(wanted["realtime_end"])


def _row(row: Any, number: int) -> tuple[date, date, date, float | None]:
    try:
        period, start, end = (date.fromisoformat(row[name]) for name in ("date", "realtime_start", "realtime_end"))
        value = None if row["value"] == "." else float(row["value"])
        if start > end or (value is not None and not math.isfinite(value)):
            raise ValueError("no finite number, or it ended before it began")
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"has {str(row)[:200]} as observation {number}: {error}. {_REMEDY}") from error
    return period, start, end, value


def _release(row: Any, number: int) -> tuple[int, str, date]:
    try:
        return int(row["release_id"]), str(row["release_name"]), date.fromisoformat(row["date"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"has {str(row)[:200]} as release date {number}: {error!r}. {_REMEDY}") from error


def _refuse_ahead(observed: pl.DataFrame, first: date, last: date) -> None:
    for period, start in observed.filter(~pl.col("start").is_between(first, last)).select("period", "start").rows():
        raise Unreadable(
            f"has a value of {period} dated {start}, outside {first}..{last}, which was asked about and has begun in "
            f"US Central time. {_REMEDY}"
        )


def _refuse_overlaps(observed: pl.DataFrame) -> pl.DataFrame:
    both = observed.filter(pl.col("start") <= pl.col("end").shift().over("period"))
    for period, start in both.select("period", "start").rows():
        raise Unreadable(f"has two values of {period} on {start}. {_REMEDY}")
    return observed


def _length(rows: Any) -> str:
    return f"{len(rows)}" if isinstance(rows, list) else "none"

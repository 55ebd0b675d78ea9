"""FRED as a source of news: which vintages and release dates a session asks for, and what its answers are worth.

Belongs here: the questions, the key and the judgement of answers. How patiently is asked is asking.py, what an answer
tells core/news/formats/fred.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http import HTTPStatus
from zoneinfo import ZoneInfo

import orjson

from timegpt_assets.adapters.news.connector import Doubt, Question, SecretMissing, Verdict
from timegpt_assets.core.news.formats import fred
from timegpt_assets.core.news.formats.unreadable import Unreadable

URL = "https://api.stlouisfed.org/fred"
KEY = "FRED_API_KEY"
HISTORY_YEARS = 5
"""Of how long ago periods are asked for: older ones that are revised are no news."""
_SHAPE = {"file_type": "json", "sort_order": "asc"}


@dataclass(frozen=True, kw_only=True)
class Fred:
    """FRED, asked for the vintages of some series and for the dates of releases.

    ``key`` is looked up when something is asked, ``clock`` when an answer is judged: none may tell of a day to come.
    """

    series: tuple[str, ...]
    releases: bool
    key: Callable[[], str | None] = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    base_url: str = URL

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        return "fred"

    def questions(self, window: tuple[datetime, datetime], day: date) -> Sequence[Question]:
        """Return a question per series, and one about releases: the dates from the session before to the day's own.

        The vintages of one more day are asked for: what was known on it is what later ones are new against, and FRED
        clips every vintage to the window. No window holds more than 2,000 dates, FRED's most vintages in one answer;
        none is asked about before its last day is over here, since FRED answers with made-up days where its own, in US
        Central time, have not begun.
        """
        first = window[0].astimezone(ZoneInfo(fred.ZONE)).date()
        since = date(day.year - HISTORY_YEARS, 1, 1)
        known = {"realtime_start": str(first - timedelta(days=1)), "realtime_end": str(day)}
        asked = [
            (fred.OBSERVATIONS, {"series_id": series, **known, "observation_start": str(since)})
            for series in self.series
        ]
        if self.releases:
            asked.append((fred.RELEASES, {"realtime_start": str(first), "realtime_end": str(day), "offset": "0"}))
        return [self._question(path, parameters, window[1]) for path, parameters in asked]

    def further(self, question: Question, body: bytes) -> Sequence[Question]:
        """Return the next page of release dates, nothing after the last one and after observations."""
        path, parameters = fred.asked_for(question.asked)
        if path != fred.RELEASES or not fred.pages_left(body):
            return ()
        return [
            self._question(path, parameters | {"offset": f"{int(parameters['offset']) + fred.PAGE}"}, question.whole_at)
        ]

    def secret(self) -> Mapping[str, str]:
        """Return the key as FRED takes it. Raises SecretMissing."""
        key = (self.key() or "").strip()
        if not key.isascii() or not key.isprintable() or " " in key or not key:
            what = f"{KEY} holds what no key holds" if key else f"{KEY} is not set"
            raise SecretMissing(
                f"{what}, and FRED answers nobody without a key: nothing was asked. Put the key of "
                f"fred.stlouisfed.org/docs/api/api_key.html into the environment or .env as {KEY}."
            )
        return {"api_key": key}

    def judged(self, question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Verdict | None:
        """Return why an answer cannot be used, None where it can."""
        if status == HTTPStatus.OK:
            return self._unusable(question, body)
        said = _words(body).replace((self.key() or "").strip() or "\0", "[key]") or f"HTTP {status}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return Verdict(Doubt.THROTTLED, said)
        if status == HTTPStatus.BAD_REQUEST:
            return Verdict(Doubt.REFUSED, f"{said} {_remedy(said)}")
        is_passing = status >= 500 or status in (HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT)
        return Verdict(Doubt.BROKEN if is_passing else Doubt.REFUSED, f"HTTP {status}: {said}")

    def _unusable(self, question: Question, body: bytes) -> Verdict | None:
        path, _ = fred.asked_for(question.asked)
        try:
            found = (
                len(fred.release_dates(body, asked=question.asked))
                if path == fred.RELEASES
                else fred.observations(body, asked=question.asked, fetched_at=self.clock()).height
            )
        except Unreadable as error:
            return Verdict(Doubt.BROKEN, str(error))
        return None if found else Verdict(Doubt.EMPTY, f"nothing of {question.asked}")

    def _question(self, path: str, parameters: Mapping[str, str], whole_at: datetime | None) -> Question:
        is_paged = path == fred.RELEASES
        return Question(
            source=self.name,
            asked=fred.named(path, parameters),
            url=f"{self.base_url}/{path}",
            params={**parameters, **_SHAPE, **({"limit": f"{fred.PAGE}"} if is_paged else {})},
            whole_at=whole_at,
            paged=is_paged,
        )


def _words(body: bytes) -> str:
    """Return FRED's own words, "" where there are none."""
    try:
        return " ".join(str(orjson.loads(body)["error_message"]).split())[:300]
    except (ValueError, KeyError, TypeError):
        return ""


def _remedy(said: str) -> str:
    """Return what to do about a 400: FRED answers a wrong key and an unknown series alike, but for the words."""
    if "api_key" in said:
        return f"Set {KEY} to a key of fred.stlouisfed.org/docs/api/api_key.html."
    if "series" in said.lower():
        return "Mend its name in news.fred_series, or take it out."
    return "Report it: the question is made by the code alone."

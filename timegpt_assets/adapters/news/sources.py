"""The sources that are listed, asked for the news of sessions: what is kept is asked of nobody, what fails is a row.

Belongs here: RAW_NEWS, of the questions that sessions ask and what came of each. A source that is down never stops
anything: its questions have rows that say why they have no answer.
"""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.adapters.news.attempts import AttemptLog
from timegpt_assets.adapters.news.connector import Shelf
from timegpt_assets.adapters.news.raw_store import Answer, RawStore
from timegpt_assets.adapters.news.round import Asked, Failure, Round
from timegpt_assets.core import calendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.news.delivered import Delivered
from timegpt_assets.core.news.windows import window
from timegpt_assets.core.tables.news import RAW_NEWS

CATCH_UP = 5
"""Sessions before one whose questions without an answer are asked again with its own, asked live."""
_LOG = logging.getLogger(__name__)
_Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NewsSources:
    """Who is asked, in this order: those of tier 1 first. ``live``: no answer is known before it came.

    Live, what was missed is asked for again on later days, and what came is the news of the day on which it came.
    """

    listed: tuple[Shelf | Asked, ...]
    raw: RawStore
    log: AttemptLog
    live: bool

    def deliver(self, days: Collection[date]) -> pl.DataFrame:
        """Return RAW_NEWS of the sessions, a row per question; only what nobody answered yet is asked.

        A source's failure is told in its rows and raises nothing. Raises NotASession.
        """
        rows: dict[tuple[date, str, str], _Row] = {}
        for source in self.listed:
            own = self._asked(source, days) if isinstance(source, Asked) else self._read(source, days)
            # a question that a session and one of its catches-up share is one row, the first
            for row in own:
                rows.setdefault((row["day"], row["source"], row["asked"]), row)
        return RAW_NEWS.conformed(pl.DataFrame(list(rows.values()), schema=RAW_NEWS.schema))

    def delivered(self, raw: pl.DataFrame) -> Iterator[Delivered]:
        """Give the answers that rows of RAW_NEWS name, in their order, with their bytes. Raises NewsDamaged."""
        for row in raw.filter(pl.col("content_hash").is_not_null()).iter_rows(named=True):
            known = {name: row[name] for name in ("source", "asked", "fetched_at", "content_hash")}
            yield Delivered(**known, body=self.raw.body(row["content_hash"]))

    def attempts(self, days: Collection[date]) -> pl.DataFrame:
        """Return ATTEMPTS of the sessions, whenever they were made."""
        return self.log.read(days)

    def _read(self, shelf: Shelf, days: Collection[date]) -> Iterator[_Row]:
        for day in sorted(set(days)):
            try:
                found = [_row(day, answer) for answer in shelf.answers(window(day), day)]
            except Explained as error:
                found = [_failed(day, shelf.name, str(day), Failure(why=str(error)))]
            _say(shelf.name, day, found, 0)
            yield from found

    def _asked(self, source: Asked, days: Collection[date]) -> Iterator[_Row]:
        with Round(source) as asked:
            for day in sorted(set(days)):
                before = asked.sent
                found = [*self._of(asked, day, day), *self._caught_up(asked, day)]
                _say(source.name, day, found, asked.sent - before)
                yield from found

    def _caught_up(self, asked: Round, day: date) -> Iterator[_Row]:
        """Give the rows of answers that came for earlier sessions with this one's; in a replay there are none."""
        for back in range(CATCH_UP, 0, -1) if self.live else ():
            for row in self._of(asked, calendar.shifted(day, -back), day):
                if row["failed"] is None:
                    yield row

    def _of(self, asked: Round, session: date, day: date) -> Iterator[_Row]:
        """Give a row per question of a session, as rows of ``day``, on which it is asked."""
        name = asked.source.name
        try:
            questions = asked.source.connector.questions(window(session), session)
            for question, found in asked.answers(questions, day):
                if isinstance(found, Failure):
                    yield _failed(day, name, question.asked, found)
                elif self.live and found.day != day:
                    yield _failed(day, name, question.asked, Failure(why=f"it came for {found.day}, where it counts"))
                else:
                    yield _row(day, found)
        except Explained as error:
            yield _failed(day, name, str(session), Failure(why=str(error)))


def _row(day: date, answer: Answer) -> _Row:
    known = {name: getattr(answer, name) for name in RAW_NEWS.columns if name not in ("day", "failed")}
    return known | {"day": day, "failed": None}


def _failed(day: date, source: str, asked: str, failure: Failure) -> _Row:
    said = {"day": day, "source": source, "asked": asked, "failed": failure.why}
    return said | {"status": failure.status, "size": failure.size, "fetched_at": None, "content_hash": None}


def _say(name: str, day: date, rows: list[_Row], sent: int) -> None:
    failed = [row["failed"] for row in rows if row["failed"]]
    found, first = len(rows) - len(failed), f"; the first: {failed[0]}" if failed else ""
    _LOG.info("%s of %s: %d answers, %d asked now, %d failed%s", name, day, found, sent, len(failed), first)

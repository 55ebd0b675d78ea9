"""One source in one go: what is kept is looked up, the rest is asked while this process has the source's turn.

Belongs here: from a question to the kept answer, or why there is none. Which questions is sources.py.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Self

import httpx

from timegpt_assets.adapters.news.asking import Asking
from timegpt_assets.adapters.news.attempts import Attempt
from timegpt_assets.adapters.news.breaker import Breaker, Turn, TurnLost
from timegpt_assets.adapters.news.connector import Connector, Question
from timegpt_assets.adapters.news.raw_store import Answer, RawStore
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.news.health import HELD

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a question has no answer, and what came instead of one."""

    why: str
    status: int | None = None
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A source that is asked over the network, and with what: its connector, its breaker, and who asks."""

    connector: Connector
    breaker: Breaker
    asking: Asking
    raw: RawStore

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        return self.connector.name


@dataclass
class Round:
    """One go at a source, inside ``with``. Its turn is taken when something must be asked, and given back at the end.

    ``sent``: questions that were asked in it.
    """

    source: Asked
    sent: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)
    _turn: Turn | None = None
    _http: httpx.Client | None = None
    _failed: dict[str, Failure] = field(default_factory=dict)
    _held: set[date] = field(default_factory=set)

    def __enter__(self) -> Self:
        """Take nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next one ask; a turn that cannot even be given back ends by itself."""
        try:
            self._stack.close()
        except Explained as failure:
            _LOG.warning("the turn to ask %s could not be given back: %s", self.source.name, failure)

    def answers(self, questions: Iterable[Question], day: date) -> Iterator[tuple[Question, Answer | Failure]]:
        """Give each question, and those that its answer makes necessary, with what is kept of it or why nothing is."""
        left = deque(questions)
        while left:
            question = left.popleft()
            found = self._answer(question, day)
            yield question, found
            if question.paged and isinstance(found, Answer):
                left.extendleft(reversed(self.source.connector.further(question, self._body(found))))

    def _body(self, answer: Answer) -> bytes:
        return self.source.raw.body(answer.content_hash)

    def _answer(self, question: Question, day: date) -> Answer | Failure:
        """Return the answer that is kept, else what asking came to; a question that failed is not asked twice."""
        if failed := self._failed.get(question.asked):
            return failed
        try:
            found = self.source.raw.answered(question.source, question.asked) or self._unsent(question)
            found = found or self._asked(question, day)
        except Explained as error:
            if isinstance(error, TurnLost):
                self._turn = None
            found = Failure(why=str(error))
        if isinstance(found, Failure):
            self._failed[question.asked] = found
        return found

    def _unsent(self, question: Question) -> Failure | None:
        """Return why a question is not sent at the moment, or ever."""
        now = self.source.asking.clock()
        if question.refused:
            return Failure(why=f"not asked: {question.refused}")
        if question.whole_at and now < question.whole_at:
            return Failure(why=f"not asked yet: there is no whole answer before {question.whole_at:%Y-%m-%d %H:%M}Z")
        if question.gone_at and now >= question.gone_at:
            name, until = question.source, f"{question.gone_at:%Y-%m-%d}"
            return Failure(why=f"not asked: {name} had this until {until} and does not reach back any further")
        return None

    def _asked(self, question: Question, day: date) -> Answer | Failure:
        source = self.source
        if self._turn is None:
            self._turn = self._stack.enter_context(source.breaker.turn())
            # whoever had the turn before may have asked the very same
            if known := source.raw.answered(question.source, question.asked):
                return known
        if why := self._turn.held():
            self._note_held(question, day, why)
            return Failure(why=f"not asked: {question.source} is {why}")
        self._http = self._http or self._stack.enter_context(source.asking.connection())
        self.sent += 1
        told = source.asking.asked(self._http, source.connector, question, self._turn, day=day)
        reply, verdict = told.reply, told.verdict
        if reply is None or verdict:
            why = f"{verdict.doubt}: {verdict.why}" if verdict else "nobody answered"
            return Failure(why=why) if reply is None else Failure(why=why, status=reply.status, size=len(reply.body))
        return source.raw.keep(
            question.source, question.asked, reply.body, day=day, fetched_at=reply.fetched_at, status=reply.status
        )

    def _note_held(self, question: Question, day: date, why: str) -> None:
        """Put on record, once a session, that the source was left alone."""
        if day in self._held or self._turn is None:
            return
        self._held.add(day)
        _LOG.warning("%s is %s", question.source, why)
        self.source.asking.log.add(
            Attempt(
                day=day,
                source=question.source,
                asked=question.asked,
                at=self.source.asking.clock(),
                attempt=1,
                outcome=HELD,
                why=why,
                status=None,
                latency_s=None,
                size=None,
                breaker=self._turn.state.breaker,
            )
        )

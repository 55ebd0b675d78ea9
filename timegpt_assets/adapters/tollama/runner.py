"""Who answers about a market: the model where it may be asked and can be believed, else the baseline, and why.

Belongs here: the order of things. Reasons are core/tsfm/reasons.py, what a band may be guards.py; how a server is asked
is client.py, when it is left alone breaker.py.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from timegpt_assets.adapters.tollama.answers import ModelAnswers, ModelFailed
from timegpt_assets.adapters.tollama.breaker import ModelBreaker
from timegpt_assets.core.tsfm import reasons
from timegpt_assets.core.tsfm.asked import Answered, Asked, Floats
from timegpt_assets.core.tsfm.baselines import Baseline, BaselineSpec, NoBaseline, baseline
from timegpt_assets.core.tsfm.guards import Guarded, Guards, guarded
from timegpt_assets.core.tsfm.reasons import AskingRules
from timegpt_assets.core.tsfm.transform import Transform

BASELINE = "baseline"
"""The runtime of an answer that no model made."""
OF_THE_QUESTION = frozenset({"bad_request", "unusable_input", "too_large"})
"""Faults of what was asked: they say nothing of the server, and it is not left alone for them."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A market that nobody has numbers for, and why."""

    market_id: str
    as_of: datetime
    reason: str


class Model(Protocol):
    """A model, wherever it runs."""

    def forecast(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
        """Return what it says of each series, in the space they are handed in. Raises ModelFailed."""
        ...


class RunnerListener(Protocol):
    """Who is told of every answer."""

    def answered(self, answered: Answered) -> None:
        """Hear of one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the runner goes by, section tsfm; ``runtime`` and ``model`` are the words for who is asked."""

    runtime: str
    model: str
    transform: Transform
    guards: Guards
    baselines: BaselineSpec
    asking: AskingRules
    timeout_s: float
    batch_timeout_s: float
    batch_series: int


@dataclass(frozen=True, slots=True)
class _Told:
    """What the model said of one market in probabilities, or why it said nothing."""

    values: Guarded | None = None
    reason: str | None = None
    version: str | None = None
    latency_ms: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Answers about markets; any number of threads may ask. ``degraded``: no model is asked for now.

    ``ticks`` counts seconds and is never set back.
    """

    rules: Rules
    model: Model = field(repr=False)
    breaker: ModelBreaker = field(repr=False)
    degraded: Callable[[], bool] = field(default=lambda: False, repr=False)
    listener: RunnerListener | None = field(default=None, repr=False)
    ticks: Callable[[], float] = field(default=time.monotonic, repr=False)

    def forecast(self, asked: Sequence[Asked]) -> list[Answered | Unanswered]:
        """Return an answer for each question, in their order: the model's, or the first valid baseline and why."""
        began = self.ticks()
        told = [_Told(reason=reasons.unasked(one, self.rules.asking)) for one in asked]
        for batch in self._batches([n for n, one in enumerate(told) if one.reason is None], asked):
            for place, found in zip(batch, self._of_model([asked[n] for n in batch]), strict=True):
                told[place] = found
        answers = [self._answer(one, found, began) for one, found in zip(asked, told, strict=True)]
        for answer in answers:
            if self.listener and isinstance(answer, Answered):
                self.listener.answered(answer)
        return answers

    def _batches(self, places: Sequence[int], asked: Sequence[Asked]) -> Iterator[list[int]]:
        """Yield the questions a request at a time: those of one cycle, for a market is named once in each."""
        batch: list[int] = []
        for place in places:
            full = len(batch) >= self.rules.batch_series
            if batch and (full or asked[place].as_of != asked[batch[0]].as_of):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    def _of_model(self, asked: Sequence[Asked]) -> list[_Told]:
        if held := reasons.held_back(self.degraded, self.breaker.allow):
            return [_Told(reason=held)] * len(asked)
        rules = self.rules
        try:
            found = self.model.forecast(
                [replace(one, y=rules.transform.forward(one.y)) for one in asked],
                timeout_s=rules.timeout_s if len(asked) == 1 else rules.batch_timeout_s,
                request_id=uuid.uuid4().hex,
            )
        except ModelFailed as failed:
            self._count([failed.kind])
            return [_Told(reason=reasons.model_error(failed.kind))] * len(asked)
        told = [self._believed(one, found) for one in asked]
        self._count([] if any(one.values for one in told) else found.faults.values())
        return told

    def _count(self, kinds: Collection[str]) -> None:
        """Tell the breaker how a request went whose every market failed for these; none: it was answered."""
        if OF_THE_QUESTION.issuperset(kinds):
            self.breaker.succeeded()
        else:
            self.breaker.failed()

    def _believed(self, asked: Asked, found: ModelAnswers) -> _Told:
        if (z := found.values.get(asked.market_id)) is None:
            return _Told(reason=reasons.model_error(found.faults.get(asked.market_id, "invalid_response")))
        values: Floats = self.rules.transform.back(z)
        if not np.isfinite(values).all():
            return _Told(reason=reasons.model_error("invalid_response"))
        return _Told(
            values=guarded(values, asked.quantiles, self.rules.guards),
            version=found.model_version,
            latency_ms=found.latency_ms,
            warnings=found.warnings,
        )

    def _answer(self, asked: Asked, told: _Told, began: float) -> Answered | Unanswered:
        rules = self.rules
        try:
            made: Baseline = baseline(asked, rules.baselines, rules.transform)
        except NoBaseline as none:
            return Unanswered(asked.market_id, asked.as_of, reasons.baseline_error(none.kind))
        beside = guarded(made.values, asked.quantiles, rules.guards)
        served = told.values or beside
        fallback = told.values is None
        known = np.isfinite(asked.y)
        return Answered(
            market_id=asked.market_id,
            as_of=asked.as_of,
            quantiles=asked.quantiles,
            values=served.values,
            baseline_values=beside.values,
            runtime=BASELINE if fallback else rules.runtime,
            model=made.name if fallback else rules.model,
            model_version=told.version,
            fallback_used=fallback,
            reason=told.reason,
            baseline=made.name,
            crossed=served.crossed,
            width_flags=served.width_flags,
            input_len=int(known.sum()),
            carried_share=float(1.0 - asked.seen[known].mean()),
            latency_ms=1000 * (self.ticks() - began) if fallback else told.latency_ms,
            warnings=(*reasons.unknown(asked), *told.warnings),
        )


def counted(answers: Sequence[Answered | Unanswered]) -> dict[str, int]:
    """Return why the model did not answer -> of how many markets; under the empty word those where it did."""
    return dict(Counter(one.reason or "" for one in answers))


def warned(answers: Sequence[Answered | Unanswered]) -> dict[str, int]:
    """Return the names of warnings -> of how many markets each was said."""
    said = (word.partition(":")[0] for one in answers if isinstance(one, Answered) for word in {*one.warnings})
    return dict(Counter(said))

"""Optuna asked and told: the same study has the same trials, whoever sweeps them and however often it is killed.

Belongs here: what is asked next, when it is given up, and in which order it is told. Trials are asked in batches of a
fixed size, each with a sampler of its own whose seed is the digest of study and number, and told in order of their
numbers when the whole batch is over: what is asked depends on the batches before it and on nothing else. Two things
follow. Workers may be any number. And nothing of a trial is kept until it is over: one that was killed half-way is
asked again, and the answer is the same.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from timegpt_assets.adapters.search.study_errors import StudyError
from timegpt_assets.core.research.objective import Daily
from timegpt_assets.core.research.search import Choice, Space, Tried, Value, Worth
from timegpt_assets.core.research.trials import COMPLETE, PRUNED, Plan, Trial

STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}


class Workers(Protocol):
    """Who sweeps: any number of them, and results in any order."""

    def swept(self, tried: Mapping[int, Tried], go_on: Callable[[int, Daily], bool]) -> Iterator[int]:
        """Sweep the trials step by step, ``go_on`` hearing of each step, and give each number when it is over."""
        ...


class Trials(Protocol):
    """Where trials are kept."""

    @property
    def name(self) -> str:
        """Return the study's name."""
        ...

    def known(self) -> Mapping[int, Trial]:
        """Return what is kept, by number."""
        ...

    def add(self, trial: Trial, frozen: FrozenTrial) -> None:
        """Keep one more, at once."""
        ...


@dataclass(frozen=True, kw_only=True)
class Search:
    """A study being gone through."""

    space: Space
    plan: Plan
    trials: Trials
    workers: Workers
    capital: float
    """Total capital, USD."""
    record: Callable[[Collection[str]], None]
    """Hears the names of the combinations that are about to be tried, before anything of them is seen."""
    heard: Callable[[Sequence[Trial], int], None]
    """Hears of every batch when it is over, and how many of it were not kept before."""

    def run(self) -> list[Trial]:
        """Return the plan's trials by number: those that are kept, and the others made."""
        distributions = {name: distribution(values) for name, values in self.space.values().items()}
        study = optuna.create_study(direction="maximize", pruner=self._pruner())
        kept, told = self.trials.known(), list[Trial]()
        for start in range(0, self.plan.trials, self.plan.batch):
            numbers = range(start, min(start + self.plan.batch, self.plan.trials))
            asked = {number: self._asked(study, number, distributions) for number in numbers}
            batch = self._over(asked, kept, told)
            for number, trial in asked.items():
                study.tell(trial, *_told(batch[number]), skip_if_finished=False)
            told += batch.values()
            self.heard(list(batch.values()), len(batch.keys() - kept.keys()))
        return told

    def _pruner(self) -> optuna.pruners.BasePruner:
        return optuna.pruners.MedianPruner(
            n_startup_trials=self.plan.prune_after, n_warmup_steps=self.plan.warmup_steps
        )

    def _asked(self, study: optuna.Study, number: int, distributions: Mapping[str, BaseDistribution]) -> optuna.Trial:
        """Return the trial of that number."""
        if number < len(self.plan.first):
            study.enqueue_trial(params(self.plan.first[number], self.space.values()))
        study.sampler = _Sampler(distributions, seed(self.trials.name, number), self.plan.startup_trials)
        return study.ask(dict(distributions))

    def _over(
        self, asked: Mapping[int, optuna.Trial], kept: Mapping[int, Trial], told: Sequence[Trial]
    ) -> dict[int, Trial]:
        """Return a batch's trials by number; what is not kept is swept, and kept as soon as it is over."""
        values = self.space.values()
        chosen = {number: choice(trial.params, values) for number, trial in asked.items()}
        found = {number: kept[number] for number in chosen if number in kept}
        for number, trial in found.items():
            self._refuse_other(trial, chosen[number])
            _report(asked[number], trial)
        earlier = {_key(trial.outer): trial for trial in reversed(told) if trial.state == COMPLETE}
        for number in sorted(found):
            earlier.setdefault(_key(chosen[number]), found[number])
        left = {number: outer for number, outer in chosen.items() if number not in found}
        own = {key: number for number, outer in reversed(left.items()) if (key := _key(outer)) not in earlier}
        for trial in self._swept({number: chosen[number] for number in sorted(own.values())}, asked):
            found[trial.number] = earlier[_key(trial.outer)] = trial
        for number in (number for number in left if number not in found):
            found[number] = self._again(number, earlier[_key(left[number])])
            _report(asked[number], found[number])
            self._keep(found[number])
        return {number: found[number] for number in sorted(found)}

    def _swept(self, chosen: Mapping[int, Choice], asked: Mapping[int, optuna.Trial]) -> Iterator[Trial]:
        """Sweep what nobody has swept yet, and give each trial when it is over and kept."""
        if not chosen:
            return
        swept = _Swept(self, asked, chosen)
        self.record({one.name for tried in swept.tried.values() for one in tried.combinations})
        for number in self.workers.swept(swept.tried, swept.go_on):
            trial = swept.trial(number)
            self._keep(trial)
            yield trial

    def _again(self, number: int, earlier: Trial) -> Trial:
        """Return the trial that chose what an earlier one had."""
        first = earlier.number if earlier.duplicate_of is None else earlier.duplicate_of
        return replace(earlier, number=number, seed=seed(self.trials.name, number), duplicate_of=first)

    def _keep(self, trial: Trial) -> None:
        self.trials.add(trial, frozen(trial, self.space.values()))

    def _refuse_other(self, trial: Trial, outer: Choice) -> None:
        """Raise StudyError for a kept trial that would not be asked now: it is another study's, or was edited."""
        if dict(trial.outer) != dict(outer) or trial.seed != seed(self.trials.name, trial.number):
            raise StudyError(
                f"trial {trial.number} of the study {self.trials.name} is kept with {dict(trial.outer)}, and "
                f"{dict(outer)} would be asked: it was edited, or an earlier one was. Restore it from a backup, or "
                "begin another study: --set search.study=another-word"
            )


class _Sampler(optuna.samplers.TPESampler):
    """TPESampler that is told what there is to choose from: gathering it from all trials is half of its time."""

    def __init__(self, distributions: Mapping[str, BaseDistribution], seed: int, startup_trials: int) -> None:
        # constant_liar: the trials of a batch are asked for before any of them is known, and are to lie apart
        super().__init__(seed=seed, n_startup_trials=startup_trials, constant_liar=True)
        self.distributions = {name: own for name, own in sorted(distributions.items()) if not own.single()}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the distributions of every rule with more than one value."""
        return self.distributions


class _Swept:
    """The trials of a batch while they are swept: what each has come to so far."""

    def __init__(self, search: Search, asked: Mapping[int, optuna.Trial], own: Mapping[int, Choice]) -> None:
        self.search, self.asked, self.own = search, asked, own
        self.tried = {number: search.space.tried(outer) for number, outer in own.items()}
        self.daily: dict[int, Daily] = {}
        self.steps: dict[int, list[float]] = {number: [] for number in own}
        self.pruned: set[int] = set()

    def go_on(self, number: int, daily: Daily) -> bool:
        """Take note of a further step; return whether the next one is worth sweeping."""
        before = self.daily.get(number)
        self.daily[number] = daily if before is None else before.followed_by(daily)
        steps, trial = self.steps[number], self.asked[number]
        steps.append(self._worth(number).value)
        trial.report(steps[-1], len(steps) - 1)
        if len(steps) == self.search.plan.steps:
            return False
        if trial.should_prune():
            self.pruned.add(number)
            return False
        return True

    def trial(self, number: int) -> Trial:
        """Return the record of a trial that is over."""
        return Trial(
            number=number,
            seed=seed(self.search.trials.name, number),
            state=PRUNED if number in self.pruned else COMPLETE,
            outer=self.own[number],
            steps=tuple(self.steps[number]),
            tried=len(self.tried[number].combinations),
            duplicate_of=None,
            worth=self._worth(number),
        )

    def _worth(self, number: int) -> Worth:
        return self.search.space.worth(self.tried[number], self.daily[number], self.search.capital)


def seed(study: str, number: int) -> int:
    """Return the seed of a trial: the first 8 hex digits of the MD5 of study and number."""
    return int(hashlib.md5(f"{study}/{number}".encode(), usedforsecurity=False).hexdigest()[:8], 16)


def distribution(values: Sequence[Value]) -> BaseDistribution:
    """Return what Optuna draws a rule from: a place in the list where numbers have an order, else a word."""
    if _ordered(values):
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(values)


def params(choice: Choice, values: Mapping[str, Sequence[Value]]) -> dict[str, Value]:
    """Return a choice as Optuna names it."""
    return {name: values[name].index(value) if _ordered(values[name]) else value for name, value in choice.items()}


def choice(params: Mapping[str, Value], values: Mapping[str, Sequence[Value]]) -> Choice:
    """Return the choice that Optuna names so."""
    return {name: own[int(params[name] or 0)] if _ordered(own) else params[name] for name, own in values.items()}


def frozen(trial: Trial, values: Mapping[str, Sequence[Value]]) -> FrozenTrial:
    """Return the trial as Optuna keeps one that is over."""
    return create_trial(
        state=STATES[trial.state],
        value=trial.value,
        params=params(trial.outer, values),
        distributions={name: distribution(own) for name, own in values.items()},
        intermediate_values=dict(enumerate(trial.steps)),
        user_attrs={"trial": trial.as_json()},
    )


def _ordered(values: Sequence[Value]) -> bool:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) > 1 and sorted(numbers) == list(values)


def _report(asked: optuna.Trial, trial: Trial) -> None:
    for step, value in enumerate(trial.steps):
        asked.report(value, step)


def _told(trial: Trial) -> tuple[float | None, TrialState]:
    # a pruned trial is told without a value: Optuna takes its last step's
    return (trial.value if trial.state == COMPLETE else None), STATES[trial.state]


def _key(outer: Choice) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(outer.items()))

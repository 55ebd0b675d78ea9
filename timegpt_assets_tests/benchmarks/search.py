"""The search beside the serial grid, and what asking and keeping a trial costs (P8).

Prints one JSON line per figure. The serial grid goes through every choice of the outer rules, each with its inner grid
swept whole, as a trial does, on the same cores; the sweep all at once is measured besides. How many trials a study
needs to reach the grid's best is counted over many studies, whose trials are looked up in what the grid found.
"""

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage

from timegpt_assets.adapters.search import study_store, workers
from timegpt_assets.adapters.search.study import Search, choice, distribution, frozen, seed
from timegpt_assets.adapters.search.workers import Alone
from timegpt_assets.core.backtest import sweep
from timegpt_assets.core.research import trading_grid
from timegpt_assets.core.research.objective import Daily, Figures
from timegpt_assets.core.research.search import Material, Space, Tried
from timegpt_assets.core.research.trials import COMPLETE, Plan, Trial, Worth
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.core.research import search_market as market

SYMBOLS = tuple(f"S{i}" for i in range(10))
DAYS = 45
CAPITAL = 100_000.0 * len(SYMBOLS)
OUTER: dict[str, tuple[Any, ...]] = {
    "rule_set": ("enhancement", "budget_sprint"),
    "sigma_column": ("sigma_15m", "sigma_60m"),
    "exit_at_forecast_ts": (True, False),
    "ev_lambda": (0.0, 0.25, 0.5, 1.0),
    "max_width_sigma": (1.0, 1.5, 2.0, 4.0),
    "entry_lag_bars": (1, 2, 3),
    "require_positive_ev": (True, False),
}
INNER: dict[str, tuple[Any, ...]] = {
    "k_sigma": (0.25, 0.5, 0.75, 1.0),
    "s_stop": (1.0, 1.5, 2.0),
    "s_take": (1.0, 1.5, 2.0),
}
STUDIES, TRIALS, TOP = 20, 256, 10
PLAN = Plan(trials=TRIALS, batch=8, startup_trials=16, steps=1, prune_after=16, warmup_steps=1)
FIGURES = Figures(net_return=0.01, max_drawdown=0.002, turnover=1.3, trades=40)
KEPT = 300
"""Trials that are asked and kept for their cost."""


def show(name: str, value: float, unit: str, goal: object, **baseline: object) -> None:
    """Print one figure."""
    line = {"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "baseline": baseline}
    print(json.dumps(line), flush=True)


@dataclass
class LookedUp:
    """Trials that the serial grid has gone through: nothing is swept again."""

    found: Mapping[tuple[str, ...], Daily]

    def swept(self, tried: Mapping[int, Tried], go_on: Callable[[int, Daily], bool]) -> Iterator[int]:
        """Give each trial at once."""
        for number, own in tried.items():
            go_on(number, self.found[tuple(one.name for one in own.combinations)])
            yield number


@dataclass
class Timed:
    """A worker that is timed."""

    worker: Alone
    seconds: float = 0.0
    steps: int = 0

    def swept(self, tried: Mapping[int, Tried], go_on: Callable[[int, Daily], bool]) -> Iterator[int]:
        """Sweep as the worker does."""
        for number, own in tried.items():
            for part in self.worker.parts:
                began = time.perf_counter()
                daily = part.swept(own.combinations)
                self.seconds += time.perf_counter() - began
                self.steps += 1
                if not go_on(number, daily):
                    break
            yield number


def study(space: Space, who: Any, name: str, folder: Path, *, plan: Plan = PLAN) -> list[Trial]:
    """Return the trials of one study, kept in a journal."""
    with study_store.opened(folder, name, owner="benchmark") as store:
        return Search(
            space=space, plan=plan, trials=store, workers=who, capital=CAPITAL, record=_unrecorded, heard=_unheard
        ).run()  # fmt: skip


def _unrecorded(names: Collection[str]) -> None:
    """Record nothing: writing that is the trial store's."""


def _unheard(batch: object, new: int) -> None:
    """Hear of nothing."""


def choices(space: Space) -> list[dict[str, Any]]:
    """Return every choice of the outer rules."""
    found: list[dict[str, Any]] = [{}]
    for name, values in space.values().items():
        found = [one | {name: value} for one in found for value in values]
    return found


def serial(space: Space, material: Material) -> tuple[dict[tuple[str, ...], Daily], dict[str, float], float]:
    """Return what every choice earned, the value of every combination, and the seconds it took."""
    found, values, began = {}, dict[str, float](), time.perf_counter()
    for chosen in choices(space):
        tried = space.tried(chosen)
        daily = material.swept(tried.combinations)
        found[tuple(one.name for one in tried.combinations)] = daily
        for one, figures in zip(tried.combinations, daily.figures(CAPITAL), strict=True):
            values[one.name] = space.penalties.value(figures)
    return found, values, time.perf_counter() - began


def needed(space: Space, trials: list[Trial], best: set[str]) -> tuple[int, int, int]:
    """Return after how many trials one of the best was tried, after how many all, and what was swept until then.

    Evaluations are combinations; those of a choice made before are not swept again.
    """
    first, left, evaluations = 0, set(best), 0
    for place, trial in enumerate(trials, 1):
        if trial.duplicate_of is None:
            tried = {one.name for one in space.tried(trial.outer).combinations}
            evaluations += len(tried)
            first = first or (place if tried & best else 0)
            left -= tried
        if not left:
            return first, place, evaluations
    return first or len(trials) + 1, len(trials) + 1, evaluations


def to_the_best(space: Space, material: Material) -> None:
    """Print how long the search and the serial grid take to the grid's best."""
    found, values, seconds = serial(space, material)
    size = {"choices": space.size, "combinations": len(values), "sessions": len(material.days), "symbols": len(SYMBOLS)}
    best = set(sorted(values, key=lambda name: -values[name])[:TOP])
    show("serial_grid", seconds, "s", None, **size, evaluations=len(values), load=os.getloadavg()[0])
    began = time.perf_counter()
    for same in _by_column(space):
        sweep.sweep(material.inputs(same[0]), [one.spec for one in same])
    at_once = time.perf_counter() - began
    show("whole_grid_swept_at_once", at_once, "s", None, evaluations=len(values), load=os.getloadavg()[0])
    with tempfile.TemporaryDirectory() as folder:
        timed = Timed(Alone(material.parts(1)))
        began = time.perf_counter()
        trials = study(space, timed, "real", Path(folder))
        took = time.perf_counter() - began
        first, every, evaluations = needed(space, trials, best)
        each = took / len(trials)
        show("search_trial", 1e3 * each, "ms", None, sweeping_ms=round(1e3 * timed.seconds / timed.steps, 2),
             duplicates=sum(trial.duplicate_of is not None for trial in trials))  # fmt: skip
        show("search_to_one_of_the_top_10", first * each / seconds, "of the serial grid's time", 1 / 3, trials=first)
        show("search_to_all_of_the_top_10", every * each / seconds, "of the serial grid's time", 1 / 3, trials=every,
             evaluations=evaluations, evaluations_of_the_grid=len(values), found=every <= len(trials))  # fmt: skip
        many = [needed(space, study(space, LookedUp(found), f"study-{n}", Path(folder)), best) for n in range(STUDIES)]
        twice = replace(PLAN, batch=2 * PLAN.batch)
        wider = [
            needed(space, study(space, LookedUp(found), f"wider-{n}", Path(folder), plan=twice), best)
            for n in range(STUDIES)
        ]
        show("trials_to_all_of_the_top_10_in_batches_twice_as_large", statistics.median(one[1] for one in wider),
             "trials", None, median_to_one=statistics.median(one[0] for one in wider))  # fmt: skip
        side_by_side(space, material, Path(folder))
    for place, words in ((0, "one"), (1, "all")):
        counts = sorted(one[place] for one in many)
        middle, worst = statistics.median(counts), counts[int(0.9 * len(counts))]
        missed = sum(count > TRIALS for count in counts)
        show(f"trials_to_{words}_of_the_top_10_median", middle, "trials", space.size / 3, p90=worst, studies=STUDIES,
             not_within=missed, limit=TRIALS)  # fmt: skip
        show(f"time_to_{words}_of_the_top_10_median", middle * each / seconds, "of the serial grid's time", 1 / 3,
             against_all_at_once=round(middle * each / at_once, 2))  # fmt: skip
    show("evaluations_to_all_of_the_top_10_median", statistics.median(one[2] for one in many), "combinations",
         len(values) / 3, evaluations_of_the_grid=len(values))  # fmt: skip


def side_by_side(space: Space, material: Material, folder: Path) -> None:
    """Print what a second process gains, its start included, and whether the trials are the same."""
    took, made, short = {}, {}, replace(PLAN, trials=64)
    for count in (1, 2):
        began = time.perf_counter()
        with workers.started(count, material.parts(1)) as sweeping:
            made[count] = study(space, sweeping, "same", folder / str(count), plan=short)
        took[count] = time.perf_counter() - began
    show("two_processes_over_one", took[1] / took[2], "x", 2.0, seconds=[round(took[n], 1) for n in (1, 2)],
         trials=short.trials, same_trials=made[1] == made[2], load=os.getloadavg()[0])  # fmt: skip


def _by_column(space: Space) -> list[list[Any]]:
    return trading_grid.alike(list(space.whole.combinations()))


def asking_and_keeping(space: Space) -> None:
    """Print what a trial costs that is not sweeping it."""
    values = space.values()
    rng = np.random.default_rng(1)
    made: dict[str, float] = {}

    def worth(outer: Mapping[str, Any]) -> float:
        return made.setdefault(str(sorted(outer.items())), float(rng.normal()))

    for name, url in (("journal", None), ("postgresql", postgres.URL)):
        if url and not postgres.is_there():
            continue
        with (
            tempfile.TemporaryDirectory() as folder,
            postgres.schema() if url else contextlib.nullcontext(None) as address,
            study_store.opened(Path(folder), "costs", owner="benchmark", url=address) as store,
        ):
            asking, keeping = _asked_and_kept(space, store, worth)
        cpu, wall = asking
        show(f"overhead_per_persisted_trial_{name}", cpu + keeping[0], "CPU ms", 5.0, ask_and_tell=round(cpu, 3),
             keep=round(keeping[0], 3), wall_ms=round(wall + keeping[1], 3), trials=KEPT,
             load=os.getloadavg()[0])  # fmt: skip
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {name: distribution(own) for name, own in values.items()}

    def objective(trial: optuna.Trial) -> float:
        chosen = {name: trial._suggest(name, one) for name, one in distributions.items()}
        return worth(chosen)

    with tempfile.TemporaryDirectory() as folder:
        storages: dict[str, Any] = {
            "in_memory": None,
            "journal": JournalStorage(JournalFileBackend(f"{folder}/j.log")),
            "sqlite": f"sqlite:///{folder}/o.db",
        }
        for name, storage in storages.items():
            plain = optuna.create_study(
                direction="maximize", storage=storage, sampler=optuna.samplers.TPESampler(seed=1)
            )
            count = KEPT if name != "sqlite" else 60
            began, cpu = time.perf_counter(), time.process_time()
            plain.optimize(objective, n_trials=count)
            wall = 1e3 * (time.perf_counter() - began) / count
            show(
                f"optuna_optimize_{name}",
                1e3 * (time.process_time() - cpu) / count,
                "CPU ms",
                None,
                wall_ms=round(wall, 2),
            )


def _asked_and_kept(space: Space, store: Any, worth: Callable[[Mapping[str, Any]], float]) -> tuple[Any, Any]:
    """Return (CPU, wall) ms a trial of asking and telling, and of keeping."""
    search = Search(
        space=space, plan=PLAN, trials=store, workers=LookedUp({}), capital=CAPITAL, record=_unrecorded, heard=_unheard
    )  # fmt: skip
    values = space.values()
    distributions = {name: distribution(own) for name, own in values.items()}
    plain = optuna.create_study(direction="maximize", pruner=search._pruner())
    spent = {"ask": [0.0, 0.0], "keep": [0.0, 0.0]}
    clocks = (time.process_time, time.perf_counter)
    tried = space.tried(choices(space)[0])
    own = Worth(value=0.0, combination=tried.combinations[0].name, rules=tried.combinations[0].rules, figures=FIGURES)
    for start in range(0, KEPT, PLAN.batch):
        began = [clock() for clock in clocks]
        asked = {number: search._asked(plain, number, distributions) for number in range(start, start + PLAN.batch)}
        trials = []
        for number, one in asked.items():
            outer = choice(one.params, values)
            value = worth(outer)
            one.report(value, 0)
            trials.append(
                Trial(number=number, seed=seed(store.name, number), state=COMPLETE, outer=outer, steps=(value,),
                      tried=36, duplicate_of=None, worth=replace(own, value=value))
            )  # fmt: skip
            plain.tell(one, value)
        for place, clock in enumerate(clocks):
            spent["ask"][place] += clock() - began[place]
        began = [clock() for clock in clocks]
        for trial in trials:
            store.add(trial, frozen(trial, values))
        for place, clock in enumerate(clocks):
            spent["keep"][place] += clock() - began[place]
    return tuple(tuple(1e3 * one / KEPT for one in spent[what]) for what in ("ask", "keep"))  # type: ignore[return-value]


def main() -> None:
    """Print every figure."""
    space = market.space(OUTER, INNER, smooth=False)
    asking_and_keeping(space)
    material = market.made(space, days=DAYS, symbols=SYMBOLS)
    tried = space.tried(choices(space)[0])
    material.swept(tried.combinations)  # compiles
    to_the_best(space, material)


if __name__ == "__main__":
    main()

"""The studies of a house: which study a search is, and running it with as many processes as are asked for.

Belongs here: the name of a study, which is a digest of all that decides its trials, and the way from there to them.
Optuna takes seconds to import and is, where a study is opened.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from timegpt_assets.core.research.search import Material, Space
from timegpt_assets.core.research.trials import Plan, Trial

SPARED_CORES = 2
Heard = Callable[[str, int, Sequence[Trial], int], None]
"""Hears of a study's name, how many trials it has in all, a batch that is over, and how many of it are new."""


def unheard(name: str, trials: int, batch: Sequence[Trial], new: int) -> None:
    """Hear of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """Where studies are kept, and how many processes sweep."""

    folder: Path
    owner: str
    """Who searches, in words: for whom others are refused."""
    processes: int | None
    """None: all cores but two, at least one."""
    heard: Heard = unheard
    url: str | None = field(default=None, repr=False)
    """PostgreSQL's address, a secret; None: a journal below the folder."""

    @property
    def count(self) -> int:
        """Return how many processes sweep."""
        return self.processes or max(1, (os.cpu_count() or 1) - SPARED_CORES)

    def run(
        self,
        name: str,
        space: Space,
        material: Material,
        plan: Plan,
        *,
        capital: float,
        record: Callable[[Collection[str]], None],
    ) -> list[Trial]:
        """Return the study's trials, made as far as they are not kept. Raises StudyError and WorkerLost."""
        from timegpt_assets.adapters.search import study_store, workers
        from timegpt_assets.adapters.search.study import Search

        parts = material.parts(plan.steps)
        plan = replace(plan, steps=len(parts))
        with study_store.opened(self.folder, name, owner=self.owner, url=self.url) as store:
            left = plan.trials - len(store.known())
            with workers.started(max(1, min(self.count, left, plan.batch)), parts) as sweeping:
                search = Search(
                    space=space,
                    plan=plan,
                    trials=store,
                    workers=sweeping,
                    capital=capital,
                    record=record,
                    heard=lambda batch, new: self.heard(name, plan.trials, batch, new),
                )
                return search.run()


def study_name(word: str, stage: str, space: Space, material: Material, plan: Plan, *, about: Mapping[str, Any]) -> str:
    """Return the study's name: word, stage, first and last session, and a digest of all that decides a trial.

    How many trials there are is no part of it: more of them go on from those that are there. ``about`` is what decides
    besides, the code's digest among it. Raises nothing: material without a session has a name, too.
    """
    decides = {
        "rules": [asdict(space.whole.base), dict(space.whole.stored), str(space.whole.filters), space.whole.own_sigma],
        "outer": space.values(),
        "inner": {name: list(map(str, values)) for name, values in space.inner.dimensions.items()},
        "objective": [asdict(space.penalties), space.smooth],
        "plan": {name: value for name, value in asdict(plan).items() if name != "trials"},
        "content": content(material),
        "optuna": version("optuna"),
        **about,
    }
    digest = hashlib.sha256(orjson.dumps(decides, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()
    span = f"{material.days[0]}_{material.days[-1]}" if material.days else "nothing"
    return f"{word}_{stage}_{span}_{digest[:12]}"


def content(material: Material) -> str:
    """Return a digest of everything trials are swept on."""
    digest = hashlib.sha256(repr([str(day) for day in material.days]).encode())
    frames = [*(frame for _, frame in sorted(material.measured.items())), material.bars]
    for frame in (*frames, material.symbol_gates, material.liquidity):
        if frame is not None:
            ordered = frame.select(sorted(frame.columns)).select(pl.all().exclude("lineage_id"))
            digest.update(ordered.hash_rows(seed=0).sort().to_numpy().tobytes())
    return digest.hexdigest()

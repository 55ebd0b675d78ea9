"""Who of the model ladder is better than whom: real bars, planted signals, and a market in which nothing can be known.

Run: python -m timegpt_assets_tests.benchmarks.ladder [PART ...]
Parts: real (houses made with the dense preset and the seats zero, climatology and size, given as
LADDER_HOUSES=NAME=STORAGE_ROOT[:CONTEXT],...), planted, still, speed; all of them without one. One thread. The net and
the blend take part where torch is installed (make setup-neural). Prints one JSON line per pair of forecasters or
figure; ratios are of pinball losses in volatilities with 95 % intervals over days, p is one-sided Diebold-Mariano's. A
name with ``seat_`` before it is the seat's own answer, learnt from every minute; without it the same forecaster learnt
from the ladder's rows.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation import ladder
from timegpt_assets.core.models import folds, net, teaching
from timegpt_assets.core.models.net_spec import NetSpec
from timegpt_assets.core.models.rows import OUTCOME
from timegpt_assets.core.models.tree import fitted, learn_tree
from timegpt_assets.core.tables.columns import CONTROL, TREE
from timegpt_assets.core.tables.evaluation import DAY_SCORES
from timegpt_assets_tests.ladder_walk import (
    TREES,
    Made,
    StillMarket,
    in_sigma,
    made,
    market,
    of_house,
    pair,
    reading,
    reported,
    settings,
    specs,
    walked,
)

SYMBOLS = tuple("ABCDEFGH")
FEW = SYMBOLS[:3]
SESSIONS = [session.day for session in calendar.sessions(date(2025, 2, 3), date(2025, 6, 30))]
PLANTED_DAYS, STILL_DAYS, SHOWN, SEEDS = 48, 33, 23, 20
"""Sessions of the walk; of a reading, and those of them that the tree learns from; and seeds."""
SEATED = ("forecast.challengers=[zero]", "forecast.history_days=40")
GOAL_REAL = 0.995
"""Pinball loss of the ladder over zero's, on real bars, at most."""


def show(**found: object) -> None:
    """Print one line."""
    print(json.dumps(found), flush=True)


def taught(under: Settings) -> NetSpec | None:
    """Return how the net learns, None where there is no torch."""
    return core_inputs.net_spec(under, core_inputs.event_calendar(under)) if find_spec("torch") else None


def told(name: str, known: pl.DataFrame, said: Mapping[str, pl.DataFrame], levels: Sequence[int], **more: Any) -> None:
    """Print every rung against zero, the control arm and the rung below it, as seats and as learnt from these rows."""
    rungs = [word for word in ("ridge", *TREES, "tsmixer", "blend") if word in said]
    lower = [
        word for word in ("zero", "ridge", "seat_zero", "seat_ridge", "seat_climatology", "seat_size") if word in said
    ]
    below = dict(zip(rungs[1:], rungs, strict=False)) | {"tsmixer": "lightgbm", "blend": "tsmixer"}
    pairs = [(own, other) for own in rungs for other in lower if own != other]
    pairs += [(own, below[own]) for own in ("tsmixer", "blend") if own in said] + [("blend", "lightgbm")] * (
        "blend" in said
    )
    pairs += [("seat_ridge", "seat_zero"), ("seat_size", "seat_zero")] * ("seat_size" in said)
    for own, other in pairs:
        show(name=name, rung=own, against=other, **more, **_rounded(pair(known, said, own, other, levels).saved()))


def _rounded(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("n", "sessions", "pinball_ratio", "pinball_ratio_low", "pinball_ratio_high", "mae_ratio", "dm_p", "better")
    return {name: round(found[name], 5) if isinstance(found[name], float) else found[name] for name in kept}


def real() -> None:
    """Print the ladder table of every house named, whole and by halves; settings were frozen on the first half."""
    for house in filter(None, os.environ.get("LADDER_HOUSES", "").split(",")):
        name, _, place = house.partition("=")
        root, _, context = place.partition(":")
        under = settings(f"universe.context=[{context}]")
        spec, known = specs(under)[1], of_house(Path(root), under)
        learnt = learn_tree(known, spec)
        read(f"read_{name}", reported(under, learnt, DAY_SCORES.empty(), known["day"].max()))
        said = walked(known, spec, tuple(TREES), taught=taught(under))
        answers = pl.read_parquet(Path(root) / "forecasts" / "base_answers" / "*.parquet")
        said |= {f"seat_{word}": own for word, own in in_sigma(answers).items()}
        days = folds.sessions(known)
        half = pl.col("day") < days[len(days) // 2]
        for part, own in (("whole", pl.lit(True)), ("first half", half), ("second half", ~half)):
            told(f"real_{name}", known.filter(own), said, spec.levels, part=part, goal=GOAL_REAL)


def planted() -> None:
    """Print the ladder table of made-up markets: an interaction, a line, and sizes alone."""
    under = settings(*SEATED)
    spec = specs(under)[1]
    for name, what in (("interaction", {"interaction": 0.3}), ("linear", {"linear": 0.3}), ("sizes", {})):
        ready = made(market(7, SYMBOLS, **what), SYMBOLS, SESSIONS[:PLANTED_DAYS], under)
        known = ready.rows()
        said = walked(known, spec, tuple(TREES), taught=taught(under))
        said |= seats(ready, said["lightgbm"]["day"].unique().sort().to_list())
        told(f"planted_{name}", known, said, spec.levels)
    verdict()


def verdict() -> None:
    """Print how production reads the tree of a planted interaction."""
    under = settings(*SEATED)
    read(
        "read_interaction",
        reading(made(market(7, SYMBOLS, interaction=0.3), SYMBOLS, SESSIONS[:STILL_DAYS], under), SHOWN),
    )


def seats(ready: Made, days: Sequence[date]) -> dict[str, pl.DataFrame]:
    """Return what the seats of a made-up market answered."""
    return {f"seat_{word}": own for word, own in ready.seated(days).items()}


def still() -> None:
    """Print for each seed how production reads the tree, and of how many seeds anybody is proven."""
    under, found = settings(*SEATED), list[bool]()
    against_control = list[bool]()
    for seed in range(1, SEEDS + 1):
        report = reading(made(StillMarket(seed=seed), FEW, SESSIONS[:STILL_DAYS], under), SHOWN)
        read("still", report, seed=seed)
        found.append(bool(ladder.proven(report)))
        better = set(report.filter(rung=TREE, against=CONTROL).filter("better")["stage"])
        against_control.append({"validation", "forward"} <= better)
    show(name="still_proven", of=SEEDS, goal="at most 1", value=sum(found), against_control_alone=sum(against_control))


def read(name: str, report: pl.DataFrame, **more: Any) -> None:
    """Print the rows of MODEL_REPORT that decide about the tree, and whether it is proven."""
    for against, stages in ladder.TO_BEAT.items():
        for row in report.filter(pl.col("stage").is_in(stages), rung=TREE, against=against).iter_rows(named=True):
            show(name=name, against=against, stage=row["stage"], **more, **_rounded(row))
    show(name=f"{name}_proven", **more, value=ladder.proven(report))


def speed() -> None:
    """Print what a month of 64 symbols takes to learn, and a snapshot of them to answer: tree and net in one run."""
    under = settings("universe.context=[]")
    spec, symbols = specs(under)[1], [f"S{n:02d}" for n in range(64)]
    known = made(StillMarket(seed=1), symbols, SESSIONS[:21], under).rows()
    asked = known.filter(snapshot_ts=known["snapshot_ts"].max()).drop(OUTCOME)
    show(name="speed_rows", rows=known.height, symbols=len(symbols), sessions=21)
    models = {"lightgbm": _timed("lightgbm", lambda: fitted(known, spec, "apart")[0])}
    if student := taught(under):
        lessons = teaching.teacher(known, spec)
        models["tsmixer"] = _timed("tsmixer", lambda: net.fitted(known, lessons, student)[0])
    for word, model in models.items():
        took = min(_seconds(lambda model=model: model.predicted(asked, spec.levels)) for _ in range(5))
        show(name=f"speed_snapshot_{word}", value=round(1000 * took, 1), unit="ms CPU, 64 symbols", goal=50)


def _timed(word: str, learn: Callable[[], Any]) -> Any:
    found: list[Any] = []
    show(
        name=f"speed_training_{word}",
        value=round(_seconds(lambda: found.append(learn())), 1),
        unit="s CPU, a month of 64",
    )
    return found[0]


def _seconds(work: Callable[[], Any]) -> float:
    """Return the CPU seconds it took: those of the clock are whoever else runs here."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


PARTS: Mapping[str, Callable[[], None]] = {"planted": planted, "speed": speed, "real": real, "still": still}


def main() -> None:
    """Print the parts named, or all."""
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()

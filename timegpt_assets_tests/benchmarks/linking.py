"""Linking the titles of a busy day (NEWS): 50,000 of them, made of the names that are shipped and words between them.

Prints one JSON line per figure: seconds as a multiple of what it takes to part the same texts into words, twice as many
titles over as many, and the megabytes that linking adds to the process. CPU of all threads, the least of several
rounds, since the machine is shared.
"""

import json
import random
import re
import resource
import time
from collections.abc import Callable
from datetime import date

import polars as pl

from timegpt_assets.adapters.news.aliases import names
from timegpt_assets.core.news.link import linked

DAY, TITLES, ROUNDS = date(2025, 1, 15), 50_000, 2
RATIO_GOAL, LINEAR_GOAL, MEMORY_GOAL_MB = 40.0, 2.2, 300.0
WORDS = (
    "after asks before builds case city court data deal fall fears from growth judge late million new over plan prices"
)


def titles(count: int, called: list[str]) -> pl.DataFrame:
    """Return so many events; every second title names somebody, no two are alike."""
    draw = random.Random(7)
    rows = []
    for nth in range(count):
        words = draw.choices(WORDS.split(), k=8)
        if nth % 2:
            words.insert(draw.randrange(8), draw.choice(called))
        rows.append((DAY, str(nth), f"{' '.join(words).capitalize()} {nth}", [], None, None))
    schema = {
        "day": pl.Date,
        "event_id": pl.String,
        "title": pl.String,
        "tickers": pl.List(pl.String),
        "series": pl.String,
        "extracted_by": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the least CPU time of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def show(name: str, value: float, unit: str, goal: float, baseline: float) -> None:
    """Print one figure beside its goal; ``baseline`` are the CPU seconds that it is a multiple of."""
    figure = {"name": name, "value": round(value, 2), "unit": unit, "goal": goal, "baseline": round(baseline, 3)}
    print(json.dumps(figure))


def main() -> None:
    """Measure linking beside parting into words, on one day and on one that is twice as long."""
    directory = names(None, ())
    called = sorted(directory.as_of(DAY).called.values())
    day, long = titles(TITLES, called), titles(2 * TITLES, called)
    words = re.compile(r"\w+")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = cpu_seconds(lambda: linked(day, directory, min_confidence=0.5))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    theirs = cpu_seconds(lambda: [words.findall(title) for title in day["title"]])
    twice = cpu_seconds(lambda: linked(long, directory, min_confidence=0.5))
    show("linking_over_words", ours / theirs, "x", RATIO_GOAL, theirs)
    show("linking_twice_as_many", twice / ours, "x", LINEAR_GOAL, ours)
    show("linking_memory", grown, "MB", MEMORY_GOAL_MB, ours)


if __name__ == "__main__":
    main()

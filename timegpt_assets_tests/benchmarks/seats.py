"""What each further forecaster adds to a backfill of real bars (P15): CPU, wall, bytes and rows, seat by seat.

Run: TIMEGPT_ASSETS_REAL_DATA=/path/to/data python -m timegpt_assets_tests.benchmarks.seats [SESSIONS]
One house, eight symbols, profile dev, the engine. Bars and features are made once and counted in every backfill, what
stands on answers is made anew for each seat. Prints one JSON line per figure; without real bars nothing.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from timegpt_assets_tests.real_houses import FREE, TRADED, Took, backfilled, opened_house, sessions

SET = "mag7_spy_2025"
MONTH = 19
"""Sessions of February 2025, the last of the set."""
GOAL = 0.15
"""Most that a cheap seat may add, as a share of the CPU of a backfill with one."""


def made(data: Path, folder: Path, last: int) -> tuple[float, dict[str, Took]]:
    """Return the CPU seconds of bars and features, and what the rest took with each seat and those before it."""
    *_, before = sessions(SET)[:-last]
    days, found = sessions(SET)[-last:], dict[str, Took]()
    with opened_house(data, SET, folder, seats=()) as command:
        # the history, and what a process does once, are of no seat
        backfilled(command, [before], assets=TRADED)
        below = backfilled(command, days, assets=("panel", "labels")).cpu
        backfilled(command, days, assets=TRADED)
    for n in range(1, len(FREE) + 1):
        with opened_house(data, SET, folder, seats=FREE[:n]) as command:
            found[FREE[n - 1]] = backfilled(command, days, assets=TRADED)
    return below, found


def show(name: str, value: float, unit: str, goal: float | None = None, **baseline: object) -> None:
    """Print one figure."""
    line = {"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "baseline": baseline}
    print(json.dumps(line), flush=True)


def main() -> None:
    """Print the figures of a month, or of as many sessions as named."""
    if "TIMEGPT_ASSETS_REAL_DATA" not in os.environ:
        print("seats: set TIMEGPT_ASSETS_REAL_DATA to measure on real bars", file=sys.stderr)
        return
    data, last = Path(os.environ["TIMEGPT_ASSETS_REAL_DATA"]), int(sys.argv[1]) if len(sys.argv) > 1 else MONTH
    with tempfile.TemporaryDirectory() as folder:
        below, found = made(data, Path(folder), last)
    show("seats_bars_and_features_cpu", below, "s", sessions=last)
    one = below + found[FREE[0]].cpu
    before: Took | None = None
    for n, (word, took) in enumerate(found.items(), start=1):
        figures = {"wall": round(took.wall, 1), "bytes": took.bytes, "rows": took.rows}
        show(f"seats_{n}_{word}_cpu", below + took.cpu, "s", **figures)
        if before is not None:
            show(f"seats_{n}_{word}_added", (took.cpu - before.cpu) / one, "of a backfill with one seat", GOAL)
        before = took
    # one seat's own figure lies within the noise of a backfill
    mean = (found[FREE[-1]].cpu - found[FREE[0]].cpu) / (len(FREE) - 1) / one
    show("seats_mean_added", mean, "of a backfill with one seat", GOAL, seats=len(FREE))


if __name__ == "__main__":
    main()

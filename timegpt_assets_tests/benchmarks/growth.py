"""What more symbols and more days cost: the graph from bars to gates on synthetic bars, by the engine (P10).

Run: python -m timegpt_assets_tests.benchmarks.growth [SYMBOLSxDAYS ...]
One process for each size, free forecasters, profile demo, events kept in memory. Prints one JSON line per size with
CPU by symbol and day and peak memory, then by how much time and memory grow with the size: an exponent of 1 is linear.
"""

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl

from timegpt_assets_tests.roads import SMALL, road, sessions

SIZES = ("8x10", "16x10", "32x10", "16x20")
DAYS = sessions(date(2025, 1, 2), date(2025, 6, 30))
WARM = 6
"""Sessions before the first that is asked for, which histories and warm-ups reach back to."""
LINEAR = 1.1
"""Largest exponent that is taken for linear: what a process does once makes it less, noise more."""
MEMORY_GB = 4.0


def made(symbols: int, days: int) -> dict[str, float]:
    """Return what one house of this size takes, made in this process."""
    names = ", ".join(f"S{n:04d}" for n in range(symbols))
    span = DAYS[: WARM + days]
    said = (f"universe.tickers=[{names}]", f"data.start_date={span[0]}", f"data.end_date={span[-1]}")
    with tempfile.TemporaryDirectory() as folder, road(Path(folder), base=(*SMALL, *said), pictures=False) as house:
        began, wall = time.process_time(), time.perf_counter()
        outcome = house.run(span[WARM:])
        took = time.process_time() - began
        waited = time.perf_counter() - wall
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        bars = pl.scan_parquet(house.root / "bars/bars/*.parquet").select(pl.len()).collect().item()
    assert not outcome.incomplete, outcome.incomplete
    return {"cpu_s": took, "wall_s": waited, "memory_gb": memory, "partitions": outcome.made, "bars": bars}


def measured(size: str) -> dict[str, float]:
    """Return what a house of this size takes in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--one", size]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(name: str, value: float, unit: str, goal: float | None = None, **baseline: object) -> None:
    """Print one figure."""
    line = {"name": name, "value": float(f"{value:.4g}"), "unit": unit, "goal": goal, "baseline": baseline}
    print(json.dumps(line), flush=True)


def main(sizes: tuple[str, ...]) -> None:
    """Print the figures of every size, and how they grow from the smallest to the largest."""
    found = {}
    for size in sizes:
        symbols, days = map(int, size.split("x"))
        cells = symbols * days
        found[cells] = took = measured(size)
        more = {name: round(value, 2) for name, value in took.items()}
        show(f"growth_{size}", 1e3 * took["cpu_s"] / cells, "CPU ms a symbol and day", **more, load=os.getloadavg()[0])
        show(f"growth_{size}_memory", took["memory_gb"], "GB", MEMORY_GB)
    least, most = min(found), max(found)
    if least < most:
        for name in ("cpu_s", "memory_gb"):
            grown = math.log(found[most][name] / found[least][name]) / math.log(most / least)
            show(f"growth_{name}", grown, "exponent", LINEAR, times=most / least)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(made(*map(int, sys.argv[2].split("x")))))
    else:
        main(tuple(sys.argv[1:]) or SIZES)

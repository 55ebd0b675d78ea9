"""A day through the real engine: seconds in all, and seconds in our own code rather than Dagster's bookkeeping (P7).

Prints one JSON line per figure, and what a process pays to import the definitions. Ours is the time inside asset and
check bodies and inside the IO manager, counted where they are entered; what is left is Dagster's planning, events and
imports.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import wraps
from typing import Any

import dagster as dg

from timegpt_assets.cli.context import opened
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.io_managers import TableIOManager
from timegpt_assets.runtime import load_runtime

DAY = date(2025, 2, 20)
spent = {"compute": 0.0, "storage": 0.0}


def timed(function: Callable[..., Any], into: str) -> Callable[..., Any]:
    """Return the function with its CPU time (the machine is shared) added to ``spent[into]``."""

    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[into] += time.process_time() - began

    return measured


@contextmanager
def clocked() -> Iterator[None]:
    """Measure every asset body, check body and IO manager call while the context is open."""
    asset, check = dg.asset, dg.asset_check
    dg.asset = lambda **options: lambda body: asset(**options)(timed(body, "compute"))  # type: ignore[assignment]
    dg.asset_check = lambda **options: lambda body: check(**options)(timed(body, "compute"))  # type: ignore[assignment]
    load, store = TableIOManager.load_input, TableIOManager.handle_output
    TableIOManager.load_input = timed(load, "storage")  # type: ignore[method-assign]
    TableIOManager.handle_output = timed(store, "storage")  # type: ignore[method-assign]
    try:
        yield
    finally:
        dg.asset, dg.asset_check = asset, check
        TableIOManager.load_input, TableIOManager.handle_output = load, store  # type: ignore[method-assign]


def imported() -> tuple[float, float]:
    """Return wall and CPU seconds of a process that imports the definitions."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", "import timegpt_assets.definitions"], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu


def main() -> None:
    """Make the days before once, then measure one day of eight symbols."""
    with tempfile.TemporaryDirectory() as folder, clocked():
        places = [f"data.{name}={folder}/{name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
        runtime = load_runtime([*places, "universe.context=[]"], profile="demo", environ={})
        build_definitions(runtime)
        with opened(runtime, report=lambda range_run, done: None) as command:
            nodes = asset_nodes(command.engine.repository)
            command.engine.run(rectangle(command.graph, nodes, days=[date(2025, 2, 18), date(2025, 2, 19)]))
            spent.update(compute=0.0, storage=0.0)
            began, cpu = time.perf_counter(), time.process_time()
            outcome = command.engine.run(rectangle(command.graph, nodes, days=[DAY]))
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    import_wall, import_cpu = min(imported() for _ in range(3))
    figures = {
        "import_definitions_wall": (import_wall, "s", 2.5),
        "import_definitions_cpu": (import_cpu, "s", None),
        "run_day_wall": (wall, "s", 20.0),
        "run_day_cpu": (cpu, "s", None),
        "run_day_ours": (sum(spent.values()), "s", 5.0),
        "run_day_compute": (spent["compute"], "s", None),
        "run_day_storage": (spent["storage"], "s", None),
        "run_day_partitions": (outcome.made, "partitions", None),
    }
    for name, (value, unit, goal) in figures.items():
        print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "baseline": None}))


if __name__ == "__main__":
    main()

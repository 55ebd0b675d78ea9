"""Every benchmark can be imported, and those that make their own data run through on sizes that take no time.

Nobody runs them day by day: what they are handed changes under them, and without this a crash is found when a figure
is wanted. What they measure here says nothing.
"""

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from timegpt_assets_tests import benchmarks
from timegpt_assets_tests.benchmarks import calibration, linking, storage, sweep

EVERY = sorted(path.stem for path in Path(benchmarks.__file__).parent.glob("[!_]*.py"))
AT_IMPORT = {"entries_and_exits"}
"""What measures as it is imported, on real bars."""


@pytest.mark.parametrize("name", [name for name in EVERY if name not in AT_IMPORT])
def test_a_benchmark_can_be_imported_and_begins_with_main(name: str) -> None:
    assert callable(importlib.import_module(f"{benchmarks.__name__}.{name}").main)


def small_sweep() -> Mapping[str, Any]:
    """Return two symbols, four sessions and forty combinations."""
    few = sweep.grid()[::25]
    return {"SYMBOLS": ("S0", "S1"), "SESSIONS": sweep.SESSIONS[:4], "BEST_OF": 1, "grid": lambda: few}


SMALL: Mapping[ModuleType, Callable[[], Mapping[str, Any]]] = {
    sweep: small_sweep,
    calibration: lambda: {"SESSIONS": 30, "CELLS": 4},
    linking: lambda: {"TITLES": 400, "ROUNDS": 1},
    storage: lambda: {"SESSIONS": 1, "FEATURES": 3, "ROUNDS": 1},
}
"""Benchmark -> what of it is set smaller."""


@pytest.mark.parametrize("module", SMALL, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_benchmark_runs_through_and_prints_figures_that_match_what_they_are_compared_with(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in SMALL[module]().items():
        monkeypatch.setattr(module, name, value)
    module.main()
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert figures
    assert [one for one in figures if one["name"].startswith("mismatches") and one["value"]] == []

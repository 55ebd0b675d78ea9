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
from timegpt_assets_tests.benchmarks import backfill, calibration, linking, storage, sweep
from timegpt_assets_tests.roads import road

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


def test_empty_assets_are_the_graph_of_the_backfill_and_store_nothing(tmp_path: Path) -> None:
    days = backfill.YEAR[:1]
    with road(
        tmp_path, *backfill.SAID, "forecast.base_url=http://127.0.0.1:9", profile="dev", base=(), pictures=False
    ) as of:
        real = of.engine.repository.asset_graph
        engine = backfill.empty(of.engine)
        bare = engine.repository.asset_graph
        assert bare.get_all_asset_keys() == real.get_all_asset_keys()
        assert bare.asset_check_keys == real.asset_check_keys
        for key in real.get_all_asset_keys():
            assert bare.get(key).partitions_def == real.get(key).partitions_def, key
            assert bare.get(key).parent_keys == real.get(key).parent_keys, key
            for parent in real.get(key).parent_keys:
                assert bare.get_partition_mapping(key, parent) == real.get_partition_mapping(key, parent), key
        asked = backfill.asked_for(engine, days, "features")
        warmup = 2 * len(asked.all_symbols)  # what the source has, and bars, of the session before
        assert engine.run(asked).made == sum(map(len, engine.asked(asked).values())) + warmup
        assert not [*of.root.glob("*/*/*.parquet")]


def test_figures_of_the_backfill_are_ratios_of_what_the_houses_took() -> None:
    houses = {"real": {"cpu": 5.0, "wall": 6.0, "made": 1000}, "empty": {"cpu": 4.0, "wall": 3.0, "made": 1000}}
    found = {name: value for name, value, *_ in backfill.figures(houses, "gates")}
    assert found["backfill_gates_real_a_partition"] == 5.0
    assert found["backfill_gates_cpu_over_empty"] == 1.25
    assert found["backfill_gates_wall_over_empty"] == 2.0

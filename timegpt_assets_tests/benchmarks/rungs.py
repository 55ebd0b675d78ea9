"""What a rung of the ladder takes to answer a snapshot: milliseconds for every symbol of a stored house.

Run: python -m timegpt_assets_tests.benchmarks.rungs section.key=value ...
The values are the settings of a house in which panels and labels are stored (data.storage_root among them). Tree and
net learn from its sessions but the last, by the settings; then the last is asked, snapshot by snapshot: the rows of
the panel made, the model asked, and the answers turned into the units of the frame. Prints one JSON line per figure;
without a house nothing.
"""

import json
import statistics
import sys
import time
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.adapters.models.ladder import Model, answered, asked_with
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.forecasts import framing, snapshots
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.models import net, tree
from timegpt_assets.core.models.rows import RowSpec, training_rows
from timegpt_assets.core.models.teaching import teacher
from timegpt_assets.runtime import load_runtime

GOAL_MS = 50.0
SESSIONS = 22
"""Sessions that are learnt from: a short history, since only answering is measured."""


def learnt(settings: Settings, rows: pl.DataFrame) -> dict[str, Model]:
    """Return the tree, and where torch is installed the net, of TRAINING_SET rows."""
    events = core_inputs.event_calendar(settings)
    spec = core_inputs.tree_spec(settings, events)
    found: dict[str, Model] = {"lightgbm": tree.fitted(rows, spec, "apart")[0]}
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        print("rungs: without torch the net is left out: make setup-neural", file=sys.stderr)
        return found
    found["tsmixer"] = net.fitted(rows, teacher(rows, spec), core_inputs.net_spec(settings, events))[0]
    return found


def milliseconds(model: Model, panel: pl.DataFrame, frame: Frame, spec: RowSpec, levels: tuple[int, ...]) -> float:
    """Return what one snapshot takes, from the day's panel to answers."""
    began = time.perf_counter()
    answered(model, asked_with(panel, [frame], spec)[frame.snapshot_ts], frame, levels)
    return 1000 * (time.perf_counter() - began)


def frames(settings: Settings, panel: pl.DataFrame, day: date) -> tuple[Frame, ...]:
    """Return the frames of a day."""
    spec = core_inputs.snapshot_spec(settings, core_inputs.event_calendar(settings))
    return framing.frames(panel, snapshots.snapshots([day], spec), core_inputs.frame_spec(settings), day=day)


def show(name: str, value: float, **more: Any) -> None:
    """Print one figure."""
    print(json.dumps({"name": name, "value": round(value, 2), "unit": "ms", "goal": GOAL_MS} | more), flush=True)


def main() -> None:
    """Print the figures of a house."""
    if len(sys.argv) == 1:
        print("rungs: name the settings of a house with stored panels to measure", file=sys.stderr)
        return
    runtime = load_runtime(sys.argv[1:], profile="dev")
    settings, store = runtime.settings, ParquetStore(runtime.storage)
    *before, last = [date.fromisoformat(name) for name in sorted(store.files("features/panel"))[-SESSIONS:]]
    spec = core_inputs.row_spec(settings, core_inputs.event_calendar(settings))
    parts = [training_rows(store.read("features/panel", [d]), store.read("features/labels", [d]), spec) for d in before]
    models = learnt(settings, pl.concat(parts))
    panel = store.read("features/panel", [*before[-10:], last])
    asked, today = frames(settings, panel, last), panel.filter(pl.col("day") == last)
    for word, model in models.items():
        took = [milliseconds(model, today, frame, spec, core_inputs.levels(settings)) for frame in asked]
        figures = {"symbols": asked[0].sigma.height, "snapshots": len(asked), "first": round(took[0], 1)}
        show(f"rungs_{word}_snapshot", statistics.median(took[1:]), **figures, worst=round(max(took[1:]), 1))


if __name__ == "__main__":
    main()

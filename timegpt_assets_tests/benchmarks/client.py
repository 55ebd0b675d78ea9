"""One call for ten symbols: our own CPU time beside the SDK's, bytes sent, and memory (P9).

Prints one JSON line per figure. The provider is the local server in a process of its own, so that its arithmetic is in
no figure. The SDK is measured alone on the very rows we send, one call per frame, its parameters seeded.
"""

import json
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.secret_search import KEY

SYMBOLS = tuple(f"S{i}" for i in range(10))
ROWS, INPUT_SIZE, HORIZON = 15_600, 1008, 60
"""Forty sessions of history; what the provider reads of it when bands are asked for: 3 x 1008 + 60 rows."""
REPETITIONS = 15


def cpu(doing: Callable[[], object]) -> float:
    """Return the CPU milliseconds of this process that it takes."""
    began = time.process_time()
    doing()
    return (time.process_time() - began) * 1e3


def rss() -> float:
    """Return the peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sdk(url: str) -> Callable[[pl.DataFrame], object]:
    """Return the SDK's own call on rows of symbol, ds, y."""
    from nixtla import NixtlaClient

    logging.getLogger("nixtla").setLevel(logging.WARNING)  # the import has made it talk
    client = NixtlaClient(api_key=KEY, base_url=url, max_retries=1)
    client._model_params["timegpt-1", "min"] = (INPUT_SIZE, HORIZON)

    def call(sent: pl.DataFrame) -> object:
        naive = sent.select(unique_id="symbol", ds=pl.col("ds").dt.replace_time_zone(None), y="y").to_pandas()
        return client.forecast(naive, h=15, freq="min", level=[50, 80, 95], model="timegpt-1")

    return call


def trimmed(one: Frame) -> pl.DataFrame:
    """Return the rows of a frame that are sent."""
    return (
        one.history.select("symbol", "ds", pl.col("y").cast(pl.Float32))
        .group_by("symbol", maintain_order=True)
        .tail(3 * INPUT_SIZE + HORIZON)
    )


def measured(url: str, folder: Path) -> dict[str, tuple[float, str, Any]]:
    """Return name -> value, unit, goal."""
    made = [frame(10, symbols=SYMBOLS, rows=ROWS + i) for i in range(REPETITIONS + 2)]
    direct, ours = sdk(url), timegpt(url, folder, limits={"per_run": 10**6, "per_day": 10**6})
    direct(trimmed(made[0]))
    ours.answers([frame(9, symbols=SYMBOLS, rows=ROWS)], budget_run_id="warm")
    before = rss()
    digests = iter(range(10**6))

    def fresh(one: Frame) -> None:
        ours.settings_digest = f"settings-{next(digests)}"
        ours.__dict__.pop("index", None)
        ours.answers([_shifted(one, ours.settings_digest)], budget_run_id="run")

    alone = [cpu(lambda one=one: direct(trimmed(one))) for one in made[2:]]  # type: ignore[misc]
    whole = [cpu(lambda one=one: fresh(one)) for one in made[2:]]  # type: ignore[misc]
    stored = frame(9, symbols=SYMBOLS, rows=ROWS)
    ours.settings_digest = "settings"
    ours.__dict__.pop("index", None)
    replayed = [cpu(lambda: ours.answers([stored], budget_run_id="b")) for _ in range(5)]
    bytes_sent = ours.answers([_shifted(made[1], "last")], budget_run_id="run").bytes_sent
    return {
        "client_call_cpu": (statistics.median(whole), "ms", None),
        "client_sdk_alone_cpu": (statistics.median(alone), "ms", None),
        "client_own_cpu_above_sdk": (statistics.median(whole) - statistics.median(alone), "ms", 25.0),
        "client_replay_cpu": (statistics.median(replayed), "ms", None),
        "client_payload": (bytes_sent, "bytes", None),
        "client_payload_untrimmed": (bytes_sent * ROWS / (3 * INPUT_SIZE + HORIZON), "bytes", None),
        "client_extra_peak_memory": (rss() - before, "MB", None),
        "client_process_peak_memory": (rss(), "MB", None),
    }


def _shifted(one: Frame, salt: str) -> Frame:
    """Return the frame with values of its own, so that nobody has been asked the same before."""
    factor = 1.0 + (hash(salt) % 1000 + 1) * 1e-4
    return Frame(
        day=one.day,
        snapshot_ts=one.snapshot_ts,
        horizon_min=one.horizon_min,
        history=one.history.with_columns(pl.col("y") * factor),
        sigma=one.sigma,
        left_out={},
    )


def main() -> None:
    """Start the server, measure, print."""
    command = [sys.executable, "-m", "timegpt_assets_tests.servers.timegpt", "--input-size", str(INPUT_SIZE)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            figures = measured(url, Path(folder))
    finally:
        server.terminate()
        server.wait()
    for name, (value, unit, goal) in figures.items():
        print(json.dumps({"name": name, "value": round(value, 1), "unit": unit, "goal": goal, "baseline": None}))


if __name__ == "__main__":
    main()

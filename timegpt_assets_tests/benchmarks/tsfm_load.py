"""The service under load: its time for a request, a cycle and a fallback, a model server killed ten times, its memory.

Run as ``python -m timegpt_assets_tests.benchmarks.tsfm_load [part ...]``; each part is one JSON line. The service is
the real command in a process of its own, the model server the local stand-in at 150 ms, all on loopback. Conformal
parameters of every segment are stored, so that each of the model's answers is adjusted.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count, product, takewhile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS, CUTS
from timegpt_assets.core.tsfm import conformal, segments
from timegpt_assets.serving.tsfm.parameters import ASSET

AS_OF = datetime(2026, 2, 20, 12, tzinfo=UTC)
DELAY_MS, RATE, SECONDS = 150, 10, 30
MARKETS, KILLS, REQUESTS = 200, 10, 10_000
AFTERWARDS_S = 10
"""Seconds for which is asked on after the last restart: three healthy probes end a degradation."""
PATH = "/tsfm/forecast"
Found = tuple[float, int, dict[str, Any]]
"""What came of a request: milliseconds, status (0: no answer) and meta."""


def question(number: int) -> dict[str, Any]:
    """Return what is asked of a market of this number: a day of prices that are its own."""
    walk = np.cumsum(np.random.default_rng(number).normal(0, 0.05, 288))
    prices = 1 / (1 + np.exp(-walk))
    return {
        "market_id": f"m{number}",
        "as_of_ts": AS_OF.isoformat(),
        "y": prices.round(4).tolist(),
        "volume_24h": 1e5,
    }


class ModelServer:
    """The local stand-in in a process that can be killed and started again at the same port."""

    def __init__(self, delay_ms: float = DELAY_MS) -> None:
        """Take a free port and start."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.delay_ms = delay_ms
        self.start()

    def start(self) -> None:
        """Start, and wait until it says where it is."""
        module = [sys.executable, "-m", "timegpt_assets_tests.servers.tollama"]
        told = [*module, "--port", str(self.port), "--delay-ms", str(self.delay_ms)]
        self.process = subprocess.Popen(told, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.communicate()


def parameters() -> pl.DataFrame:
    """Return CONFORMAL_PARAMETERS of the day that is asked about: of every pool and segment, as a full house has."""
    spec = tsfm_inputs.conformal_spec(load_settings(profile="demo", config_dir=None, environment={}))
    words = {
        "price_bucket": segments.price_buckets(spec.price_cuts),
        "liquidity_bucket": (segments.LOW, segments.MID, segments.HIGH),
        "tte_bucket": ("<1h", "1-6h", "6-24h", "24-168h", ">168h", segments.UNKNOWN),
        "category": ("Crypto", "Politics", "Sports", segments.UNKNOWN),
    }
    rows = [
        (AS_OF.date(), level, band, conformal.name_of(pool), *cuts, step, 600, AS_OF.date(), AS_OF.date(), 0.1)
        for level, band, pool in product(spec.levels, conformal.PREFIXES, spec.pools)
        for cuts in product(*(words[name] if name in pool else (conformal.ANY,) for name in CUTS))
        for step in range(1, 13)
    ]
    return pl.DataFrame(rows, CONFORMAL_PARAMETERS.schema, orient="row").with_columns(lineage_id=pl.lit("load"))


@contextmanager
def service(model_port: int, **said: object) -> Iterator[tuple[str, int]]:
    """Yield the URL and process id of the real command, with --set values; its log is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = {
            "tsfm.tollama.base_url": f"http://127.0.0.1:{model_port}",
            "data.storage_root": f"{folder}/tables",
            **said,
        }
        ParquetStore(LocalStore(Path(folder) / "tables")).write(ASSET, str(AS_OF.date()), parameters())
        options = [part for key, value in wanted.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        command = [str(Path(sys.executable).parent / "timegpt-assets"), "serve", "--port", "0", *options]
        log = Path(folder) / "log"
        with log.open("w") as stream:
            process = subprocess.Popen(command, stderr=stream, env=dict(os.environ))
        try:
            while not (lines := log.read_text().splitlines()):
                assert process.poll() is None, "the service did not start"
                time.sleep(0.05)
            yield json.loads(lines[0])["url"], process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()[-2000:]


async def at_a_rate(url: str, numbers: Iterable[int], rate: float) -> list[Found]:
    """Return what came of a request for each number, sent at a steady rate whatever comes back."""
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client:
        began = time.perf_counter()
        tasks = []
        for place, number in enumerate(numbers):
            await asyncio.sleep(max(0.0, began + place / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(one(client, question(number))))
        return list(await asyncio.gather(*tasks))


async def one(client: httpx.AsyncClient, body: Mapping[str, Any]) -> Found:
    """Return milliseconds, status (0: no answer) and meta of one request."""
    began = time.perf_counter()
    try:
        response = await client.post(PATH, json=body)
    except httpx.HTTPError as error:
        return (time.perf_counter() - began) * 1000, 0, {"error": repr(error)}
    took = (time.perf_counter() - began) * 1000
    found = response.json()
    return took, response.status_code, found.get("meta", {}) | {"pool": found.get("bands", {}).get("pool")}


async def in_turns(url: str, numbers: range, at_once: int) -> list[Found]:
    """Return the same of requests of which so many are under way at once."""
    turn = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=httpx.Limits(max_connections=at_once)) as client:

        async def waited(number: int) -> Found:
            async with turn:
                return await one(client, question(number))

        return list(await asyncio.gather(*(waited(number) for number in numbers)))


def told(name: str, found: list[Found], **more: object) -> None:
    """Print a part's line: latencies of what was answered, statuses, reasons, and the load of the machine."""
    took = np.array([ms for ms, status, _ in found if status == 200] or [np.nan])
    line = {
        "part": name,
        "requests": len(found),
        "p50_ms": round(float(np.quantile(took, 0.5)), 1),
        "p95_ms": round(float(np.quantile(took, 0.95)), 1),
        "max_ms": round(float(took.max()), 1),
        "statuses": dict(Counter(status for _, status, _ in found)),
        "reasons": dict(Counter(str(meta.get("fallback_reason")) for _, _, meta in found)),
        "adjusted": sum(meta.get("pool") is not None for _, _, meta in found),
        **more,
        "load": [round(one, 2) for one in os.getloadavg()],
    }
    print(json.dumps(line), flush=True)


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken, seconds: it hangs on no other's load."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Return the memory of a process, MB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def rate(model: ModelServer) -> None:
    """Time requests of markets that nobody asked about before, at a steady rate."""
    with service(model.port) as (url, pid):
        asyncio.run(at_a_rate(url, range(20), 5))  # imports, connections
        began = cpu_s(pid)
        found = asyncio.run(at_a_rate(url, range(1000, 1000 + RATE * SECONDS), RATE))
        told("rate", found, rate_per_s=RATE, cpu_ms=round(1000 * (cpu_s(pid) - began) / len(found), 2))


def cycle(model: ModelServer) -> None:
    """Time a cycle's markets, one request each."""
    with service(model.port) as (url, _):
        began = time.perf_counter()
        found = asyncio.run(in_turns(url, range(MARKETS), 16))
        told("cycle", found, cycle_s=round(time.perf_counter() - began, 2))


def fallback(model: ModelServer) -> None:
    """Time what answers while the model server is gone and its breaker is open."""
    with service(model.port) as (url, pid):
        asyncio.run(at_a_rate(url, range(20), 5))
        model.kill()
        asyncio.run(in_turns(url, range(100, 120), 1))
        began = cpu_s(pid)
        found = asyncio.run(at_a_rate(url, range(1000, 1200), RATE))
        told("fallback", found, rate_per_s=RATE, cpu_ms=round(1000 * (cpu_s(pid) - began) / len(found), 2))
        model.start()


def killed(model: ModelServer) -> list[Found]:
    """Return what came of requests while the model server was killed and started again ten times, and after that.

    Breaker and degradation look again after a second.
    """
    over = asyncio.Event()

    async def both(url: str) -> list[Found]:
        asking = asyncio.create_task(at_a_rate(url, takewhile(lambda _: not over.is_set(), count(5000)), 5))
        for _ in range(KILLS):
            await asyncio.to_thread(model.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(model.start)
            await asyncio.sleep(1.5)
        await asyncio.sleep(AFTERWARDS_S)
        over.set()
        return await asking

    with service(model.port, **{"tsfm.breaker.cooldown_s": 1.0, "tsfm.degradation.probe_interval_s": 1.0}) as (url, _):
        return asyncio.run(both(url))


def kills(model: ModelServer) -> None:
    """Ask on while the model server is killed, until it is back and answers."""
    found = killed(model)
    told("kills", found, kills=KILLS, last=[str(meta.get("fallback_reason")) for _, _, meta in found[-5:]])


def grown(model: ModelServer, requests: int = REQUESTS) -> tuple[list[Found], float, float]:
    """Return what came of requests, and the service's memory before and after, MB, once its cache was full."""
    with service(model.port, **{"tsfm.cache.entries": 500}) as (url, pid):
        asyncio.run(in_turns(url, range(2000), 16))
        before = rss_mb(pid)
        found = asyncio.run(in_turns(url, range(2000, 2000 + requests), 16))
        return found, before, rss_mb(pid)


def memory(model: ModelServer) -> None:
    """Compare the service's memory before and after many requests."""
    found, before, after = grown(model)
    told("memory", found, rss_before_mb=round(before, 1), rss_after_mb=round(after, 1))


PARTS = {"rate": rate, "cycle": cycle, "fallback": fallback, "kills": kills, "memory": memory}


def main() -> None:
    """Run the parts named, or all."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[*PARTS])
    for part in arguments.parse_args().parts:
        model = ModelServer(5 if part == "memory" else DELAY_MS)
        try:
            PARTS[part](model)
        finally:
            model.kill()


if __name__ == "__main__":
    main()

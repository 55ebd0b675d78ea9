"""The store on a disk and in a bucket under writers that are killed, and two machines that write one day at once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets_tests.adapters.buckets import BUCKET
from timegpt_assets_tests.servers.gcs import GCSServer

ASSET, DAY, MINUTES = "bars/bars", date(2025, 1, 21), 390

SPAWNER = """
import os, sys
from functools import cache
import polars as pl
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from timegpt_assets.adapters.storage.gcs import GcsStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from pathlib import Path

url, bucket, base, asset, day = sys.argv[1:]

def write(rounds, seed, symbols):
    if url.startswith("http"):
        options = {"api_endpoint": url}
        client = storage.Client(project="test", credentials=AnonymousCredentials(), client_options=options)
        store = ParquetStore(GcsStore(lambda: client, bucket, "tables"))
    else:
        store = ParquetStore(LocalStore(Path(url)))
    frames = {symbol: pl.read_parquet(f"{base}/{symbol}") for symbol in symbols}
    for i in range(rounds):
        for symbol in symbols:
            frame = frames[symbol].with_columns(pl.col("close") + seed + i)
            store.write(asset, day, frame, keys=[symbol], facts={symbol: {"round": i}})

for line in sys.stdin:
    rounds, seed, *symbols = line.split()
    pid = os.fork()
    if not pid:
        write(int(rounds), int(seed), symbols)
        os._exit(0)
    print(pid, flush=True)
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
"""
"""Forks a writer for every line it reads: what takes seconds to import is imported once, before any thread runs."""


def rows(*symbols: str, seed: int = 0) -> pl.DataFrame:
    """Return the minutes of these symbols, different for each symbol and seed."""
    minute = pl.int_range(MINUTES, dtype=pl.Int64)
    parts = [
        pl.select(
            day=pl.repeat(DAY, MINUTES),
            symbol=pl.repeat(symbol, MINUTES),
            close=(minute + sum(map(ord, symbol)) * 1000 + seed).cast(pl.Float64),
        )
        for symbol in symbols
    ]
    return pl.concat(parts)


@dataclass(frozen=True)
class Stand:
    """A store, how to start a writer to it (rounds, symbols, seed -> process id), and whether a write is under way."""

    store: ParquetStore
    spawn: Callable[..., int]
    writing: Callable[[], bool]


@contextmanager
def spawner(where: str, folder: Path) -> Iterator[Callable[..., int]]:
    """Yield what starts a writer to the place and returns its process id; end what is left of them."""
    for symbol in "ABCD":
        rows(symbol).write_parquet(folder / symbol)
    arguments = [where, BUCKET, str(folder), ASSET, str(DAY)]
    process = subprocess.Popen(
        [sys.executable, "-c", SPAWNER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    begun: list[int] = []

    def spawned(rounds: int, *symbols: str, seed: int = 0) -> int:
        process.stdin.write(f"{rounds} {seed} {' '.join(symbols)}\n")
        process.stdin.flush()
        begun.append(int(process.stdout.readline()))
        return begun[-1]

    yield spawned
    for pid in begun:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture(params=["disk", "bucket"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """Yield a store of each kind. A bucket's write takes some milliseconds once it has been received."""
    if request.param == "bucket":
        server: GCSServer = request.getfixturevalue("server")
        server.pause_s = 0.004
        with spawner(server.url, tmp_path) as spawn:
            yield Stand(ParquetStore(request.getfixturevalue("bucket")()), spawn, lambda: server.writing > 0)
    else:
        root = tmp_path / "tables"
        beside = root / ASSET / f".{DAY}.parquet.lock"
        with spawner(str(root), tmp_path) as spawn:
            yield Stand(ParquetStore(LocalStore(root)), spawn, beside.exists)


def alive(pid: int) -> bool:
    """Return whether the process runs; one that ended and was not asked after yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def until(happened: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.0005)


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(stand: Stand, repetitions: Callable[[int], int]) -> None:
    """The other symbol survives every kill; the killed writer's is the last round it stored. No row is lost."""
    store, name, kills = stand.store, file_name(ASSET, DAY), repetitions(200)
    store.write(ASSET, DAY, rows("KEPT", "A"), keys=["KEPT", "A"], facts={"A": {"round": -1}})
    moments, in_a_write = random.Random(7), 0
    for i in range(kills):
        before = store.objects.generation(name)
        pid = stand.spawn(100_000, "A", seed=1000 * (i + 1))
        until(lambda before=before: store.objects.generation(name) != before)
        time.sleep(moments.uniform(0.0, 0.05))
        if i == 0:
            until(stand.writing)  # at least one kill falls into a write, however few there are
        in_a_write += stand.writing()
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: not alive(pid))
        settled(stand)
        assert_frame_equal(store.read(ASSET, [DAY], ["KEPT"]), rows("KEPT"))
        last = store.read_facts(ASSET, [DAY], ["A"])[str(DAY), "A"]["round"]
        assert isinstance(last, int)
        assert last >= 0, "the writer never wrote, so nothing was tried"
        assert_frame_equal(store.read(ASSET, [DAY], ["A"]), rows("A", seed=1000 * (i + 1) + last))
    assert in_a_write > 0, "no kill fell into a write, so nothing was tried"
    print(f"{kills} kills, {in_a_write} in a write: rows lost 0, torn files 0")  # noqa: T201 - the figure of a soak
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    assert [name for name, _ in store.objects.names()] == [name]
    assert not stand.writing(), "what a killed writer left goes with the next write"


def settled(stand: Stand) -> None:
    """Wait until a bucket has done with what the killed writer had sent; what lies beside a file stays."""
    if not isinstance(stand.store.objects, LocalStore):
        until(lambda: not stand.writing())


def test_two_machines_writing_different_symbols_of_a_day_lose_nothing(
    stand: Stand, request: pytest.FixtureRequest
) -> None:
    """Ten rounds of two symbols each, at the same time: 40 merges into one file; a bucket refuses some of them."""
    writers = [stand.spawn(10, "A", "C"), stand.spawn(10, "B", "D", seed=500)]
    until(lambda: not any(alive(pid) for pid in writers))
    expected = pl.concat([rows(s, seed=9 if s in "AC" else 509) for s in "ABCD"])
    assert_frame_equal(stand.store.read(ASSET, [DAY]), expected)
    facts = stand.store.read_facts(ASSET, [DAY])
    assert {symbol: fact["round"] for (_, symbol), fact in facts.items()} == dict.fromkeys("ABCD", 9)
    if not isinstance(stand.store.objects, LocalStore):
        server: GCSServer = request.getfixturevalue("server")
        assert server.counts["write"] > 40, "nobody came in between, so nothing was tried"

"""Writers that are killed, and writers at once: of a month one version is live, it is whole, and no switch is lost."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from timegpt_assets.adapters.models.live import Live
from timegpt_assets.adapters.models.registry import ROOT, ArtifactRefused, ModelRegistry
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets_tests.adapters.buckets import Opened
from timegpt_assets_tests.adapters.models.artifacts import MONTH, UNDER, made, registry, signer

NAME = made().manifest["name"]


def now() -> datetime:
    return datetime.now(UTC)


def learn_on(folder: Path, first: int) -> None:
    """Put one version after the other and make it live, without an end."""
    models = registry(LocalStore(folder))
    for seed in range(first, first + 100_000):
        artifact = made(seed=seed)
        models.put(artifact, signer())
        for other in (artifact, made(seed=seed - 1)) * 20:
            models.switch(NAME, MONTH, other.digest, clock=now)


@pytest.mark.timeout(300)
def test_a_writer_killed_while_it_switches_leaves_one_live_version_that_verifies(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    models, pointer = registry(LocalStore(tmp_path)), tmp_path / ROOT / NAME / MONTH / "live.json"
    models.put(made(seed=0), signer())
    before = models.switch(NAME, MONTH, made(seed=0).digest, clock=now)
    kill = hit = 0
    while hit < repetitions(200):  # what was killed in between has to leave it whole as well
        kill += 1
        generation = pointer.stat().st_mtime_ns
        process = multiprocessing.get_context("fork").Process(target=learn_on, args=(tmp_path, 1 + 1_000 * kill))
        models.put(made(seed=1_000 * kill), signer())  # the one before its first
        process.start()
        while pointer.stat().st_mtime_ns == generation:  # on a busy machine it may take long to begin
            time.sleep(0.0005)
        time.sleep(0.0003 * (kill % 25))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        live = models.live(NAME, MONTH)
        assert live is not None
        assert live.since > before.since
        assert models.load(NAME, MONTH, live.digest, UNDER).signed_by == "ada"
        assert models.load(NAME, MONTH, str(live.previous), UNDER).signed_by == "ada"
        hit += pointer.with_name(".live.json.lock").exists()  # killed while it was switching
        before = live
    models.put(made(seed=-5), signer())
    after = models.switch(NAME, MONTH, made(seed=-5).digest, clock=now)
    assert after.previous == before.digest


def switched(models: ModelRegistry, seeds: Sequence[int], count: int) -> list[Live]:
    """Return what was live after each of so many switches, to one after the other of these versions."""
    found = []
    for number in range(count):
        artifact = made(seed=seeds[number % len(seeds)])
        models.put(artifact, signer())
        found.append(models.switch(NAME, MONTH, artifact.digest, clock=now))
    return found


def tell(told: Connection, folder: Path, seeds: Sequence[int], count: int) -> None:
    told.send(switched(registry(LocalStore(folder)), seeds, count))


def assert_no_switch_is_lost(models: ModelRegistry, said: Sequence[Live]) -> None:
    """Every version that was live names the one that was live before it, up to the one that is now."""
    chain = sorted(set(said), key=lambda live: live.since)
    assert [live.previous for live in chain] == [None, *(live.digest for live in chain[:-1])]
    assert models.live(NAME, MONTH) == chain[-1]
    assert models.load(NAME, MONTH, chain[-1].digest, UNDER).signed_by == "ada"


def test_processes_that_put_and_switch_at_once_lose_no_switch(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    fork, ends = multiprocessing.get_context("fork"), []
    for seeds in ((1, 2), (1, 2), (1, 3)):  # two learn the same month, a third another one
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=tell, args=(theirs, tmp_path, seeds, repetitions(400)))
        process.start()
        ends.append((process, ours))
    said = [live for _, ours in ends for live in ours.recv()]
    for process, ours in ends:
        process.join()
        ours.close()
        assert process.exitcode == 0
    assert_no_switch_is_lost(registry(LocalStore(tmp_path)), said)


def test_in_a_bucket_writers_at_once_lose_no_switch(bucket: Opened) -> None:
    stores = [registry(bucket()) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        asked = [
            threads.submit(switched, models, seeds, 5) for models, seeds in zip(stores, ((1, 2), (3, 1)), strict=True)
        ]
        said = [live for future in asked for live in future.result()]
    assert_no_switch_is_lost(stores[0], said)


def test_what_a_killed_writer_left_half_is_refused_and_put_again_is_whole(tmp_path: Path) -> None:
    models, artifact = registry(LocalStore(tmp_path)), made()
    models.put(artifact, signer())
    folder = tmp_path / ROOT / NAME / MONTH / artifact.digest
    for name in ("manifest.json", "manifest.sig", *artifact.files):
        (folder / name).unlink()
        with pytest.raises(ArtifactRefused, match=r"is not there|is not signed"):
            models.load(NAME, MONTH, artifact.digest)
    models.put(artifact, signer())
    assert models.load(NAME, MONTH, artifact.digest, UNDER) == artifact

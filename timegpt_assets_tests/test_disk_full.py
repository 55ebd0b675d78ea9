"""A disk that is full under bars, paid answers, the ledger or Dagster's records: named, nothing is lost or paid twice.

Each place lies on a file system of its own that has so much room left; when room is made, the same command goes on.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets_tests.commands import Commands, finished
from timegpt_assets_tests.engine.test_call_budget import FORECAST
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer
from timegpt_assets_tests.test_killed_commands import MADE, SNAPSHOTS, WAIT_SEC, House, half_made, left_behind

SIZE_MB = 48
PLACES = {"storage_root": "bars", "cache": "forecasts", "ledger": "forecasts", "home": "forecasts"}
"""What lies on the full disk, and the stage that writes to it."""
ROOM_KB = (0, 16, 128)


def mounted(folder: Path) -> bool:
    """Put an empty file system of a few megabytes in the place of a folder; False where that is not allowed."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    return os.getuid() == 0 and subprocess.run(words, check=False, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def made(commands: Commands, server: TimeGPTServer, tmp_path_factory: pytest.TempPathFactory) -> House:
    return half_made(commands, House(folder=tmp_path_factory.mktemp("made"), url=server.url))


def moved(house: House, place: str, disk: Path) -> None:
    """Let a place of the house lie on the disk, under its own name."""
    names = [
        path for path in house.folder.iterdir() if path.name.startswith("call_ledger" if place == "ledger" else place)
    ]
    for path in names:
        target = disk / path.name
        shutil.move(path, target)
        path.symlink_to(target)


def filled(disk: Path, room_kb: int) -> Path:
    """Fill the disk but for so much room and return what fills it."""
    filler, free = disk / "filler", shutil.disk_usage(disk).free - (room_kb << 10)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)
    return filler


def bars(house: House) -> bytes:
    return ParquetStore(LocalStore(house.folder / "storage_root")).read("bars/bars", [MADE]).write_ipc(None).getvalue()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("place", "room_kb"),
    [
        pytest.param(place, room_kb, marks=() if (place, room_kb) == ("cache", 0) else pytest.mark.whole)
        for place in PLACES
        for room_kb in ROOM_KB
    ],
)
def test_a_full_disk_is_named_and_when_there_is_room_the_same_command_goes_on(
    commands: Commands, server: TimeGPTServer, made: House, disk: Path, tmp_path: Path, place: str, room_kb: int
) -> None:
    house, log, stage = made.copied(tmp_path / "house"), tmp_path / "log", PLACES[place]
    moved(house, place, disk)
    before, sent = bars(house), server.counts[FORECAST]
    filler = filled(disk, room_kb)
    told = finished(commands.start(house.words(stage), house.environment, log), log, within_sec=WAIT_SEC)
    print(place, room_kb, told[-600:])  # noqa: T201
    filler.unlink()
    again = finished(commands.start(house.words(stage), house.environment, log), log, within_sec=WAIT_SEC)
    assert again.endswith("exit 0"), again[-3000:]
    if stage == "forecasts":
        assert server.counts[FORECAST] - sent == SNAPSHOTS, "what was asked was kept"
        assert house.rows() == 3 * SNAPSHOTS
    else:
        assert bars(house) == before
    left_behind(house)
    if room_kb == 0:
        assert not told.endswith("exit 0")
    if not told.endswith("exit 0"):
        assert "Traceback" not in told
        assert "No space left on device" in told or "disk is full" in told or "make room" in told.lower(), told

"""What a live source said is kept whole or not at all, once, and a day is made of it as of stored prices."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.prediction_markets.price_files import PriceFiles
from timegpt_assets.adapters.prediction_markets.tape import CycleMissed, Tape, TapeDamaged
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core.tsfm.seen import PRICES
from timegpt_assets.core.tsfm.series import series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, SPEC, at, market, markets, prices

CYCLE = timedelta(minutes=5)
DAY = NOON.date()
SOON = timedelta(seconds=3)


def tape(folder: Path) -> Tape:
    """Return the tape of a folder."""
    return Tape(LocalStore(folder), cycle=CYCLE)


def quoted(minutes: float, p: float = 0.5, name: str = "m") -> pl.DataFrame:
    """Return the snapshot of a cycle: one market with both quotes."""
    return markets(market(name, minutes=minutes, live=True, bid=p, ask=p))


def keep(kept: Tape, minutes: float, frame: pl.DataFrame, *, late: timedelta = SOON) -> pl.DataFrame:
    """Keep a snapshot that was there a little after its cycle began."""
    return kept.keep_markets(at(minutes), frame, taken_at=at(minutes) + late)


def keep_prices(kept: Tape, minutes: float, points: list[tuple[float, float]], **told: Any) -> None:
    """Keep points that a cycle fetched of market m, by default of the day before it."""
    said = {"since": {"token of m": at(minutes - 1440)}, "until": at(minutes), "taken_at": at(minutes) + SOON} | told
    kept.keep_prices(at(minutes), prices(points), **said)


def test_a_day_is_what_its_cycles_said_and_the_prices_known_in_it_or_a_day_before(tmp_path: Path) -> None:
    kept = tape(tmp_path)
    keep(kept, 0, quoted(0, 0.4))
    keep(kept, 5, quoted(5, 0.6))
    keep_prices(kept, 5, [(-2200.0, 0.1), (-1000.0, 0.2), (1.0, 0.3)])
    day = kept.day(DAY)
    assert_frame_equal(day.markets, pl.concat([quoted(0, 0.4), quoted(5, 0.6)]))
    assert day.prices["p"].to_list() == [0.2, 0.3]
    assert kept.cycles(DAY) == [at(0), at(5)]
    assert kept.day(DAY + timedelta(days=1)).markets.is_empty()
    assert kept.day(DAY + timedelta(days=1)).prices["p"].to_list() == [0.3]
    assert kept.day(DAY - timedelta(days=1)).prices.is_empty(), "fetched on a later day"


def test_what_nobody_looked_at_before_midnight_is_told_by_the_first_cycle_after_it(tmp_path: Path) -> None:
    kept = tape(tmp_path)
    keep(kept, 0, quoted(0))
    keep(kept, 720, quoted(720))
    keep_prices(kept, 720, [(600.0, 0.2), (719.0, 0.3)])
    keep(kept, 725, quoted(725))
    keep_prices(kept, 725, [(700.0, 0.9)])
    assert kept.day(DAY).prices["p"].to_list() == [0.2, 0.3], "later ones fetch for days of their own"


def test_of_two_snapshots_of_a_cycle_the_first_stands(tmp_path: Path) -> None:
    kept = tape(tmp_path)
    assert_frame_equal(keep(kept, 0, quoted(0, 0.4)), quoted(0, 0.4))
    assert_frame_equal(keep(kept, 0, quoted(0, 0.9)), quoted(0, 0.4))
    assert kept.markets(at(0)) is not None
    assert kept.markets(at(5)) is None


def test_cycles_at_once_are_one(tmp_path: Path) -> None:
    kept = tape(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda p: keep(kept, 0, quoted(0, p / 10))["bid"][0], range(1, 9)))
        list(pool.map(lambda _: keep_prices(kept, 0, [(-5.0, 0.2)]), range(8)))
    assert len(set(told)) == 1
    assert kept.day(DAY).markets["bid"].to_list() == told[:1]
    assert len(list(kept.objects.names("tsfm/tape/"))) == 2


def test_of_two_prices_of_a_stamp_the_one_that_came_first_stands(tmp_path: Path) -> None:
    kept = tape(tmp_path)
    keep_prices(kept, 10, [(-5.0, 0.7), (0.0, 0.8)])
    keep_prices(kept, 0, [(-5.0, 0.2)])
    assert kept.day(DAY).prices["p"].to_list() == [0.2, 0.8]
    keep_prices(kept, 5, [(-5.0, 0.9)], taken_at=at(-1))
    assert kept.day(DAY).prices["p"].to_list() == [0.9, 0.8]


def test_a_snapshot_that_came_after_its_cycle_is_refused(tmp_path: Path) -> None:
    kept = tape(tmp_path)
    for late in (CYCLE, timedelta(seconds=-1)):
        with pytest.raises(CycleMissed, match=r"its quotes are not of that cycle. Nothing was kept.*tsfm.cycle_min"):
            keep(kept, 0, quoted(0), late=late)
    assert kept.cycles(DAY) == []
    with pytest.raises(ValueError, match="has rows of"):
        keep(kept, 0, quoted(5))
    with pytest.raises(ValueError, match="no moment of a cycle"):
        kept.markets(at(0).replace(tzinfo=None))


def test_what_is_lacking_is_what_was_neither_quoted_nor_fetched(tmp_path: Path) -> None:
    kept, hour = tape(tmp_path), timedelta(hours=1)
    assert kept.lacking(["token of m"], at(0), hour) == {"token of m": at(-60)}
    keep(kept, 0, quoted(0))
    assert kept.lacking(["token of m"], at(5), hour) == {"token of m": at(-55)}, "a quote is no history"
    keep_prices(kept, 0, [(-5.0, 0.2)])
    assert kept.lacking(["token of m", "other"], at(0), hour) == {"other": at(-60)}, "not twice in a cycle"
    assert kept.lacking(["token of m", "other"], at(5), hour) == {"other": at(-55)}
    keep(kept, 5, quoted(5))
    assert kept.lacking(["token of m"], at(10), hour) == {}
    assert kept.lacking(["token of m"], at(30), hour) == {"token of m": at(5)}, "nobody looked since"
    assert kept.lacking(["token of m"], at(1500), hour) == {"token of m": at(1440)}, "as far as asked, over midnight"


def test_a_damaged_object_is_named_and_its_remedy_works(tmp_path: Path) -> None:
    kept = tape(tmp_path)
    keep(kept, 0, quoted(0))
    keep(kept, 5, quoted(5))
    keep_prices(kept, 5, [(0.0, 0.2)])
    for name in ("120000.markets", next(n for n, _ in kept.objects.names("tsfm/tape/") if "prices" in n)):
        file = tmp_path / f"tsfm/tape/{DAY}" / name.rpartition("/")[2]
        whole = file.read_bytes()
        for torn in (b"", whole[: len(whole) // 2], whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], b"{}"):
            file.write_bytes(torn)
            with pytest.raises(TapeDamaged, match=f"{file.name} is damaged.*or delete it"):
                kept.day(DAY)
        file.unlink()
        kept.day(DAY)
    assert kept.cycles(DAY) == [at(5)]
    (tmp_path / f"tsfm/tape/{DAY}/notes.txt").write_text("x")
    with pytest.raises(TapeDamaged, match=r"notes.txt is nothing of the tape. Move it"):
        kept.day(DAY)


WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from timegpt_assets_tests.adapters.prediction_markets.test_tape import keep, keep_prices, quoted, tape
kept = tape(Path(sys.argv[1]))
keep(kept, 0, quoted(0))
print("begun", flush=True)
for number in range(1, 100000):
    keep(kept, 0.05 * number, quoted(0.05 * number, 0.5))
    keep_prices(kept, 0.05 * number, [(-5.0, 0.2)])
"""


def test_a_writer_that_is_killed_leaves_whole_objects_and_another_goes_on(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    chance, found = random.Random(3), 0
    for run in range(repetitions(40)):
        folder = tmp_path / str(run)
        with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"begun\n"
            time.sleep(chance.uniform(0.05, 0.3))
            writer.send_signal(signal.SIGKILL)
        kept = tape(folder)
        before = kept.day(DAY)
        found += before.markets.height
        keep(kept, 600, quoted(600))
        assert kept.day(DAY).markets.height == before.markets.height + 1
        half = [path for path in folder.rglob(".*.half") if "120000" not in path.name]
        assert len(half) <= 1, "at most the object that it was at"
    assert found > 0, "nothing was written before a kill, so nothing was tried"


def test_a_live_day_and_its_replay_are_the_same_rows_but_for_who_saw_them(tmp_path: Path) -> None:
    """The same prices known: as quotes of cycles live, as points of history in a replay."""
    chance, names = random.Random(5), ("a", "b", "c")
    truth = {
        (name, k): chance.choice([0.0, 0.1, 0.35, 0.9, 1.0])
        for name in names
        for k in range(40)
        if chance.random() < 0.7
    }
    truth |= {(name, 0): 0.5 for name in names}
    kept = tape(tmp_path / "tape")
    for k in range(40):
        rows = [market(n, minutes=5 * k, live=True, bid=truth.get((n, k)), ask=truth.get((n, k))) for n in names]
        keep(kept, 5 * k, markets(*rows))
    folder = tmp_path / "files"
    folder.mkdir()
    points = [(f"token of {n}", at(5 * k), p) for (n, k), p in truth.items()]
    pl.DataFrame(points, schema={k: v for k, v in PRICES.items() if k != "known_at"}, orient="row").write_parquet(
        folder / "prices.parquet"
    )
    pl.DataFrame({"market_id": names, "token_id": [f"token of {n}" for n in names]}).write_parquet(
        folder / "markets.parquet"
    )
    live = kept.day(DAY)
    replay = PriceFiles(folder, known_after_s=0.0, cycle_min=5).day(DAY)
    as_live, as_replay = (series(day.markets, day.prices, [DAY], SPEC).rows for day in (live, replay))
    assert as_live.height > 400
    assert_frame_equal(as_live.drop("y_source"), as_replay.drop("y_source"))
    told = {"mid": "history", "ffill": "ffill"}
    assert as_live["y_source"].replace_strict(told).equals(as_replay["y_source"])
    listed = ["as_of", "market_id", "token_id", "active"]
    both = replay.markets.filter(pl.col("as_of") <= at(195))
    assert_frame_equal(live.markets.select(listed), both.select(listed))

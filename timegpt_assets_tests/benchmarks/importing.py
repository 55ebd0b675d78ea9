"""Seconds and memory of importing a million rows, beside polars reading the same file and doing nothing with it.

Run: ``python -m timegpt_assets_tests.benchmarks.importing [ROWS]``. Each measurement is a process of its own, so that
memory is its own; the file is written once per kind. Prints one line per kind, and the ratio of both.
"""

import gzip
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.adapters.market.vendor_bars import Importer
from timegpt_assets.adapters.market.vendor_files import files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core import calendar
from timegpt_assets_tests.vendor_writers import OHLCV, local

SYMBOLS = tuple(f"S{letter}" for letter in "ABCDEFGH")
KINDS = ("csv", "csv.gz", "parquet")


def main(rows: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        bars = _bars(rows)
        print(f"{bars.height:,} rows of {len(SYMBOLS)} symbols; memory is that of the whole process at its peak")
        print("kind      polars s   MB    import s   MB    times   memory")
        for kind in KINDS:
            path = Path(folder) / f"bars.{kind}"
            _write(bars, path)
            plain, ours = (_measured(what, path, Path(folder) / f"root-{kind}") for what in ("polars", "import"))
            ratio, memory = ours["s"] / plain["s"], ours["mb"] / plain["mb"]
            print(
                f"{kind:8} {plain['s']:9.2f} {plain['mb']:5.0f} {ours['s']:10.2f} {ours['mb']:5.0f} {ratio:8.1f} "
                f"{memory:8.1f}"
            )


def _bars(rows: int) -> pl.DataFrame:
    sessions = -(-rows // (390 * len(SYMBOLS)))
    days = [s.day for s in calendar.sessions(date(2023, 1, 3), date(2025, 12, 31))][:sessions]
    made = SyntheticMarket(symbols=SYMBOLS).bars(SYMBOLS, days)
    return made.select("symbol", local("%Y-%m-%d %H:%M:%S").alias("timestamp"), *OHLCV).head(rows)


def _write(bars: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        naive = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S")
        bars.with_columns(naive).write_parquet(path)
    else:
        text = bars.write_csv().encode()
        path.write_bytes(gzip.compress(text, 6) if path.suffix == ".gz" else text)


def _measured(what: str, path: Path, root: Path) -> dict[str, float]:
    command = [sys.executable, "-m", __spec__.name if __spec__ else "", what, str(path), str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _once(what: str, path: Path, root: Path) -> None:
    began = time.perf_counter()
    if what == "import":
        told = [Importer(objects=LocalStore(root)).imported(file) for file in files(path)]
        assert not any(one.wrong for one in told), told
    else:
        read = pl.read_parquet if path.suffix == ".parquet" else pl.read_csv
        assert read(path).height
    spent = time.perf_counter() - began
    print(json.dumps({"s": spent, "mb": _peak_mb()}))


def _peak_mb() -> float:
    """Return the peak of this process's memory; rusage counts its parent's too, up to the exec."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    if sys.argv[1:2] in (["polars"], ["import"]):
        _once(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

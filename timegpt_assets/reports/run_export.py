"""A run's folder, ``runs/<run_id>/`` below data.artifacts_root: its files, and meta.json that says what made them.

Belongs here: what may be written there, and the record. What stands in the files is run_files.py. The stored tables
are the record of everything; this is a view of some sessions of them, for readers that look for these names.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
import polars as pl

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config.settings import Settings, resolved
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.reports import RUN_EXPORT
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.reports import run_files
from timegpt_assets.reports.run_files import File, Window

FOLDER, META = "runs", "meta.json"
REPORT = "report"
"""The step that takes over the pages of a month as they were published."""
EVERY_STEP = (*run_files.STEPS, REPORT)
PAGES = (f"{REPORT}.md", "robustness_report.md", "report.html")
NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
Made = Mapping[str, Sequence[File]]
"""Step -> its files."""
KEY_FIGURES = ("trades", "net_pnl", "sharpe_daily", "max_drawdown", "hit_rate")


class RunTaken(Explained, ValueError):
    """Raised for a run id that names no folder, or whose folder holds something else: nothing is written over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExport:
    """Where runs are written to, and the tables and settings they are of."""

    artifacts: ObjectStore
    tables: ParquetStore
    settings: Settings
    clock: Callable[[], datetime]

    def add(self, run_id: str, days: Sequence[date], steps: Sequence[str]) -> Made:
        """Return the files of these steps, written to the run's folder and told of in its record.

        What lies there with the same bytes is left alone. Raises RunTaken, and then writes nothing.
        """
        refuse_unfit(run_id)
        return self.keep(run_id, days, {step: list(self.files(days, step)) for step in steps})

    def keep(self, run_id: str, days: Sequence[date], made: Made) -> Made:
        """Return these files, written and told of as ``add`` does. Raises RunTaken, and then writes nothing."""
        refuse_unfit(run_id)
        files = list({file.name: file for found in made.values() for file in found}.values())
        self._refuse_other(run_id, files)
        for file in files:
            self.artifacts.write_new(f"{FOLDER}/{run_id}/{file.name}", file.data)
        # last: whoever reads the record finds the files it tells of
        self.artifacts.update(f"{FOLDER}/{run_id}/{META}", lambda current: self._meta(run_id, current, days, made))
        return made

    def folder(self, run_id: str) -> str:
        """Return where a run's folder lies, as people are shown it."""
        return self.artifacts.shown(f"{FOLDER}/{run_id}")

    def rows(self, run_id: str, days: Sequence[date], made: Made) -> pl.DataFrame:
        """Return RUN_EXPORT of these files for each of the sessions."""
        told = [
            {"day": day, "run_id": run_id, "step": step, "file": file.name, **_told(file)}
            for day in days
            for step, files in made.items()
            for file in files
        ]
        return pl.DataFrame(told, schema=RUN_EXPORT.schema)

    def files(self, days: Sequence[date], step: str) -> Iterator[File]:
        """Yield the files of a step, as far as its tables are stored for these sessions."""
        if step == REPORT:
            yield from self._pages(days)
            return
        yield from run_files.STEPS[step](self.window(days))

    def window(self, days: Sequence[date]) -> Window:
        """Return the stored tables of these sessions, of monthly ones those of their months."""

        def read(name: str) -> pl.DataFrame:
            one = STORED[name]
            keys = [str(day) for day in days] if one.span == "day" else sorted({f"{day:%Y-%m}" for day in days})
            return self.tables.read(one.asset, keys, missing="ok", empty=pl.DataFrame())

        forecast = self.settings.forecast
        return Window(read=read, horizon_min=forecast.horizon_min, profile=self.settings.profile)

    def _pages(self, days: Sequence[date]) -> Iterator[File]:
        month = max(days)
        for name in PAGES:
            if found := self.artifacts.read(f"reports/{self.settings.profile}/{month:%Y-%m}/{name}"):
                yield File(name, found.data, found.data.count(b"\n"))

    def _refuse_other(self, run_id: str, files: Sequence[File]) -> None:
        for file in files:
            name = f"{FOLDER}/{run_id}/{file.name}"
            found = self.artifacts.read(name)
            if found is not None and found.data != file.data:
                raise RunTaken(
                    f"{self.artifacts.shown(name)} is of another run: what would be written there differs. Say another "
                    "--run-id, or take that folder away."
                )

    def _meta(self, run_id: str, current: Current, days: Sequence[date], made: Made) -> bytes:
        """Return the record with these steps in it; what it says of others stays."""
        there = current()
        known: dict[str, Any] = orjson.loads(there.read()) if there else {"run_id": run_id, "steps": {}}
        settings = {row.key: str(row.value) for row in resolved(self.settings)}
        configs = known.setdefault("configs", settings)
        for step, files in made.items():
            said = {
                "files": {file.name: _told(file) for file in files},
                "first_day": str(min(days)),
                "last_day": str(max(days)),
                "other_configs": {key: value for key, value in settings.items() if configs.get(key) != value},
            }
            before = known["steps"].get(step, {})
            # the same again is the same step: its record does not move
            if said != {key: value for key, value in before.items() if key != "finished_at"}:
                known["steps"][step] = said | {"finished_at": self.clock().isoformat()}
        known["days"] = sorted({*known.get("days", ()), *map(str, days)})
        return run_files.said(known | summary(self.window([date.fromisoformat(day) for day in known["days"]])))


def refuse_unfit(run_id: str) -> None:
    """Raise RunTaken for a run id that could not be the name of one folder."""
    if not NAMED.fullmatch(run_id):
        raise RunTaken(f"--run-id {run_id!r} names no folder. Write letters, digits, dots, hyphens and underscores.")


def summary(window: Window) -> dict[str, Any]:
    """Return what a run's record says of its tables: validation, snapshots a day, calibration, gates, key figures."""
    quality, asked = window.read("quality_report"), window.read("snapshots")
    made, judged = window.read("forecasts"), run_files.judged(window)
    return {
        "profile": window.profile,
        "validation": _validation(quality),
        "snapshots_per_day": _per_day(asked.filter("asked")) if asked.height else {},
        "forecasts": _makers(made),
        "calibration": _calibrated(made),
        "gates": _gates(judged),
        "metrics": _figures(window.read("trading_scores")),
    }


def _validation(quality: pl.DataFrame) -> dict[str, Any]:
    broken = quality.filter(pl.col("rules") != "") if quality.height else quality
    return {
        "status": "none" if quality.is_empty() else "failed" if _held_back(quality) else "passed",
        "verdicts": run_files.verdicts(quality),
        "offending": [
            {"day": str(row["day"]), "symbol": row["symbol"], "rows": orjson.loads(row["offending"] or "[]")}
            for row in broken.sort(*run_files.KEY).iter_rows(named=True)
        ]
        if broken.height
        else [],
    }


def _held_back(quality: pl.DataFrame) -> bool:
    return not quality.filter(pl.col("verdict").is_in(["quarantined", "no_data"])).is_empty()


def _per_day(rows: pl.DataFrame) -> dict[str, int]:
    return {str(day): count for day, count in rows.group_by("day").len().sort("day").iter_rows()}


def _makers(made: pl.DataFrame) -> list[dict[str, Any]]:
    """Return who answered what with how many rows."""
    who = ["forecaster", "backend", "model", "score_source", "run_source", "data_regime"]
    return made.group_by(who).len("rows").sort(who).to_dicts() if made.height else []


def _calibrated(made: pl.DataFrame) -> dict[str, Any]:
    """Return by which method how many forecasts were calibrated, and whose order had to be mended."""
    if made.is_empty():
        return {}
    methods = made.group_by("calibration").len().sort("calibration")
    crossed = {name: int(made[name].sum()) for name in ("crossings", "calibration_crossings")}
    return {"methods": dict(methods.iter_rows()), **crossed}


def _gates(judged: pl.DataFrame) -> dict[str, str]:
    """Return passed or failed of every gate."""
    if judged.is_empty():
        return {}
    passed = judged.group_by("gate").agg(pl.col("passed").all()).sort("gate")
    return {gate: "passed" if held else "failed" for gate, held in passed.iter_rows()}


def _figures(scores: pl.DataFrame) -> dict[str, Mapping[str, Any]]:
    """Return by month the account's figures in the book that is traded."""
    if scores.is_empty():
        return {}
    account = scores.filter(book=LIVE, symbol=WILDCARD).sort("month")
    return {row["month"]: {name: row[name] for name in KEY_FIGURES} for row in account.iter_rows(named=True)}


def _told(file: File) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(file.data).hexdigest(), "bytes": len(file.data), "rows": file.rows}

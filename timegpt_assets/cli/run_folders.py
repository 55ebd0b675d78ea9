"""A run's folder at the command line: its files, the lines its stages log, and what is said of it.

Belongs here: what every verb with --run-id does besides its work. What the files are is reports/run_export.py.
"""

from contextlib import AbstractContextManager
from typing import Any

from timegpt_assets.adapters import stage_logs
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.reports.run_export import FOLDER, Made, RunExport
from timegpt_assets.runtime import Runtime


def export(runtime: Runtime) -> RunExport:
    """Return what writes runs of what is stored."""
    tables = ParquetStore(runtime.storage)
    return RunExport(artifacts=runtime.artifacts, tables=tables, settings=runtime.settings, clock=runtime.clock)


def logged(runtime: Runtime, run_id: str) -> AbstractContextManager[None]:
    """Return a context in which lines of the stages go to the run's own ``logs``, too; without a run, to theirs."""
    own = [runtime.logs.parent / FOLDER / run_id / "logs"] if run_id else []
    return stage_logs.kept(runtime.logs, *own, redacted=runtime.redacted)


def told(runs: RunExport, run_id: str, made: Made, messages: Terminal) -> dict[str, Any]:
    """Say where the files of a run lie, and return it."""
    names = list(dict.fromkeys(file.name for files in made.values() for file in files))
    folder = runs.folder(run_id)
    messages.print(f"run {run_id}: {len(names)} files in {folder}", soft_wrap=True)
    return {"run_id": run_id, "folder": folder, "files": names}

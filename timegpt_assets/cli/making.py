"""What the verbs do that make a range of sessions: one rectangle, its progress, its figures, and how it ends.

Belongs here: the order of things. What has to run is engine/, what is printed console.py.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import typer

from timegpt_assets.cli import bars as cli_bars
from timegpt_assets.cli import calls as cli_calls
from timegpt_assets.cli import console as view
from timegpt_assets.cli import run_folders
from timegpt_assets.cli.asked import Asked, at_midnight
from timegpt_assets.cli.context import opened
from timegpt_assets.cli.exit_codes import DATA_FAILED, GATES_FAILED, WAITS
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core import calendar
from timegpt_assets.engine import daily, pending
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.revisions import only_stale, outdated
from timegpt_assets.engine.stages import STAGES, everyday, last_closed_session
from timegpt_assets.reports.run_export import refuse_unfit
from timegpt_assets.runtime import Runtime


def made(
    asked: Asked,
    *,
    force: bool = False,
    reask: bool = False,
    stale: bool = False,
    as_json: bool = False,
    of_data: bool = False,
    judged: bool = False,
) -> None:
    """Materialise what is asked for, print what came of it, and end with the exit code that says so.

    ``of_data`` tells of the bars' quality and fails when a rule is broken, ``judged`` fails when a gate does.
    """
    messages = Terminal(stderr=True)
    with run_folders.logged(asked.runtime, asked.run_id):
        found = _figures(asked, messages, force=force, reask=reask, stale=stale, of_data=of_data)
    if asked.run_id:
        runs = run_folders.export(asked.runtime)
        made = runs.add(asked.run_id, asked.days, asked.steps)
        found["run"] = run_folders.told(runs, asked.run_id, made, messages)
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        if of_data:
            cli_bars.shown(found["data_quality"], Terminal())
        view.show(found, messages)
    if of_data and not found["data_quality"]["passed"]:
        for line in cli_bars.failures(found["data_quality"]):
            messages.print(line, soft_wrap=True)
        raise typer.Exit(DATA_FAILED)
    if judged and found["gates_failed"]:
        messages.print(f"gates failed: {', '.join(found['gates_failed'])}", soft_wrap=True)
        raise typer.Exit(GATES_FAILED)
    _refuse_waiting(found)


ALSO = {"forecast": STAGES["calibration"], "backtest": ("trading_scores", "stress_phases")}
"""Step of a run -> what its files hold besides what its verb makes; nothing of it is paid for."""


def into_run(asked: Asked, run_id: str, *steps: str) -> Asked:
    """Return what is asked for with the files of a run, and with what they hold besides. Raises RunTaken."""
    if not run_id:
        return asked
    refuse_unfit(run_id)
    assets = dict.fromkeys([*asked.assets, *(name for step in steps for name in ALSO.get(step, ()))])
    return replace(asked, assets=tuple(assets), run_id=run_id, steps=steps)


def _figures(
    asked: Asked, messages: Terminal, *, force: bool, reask: bool, stale: bool, of_data: bool
) -> dict[str, Any]:
    progress = Progress(messages)
    with opened(asked.runtime, report=progress.heard, listener=progress) as command:
        days = asked.days
        if not (asked.symbols or stale) and asked.assets == everyday(asked.runtime.settings):
            days = daily.looked_at_again(command.engine, days, last_closed_session(asked.runtime.clock()))
        if reask:
            cli_calls.reasked(asked.runtime, days, messages)
        nodes, what = asset_nodes(command.engine.repository), {"symbols": asked.symbols, "assets": asked.assets}
        wanted = rectangle(command.graph, nodes, days=days, **what, force=force, reask=reask)
        outcome = command.engine.run(only_stale(command.engine, wanted) if stale else wanted)
        # after the run: what could not be paid for, or waits for bars, is taken up by the sensors
        pending.note(command.engine.instance, days, outcome, **what)
        found = view.figures(command, days, outcome, progress) | view.left_old(outdated(command.engine, wanted))
        if of_data:
            found["data_quality"] = cli_bars.reported(command, days, wanted.symbols)
    return found


def _refuse_waiting(found: Mapping[str, Any]) -> None:
    """End the command with the exit code that says so when days that were asked for wait: they are not done."""
    if found["days_waiting"] or found["days_awaiting_bars"]:
        raise typer.Exit(WAITS)


def first_of_demo(runtime: Runtime) -> datetime:
    """Return the first session of the demo that has its history before it."""
    sessions = calendar.sessions(runtime.settings.data.start_date, calendar.LAST_DAY)
    return at_midnight(sessions[runtime.settings.forecast.history_days].day)

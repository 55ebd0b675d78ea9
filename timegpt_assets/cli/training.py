"""The verb that trains: a month's models with everything they are learnt from, told rung by rung.

Belongs here: the order of things, and what is printed. What has to run is engine/training.py, how models are learnt
core/models/.
"""

import sys
from collections.abc import Mapping
from typing import Any

import orjson
import typer

from timegpt_assets.cli.console import left_old
from timegpt_assets.cli.context import CommandContext, opened
from timegpt_assets.cli.exit_codes import WAITS
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.models.manifests import SHOWN
from timegpt_assets.engine.revisions import outdated
from timegpt_assets.engine.training import RUNGS, month_asked, trained
from timegpt_assets.runtime import Runtime


def train(runtime: Runtime, month: str | None, *, force: bool, as_json: bool) -> None:
    """Learn the month's models, print what each was learnt from and how it did, and say what waits for bars.

    Raises Refused for a month that cannot be asked for, typer.Exit where sessions to learn from wait for bars.
    """
    first = month_asked(runtime.settings, month, at=runtime.clock())
    messages = Terminal(stderr=True)
    progress = Progress(messages)
    with opened(runtime, report=progress.heard, listener=progress) as command:
        wanted = trained(command.engine, command.graph, first, force=force)
        outcome = command.engine.run(wanted)
        found = {
            "profile": runtime.settings.profile,
            "month": f"{first:%Y-%m}",
            "models": _models(command, f"{first:%Y-%m}"),
            "runs": len(outcome.range_runs),
            "partitions_made": outcome.made,
            "partitions_there": outcome.there,
            "seconds": round(progress.seconds, 1),
            "untaught": outcome.untaught,
            "days_awaiting_bars": [str(day) for day in sorted(outcome.held)],
            **left_old(outdated(command.engine, wanted)),
        }
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        show(found)
    if found["days_awaiting_bars"]:
        raise typer.Exit(WAITS)


def _models(command: CommandContext, month: str) -> list[dict[str, Any]]:
    """Return a row per rung: what it was learnt from, its loss in validation over the control arm's, or why not."""
    rows = [row for name in RUNGS for row in command.table(f"models/{name}", [month]).iter_rows(named=True)]
    told = ("forecaster", "policy", "first_day", "last_day", "sessions", "rows", "digest", "reason")
    return [{name: row[name] for name in told} | {"pinball_ratio": _ratio(row)} for row in rows]


def _ratio(row: Mapping[str, Any]) -> float | None:
    return row["pinball"] / row["control_pinball"] if row["pinball"] is not None and row["control_pinball"] else None


def show(found: Mapping[str, Any]) -> None:
    """Print what was learnt as a table, and below it what is missing."""
    out = Terminal()
    columns = ("seat", "sessions", "rows", "pinball / control arm's", "digest", "why there is none")
    table = Table(columns, title=f"{found['profile']}: models of {found['month']}")
    for row in found["models"]:
        ratio = "–" if row["pinball_ratio"] is None else f"{row['pinball_ratio']:.3f}"
        digest = (row["digest"] or "–")[:SHOWN]
        seat = f"{row['forecaster']} ({row['policy']})" if row["policy"] else row["forecaster"]
        table.add(seat, f"{row['sessions']:,}", f"{row['rows']:,}", ratio, digest, row["reason"])
    out.print(table)
    for name, months in found["untaught"].items():
        out.print(f"{name} has nothing of {', '.join(months)}: no session of theirs could be made.", soft_wrap=True)
    if waiting := found["days_awaiting_bars"]:
        out.print(
            f"{len(waiting)} sessions to learn from wait for bars ({waiting[0]} to {waiting[-1]}). Run the same again "
            "when they are there.",
            soft_wrap=True,
        )
    out.print(
        f"{found['partitions_made']} partitions made in {found['runs']} runs, {found['partitions_there']} already "
        f"there, {found['seconds']} s."
    )

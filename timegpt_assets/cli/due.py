"""What the verb due prints: what should be there by when, how it stands, and every alarm that rings.

Belongs here: what is printed, and telling the channels by hand. What is due is engine/due.py, what an alarm is
engine/alarms.py.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict

import orjson
import typer

from timegpt_assets.automation.alarms import Told, senders, tell
from timegpt_assets.cli.context import opened
from timegpt_assets.cli.exit_codes import FAILED
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.alarms import Alarm
from timegpt_assets.engine.alarms import alarms
from timegpt_assets.engine.due import Due, due
from timegpt_assets.runtime import Runtime


def told(runtime: Runtime, *, tell_channels: bool, as_json: bool) -> None:
    """Print what is due and what rings; exits with 1 while an alarm rings, or a channel could not be told."""
    with opened(runtime, report=lambda range_run, done: None) as command:
        expected, found = due(command.engine), alarms(command.engine)
    # all of it, whoever was told before: who asks by hand wants to see that it arrives
    dead = tell(senders(runtime), found, Told()).dead if tell_channels else {}
    if as_json:
        plain = {
            "profile": runtime.settings.profile,
            "due": [asdict(one) | {"is_overdue": one.is_overdue} for one in expected],
            "alarms": [asdict(alarm) for alarm in found.alarms],
            "not_told": dead,
        }
        sys.stdout.write(orjson.dumps(plain).decode() + "\n")
    else:
        _show(expected, found.alarms, Terminal())
        for why in dead.values():
            Terminal(stderr=True).print(f"not told: {why}", soft_wrap=True)
    if found.alarms or dead:
        raise typer.Exit(FAILED)


def _show(expected: Sequence[Due], ringing: Sequence[Alarm], out: Terminal) -> None:
    if expected:
        table = Table(("what", "due by, UTC", "state", ""), title="what runs by itself")
        for one in expected:
            standing = "overdue" if one.is_overdue else "there" if one.is_there else "not due yet"
            table.add(one.what, f"{one.by:%Y-%m-%d %H:%M}", one.state, standing)
        out.print(table)
    else:
        out.print("nothing has run by itself yet. Switch it on: timegpt-assets ui, under Automation.", soft_wrap=True)
    for alarm in ringing:
        out.print(f"alarm: {alarm.subject}: {alarm.said}", soft_wrap=True)
    if not ringing:
        out.print("no alarm rings.")

"""The verb about prediction markets: a cycle of now, a replay of past days, and how the watch stands.

Belongs here: options and help. What they do is cli/tsfm.py.
"""

from datetime import datetime
from typing import Annotated, Literal

import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Force, Json, Profile, Set

Action = Annotated[
    Literal["status", "cycle", "replay"],
    typer.Argument(help="status, cycle (of now), or replay (of past UTC days)"),
]
FirstDay = Annotated[datetime | None, typer.Option("--start", formats=["%Y-%m-%d"], help="first UTC day of a replay")]
LastDay = Annotated[datetime | None, typer.Option("--end", formats=["%Y-%m-%d"], help="last one")]


def tsfm(
    action: Action = "status",
    start: FirstDay = None,
    end: LastDay = None,
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Bands for prediction markets: one cycle of now, a replay of past UTC days, or how the watch stands."""
    if action == "replay" and not (start and end):
        raise typer.BadParameter("replay needs days. Say --start DAY --end DAY, both UTC and both included.")
    runtime = started(settings, profile)
    from timegpt_assets.cli import tsfm as watch

    if action == "replay" and start and end:
        watch.replay(runtime, start.date(), end.date(), force=force, as_json=json)
    elif action == "cycle":
        watch.cycle(runtime, as_json=json)
    else:
        watch.status(runtime, as_json=json)

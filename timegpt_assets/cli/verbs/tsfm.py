"""The verb about prediction markets: cycle, replay, how the watch stands, alerts, the rollout, the evaluation.

Belongs here: options and help. What they do is cli/tsfm.py, tsfm_alerts.py, tsfm_rollout.py and tsfm_evaluate.py.
"""

from datetime import datetime
from typing import Annotated, Literal

import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Force, Json, Profile, Set

Action = Annotated[
    Literal["status", "cycle", "replay", "alerts", "rollout", "evaluate"],
    typer.Argument(
        help="status, cycle (of now), replay (of past UTC days), alerts, rollout (of the model's bands), or evaluate "
        "(whether the bands of stored days hold)"
    ),
]
Step = Annotated[
    Literal["status", "start", "advance", "rollback", "judge"],
    typer.Argument(help="of rollout: status, start, advance, rollback, or judge (its breaches, now)"),
]
Reason = Annotated[str, typer.Option(help="why, for the record; asked of rollout rollback")]
AlertDay = Annotated[
    datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="UTC day of the alerts; default: the newest")
]
FirstDay = Annotated[
    datetime | None,
    typer.Option("--start", formats=["%Y-%m-%d"], help="first UTC day of a replay, or of what is evaluated"),
]
LastDay = Annotated[datetime | None, typer.Option("--end", formats=["%Y-%m-%d"], help="last one")]


def tsfm(
    action: Action = "status",
    step: Step = "status",
    start: FirstDay = None,
    end: LastDay = None,
    day: AlertDay = None,
    reason: Reason = "",
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Bands for prediction markets: a cycle of now, a replay of past UTC days, status, alerts, rollout, evaluation."""
    if action == "replay" and not (start and end):
        raise typer.BadParameter("replay needs days. Say --start DAY --end DAY, both UTC and both included.")
    runtime = started(settings, profile)
    if action == "rollout":
        from timegpt_assets.cli import tsfm_rollout

        return tsfm_rollout.done(runtime, step, reason, as_json=json)
    if action == "alerts":
        from timegpt_assets.cli import tsfm_alerts

        return tsfm_alerts.feed(runtime, day and day.date(), as_json=json)
    if action == "evaluate":
        from timegpt_assets.cli import tsfm_evaluate

        return tsfm_evaluate.evaluate(runtime, start and start.date(), end and end.date(), as_json=json)
    from timegpt_assets.cli import tsfm as watch

    if action == "replay" and start and end:
        watch.replay(runtime, start.date(), end.date(), force=force, as_json=json)
    elif action == "cycle":
        watch.cycle(runtime, as_json=json)
    else:
        watch.status(runtime, as_json=json)
    return None

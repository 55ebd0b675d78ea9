"""The verb about rollouts: how a challenger comes to be traded, phase by phase, and how it is taken back.

Belongs here: options and help. What it does is cli/rollout.py.
"""

from typing import Annotated, Literal

import typer

from timegpt_assets.cli import completing
from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Json, Profile, Set

Action = Annotated[
    Literal["status", "start", "advance", "rollback", "judge"],
    typer.Argument(help="status, start, advance, rollback, or judge (the triggers, now)"),
]
Challenger = Annotated[
    str, typer.Argument(autocompletion=completing.challengers, help="whom to start, advance or roll back")
]
Reason = Annotated[str, typer.Option(help="why, for the record; asked of rollback")]


def rollout(
    action: Action = "status",
    forecaster: Challenger = "",
    reason: Reason = "",
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """How challengers come to be traded: where each stands and what its next phase asks; start, advance, rollback."""
    if action in ("start", "advance", "rollback") and not forecaster:
        raise typer.BadParameter(f"rollout {action} needs a forecaster. Say whom after it.")
    runtime = started(settings, profile)
    from timegpt_assets.cli import rollout as rollouts

    rollouts.done(runtime, action, forecaster, reason, as_json=json)

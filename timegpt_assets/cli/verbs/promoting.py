"""The verbs that say what is live: promote records what passed every criterion, demote what shall be live no more.

Belongs here: options and help. What they do is cli/promoting.py.
"""

from pathlib import Path
from typing import Annotated

import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Json, Profile, Set

Month = Annotated[str, typer.Option(help="YYYY-MM; default: that of the last session with a portfolio")]
Card = Annotated[Path | None, typer.Option("--scorecard", help="YAML file of a review, kept with the promotion")]
Symbols = Annotated[list[str] | None, typer.Argument(help="symbols that shall be live no more")]
All = Annotated[bool, typer.Option("--all", help="every symbol that is live")]
Reason = Annotated[str, typer.Option("--reason", help="why, for the record")]
Forecaster = Annotated[str | None, typer.Option("--forecaster", help="whose; default: the champion")]


def promote(
    month: Month = "",
    card: Card = None,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Make a month's verdict of the stored days again, and record as live what passed every criterion; prod alone."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import promoting

    promoting.promote(runtime, month, card, as_json=json)


def demote(
    reason: Reason,
    symbols: Symbols = None,
    everything: All = False,
    forecaster: Forecaster = None,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Record that symbols are live no more, from the next session on; prod alone."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import promoting

    promoting.demote(runtime, reason, symbols or (), everything=everything, forecaster=forecaster, as_json=json)

"""The verbs about money: what a range would cost, what was spent, stopping every send, and the store of paid answers.

Belongs here: options and help. What they do is cli/calls.py.
"""

from typing import Annotated, Literal

import typer

from timegpt_assets.cli.asked import asked, started
from timegpt_assets.cli.options import End, Json, Profile, Reask, Set, Start

Action = Annotated[
    Literal["show", "freeze", "thaw", "forget"],
    typer.Argument(help="show, freeze, thaw, or forget (what waits to be resumed)"),
]
CacheAction = Annotated[
    Literal["stats", "verify", "export", "import"], typer.Argument(help="stats, verify, export or import")
]
Folder = Annotated[str, typer.Argument(help="folder or gs:// address to export to or import from")]
Why = Annotated[str, typer.Option(help="why sending is frozen; shown by whatever it stops")]


def plan(
    start: Start, end: End, reask: Reask = False, json: Json = False, settings: Set = None, profile: Profile = None
) -> None:
    """What a range would cost: requests needed and cached, their size, and the day its last call could be paid."""
    wanted = asked(started(settings, profile), start, end)
    from timegpt_assets.cli import calls

    calls.show(calls.planned(wanted.runtime, wanted.days, reask=reask), as_json=json)


def budget(
    action: Action = "show", why: Why = "by hand", json: Json = False, settings: Set = None, profile: Profile = None
) -> None:
    """What was spent and what is left; freeze stops every send of every process at once, thaw allows it again."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import calls

    calls.budget(runtime, action, why, as_json=json)


def cache(
    action: CacheAction = "stats",
    folder: Folder = "",
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """The store of paid answers: count them, check every byte, or carry them to another machine and back."""
    if action in ("export", "import") and not folder:
        raise typer.BadParameter(f"cache {action} needs a folder or gs:// address. Say where after it.")
    runtime = started(settings, profile)
    from timegpt_assets.cli import calls

    calls.cache(runtime, action, folder, as_json=json)

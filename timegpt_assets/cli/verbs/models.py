"""The verb about models: what is in the registry, what a model says of itself, whether it is whole, and signing it.

Belongs here: options and help. What they do is cli/models.py.
"""

from typing import Annotated, Literal

import typer

from timegpt_assets.cli import completing
from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Json, Profile, Set

Action = Annotated[
    Literal["list", "show", "verify", "sign"],
    typer.Argument(help="list, show, verify or sign"),
]
Model = Annotated[str, typer.Argument(autocompletion=completing.models, help="name of a model; list and verify: all")]
Month = Annotated[str, typer.Option(help="YYYY-MM; default: every one, or for show and sign the last that is live")]
Digest = Annotated[str, typer.Option(help="beginning of a version's digest; default for show and sign: the live one")]


def models(
    action: Action = "list",
    name: Model = "",
    month: Month = "",
    digest: Digest = "",
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """The registry of learnt models: list them, show what one says of itself, verify every byte, or sign one."""
    if action in ("show", "sign") and not name:
        raise typer.BadParameter(f"models {action} needs the name of a model. See: timegpt-assets models list")
    runtime = started(settings, profile)
    from timegpt_assets.cli import models

    models.models(runtime, action, models.Choice(name, month, digest), as_json=json)

"""The verbs that learn from the months before one: its models, and what the news was worth on it.

Belongs here: options and help. What they do is cli/training.py and cli/valuing.py.
"""

from typing import Annotated

import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Force, Json, Profile, Set

Month = Annotated[str | None, typer.Option(help="YYYY-MM; default: the month it is, or the grid's last")]


def train(
    month: Month = None,
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Learn a month's models from the sessions before it, and make those of them that are missing."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import training

    training.train(runtime, month, force=force, as_json=json)


def news_value(
    month: Month = None,
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Measure what the news was worth on a month: the ladder's tree, learnt before it, with the news and without."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import valuing

    valuing.news_value(runtime, month, force=force, as_json=json)

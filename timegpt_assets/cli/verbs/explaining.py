"""The verb that explains forecasts of the model ladder.

Belongs here: options and help. What it does is cli/explaining.py.
"""

from datetime import datetime
from typing import Annotated

import typer

from timegpt_assets.cli import completing
from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Json, Profile, Set

Day = Annotated[
    datetime, typer.Option(formats=["%Y-%m-%d"], autocompletion=completing.sessions, help="session, YYYY-MM-DD")
]
Symbol = Annotated[str, typer.Option(autocompletion=completing.symbols, help="ticker")]
Forecaster = Annotated[str, typer.Option(help="lightgbm, tsmixer or blend; default: every one that answered")]


def explain(
    day: Day,
    symbol: Symbol,
    forecaster: Forecaster = "",
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """What moved each forecast of a symbol on a session: features, values, what each added, and the news behind it."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import explaining

    explaining.explain(runtime, day.date(), symbol, forecaster, as_json=json)

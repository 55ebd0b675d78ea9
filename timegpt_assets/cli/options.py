"""The options that several verbs take, each with the help it prints."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.models import OptionInfo

from timegpt_assets.cli import completing


def _day(help: str) -> OptionInfo:
    option: OptionInfo = typer.Option(formats=["%Y-%m-%d"], autocompletion=completing.sessions, help=help)
    return option


Day = Annotated[
    datetime,
    typer.Argument(formats=["%Y-%m-%d"], autocompletion=completing.sessions, help="session, YYYY-MM-DD"),
]
Start = Annotated[datetime, _day("first day, YYYY-MM-DD")]
End = Annotated[datetime, _day("last day, YYYY-MM-DD")]
MaybeDay = Annotated[datetime | None, _day("YYYY-MM-DD; default: the grid's own")]
MadeDay = Annotated[datetime | None, _day("YYYY-MM-DD; default: what was forecast")]
Symbols = Annotated[
    str, typer.Option(autocompletion=completing.symbols, help="comma-separated; default: the whole universe")
]
Assets = Annotated[str, typer.Option(help="comma-separated asset names; default: all that are made every day")]
Host = Annotated[str, typer.Option(help="address to serve on, and the name its pages reach it by")]
Force = Annotated[bool, typer.Option("--force", help="make again what is there")]
Reask = Annotated[
    bool,
    typer.Option(
        "--reask", help="pay again for answers that cannot be used, or for all of a day, after showing what it costs"
    ),
]
Stale = Annotated[
    bool, typer.Option("--stale", help="make again just what is there and older than what it was made from")
]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output, messages on standard error")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", autocompletion=completing.settings, help="section.key=value, over every file; repeatable"),
]
Profile = Annotated[
    str | None, typer.Option("--profile", autocompletion=completing.profiles, help="demo, dev, offline or prod")
]
Run = Annotated[
    str | None,
    typer.Argument(help="profile, month (YYYY-MM), profile:month, or the folder of a report; none: its forecasters"),
]
RunId = Annotated[
    str, typer.Option("--run-id", help="write the stage's files to runs/ID below data.artifacts_root, too")
]
ConfigDir = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="folder of settings, in the place of TIMEGPT_ASSETS_CONFIG_DIR"),
]
ApiMode = Annotated[
    Literal["online", "offline", "simulate"] | None, typer.Option(help="the same as --set forecast.api_mode=")
]

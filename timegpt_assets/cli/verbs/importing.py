"""The verbs that take in bars of any vendor, into a new folder or to bars that are there, and news of one's own.

Belongs here: options and help. What they do is cli/init.py, cli/importing.py and cli/importing_news.py.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import Json, Profile, Set

Source = Annotated[Path, typer.Argument(exists=True, help="file, archive or folder of CSV or parquet")]
MaybeSource = Annotated[
    Path | None, typer.Argument(exists=True, help="file, archive or folder of CSV or parquet; asked on a terminal")
]
Folder = Annotated[str, typer.Option("--folder", help="folder to work in, made if need be; default: the current one")]
Into = Annotated[str, typer.Option(help="folder to write to; default: data.root")]
Look = Annotated[bool, typer.Option("--look", help="show what would be stored and every inference; write nothing")]
Replace = Annotated[bool, typer.Option("--replace", help="put these files' rows in the place of stored ones")]
Format = Annotated[
    str | None, typer.Option("--format", help="the vendor's shape, for example ibkr; default: recognised")
]
Columns = Annotated[
    str | None, typer.Option(help="fields by position (ts,open,...; - for none), or ts=NAME,volume=NAME")
]
Symbol = Annotated[str | None, typer.Option(help="ticker of files that name none, in no column and not in their name")]
SymbolMap = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="CSV of two columns: their ticker, ours")
]
Stamp = Annotated[Literal["start", "end"] | None, typer.Option(help="what a stamp names; default: what the bars show")]
Zone = Annotated[str | None, typer.Option(help="IANA zone of stamps that carry none; default: what the bars show")]
DateOrder = Annotated[
    Literal["mdy", "dmy"] | None, typer.Option(help="month or day first; default: what the dates show")
]
Decimal = Annotated[Literal["point", "comma"] | None, typer.Option(help="sign before fractions; default: as it shows")]
PriceScale = Annotated[float | None, typer.Option(min=1e-12, help="USD of one unit of prices; default: as it shows")]
VolumeScale = Annotated[float | None, typer.Option(min=1e-9, help="shares of one unit of volume, 100 for lots")]
Interval = Annotated[
    Literal["1m"] | None, typer.Option(help="1m: these are one-minute bars, although nothing shows it")
]

News = Annotated[Path, typer.Argument(exists=True, help="file or folder of CSV, JSON lines, JSON or parquet")]
LookAtNews = Annotated[bool, typer.Option("--look", help="show what would be understood; write nothing")]
ReplaceNews = Annotated[
    bool, typer.Option("--replace", help="put these files in the place of what was taken in under their names")
]
NewsColumns = Annotated[str | None, typer.Option(help="time=NAME,title=NAME; also date, clock, url, tickers")]
NewsZone = Annotated[str | None, typer.Option(help="IANA zone of times that carry none, for example America/New_York")]
NewsDateOrder = Annotated[
    Literal["mdy", "dmy"] | None, typer.Option(help="month or day first in dates as 03/04/2018; default: as they show")
]


def import_bars(
    path: Source,
    into: Into = "",
    look: Look = False,
    replace: Replace = False,
    format: Format = None,
    columns: Columns = None,
    symbol: Symbol = None,
    symbol_map: SymbolMap = None,
    timezone: Zone = None,
    stamp: Stamp = None,
    date_order: DateOrder = None,
    decimal: Decimal = None,
    price_scale: PriceScale = None,
    volume_scale: VolumeScale = None,
    interval: Interval = None,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Any vendor's minute bars into the layout of data.template, with a verdict per symbol; again adds nothing."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import importing

    said = importing.said(
        runtime.settings.universe.everyone,
        symbol_map,
        format=format,
        columns=columns,
        symbol=symbol,
        timezone=timezone,
        stamp=stamp,
        date_order=date_order,
        decimal=decimal,
        price_scale=price_scale,
        volume_scale=volume_scale,
        one_minute=interval is not None,
    )
    importing.import_bars(runtime, path, into, said=said, look=look, replace=replace, as_json=json)


def import_news(
    path: News,
    look: LookAtNews = False,
    replace: ReplaceNews = False,
    columns: NewsColumns = None,
    timezone: NewsZone = None,
    date_order: NewsDateOrder = None,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """News of one's own as the source own, with what was understood of each file; again adds nothing."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import importing_news

    reading = importing_news.reading(timezone, date_order, columns)
    importing_news.import_news(runtime, path, reading, look=look, replace=replace, as_json=json)


def init(
    path: MaybeSource = None,
    folder: Folder = "",
    format: Format = None,
    columns: Columns = None,
    symbol: Symbol = None,
    symbol_map: SymbolMap = None,
    timezone: Zone = None,
    stamp: Stamp = None,
    date_order: DateOrder = None,
    decimal: Decimal = None,
    price_scale: PriceScale = None,
    volume_scale: VolumeScale = None,
    interval: Interval = None,
    json: Json = False,
) -> None:
    """Begin with bars of your own: import them, write settings that fit, and say the command that makes a report."""
    from timegpt_assets.cli import importing
    from timegpt_assets.cli import init as beginning

    path, folder = beginning.asked(path, folder)
    said = importing.said(
        beginning.shipped().universe.everyone,
        symbol_map,
        format=format,
        columns=columns,
        symbol=symbol,
        timezone=timezone,
        stamp=stamp,
        date_order=date_order,
        decimal=decimal,
        price_scale=price_scale,
        volume_scale=volume_scale,
        one_minute=interval is not None,
    )
    beginning.init(path, Path(folder), said=said, as_json=json)

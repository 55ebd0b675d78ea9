"""What `init` does: bars of any vendor become a folder to work in, with settings that fit them and one next command.

Belongs here: what the settings of a first report are. How a file is understood and judged is importing.py.
"""

import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import orjson
import polars as pl
import typer

from timegpt_assets.cli import import_view, importing
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config.settings import Settings, load_settings, settings_in
from timegpt_assets.core import calendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.vendors.findings import Said
from timegpt_assets.runtime import Runtime

PROFILE, FILE = "dev", "profiles/dev.yaml"
MARKET = ("SPY", "QQQ")
"""Symbols whose bars say how the market goes, where somebody has them."""
MOST_HISTORY, LEAST_SESSIONS = 10, 4
"""Sessions that forecasts look back on at most, and that a report needs at least: two of history, two of forecasts."""


class CannotBegin(Explained, ValueError):
    """Raised where no folder to work in can be made: names it, or what its bars lack, and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What was found in the bars: a folder to work in, its symbols, and the sessions between first and last."""

    folder: Path
    symbols: Sequence[str]
    days: Sequence[date]

    @property
    def history(self) -> int:
        """Return how many sessions forecasts look back on: ten, or half of those that there are."""
        return min(MOST_HISTORY, len(self.days) // 2)

    @property
    def next_command(self) -> str:
        """Return the command that makes the report, to be run as it stands."""
        there = "" if self.folder == Path.cwd() else f"cd {shlex.quote(str(self.folder))} && "
        first, last = self.days[self.history], self.days[-1]
        return f"{there}timegpt-assets backfill --profile {PROFILE} --start {first} --end {last}"


def init(path: Path, folder: Path, *, said: Said, as_json: bool) -> None:
    """Import the bars into ``folder``, write its settings, and print both with the next command."""
    folder = folder.expanduser().resolve()
    _refuse_taken(folder)
    _refuse_closed(folder)
    root, out = folder / "bars", Terminal()
    runtime = Runtime(settings=shipped(), root=folder, environment={})
    told = importing.imported(runtime, path, root, said=said)
    judged = importing.verdicts(runtime, root, {month for one in told for month in one.months})
    if not as_json:
        import_view.show(told, judged, None, out)
    if not told:
        raise CannotBegin(f"{path} holds no file of bars. Name a file, an archive or a folder of CSV or parquet.")
    if code := importing.exit_code(told, judged):
        Terminal(stderr=True).print(f"no settings were written to {folder}: mend what is said above", soft_wrap=True)
        raise typer.Exit(code)
    found = _beginning(folder, judged)
    file = _written(found, path)
    figures = {"settings": str(file), "symbols": found.symbols, "first_day": found.days[0], "last_day": found.days[-1]}
    figures |= {"sessions": len(found.days), "next": found.next_command}
    if as_json:
        sys.stdout.write(orjson.dumps(import_view.plain(told, judged, root) | figures, default=str).decode() + "\n")
        return
    out.print(f"settings: {file}", soft_wrap=True)
    out.print(f"next: {found.next_command}", soft_wrap=True)


def shipped() -> Settings:
    """Return the settings of the profile as they ship."""
    # not those of the folder one happens to be in: bars are laid where a new folder's settings look for them
    return load_settings(profile=PROFILE, config_dir=None, environment={})


def _refuse_taken(folder: Path) -> None:
    """Raise CannotBegin for a folder with settings: what is somebody's is never written over."""
    if settings_in(folder / "configs"):
        raise CannotBegin(
            f"{folder / 'configs'} holds settings already, and stays as it is. Name another folder with --folder; or, "
            f"to add bars where these settings look for them: timegpt-assets import-bars PATH --profile {PROFILE}"
        )


def _refuse_closed(folder: Path) -> None:
    """Make the folder. Raises CannotBegin for one that cannot be made or written to, before any file is looked at."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise CannotBegin(f"{folder} cannot be written: {error.strerror}. Name another one with --folder.") from error


def _beginning(folder: Path, judged: pl.DataFrame) -> Beginning:
    """Return what the imported bars hold. Raises CannotBegin for fewer sessions than a report needs."""
    first, last = judged.select(pl.col("first").min(), pl.col("last").max()).row(0)
    days = [session.day for session in calendar.sessions(first, last)]
    if len(days) < LEAST_SESSIONS:
        raise CannotBegin(
            f"the bars hold {len(days)} sessions, {days[0]} to {days[-1]}, and a report needs {LEAST_SESSIONS}: some "
            "are history that forecasts look back on. Bring more days of the same symbols."
        )
    return Beginning(folder=folder, symbols=sorted(judged["symbol"]), days=days)


def _written(found: Beginning, source: Path) -> Path:
    """Write the settings, see that they load, and return their file. Raises CannotBegin where they cannot be."""
    file = found.folder / "configs" / FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(settings_text(found, source))
    except OSError as error:
        raise CannotBegin(f"{file} cannot be written: {error.strerror}. Name another folder with --folder.") from error
    load_settings(profile=PROFILE, config_dir=found.folder / "configs", environment={})
    return file


def settings_text(found: Beginning, source: Path) -> str:
    """Return the profile's file: what fits these bars, each key with what it is about."""
    context = [name for name in MARKET if name in found.symbols]
    oos_start = found.days[found.history + (len(found.days) - found.history) // 2]
    return f"""\
# Bars of {source.name!r}, in profile {PROFILE}: written once by `timegpt-assets init`, and yours to change.
# Every key here stands over the shipped one; what is not here is as it ships. All of them, each with where it is from:
# timegpt-assets config --profile {PROFILE}

data:
  source: local  # bars on this machine
  root: bars  # where they lie, seen from the folder that holds configs
  start_date: {found.days[0]}  # first session of these bars: no earlier one is asked for
  end_date: {found.days[-1]}  # last session of these bars; null for bars that go on to this day
universe:
  tickers: {_names(found.symbols)}  # who is forecast: everyone in these bars
  context: {_names(context)}  # who says how the market goes; SPY and QQQ, where they are there
forecast:
  history_days: {found.history}  # sessions a forecast looks back on: the first ones are history alone
  climatology:
    sessions: {found.history}  # all of them
    min_sessions: {max(1, found.history // 2)}  # half of them
gates:
  oos_start: {oos_start}  # from here on nothing is chosen, only judged
"""


def _names(symbols: Sequence[str]) -> str:
    """Return names as a YAML list; quoted, for TRUE is a ticker, and no text in YAML."""
    return f"[{', '.join(orjson.dumps(name).decode() for name in symbols)}]"


def asked(path: Path | None, folder: str) -> tuple[Path, str]:
    """Return the answers to what was not said, asked on a terminal. Raises typer.BadParameter where there is none."""
    if path is not None:
        return path, folder
    if not sys.stdin.isatty():
        raise typer.BadParameter("init needs a file, an archive or a folder of bars. Say which after it.")
    while True:
        said = Path(typer.prompt("Where are your bars? A file, an archive or a folder of CSV or parquet", err=True))
        if said.expanduser().exists():
            break
        typer.echo(f"{said} is not there.", err=True)
    where = typer.prompt("Folder to work in", default=folder or ".", err=True)
    return said.expanduser(), where

"""The command line: verbs that materialise the real assets on the real instance, so that the UI shows them.

Belongs here: what a person types. What a verb runs is engine/stages.py and engine/engine.py, what is printed is
console.py.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec

import dagster as dg
import orjson
import typer
from rich.text import Text

from timegpt_assets.adapters.call_errors import CallError
from timegpt_assets.adapters.market.daily_files import DailyFileError
from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.search.study_errors import StudyError
from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.cli import bars as cli_bars
from timegpt_assets.cli import calls as cli_calls
from timegpt_assets.cli import console as view
from timegpt_assets.cli import importing as cli_import
from timegpt_assets.cli import migrating as cli_migrating
from timegpt_assets.cli import promoting as cli_promoting
from timegpt_assets.cli import searching as cli_searching
from timegpt_assets.cli import sweeping as cli_sweeping
from timegpt_assets.cli import ui as services
from timegpt_assets.cli.context import BATCH_SIZE, EVENT_BATCH, HomeError, asked_span, at_midnight, dagster_home, opened
from timegpt_assets.cli.exit_codes import DATA_FAILED, FAILED, GATES_FAILED, STOPPED, WAITS
from timegpt_assets.cli.options import (
    Assets,
    Day,
    End,
    Force,
    Host,
    Json,
    MaybeDay,
    Profile,
    Reask,
    Set,
    Stale,
    Start,
    Symbols,
)
from timegpt_assets.cli.same_origin import LOOPBACK
from timegpt_assets.cli.terminal import Terminal, listen, show_what_cannot_be_encoded
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.core import calendar
from timegpt_assets.core.research.trading_grid import GridError
from timegpt_assets.definitions import PROJECT, inherited_settings, load_runtime, said_before
from timegpt_assets.engine import daily, pending
from timegpt_assets.engine.engine import RunFailed, asset_nodes
from timegpt_assets.engine.home_owner import HomeOfAnother
from timegpt_assets.engine.revisions import only_stale, outdated
from timegpt_assets.engine.stages import EVERYDAY, STAGES, Refused, last_closed_session, rectangle, sessions_asked
from timegpt_assets.runtime import Runtime

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Minute bars to honest, budgeted TimeGPT forecasts, backtests and gates.",
)
messages = Terminal(stderr=True)
EXPECTED = (
    ConfigError,
    Refused,
    RunFailed,
    StoreError,
    ObjectStoreError,
    HomeError,
    HomeOfAnother,
    MarketDataError,
    DailyFileError,
    CallError,
    GridError,
    StudyError,
    calendar.NotASession,
    calendar.OutsideCalendar,
    calendar.StillOpen,
)

P = ParamSpec("P")


def verb(name: str | None = None) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return the decorator of commands: an expected error is printed as one message and the exit code is not zero."""

    def decorated(function: Callable[P, None]) -> Callable[P, None]:
        @wraps(function)
        def command(*args: P.args, **kwargs: P.kwargs) -> None:
            listen()
            try:
                function(*args, **kwargs)
            except EXPECTED as error:
                messages.print(Text("error", "bold red"), end=" ")
                messages.print(view.error_text(error), soft_wrap=True)
                raise typer.Exit(FAILED) from error
            # inside a step Dagster turns Ctrl-C into an exception of its own
            except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as stop:
                messages.print("stopped: what was made and paid for is kept, and the same command goes on from there")
                raise typer.Exit(STOPPED) from stop

        app.command(name)(command)
        return command

    return decorated


def make(
    runtime: Runtime,
    start: datetime,
    end: datetime,
    *,
    symbols: str = "",
    assets: Sequence[str] = EVERYDAY,
    force: bool = False,
    reask: bool = False,
    stale: bool = False,
    as_json: bool = False,
    data_quality: bool = False,
) -> dict[str, Any]:
    """Materialise assets over a range of sessions, print what came of it, and return the figures."""
    progress = view.Progress(messages)
    with opened(runtime, report=progress.heard) as command:
        days = sessions_asked(command.graph, start.date(), end.date(), at=runtime.clock())
        if not (symbols or stale) and tuple(assets) == EVERYDAY:
            days = daily.looked_at_again(command.engine, days, last_closed_session(runtime.clock()))
        if reask:
            cli_calls.reasked(runtime, days, messages)
        nodes, chosen = asset_nodes(command.engine.repository), _names(symbols)
        wanted = rectangle(command.graph, nodes, days=days, symbols=chosen, assets=assets, force=force, reask=reask)
        outcome = command.engine.run(only_stale(command.engine, wanted) if stale else wanted)
        # after the run: what could not be paid for, or waits for bars, is taken up by the sensors
        pending.note(command.engine.instance, days, outcome, assets=assets, symbols=chosen)
        figures = view.figures(command, days, outcome, progress) | view.left_old(outdated(command.engine, wanted))
        if data_quality:
            figures["data_quality"] = cli_bars.reported(command, days, wanted.symbols)
    if as_json:
        sys.stdout.write(orjson.dumps(figures, default=str).decode() + "\n")
    else:
        if data_quality:
            cli_bars.shown(figures["data_quality"], Terminal())
        view.show(figures, messages)
    return figures


def ended(figures: Mapping[str, Any]) -> None:
    """End the command with the exit code that says so when days that were asked for wait: they are not done."""
    if figures["days_waiting"] or figures["days_awaiting_bars"]:
        raise typer.Exit(WAITS)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


@verb()
def demo(force: Force = False, json: Json = False, settings: Set = None) -> None:
    """The synthetic market through every stage, ending in a report with pictures."""
    runtime = load_runtime(settings or (), profile="demo")
    data = runtime.settings.data
    first = calendar.sessions(data.start_date, calendar.LAST_DAY)[runtime.settings.forecast.history_days].day
    last = data.end_date or last_closed_session(runtime.clock())
    ended(make(runtime, at_midnight(first), at_midnight(last), force=force, as_json=json))


@verb()
def backfill(
    start: Start,
    end: End,
    symbols: Symbols = "",
    assets: Assets = "",
    force: Force = False,
    stale: Stale = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Make a window of sessions, skipping what is there."""
    runtime = load_runtime(settings or (), profile=profile)
    named = _names(assets) or EVERYDAY
    ended(make(runtime, start, end, symbols=symbols, assets=named, force=force, stale=stale, as_json=json))


@verb("run-day")
def run_day(
    day: Day,
    symbols: Symbols = "",
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Make one session, from bars to report."""
    ended(make(load_runtime(settings or (), profile=profile), day, day, symbols=symbols, force=force, as_json=json))


def _stage_verb(name: str, assets: Sequence[str], doing: str, *, judged: bool = False, of_data: bool = False) -> None:
    def command(
        start: MaybeDay = None,
        end: MaybeDay = None,
        symbols: Symbols = "",
        force: Force = False,
        json: Json = False,
        settings: Set = None,
        profile: Profile = None,
    ) -> None:
        runtime = load_runtime(settings or (), profile=profile)
        first, last = asked_span(runtime, start, end)
        figures = make(
            runtime, first, last, symbols=symbols, assets=assets, force=force, as_json=json, data_quality=of_data
        )
        if of_data and not figures["data_quality"]["passed"]:
            for line in cli_bars.failures(figures["data_quality"]):
                messages.print(line, soft_wrap=True)
            raise typer.Exit(DATA_FAILED)
        if judged and figures["gates_failed"]:
            messages.print(f"gates failed: {', '.join(figures['gates_failed'])}", soft_wrap=True)
            raise typer.Exit(GATES_FAILED)
        ended(figures)

    command.__doc__ = doing
    verb(name)(command)


_stage_verb(
    "check-data",
    STAGES["bars"],
    "Read bars and judge their quality, rule by rule; exits non-zero when a rule of severity fail is broken.",
    of_data=True,
)
_stage_verb("build-features", STAGES["features"], "Build features and labels.")


@verb()
def forecast(
    start: MaybeDay = None,
    end: MaybeDay = None,
    symbols: Symbols = "",
    force: Force = False,
    reask: Reask = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Ask for forecasts, within the call budget; days that cannot be paid for yet wait for the next budget day."""
    runtime = load_runtime(settings or (), profile=profile)
    first, last = asked_span(runtime, start, end)
    assets = STAGES["forecasts"]
    ended(make(runtime, first, last, symbols=symbols, assets=assets, force=force, reask=reask, as_json=json))


_stage_verb("calibrate", STAGES["calibration"], "Fit calibration and apply it.")
_stage_verb("backtest", STAGES["backtest"], "Trade the calibrated forecasts, after costs.")
_stage_verb(
    "evaluate",
    (*STAGES["evaluation"], *STAGES["gates"], *STAGES["promotion"]),
    "Score everything and judge the gates; exits non-zero when a gate fails.",
    judged=True,
)
_stage_verb("compare", ("comparison",), "Set forecasters side by side: who is better, how surely, and at what price.")
_stage_verb("report", STAGES["reports"], "Write the report with pictures.")


@verb()
def config(json: Json = False, settings: Set = None, profile: Profile = None) -> None:
    """The resolved settings and where each came from, secrets redacted."""
    runtime = load_runtime(settings or (), profile=profile)
    view.show_settings(runtime.settings, as_json=json)
    for warning in runtime.settings.warnings:
        messages.print(Text("note", "yellow"), warning, soft_wrap=True)


@verb()
def ui(port: int = 3000, host: Host = "127.0.0.1", settings: Set = None, profile: Profile = None) -> None:
    """The Dagster UI and daemon on the instance the other verbs use, under the same settings."""
    # pages are let in by the name they are reached by, and nobody reaches a page by this one
    if host in ("0.0.0.0", "::", "*", ""):  # noqa: S104 - refused here
        raise Refused(f"--host {host} names no server. Say the name or address that pages reach it by.")
    runtime = load_runtime(settings or (), profile=profile)
    with opened(runtime, report=lambda range_run, done: None):
        pass  # a home that cannot be used is said here, and what a killed run left is free before the daemon starts
    os.environ |= {
        "DAGSTER_HOME": str(dagster_home(runtime)),
        BATCH_SIZE: EVENT_BATCH,
        "TIMEGPT_ASSETS_PROFILE": runtime.settings.profile,
        "TIMEGPT_ASSETS_SET": inherited_settings([*said_before(runtime.environment), *(settings or ())]),
        "DAGSTER_IS_DEV_CLI": "1",
    }
    if host not in LOOPBACK:
        messages.print(f"note: whoever reaches {host}:{port} can launch and spend; there is no login.")
    raise typer.Exit(services.serve(PROJECT / "workspace.yaml", host=host, port=port))


verb("import-bars")(cli_import.import_bars)
verb()(cli_migrating.migrate)
verb()(cli_sweeping.sweep)
verb()(cli_searching.search)
verb()(cli_promoting.promote)
verb()(cli_promoting.demote)
verb()(cli_calls.plan)
verb()(cli_calls.budget)
verb()(cli_calls.cache)


def main() -> None:
    """Run the command line on this process's streams."""
    for stream in (sys.stdout, sys.stderr):
        show_what_cannot_be_encoded(stream)
    app()


if __name__ == "__main__":
    main()

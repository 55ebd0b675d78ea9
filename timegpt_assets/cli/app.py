"""The command line: its verbs, and what every one of them does with an error.

Belongs here: the list of verbs. What a person types is verbs/, a file per family of verbs: options and one line of
help. What a verb does is a file beside this one, imported when the verb is called; so help, completion and most
refusals answer without Dagster.
"""

import gc
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from types import TracebackType
from typing import Annotated, ParamSpec

import typer
from rich.text import Text

from timegpt_assets.cli.exit_codes import FAILED, STOPPED
from timegpt_assets.cli.terminal import Terminal, listen, show_what_cannot_be_encoded
from timegpt_assets.cli.verbs import (
    calls,
    explaining,
    house,
    importing,
    making,
    models,
    promoting,
    research,
    rollout,
    training,
    tsfm,
)
from timegpt_assets.core.explained import Explained

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Minute bars to honest, budgeted TimeGPT forecasts, backtests and gates.",
)
VERBS: tuple[Callable[..., None], ...] = (
    importing.init,
    making.demo,
    making.backfill,
    making.run_day,
    *making.STAGE_VERBS,
    training.train,
    training.news_value,
    house.config,
    house.status,
    house.due,
    house.doctor,
    house.metrics,
    house.ui,
    house.serve,
    importing.import_bars,
    importing.import_news,
    house.migrate,
    house.forget_events,
    research.sweep,
    research.search,
    models.models,
    explaining.explain,
    promoting.promote,
    promoting.demote,
    rollout.rollout,
    tsfm.tsfm,
    calls.plan,
    calls.budget,
    calls.cache,
)
"""In the order of the help; a verb is called as its function is, with hyphens."""

P = ParamSpec("P")


def verb(function: Callable[P, None]) -> Callable[P, None]:
    """Return the command of a function: an error that explains itself is one message, and the exit code is not zero."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        listen()
        Terminal.profile = said if isinstance(said := kwargs.get("profile"), str) else None
        messages = Terminal(stderr=True)
        try:
            function(*args, **kwargs)
        except Explained as error:
            messages.print(Text("error", "bold red"), end=" ")
            asset = getattr(error, "asset", "")  # where a run failed
            messages.print(f"{asset}: {error}" if asset else str(error), soft_wrap=True)
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as stop:
            messages.print("stopped: what was made and paid for is kept, and the same command goes on from there")
            raise typer.Exit(STOPPED) from stop
        finally:
            Terminal.profile = None

    return command


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"timegpt-assets {version('timegpt_assets')}")
        raise typer.Exit


@app.callback()
def whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Stand over every verb: what can be said before one."""


for _function in VERBS:
    app.command()(verb(_function))


def main() -> None:
    """Run the command line on this process's streams."""
    # what Dagster's imports make stays: looking through it for garbage at every 700 objects takes a third of the start
    gc.set_threshold(50_000)
    for stream in (sys.stdout, sys.stderr):
        show_what_cannot_be_encoded(stream)
    sys.excepthook = _told
    app()


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of what no verb explains, without the secrets that its texts may repeat."""
    sys.stderr.write(Terminal.redacted("".join(traceback.format_exception(kind, error, trace))))


if __name__ == "__main__":
    main()

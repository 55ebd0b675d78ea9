"""The verbs that make a range of sessions: all of it, or one stage of it.

Belongs here: options and help. What they do is cli/making.py.
"""

from collections.abc import Callable, Sequence

import typer

from timegpt_assets.cli.asked import asked, started
from timegpt_assets.cli.options import (
    ApiMode,
    Assets,
    ConfigDir,
    Day,
    End,
    Force,
    Json,
    MadeDay,
    MaybeDay,
    Profile,
    Reask,
    Run,
    RunId,
    Set,
    Stale,
    Start,
    Symbols,
)


def demo(force: Force = False, json: Json = False, settings: Set = None) -> None:
    """The synthetic market through every stage but promotion, ending in a report with pictures."""
    runtime = started(settings, "demo")
    from timegpt_assets.cli import making

    making.made(asked(runtime, making.first_of_demo(runtime), None), force=force, as_json=json)


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
    wanted = asked(started(settings, profile), start, end, symbols=symbols, assets=assets)
    from timegpt_assets.cli import making

    making.made(wanted, force=force, stale=stale, as_json=json)


def run_day(
    day: Day,
    symbols: Symbols = "",
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Make one session, from bars to report."""
    wanted = asked(started(settings, profile), day, day, symbols=symbols)
    from timegpt_assets.cli import making

    making.made(wanted, force=force, as_json=json)


def _stage_verb(name: str, doing: str, *, stages: Sequence[str]) -> Callable[..., None]:
    """Return a verb whose range is the grid where none is said: it makes what everything else stands on."""
    verb = name.replace("_", "-")

    def command(
        start: MaybeDay = None,
        end: MaybeDay = None,
        symbols: Symbols = "",
        force: Force = False,
        run_id: RunId = "",
        json: Json = False,
        settings: Set = None,
        config_dir: ConfigDir = None,
        profile: Profile = None,
    ) -> None:
        wanted = asked(started(settings, profile, config_dir), start, end, symbols=symbols, stages=stages)
        from timegpt_assets.cli import making

        made = making.into_run(wanted, run_id, verb)
        making.made(made, force=force, as_json=json, of_data=stages == ("bars",))

    command.__name__, command.__doc__ = name, doing
    return command


def _verb_of_made(name: str, doing: str, *, stages: Sequence[str]) -> Callable[..., None]:
    """Return a verb whose range is what was forecast where none is said: it makes nothing of other sessions."""
    verb = name.replace("_", "-")

    def command(
        start: MadeDay = None,
        end: MadeDay = None,
        symbols: Symbols = "",
        force: Force = False,
        run_id: RunId = "",
        json: Json = False,
        settings: Set = None,
        config_dir: ConfigDir = None,
        profile: Profile = None,
    ) -> None:
        runtime = started(settings, profile, config_dir)
        wanted = asked(runtime, start, end, symbols=symbols, stages=stages, of_made=True)
        from timegpt_assets.cli import making

        made = making.into_run(wanted, run_id, verb)
        making.made(made, force=force, as_json=json, judged="gates" in stages)

    command.__name__, command.__doc__ = name, doing
    return command


def forecast(
    start: MaybeDay = None,
    end: MaybeDay = None,
    symbols: Symbols = "",
    force: Force = False,
    reask: Reask = False,
    api_mode: ApiMode = None,
    run_id: RunId = "",
    json: Json = False,
    settings: Set = None,
    config_dir: ConfigDir = None,
    profile: Profile = None,
) -> None:
    """Ask for forecasts, within the call budget; days that cannot be paid for yet wait for the next budget day."""
    mode = [f"forecast.api_mode={api_mode}"] if api_mode else []
    runtime = started([*(settings or ()), *mode], profile, config_dir)
    wanted = asked(runtime, start, end, symbols=symbols, stages=("forecasts",))
    from timegpt_assets.cli import making

    making.made(making.into_run(wanted, run_id, "forecast"), force=force, reask=reask, as_json=json)


def fetch_news(start: Start, end: End, json: Json = False, settings: Set = None, profile: Profile = None) -> None:
    """Ask the sources of news about a window of sessions, what was answered before excepted, and say what came."""
    wanted = asked(started(settings, profile), start, end, stages=("news",))
    from timegpt_assets.cli import fetching

    fetching.fetched(wanted, as_json=json)


def compare(
    run: Run = None,
    other: Run = None,
    start: MadeDay = None,
    end: MadeDay = None,
    symbols: Symbols = "",
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Set forecasters side by side, or two runs: who is better, how surely, at what price, and what differs."""
    if run and not other:
        raise typer.BadParameter(f"{run} is one run alone. Say what to compare it with, or none for the forecasters.")
    runtime = started(settings, profile)
    if run and other:
        from timegpt_assets.cli import comparing

        comparing.runs(run, other, runtime, settings or (), as_json=json)
        return
    wanted = asked(runtime, start, end, symbols=symbols, assets="comparison", of_made=True)
    from timegpt_assets.cli import comparing, making

    making.made(wanted, force=force, as_json=json)
    comparing.forecasters(runtime, wanted.days)


STAGE_VERBS = (
    _stage_verb(
        "check_data",
        "Read bars and judge their quality, rule by rule; exits non-zero when a rule of severity fail is broken.",
        stages=("bars",),
    ),
    fetch_news,
    _stage_verb("build_features", "Build features and labels.", stages=("features",)),
    forecast,
    _verb_of_made("calibrate", "Fit calibration and apply it.", stages=("calibration",)),
    _verb_of_made("backtest", "Trade the calibrated forecasts, after costs.", stages=("backtest",)),
    _verb_of_made(
        "evaluate",
        "Score everything and judge the gates; exits non-zero when a gate fails.",
        stages=("evaluation", "gates", "promotion"),
    ),
    compare,
    _verb_of_made("report", "Write the report with pictures.", stages=("reports",)),
)
"""A verb per stage word, in the order of the graph."""

"""The verbs about the house itself: its settings, its stored tables, its web pages.

Belongs here: options and help. What they do is the file beside this folder that each names.
"""

from typing import Annotated

import typer

from timegpt_assets.cli.asked import names, started
from timegpt_assets.cli.options import Host, Json, Profile, Set, Symbols

Sessions = Annotated[int, typer.Option(min=1, help="how many sessions, up to the newest that is made")]
Live = Annotated[bool, typer.Option("--live", help="ask the provider too: one call, counted, after asking you")]
ServedAt = Annotated[str | None, typer.Option("--host", help="address to serve on; default: tsfm.serve.host")]
ServedPort = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="0: any free one; default: tsfm.serve.port")
]
Tell = Annotated[bool, typer.Option("--tell", help="tell alarms.channels all that rings now, whoever was told before")]
Yes = Annotated[bool, typer.Option("--yes", help="spend the call of --live unasked")]


def config(json: Json = False, settings: Set = None, profile: Profile = None) -> None:
    """The resolved settings and where each came from, secrets redacted."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import settings_view

    settings_view.show(runtime.settings, as_json=json)


def status(
    sessions: Sessions = 60,
    symbols: Symbols = "",
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """What exists, what is stale, late or quarantined and what waits, by session and symbol, on one screen."""
    from timegpt_assets.engine.stages import symbols_asked

    runtime = started(settings, profile)
    chosen = symbols_asked(runtime.settings, names(symbols))
    from timegpt_assets.cli import status as view

    view.told(runtime, sessions, chosen, as_json=json)


def due(tell: Tell = False, json: Json = False, settings: Set = None, profile: Profile = None) -> None:
    """What should be there by when, and every alarm that rings; exits non-zero while one does."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import due as view

    view.told(runtime, tell_channels=tell, as_json=json)


def doctor(
    live: Live = False, yes: Yes = False, json: Json = False, settings: Set = None, profile: Profile = None
) -> None:
    """Look at versions, key, places, money, clock, calendar and what the dead hold; exits non-zero when one fails."""
    from timegpt_assets.cli import doctor as view

    view.examined(settings, profile, live=live, yes=yes, as_json=json)


def metrics(json: Json = False, settings: Set = None, profile: Profile = None) -> None:
    """Calls, bars, forecasts, gates, news sources and bands, as Prometheus reads them: text on standard output."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import metrics as exposed

    exposed.metrics(runtime, as_json=json)


def migrate(json: Json = False, settings: Set = None, profile: Profile = None) -> None:
    """Bring stored tables of an earlier version to this one's columns; what cannot be told is set aside."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import migrating

    migrating.migrate(runtime, as_json=json)


def forget_events(json: Json = False, settings: Set = None, profile: Profile = None) -> None:
    """Let go of what runs older than automation.keep_events_days logged; what they made stays recorded."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import forgetting

    forgetting.forgotten(runtime, as_json=json)


def ui(port: int = 3000, host: Host = "127.0.0.1", settings: Set = None, profile: Profile = None) -> None:
    """The Dagster UI and daemon on the instance the other verbs use, under the same settings."""
    # pages are let in by the name they are reached by, and nobody reaches a page by this one
    if host in ("0.0.0.0", "::", "*", ""):  # noqa: S104 - refused here
        raise typer.BadParameter(f"--host {host} names no server. Say the name or address that pages reach it by.")
    runtime = started(settings, profile)
    from timegpt_assets.cli import ui as services

    raise typer.Exit(services.opened_on(runtime, settings or (), host=host, port=port))


def serve(host: ServedAt = None, port: ServedPort = None, settings: Set = None, profile: Profile = None) -> None:
    """Bands for prediction markets over HTTP (POST /tsfm/forecast), until it is told to stop."""
    runtime = started(settings, profile)
    from timegpt_assets.cli import serving

    serving.serve(runtime, host=host, port=port)

"""What a shell offers for a word that is begun: profiles, symbols, sessions, challengers, settings and models.

Belongs here: the offers. A configuration that cannot be used offers nothing, and says why when the command is run.
"""

from typing import TYPE_CHECKING

import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.core.explained import Explained

if TYPE_CHECKING:
    from timegpt_assets.runtime import Runtime

PROFILES = ("demo", "dev", "offline", "prod")


def profiles(incomplete: str) -> list[str]:
    """Return the profiles that begin so."""
    return [name for name in PROFILES if name.startswith(incomplete)]


def symbols(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the list as far as it is written, with each symbol of the universe that its last name may become."""
    before, comma, begun = incomplete.rpartition(",")
    try:
        everyone = _started(ctx).settings.universe.everyone
    except Explained:
        return []
    written = before.split(",")
    return [f"{before}{comma}{name}" for name in everyone if name.startswith(begun.upper()) and name not in written]


def sessions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the sessions of the profile's grid that begin so."""
    from timegpt_assets.cli.asked import asked_span
    from timegpt_assets.core import calendar

    try:
        first, last = asked_span(_started(ctx), None, None)
        days = [str(session.day) for session in calendar.sessions(first.date(), last.date())]
    except Explained:
        return []
    return [day for day in days if day.startswith(incomplete)]


def challengers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the challengers that begin so."""
    try:
        forecast = _started(ctx).settings.forecast
    except Explained:
        return []
    return [name for name in forecast.forecasters if name != forecast.champion and name.startswith(incomplete)]


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the keys of settings that begin so."""
    from timegpt_assets.config.settings import resolved

    try:
        keys = [row.key for row in resolved(_started(ctx).settings)]
    except Explained:
        return []
    return [f"{key}=" for key in keys if "." in key and key.startswith(incomplete)]


def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the models of the profile's registry that begin so."""
    from timegpt_assets.runtime import model_registry

    try:
        found = model_registry(_started(ctx)).contents().versions
    except Explained:
        return []
    return sorted({version.name for version in found if version.name.startswith(incomplete)})


def _started(ctx: typer.Context) -> "Runtime":
    return started(ctx.params.get("settings"), ctx.params.get("profile"))

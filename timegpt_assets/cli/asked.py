"""What a person asked for, read from the options and refused before anything is opened.

Belongs here: days, symbols and assets of a command. Nothing here imports Dagster; what is heavier than that is imported
when it is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

from timegpt_assets.cli.terminal import Terminal

if TYPE_CHECKING:
    from timegpt_assets.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What shall be made: sessions that have closed, symbols of the universe (none: all of them), and assets.

    ``run_id``: the run that files are written for, of the steps that ``steps`` names; empty: none.
    """

    runtime: "Runtime"
    days: Sequence[date]
    symbols: tuple[str, ...]
    assets: tuple[str, ...]
    run_id: str = ""
    steps: tuple[str, ...] = ()


def started(settings: Sequence[str] | None, profile: str | None, config_dir: Path | None = None) -> "Runtime":
    """Return what the process runs with, under the --set values, the profile and the folder. Raises ConfigError."""
    # by its module, so that a test may set its clock
    from timegpt_assets import runtime

    loaded = runtime.load_runtime(settings or (), profile=profile, config_dir=config_dir)
    Terminal.redacted = staticmethod(loaded.redacted)
    return loaded


def asked(
    runtime: "Runtime",
    start: datetime | None,
    end: datetime | None,
    *,
    symbols: str = "",
    assets: str = "",
    stages: Sequence[str] = (),
    of_made: bool = False,
) -> Asked:
    """Return what the options mean. Raises Refused, NotASession and StillOpen for what cannot be asked for.

    ``symbols`` and ``assets`` are names with commas; without assets those of the stages are meant, or of every day.
    ``of_made``: a side of the range that is not said is where the sessions begin, or end, that have forecasts.
    """
    from timegpt_assets.engine.stages import STAGES, assets_asked, everyday, sessions_asked, symbols_asked

    wanted = names(assets) or [name for stage in stages for name in STAGES[stage]] or everyday(runtime.settings)
    chosen, of_assets = symbols_asked(runtime.settings, names(symbols)), assets_asked(wanted)
    if of_made and not (start and end):
        days = made_sessions(runtime, start, end)
    else:
        first, last = asked_span(runtime, start, end)
        days = sessions_asked(runtime.settings, first.date(), last.date(), at=runtime.clock())
    return Asked(runtime=runtime, days=days, symbols=chosen, assets=of_assets)


def asked_span(runtime: "Runtime", start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """Return the range asked for, the whole grid where nothing is said."""
    from timegpt_assets.engine.stages import last_closed_session

    data = runtime.settings.data
    last = end or at_midnight(data.end_date or last_closed_session(runtime.clock()))
    return start or at_midnight(data.start_date), last


def made_sessions(runtime: "Runtime", start: datetime | None, end: datetime | None) -> list[date]:
    """Return the sessions from ``start`` to ``end`` of which forecasts are stored, and say which. Raises Refused."""
    from timegpt_assets.adapters.storage.parquet_store import ParquetStore
    from timegpt_assets.cli.terminal import Terminal
    from timegpt_assets.engine.stages import Refused, stored_sessions

    there = stored_sessions(ParquetStore(runtime.storage), runtime.settings)
    days = [day for day in there if (not start or start.date() <= day) and (not end or day <= end.date())]
    if not days:
        made = f"Forecasts of {there[0]} to {there[-1]} are there" if there else "None is there at all"
        last = f"{asked_span(runtime, None, None)[1]:%Y-%m-%d}"
        profile = runtime.settings.profile
        first_of_all = "demo" if profile == "demo" else f"run-day {last} --profile {profile}"
        raise Refused(
            f"no session of what is asked has a forecast in {runtime.storage.shown('')}. {made}. Make some first: "
            f"timegpt-assets {first_of_all}, or for a window: timegpt-assets backfill --start DAY --end DAY "
            f"--profile {profile}"
        )
    many = "1 session" if len(days) == 1 else f"{len(days)} sessions"
    told = f"what was made: {many}, {days[0]} to {days[-1]}; say --start and --end for others"
    Terminal(stderr=True).print(told, soft_wrap=True)
    return days


def at_midnight(day: date) -> datetime:
    """Return a day as options carry it."""
    return datetime.combine(day, time(), UTC)


def names(text: str) -> tuple[str, ...]:
    """Return names that stand with commas between them, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))

"""What the verb status prints: a strip of sessions for each symbol, counts, and what waits; or all of it as JSON.

Belongs here: signs, colours and how it fits on one screen. What a state is, is engine/status.py.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import orjson
from rich.text import Text

from timegpt_assets.cli.context import CommandContext, opened
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.cli.valuing import standing
from timegpt_assets.core import calendar
from timegpt_assets.engine import status as houses
from timegpt_assets.engine.news import SourceState, source_states, stored
from timegpt_assets.engine.stages import STAGES, last_closed_session
from timegpt_assets.engine.status import Status
from timegpt_assets.runtime import Runtime

SIGNS = {
    houses.QUARANTINED: ("!", "red"),
    houses.LATE: ("l", "magenta"),
    houses.NO_DATA: ("-", "dim"),
    houses.FOR_BARS: ("w", "magenta"),
    houses.FOR_CALLS: ("$", "cyan"),
    houses.FOR_RETRY: ("r", "magenta"),
    houses.STALE: ("~", "yellow"),
    houses.ABSENT: (".", "dim"),
    "bars": ("b", "blue"),
    "features": ("f", "blue"),
    "forecasts": ("a", "blue"),
    "calibration": ("c", "blue"),
    "backtest": ("t", "blue"),
    "complete": ("#", "green"),
}
"""Letters of the alphabet everybody has: they stand in pipes and on dumb terminals, too."""
MEANING = {"bars": "bars alone", "features": "up to features", "forecasts": "up to answers"}
MEANING |= {"calibration": "up to calibration", "backtest": "up to trades", "complete": "complete"}
ROWS = 20
"""Symbols that get a line of their own; of more, the worst."""
WELL = ("complete", houses.NO_DATA)


def told(runtime: Runtime, sessions: int, symbols: Sequence[str], *, as_json: bool) -> None:
    """Print the status of the last sessions up to the newest that anything is made or noted of."""
    with opened(runtime, report=lambda range_run, done: None) as command:
        days, since = _days(command, sessions)
        found = houses.status(command.engine, days, symbols or runtime.settings.universe.everyone)
        sources = source_states(runtime, stored(command.store, days))
        worth = standing(command.store, runtime.settings)
    if as_json:
        plain = _plain(runtime, found, since) | {"news": [asdict(one) for one in sources], "news_value": worth or None}
        sys.stdout.write(orjson.dumps(plain, default=str).decode() + "\n")
    else:
        _show(runtime.settings.profile, found, since, Terminal())
        _show_news(sources, Terminal())
        if worth:
            Terminal().print(worth, soft_wrap=True)


def _days(command: CommandContext, sessions: int) -> tuple[list[date], list[date]]:
    """Return the sessions that are shown, and those of the grid after them, of which nothing is made."""
    data = command.runtime.settings.data
    end = data.end_date or last_closed_session(command.runtime.clock())
    grid = [session.day for session in calendar.sessions(data.start_date, end)]
    names = [name for name, _ in command.store.objects.names("bars/bars/")]
    newest = date.fromisoformat(names[-1].rpartition("/")[2].removesuffix(".parquet")) if names else end
    upto = [day for day in grid if day <= newest] or grid
    return upto[-sessions:], grid[len(upto) :]


def _plain(runtime: Runtime, found: Status, since: Sequence[date]) -> dict[str, Any]:
    return {
        "profile": runtime.settings.profile,
        "first_day": found.days[0] if found.days else None,
        "last_day": found.days[-1] if found.days else None,
        "sessions": len(found.days),
        "sessions_after": len(since),
        "symbols": list(found.symbols),
        "counts": found.counts,
        "partitions": found.made,
        "stale": found.stale,
        "made_by_other_code": found.other_code,
        "waiting": [asdict(entry) for entry in found.waiting],
        "symbol_days": [
            {"day": partition.day, "symbol": partition.symbol, "state": state, "reached": found.reached[partition]}
            for partition, state in found.states.items()
        ],
    }


def _show(profile: str, found: Status, since: Sequence[date], out: Terminal) -> None:
    if not found.days:
        out.print(f"{profile}: the grid has no session that has closed. Move data.start_date or data.end_date.")
        return
    span = f"{len(found.days)} sessions, {found.days[0]} to {found.days[-1]}"
    out.print(f"{profile}: {span}, {len(found.symbols)} symbols")
    for line in _strips(found, out.width if out.is_screen else sys.maxsize):
        out.print(line, soft_wrap=True)
    used = [state for state in SIGNS if state in found.counts]
    out.print(", ".join(f"{SIGNS[s][0]} {MEANING.get(s, s.replace('_', ' '))} {found.counts[s]:,}" for s in used))
    out.print(_assets(found))
    for entry in found.waiting:
        whose = f"{entry.first} to {entry.last}" + (f" of {', '.join(entry.symbols)}" if entry.symbols else "")
        out.print(f"{houses.WAITS.get(entry.on, entry.on)}: {whose}: {entry.why}", soft_wrap=True)
    if since:
        out.print(f"Nothing is made of the {len(since):,} sessions after them, up to {since[-1]}.")
    if found.stale:
        out.print(
            f"{sum(found.stale.values()):,} partitions are old. Make them again: timegpt-assets backfill --stale "
            f"--start {found.days[0]} --end {found.days[-1]}",
            soft_wrap=True,
        )
    if found.other_code:
        out.print(f"{found.other_code:,} partitions were made by earlier code; the same command makes them again.")


def _show_news(sources: Sequence[SourceState], out: Terminal) -> None:
    """Print a line for each source of news: what it answered, and why it is silent."""
    for one in sources:
        said = f"news of {one.source}: {one.answered:,} of {one.asked:,} questions answered"
        why = one.held or one.first_failure
        out.print(f"{said}; {why}" if why else said, soft_wrap=True)


def _strips(found: Status, width: int) -> list[Text]:
    """Return a line for each symbol, or one for all and one for each of the worst; the newest sessions that fit."""
    many = len(found.symbols) > ROWS
    rows = {symbol: found.line([symbol]) for symbol in found.symbols}
    if many:
        bad = {symbol: sum(state not in WELL for state in line) for symbol, line in rows.items()}
        worst = [symbol for symbol in sorted(rows, key=lambda s: -bad[s]) if bad[symbol]][:ROWS]
        rows = {"worst of all": found.line(found.symbols)} | {symbol: rows[symbol] for symbol in worst}
    names = max(map(len, rows)) + 2
    fits = max(1, min(len(found.days), width - names))
    lines = [Text(" " * names + _months(found.days[-fits:]), "dim")]
    for name, line in rows.items():
        text = Text(name.ljust(names))
        for state in line[-fits:]:
            sign, colour = SIGNS[state]
            text.append(sign, colour)
        lines.append(text)
    if many and len(found.symbols) > len(rows) - 1:
        lines.append(Text(f"and {len(found.symbols) - len(rows) + 1:,} symbols that are not worse", "dim"))
    return lines


def _months(days: Sequence[date]) -> str:
    """Return a line that names each month above its first session, where the name before leaves room."""
    line = ""
    for n, day in enumerate(days):
        if (n == 0 or day.month != days[n - 1].month) and len(line) <= n:
            line = line.ljust(n) + f"{day:%b} "
    return line.rstrip()[: len(days)]


def _assets(found: Status) -> Table:
    """Return how much of each group is there and how much of it is stale."""
    table = Table(("stage", "partitions", "stale"))
    for group in (group for group in STAGES if any(asset.startswith(f"{group}/") for asset in found.made)):
        own = [asset for asset in found.made if asset.startswith(f"{group}/")]
        table.add(group, f"{sum(found.made[a] for a in own):,}", f"{sum(found.stale.get(a, 0) for a in own):,}")
    return table

"""Days of the second system on request: which UTC days may be asked for, and the rectangle that makes them.

Belongs here: what a replay and a cycle run. Nothing of a trading session is in it. What a live cycle asks first is
tsfm_cycle.py, what is printed cli/tsfm.py.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from dagster import AssetKey

from timegpt_assets.adapters.prediction_markets.source import MarketDays
from timegpt_assets.adapters.prediction_markets.tape import Tape
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.config.settings import Settings
from timegpt_assets.engine.axes import UTC_DAYS
from timegpt_assets.engine.engine import Engine, Rectangle, asset_nodes
from timegpt_assets.engine.plans import AssetNode, in_order
from timegpt_assets.engine.stages import STAGES, TSFM, Refused
from timegpt_assets.engine.stale import InputWindow, input_windows

CLOSED = "tsfm/closed/"
"""Under the storage root: an object for each day that was made again after it had ended."""
FURTHEST = 3
"""Days before the first whose outcomes are learnt from that theirs stand on."""


def utc_days_asked(settings: Settings, start: date, end: date, *, at: datetime) -> list[date]:
    """Return the UTC days from ``start`` to ``end``, all of them on the grid and begun at ``at``. Raises Refused."""
    first, today = settings.tsfm.start_date, at.astimezone(UTC).date()
    last = min(today, settings.tsfm.end_date or today)
    if end < start:
        raise Refused(f"the range {start}..{end} ends before it starts. Swap --start and --end.")
    if start < first or end > last:
        raise Refused(
            f"{start if start < first else end} lies outside the grid of UTC days, which runs from {first} to {last}. "
            "Ask for days between them, or move tsfm.start_date or tsfm.end_date."
        )
    return [date.fromordinal(number) for number in range(start.toordinal(), end.toordinal() + 1)]


def refuse_silent(source: MarketDays, days: Sequence[date], settings: Settings) -> None:
    """Raise Refused where nobody tells of a market on any of the days: tables of nothing would be made, and stand."""
    if any(source.day(day).markets.height for day in days):
        return
    asked = settings.tsfm.markets
    if asked.source == "files":
        why = f"the files in {asked.path} price no market"
        remedy = "Ask for other days, or name their folder: --set tsfm.markets.path=FOLDER."
    else:
        why = "no cycle looked at the venue"
        remedy = (
            "Ask for days on which one did, which timegpt-assets tsfm tells, or replay files: --set "
            "tsfm.markets.source=files --set tsfm.markets.path=FOLDER."
        )
    raise Refused(f"{why} from {days[0]} to {days[-1]}: nothing was made. {remedy}")


def utc_rectangle(
    engine: Engine,
    settings: Settings,
    days: Sequence[date],
    *,
    tape: Tape | None = None,
    force: bool = False,
    with_months: bool = True,
) -> Rectangle:
    """Return what has to run so that these UTC days and their months exist, with the days that theirs stand on.

    ``force`` makes the days themselves again; of the days before them what is there stays. ``tape``: that of a live
    source, of which nothing is made before the first day that it tells of. Without ``with_months`` the months wait.
    """
    every = asset_nodes(engine.repository)
    nodes = {key: node for key, node in every.items() if key.path[-1] in STAGES[TSFM]}
    nodes = {key: node for key, node in nodes.items() if with_months or not node.is_monthly}
    daily = frozenset(key for key, node in nodes.items() if not node.is_monthly)
    back = looked_back(nodes, input_windows(engine.repository))
    return Rectangle(
        days=tuple(days),
        symbols=(),
        all_symbols=(),
        assets=tuple(sorted(nodes, key=lambda key: list(key.path))),
        named=frozenset(nodes),
        forced=daily if force else frozenset(),
        history=tuple((frozenset({key}), back[key]) for key in in_order(nodes) if key in daily and back[key]),
        first_day=_first_day(settings, tape, days[0], max(back.values())),
        axis=UTC_DAYS,
    )


def _first_day(settings: Settings, tape: Tape | None, day: date, back: int) -> date:
    """Return before which day nothing is made for this one: the grid's first, of a live source its first cycle's."""
    first = settings.tsfm.start_date
    if tape is None:
        return first
    reached = UTC_DAYS.before(day, back, first)
    return next((one for one in reached if tape.cycles(one)), day)


def looked_back(
    nodes: Mapping[AssetKey, AssetNode], windows: Mapping[tuple[AssetKey, AssetKey], InputWindow]
) -> dict[AssetKey, int]:
    """Return how many days before a day each asset must be there for, by the windows of all that reads it.

    A month reads its days as they are made: it demands none.
    """
    back = dict.fromkeys(nodes, 0)
    for key in reversed(in_order(nodes)):
        for dep in nodes[key].deps & nodes.keys():
            if not nodes[key].is_monthly:
                back[dep] = max(back[dep], back[key] - min(0, windows[key, dep].first))
    return back


def looked_at_again(objects: ObjectStore, settings: Settings, tape: Tape, today: date) -> list[date]:
    """Return the days a cycle makes again: today, and all from the first that had cycles and was not closed since.

    A day's last cycle comes before its end: its outcomes and what is learnt from them are whole when it is made again
    in the first cycle after it.
    """
    reach = settings.tsfm.conformal.rolling_window_days + FURTHEST
    first = max(settings.tsfm.start_date, date.fromordinal(today.toordinal() - reach))
    earlier = [date.fromordinal(number) for number in range(first.toordinal(), today.toordinal())]
    unclosed = [day for day in earlier if tape.cycles(day) and objects.generation(f"{CLOSED}{day}") is None]
    begins = min(unclosed, default=today)
    return [day for day in earlier if day >= begins] + [today]

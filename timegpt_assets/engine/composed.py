"""What a day would really send: its requests composed from the stored panel, and looked for word for word.

Belongs here: the exact price of a day whose snapshots were asked before under other settings. Those may shape the very
same bytes (a threshold that nobody met, a history longer than the model reads), and only composing tells.
"""

from datetime import date

from timegpt_assets import runtime as runtimes
from timegpt_assets.adapters.call_errors import CallError
from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import bulk, framing
from timegpt_assets.core.forecasts import snapshots as schedule
from timegpt_assets.core.tables.features import PANEL
from timegpt_assets.runtime import Runtime


def missing(runtime: Runtime, day: date, *, events: EventCalendar, books: BudgetLedger) -> int | None:
    """Return how many requests of the day have no stored answer; None while its panel is not stored.

    None too where the model's parameters cannot be used: the day will say so. Nothing is sent.
    """
    settings = runtime.settings
    first = calendar.shifted(day, -settings.forecast.history_days)
    days = [str(session.day) for session in calendar.sessions(first, day)]
    panel = ParquetStore(runtime.storage).read("features/panel", days, missing="ok", empty=PANEL.empty())
    if panel.filter(day=day).is_empty():
        return None
    rows = schedule.snapshots([day], core_inputs.snapshot_spec(settings, events))
    make = framing.frames if settings.forecast.history_mode == "single" else bulk.frames
    frames = make(panel, rows, core_inputs.hosted_frame_spec(settings, events), day=day)
    answers = runtimes.forecast_cache(runtime)
    # the very code that would send: a price worked out another way would drift from it
    asker = runtimes.timegpt(runtime, runtimes.account(settings), books, answers)
    try:
        return asker.missing(frames)
    except CallError:
        return None

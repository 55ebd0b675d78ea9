"""What an account may still spend: its limits, the switch that freezes every send, the pause between calls.

Belongs here: questions to the ledger's rows, asked inside the transaction of whoever acts on the answer. The state
changes are in budget_ledger.py.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from timegpt_assets.adapters.call_errors import BudgetExceeded, Frozen
from timegpt_assets.adapters.ledger.tables import CALLS, COUNTED, SPENT, SWITCHES

_LIMIT_REMEDY = {
    "per_run": "Launch the rest as another run, or raise forecast.api_budget.per_run.",
    "per_day": "Run again on the next budget day: stored answers cost nothing. Or raise forecast.api_budget.per_day.",
    "per_month": "Wait for the next month, or raise forecast.api_budget.per_month.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose money: provider host and account name, which survives a rotated key, with its limits."""

    host: str
    name: str = "default"
    per_run: int = 25
    per_day: int = 100
    per_month: int | None = None
    cooldown_sec: float = 1.0
    price_per_call: float | None = None
    timezone: str = "UTC"


def day_of(account: Account, moment: datetime) -> str:
    """Return the budget day that a moment lies in, ISO."""
    return moment.astimezone(ZoneInfo(account.timezone)).date().isoformat()


def require_thawed(connection: sa.Connection) -> None:
    """Raise Frozen while every send is stopped."""
    frozen = connection.execute(sa.select(SWITCHES.c.why).where(SWITCHES.c.name == "frozen")).first()
    if frozen:
        raise Frozen(f"Sending is frozen: {frozen.why}. No call is sent. Run `timegpt-assets budget thaw`.")


def require(connection: sa.Connection, account: Account, run: str, *, day: str, needed: int, but: int = 0) -> None:
    """Raise BudgetExceeded when ``needed`` calls are more than a limit leaves, not counting the call ``but``."""
    for limit, free in left(connection, account, run, day=day, but=but).items():
        if needed > free:
            raise BudgetExceeded(limit=limit, needed=needed, left=free, remedy=_LIMIT_REMEDY[limit])


def left(connection: sa.Connection, account: Account, run: str, *, day: str, but: int = 0) -> dict[str, int]:
    """Return the calls that each limit leaves to the run on the budget day, not counting the call ``but``."""
    mine = (CALLS.c.host == account.host) & (CALLS.c.account == account.name) & (CALLS.c.id != but)
    counted = sa.select(sa.func.count()).select_from(CALLS).where(mine & CALLS.c.state.in_(COUNTED))
    scopes = {
        "per_run": (account.per_run, CALLS.c.budget_run_id == run),
        "per_day": (account.per_day, CALLS.c.budget_day == day),
        "per_month": (account.per_month, CALLS.c.budget_day.startswith(day[:7])),
    }
    return {
        name: max(0, limit - connection.execute(counted.where(scope)).scalar_one())
        for name, (limit, scope) in scopes.items()
        if limit is not None
    }


def pause(connection: sa.Connection, account: Account, now: float) -> float:
    """Return the seconds until the next call may be sent; one sent further ahead than that was by another clock."""
    mine = (CALLS.c.host == account.host) & (CALLS.c.account == account.name)
    lately = mine & (CALLS.c.sent_wall <= now + account.cooldown_sec)
    last = connection.execute(sa.select(sa.func.max(CALLS.c.sent_wall)).where(lately)).scalar()
    return 0.0 if last is None else float(last) + account.cooldown_sec - now


def figures(account: Account, calls: Sequence[Mapping[str, Any]], today: str) -> dict[str, Any]:
    """Return what artifacts/api_budget.json shows of an account's calls: limits, spent by day and by run."""
    spent = [call for call in calls if call["state"] in SPENT]
    price = account.price_per_call
    return {
        "host": account.host,
        "account": account.name,
        "limits": {name: getattr(account, name) for name in ("per_run", "per_day", "per_month", "cooldown_sec")},
        "today": today,
        "spent": len(spent),
        "spent_money": None if price is None else len(spent) * price,
        "by_state": _counts(call["state"] for call in calls),
        "by_day": _counts(call["budget_day"] for call in spent),
        "by_run": _counts(call["budget_run_id"] for call in spent),
    }


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))

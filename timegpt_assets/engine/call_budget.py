"""What days cost before anything is sent: requests needed and cached, what the limits leave, and when a range is paid.

Belongs here: counting over the ledger and the index by snapshot. No bars are read, no key is needed, nothing is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.timegpt import cache_care, response
from timegpt_assets.adapters.timegpt.request_index import Index, RequestPart, SnapshotKey, batches, params_key
from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import bulk
from timegpt_assets.core.forecasts import snapshots as schedule
from timegpt_assets.runtime import Runtime, account, answer_index, daily_files, ledger

MINUTES_OF_A_SESSION = 390


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCalls:
    """One session's requests: needed and cached, and the most bytes one of them takes."""

    day: date
    snapshots: int
    needed: int
    cached: int
    max_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPlan:
    """Days to launch, in budget runs, days that have to wait, and why."""

    runs: tuple[tuple[date, ...], ...]
    pending: tuple[date, ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class BudgetPlanner:
    """Prices of days, and which of them can be paid for now."""

    settings: Settings
    events: EventCalendar
    index: Index
    ledger: BudgetLedger
    account: Account
    today: date

    def day_calls(self, days: Sequence[date], *, reask: bool = False) -> list[DayCalls]:
        """Return what each day takes, earliest first; ``reask``: as if nothing were there."""
        cache_care.restore_index(self.index.cache, self.ledger, self.index.host)
        universe = self.settings.universe.tickers
        asked, most = self._snapshots(days), self._bytes()
        parts = self.index.parts([m for own in asked.values() for _, m in own], universe)
        found = [self._day_calls(day, asked[day], parts, reask) for day in sorted(set(days))]
        return [replace(calls, max_bytes=most if calls.needed else 0) for calls in found]

    @property
    def left(self) -> dict[str, int]:
        """Return the calls each limit still allows to a new run."""
        return self.ledger.left(self.account, "")

    @property
    def params_needed(self) -> int:
        """Return 1 while the model's parameters were never asked for, else 0."""
        return int(self._params() is None)

    def payment_plan(self, days: Sequence[date], *, reask: bool = False) -> PaymentPlan:
        """Return the days from the first on that can be paid for now, cut into runs; later days wait for these."""
        if self.settings.forecast.api_mode == "offline" or not days:
            return PaymentPlan(runs=(tuple(days),) if days else ())
        frozen, left, per_run, params = self.ledger.frozen(), self.left, self.account.per_run, self.params_needed
        in_all = min(n for name, n in left.items() if name != "per_run")
        runs: list[list[date]] = []
        spent, in_run = 0, 0
        day_calls = self.day_calls(days, reask=reask)
        for i, calls in enumerate(day_calls):
            cost = calls.needed + (params if calls.needed and not spent else 0)
            if cost and (why := self._refusal(cost, in_all - spent, frozen)):
                return PaymentPlan(runs=tuple(map(tuple, runs)), pending=tuple(p.day for p in day_calls[i:]), why=why)
            if not runs or in_run + cost > per_run:
                runs.append([])
                in_run = 0
            runs[-1].append(calls.day)
            spent, in_run = spent + cost, in_run + cost
        return PaymentPlan(runs=tuple(map(tuple, runs)))

    def _refusal(self, cost: int, left: int, frozen: str | None) -> str:
        if frozen:
            return f"sending is frozen: {frozen}. Run `timegpt-assets budget thaw`."
        if cost > self.account.per_run:
            return (
                f"one session needs {cost} calls, forecast.api_budget.per_run allows {self.account.per_run}. Raise it."
            )
        if cost > self.account.per_day:
            return (
                f"one session needs {cost} calls, forecast.api_budget.per_day allows {self.account.per_day}. Raise it."
            )
        if cost > left:
            return f"{cost} calls needed for the next session, {left} left of this budget day or month."
        return ""

    def finish(self, day_calls: Sequence[DayCalls]) -> date | None:
        """Return the budget day on which the last of these is paid for; None when the limits never allow it."""
        left, day, params = self.left, self.today, self.params_needed
        budgets: dict[str, int] = {day.isoformat(): left["per_day"], day.isoformat()[:7]: left.get("per_month", 10**9)}
        for i, calls in enumerate(p for p in day_calls if p.needed):
            cost = calls.needed + (params if i == 0 else 0)
            limits = (self.account.per_run, self.account.per_day, self.account.per_month or cost)
            if cost > min(limits):
                return None
            while cost > min(self._budget(budgets, day)):
                day += timedelta(days=1)
            for name in (day.isoformat(), day.isoformat()[:7]):
                budgets[name] -= cost
        return day

    def _budget(self, budgets: dict[str, int], day: date) -> tuple[int, int]:
        name, month = day.isoformat(), day.isoformat()[:7]
        budgets.setdefault(name, self.account.per_day)
        budgets.setdefault(month, self.account.per_month or 10**9)
        return budgets[name], budgets[month]

    def _snapshots(self, days: Sequence[date]) -> dict[date, list[tuple[int, SnapshotKey]]]:
        """Return what is asked on each day: how many snapshots each request answers, and its snapshot."""
        rows = schedule.snapshots(days, core_inputs.snapshot_spec(self.settings, self.events))
        found: dict[date, list[tuple[int, SnapshotKey]]] = {day: [] for day in days}
        if self.settings.forecast.history_mode == "cross_validation":
            for window in bulk.bulk_windows(rows):
                snapshot = SnapshotKey(window.day, window.as_of, window.horizon_min)
                found[window.day].append((len(window.snapshots), snapshot))
            return found
        for day, at, horizon in rows.filter("asked").select("day", "snapshot_ts", "horizon_min").iter_rows():
            found[day].append((1, SnapshotKey(day, at, horizon)))
        return found

    def _day_calls(
        self,
        day: date,
        asked: Sequence[tuple[int, SnapshotKey]],
        parts: Mapping[SnapshotKey, list[RequestPart]],
        reask: bool,
    ) -> DayCalls:
        own = [part for _, snapshot in asked for part in parts[snapshot]]
        needed = len(own) - sum(part.is_answered for part in own)
        cached = len(own) - needed
        if reask:
            everybody = sorted(self.settings.universe.tickers)
            needed, cached = len(asked) * len(batches(everybody, self.index.size.batch)), 0
        return DayCalls(
            day=day,
            snapshots=sum(n for n, _ in asked),
            needed=needed,
            cached=cached,
        )

    def _bytes(self) -> int:
        """Return the most that one request takes: every symbol that fits, as many rows as the provider reads."""
        forecast, size = self.settings.forecast, self.index.size
        series = min(len(self.settings.universe.tickers), max(1, size.batch))
        rows = (forecast.history_days + 1) * MINUTES_OF_A_SESSION
        if params := self._params():
            input_size, horizon = params
            read = 3 * input_size + max(horizon, forecast.horizon_min) if self.index.levels else input_size
            in_bulk = MINUTES_OF_A_SESSION if forecast.history_mode == "cross_validation" else 0
            rows = min(rows, read + in_bulk)
        return size.bytes(series, min(rows, size.rows(series)))

    def _params(self) -> tuple[int, int] | None:
        entry = self.index.cache.read(self.index.host, params_key(self.index.host, self.index.model))
        return None if entry is None else response.model_params(entry.body, about="model parameters")


def budget_planner(runtime: Runtime) -> BudgetPlanner | None:
    """Return the purse of this runtime; None where the forecaster costs nothing."""
    if runtime.settings.forecast.backend == "baseline":
        return None
    books = ledger(runtime)
    budget_day = runtime.clock().astimezone(ZoneInfo(account(runtime.settings).timezone)).date()
    return BudgetPlanner(
        settings=runtime.settings,
        events=daily_files(runtime).calendar,
        index=answer_index(runtime, books),
        ledger=books,
        account=account(runtime.settings),
        today=budget_day,
    )

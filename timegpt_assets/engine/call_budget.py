"""What days cost before anything is sent: requests needed and cached, what the limits leave, and when a range is paid.

Belongs here: counting over the ledger and the index by snapshot. No bars are read, no key is needed, nothing is sent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from timegpt_assets.adapters.call_errors import CallError
from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.timegpt import cache_care
from timegpt_assets.adapters.timegpt.request_index import Index, RequestPart, SnapshotKey
from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import bulk
from timegpt_assets.core.forecasts import snapshots as schedule
from timegpt_assets.engine import composed
from timegpt_assets.runtime import SHAPES_A_BODY, Runtime, account, answer_index, daily_files, ledger, size

MINUTES_OF_A_SESSION = 390


@dataclass(frozen=True, slots=True)
class DayCalls:
    """One session's requests: needed and cached, those of them whose answers are gone, and the most bytes of one."""

    day: date
    snapshots: int
    needed: int
    cached: int
    lost: int = 0
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
    composed: Callable[[date], int | None] = lambda _: None
    """How many requests of a day have no answer word for word, where that can be told."""

    def under(self, settings: Settings) -> "BudgetPlanner":
        """Return the same purse under other settings of what is asked, the account and its books as they are."""
        index = replace(
            self.index,
            model=settings.forecast.model,
            levels=core_inputs.levels(settings),
            settings_digest=settings.digest(SHAPES_A_BODY),
            size=size(settings),
        )
        return replace(self, settings=settings, index=index)

    def day_calls(self, days: Sequence[date], *, reask: bool = False) -> list[DayCalls]:
        """Return what each day takes, earliest first; ``reask``: what cannot be used anew, or all where all can be."""
        self.reconcile()  # first of all
        asked, most, requests = self._snapshots(days), self._bytes(), self.requests(days)
        stored = frozenset(self.index.cache.hashes(self.index.host))
        found, otherwise = [], self._asked_otherwise()
        for i, day in enumerate(sorted(set(days))):
            own = requests[day]
            wanted = self._asked_anew(own, first=i == 0) if reask else [part for part in own if not part.is_answered]
            # counted apart: they are paid for and cannot be used, so they are neither needed nor free
            lost = sum(part.is_answered and part.request_hash not in stored for part in own)
            n = sum(n for n, _ in asked[day])
            needed = len(wanted)
            # composing needs the panel and takes long: only where other settings may have asked the very same bytes
            if needed and not reask and str(day) in otherwise and (exact := self.composed(day)) is not None:
                needed = exact
            found.append(DayCalls(day, snapshots=n, needed=needed, cached=len(own) - needed, lost=lost))
        return [replace(calls, max_bytes=most if calls.needed else 0) for calls in found]

    def reconcile(self) -> None:
        """Make known to ledger and cache what the other holds: what one forgot must not be priced as needed."""
        cache_care.reconcile(self.index.cache, self.ledger, self.index.host)

    def requests(self, days: Sequence[date]) -> dict[date, list[RequestPart]]:
        """Return each day's requests, the answered ones too."""
        universe = self.settings.universe.tickers
        asked = {day: [snapshot for _, snapshot in own] for day, own in self._snapshots(days).items()}
        parts = self.index.parts([snapshot for own in asked.values() for snapshot in own], universe)
        return {
            day: [part for snapshot in own for part in parts[snapshot] if part.symbols & set(universe)]
            for day, own in asked.items()
        }

    def all_answered(self, days: Sequence[date]) -> bool:
        """Return whether every request of these days has its answer."""
        return all(part.is_answered for own in self.requests(days).values() for part in own)

    def snapshots(self, days: Sequence[date]) -> int:
        """Return how many snapshots are asked on these days."""
        return sum(n for own in self._snapshots(days).values() for n, _ in own)

    @property
    def left(self) -> dict[str, int]:
        """Return the calls each limit still allows to a new run."""
        return self.ledger.left(self.account, "")

    def params_needed(self, *, reask: bool = False) -> int:
        """Return 1 while the model's parameters were never asked for, or cannot be used and are asked anew, else 0."""
        found = self._params()
        return int(found is None or (reask and isinstance(found, CallError)))

    def payment_plan(self, days: Sequence[date], *, reask: bool = False) -> PaymentPlan:
        """Return the days from the first on that can be paid for now, cut into runs; later days wait for these."""
        if self.settings.forecast.api_mode == "offline" or not days:
            return PaymentPlan(runs=(tuple(days),) if days else ())
        frozen, left, per_run = self.ledger.frozen(), self.left, self.account.per_run
        params = self.params_needed(reask=reask)
        # a new run begins with its whole per_run; what bounds the range is the day and the month
        in_all = min(n for name, n in left.items() if name != "per_run")
        runs: list[list[date]] = []
        spent, in_run = 0, 0
        day_calls = self.day_calls(days, reask=reask)
        for i, calls in enumerate(day_calls):
            cost = calls.needed + (params if (calls.needed or reask) and not spent else 0)
            # in order, and none after the first that cannot be paid (docs/adr/0016)
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

    def finish(self, day_calls: Sequence[DayCalls], *, reask: bool = False) -> date | None:
        """Return the budget day on which the last of these is paid for; None when the limits never allow it."""
        params, needed = self.params_needed(reask=reask), [calls.needed for calls in day_calls if calls.needed]
        return self.paid_on([cost + (params if i == 0 else 0) for i, cost in enumerate(needed)])

    def paid_on(self, costs: Iterable[int]) -> date | None:
        """Return the budget day on which the last of these is paid for, each of them on one day."""
        left, day = self.left, self.today
        budgets: dict[str, int] = {day.isoformat(): left["per_day"], day.isoformat()[:7]: left.get("per_month", 10**9)}
        for cost in costs:
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

    def _asked_otherwise(self) -> set[str]:
        """Return the days of which something was asked under other settings: the same bytes may be answered there."""
        records = (record for _, record in self.ledger.all_records().values())
        ours = self.index.settings_digest
        return {str(record["day"]) for record in records if record.get("settings_digest") not in (None, ours)}

    def _asked_anew(self, own: Sequence[RequestPart], *, first: bool) -> list[RequestPart]:
        """Return what --reask pays for: the missing and what cannot be used; everything where all can be.

        Parameters of the model that cannot be used are asked anew with the ``first`` day, and with it nothing else.
        """
        on_doubt = self.settings.forecast.on_doubt
        found = [p for p in own if not p.is_answered or not self.index.is_usable(p, on_doubt=on_doubt)]
        is_all_usable = not any(part.is_answered for part in found)
        is_first_mended = first and isinstance(self._params(), CallError)
        return list(own) if is_all_usable and not is_first_mended else found

    def _bytes(self) -> int:
        """Return the most that one request takes: every symbol that fits, as many rows as the provider reads."""
        forecast, size = self.settings.forecast, self.index.size
        series = min(len(self.settings.universe.tickers), max(1, size.batch))
        rows = (forecast.history_days + 1) * MINUTES_OF_A_SESSION
        params = self._params()
        if isinstance(params, tuple):
            input_size, horizon = params
            read = 3 * input_size + max(horizon, forecast.horizon_min) if self.index.levels else input_size
            in_bulk = MINUTES_OF_A_SESSION if forecast.history_mode == "cross_validation" else 0
            rows = min(rows, read + in_bulk)
        return size.bytes(series, min(rows, size.rows(series)))

    def _params(self) -> tuple[int, int] | CallError | None:
        """Return the model's input size and horizon, why they cannot be used, or None when they were never asked."""
        try:
            return self.index.params()
        except CallError as error:
            return error


def budget_planner(runtime: Runtime) -> BudgetPlanner | None:
    """Return the purse of this runtime; None where the forecaster costs nothing."""
    if runtime.settings.forecast.backend == "baseline":
        return None
    books, events = ledger(runtime), daily_files(runtime).calendar
    budget_day = runtime.clock().astimezone(ZoneInfo(account(runtime.settings).timezone)).date()
    return BudgetPlanner(
        settings=runtime.settings,
        events=events,
        index=answer_index(runtime, books),
        ledger=books,
        account=account(runtime.settings),
        today=budget_day,
        composed=lambda day: composed.missing(runtime, day, events=events, books=books),
    )

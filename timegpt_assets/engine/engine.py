"""The rectangle: days x symbols x assets, run in closures of equal partitions definitions. The one engine of the house.

Belongs here: what has to run, in which range runs, and running it. The command line, the schedule and a range of days
on another machine all call ``run_rectangle``. Planning (plans.py) is pure; this file talks to Dagster.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from uuid import uuid4

import dagster as dg
from dagster import AssetKey

from timegpt_assets.core import calendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.engine.axes import MONTHS, SESSIONS, Axis
from timegpt_assets.engine.call_budget import BudgetPlanner, PaymentPlan
from timegpt_assets.engine.deliveries import BARS, RAW_BARS
from timegpt_assets.engine.interrupts import signals_heard
from timegpt_assets.engine.inventory import NOT_THERE, Inventory, inventory
from timegpt_assets.engine.months import MonthsAsked, sessions_of
from timegpt_assets.engine.plans import (
    AssetNode,
    PartitionRef,
    RangeRun,
    closures,
    in_order,
    kind_of,
    range_runs,
    strata,
)
from timegpt_assets.engine.progress import Amount, Listener, Silent, amounts
from timegpt_assets.engine.stages import NEWS
from timegpt_assets.engine.stale import Ages, input_windows
from timegpt_assets.instance.internals import drawn_up_once, listening
from timegpt_assets.instance.run_owners import owned
from timegpt_assets.instance.timeline import shown
from timegpt_assets.partitions import REASK
from timegpt_assets.runtime import Runtime

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
QUALITY = AssetKey(["bars", "quality_report"])
GATE_CHECK = "gates__promotion_gates_passed"
"""The step whose failure is a verdict and no fault: the run is red in the UI, the rectangle goes on."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(Explained, RuntimeError):
    """Raised when a run of the rectangle fails; its text is the cause's own message, ``asset`` names the culprit."""

    def __init__(self, message: str, *, asset: str, run_id: str) -> None:
        super().__init__(message)
        self.asset, self.run_id = asset, run_id


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """What is asked for: days, symbols and assets, and whether what is there is made again.

    ``axis``: that of the days; no rectangle mixes sessions with UTC days.
    ``whole`` assets are needed for every symbol whatever ``symbols`` says: the batch is never altered by a choice of
    symbols. ``history`` names assets wanted for that many sessions before the first day (warm-up, never paid for or
    forced).
    ``paid`` is launched for the days that can be paid for now, in runs with a call budget each; what stands on it is
    not made for the others. ``reask`` has its answers paid for again. ``stale`` partitions are
    made again, and without ``missing`` no others than what is there. ``months`` are those of the month assets, where
    they are others than those of the days; ``named`` assets were asked for by their names.
    """

    days: Sequence[date]
    symbols: Sequence[str]
    all_symbols: Sequence[str]
    assets: Sequence[AssetKey]
    forced: frozenset[AssetKey] = frozenset()
    whole: frozenset[AssetKey] = frozenset()
    history: Sequence[tuple[frozenset[AssetKey], int]] = ()
    first_day: date
    paid: AssetKey | None = None
    reask: bool = False
    stale: Mapping[AssetKey, frozenset[PartitionRef]] = field(default_factory=dict)
    missing: bool = True
    range_days: int = 40
    months: Sequence[date] = ()
    named: frozenset[AssetKey] = frozenset()
    axis: Axis = SESSIONS


@dataclass
class Outcome:
    """What a rectangle did: the range runs in order, partitions materialised, partitions already there, days left out.

    ``pending`` days wait until they can be paid for, ``why`` says what is in the way. ``held`` days wait for bars, each
    with until when. ``remade`` counts by reason and asset what was recorded and yet not there. ``incomplete`` days of
    an asset were left out for want of something it reads, ``untaught`` months for want of any session of theirs.
    """

    range_runs: list[RangeRun] = field(default_factory=list)
    made: int = 0
    there: int = 0
    remade: dict[str, dict[str, int]] = field(default_factory=dict)
    held: dict[date, str] = field(default_factory=dict)
    incomplete: dict[str, list[str]] = field(default_factory=dict)
    untaught: dict[str, list[str]] = field(default_factory=dict)
    pending: list[date] = field(default_factory=list)
    why: str = ""


@dataclass(kw_only=True)
class Engine:
    """Runs rectangles of a repository's assets on an instance; ``report`` hears of every range run, before and after.

    ``listener`` hears of every step and partition. ``tags`` stand on every run: who asked. ``budget_planner`` says
    which days of the paid asset can be paid for; without one, all of them.
    """

    runtime: Runtime
    repository: dg.RepositoryDefinition
    instance: dg.DagsterInstance
    report: Callable[[RangeRun, bool], None] = lambda range_run, done: None
    listener: Listener = field(default_factory=Silent)
    tags: dict[str, str] = field(default_factory=dict)
    budget_planner: BudgetPlanner | None = None

    def run(self, rectangle: Rectangle) -> Outcome:
        """Materialise the rectangle and return what was done; raises RunFailed at the first range run that fails.

        A paid run that fails ends the paying alone: the forecasters on this machine have answered its first day, which
        is made without the paid one before the failure is raised. It is made again with it when it can be asked.
        Raises DagsterExecutionInterruptedError, and begins nothing more, when SIGINT or SIGTERM came.
        """
        with signals_heard() as stopped, closing(self.listener):
            work = _Work(self, rectangle, stopped)
            self.listener.planned(work.amounts)
            for assets, sessions in rectangle.history:
                if before := sessions_before(rectangle, sessions):
                    # for every symbol: the batch that is sent is never altered by a choice of some
                    work.make(assets, before, rectangle.all_symbols, forced=frozenset())
            for stratum in strata(work.own(rectangle.assets)):
                # months of all days at once: a month reads sessions of several ranges
                monthly = any(node.is_monthly for node in stratum.values())
                for days in [rectangle.days] if monthly else _ranges(rectangle.days, rectangle.range_days):
                    work.make(frozenset(stratum), days, rectangle.symbols, forced=rectangle.forced)
        if work.unanswered:
            raise work.unanswered
        return work.outcome

    @cached_property
    def job(self) -> dg.JobDefinition:
        """Return the job of all assets, of which each run makes some."""
        return drawn_up_once(self.repository.get_implicit_global_asset_job_def())

    def inventory(self, days: Iterable[date], months: Iterable[date] = ()) -> Inventory:
        """Return what is there on these days, in their months and in these."""
        return inventory(self.runtime, self.instance, asset_nodes(self.repository), days, months)

    def months_asked(self, rectangle: Rectangle) -> MonthsAsked:
        """Return which months of its month assets a rectangle asks for."""
        return MonthsAsked(
            asset_nodes=asset_nodes(self.repository),
            input_windows=input_windows(self.repository),
            assets=frozenset(rectangle.assets),
            named=rectangle.named,
            months=rectangle.months,
            first_day=rectangle.first_day,
            now=self.runtime.clock(),
        )

    def asked(self, rectangle: Rectangle) -> dict[AssetKey, set[PartitionRef]]:
        """Return the partitions of each asset that a rectangle asks for, whatever there is of them."""
        months, nodes = self.months_asked(rectangle), asset_nodes(self.repository)
        return {
            key: months.of(key, rectangle.days)
            if nodes[key].is_monthly
            else nodes[key].partitions(rectangle.days, rectangle.symbols)
            for key in rectangle.assets
        }


def sessions_before(rectangle: Rectangle, count: int) -> list[date]:
    """Return as many sessions, or UTC days, before the rectangle's first day as the grid has."""
    return rectangle.axis.before(min(rectangle.days), count, rectangle.first_day)


def _ranges(days: Sequence[date], size: int) -> Iterable[Sequence[date]]:
    return (days[i : i + size] for i in range(0, len(days), size))


class _Work:
    """One rectangle being made: what is materialised already, what ran, what came of it."""

    def __init__(self, engine: Engine, rectangle: Rectangle, stopped: Callable[[], bool]) -> None:
        self.engine, self.rectangle, self.stopped = engine, rectangle, stopped
        self.asset_nodes = asset_nodes(engine.repository)
        self.input_windows = input_windows(engine.repository)
        self.months = engine.months_asked(rectangle)
        earlier = [day for _, count in rectangle.history for day in sessions_before(rectangle, count)]
        monthly = [key for key in rectangle.assets if self.asset_nodes[key].is_monthly]
        months = {partition.day for key in monthly for partition in self.months.of(key, rectangle.days)}
        self.inventory = engine.inventory([*earlier, *rectangle.days], months)
        self.there: dict[AssetKey, set[PartitionRef]] = {}
        self.ran: dict[AssetKey, set[PartitionRef]] = {}
        self.left_out: dict[AssetKey, set[date]] = {}
        self.outcome = Outcome()
        self.unpaid_from: date | None = None
        self.unanswered: RunFailed | None = None
        # all that reads answers, at any remove: made now for an unpaid day it would look back on a hole for good
        self.paid_for = _standing_on(rectangle.paid, self.asset_nodes)

    def make(
        self,
        assets: frozenset[AssetKey],
        days: Sequence[date],
        symbols: Sequence[str],
        *,
        forced: frozenset[AssetKey],
    ) -> None:
        """Materialise what is needed of these assets in days x symbols; ``forced`` ones although they are there."""
        paid = self.rectangle.paid
        for closure in self._closures(assets, days):
            needed: dict[AssetKey, set[PartitionRef]] = {}
            for key in closure:
                needed[key] = self._needed(key, days, symbols, needed, forced=key in forced)
            # alone in its closure: its range is cut by money, that of all others by days and symbols
            if paid is not None and paid in closure:
                self._pay(paid, needed[paid])
                continue
            axis = self.asset_nodes[closure[0]].axis
            for range_run in range_runs(closure, needed, axis=axis, symbols=self.rectangle.all_symbols):
                self._run_range(range_run)

    def _closures(self, assets: frozenset[AssetKey], days: Sequence[date]) -> Iterable[tuple[AssetKey, ...]]:
        """Return the closures in order; while bars are awaited they come first: their verdicts may hold the rest."""
        paid = self.rectangle.paid
        alone = {paid} if paid else set()
        # their verdicts are known only when they are made, and a held day must not be paid for
        first = assets & {RAW_BARS, BARS}
        if first and all(self.inventory.deliveries.is_over(day) for day in days):
            first = frozenset()
        for part in (first, assets - first):
            yield from closures(self.own(part), alone=alone)

    def _pay(self, key: AssetKey, partitions: set[PartitionRef]) -> None:
        """Launch the days that can be paid for, a budget run each; the first that cannot ends the paying."""
        days = sorted(partition.day for partition in partitions)
        planner, reask = self.engine.budget_planner, self.rectangle.reask
        # asked when the answers are due and not at the start: earlier ranges have spent from the same budget
        plan = planner.payment_plan(days, reask=reask) if planner else PaymentPlan(runs=(tuple(days),))
        for run in plan.runs:
            # a Dagster run is a budget run: the limit per run is counted by its id
            own = {key: {PartitionRef(day) for day in run}}
            axis = self.asset_nodes[key].axis
            for range_run in range_runs((key,), own, axis=axis, symbols=self.rectangle.all_symbols):
                try:
                    self._run_range(range_run, {REASK: "true"} if reask else {})
                except RunFailed as failure:
                    self._without_answer(key, failure, run)
                    return
        if plan.pending:
            # later days wait too, cached ones among them: calibration and risk look back on earlier days
            self.unpaid_from, self.outcome.why = plan.pending[0], plan.why
            self.outcome.pending += plan.pending

    def _without_answer(self, key: AssetKey, failure: RunFailed, days: Sequence[date]) -> None:
        """Remember the failure and go on as far as the first day that nobody answered for money."""
        recorded = self.engine.inventory(days).there(key)  # those before it were stored before the run failed
        self._there(key).update(recorded)
        unanswered = next(day for day in days if PartitionRef(day) not in recorded)
        self.unanswered, self.unpaid_from = failure, calendar.shifted(unanswered, 1)

    def _payable(self, key: AssetKey, wanted: set[PartitionRef]) -> set[PartitionRef]:
        """Return the partitions that do not stand on a day that is still to be paid for, or on a later one."""
        if self.unpaid_from is None or key not in self.paid_for:
            return wanted
        first = self.unpaid_from
        if self.asset_nodes[key].is_monthly:
            return wanted & self.months.of(key, [day for day in self.rectangle.days if day < first])
        if key == self.rectangle.paid:
            there = self._there(key)
            self.outcome.pending += sorted(p.day for p in wanted if p.day >= first and p not in there)
        return {partition for partition in wanted if partition.day < first}

    def _needed(
        self,
        key: AssetKey,
        days: Sequence[date],
        symbols: Sequence[str],
        coming: Mapping[AssetKey, set[PartitionRef]],
        *,
        forced: bool,
    ) -> set[PartitionRef]:
        """Return the partitions to run: forced, absent, or made from what just ran or is ``coming`` before it."""
        wanted = self._payable(key, self._deliverable(key, self._wanted(key, days, symbols)))
        if self.asset_nodes[key].is_monthly:
            if untaught := self._untaught(key, wanted, coming):
                self.outcome.untaught[key.path[-1]] = sorted(f"{month.day:%Y-%m}" for month in untaught)
            wanted -= untaught
        else:
            wanted = self._complete(key, wanted, coming)
        there, outdated = self._there(key), self.rectangle.stale.get(key, frozenset())
        if not self.rectangle.missing:
            needed = wanted & outdated
        else:
            needed = wanted - there if not forced else set(wanted)
            needed |= wanted & outdated
            needed |= self._made_from_fresh(key, wanted - needed, coming)
        needed -= self.ran.get(key, set())
        self.outcome.there += len(wanted) - len(needed)
        self._say_why(key, needed)
        return needed

    def _say_why(self, key: AssetKey, needed: set[PartitionRef]) -> None:
        recorded = self.inventory.of(key)
        for why in (recorded.get(partition, "") for partition in needed):
            if why in NOT_THERE:
                counts = self.outcome.remade.setdefault(why, {})
                counts[key.path[-1]] = counts.get(key.path[-1], 0) + 1

    def _deliverable(self, key: AssetKey, wanted: set[PartitionRef]) -> set[PartitionRef]:
        """Return the partitions that are not held because bars of their session are awaited."""
        # what the world says waits for no bars, nor does a day without sessions
        if key in (RAW_BARS, BARS, QUALITY) or key.path[-1] in NEWS or self.asset_nodes[key].is_utc:
            return wanted
        if self.asset_nodes[key].is_monthly:
            return wanted & self.months.of(key, set(self.rectangle.days) - self._held(self.rectangle.days).keys())
        held = self._held({partition.day for partition in wanted})
        self.outcome.held |= {day: why for day, why in held.items() if day in self.rectangle.days}
        return {partition for partition in wanted if partition.day not in held}

    def _held(self, days: Iterable[date]) -> dict[date, str]:
        """Return the days on whose bars nothing may stand yet, and why."""
        deliveries = self.inventory.deliveries
        return {day: why for day, absent in deliveries.awaited(days).items() if (why := deliveries.holds(day, absent))}

    def _wanted(self, key: AssetKey, days: Sequence[date], symbols: Sequence[str]) -> set[PartitionRef]:
        if self.asset_nodes[key].is_monthly:
            return self.months.of(key, days)
        return self.asset_nodes[key].partitions(
            days, self.rectangle.all_symbols if key in self.rectangle.whole else symbols
        )

    def _untaught(
        self, key: AssetKey, wanted: set[PartitionRef], coming: Mapping[AssetKey, set[PartitionRef]]
    ) -> set[PartitionRef]:
        """Return the months to be learnt from of which no session is there: nobody asks for their days.

        Made of no session at all, a training set would count as made when its sessions come.
        """
        if key not in self.months.looked_back_on:
            return set()
        daily = [dep for dep in self.asset_nodes[key].deps if not self.asset_nodes[dep].is_monthly]
        there = [self._there(dep) | self._earlier.there(dep) | coming.get(dep, set()) for dep in daily]
        held = [{MONTHS.of(partition.day) for partition in partitions} for partitions in there]
        return {p for p in wanted - self._there(key) if not all(p.day in months for months in held)}

    @cached_property
    def _earlier(self) -> Inventory:
        """Return what is there of the days of months to be learnt from that are not there themselves."""
        keys = self.months.looked_back_on.keys() & {*self.rectangle.assets}
        absent = {p.day for key in keys for p in self.months.of(key, self.rectangle.days) - self._there(key)}
        days = frozenset(day for month in absent for day in sessions_of(month))
        return replace(self.inventory, days=days, months=frozenset(), found={})

    def _complete(
        self, key: AssetKey, wanted: set[PartitionRef], coming: Mapping[AssetKey, set[PartitionRef]]
    ) -> set[PartitionRef]:
        """Return the partitions of days on which everything is there, or coming, that the asset reads of the day."""
        lacking = {day for day in {p.day for p in wanted} if self._lacks(key, day, coming)}
        if lacking:
            self.outcome.incomplete.setdefault(key.path[-1], []).extend(str(day) for day in sorted(lacking))
            absent = {partition.day for partition in wanted - self._there(key)}
            self.left_out.setdefault(key, set()).update(lacking & absent)
        return {partition for partition in wanted if partition.day not in lacking}

    def _lacks(self, key: AssetKey, day: date, coming: Mapping[AssetKey, set[PartitionRef]]) -> bool:
        """Return whether an input of the day is missing: a day's left out before, its month's, or some symbols of it.

        A day asset reads every symbol: a choice of symbols must not make it from a part of them.
        """
        is_of_day = self.asset_nodes[key].kind == "trading_day"
        for dep in self.asset_nodes[key].deps:
            if day in self.left_out.get(dep, ()):
                return True
            if self.asset_nodes[dep].is_monthly or (is_of_day and dep not in self.rectangle.whole):
                read = self.asset_nodes[dep].partitions([day], self.rectangle.all_symbols)
                if read - coming.get(dep, set()) - self._there(dep):
                    return True
        return False

    def _there(self, key: AssetKey) -> set[PartitionRef]:
        if key not in self.there:
            self.there[key] = self.inventory.there(key)
        return self.there[key]

    def _made_from_fresh(
        self, key: AssetKey, there: set[PartitionRef], coming: Mapping[AssetKey, set[PartitionRef]]
    ) -> set[PartitionRef]:
        """Return the partitions that read anything that just ran or is coming before them."""
        found, kind = set[PartitionRef](), self.asset_nodes[key].kind
        for dep in self.asset_nodes[key].deps:
            fresh = Ages(
                dict.fromkeys(self.ran.get(dep, set()) | coming.get(dep, set()), 1), self.asset_nodes[dep].kind
            )
            window = self.input_windows[key, dep]
            found |= {partition for partition in there - found if fresh.days and fresh.newest(partition, window, kind)}
        return found

    def _run_range(self, range_run: RangeRun, tags: Mapping[str, str] | None = None) -> None:
        self.engine.report(range_run, False)
        of_bars = RAW_BARS in range_run.assets
        # before the run: a file replaced while it is read must differ from what is noted of it
        files = self.inventory.deliveries.states_before(range_run.partitions) if of_bars else {}
        # range tags make one run of a rectangle; a backfill policy of single_run makes one for each symbol or day
        run_id, span = str(uuid4()), {RANGE_START: range_run.first, RANGE_END: range_run.last}
        # the lock is held before the run is written down: nobody ever sees a run of ours without an owner
        instance = self.engine.instance
        with owned(instance, run_id) as owner, listening(instance, run_id, self._heard):
            shown(instance, run_id)
            # in this process: a launched run takes ten seconds before its first step, half of it imports
            result = self.engine.job.execute_in_process(
                instance=instance,
                run_id=run_id,
                asset_selection=list(range_run.assets),
                tags={**span, **owner, **self.engine.tags, **(tags or {})},
                run_config=QUIET,
                # a gate that fails makes the run red, and is an answer and no error
                raise_on_error=False,
            )
        # before a failure: what was stopped inside a step is one for Dagster
        if self.stopped():
            raise dg.DagsterExecutionInterruptedError
        if not result.success and not _is_verdict(result):
            raise _failure(result)
        for key in range_run.assets:
            self.ran.setdefault(key, set()).update(range_run.partitions)
            self._there(key).update(range_run.partitions)
        if files:
            self.inventory.deliveries.note_made(files)
        self.outcome.range_runs.append(range_run)
        self.outcome.made += len(range_run.partitions) * len(range_run.assets)
        self.engine.report(range_run, True)

    def amounts(self) -> Mapping[AssetKey, Amount]:
        """Return what has to be made, as far as it can be told before anything runs."""
        asked, needed = self.rectangle, dict[AssetKey, set[PartitionRef]]()
        for assets, sessions in asked.history:
            for key in assets:
                earlier = self.asset_nodes[key].partitions(sessions_before(asked, sessions), asked.all_symbols)
                needed[key] = earlier - self._there(key)
        for key in in_order(self.own(asked.assets)):
            wanted = self._wanted(key, asked.days, asked.symbols)
            wanted -= self._untaught(key, wanted, needed)
            own = wanted & asked.stale.get(key, frozenset())
            if asked.missing:
                own |= wanted if key in asked.forced else wanted - self._there(key)
                own |= self._made_from_fresh(key, wanted - own, needed)
            needed[key] = needed.get(key, set()) | own
        return amounts(needed, {key: node.kind for key, node in self.asset_nodes.items()})

    def own(self, keys: Iterable[AssetKey]) -> dict[AssetKey, AssetNode]:
        """Return these assets of the graph."""
        return {key: self.asset_nodes[key] for key in keys}

    def _heard(self, event: dg.DagsterEvent) -> None:
        """Tell the listener of a step that begins and of a partition that is made."""
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION and event.asset_key:
            self.engine.listener.stored(event.asset_key)
        elif event.event_type == dg.DagsterEventType.STEP_START:
            key = AssetKey(_asset_of(event.step_key).split("/"))
            if key in self.asset_nodes:  # a check is a step too
                self.engine.listener.stepped(key)


def asset_nodes(repository: dg.RepositoryDefinition) -> dict[AssetKey, AssetNode]:
    """Return kind and upstream assets of every asset: what planning needs to know of the graph."""
    graph = repository.asset_graph
    return {
        key: AssetNode(
            kind=kind_of(graph.get(key).partitions_def),
            deps=frozenset(graph.get(key).parent_keys),
            settings=tuple(graph.get(key).metadata.get("settings", ())),
        )
        for key in graph.get_all_asset_keys()
    }


def _standing_on(key: AssetKey | None, asset_nodes: Mapping[AssetKey, AssetNode]) -> frozenset[AssetKey]:
    """Return the asset and everything that reads it, at any remove; none for None."""
    found = {key} if key in asset_nodes else set()
    grown = bool(found)
    while grown:
        more = {name for name, node in asset_nodes.items() if name not in found and node.deps & found}
        found |= more
        grown = bool(more)
    return frozenset(name for name in found if name is not None)


def _is_verdict(result: dg.ExecuteInProcessResult) -> bool:
    """Return whether nothing failed but the gate check: its asset is stored, and whoever asked reads the gates."""
    failed = [event.step_key or "" for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return bool(failed) and all(step == GATE_CHECK for step in failed)


def _failure(result: dg.ExecuteInProcessResult) -> RunFailed:
    for event in result.all_events:
        if error := getattr(event.event_specific_data, "error", None):
            while error.cause and error.cls_name.startswith("Dagster"):  # Dagster's wrappers, not causes of our own
                error = error.cause
            message = error.message.strip().split(f"{error.cls_name}: ", 1)[-1]
            return RunFailed(message, asset=_asset_of(event.step_key), run_id=result.run_id)
    return RunFailed("the run failed and says nothing; open it in the UI.", asset="", run_id=result.run_id)


def _asset_of(step_key: str | None) -> str:
    """Return ``group/asset`` of a step; resources and checks keep the step's own name."""
    return (step_key or "").replace("__", "/", 1)

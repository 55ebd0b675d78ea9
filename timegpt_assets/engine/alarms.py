"""What is the matter with a house now: failed runs, checks, money, sources that are silent, what is overdue.

Belongs here: reading it, each kind by itself: one that cannot be read hides no other. What should be there by when is
due.py; who is told, and how often, is automation/alarms.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import takewhile
from typing import Any

import dagster as dg

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.rollout_record import NAME, TSFM_NAME, RolloutRecord
from timegpt_assets.core.alarms import Alarm, Kind
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.rollout.phases import BY_ITSELF, ROLLBACK
from timegpt_assets.engine import daily, pending
from timegpt_assets.engine.deliveries import Deliveries
from timegpt_assets.engine.due import due
from timegpt_assets.engine.engine import Engine
from timegpt_assets.engine.news import source_states, stored
from timegpt_assets.engine.stages import last_closed_session

JOBS = (
    "daily_refresh",
    "run_day",
    "resume_pending",
    "refresh_bars",
    "sweep_forecast_grid",
    "tsfm_cycle",
    "forget_events",
)
"""Jobs that run by themselves, or that somebody started and went away from."""
MOST_RUNS = 20
"""Runs of a job that are looked through since the last look."""
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
KINDS: Mapping[str, Kind] = {
    "coverage_holds": "drift",
    "features_hold": "drift",
    "primary_sources_meet_their_goals": "news",
}
"""Checks whose alarm has a word of its own."""
TAKEN_BACK = timedelta(days=3)
"""How long a rollout that went back by itself rings: until then somebody has seen it, or moved it on."""
Reader = Callable[[Engine], Iterator[Alarm]]
GATES = "gates_passed"
"""A gate's check is a verdict that somebody asked for, and no alarm."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The alarms of now, the kinds of which it cannot be told now whether they ring, and each job's last run."""

    alarms: Sequence[Alarm]
    unread: frozenset[Kind] = frozenset()
    last_runs: Mapping[str, str] = field(default_factory=dict)


def alarms(engine: Engine, *, seen: Mapping[str, str] | None = None) -> Found:
    """Return what is the matter. A kind that cannot be read is an alarm of its own.

    ``seen``: each job's last run that had ended when somebody looked before: one that has failed since then is an
    alarm, whatever ran after it.
    """
    found, unread = list[Alarm](), set[Kind]()
    ended = {job: _ended(engine.instance, job, (seen or {}).get(job)) for job in JOBS}
    readers: Sequence[tuple[Sequence[Kind], Reader]] = [(("run",), partial(_runs, ended=ended)), *READERS]
    for kinds, read in readers:
        try:
            found += read(engine)
        except (Explained, OSError) as error:
            unread |= {*kinds}
            name = "bars" if "source" in kinds else f"for {', '.join(kinds)}"
            found.append(Alarm(kind="source", name=name, said=f"cannot be read now: {error}"))
    last_runs = {job: runs[0].run_id for job, runs in ended.items() if runs}
    return Found(alarms=found, unread=frozenset(unread - {"source"}), last_runs=last_runs)


def _ended(instance: dg.DagsterInstance, job: str, seen: str | None) -> Sequence[dg.DagsterRun]:
    """Return the runs of a job that ended since the one that was seen, newest first; without any the last one."""
    asked = dg.RunsFilter(job_name=job, statuses=list(ENDED))
    found = instance.get_runs(asked, limit=MOST_RUNS if seen else 1)
    return list(takewhile(lambda run: run.run_id != seen, found)) or list(found[:1])


def _runs(engine: Engine, *, ended: Mapping[str, Sequence[dg.DagsterRun]]) -> Iterator[Alarm]:
    """Yield each job of which a run has failed: the last one, or one since the last look."""
    for job, runs in ended.items():
        failed = [run for run in runs if run.status == dg.DagsterRunStatus.FAILURE][:1]
        for run in failed:
            since = "" if run is runs[0] else " It has run well since."
            yield Alarm(kind="run", name=job, said=f"{_why(engine.instance, run.run_id)}{since}")


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return in words why a run failed: its step's own sentence, or what Dagster says."""
    for of_type in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run_id, of_type=of_type).records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            if event.event_type == dg.DagsterEventType.STEP_FAILURE:
                data = event.step_failure_data
                told = data.user_failure_data.description if data.user_failure_data else None
                if told or data.error:
                    return (told or data.error.message).strip()  # type: ignore[union-attr]  # one of them is there
            elif event.message:
                return event.message
    return "it failed without a word."


def _checks(engine: Engine) -> Iterator[Alarm]:
    """Yield each check whose newest evaluation has failed, but gates: theirs is a verdict."""
    for key in sorted(engine.repository.asset_graph.asset_check_keys, key=str):
        record = engine.instance.get_latest_asset_check_evaluation_record(key)
        event = record.event.dagster_event if record and record.event else None
        if key.name == GATES or event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        evaluation = event.asset_check_evaluation_data
        if not evaluation.passed and not _is_awaited(engine, evaluation):
            name = f"{key.name} of {key.asset_key.to_user_string()}"
            yield Alarm(kind=KINDS.get(key.name, "check"), name=name, said=evaluation.description or "failed")


def _is_awaited(engine: Engine, evaluation: dg.AssetCheckEvaluation) -> bool:
    """Return whether all that a check misses are bars that nobody had to deliver by now."""
    told: dict[str, Any] = {name: value.value for name, value in evaluation.metadata.items()}
    if not told.get("late") or told["late"] != told["count"]:
        return False
    # the shown ones are the earliest: where their session is not due, none is
    return not Deliveries.of(engine.runtime).is_due(date.fromisoformat(min(told["unusable"])[:10]))


def _money(engine: Engine) -> Iterator[Alarm]:
    """Yield what waits for calls, a frozen purse, and limits that are nearly used up."""
    for entry in pending.waiting(engine.instance):
        if entry.on == pending.CALLS:
            yield Alarm(kind="budget", name=f"{entry.first} to {entry.last}", said=f"waits: {entry.why}")
    if (planner := engine.budget_planner) is None:
        return
    if why := planner.ledger.frozen():
        yield Alarm(kind="budget", name="frozen", said=f"{why}. Go on: timegpt-assets budget thaw")
    share, account, left = engine.runtime.settings.alarms.quota_used, planner.account, planner.left
    for name, limit in (("per_day", account.per_day), ("per_month", account.per_month)):
        # the words hold no count: used up further is not another alarm
        if limit and limit - left[name] >= share * limit:
            period = f"{planner.today}" if name == "per_day" else f"{planner.today:%Y-%m}"
            said = f"at least {share:.0%} of {limit} calls are used."
            yield Alarm(kind="quota", name=f"{name} of {period}", said=said)


def _sources(engine: Engine) -> Iterator[Alarm]:
    """Yield sources of news that are left alone. Raises what the source of bars raises where it is silent."""
    runtime = engine.runtime
    newest = last_closed_session(runtime.clock())
    if newest >= runtime.settings.data.start_date:
        daily.state(runtime, [newest])
    recent = [newest - timedelta(days=back) for back in range(5)]
    for one in source_states(runtime, stored(ParquetStore(runtime.storage), recent)):
        if one.held:
            yield Alarm(kind="source", name=one.source, said="is left alone for a while: it failed too often.")


def _overdue(engine: Engine) -> Iterator[Alarm]:
    for one in due(engine):
        if one.is_overdue:
            yield Alarm(kind="due", name=one.what, said=f"was due by {one.by:%Y-%m-%d %H:%M} UTC: {one.state}")


def _rollouts(engine: Engine) -> Iterator[Alarm]:
    """Yield each rollout that a sensor took back lately and nobody moved on since."""
    runtime = engine.runtime
    for name, verb in ((NAME, "rollout"), (TSFM_NAME, "tsfm rollout")):
        recorded = RolloutRecord(runtime.storage, name).recorded().iter_rows(named=True)
        for forecaster, row in {row["forecaster"]: row for row in recorded}.items():
            is_own = row["what"] == ROLLBACK and row["who"].startswith(BY_ITSELF)
            if is_own and runtime.clock() - row["time"] < TAKEN_BACK:
                said = f"went back to {row['phase']} by itself. {row['why']}. See: timegpt-assets {verb} status"
                yield Alarm(kind="rollout", name=forecaster, said=said)


READERS: Sequence[tuple[Sequence[Kind], Reader]] = (
    (("check", "drift", "news"), _checks),
    (("budget", "quota"), _money),
    (("source",), _sources),
    (("due",), _overdue),
    (("rollout",), _rollouts),
)
"""Kinds, and who reads them; runs are read by what was seen of them before."""

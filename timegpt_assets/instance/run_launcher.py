"""How UI and daemon start runs and see that they died: Dagster's own ways, with the owner of each run known.

Belongs here: what dagster.yaml and the definitions name for that. Who owns a run is run_owners.py.
"""

import os
import signal
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterRun
from dagster._core.definitions.executor_definition import IN_PROC_CONFIG
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from timegpt_assets.adapters.ledger.process_identity import is_known_dead, is_on_this_machine
from timegpt_assets.instance import run_owners


class WatchedRunLauncher(DefaultRunLauncher):
    """DefaultRunLauncher whose runs, and those of the command line, the daemon sees die and the UI can cancel."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return True: run monitoring asks of every run that says it is going on."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return FAILED for a run whose owner is dead; Dagster then marks it and frees its slots."""
        if lost := run_owners.lost(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.FAILED, lost)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """Cancel a run, whoever started it, and return whether it could be told; one whose owner is dead is ended."""
        run, record = self._instance.get_run_by_id(run_id), self._instance.get_run_record_by_id(run_id)
        if run is None or record is None or run.is_finished:
            return False
        dead = run_owners.is_dead(self._instance, record)
        if GRPC_INFO_TAG in run.tags and not dead:  # its code server can be told
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]  # Dagster's own
        # started by the command line: no code server knows of it, so it is told as a terminal would
        self._instance.report_run_canceling(run)
        if dead:
            run_owners.free_dead(self._instance)
            return True
        name = run.tags.get(run_owners.OWNER, "")
        if not name or not is_on_this_machine(name) or is_known_dead(name):
            return False
        os.kill(int(name.rsplit("/", 2)[1]), signal.SIGINT)  # as Ctrl-C: the command ends and says so
        return True


class OwnedInProcessExecutor(InProcessExecutor):
    """InProcessExecutor that says who runs the run before its first step."""

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        """Yield the events of the steps; the run's lock is held from here to the end of the process."""
        run_owners.owned_until_exit(plan_context.instance, plan_context.run_id)
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=IN_PROC_CONFIG)
def owned_in_process(context: dg.InitExecutorContext) -> OwnedInProcessExecutor:
    """Return the executor of every job: all steps in one process, which is the run's owner."""
    stock: Any = dg.in_process_executor.executor_creation_fn
    made = stock(context)
    return OwnedInProcessExecutor(made.retries, made.step_dependency_config, made.marker_to_close)

"""How runs are started on other machines: Dagster's Celery launcher, which knows when a whole worker is gone.

Belongs here: what deploy/scale_out/dagster.yaml names. Celery says of a killed worker's task that it has started, for
ever: where its lock can be seen that says who is dead (run_owners.py), elsewhere the workers are asked who has it.
"""

from functools import cached_property

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import OperationalError

from timegpt_assets.instance import run_owners

ASKED_SEC = 5.0
"""How long workers have to say which tasks they have, and the queue to let a word in."""
MISSED = 3
"""So often in a row no worker may have the task before its run counts as lost: a busy one may once be late."""


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """CeleryRunLauncher that finds runs whose worker was killed, and leaves those of a command line to their lock."""

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return FAILED for a run whose owner is dead, or whose task no worker has had for some looks."""
        if lost := run_owners.lost(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.FAILED, lost)
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        # of a command line, which no worker knows, or seen to live: asking takes seconds for each run
        if task is None or run_owners.is_held_here(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        said = super().check_run_worker_health(run)
        if said.status is WorkerStatus.FAILED:
            return said
        if said.status is WorkerStatus.SUCCESS:
            return self._lost_at_last(run.run_id, f"its task {task} is over, and it says not how it ended")
        # UNKNOWN too: a queue that was started anew has forgotten what it knew of tasks that go on
        return self._asked_for(run.run_id, task)

    def terminate(self, run_id: str) -> bool:
        """Cancel a run that a worker has, and return whether it could be told; one whose owner is dead is ended."""
        record = self._instance.get_run_record_by_id(run_id)
        if record is None:
            return False
        run = record.dagster_run
        if run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        dead = run_owners.is_dead(self._instance, record)
        # before it is said to be canceling: a run that could not be told goes on, and must not count as one that ends
        if not dead and (why := self._unreachable()):
            self._instance.report_engine_event(f"It cannot be canceled: the queue cannot be reached ({why}).", run)
            return False
        self._instance.report_run_canceling(run)
        if dead:
            run_owners.free_dead(self._instance)
            return True
        return super().terminate(run_id)

    @cached_property
    def _missed(self) -> dict[str, int]:
        return {}

    def _unreachable(self) -> str:
        """Return why the queue takes no word now, nothing when it does."""
        try:
            with self.celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=ASKED_SEC)
        except (OperationalError, OSError) as error:
            return str(error) or type(error).__name__
        return ""

    def _asked_for(self, run_id: str, task: str) -> CheckRunHealthResult:
        """Return whether any worker has the task, by Celery's own question to all of them."""
        found = self.celery.control.inspect(timeout=ASKED_SEC).query_task([task]) or {}
        if not found:  # nobody to ask: a queue that comes back comes before its workers, whose runs go on meanwhile
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if any(task in tasks for tasks in found.values()):
            self._missed.pop(run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return self._lost_at_last(run_id, f"none of {len(found)} workers has its task {task}")

    def _lost_at_last(self, run_id: str, why: str) -> CheckRunHealthResult:
        """Return FAILED when it was so for some looks in a row."""
        self._missed[run_id] = self._missed.get(run_id, 0) + 1
        if self._missed[run_id] < MISSED:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._missed[run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, why)

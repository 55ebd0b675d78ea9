"""Dagster's daemon in this process: its own iterations of sensors, schedules and queue, when a test has it look.

Belongs here: one round of them. Each sensor is asked whether its interval has passed, each schedule for the cron ticks
since the last round, run keys and cursors are kept in the home's records, and runs wait in the queue as they would;
what differs is that they are run here, one after the other, when the others have looked. A daemon in a process of its
own is in test_daemon.py.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.remote_origin import CodeLocationOrigin, InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs
from dagster._utils.error import SerializableErrorInfo
from dagster_graphql.cli import execute_query

from timegpt_assets_tests.automation.moved_clock import MODULE

HERE = {"module": "dagster._core.launcher.sync_in_memory_run_launcher", "class": "SyncInMemoryRunLauncher"}
LOCATION = "timegpt_assets"
_LOG = logging.getLogger(__name__)


class InThisProcess(WorkspaceLoadTarget):
    """The workspace whose code lies in this process."""

    def create_origins(self) -> Sequence[CodeLocationOrigin]:
        """Return the origin of the definitions under the moved clock."""
        loaded = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE)
        return [InProcessCodeLocationOrigin(loaded, location_name=LOCATION)]


@dataclass(kw_only=True)
class DaemonHere:
    """The daemon of a home, which looks when it is told to."""

    context: IWorkspaceProcessContext
    _schedules: dict[str, ScheduleIterationTimes] = field(default_factory=dict)

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.context.instance

    def look(self, at: datetime) -> None:
        """Let sensors and schedules look once, as of the moved clock's ``at``, then run all that waits."""
        _errors(execute_sensor_iteration(self.context, _LOG, None, None))
        _errors(launch_scheduled_runs(self.context, _LOG, at, self._schedules))
        self.run_all()

    def asked(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of what the UI's own door answers. Raises AssertionError where it answers with an error."""
        said = execute_query(self.context, query, variables)
        assert "errors" not in said, said["errors"]
        return dict(said["data"])

    def look_at_backfills(self) -> None:
        """Let the backfills go on by a step: ask for the runs of what can be made now, or end."""
        _errors(execute_backfill_iteration(self.context, _LOG))

    def run_all(self) -> None:
        """Run whatever waits, and what that has wait in turn."""
        while self.run_next():
            pass

    def run_next(self) -> bool:
        """Run one of the runs that wait, and return whether there was one."""
        waiting = self.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
        if waiting:
            _errors(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(self.context))
        return waiting > 0

    def switch_on(self, sensors: Iterable[str], schedules: Iterable[str]) -> None:
        """Switch these on, as a person does in the UI."""
        location = self.context.create_request_context().get_code_location(LOCATION)
        (repository,) = location.get_repositories().values()
        for name in sensors:
            self.instance.start_sensor(repository.get_sensor(name))
        for name in schedules:
            self.instance.start_schedule(repository.get_schedule(name))


def _errors(said: Iterable[object]) -> None:
    """Go through what an iteration yields. Raises AssertionError for an error: nobody else would see it."""
    for one in said:
        assert not isinstance(one, (Exception, SerializableErrorInfo)), one


def run_here(home: Path) -> None:
    """Have a home's runs be run in the daemon's own process."""
    file = home / "dagster.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"run_launcher": HERE}))


@contextmanager
def daemon_here(home: Path) -> Iterator[DaemonHere]:
    """Yield the daemon of a home."""
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        create_test_daemon_workspace_context(InThisProcess(), instance) as context,
    ):
        yield DaemonHere(context=context)

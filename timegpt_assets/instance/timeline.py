"""The place of a run in the UI: on the timeline, under the code location whose assets it made, with who asked for it.

Belongs here: what the UI reads of a run besides its events. A run that a process of ours makes by itself has no origin,
and the UI leaves runs without one off its timeline.
"""

import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg

from timegpt_assets.instance.internals import REMEDY
from timegpt_assets.instance.run_owners import CODE_LOCATION

USER = "user"
"""The run tag that the UI shows as the one who launched a run."""


def shown(instance: dg.DagsterInstance, run_id: str) -> None:
    """Have a run that is about to begin stand on the UI's timeline from its first event on."""
    if instance.is_ephemeral:
        return
    todo: list[Callable[[], None]] = [lambda: _placed(instance, run_id)]

    def heard(_: object) -> None:
        while todo:
            todo.pop()()

    # the run is written down by Dagster itself: the first event that it has begun is the first chance
    instance.add_event_listener(run_id, heard)


def _placed(instance: dg.DagsterInstance, run_id: str) -> None:
    try:
        run = instance.get_run_by_id(run_id)
        if run is not None and run.remote_job_origin is None:
            instance.run_storage.replace_job_origin(run, _origin(run.job_name))
    except (ImportError, AttributeError, TypeError) as moved:
        said = f"Dagster {dg.__version__} has moved what stood there ({moved}): runs are not on the UI's timeline."
        warnings.warn(f"{said} {REMEDY}", stacklevel=2)


def _origin(job_name: str) -> Any:
    """Return what a run of this job launched from the UI says of where the job is from."""
    # imported where they are used: a name that has moved must cost a row on a page, and no run
    from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    target = LoadableTargetOrigin(module_name="timegpt_assets.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=CODE_LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME), job_name)

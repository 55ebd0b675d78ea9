"""Dagster's private names that assets and planning stand on, with the public road beside each.

Belongs here: notes on many partitions at once, text kept beside the instance, listening to a run's events, jobs that
name their assets, jobs whose parts are drawn up once. The event log's batches and the slots of pools have doors of
their own (event_storage.py, run_launcher.py, run_owners.py), which users' dagster.yaml names, and so have a run's place
in the UI and how it ends there (timeline.py, failures.py). A name that has moved costs one warning and time, never a
run.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

REMEDY = "Install the dagster of requirements.lock to have the fast road back."


def note_partitions(context: dg.AssetExecutionContext, notes: Mapping[str, Mapping[str, Any]]) -> None:
    """Put each partition's notes beside its materialisation; the keys must be the run's.

    What ``context.add_asset_metadata`` does, all at once: one by one it lists the run's partitions anew and copies what
    is noted already, and a range of 5,000 then takes minutes.
    """
    try:
        _noted_at_once(context, notes)
    except (ImportError, AttributeError, TypeError) as moved:
        _say("notes are put beside partitions one by one", str(moved))
        for partition, said in notes.items():
            context.add_asset_metadata(dict(said), partition_key=partition)


def _noted_at_once(context: dg.AssetExecutionContext, notes: Mapping[str, Mapping[str, Any]]) -> None:
    # imported where they are used: a name that has moved must not keep the assets from being loaded
    from dagster._core.execution.context.metadata_logging import (
        AssetMetadataHandle,
        OutputMetadataAccumulator,
        OutputMetadataHandle,
    )

    step, key = context.get_step_execution_context(), context.asset_key
    told = step._metadata_accumulator.per_output_metadata
    own: dict[OutputMetadataHandle | AssetMetadataHandle, Mapping[str, Any]] = {
        AssetMetadataHandle(asset_key=key, partition_key=partition): dict(said) for partition, said in notes.items()
    }
    merged = {handle: {**told.get(handle, {}), **said} for handle, said in own.items()}
    # the last thing done: whatever fails before it leaves nothing half noted for the public road to double
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata={**told, **merged})


def job_about(graph: dg.GraphDefinition, assets: Sequence[dg.AssetKey], **options: Any) -> dg.JobDefinition:
    """Return the graph as a job that the UI names, with its schedules and sensors, on the pages of these assets.

    The job launches the runs that make them and holds none itself: a job's assets share one partitions definition. The
    UI takes it for a job of assets: it has no launchpad there, and no partitions to pick.
    """
    try:
        # what Dagster says of jobs of other systems: these assets, nothing of how they are made
        layer = dg.JobDefinition.for_external_job(assets, name=graph.name).asset_layer
        return dg.JobDefinition(graph_def=graph, asset_layer=layer, **options)
    except (AttributeError, TypeError) as moved:
        _say("assets do not name the jobs that make them", str(moved))
        return dg.JobDefinition(graph_def=graph, **options)


def drawn_up_once(job: dg.JobDefinition) -> dg.JobDefinition:
    """Return the job; ``execute_in_process`` draws up each choice of its assets once, however many runs make it.

    Stock, every run copies the whole graph, takes the choice out of it twice and hashes all three: a third of what a
    run of a few small tables costs.
    """
    try:
        ephemeral, remembered = job.as_ephemeral_job(resource_defs={}, input_values={}), copy(job)
    except (AttributeError, TypeError) as moved:
        _say("every run draws up the whole graph", str(moved))
        return job

    stock = job.as_ephemeral_job

    @cache
    def part(assets: frozenset[dg.AssetKey]) -> dg.JobDefinition:
        chosen = ephemeral.get_subset(asset_selection=assets)
        cut, itself = chosen.get_subset, {"asset_selection": assets, "op_selection": None}
        # the run asks the part for the part that it is
        vars(chosen)["get_subset"] = lambda **told: chosen if told == itself else cut(**told)
        return chosen

    def chosen_part(**asked: Any) -> dg.JobDefinition:
        assets = asked.pop("asset_selection", None)
        return part(frozenset(assets)) if assets and not any(asked.values()) else stock(asset_selection=assets, **asked)

    vars(remembered)["as_ephemeral_job"] = chosen_part
    return remembered


def kept_text(instance: dg.DagsterInstance, key: str) -> str | None:
    """Return the text kept beside the instance under a key; None when there is none."""
    try:
        return instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    except AttributeError as moved:
        _say("what waits for money is kept in a file", str(moved))
        file = _file(instance, key)
        return file.read_text(encoding="utf-8") if file.exists() else None


def keep_text(instance: dg.DagsterInstance, key: str, text: str) -> None:
    """Keep a text beside the instance, where command line, daemon and UI find the same one."""
    try:
        instance.daemon_cursor_storage.set_cursor_values({key: text})
    except AttributeError as moved:
        _say("what waits for money is kept in a file", str(moved))
        _file(instance, key).write_text(text, encoding="utf-8")


@contextmanager
def listening(instance: dg.DagsterInstance, run_id: str, heard: Callable[[dg.DagsterEvent], None]) -> Iterator[None]:
    """Have ``heard`` called with every event of a run as it is stored; where Dagster tells nobody, it hears none."""

    def told(entry: dg.EventLogEntry) -> None:
        if entry.dagster_event:
            heard(entry.dagster_event)

    try:
        instance.add_event_listener(run_id, told)
    except AttributeError as moved:
        _say("progress is told by the run", str(moved))
    yield
    with suppress(AttributeError):
        instance._subscribers.pop(run_id, None)  # it keeps a listener for as long as the process lives


def _file(instance: dg.DagsterInstance, key: str) -> Path:
    folder = Path(instance.storage_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key.replace('/', '_')}.txt"


@cache
def _say(instead: str, moved: str) -> None:
    """Warn once a process what is done in another way, and why."""
    warnings.warn(f"Dagster {dg.__version__} has moved what stood there ({moved}): {instead}. {REMEDY}", stacklevel=3)

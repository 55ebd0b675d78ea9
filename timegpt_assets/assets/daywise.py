"""Assets that are made a day at a time, each day from its own window of what it reads: what is held is a day's, not the
run's.

Belongs here: the walk over the days of a run. What a day is made of is said by each asset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import (
    LazyPartitions,
    Partitions,
    PartitionStream,
    missing_partition,
)
from timegpt_assets.assets.declare import note_rows
from timegpt_assets.partitions import days_of

Window = tuple[int, int]
OWN: Window = (0, 0)


@dataclass(frozen=True)
class Made:
    """Rows of one day, and what a person should know of them."""

    frame: pl.DataFrame
    notes: Mapping[str, Any] = field(default_factory=dict)


def utc_shifted(day: date, days: int) -> date:
    """Return the UTC day so many days after one (negative: before)."""
    return day + timedelta(days=days)


def day_by_day(
    context: dg.AssetExecutionContext,
    made: Callable[..., Made],
    layers: Mapping[str, LazyPartitions],
    *,
    shifted: Callable[[date, int], date],
    windows: Mapping[str, Window] = MappingProxyType({}),
) -> PartitionStream:
    """Return what is ``made`` of each day of the run and, in their order, of the layers' rows in the day's windows.

    ``layers``: group/name -> what is read; ``windows``: which days around the day itself, that alone where none is
    said. ``shifted`` counts days. Raises MissingPartition where a layer whose window holds the day has nothing of it.
    """
    asked = list(context.partition_keys)
    spans = {name: windows.get(name, OWN) for name in layers}
    for name, layer in layers.items():
        # an input with a window says missing is ok for what lies before the grid; for the run's own days it never is
        own = days_of(asked) if spans[name][1] == 0 else []
        if absent := [(str(day), None) for day in own if str(day) not in layer.facts]:
            raise missing_partition(name, absent)

    def parts() -> Iterator[tuple[Sequence[str], Partitions]]:
        for day in days_of(asked):
            read = (layers[n].of([shifted(day, by) for by in range(a, b + 1)]) for n, (a, b) in spans.items())
            found = made(day, *read)
            keys = [key for key in asked if key[:10] == str(day)]
            note_rows(context, found.frame, {n: dict.fromkeys(keys, said) for n, said in found.notes.items()}, of=keys)
            yield [str(day)], Partitions(found.frame)

    return PartitionStream(parts())

"""The files of a sweep: each whole or not there, and none of an earlier sweep lost.

Belongs here: what they are called and what stands in them. A combination's file gathers what every sweep found; a
ranking and its pictures lie in a folder named for all that is in it.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.core.tables.columns import ORIGIN_KEY
from timegpt_assets.core.tables.research import SCORES
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures import sweep as pictures
from timegpt_assets.reports.run_files import File

FOLDER = "eval/grid"
MEASURED = (*ORIGIN_KEY, "cost_multiplier", "first_day", "last_day")
"""What a combination's figures are of: the same again takes the place of what it was."""


def drawn(scores: pl.DataFrame, across: Sequence[str]) -> dict[str, bytes]:
    """Return each forecaster's picture of the ranking."""
    everyone = sorted(scores["forecaster"].unique())
    return {who: render.png(pictures.plateau(scores.filter(forecaster=who), across=across)) for who in everyone}


def written(
    artifacts: ObjectStore, scores: pl.DataFrame, shown: Mapping[str, bytes], *, grid: str, across: Sequence[str]
) -> dict[str, Any]:
    """Write a csv file for each combination, then the pictures and the ranking, and return where the latter lie."""
    for name, rows in _combinations(scores):
        _gather(artifacts, f"{FOLDER}/{name}/bt_summary.csv", rows)
    folder = f"{FOLDER}/sweeps/{sweep_name(scores, grid)}"
    places = {who: put(artifacts, f"{folder}/{_picture(who, across)}", data) for who, data in shown.items()}
    # last: whoever reads the ranking finds the files of all it names
    return {"ranking": put(artifacts, f"{folder}/ranking.csv", _csv(scores)), "pictures": places}


def of_run(scores: pl.DataFrame, shown: Mapping[str, bytes], across: Sequence[str]) -> Iterator[File]:
    """Yield the files of a run that is this sweep: what this one found, and nothing of earlier ones."""
    for name, rows in _combinations(scores):
        yield File(f"{FOLDER}/{name}/bt_summary.csv", _csv(rows), rows.height)
    for who, picture in shown.items():
        yield File(f"{FOLDER}/{_picture(who, across)}", picture, 0)
    yield File(f"{FOLDER}/ranking.csv", _csv(scores), scores.height)


def _combinations(scores: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return [(str(name), rows) for (name,), rows in sorted(scores.partition_by("combination", as_dict=True).items())]


def _picture(who: str, across: Sequence[str]) -> str:
    return f"{'_'.join(['plateau', who, *across])}.png"


def sweep_name(scores: pl.DataFrame, grid: str) -> str:
    """Return the grid's name, the first and last session, and a digest of the whole ranking."""
    first, last = scores.select(pl.col("first_day").min(), pl.col("last_day").max()).row(0)
    digest = hashlib.sha256(_csv(scores)).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9-]', '-', grid)}_{first}_{last}_{digest}"


def _gather(artifacts: ObjectStore, name: str, rows: pl.DataFrame) -> None:
    """Add a combination's rows to those of earlier sweeps: figures of other sessions or forecasters stay."""

    def change(current: Current) -> bytes:
        file = current()
        known = rows.clear() if file is None else pl.read_csv(file.read(), schema_overrides=dict(rows.schema))
        kept = known.join(rows, on=list(MEASURED), how="anti", nulls_equal=True)
        # a file of an earlier version has not all columns: what nobody measured then stays empty
        return _csv(pl.concat([kept, rows], how="diagonal").sort(*MEASURED))

    artifacts.update(name, change)


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.select(*SCORES).write_csv().encode()


def put(artifacts: ObjectStore, name: str, data: bytes) -> str:
    """Store the bytes, whole or not at all, and return where they lie."""
    artifacts.update(name, lambda _: data)
    return artifacts.shown(name)

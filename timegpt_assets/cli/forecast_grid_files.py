"""The files of a forecast grid: settings of each combination, its figures, the plan and the scoreboard.

Belongs here: what they are called and what becomes of what lies there. Each grid has a folder of its own; plan.csv and
scoreboard.csv in the usual places are copies of those of the grid that was asked for last.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
import polars as pl

from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_files import StoreError

FOLDER = "eval/grid/forecast_grid"
PLAN, BOARD, PICTURE = f"{FOLDER}/plan.csv", "eval/grid/scoreboard.csv", "eval/grid/scoreboard.png"
COPIES = {PLAN: "plan.csv", BOARD: "scoreboard.csv", PICTURE: "scoreboard.png"}
"""Where a grid's file is looked for -> what it is called in the grid's own folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFiles:
    """The files of one grid over some sessions; ``names`` are its combinations'."""

    artifacts: ObjectStore
    grid: str
    days: Sequence[date]
    names: Sequence[str]

    @property
    def folder(self) -> str:
        """Return the grid's own folder: its name, first and last session, and a digest of all it holds."""
        said = orjson.dumps([[str(day) for day in self.days], list(self.names)])
        name = re.sub(r"[^A-Za-z0-9-]", "-", self.grid)
        return f"{FOLDER}/grids/{name}_{self.days[0]}_{self.days[-1]}_{hashlib.sha256(said).hexdigest()[:8]}"

    def figures(self, name: str, made_under: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the figures of a combination over these sessions, None where they were not made under this."""
        place = self._figures(name, made_under)
        found = self.artifacts.read(place)
        if found is None:
            return None
        try:
            said = orjson.loads(found.data)
            return {"payload": str(said["payload"]), "rows": list(said["rows"])}
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            where = self.artifacts.shown(place)
            raise StoreError(
                f"{where} holds no figures, or was edited. Delete it: they are made again for nothing."
            ) from error

    def keep_figures(self, name: str, made_under: Mapping[str, str], payload: str, rows: pl.DataFrame) -> None:
        """Store the figures of a combination; those made under anything else stay beside them."""
        said = {"made_under": dict(made_under), "payload": payload, "rows": rows.to_dicts()}
        data = orjson.dumps(said, option=orjson.OPT_INDENT_2)
        self.artifacts.update(self._figures(name, made_under), lambda _: data)

    def _figures(self, name: str, made_under: Mapping[str, str]) -> str:
        said = orjson.dumps([[str(day) for day in self.days], dict(made_under)], option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(said).hexdigest()[:8]
        return f"{FOLDER}/{name}/figures/{self.days[0]}_{self.days[-1]}_{digest}.json"

    def publish(self, plan: pl.DataFrame, board: pl.DataFrame | None, picture: bytes | None) -> dict[str, str]:
        """Store plan, scoreboard and picture in the grid's folder and in the usual places; return where they lie.

        Without a score the scoreboard and its picture are taken away. What somebody else put in a usual place, or
        changed there, is moved aside.
        """
        ranked = None if board is None else board.write_csv().encode()
        new = {PLAN: plan.write_csv().encode(), BOARD: ranked, PICTURE: picture}
        for usual, name in COPIES.items():
            self._set_aside(usual, name)
            for place in (f"{self.folder}/{name}", usual):
                self._put(place, new[usual])
        return {name: self.artifacts.shown(usual) for usual, name in COPIES.items() if new[usual] is not None}

    def published(self) -> dict[str, bytes]:
        """Return plan, scoreboard and picture as the grid's own folder holds them, under the usual names."""
        read = {usual: self.artifacts.read(f"{self.folder}/{name}") for usual, name in COPIES.items()}
        return {usual: found.data for usual, found in read.items() if found is not None}

    def keep_plan(self, plan: pl.DataFrame) -> None:
        """Store the plan in the grid's folder alone, as far as it has come."""
        self._put(f"{self.folder}/{COPIES[PLAN]}", plan.write_csv().encode())

    def _put(self, place: str, data: bytes | None) -> None:
        if data is None:
            self.artifacts.delete(place)
        else:
            self.artifacts.update(place, lambda _: data)

    def _set_aside(self, usual: str, name: str) -> None:
        """Move what lies in a usual place aside unless it is a copy of a grid's own."""
        found = self.artifacts.read(usual)
        if found is None:
            return
        kept = (place for place, _ in self.artifacts.names(f"{FOLDER}/grids/") if place.endswith(f"/{name}"))
        if not any((own := self.artifacts.read(place)) and own.data == found.data for place in kept):
            stem, _, ending = usual.rpartition(".")
            self.artifacts.move(usual, f"{stem}.{hashlib.sha256(found.data).hexdigest()[:8]}.{ending}")

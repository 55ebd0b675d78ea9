"""The files of a sweep: each whole or not there, the ranking last. The verb itself is walked in test_app.py."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import Bytes, Current, LocalStore
from timegpt_assets.cli.sweeping import FOLDER, _written
from timegpt_assets.core.tables.research import SCORES
from timegpt_assets_tests.reports.pictures import test_sweep as drawn


class Killed(BaseException):
    """Stands for the end of the process."""


class Dying(LocalStore):
    """A folder whose writer is killed at its fourth file, half of it written."""

    def update(self, name: str, change: Callable[[Current], Bytes]) -> None:
        """Write like any other, three times."""
        if len(list(self.names())) == 3:
            super().update(name, lambda current: self._half(change(current)))
        super().update(name, change)

    def _half(self, data: Bytes) -> Bytes:
        raise Killed


def test_a_kill_between_files_leaves_whole_files_and_no_ranking_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _written(Dying(tmp_path), drawn.scores(), ())
    there = [name for name, _ in LocalStore(tmp_path).names()]
    assert len(there) == 3
    assert all(pl.read_csv(tmp_path / name).columns == list(SCORES) for name in there)
    _written(LocalStore(tmp_path), drawn.scores(), ())
    names = set(pl.read_csv(tmp_path / FOLDER / "ranking.csv")["combination"])
    assert {path.parent.name for path in (tmp_path / FOLDER).glob("*/bt_summary.csv")} == names
    assert len(names) == 12
    assert list((tmp_path / FOLDER).rglob(".*")) == []

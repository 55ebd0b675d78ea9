"""The files of a forecast grid: the usual places speak of the last grid, no other's and no person's is lost.

The verb itself is walked in test_forecast_grid.py.
"""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.cli.forecast_grid_files import BOARD, FOLDER, PICTURE, PLAN, GridFiles

DAYS = (date(2025, 1, 30), date(2025, 1, 31))
UNDER = {"code_version": "1", "data_version": "a"}


def files(folder: Path, **other: Any) -> GridFiles:
    said: dict[str, Any] = {"artifacts": LocalStore(folder), "grid": "my grid/1", "days": DAYS, "names": ["a", "b"]}
    return GridFiles(**(said | other))


def there(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name, _ in LocalStore(folder).names()}


def plan(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"combination": names})


def test_the_usual_places_hold_the_last_grid_and_each_grid_keeps_its_own(tmp_path: Path) -> None:
    first, second = files(tmp_path), files(tmp_path, names=["c"])
    found = first.publish(plan("a", "b"), plan("b"), b"picture")
    assert found == {name: str(tmp_path / place) for name, place in
                     (("plan.csv", PLAN), ("scoreboard.csv", BOARD), ("scoreboard.png", PICTURE))}  # fmt: skip
    own = there(tmp_path)
    second.publish(plan("c"), plan("c"), b"another")
    assert {name: data for name, data in there(tmp_path).items() if name in own and "grids" in name} == {
        name: data for name, data in own.items() if "grids" in name
    }
    assert (tmp_path / PLAN).read_text() == "combination\nc\n"
    assert len(list((tmp_path / FOLDER / "grids").iterdir())) == 2
    assert not list((tmp_path / "eval/grid").glob("scoreboard.*.*")), "a copy is no person's file"


def test_without_a_score_the_scoreboard_goes_and_that_of_another_grid_stays_with_it(tmp_path: Path) -> None:
    files(tmp_path).publish(plan("a"), plan("a"), b"picture")
    found = files(tmp_path, names=["c"]).publish(plan("c"), None, None)
    assert list(found) == ["plan.csv"]
    assert not (tmp_path / BOARD).exists()
    assert not (tmp_path / PICTURE).exists()
    (kept,) = (tmp_path / FOLDER / "grids").glob("*/scoreboard.csv")
    assert kept.read_text() == "combination\na\n"


def test_what_a_person_put_there_or_changed_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "eval/grid").mkdir(parents=True)
    (tmp_path / BOARD).write_text("mine")
    files(tmp_path).publish(plan("a"), None, None)
    assert not (tmp_path / BOARD).exists()
    assert [path.read_text() for path in (tmp_path / "eval/grid").glob("scoreboard.*.csv")] == ["mine"]
    (tmp_path / PLAN).write_text((tmp_path / PLAN).read_text() + "with a note\n")
    files(tmp_path).publish(plan("a"), None, None)
    (aside,) = (tmp_path / FOLDER).glob("plan.*.csv")
    assert aside.read_text() == "combination\na\nwith a note\n"


def test_figures_are_those_of_the_sessions_the_code_and_the_bars(tmp_path: Path) -> None:
    kept = files(tmp_path)
    rows = pl.DataFrame({"sharpe_daily": [1.5, None]})
    kept.keep_figures("a", UNDER, "digest", rows)
    assert kept.figures("a", UNDER) == {"payload": "digest", "rows": rows.to_dicts()}
    assert kept.figures("a", UNDER | {"data_version": "b"}) is None
    assert kept.figures("b", UNDER) is None
    assert files(tmp_path, days=DAYS[:1]).figures("a", UNDER) is None
    kept.keep_figures("a", UNDER | {"code_version": "2"}, "other", rows)
    assert kept.figures("a", UNDER) == {"payload": "digest", "rows": rows.to_dicts()}
    for file in (tmp_path / FOLDER / "a" / "figures").iterdir():
        file.write_text("{}")
    with pytest.raises(StoreError, match=r"holds no figures, or was edited. Delete it"):
        kept.figures("a", UNDER)

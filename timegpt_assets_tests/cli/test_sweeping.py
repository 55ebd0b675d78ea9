"""The files of a sweep: each whole or not there, the ranking last, none of an earlier sweep lost.

The verb itself is walked in test_app.py.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import Bytes, Current, LocalStore
from timegpt_assets.assets import research
from timegpt_assets.cli import sweep_files, sweeping
from timegpt_assets.cli.sweep_files import FOLDER, written
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.tables.research import SCORES
from timegpt_assets_tests.core.research import test_trading_grid
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


def write(store: LocalStore, scores: pl.DataFrame | None = None, **changes: Any) -> dict[str, Any]:
    said, ranked = {"grid": "mine", "across": ()} | changes, drawn.scores() if scores is None else scores
    return written(store, ranked, sweep_files.drawn(ranked, said["across"]), **said)


def test_a_kill_between_files_leaves_whole_files_and_no_ranking_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        write(Dying(tmp_path))
    there = [name for name, _ in LocalStore(tmp_path).names()]
    assert len(there) == 3
    assert all(pl.read_csv(tmp_path / name).columns == list(SCORES) for name in there)
    write(LocalStore(tmp_path))
    (ranking,) = (tmp_path / FOLDER).glob("sweeps/*/ranking.csv")
    names = set(pl.read_csv(ranking)["combination"])
    assert {path.parent.name for path in (tmp_path / FOLDER).glob("*/bt_summary.csv")} == names
    assert len(names) == 12
    assert list((tmp_path / FOLDER).rglob(".*")) == []


def test_a_sweep_takes_nothing_of_an_earlier_one_away_and_the_same_again_adds_nothing(tmp_path: Path) -> None:
    store, first = LocalStore(tmp_path), drawn.scores()
    later = first.with_columns(pl.col("first_day", "last_day") + timedelta(days=40), net_pnl=pl.col("net_pnl") + 7.0)
    worst = first.filter(pl.col("rank") == pl.col("rank").max())["combination"][0]
    fewer = first.filter(pl.col("combination") != worst)
    found = [write(store), write(store, later), write(store, fewer), write(store, grid="my grid/2")]
    found.append(write(store, across=("k_sigma", "s_stop")))
    kept = {name: (tmp_path / name).read_bytes() for name, _ in store.names()}
    assert len({one["ranking"] for one in found}) == 4, "the last one has other pictures of the first one's ranking"
    assert len({place for one in found for place in one["pictures"].values()}) == 5 * first["forecaster"].n_unique()
    assert (tmp_path / FOLDER).resolve() in Path(found[3]["ranking"]).resolve().parents
    for one, scores in zip(found, (first, later, fewer), strict=False):
        assert Path(one["ranking"]).read_bytes() == scores.write_csv().encode()
    name = first["combination"][0]
    gathered = pl.read_csv(tmp_path / FOLDER / name / "bt_summary.csv", try_parse_dates=True)
    assert sorted(gathered["net_pnl"]) == sorted([*later.filter(combination=name)["net_pnl"],
                                                  *first.filter(combination=name)["net_pnl"]])  # fmt: skip
    write(store)
    assert {name: (tmp_path / name).read_bytes() for name, _ in store.names()} == kept


def test_figures_of_the_same_sessions_take_the_place_of_what_they_were(tmp_path: Path) -> None:
    store, first = LocalStore(tmp_path), drawn.scores()
    write(store)
    write(store, first.with_columns(net_pnl=pl.col("net_pnl") + 7.0))
    name = first["combination"][0]
    gathered = pl.read_csv(tmp_path / FOLDER / name / "bt_summary.csv")
    assert sorted(gathered["net_pnl"]) == pytest.approx(sorted(first.filter(combination=name)["net_pnl"] + 7.0))


def test_a_summary_of_an_earlier_version_keeps_its_rows_though_it_lacks_a_column(tmp_path: Path) -> None:
    store, first = LocalStore(tmp_path), drawn.scores()
    name = first["combination"][0]
    earlier = first.filter(combination=name).with_columns(pl.col("first_day", "last_day") - timedelta(days=40))
    store.update(f"{FOLDER}/{name}/bt_summary.csv", lambda _: earlier.drop("turnover").write_csv().encode())
    write(store)
    gathered = pl.read_csv(tmp_path / FOLDER / name / "bt_summary.csv", try_parse_dates=True)
    assert gathered.columns == first.columns
    kept = gathered.filter(pl.col("last_day") < first["first_day"].min())
    assert kept.select("net_pnl", "turnover").rows() == [(net, None) for net in earlier["net_pnl"]]


def test_the_table_of_a_sweep_says_every_figure_whole_in_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    scores = drawn.scores().with_columns(combination=pl.lit("c0d70e5aa0dff031"), max_drawdown=pl.lit(0.1234))
    out = Terminal()
    with out.capture() as captured:
        out.print(sweeping._table("ridge", scores.with_columns(net_pnl=pl.lit(-123_456.0))))
    printed = captured.get()
    assert "…" not in printed
    for figure in ("c0d70e5aa0dff031", "12.34%", "-123,456", "k_sigma 0.75", "67% hit", "s_trail 1.0"):
        assert figure in printed, figure


def test_what_combinations_share_is_not_counted_once_for_each() -> None:
    grid = test_trading_grid.grid_of({"k_sigma": tuple(float(v) for v in range(100))})
    found = research.pace(grid, lambda some: time.sleep(0.1 + 0.002 * len(some)))
    assert found.shared == pytest.approx(0.1, rel=0.4)
    assert found.each < 0.006
    assert found.of(5).seconds(100) == pytest.approx(5 * (found.shared + 100 * found.each))
    alone = research.pace(test_trading_grid.grid_of({"k_sigma": (1.0,)}), lambda some: time.sleep(0.01 * len(some)))
    assert alone.shared == 0.0

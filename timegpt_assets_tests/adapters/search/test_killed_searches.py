"""Killed at any moment, a search goes on from where it was: no trial is lost, none made twice, and none is another."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from timegpt_assets.core.research.objective import Daily
from timegpt_assets.core.research.search import Material
from timegpt_assets.core.research.trading_grid import Combination
from timegpt_assets_tests.adapters.crashes import ended, killed
from timegpt_assets_tests.adapters.search.searches import NAME, PLAN, lines, nursery, searched

KILLS = 50
LONGEST_SEC = 1.2


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.whole)])
def test_a_search_that_is_killed_over_and_over_loses_no_trial_and_makes_none_twice(
    repetitions: Callable[[int], int], tmp_path: Path, processes: int
) -> None:
    """As many kills as are asked for, over as many studies as that takes; each is then gone through to its end."""
    asked, found, random_ = repetitions(KILLS), 0, random.Random(processes)
    with nursery() as searches:
        for study in range(100):
            if found >= asked:
                break
            # the same study in a folder of its own, and each time killed at other moments
            folder, out = tmp_path / f"killed-{study}", tmp_path / "out"
            while found < asked:
                out.unlink(missing_ok=True)
                pid = searches.start(folder, NAME, out, processes=processes)
                time.sleep(random_.uniform(0.05, LONGEST_SEC))
                if out.exists() or not killed([pid]):
                    break
                found += 1
            out.unlink(missing_ok=True)
            pid = searches.start(folder, NAME, out, processes=processes)
            assert ended(pid, within_sec=120)
            assert out.read_text() == "over"
            whole = tmp_path / "whole"
            if study == 0:
                searched(whole)
            mine, others = (sorted(lines(place), key=lambda one: one["number"]) for place in (folder, whole))
            assert [one["number"] for one in mine] == list(range(PLAN.trials)), "lost or repeated"
            assert mine == others, "a killed search asks for the very trials of one that was not"
            kept = searched(folder)
            assert [trial.as_json() for trial in kept] == mine, "the storage says what the lines say"
    assert found >= asked


def test_what_a_search_tries_was_recorded_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is swept that was not counted: whoever dies over what he sees has tried it all the same."""
    seen: list[str] = []
    swept = Material.swept

    def sweeping(self: Material, combinations: Sequence[Combination]) -> Daily:
        assert {one.name for one in combinations} <= {*seen}
        return swept(self, combinations)

    monkeypatch.setattr(Material, "swept", sweeping)
    searched(tmp_path, record=seen.extend)
    again: list[str] = []
    searched(tmp_path, record=again.extend)
    assert again == [], "what is kept is not tried again"
    assert len({*seen}) == sum(one["tried"] for one in _first_ones(tmp_path))


def _first_ones(folder: Path) -> list[dict[str, int]]:
    chosen = {str(sorted(one["outer"].items())): one for one in lines(folder)}
    return list(chosen.values())

"""The rollout of bands over simulated days: a canary whose precision falls is rolled back by itself, else it stays.

Tables are made by hand; what reads, judges, records and assigns them is what runs.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.adapters.storage.rollout_record import TSFM_NAME
from timegpt_assets.automation.tsfm_rollout import judge_tsfm_rollout
from timegpt_assets.core.rollout.advancing import Unproven
from timegpt_assets.core.rollout.phases import CANARY, SHADOW, RolloutRefused
from timegpt_assets.core.tsfm.assignment import assigned
from timegpt_assets.core.tsfm.precision import OUTCOMES
from timegpt_assets.core.tsfm.rollout import begins, share_at
from timegpt_assets.engine.tsfm_rollout import TsfmRollout
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.core.tsfm.band_rows import band, bands
from timegpt_assets_tests.core.tsfm.market_rows import NOON
from timegpt_assets_tests.rollouts import settings

MARKETS = [f"m{i}" for i in range(60)]
FIRST = NOON.date()


@dataclass
class House:
    """A storage root at some time, whose markets all break both bands once a day."""

    folder: Path
    now: datetime = datetime.combine(FIRST, time(), UTC) - timedelta(hours=1)

    @property
    def runtime(self) -> Runtime:
        return Runtime(settings=settings(()), root=self.folder, environment={}, clock=lambda: self.now)

    @property
    def rollout(self) -> TsfmRollout:
        return TsfmRollout(runtime=self.runtime)

    def finish(self, day: date, *, true: float) -> None:
        """Store a day on which the baseline's breaches all move on, the model's a share, and end it."""
        of_noon = (day - FIRST).days * 1440.0
        bands_of, came = [], []
        for i, name in enumerate(MARKETS):
            for part in range(4):
                minutes, own = of_noon + 5 * part, part % 2 == 0
                tops = {"adjusted_upper": 0.6 if own else 0.9, "baseline_upper": 0.9 if own else 0.6}
                row = band(name, minutes=minutes, **tops)
                bands_of.append(row)
                moved = 0.05 if not own or i % 10 < true * 10 else 0.0
                came.append((day, name, row["as_of"], 1, row["target_ts"], 0.7, moved, 0.0))
        store = self.rollout.store
        store.write("tsfm/bands", day, bands(*bands_of), facts={"*": {}})
        store.write("tsfm/tsfm_outcomes", day, pl.DataFrame(came, OUTCOMES, orient="row"), facts={"*": {}})
        self.now = datetime.combine(day, time(), UTC) + timedelta(days=1, minutes=30)

    def tick(self, cursor: str = "") -> tuple[str, str]:
        """Evaluate the sensor as the daemon does; return what it says and its cursor."""
        context = dg.build_sensor_context(cursor=cursor or None)
        said = judge_tsfm_rollout(self.runtime)(context)
        assert isinstance(said, dg.SkipReason)
        return str(said.skip_message), str(context.cursor or "")


def later(days: int) -> date:
    return FIRST + timedelta(days=days)


@pytest.fixture
def canary(tmp_path: Path) -> House:
    """Return a house that was in shadow for three days, and whose canary begins with the fourth."""
    house = House(tmp_path / "house")
    house.rollout.start(who="me", why="")
    for i in range(3):
        with pytest.raises(Unproven, match=f"{i} finished days in the phase, 3 asked"):
            house.rollout.advance(who="me", why="")
        house.finish(later(i), true=1.0)
    house.rollout.advance(who="me", why="")
    return house


def test_a_canary_whose_precision_falls_is_rolled_back_by_itself(canary: House) -> None:
    cursor, told = "", []
    for day in (later(4), later(5), later(6)):
        canary.finish(day, true=0.5)
        said, cursor = canary.tick(cursor)
        told.append(said)
    standing = canary.rollout.standing()
    assert standing is not None
    assert (standing.phase, standing.share) == (SHADOW, 0)
    assert sum("taken back" in said for said in told) == 1
    entry = canary.rollout.record.entries()[-1]
    assert (entry["what"], entry["who"]) == ("rollback", "sensor judge_tsfm_rollout")
    assert entry["evidence"]["fired"] is True
    assert entry["evidence"]["markets"] == len(assigned(MARKETS, 10))
    assert entry["evidence"]["tsfm"]["followed"] < entry["evidence"]["baseline"]["followed"]
    recorded = canary.rollout.record.recorded()
    assert [share_at(recorded, begins(later(i))) for i in (0, 3, 4)] == [0, 0, 10]
    taken_back = datetime.fromisoformat(entry["time"])
    assert share_at(recorded, taken_back - timedelta(minutes=1)) == 10
    assert share_at(recorded, taken_back) == 0, "the day that has begun is not waited for"


def test_one_that_holds_stays_and_may_go_on(canary: House) -> None:
    cursor = ""
    for day in (later(4), later(5), later(6)):
        canary.finish(day, true=1.0)
        said, cursor = canary.tick(cursor)
        assert "Precision holds" in said
    standing = canary.rollout.standing()
    assert standing is not None
    assert standing.phase == CANARY
    assert canary.rollout.advance(who="me", why="")["share"] == 50
    assert canary.tick(cursor)[0].startswith("0 days judged")


def test_a_person_takes_it_back_and_from_shadow_nobody(canary: House) -> None:
    standing = canary.rollout.standing()
    assert standing is not None
    canary.rollout.roll_back(standing, who="me", why="a doubt", evidence={})
    assert canary.rollout.record.entries()[-1]["why"] == "a doubt"
    back = canary.rollout.standing()
    assert back is not None
    with pytest.raises(RolloutRefused, match="in shadow"):
        canary.rollout.roll_back(back, who="me", why="again", evidence={})
    with pytest.raises(RolloutRefused, match="moved to shadow"):
        canary.rollout.roll_back(standing, who="me", why="of two at once the second", evidence={})
    assert (canary.folder / canary.runtime.settings.data.storage_root / TSFM_NAME).exists()

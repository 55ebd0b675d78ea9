"""Which band a market is used by is what the rollout's record says of the moment, as in the cycle."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.rollout_record import TSFM_NAME, RolloutRecord
from timegpt_assets.core.tsfm.assignment import TSFM, is_assigned
from timegpt_assets.serving.tsfm.shares import LOOKED_EVERY_S, Shares

DAY = date(2026, 2, 20)
MARKETS = [f"m{number}" for number in range(200)]


def moment(day: date, hour: int = 6) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


class House:
    """A record, who reads it, and a clock."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing recorded."""
        self.now, self.record = 0.0, RolloutRecord(LocalStore(root), TSFM_NAME)
        self.shares = Shares(self.record, "tsfm_conformal", lambda: self.now)

    def step(self, what: str, phase: str, share: int, day: date) -> None:
        """Record a step at noon of a day, and let the next look come."""
        self.record.add(what, forecaster=TSFM, phase=phase, share=share, who="me", why="so", evidence={},
                        allowed=lambda known: None, clock=lambda: moment(day, 12))  # fmt: skip
        self.now += LOOKED_EVERY_S

    def assigned(self, day: date, hour: int = 6) -> list[str]:
        """Return the markets that are used by the model's band, in the morning or at another hour."""
        return [one for one in MARKETS if self.shares(one, moment(day, hour)).source == "tsfm_conformal"]


def test_nobody_is_used_by_the_model_s_band_before_a_rollout_and_in_shadow(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert house.assigned(DAY) == []
    house.step("start", "shadow", 0, DAY)
    assert house.assigned(DAY + timedelta(days=1)) == []


def test_a_share_holds_from_the_next_day_on_and_is_taken_back_at_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.step("start", "shadow", 0, DAY - timedelta(days=9))
    house.step("advance", "canary", 10, DAY)
    assert house.assigned(DAY) == house.assigned(DAY, 23) == [], "it was recorded at noon"
    later = DAY + timedelta(days=1)
    assert house.assigned(later) == [one for one in MARKETS if is_assigned(one, 10)] != []
    house.step("rollback", "shadow", 0, later)
    assert house.assigned(later, 11) != []
    assert house.assigned(later, 12) == house.assigned(later, 23) == []
    house.step("advance", "full", 100, later)
    assert house.assigned(later, 23) == [], "forward again from the next day on, as ever"
    assert len(house.assigned(later + timedelta(days=1))) == len(MARKETS)


def test_a_record_that_cannot_be_read_leaves_what_was_read_and_is_said(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.step("start", "shadow", 0, DAY)
    house.step("advance", "full", 100, DAY)
    assert len(house.assigned(DAY + timedelta(days=1))) == 200
    (tmp_path / TSFM_NAME).write_text("torn")
    assert house.shares("m1", moment(DAY + timedelta(days=1))).warnings == (), "it was looked at a moment ago"
    house.now += LOOKED_EVERY_S
    found = house.shares("m1", moment(DAY + timedelta(days=1)))
    assert (found.source, found.warnings) == ("tsfm_conformal", ("rollout_unreadable: RecordBroken",))
    blind = Shares(house.record, "tsfm_conformal", lambda: 0.0)("m1", moment(DAY + timedelta(days=1)))
    assert (blind.source, blind.warnings) == ("baseline", ("rollout_unreadable: RecordBroken",))


@pytest.mark.parametrize("source", ["tsfm_raw", "baseline"])
def test_the_band_is_the_one_that_is_set(tmp_path: Path, source: str) -> None:
    house = House(tmp_path)
    house.step("start", "full", 100, DAY)
    assert Shares(house.record, source, lambda: 0.0)("m1", moment(DAY + timedelta(days=1))).source == source  # type: ignore[arg-type]

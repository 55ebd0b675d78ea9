"""A canary over the real graph: a good model comes into use, gets bad, and is taken back by itself.

Prices are made so that every market jumps twice in the early hours and climbs on, and flutters for the rest of the day:
a band that is wide enough is left by the jumps alone, a narrow one by the flutter, too, which leads nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.automation.tsfm_rollout import judge_tsfm_rollout
from timegpt_assets.core.rollout.phases import CANARY, SHADOW
from timegpt_assets.core.tsfm.assignment import BASELINE, CONFORMAL, assigned
from timegpt_assets.engine.tsfm import utc_rectangle
from timegpt_assets.engine.tsfm_rollout import TsfmRollout
from timegpt_assets_tests import roads
from timegpt_assets_tests.roads import Road
from timegpt_assets_tests.servers.tollama import TollamaServer

pytestmark = pytest.mark.whole  # five days of the whole graph: twenty seconds

FIRST = date(2025, 11, 2)
GOOD, BAD = 0.22, 0.02
"""Distance of the model's quantiles in logits: .05 of a price near the middle, and less than a flutter."""
MARKETS = [f"m{number}" for number in range(8)]
SHARE = 40
SMALL = (
    *("tsfm.cycle_min=60", "tsfm.conformal.min_samples=20", "tsfm.conformal.rolling_window_days=1"),
    *(
        "tsfm.series.horizon_steps=3",
        "tsfm.model.model_name=mock",
        "tsfm.tollama.batch_timeout_s=60",
        "tsfm.fallback.order=[EWMA]",
    ),
    *(f"tsfm.rollout.canary={SHARE}", "tsfm.rollout.ramp=60", "tsfm.rollout.min_days=1", "tsfm.rollout.min_breaches=5"),
)


TAKEN_BACK = datetime.combine(FIRST + timedelta(days=3), time(0, 30), UTC)
"""When the sensor looks at the day that was bad."""


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def price(number: int, minutes: int) -> float:
    """Return the price of a market so many minutes after midnight."""
    early, jumps = minutes < 20 * 60, ((65, 0.07), (90, 0.04), (185, 0.07), (210, 0.04))
    level = 0.3 + sum(by for since, by in jumps if early and minutes >= since)
    step = minutes // 5
    return round(level + (step % 2) * (0.012, 0.015)[(step + number) // 2 % 2], 4)


def written(folder: Path) -> tuple[str, ...]:
    """Write every market's prices of five days and the one before; return the settings that replay them."""
    folder.mkdir()
    begins = datetime.combine(day(-1), time(), UTC)
    rows = [
        (name, begins + timedelta(days=days, minutes=5 * step), price(number, 5 * step))
        for number, name in enumerate(MARKETS)
        for days in range(6)
        for step in range(288)
    ]
    pl.DataFrame(rows, schema=["market_id", "ts", "p"], orient="row").write_parquet(folder / "prices.parquet")
    told = {"market_id": MARKETS, "event_id": MARKETS, "question": ["Will it?"] * len(MARKETS)}
    pl.DataFrame(told).write_parquet(folder / "markets.parquet")
    return ("tsfm.markets.source=files", f"tsfm.markets.path={folder}")


@dataclass
class Canary:
    """A house over simulated days, and what its sensor said."""

    road: Road
    said: list[str] = field(default_factory=list)

    @property
    def rollout(self) -> TsfmRollout:
        return TsfmRollout(runtime=self.road.runtime)

    def made(self, *days: date) -> None:
        self.road.engine.run(utc_rectangle(self.road.engine, self.road.runtime.settings, days))

    def tick(self) -> None:
        said = judge_tsfm_rollout(self.road.runtime)(dg.build_sensor_context())
        assert isinstance(said, dg.SkipReason)
        self.said.append(str(said.skip_message))


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    """Yield a house after a day in shadow, one as a canary, and the days after it was taken back."""
    folder, now = tmp_path_factory.mktemp("canary"), datetime.combine(day(-1), time(23), UTC)
    with TollamaServer(spread=GOOD) as server:
        told = (*SMALL, *written(folder / "markets"), f"tsfm.tollama.base_url={server.url}")
        with roads.road(folder / "house", *told, clock=lambda: now) as road:
            house = Canary(road)
            house.rollout.start(who="me", why="")
            now = datetime.combine(day(1), time(0, 30), UTC)
            house.made(day(0))
            house.tick()
            house.rollout.advance(who="me", why="")
            now = datetime.combine(day(2), time(0, 30), UTC)
            house.made(day(1))
            house.tick()
            server.spread = BAD
            now = datetime.combine(day(3), time(0, 30), UTC)
            house.made(day(2))
            house.tick()
            house.tick()
            now = datetime.combine(day(5), time(0, 30), UTC)
            house.made(day(3), day(4))
            house.tick()
            yield house


def test_a_day_in_shadow_and_one_that_holds_lead_nowhere_and_a_fall_of_precision_back_to_shadow(canary: Canary) -> None:
    nobody = "no market has the model's band: nothing to judge."
    assert canary.said[0] == nobody
    assert canary.said[1].startswith("0 days judged"), "the day on which it was recorded is none of its phase"
    assert canary.said[2].startswith("the bands of the model are taken back to shadow. 2025-11-04: tsfm_conformal ")
    assert canary.said[3:] == [nobody, nobody], "recorded once"
    entries = canary.rollout.record.entries()
    assert [(one["what"], one["phase"], one["share"]) for one in entries] == [
        ("start", SHADOW, 0),
        ("advance", CANARY, SHARE),
        ("rollback", SHADOW, 0),
    ]


def test_the_record_of_the_rollback_says_who_when_why_and_by_which_counts(canary: Canary) -> None:
    entry = canary.rollout.record.entries()[-1]
    evidence = entry["evidence"]
    assert entry["who"] == "sensor judge_tsfm_rollout"
    assert entry["time"].startswith("2025-11-05T00:30")
    assert evidence["day"] == str(day(2))
    assert (evidence["fired"], evidence["markets"]) == (True, len(assigned(MARKETS, SHARE)))
    own, other = evidence["tsfm"], evidence["baseline"]
    assert other["followed"] == other["breaches"] == 2 * evidence["markets"], "the jumps, and nothing else"
    assert own["followed"] >= other["followed"]
    assert own["followed"] < 0.85 * own["breaches"]
    assert evidence["drop"] == pytest.approx(1 - own["followed"] / own["breaches"])
    assert entry["why"].startswith(f"{day(2)}: tsfm_conformal {own['followed']} of {own['breaches']} breaches moved on")


def test_bands_and_alerts_of_the_canary_are_the_model_s_and_of_the_days_after_nobody_s(canary: Canary) -> None:
    """A rollback is recorded when the day is over: it holds from the next cycle on."""
    tables, own = canary.road.tables(), assigned(MARKETS, SHARE)
    assert 0 < len(own) < len(MARKETS)
    for name in ("bands", "alerts"):
        found = tables[f"tsfm/{name}"].filter(pl.col("day") >= FIRST)
        found = found.with_columns(is_own=pl.col("market_id").is_in(own), made=pl.col("as_of").dt.date())
        late = (pl.col("as_of") >= TAKEN_BACK) & pl.col("is_own") & (pl.col("made") == day(3))
        assert set(found.filter(late)["band_source"]) == {BASELINE}, name
        rest = found.filter(~late).group_by("made", "is_own")
        source = {(made, is_own): set(rows["band_source"]) for (made, is_own), rows in rest}
        model_s = {(day(2), True), (day(3), True)}
        wanted = {(day(n), is_own) for n in range(5) for is_own in (True, False)}
        if name == "alerts":
            wanted.remove((day(3), True))  # nothing rang in the half hour before it was taken back
        assert source == {key: {CONFORMAL if key in model_s else BASELINE} for key in wanted}, name
    rang = (
        tables["tsfm/alerts"]
        .filter(pl.col("day") >= FIRST)
        .group_by("day")
        .agg(own=pl.col("market_id").is_in(own).sum())
        .sort("day")["own"]
    )
    assert rang[2] > 2 * rang[1] == 2 * rang[4], "flutter rang while the model's bands were used, and rings no more"

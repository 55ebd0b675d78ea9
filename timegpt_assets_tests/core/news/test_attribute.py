"""The events behind a feature: each is somebody's, by shares that plain loops find, and nobody's that came later."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.news.attribute import added, attributed
from timegpt_assets.core.news.project import NAMES, projected
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.forecasts import SNAPSHOTS
from timegpt_assets.core.tables.models import ATTRIBUTION
from timegpt_assets.core.tables.news import EVENT_ATTRIBUTION
from timegpt_assets_tests.core.bars.bars_factory import DAYS
from timegpt_assets_tests.core.news.scored_made import Event, link, links, otherwise_after, raw, scored

DAY, SYMBOLS = DAYS[1], ("AAA", "BBB")
OPEN = calendar.session(DAY).open
EVENTS = links([DAY], SYMBOLS, seed=5, each=60)
SNAPSHOTS_AT = [OPEN + timedelta(minutes=minute) for minute in (15, 120, 300)]


def asked(*moments: datetime, skipped: datetime | None = None) -> pl.DataFrame:
    rows = [
        {"day": DAY, "snapshot_ts": at, "target_ts": at + timedelta(minutes=15), "horizon_min": 15}
        | {"snapshot_time": f"{at:%H:%M}", "preset": "made", "asked": at != skipped, "reason": ""}
        for at in moments
    ]
    return pl.DataFrame(rows, schema=SNAPSHOTS.schema)


def behind(events: list[Event], top: int = 1000, *moments: datetime) -> pl.DataFrame:
    known = asked(*(moments or SNAPSHOTS_AT))
    return attributed(scored(events, [DAY]), raw([DAY]), known, days=[DAY], symbols=SYMBOLS, top=top)


def slow_share(feature: str, symbol: str, at: datetime) -> dict[str, float]:
    """Return each event's share of a feature by plain loops: what is counted, weighed, or newest."""
    known = [one for one in EVENTS if one["used"] and one["known_at"] <= at]
    mine = [one for one in known if one["entity_kind"] == "macro" or one["symbol"] == symbol]
    best: dict[str, Event] = {}
    for one in mine:
        if one["event_id"] not in best or one["quality"] > best[one["event_id"]]["quality"]:
            best[one["event_id"]] = one
    if feature.endswith("_age"):
        own = [one for one in mine if (one["entity_kind"] == "macro") == (feature == "news_market_age")]
        newest = max((one["known_at"] for one in own), default=None)
        parts = {one["event_id"]: 1.0 for one in own if one["known_at"] == newest}
    else:
        minutes = 30 if feature.endswith("_30m") else 24 * 60
        inside = [one for one in best.values() if at - one["known_at"] < timedelta(minutes=minutes)]
        parts = {one["event_id"]: part for one in inside if (part := slow_part(feature, one, inside))}
    return {event: part / sum(parts.values()) for event, part in parts.items()}


def slow_part(feature: str, one: Event, inside: list[Event]) -> float:
    _, what, how, *_ = feature.split("_")
    if what == "sources":
        return 1.0 / sum(other["source"] == one["source"] for other in inside)
    if what == "first":
        return float(one["novelty"] == 1.0)
    if what == "surprise":
        told = one["surprise"] or 0.0
        return float(told >= 1.0 if how == "above" else told <= -1.0)
    return float(one["type"] == what) * (one["quality"] if how == "weight" else 1.0)


def test_every_feature_that_is_something_is_somebody_s_by_the_shares_that_plain_loops_find():
    frame = behind(EVENTS)
    assert EVENT_ATTRIBUTION.errors(frame) == []
    features = projected(scored(EVENTS, [DAY]), raw([DAY]), days=[DAY], symbols=SYMBOLS)
    compared = 0
    for symbol in SYMBOLS:
        for at in SNAPSHOTS_AT:
            values = features.filter(symbol=symbol, known_at=at).row(0, named=True)
            for name in NAMES:
                rows = frame.filter(symbol=symbol, snapshot_ts=at, feature=name)
                assert bool(rows.height) == bool(values[name]), name
                shares = dict(rows.select("event_id", "weight").iter_rows())
                assert shares == pytest.approx(slow_share(name, symbol, at), abs=1e-5), name
                compared += rows.height
    assert compared > 500
    ages = (pl.col("snapshot_ts") - pl.col("known_at")).dt.total_microseconds() / 6e7
    told = scored(EVENTS, [DAY]).unique("event_id").select("event_id", "known_at", expected="tier")
    joined = frame.join(told, on="event_id")
    assert joined.height == frame.height
    assert joined["tier"].equals(joined["expected"].rename("tier"))
    assert joined["age_min"].to_list() == pytest.approx(joined.select(ages).to_series().to_list())


def test_few_are_named_the_heaviest_first_and_all_others_stand_in_one_row():
    key = ["symbol", "snapshot_ts", "feature"]
    whole, few = behind(EVENTS), behind(EVENTS, 3)
    assert_frame_equal(
        few.group_by(key).agg(pl.col("weight").sum()).select(key), few.select(key).unique(), check_row_order=False
    )
    assert few.group_by(key).agg(pl.col("weight").sum())["weight"].to_list() == pytest.approx(
        [1.0] * few.select(key).n_unique()
    )
    others = few.filter(event_id=WILDCARD)
    assert others.height > 20
    assert others["tier"].null_count() == others["age_min"].null_count() == others.height
    named = few.filter(pl.col("event_id") != WILDCARD)
    assert named.group_by(key).len()["len"].max() == 3
    left = whole.join(named, on=[*key, "event_id"], how="anti").group_by(key).agg(most=pl.col("weight").max())
    least = named.group_by(key).agg(least=pl.col("weight").min()).join(left, on=key)
    assert (least["least"] >= least["most"] - 1e-12).all()
    counted = few.filter(pl.col("feature").str.contains("_count_"), pl.col("event_id") != WILDCARD).join(
        whole.select(*key, "event_id", newest="age_min"), on=[*key, "event_id"]
    )
    newest = whole.filter(pl.col("feature").str.contains("_count_")).sort("age_min").group_by(key).head(3)
    assert counted["newest"].sum() == pytest.approx(newest["age_min"].sum()), "of equal shares the newest are named"


def test_what_comes_after_a_snapshot_is_behind_nothing():
    for seed, at in enumerate(SNAPSHOTS_AT):
        before, after = behind(EVENTS, 5, at), behind(otherwise_after(EVENTS, at, seed), 5, at)
        assert before.height > 50
        assert_frame_equal(before, after, check_exact=True)


def test_nobody_is_behind_a_silent_day_or_a_snapshot_that_is_not_asked():
    frame = scored(EVENTS, [DAY])
    silent = attributed(frame, raw([], [DAY]), asked(*SNAPSHOTS_AT), days=[DAY], symbols=SYMBOLS, top=5)
    assert silent.is_empty()
    known = asked(*SNAPSHOTS_AT, skipped=SNAPSHOTS_AT[1])
    found = attributed(frame, raw([DAY]), known, days=[DAY], symbols=SYMBOLS, top=5)
    assert found["snapshot_ts"].unique().sort().to_list() == [SNAPSHOTS_AT[0], SNAPSHOTS_AT[2]]


def test_an_event_adds_to_a_forecast_its_share_of_what_its_features_added():
    events = [link(1, OPEN, symbol="AAA", quality=0.75), link(2, OPEN, symbol="AAA", quality=0.25)]
    at = SNAPSHOTS_AT[0]
    rows = [("news_headline_weight_30m", 0.4), ("news_headline_count_1d", -0.2), ("ret_1m", 3.0), (WILDCARD, 1.0)]
    about = {"day": DAY, "symbol": "AAA", "snapshot_ts": at, "forecaster": "lightgbm", "part": "centre"}
    about |= {
        "value": 0.0,
        "missing": False,
        "base": 0.0,
        "forecast": 1.0,
        "method": "m",
        "policy": None,
        "digest": "d",
    }
    moved = pl.DataFrame(
        [about | {"rank": n, "feature": name, "contribution": part} for n, (name, part) in enumerate(rows, 1)],
        schema=ATTRIBUTION.schema,
    )
    found = added(moved, behind(events).filter(symbol="AAA"))
    assert found["event_id"].to_list() == ["00000001", "00000002"]
    assert found["added"].to_list() == pytest.approx([0.75 * 0.4 - 0.5 * 0.2, 0.25 * 0.4 - 0.5 * 0.2])
    assert found["features"].to_list() == [["news_headline_count_1d", "news_headline_weight_30m"]] * 2
    nobody = added(moved, behind(events, 0).filter(symbol="AAA"))
    assert nobody.is_empty()
    assert nobody.schema == found.schema


@pytest.mark.parametrize(
    ("answering", "known", "unknown"),
    [
        (["calendar"], {"release"}, {"headline", "value"}),
        (["calendar", "own"], {"release", "headline"}, {"value"}),
        (["gdelt_files"], {"headline"}, {"value", "release"}),
        (["fred"], {"value", "release"}, {"headline"}),
    ],
)
def test_who_answers_about_one_kind_of_event_does_not_speak_for_those_that_tell_another(
    answering: list[str], known: set[str], unknown: set[str]
) -> None:
    everybody = ("fred", "calendar", "own", "gdelt_files")
    told = pl.concat([raw([DAY], sources=answering), raw([], [DAY], [s for s in everybody if s not in answering])])
    events = [link(n, OPEN, symbol="AAA", type=kind, surprise=None) for n, kind in enumerate(sorted(known | unknown))]
    frame = projected(scored(events, [DAY]), told, days=[DAY], symbols=["AAA"])
    row = frame.row(-1, named=True)
    assert {kind: row[f"news_{kind}_missing"] for kind in known | unknown} == dict.fromkeys(
        known, False
    ) | dict.fromkeys(unknown, True)
    assert row["news_missing"] is False
    assert {row[f"news_{kind}_count_1d"] for kind in known} == {1.0}
    assert {row[f"news_{kind}_{what}_1d"] for kind in unknown for what in ("count", "weight")} == {None}
    is_told = "headline" in known
    assert [row[name] is not None for name in ("news_own_age", "news_sources_1d", "news_first_count_1d")] == [
        is_told
    ] * 3
    assert (row["news_surprise_above_1d"] is not None) == ("value" in known)
    behind = attributed(
        scored(events, [DAY]), told, asked(calendar.session(DAY).close), days=[DAY], symbols=["AAA"], top=9
    )
    assert set(behind["feature"]) == {name for name in NAMES if row[name]}

"""Stages: what a person may ask for, and the rectangle it turns into."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from timegpt_assets.assets.models import PARTS, POLICY
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.core.tables.every import ALL
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.definitions import ASSETS, build_definitions
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import EVERYDAY, NEWS, STAGES, Refused, everyday, last_closed_session, sessions_asked
from timegpt_assets.engine.stale import input_windows
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.news_house import ON
from timegpt_assets_tests.roads import LATER, SMALL

THURSDAY = date(2025, 1, 16)


@cache
def house(*overrides: str, profile: str = "demo") -> GraphContext:
    settings = load_settings(profile=profile, config_dir=None, overrides=[*SMALL, *overrides], environment={})
    return graph_context(settings)


@cache
def repository(*overrides: str):
    runtime = Runtime(settings=house(*overrides).settings, root=Path("/nowhere"), environment={}, clock=lambda: LATER)
    return build_definitions(runtime).get_repository_def()


@cache
def graph(*overrides: str):
    return asset_nodes(repository(*overrides))


def asked(*overrides: str, profile: str = "demo", **wanted):
    nodes = graph(ON) if ON in overrides else graph()
    return rectangle(house(*overrides, profile=profile), nodes, **{"days": [THURSDAY], **wanted})


def before(rectangle) -> dict[str, int]:
    """Sessions made before the first day, by one asset of each kind."""
    kept = {"bars", "features", "panel"}
    return {name: count for keys, count in rectangle.history for name in names(keys) & kept}


def names(keys) -> set[str]:
    return {key.path[-1] for key in keys}


def test_every_asset_belongs_to_exactly_one_stage():
    staged = [name for stage in STAGES.values() for name in stage]
    assert len(staged) == len(set(staged)) == len(ASSETS)
    assert set(staged) == names(graph())
    on_demand = {
        "promotion",
        *STAGES["exports"],
        *STAGES["news"],
        *STAGES["models"],
        *STAGES["worth"],
        *STAGES["research"],
        *STAGES["search"],
        *STAGES["tsfm"],
    }
    assert set(staged) - set(EVERYDAY) == on_demand


def test_a_day_makes_news_where_a_source_is_listed_and_none_where_none_is():
    assert everyday(house().settings) == EVERYDAY
    assert not set(STAGES["news"]) & names(asked().assets)
    listed = asked("news.sources=[calendar]")
    assert names(listed.assets) == {*EVERYDAY, *NEWS}
    assert "news_features" not in names(listed.assets), "the group is off: nothing reads it"


def test_no_stage_but_evaluate_makes_the_promotion():
    assert "promotion" not in names(asked().assets)


def test_an_asset_brings_everything_it_stands_on():
    found = asked(assets=("features",))
    assert names(found.assets) == {"raw_bars", "bars", "market_context", "features"}
    assert found.symbols == found.all_symbols == ("AAPL", "META", "MSFT", "NVDA", "SPY")


def test_force_means_the_named_assets_alone():
    assert names(asked(assets=("features",), force=True).forced) == {"features"}
    assert asked(assets=("features",)).forced == frozenset()


def test_a_choice_of_symbols_never_alters_what_the_batch_stands_on():
    found = asked(symbols=("MSFT",), assets=("forecasts",))
    assert found.symbols == ("MSFT",)
    assert names(found.whole) == {
        "raw_bars",
        "bars",
        "market_context",
        "features",
        "panel",
        "snapshots",
        "answers",
        "base_answers",
        "raw_forecasts",
        "labels",
        "outcomes",
        "calibration_models",
    }


def test_bars_alone_need_neither_warm_up_nor_history():
    assert {sessions for _, sessions in asked(assets=("bars",)).history} == {0}


def test_features_need_their_warm_up_and_forecasts_their_history_too():
    assert before(asked(assets=("features",))) == {"bars": 2, "features": 0, "panel": 0}
    assert before(asked(assets=("answers",))) == {"bars": 6, "features": 4, "panel": 4}


def test_trades_need_the_sessions_that_liquidity_is_compared_with_whatever_the_forecaster_reads():
    assert before(asked(assets=("trades",))) == {"bars": 22, "features": 20, "panel": 4}
    near, off = ("trading.filters.lookback_sessions=3",), ("trading.filters.enabled=false",)
    assert before(asked(*near, assets=("trades",))) == {"bars": 6, "features": 4, "panel": 4}
    assert before(asked(*off, assets=("trades",))) == {"bars": 6, "features": 4, "panel": 4}


@pytest.mark.parametrize("overrides", [(), ("trading.filters.lookback_sessions=7", "forecast.history_days=9"), (ON,)])
def test_the_warm_up_of_a_lone_day_is_what_its_assets_read_of_bars_and_features_and_no_session_more(overrides):
    nodes, windows = graph(*overrides), input_windows(repository(*overrides))
    for name in (*EVERYDAY, *STAGES["news"]):
        found = asked(*overrides, assets=(name,))
        made = warmed(found)
        read = {key: sessions_read(key, found.assets, nodes, windows, warmed=made) for key in made}
        assert {key.path[-1]: n for key, n in made.items()} == {key.path[-1]: n for key, n in read.items()}, name


def warmed(found) -> dict:
    """Sessions made before the first day, by asset, of those the rectangle holds."""
    most: dict = {}
    for keys, sessions in found.history:
        most |= {key: max(sessions, most.get(key, 0)) for key in keys & set(found.assets)}
    return most


def sessions_read(key, assets, nodes, windows, *, warmed) -> int:
    """How many sessions before the day are read of an asset: by the day itself, and by what is warmed up in its turn.

    Months look back on days that were asked for, and on no others.
    """
    readers = [reader for reader in assets if key in nodes[reader].deps and nodes[reader].kind != "month"]
    before = {r: sessions_read(r, assets, nodes, windows, warmed=warmed) if r in warmed else 0 for r in readers}
    return max((before[reader] - windows[reader, key].first for reader in readers), default=0)


def test_only_nixtla_is_paid_for():
    nixtla = ("forecast.backend=nixtla", "forecast.api_mode=simulate", "forecast.base_url=http://127.0.0.1:9")
    assert asked().paid is None
    found = asked(*nixtla, "data.source=synthetic", "forecast.api_budget.per_run=25", profile="dev")
    assert found.paid is not None
    assert found.paid.path[-1] == "answers"


def test_an_unknown_asset_is_refused_with_the_known_ones():
    with pytest.raises(Refused, match=r"no asset is called barz\. Did you mean bars\? Choose from: .*\bbars\b.*trades"):
        asked(assets=("barz", "bars"))


def test_an_unknown_symbol_is_refused_with_the_remedy():
    with pytest.raises(Refused, match=r"^XYZ is not in the universe \(AAPL, META.*Add it to universe\.tickers"):
        asked(symbols=("AAPL", "XYZ"))


def test_a_range_is_its_sessions_without_weekends_and_holidays():
    found = sessions_asked(house().settings, date(2025, 1, 17), date(2025, 1, 26), at=LATER)
    assert found == [date(2025, 1, day) for day in (17, 21, 22, 23, 24)], "the 20th is a holiday"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2025-01-17", "2025-01-16", "ends before it starts. Swap --start and --end."),
        ("2025-01-18", "2025-01-20", "holds no session. Ask for a range with at least one trading day."),
        ("2024-12-30", "2025-01-03", "2024-12-30 and others lies outside the grid"),
        ("2025-02-27", "2025-03-03", "2025-03-03 lies outside the grid, which runs from 2025-01-02 to 2025-02-28."),
        ("1990-01-02", "2025-01-03", "1990-01-02 lies outside the grid"),
        ("1990-01-02", "1990-01-02", "1990-01-02 lies outside the grid"),
        ("2025-01-02", "2040-01-02", "2040-01-02 lies outside the grid"),
    ],
)
def test_a_range_that_cannot_be_made_is_refused_with_the_remedy(start, end, said):
    with pytest.raises(Refused) as refused:
        sessions_asked(house().settings, date.fromisoformat(start), date.fromisoformat(end), at=LATER)
    assert said in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_single_day_without_a_session_is_answered_with_the_nearest_ones():
    with pytest.raises(calendar.NotASession, match=r"2025-01-20 .Monday. is not a session.*2025-01-17 and 2025-01-21"):
        sessions_asked(house().settings, date(2025, 1, 20), date(2025, 1, 20), at=LATER)


@pytest.mark.parametrize(
    ("day", "closing", "before"),
    [
        (date(2025, 1, 16), "2025-01-16T21:00", date(2025, 1, 15)),
        (date(2025, 7, 3), "2025-07-03T17:00", date(2025, 7, 2)),  # early close, daylight saving time
    ],
)
def test_a_session_is_open_to_requests_from_its_close_on(day, closing, before):
    close = datetime.fromisoformat(closing).replace(tzinfo=UTC)
    whole_year = house("data.end_date=null")
    with pytest.raises(calendar.StillOpen, match=f"session of {day} has not closed yet. Ask for {before} or earlier"):
        sessions_asked(whole_year.settings, day, day, at=close - timedelta(seconds=1))
    assert sessions_asked(whole_year.settings, day, day, at=close) == [day]
    assert last_closed_session(close) == day
    assert last_closed_session(close - timedelta(seconds=1)) == before


def test_every_stage_names_declared_tables():
    several = {
        *VERDICTS,
        "promotion",
        *STAGES["search"],
        *PARTS.values(),
        POLICY,
    }  # of a table that is not called after them
    assert {name for stage in STAGES.values() for name in stage} - several <= {table.name for table in ALL}

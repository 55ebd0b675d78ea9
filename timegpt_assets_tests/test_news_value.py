"""What the news was worth, on the road: made on request alone, from what is stored, a month after those that teach."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.assets.declare import Span
from timegpt_assets.assets.reports import of_news
from timegpt_assets.cli.valuing import STORED, standing
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.engine.engine import Outcome
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets.engine.training import valued
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.ladder_house import JANUARY, ladder_road
from timegpt_assets_tests.reports.pictures import newsrooms
from timegpt_assets_tests.roads import Road, sessions

FEBRUARY = date(2025, 2, 1)
DAYS = tuple(sessions(date(2025, 2, 3), date(2025, 2, 28)))
"""A rate decision of January is among the news that is learnt from."""


def measure(built: Road, *, force: bool = False) -> Outcome:
    """Ask what the news was worth in February."""
    graph = graph_context(built.runtime.settings)
    return built.engine.run(valued(built.engine, graph, FEBRUARY, force=force))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield the ladder's house with a calendar, in which nothing is made."""
    with ladder_road(tmp_path_factory.mktemp("worth"), "news.sources=[calendar]") as built:
        yield built


def test_it_is_measured_on_what_was_not_learnt_from_and_nobody_is_asked(house: Road) -> None:
    wanted = valued(house.engine, graph_context(house.runtime.settings), FEBRUARY)
    asked = {key.path[-1]: months for key, months in house.engine.asked(wanted).items()}
    assert asked["training_set"] == {PartitionRef(date(2025, 1, 1)), PartitionRef(FEBRUARY)}
    assert asked["information_value"] == {PartitionRef(FEBRUARY)}
    names = {key.path[-1] for key in wanted.assets}
    assert {"panel", "labels", "training_set", "information_value"} <= names
    assert not names & {"raw_news", "scored_news", "answers", "snapshots", "tabular_model", "base_answers"}
    assert "information_value" not in EVERYDAY


def kept(folder: Path, *months: pl.DataFrame) -> ParquetStore:
    """Return a store with what the news was worth in some months."""
    store = ParquetStore(LocalStore(folder))
    for frame in months:
        store.write(STORED, frame["month"][0], frame)
    return store


def loaded(*overrides: str) -> Settings:
    return load_settings(profile="demo", config_dir=None, overrides=overrides, environment={})


def test_status_says_what_stands_against_the_group_and_nothing_where_nobody_asked(tmp_path: Path) -> None:
    on = f"features.groups=[{', '.join((*loaded().features.groups, 'news'))}]"
    nothing = kept(tmp_path / "nothing")
    assert standing(nothing, loaded()) == ""
    assert "(never asked); it is switched off, and stays so" in standing(nothing, loaded("news.sources=[calendar]"))
    assert "switched on, without evidence for it: take news out of features.groups" in standing(nothing, loaded(on))
    store = kept(tmp_path / "some", newsrooms.value("2024-02", 0.98, 0.01, 9.0), newsrooms.value("2024-03"))
    assert "it would have cost +0.40% pinball loss (p 0.8) and -$120 net P&L in 2024-03" in standing(store, loaded())
    assert "it cost +0.40% pinball loss" in standing(store, loaded(on))


def test_a_month_s_page_knows_no_later_month_and_its_own_sessions_alone(tmp_path: Path) -> None:
    months = [newsrooms.value(month) for month in ("2023-03", "2023-04", "2024-02", "2024-03", "2024-04")]
    span = Span(month="2024-03", as_of=newsrooms.DAYS[3], sessions=tuple(newsrooms.DAYS[:4]))
    found = of_news(loaded("news.sources=[own]"), span, {"source_health": newsrooms.health()}, kept(tmp_path, *months))
    assert sorted(set(found.values["month"])) == ["2023-04", "2024-02", "2024-03"], "twelve months, its own the last"
    assert sorted(set(found.health["day"])) == newsrooms.DAYS[:4]
    assert (found.switched_on, found.success_min, found.publish_to_ingest_p95_s) == (False, 0.95, 120.0)
    assert not of_news(loaded(), span, {}, kept(tmp_path / "nothing")), "no source is listed, and nothing measured"


@pytest.mark.whole
def test_a_month_is_measured_noted_and_left_alone_when_it_is_there(house: Road) -> None:
    house.run((*JANUARY, *DAYS[:3]), assets=["scored_news"])
    before = {name for name, _ in house.runtime.storage.names("news/raw_news/")}
    measure(house)
    found = house.tables()["news/information_value"]
    (tree,) = found.filter(forecaster="lightgbm").to_dicts()
    assert tree["reason"] == ""
    assert (tree["first_day"], tree["last_day"]) == (date(2025, 1, 21), date(2025, 1, 30)), "an embargo of one"
    assert tree["features"] > 0
    assert (tree["n"], tree["sessions"], tree["as_of"]) == (2 * 12 * len(DAYS), len(DAYS), DAYS[-1])
    again = measure(house)
    assert again.made == 0
    assert {name for name, _ in house.runtime.storage.names("news/raw_news/")} == before, "no source is asked"

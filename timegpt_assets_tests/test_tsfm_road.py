"""The road of prediction markets: a lone day is the day of a range, and what comes later changes nothing."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.engine.stages import STAGES
from timegpt_assets.engine.tsfm import utc_rectangle
from timegpt_assets_tests import roads
from timegpt_assets_tests.prediction_markets import written
from timegpt_assets_tests.roads import Road
from timegpt_assets_tests.servers.tollama import TollamaServer

DAYS = [date(2025, 11, day) for day in range(1, 4)]
DAILY = [name for name in STAGES["tsfm"] if STORED[name].span == "day"]
SMALL = (
    *("tsfm.cycle_min=240", "tsfm.conformal.min_samples=5", "tsfm.conformal.rolling_window_days=1"),
    *("tsfm.series.horizon_steps=3", "tsfm.model.model_name=mock", "tsfm.fallback.order=[EWMA]"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[TollamaServer]:
    with TollamaServer() as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, server: TollamaServer) -> tuple[str, ...]:
    return (*written(tmp_path_factory.mktemp("markets"), DAYS, bands=2), *SMALL, f"tsfm.tollama.base_url={server.url}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, files: tuple[str, ...]) -> dict[str, pl.DataFrame]:
    return made(tmp_path_factory.mktemp("whole"), files, [DAYS])


def made(folder: Path, files: Sequence[str], runs: Sequence[Sequence[date]]) -> dict[str, pl.DataFrame]:
    """Return the stored tables of days made in these runs, without their lineage."""
    with roads.road(folder, *files) as road:
        for days in runs:
            replayed(road, days)
        return {name: table.drop("lineage_id") for name, table in road.tables().items()}


def replayed(road: Road, days: Sequence[date], *, force: bool = False) -> None:
    road.engine.run(utc_rectangle(road.engine, road.runtime.settings, days, force=force))


def test_a_lone_day_is_the_day_of_a_range_with_all_that_it_stands_on(
    whole: dict[str, pl.DataFrame], files: tuple[str, ...], tmp_path: Path
) -> None:
    lone = made(tmp_path, files, [DAYS[-1:]])
    for name in DAILY:
        own = whole[f"tsfm/{name}"].filter(day=DAYS[-1])
        assert own.height or name == "alerts", name
        assert own.equals(lone[f"tsfm/{name}"].filter(day=DAYS[-1])), name


def test_the_model_answers_in_bands_and_nobody_uses_them_before_a_rollout(whole: dict[str, pl.DataFrame]) -> None:
    table = whole["tsfm/tsfm_forecasts"]
    young, told = table.filter(input_len=1), table.filter(pl.col("input_len") > 1)
    assert set(young["reason"]) == {"too_few_points"}, "a market of one price has the widest band"
    assert told.height
    assert told["reason"].null_count() == told.height
    assert set(told["score_source"]) == {"model"}
    assert set(told["runtime"]) == {"tollama"}
    assert (told["lower"] <= told["median"]).all()
    assert (told["median"] <= told["upper"]).all()
    assert whole["tsfm/bands"]["band_source"].unique().to_list() == ["baseline"], "no rollout has begun"


def test_parameters_of_a_day_are_learnt_from_days_before_it_alone(whole: dict[str, pl.DataFrame]) -> None:
    taught = whole["tsfm/conformal_parameters"]
    assert taught.height
    assert (taught["last_day"] < taught["day"]).all()
    assert taught.filter(day=DAYS[0]).is_empty()
    used = whole["tsfm/bands"].drop_nulls("parameters_day")
    assert used.height
    assert (used["parameters_day"] == used["day"]).all()


def test_prices_of_later_change_nothing_that_was_known_before(
    whole: dict[str, pl.DataFrame], files: tuple[str, ...], tmp_path: Path
) -> None:
    at = datetime(2025, 11, 3, 12, tzinfo=UTC)
    (folder,) = (Path(one.split("=")[1]) for one in files if one.startswith("tsfm.markets.path="))
    prices = pl.read_parquet(folder / "prices.parquet")
    later = pl.when(pl.col("ts") + timedelta(minutes=1) > at).then(1 - pl.col("p")).otherwise("p")
    prices.with_columns(p=later).write_parquet(tmp_path / "prices.parquet")
    (tmp_path / "markets.parquet").write_bytes((folder / "markets.parquet").read_bytes())
    others = [f"tsfm.markets.path={tmp_path}" if one.startswith("tsfm.markets.path=") else one for one in files]
    found = made(tmp_path / "house", others, [DAYS[-1:]])
    last, known = pl.col("day") == DAYS[-1], {"market_series": "ts", "alerts": "ts"}
    for name in DAILY:
        by = known.get(name, "as_of")
        until = last & (pl.col(by) <= at) if by in whole[f"tsfm/{name}"].columns else last
        if name == "tsfm_outcomes":
            until &= pl.col("target_ts") <= at
            before, after = (t[f"tsfm/{name}"].filter(until).drop("rise", "fall") for t in (whole, found))
        else:
            before, after = (t[f"tsfm/{name}"].filter(until) for t in (whole, found))
        assert before.height or name == "alerts", name
        assert before.equals(after), name
    after = found["tsfm/market_series"].filter(last & (pl.col("ts") > at))
    assert not whole["tsfm/market_series"].filter(last & (pl.col("ts") > at)).equals(after), "else nothing was changed"


def test_a_month_judges_what_was_served_on_its_days_by_what_came(whole: dict[str, pl.DataFrame]) -> None:
    found, came, bands = (whole[f"tsfm/{name}"] for name in ("tsfm_evaluation", "tsfm_outcomes", "bands"))
    assert set(found.select("month", "as_of").rows()) == {("2025-11", DAYS[-1])}
    of_all = {(row["split"], row["arm"]): row for row in found.filter(segment="all").to_dicts()}
    assert {key: row["samples"] for key, row in of_all.items() if key[0] == "all"} == {
        ("all", "raw"): came.height, ("all", "baseline"): came.height,
    }  # fmt: skip
    both = came.join(bands, on=["market_id", "as_of", "step"], suffix="_of_bands").drop_nulls("adjusted_lower")
    assert of_all["adjusted", "conformal"]["samples"] == both.height > 0
    inside = both.select(pl.col("y").is_between("adjusted_lower", "adjusted_upper").mean()).item()
    assert of_all["adjusted", "conformal"]["coverage"] == pytest.approx(inside)
    assert inside != pytest.approx(of_all["adjusted", "raw"]["coverage"])


@pytest.mark.soak
def test_a_day_made_again_asks_nobody_again_and_has_the_same_rows(
    files: tuple[str, ...], server: TollamaServer, tmp_path: Path
) -> None:
    with roads.road(tmp_path, *files) as road:
        replayed(road, DAYS[:1])
        before, asked = road.tables(), len(server.questions)
        replayed(road, DAYS[:1], force=True)
        assert len(server.questions) == asked > 0
        assert all(table.equals(road.tables()[name]) for name, table in before.items())
        assert ParquetStore(road.runtime.storage).files("bars/bars") == [], "no session was made for it"

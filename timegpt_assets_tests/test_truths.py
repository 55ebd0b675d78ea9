"""Truths 2, 5, 6 and 8 of a whole road: same road, quantiles in order, same bytes, and the way back to the bars.

Truth 1 is in test_truth_1_past_only.py, truths 3 and 4 are in test_truths_3_and_4_money_and_sources.py.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import combinations, product

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters import stage_logs
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.core.lineage import path_to_bars
from timegpt_assets.core.tables.columns import BANDS, QUANTILES
from timegpt_assets.engine.stages import EVERYDAY, STAGES
from timegpt_assets.runtime import local_forecasters
from timegpt_assets_tests import markets
from timegpt_assets_tests.markets import DAYS, Market
from timegpt_assets_tests.roads import BY_SEAT, SEATS, TINY, Road, non_null, road
from timegpt_assets_tests.strategies import Tangled

SHORT = DAYS[1:5]
"""Four sessions: the day on which nothing is asked, and a month's end among them."""
FORECASTS = ("forecasts/raw_forecasts", "forecasts/outcomes", "calibration/forecasts", "evaluation/day_scores")


@pytest.fixture(scope="module", params=["synthetic", "real"])
def market(request: pytest.FixtureRequest) -> Market:
    return markets.synthetic() if request.param == "synthetic" else markets.real(request.getfixturevalue("real_data"))


@pytest.fixture(scope="module")
def whole(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield the road of the whole window at once."""
    with market.road(tmp_path_factory.mktemp("whole")) as built:
        built.run(SHORT)
        yield built


def assert_the_same_files(one: Road, other: Road) -> None:
    """Assert that two roads stored the same files, byte for byte, and that there was something to compare."""
    mine, theirs = one.bytes(), other.bytes()
    assert mine.keys() == theirs.keys()
    assert [name for name, content in mine.items() if content != theirs[name]] == []
    stored = one.tables()
    assert {asset.split("/")[1] for asset in stored} == set(EVERYDAY)
    unasked = stored.pop("forecasts/answers")
    assert unasked.is_empty(), "nobody is paid on this road"
    assert min(non_null(frame) for frame in stored.values()) > 0
    assert sum(non_null(frame) for frame in stored.values()) >= 1000
    assert stored["backtest/trades"].height >= 30
    for seat in SEATS:
        own = {asset: stored[asset].filter(forecaster=seat) for asset in BY_SEAT}
        assert min(non_null(frame) for frame in own.values()) > 0, seat
        assert own["calibration/forecasts"].filter(pl.col("calibration") != "none").height >= 30, seat


@pytest.mark.timeout(600)  # a minute and a half: it begins first
@pytest.mark.parametrize("market", markets.MADE_UP_FIRST, indirect=True)
def test_a_window_made_day_by_day_is_the_window_made_at_once(
    market: Market, whole: Road, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with market.road(tmp_path_factory.mktemp("days")) as by_day:
        for day in SHORT:
            by_day.run([day])
    assert_the_same_files(whole, by_day)


UNCALIBRATED = (
    "calibration.method=none",
    "gates.symbol_min_forecasts=1000",
    "trading.filters.lookback_sessions=5",
    "trading.filters.unjudged=block",
    "trading.sigma_column=sigma_15m",
)
"""Nothing is learnt of earlier forecasts, nobody judged by them, and liquidity looks further back: three sessions."""


def test_a_lone_day_with_nothing_made_before_it_trades_as_the_same_day_of_a_window(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    market, trades = markets.synthetic(), []
    for name, days in (("window", DAYS[1:6]), ("lone", DAYS[5:6])):
        with market.road(tmp_path_factory.mktemp(name), *UNCALIBRATED) as built:
            built.run(days, assets=["trades"])
            stored = built.tables()["backtest/trades"].filter(pl.col("day") == DAYS[5])
            trades.append(stored.drop("eligibility", "lineage_id"))
            features = built.tables()["features/features"]
    whole, alone = trades
    known = features.select("day", "symbol", snapshot_ts="known_at", now="sigma_15m")
    assert (
        whole.join(known, on=["day", "symbol", "snapshot_ts"]).select((pl.col("now") == pl.col("sigma")).all()).item()
    )
    assert_frame_equal(alone, whole)
    assert set(whole["liquidity"]) > {"normal"}, "guard: some are abnormal"
    assert "liquidity_unknown" not in set(whole["liquidity"])


@pytest.mark.parametrize("market", markets.MADE_UP_FIRST, indirect=True)
def test_a_window_made_symbol_by_symbol_within_each_stage_is_the_window_made_at_once(
    market: Market, whole: Road, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with market.road(tmp_path_factory.mktemp("symbols")) as by_symbol:
        settings = by_symbol.runtime.settings
        symbols = sorted({*settings.universe.tickers, *settings.universe.context}, reverse=True)
        for stage in _stages():
            for symbol in symbols:
                by_symbol.run(SHORT, symbols=[symbol], assets=stage)
    assert_the_same_files(whole, by_symbol)


def _stages() -> Iterator[Sequence[str]]:
    """Yield the assets of each stage, scores of forecasts before the gates and trades that read them."""
    yield from (STAGES[stage] for stage in ("bars", "features", "forecasts", "calibration"))
    yield ("forecast_scores",)
    yield STAGES["backtest"]
    yield (*STAGES["evaluation"], *STAGES["gates"], *STAGES["reports"])


@pytest.mark.parametrize("market", markets.REAL_FIRST, indirect=True)
def test_the_same_road_in_another_folder_and_by_force_over_what_is_there_gives_the_same_bytes(
    market: Market, whole: Road, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with market.road(tmp_path_factory.mktemp("another")) as another:
        another.run(SHORT)
        assert_the_same_files(whole, another)
        written = {path: path.stat().st_mtime_ns for path in another.root.glob("*/*/*.parquet")}
        made = another.run(SHORT, force=True).made
        rewritten = {path: path.stat().st_mtime_ns for path in another.root.glob("*/*/*.parquet")}
    again = sum(rewritten[path] > before for path, before in written.items())
    assert again >= len(EVERYDAY) * 2, "force made nothing again"
    assert made >= again
    assert_the_same_files(whole, another)


def test_quantiles_never_cross_in_any_stored_forecast(whole: Road) -> None:
    stored = whole.tables()
    for asset, seat in product(FORECASTS, SEATS):
        own = stored[asset].filter(forecaster=seat)
        assert_in_order(own, QUANTILES)
        if asset != "evaluation/day_scores":
            assert_bands_are_their_quantiles(own)
        if asset in ("calibration/forecasts", "evaluation/day_scores"):
            assert_in_order(own, [f"raw_{name}" for name in QUANTILES])


def assert_in_order(frame: pl.DataFrame, quantiles: Sequence[str]) -> None:
    """Assert that all quantiles ascend together, and that nearly all of them are there to be compared."""
    pairs = list(combinations(quantiles, 2))
    crossed = {f"{low} > {high}": frame.filter(pl.col(low) > pl.col(high)).height for low, high in pairs}
    assert sum(crossed.values()) == 0, {pair: n for pair, n in crossed.items() if n}
    assert len(pairs) == 21
    assert non_null(frame.select(quantiles)) >= 1000


def assert_bands_are_their_quantiles(frame: pl.DataFrame) -> None:
    """Assert that lo_<level> and hi_<level> say what the quantiles at the ends of the band say, null for null."""
    for level, ends in BANDS.items():
        for side, quantile in zip(("lo", "hi"), ends, strict=True):
            assert frame[f"{side}_{level}"].equals(frame[quantile].alias(f"{side}_{level}"), null_equal=True)


def test_a_forecaster_whose_bands_cross_is_put_in_order_and_counted(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tangled")
    market = markets.synthetic()
    with market.road(folder / "plain") as plain:
        settings = plain.runtime.settings
    tangled = Tangled(honest=local_forecasters(settings))
    given = {"base": TINY, "overriding": {"local_forecasters": tangled}, "pictures": False}
    with road(folder, *market.overrides, **given) as built, stage_logs.kept(folder / "logs"):
        built.run(SHORT[2:4], assets=["outcomes", "forecasts", "day_scores"])
        stored = built.tables()
    answers, raw = stored["forecasts/base_answers"], stored["forecasts/raw_forecasts"]
    assert answers.filter(pl.col("lo_50") > pl.col("hi_50")).height >= 30
    crossed = raw.filter(pl.col("crossings") > 0)
    assert crossed.height >= 30
    said = [json.loads(line) for line in (folder / "logs" / "forecast.log").read_text().splitlines()]
    told = [line for line in said if line["event"] == "quantiles crossed"]
    assert {(line["day"], line["symbol"], line["forecaster"]) for line in told} == {
        (str(day), *who) for day, *who in crossed.select("day", "symbol", "forecaster").iter_rows()
    }
    assert sum(line["snapshots"] for line in told) == crossed.height
    assert raw.filter(pl.col("crossings") == 0).height >= 30
    for asset in FORECASTS:
        assert stored[asset].height >= 60
        for low, high in combinations(QUANTILES, 2):
            assert stored[asset].filter(pl.col(low) > pl.col(high)).is_empty(), f"{asset}: {low} > {high}"


def test_every_lineage_id_leads_back_to_the_source_of_the_bars(whole: Road) -> None:
    records = LineageStore(whole.runtime.storage).records()
    stored = whole.tables()
    assert {asset.split("/")[1] for asset in stored} == set(EVERYDAY)
    stamped = 0
    for asset, frame in stored.items():
        assert frame["lineage_id"].null_count() == 0
        stamped += frame.height
        for lineage_id in frame["lineage_id"].unique():
            path = path_to_bars(records, lineage_id)
            assert path[0].asset == asset
            assert {record.lineage_id for record in path} <= records.keys()
            roots = [record.asset for record in path if not record.parents]
            expected = ["forecasts/snapshots"] if asset == "forecasts/snapshots" else ["bars/raw_bars"]
            assert [root for root in roots if root != "forecasts/snapshots" or root == asset] == expected
            assert all(record.asset != "features/labels" for record in path) or asset not in BEFORE_THE_FACT
    assert stamped >= 1000


BEFORE_THE_FACT = ("forecasts/base_answers", "forecasts/raw_forecasts", "features/panel", "features/features")
"""Assets no label may be upstream of; calibrated forecasts learn from earlier days' labels, through the embargo."""

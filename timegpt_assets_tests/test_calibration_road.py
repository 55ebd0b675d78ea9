"""Strange outcomes and answers through the whole road: every asset is made, what cannot be promised says why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.forecaster import ForecastResult
from timegpt_assets.adapters.local_forecasters import LocalForecasters
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.tables.columns import BANDS, QUANTILES
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets.runtime import MarketData, local_forecasters, market_data
from timegpt_assets_tests.markets import DAYS as MARKET_DAYS
from timegpt_assets_tests.roads import TINY, load_runtime, road

SETTINGS = ("forecast.snapshot_preset=dense", "forecast.skip_events=[]")
DAYS = MARKET_DAYS[:5]
ENDS = [f"{side}_{level}" for level in BANDS for side in ("lo", "hi")]
Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Strange:
    """A forecaster whose answers are changed before they are stored."""

    honest: LocalForecasters
    change: Change

    def answers(self, frames: Sequence[Frame]) -> ForecastResult:
        found = self.honest.answers(frames)
        return ForecastResult(rows=self.change(found.rows), left_out=found.left_out)


@dataclass(frozen=True, kw_only=True)
class Spoilt:
    """A market whose bars are changed."""

    market: MarketData
    change: Change

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        return self.change(self.market.bars(symbols, days))


def only(symbol: str, **changes: pl.Expr) -> Change:
    return lambda rows: rows.with_columns(
        pl.when(pl.col("symbol") == symbol).then(value).otherwise(name).alias(name) for name, value in changes.items()
    )


def infinite(rows: pl.DataFrame) -> pl.DataFrame:
    return only("AAPL", hi_80=pl.lit(float("inf")))(rows)


def three_strange_forecasters(rows: pl.DataFrame) -> pl.DataFrame:
    """Return forecasts that are all equal (AAPL), have bands of no width (META), are rounded to ties (NVDA)."""
    equal = {end: pl.lit((1 if end[0] == "h" else -1) * int(end[3:]) / 50_000) for end in ENDS}
    rows = only("AAPL", mean=pl.lit(0.0), **equal)(rows)
    rows = only("META", **{end: pl.col("mean") for end in ENDS})(rows)
    return only("NVDA", **{name: pl.col(name).round(4) for name in ("mean", *ENDS)})(rows)


def two_strange_symbols(bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars in which AAPL never moves and META is missing on a day of the window."""
    still = only("AAPL", **dict.fromkeys(("open", "high", "low", "close"), pl.lit(100.0)))(bars)
    return still.filter((pl.col("symbol") != "META") | (pl.col("day") != DAYS[1]))


def same(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def made(folder: Path, method: str, *, answers: Change = same, bars: Change = same) -> dict[str, pl.DataFrame]:
    chosen = (*SETTINGS, f"calibration.method={method}")
    runtime = load_runtime(folder, *chosen, base=TINY)
    overriding = {
        "local_forecasters": Strange(honest=local_forecasters(runtime.settings), change=answers),
        "market_data": Spoilt(market=market_data(runtime), change=bars),
    }
    with road(folder, *chosen, base=TINY, overriding=overriding, pictures=False) as own:
        own.run(DAYS)
        tables = own.tables()
    everything = tables["calibration/forecasts"]
    told = (pl.col("calibration") != "none") | (pl.col("calibration_reason") != "")
    assert everything.select(told.all()).item()
    assert everything.select(pl.all_horizontal(pl.col(QUANTILES).is_finite().fill_null(True)).all()).item()
    assert tables["evaluation/forecast_diagnostics"].height > 0
    return tables


def last_day(tables: dict[str, pl.DataFrame], symbol: str) -> pl.DataFrame:
    found = tables["calibration/forecasts"].filter(pl.col("day") == DAYS[-1], symbol=symbol)
    assert found.height > 20
    return found


def test_equal_flat_and_tied_forecasts_are_calibrated_or_say_why(tmp_path: Path) -> None:
    tables = made(tmp_path, "affine", answers=three_strange_forecasters)
    assert set(last_day(tables, "AAPL")["calibration"]) == {"affine"}
    assert set(last_day(tables, "NVDA")["calibration"]) == {"affine"}
    flat = last_day(tables, "META")
    assert set(flat["calibration"]) == {"none"}
    assert flat["calibration_reason"].str.starts_with("no_width").all()
    notes = tables["calibration/calibration_models"].filter(symbol="AAPL")["note"].to_list()
    assert "slope kept at 1: all forecasts are equal" in notes


@pytest.mark.whole
def test_a_price_that_never_moves_and_a_missing_day_leave_the_others_calibrated(tmp_path: Path) -> None:
    tables = made(tmp_path, "affine", bars=two_strange_symbols)
    assert tables["forecasts/raw_forecasts"].filter(symbol="AAPL").is_empty()  # no sigma, no question
    assert DAYS[1] not in set(tables["calibration/forecasts"].filter(symbol="META")["day"])
    assert set(last_day(tables, "META")["calibration"]) == {"affine"}
    assert set(last_day(tables, "NVDA")["calibration"]) == {"affine"}


def test_an_infinite_band_is_refused_where_it_arrives(tmp_path: Path) -> None:
    with pytest.raises(
        RunFailed, match=r"forecasts/base_answers: table base_answers: rule hi_80_finite broken by \d+ rows"
    ):
        made(tmp_path, "affine", answers=infinite)

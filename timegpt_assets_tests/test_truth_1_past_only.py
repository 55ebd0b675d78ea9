"""Truth 1, past only: change every bar after a minute, and nothing known by then changes, in any asset, bit for bit.

Every forecaster's rows are looked at by themselves: one of whom nothing was known, or nothing changed, proves nothing.
News that is known later is changed in test_news_there_and_back.py.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from io import BytesIO

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.costs import PARTS
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets_tests import markets
from timegpt_assets_tests.markets import DAYS, Market
from timegpt_assets_tests.roads import BY_SEAT, SEATS, non_null
from timegpt_assets_tests.strategies import MINUTE, Changed

Tables = Mapping[str, pl.DataFrame]

LATE = DAYS[4:6]
"""Where minutes are drawn from: earlier sessions to trade in, a month's end before them, later ones to be changed."""
EXITS = ("exit_ts", "exit_price", "exit_reason", "gross_pnl", *PARTS, "cost", "net_pnl", "holding_min", "mae", "mfe")
"""Columns of a trade that are known when it ends; the others when the bar it enters at is."""
TRADED = ("backtest/trades", "backtest/book", "backtest/portfolio")
BEHIND_EMBARGO = -2
"""Sessions from a day to the last one its calibration may look at: one of embargo, and the day before that."""
PAID = "forecasts/answers"
NEVER_CHANGED = {
    "forecasts/snapshots": "the calendar alone makes them",
    PAID: "nobody is paid here: those on this machine answer in base_answers",
    "bars/quality_report": "the change keeps every bar, so the verdicts stand",
    "evaluation/backtest_runs": "counts sessions and their sources, which no price moves",
    **{f"gates/{n}": "counts prod, model and prod_live only: there are none to be measured here" for n in VERDICTS},
}


def closed(day: pl.Expr, sessions_later: int = 0) -> pl.Expr:
    """Return when the session of a day, or the one that many sessions later, has closed."""

    def close(days: pl.Series) -> pl.Series:
        return pl.Series(
            [calendar.session(calendar.shifted(d, sessions_later) if sessions_later else d).close for d in days],
            dtype=TIME,
        )

    return day.map_batches(close, return_dtype=TIME)


ENTERED = pl.col("entry_ts") + MINUTE
CLOCKS: Mapping[str, pl.Expr] = {
    "bars/raw_bars": pl.col("ts") + MINUTE,
    "bars/bars": pl.col("ts") + MINUTE,
    "bars/quality_report": closed(pl.col("day")),
    "features/market_context": pl.col("known_at"),
    "features/features": pl.col("known_at"),
    "features/panel": pl.col("known_at"),
    "features/labels": pl.col("target_ts"),
    "forecasts/snapshots": pl.lit(calendar.session(DAYS[0]).open, TIME),
    PAID: pl.col("snapshot_ts"),
    "forecasts/base_answers": pl.col("snapshot_ts"),
    "forecasts/raw_forecasts": pl.col("snapshot_ts"),
    "forecasts/outcomes": pl.col("target_ts"),
    "calibration/calibration_models": closed(pl.col("day"), BEHIND_EMBARGO),
    "calibration/forecasts": pl.col("snapshot_ts"),
    "evaluation/forecast_scores": pl.col("target_ts"),
    "evaluation/day_scores": pl.col("target_ts"),
    "gates/symbol_gates": closed(pl.col("day"), -1),
    **dict.fromkeys(TRADED, ENTERED),
    "backtest/funnel": closed(pl.col("day")),
    **{
        f"evaluation/{name}": closed(pl.col("as_of"))
        for name in (
            "forecast_diagnostics",
            "pit_reliability",
            "coverage_report",
            "interval_widths",
            "coverage_drift",
            "trading_scores",
            "cost_sensitivity",
            "stress_phases",
            "comparison",
            "oos_summary",
            "backtest_runs",
        )
    },
    **{f"gates/{name}": closed(pl.col("as_of")) for name in VERDICTS},
    "reports/report": closed(pl.col("as_of")),
}
"""Asset -> when a row of it is known (architecture.md, Clocks)."""


def pieces(tables: Tables, at: pl.Expr, *, known: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each asset's rows that are known by ``at``, or are not; of trades the entries, then the ends."""
    for asset, clock in CLOCKS.items():
        frame = tables[asset]
        entries = frame.drop(*EXITS) if asset in TRADED else frame
        yield asset, entries.filter((clock <= at) == known)
        if asset in TRADED:
            yield asset, frame.filter(pl.col("exit_ts").is_not_null(), (pl.col("exit_ts") <= at) == known)


def stored_bytes(frame: pl.DataFrame) -> bytes:
    """Return the frame as bytes: equal for equal bits only."""
    buffer = BytesIO()
    frame.write_parquet(buffer, statistics=False)
    return buffer.getvalue()


@pytest.fixture(scope="module", params=["synthetic", "real"])
def market(request: pytest.FixtureRequest) -> Market:
    return markets.synthetic() if request.param == "synthetic" else markets.real(request.getfixturevalue("real_data"))


@pytest.fixture(scope="module")
def as_it_was(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    with market.road(tmp_path_factory.mktemp("as_it_was")) as road:
        road.run(DAYS)
        return road.tables()


def test_the_clock_of_every_stored_asset_is_known_here(as_it_was: Tables) -> None:
    assert as_it_was.keys() == CLOCKS.keys()


def any_minute(_: Tables, draw: random.Random) -> datetime:
    """Return any minute of the late sessions but their first and last hour."""
    return markets.minute(draw.choice(LATE), draw.randrange(60, 331))


def minute_of_a_refusal(as_it_was: Tables, draw: random.Random) -> datetime:
    """Return the minute after trades met at one seat: one was refused, and nobody knows yet how the other will end."""
    refused = as_it_was["backtest/portfolio"].filter(
        pl.col("refused_by") == "position_limit", pl.col("day").is_in(LATE)
    )
    return draw.choice(refused["entry_ts"].to_list()) + MINUTE


@pytest.mark.parametrize(
    ("market", "drawn", "seed"),
    [
        ("real", any_minute, 1),
        ("synthetic", minute_of_a_refusal, 14),
        pytest.param("synthetic", any_minute, 1, marks=pytest.mark.whole),
        pytest.param("real", minute_of_a_refusal, 14, marks=pytest.mark.whole),
    ],
    indirect=["market"],
)
def test_bars_after_a_minute_change_nothing_that_was_known_by_then(
    market: Market,
    as_it_was: Tables,
    drawn: Callable[[Tables, random.Random], datetime],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    at = drawn(as_it_was, random.Random(seed))
    moved: dict[date, int] = {}
    with market.road(
        tmp_path_factory.mktemp("changed"),
        change=lambda bars: Changed(market=bars, after=at, seed=seed, moved=moved),
    ) as road:
        road.run(DAYS)
        otherwise = road.tables()
    assert sum(moved.values()) >= 1000

    compared = values_compared(as_it_was, otherwise, at)
    assert compared.total() >= 1000
    seats = {f"{asset} of {seat}" for asset in BY_SEAT for seat in SEATS}
    assert {asset for asset, values in compared.items() if values} == (CLOCKS.keys() | seats) - {PAID}
    ended = as_it_was["backtest/trades"].filter(pl.col("exit_ts") <= at)
    assert ended.height >= 30
    unmoved = (CLOCKS.keys() | seats) - changed_later(as_it_was, otherwise, at)
    assert unmoved <= NEVER_CHANGED.keys(), "nothing came of the change: it proves nothing of these"


def values_compared(as_it_was: Tables, otherwise: Tables, at: datetime) -> Counter[str]:
    """Return how many values of each asset and of each seat in it were known by ``at``: the same bits, as asserted."""
    compared: Counter[str] = Counter()
    both = (pieces(tables, pl.lit(at, TIME), known=True) for tables in (as_it_was, otherwise))
    for (asset, before), (_, after) in zip(*both, strict=True):
        told = f"{asset} knew of bars after {at} ({difference(before, after)})"
        assert stored_bytes(before) == stored_bytes(after), told
        compared[asset] += non_null(before)
        compared.update({name: non_null(own) for name, own in by_seat(asset, before)})
    return compared


def by_seat(asset: str, frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each seat's rows of an asset under ``asset of seat``; nothing of an asset that knows no forecasters."""
    if asset in BY_SEAT:
        yield from ((f"{asset} of {seat}", frame.filter(forecaster=seat)) for seat in SEATS)


def changed_later(as_it_was: Tables, otherwise: Tables, at: datetime) -> set[str]:
    """Return the assets, and the seats of each, of which something not yet known at ``at`` became another."""
    both = (pieces(tables, pl.lit(at, TIME), known=False) for tables in (as_it_was, otherwise))
    changed = set()
    for (asset, before), (_, after) in zip(*both, strict=True):
        parts = zip(by_seat(asset, before), by_seat(asset, after), strict=True)
        told = [(name, own, other) for (name, own), (_, other) in parts]
        for name, own, other in [(asset, before, after), *told]:
            changed |= {name} if stored_bytes(own) != stored_bytes(other) else set()
    return changed


def difference(before: pl.DataFrame, after: pl.DataFrame) -> str:
    """Return the first column and row in which two frames differ, in words."""
    if before.height != after.height:
        return f"{before.height} rows, then {after.height}"
    for name in before.columns:
        if before.columns == after.columns and not (same := before[name].eq_missing(after[name])).all():
            row = same.arg_min()
            return f"first in {name}: {before[name][row]}, then {after[name][row]}, of {before.row(row)[:5]}"
    return "columns, or bits that print alike"

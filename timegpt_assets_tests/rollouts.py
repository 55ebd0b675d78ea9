"""A house whose days are made by hand, for rollouts: what a session's tables hold, and a clock moved by hand.

Belongs here: making days. What must become of them is in the tests.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import books
from timegpt_assets.core.rollout import phases
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.columns import LADDER
from timegpt_assets.core.tables.evaluation import COVERAGE_DRIFT
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets.core.tables.models import FEATURE_DRIFT
from timegpt_assets.engine.rollout import Rollouts
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.core.backtest.test_portfolio import book
from timegpt_assets_tests.core.gates.made import SMOKE

SYMBOLS = tuple(f"S{n:02}" for n in range(20))
SEATS = ("ridge", "size", "zero", "climatology")
SETTINGS = (
    f"universe.tickers=[{', '.join(SYMBOLS)}]",
    "forecast.challengers=[zero, climatology, size]",
    "data.start_date=2024-12-02",
)
LAST_PRICE, SIGMA, ENTRIES = 100.0, 0.002, 2


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a session's tables say of a challenger; as it stands, nothing is wrong."""

    eligible: int = 15
    """Of 20 symbols."""
    answers: str = "baseline"
    """Its score_source; empty: it does not answer."""
    refused: int = 0
    """Of its signals."""
    slipped: float = 0.0
    """Sigma by which its entries were dearer than the control arm's."""
    alarms: tuple[str, ...] = ()
    """Forecasters whose 50 % bands ring."""
    psi: float | None = None
    """Of every feature, in the month up to the session."""


@cache
def settings(overrides: tuple[str, ...]) -> Settings:
    return load_settings(profile="demo", config_dir=None, overrides=overrides, environment={})


@dataclass
class House:
    """A house of 20 symbols at some time."""

    folder: Path
    name: str = "size"
    now: datetime = calendar.session(date(2024, 12, 2)).open
    overrides: tuple[str, ...] = SETTINGS
    sessions: list[date] = field(default_factory=list)

    @property
    def runtime(self) -> Runtime:
        return Runtime(settings=settings(self.overrides), root=self.folder, environment={}, clock=lambda: self.now)

    @property
    def rollouts(self) -> Rollouts:
        return Rollouts(runtime=self.runtime)

    @property
    def store(self) -> ParquetStore:
        return ParquetStore(self.runtime.storage)

    def at(self, day: date, hours: float) -> None:
        """Move the clock to so many hours after the session's open; negative: before it."""
        self.now = calendar.session(day).open + timedelta(hours=hours)

    def live(self, day: date) -> dict[str, str]:
        """Return symbol -> forecaster whose trades the book live holds on a session, as the asset makes it."""
        shares = phases.shares(self.rollouts.record.recorded(), [day])
        rows = books.with_books(trades(day, self.name, Session()), champion="ridge", shares=shares)
        live = rows.filter(book=books.LIVE).select("symbol", "forecaster").unique()
        assert live["symbol"].n_unique() == live.height, "a symbol of two forecasters"
        return dict(live.sort("symbol").iter_rows())

    def finish(self, day: date, session: Session = Session()) -> None:  # frozen
        """Store a session's tables at its end, and its month's."""
        self.at(day, 7)
        self.sessions.append(day)
        self.put("backtest/portfolio", day, portfolio(day, self.name, session))
        self.put("evaluation/day_scores", day, scores(day, self.name, session))
        self.put("gates/symbol_gates", day, gates(day, self.name, session))
        closes = trades(day, self.name, session).select("day", "symbol", "snapshot_ts").unique()
        bars = closes.select("day", "symbol", pl.col("snapshot_ts").dt.offset_by("-1m").alias("ts"), close=LAST_PRICE)
        self.put("bars/bars", day, bars)
        month = f"{day:%Y-%m}"
        known = self.store.read("evaluation/coverage_drift", [month], missing="ok", empty=COVERAGE_DRIFT.empty())
        known = known.filter(pl.col("day") != day)
        self.put("evaluation/coverage_drift", month, pl.concat([known, drift(day, session)]))
        if session.psi is not None:
            self.put("models/feature_drift", month, features(day, self.name, session.psi))

    def put(self, asset: str, key: date | str, frame: pl.DataFrame) -> None:
        self.store.write(asset, key, frame, facts={"*": {}})


@cache
def trades(day: date, name: str, session: Session) -> pl.DataFrame:
    """Return ridge's and the challenger's trades, two a symbol, without a book."""
    made: list[dict[str, Any]] = []
    for who in ("ridge", name):
        if who == name and not session.answers:
            continue
        slipped = session.slipped if who == name else 0.0
        for place, symbol in enumerate(SYMBOLS):
            for n in range(ENTRIES):
                noise = 0.2 * math.sin(97.0 * place + 31.0 * n + day.toordinal())  # what entries scatter by anyhow
                side = 1 - 2 * (place % 2)
                price = LAST_PRICE * math.exp(side * (slipped + noise) * SIGMA)
                made.append(
                    {"day": day, "symbol": symbol, "minute": 20 * n, "forecaster": who, "book": who, "sigma": SIGMA}
                    | {
                        "side": side,
                        "entry_price": price,
                        **SMOKE,
                        "score_source": session.answers if who == name else "baseline",
                    }
                )
    return book(*made).drop("book")


@cache
def portfolio(day: date, name: str, session: Session) -> pl.DataFrame:
    rows = books.with_books(trades(day, name, session), champion="ridge")
    place = pl.int_range(pl.len()).over("book")
    refused = (pl.col("book") == name) & (place < session.refused)
    by = pl.when(refused).then(pl.lit("position_limit")).otherwise(pl.lit(""))
    return PORTFOLIO.conformed(rows.with_columns(admitted=~refused, refused_by=by, whitelisted=pl.lit(False)))


@cache
def scores(day: date, name: str, session: Session) -> pl.DataFrame:
    source = {name: session.answers}
    rows = [
        {"day": day, "symbol": symbol, "forecaster": who, **SMOKE, "score_source": source.get(who, "baseline")}
        for symbol in SYMBOLS
        for who in ("ridge", name)
        if source.get(who, "baseline")
    ]
    return pl.DataFrame(rows)


@cache
def gates(day: date, name: str, session: Session) -> pl.DataFrame:
    base: Mapping[str, Any] = {"criterion": "eligibility", "n": 200, "bootstrap": "trade", "reason": ""}
    rows = [
        {"day": day, "symbol": symbol, "forecaster": name, **SMOKE, **base, "passed": place < session.eligible}
        | {"score_source": session.answers or "baseline"}
        | {"verdict": "eligible" if place < session.eligible else "ineligible"}
        for place, symbol in enumerate(SYMBOLS)
    ]
    return SYMBOL_GATES.conformed(pl.DataFrame(rows, schema=SYMBOL_GATES.schema))


@cache
def drift(day: date, session: Session, seats: Sequence[str] = (*SEATS, LADDER[0])) -> pl.DataFrame:
    base: dict[str, Any] = {"month": f"{day:%Y-%m}", "as_of": day, "day": day, "symbol": "*", "stage": "calibrated"}
    rows = [
        {**base, "forecaster": who, **SMOKE, "level": level, "n": 300}
        | {"coverage": 0.41 if who in session.alarms else 0.5, "alarm": who in session.alarms and level == 50}
        for who in seats
        for level in (50, 80)
    ]
    return COVERAGE_DRIFT.conformed(pl.DataFrame(rows, schema=COVERAGE_DRIFT.schema))


def features(day: date, name: str, psi: float) -> pl.DataFrame:
    base: dict[str, Any] = {"month": f"{day:%Y-%m}", "as_of": day, "forecaster": name, "threshold": 0.25, "n": 5000}
    rows = [
        {**base, "feature": f"f{n}", "psi": psi * (1 + n / 100), "drifted": psi * (1 + n / 100) > 0.25}
        for n in range(5)
    ]
    return FEATURE_DRIFT.conformed(pl.DataFrame(rows, schema=FEATURE_DRIFT.schema))


def copied(house: House, folder: Path) -> House:
    """Return the house as it stands now, in another folder."""
    shutil.copytree(house.folder, folder)
    return replace(house, folder=folder, sessions=list(house.sessions))

"""The month's verdict on forecasts: each symbol's criteria, and what promotion asks of all symbols together.

Belongs here: what is asked of forecasts. Their figures are those of the diagnostics and of the comparison.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from statistics import median
from typing import Any

import polars as pl

from timegpt_assets.core.gates import counted, criteria, references
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.columns import WILDCARD


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastGate:
    """What each symbol's forecasts must show in a month."""

    min_forecasts: int
    rmae_lt: float
    rrmse_lt: float
    coverage_tol: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion asks of forecasts, all symbols together."""

    pit_dev_max: float
    rmae_max: float
    dm_p_lt: float


def forecast_gate(
    diagnostics: pl.DataFrame,
    comparison: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    symbols: Collection[str],
    forecasters: Collection[str],
    gate: ForecastGate,
    promotion: Promotion,
) -> pl.DataFrame:
    """Return GATES of each forecaster, of those asked for (who are seated) and those seen.

    Each symbol's criteria, whether any symbol passed, and promotion's criteria on forecasts. Counts calibrated prod +
    model + prod_live forecasts only; promotion judges medians over all the symbols, and the rows of the comparison with
    what references answered in prod, all symbols pooled.
    """
    rows = [
        {"forecaster": name, **row}
        for name in sorted({*forecasters, *diagnostics["forecaster"]})
        for row in _forecast_rows(
            name, diagnostics.filter(forecaster=name), comparison.filter(forecaster=name), symbols, forecasters,
            gate, promotion,
        )
    ]  # fmt: skip
    return counted.stamped(rows, month, as_of)


def _forecast_rows(
    name: str,
    diagnostics: pl.DataFrame,
    comparison: pl.DataFrame,
    symbols: Collection[str],
    forecasters: Collection[str],
    gate: ForecastGate,
    promotion: Promotion,
) -> list[dict[str, Any]]:
    live, found = counted.live(diagnostics.filter(stage="calibrated"))
    measured = {row["symbol"]: row for row in live.iter_rows(named=True)}
    asked, instead = sorted(set(symbols)), found.get(WILDCARD, "")
    judged = {symbol: _forecast_criteria(measured.get(symbol), gate, found.get(symbol, "")) for symbol in asked}
    passing = sum(all(row["passed"] for row in rows) for rows in judged.values())
    any_passed = criteria.judged("symbols_passed", Estimate(passing), ">=", 1, Evidence(n=len(asked), needed=1))
    of_promotion = [
        *_medians([measured.get(symbol) for symbol in asked], gate, promotion, instead),
        *references.judged(
            references.met_by(comparison.filter(symbol=WILDCARD, **LIVE), run_source=LIVE["run_source"]),
            own=name,
            seated=forecasters,
            needed=gate.min_forecasts,
            found=instead,
            p_below=promotion.dm_p_lt,
        ),
    ]
    return [
        *({"gate": "forecast_gate", "symbol": symbol, **row} for symbol, rows in judged.items() for row in rows),
        {"gate": "forecast_gate", "symbol": WILDCARD, **any_passed},
        *({"gate": "promotion", "symbol": WILDCARD, **row} for row in of_promotion),
    ]


def _forecast_criteria(measured: Mapping[str, Any] | None, gate: ForecastGate, found: str) -> list[dict[str, Any]]:
    ratio = partial(criteria.ratio, measured, needed=gate.min_forecasts, found=found)
    return [
        ratio("rmae", below=gate.rmae_lt),
        ratio("rrmse", below=gate.rrmse_lt),
        criteria.coverage(measured, tolerance=gate.coverage_tol, needed=gate.min_forecasts, found=found),
    ]


def _medians(
    symbols: Sequence[Mapping[str, Any] | None], gate: ForecastGate, asked: Promotion, found: str
) -> list[dict[str, Any]]:
    """Return promotion's medians over the symbols, resting on the one seen least (0 for one never seen)."""
    least = Evidence(
        n=min((row["n"] if row else 0 for row in symbols), default=0), needed=gate.min_forecasts, found=found
    )
    return [
        criteria.judged(f"median_{name}", Estimate(_median(symbols, name)), "<=", limit, least)
        for name, limit in (("pit_deviation", asked.pit_dev_max), ("rmae", asked.rmae_max))
    ]


def _median(symbols: Sequence[Mapping[str, Any] | None], name: str) -> float | None:
    """Return the median of a column over the symbols; None when it is undefined for one of them."""
    known = [row[name] for row in symbols if row and row[name] is not None]
    return median(known) if known and len(known) == len(symbols) else None

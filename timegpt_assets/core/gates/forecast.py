"""The month's verdict on forecasts: each symbol's criteria, and what promotion asks of all symbols together.

Belongs here: what is asked of forecasts. Their figures are those of diagnostics, comparison and interval widths.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from statistics import median
from typing import Any

import polars as pl

from timegpt_assets.core.gates import counted, criteria, references
from timegpt_assets.core.gates.counted import Counted
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import INSUFFICIENT

ZERO = "zero"
"""The reference whose errors over persistence's stand beside those of everybody."""
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastGate:
    """What each symbol's forecasts must show in a month."""

    min_forecasts: int
    rmae_lt: float
    rrmse_lt: float
    coverage_tol: float
    width_spearman_gt: float
    """Rank correlation of band width and volatility over the tenths of volatility."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion asks of forecasts, all symbols together."""

    pit_dev_max: float
    rmae_max: float
    dm_p_lt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a month measured of forecasts."""

    diagnostics: pl.DataFrame
    comparison: pl.DataFrame
    widths: pl.DataFrame

    def of(self, **origin: str) -> "Measured":
        """Return the rows of one origin, or of one forecaster."""
        return Measured(
            diagnostics=self.diagnostics.filter(**origin),
            comparison=self.comparison.filter(**origin),
            widths=self.widths.filter(**origin),
        )


def forecast_gate(
    measured: Measured,
    *,
    month: str,
    as_of: date,
    symbols: Collection[str],
    forecasters: Collection[str],
    judged: Counted,
    gate: ForecastGate,
    promotion: Promotion,
) -> pl.DataFrame:
    """Return GATES of each forecaster, of those asked for (who are seated) and those seen, each triple by itself.

    Each symbol's criteria, whether any symbol passed, and promotion's criteria on forecasts. Counts calibrated
    forecasts of the triples that are judged; promotion judges medians over all the symbols, and the rows of the
    comparison with what references answered on the same road, all symbols pooled.
    """
    rows = [
        {"forecaster": name, **triple, **row}
        for name in sorted({*forecasters, *measured.diagnostics["forecaster"]})
        for triple in judged.triples()
        for row in _rows(name, triple, measured.of(forecaster=name), symbols, forecasters, gate, promotion)
    ]
    return counted.stamped(rows, month, as_of)


def _rows(
    name: str,
    triple: Mapping[str, str],
    measured: Measured,
    symbols: Collection[str],
    forecasters: Collection[str],
    gate: ForecastGate,
    promotion: Promotion,
) -> Iterator[dict[str, Any]]:
    calibrated, found = counted.of(measured.diagnostics.filter(stage="calibrated"), triple)
    own, of_symbols = measured.of(**triple), {row["symbol"]: row for row in calibrated.iter_rows(named=True)}
    beside = {symbol: _zero(name, symbol, own.comparison, of_symbols, triple) for symbol in symbols}
    passing, enough, asked = 0, 0, sorted(set(symbols))
    for symbol in asked:
        widths = own.widths.filter(symbol=symbol, stage="calibrated").sort("decile")
        judged = _criteria(of_symbols.get(symbol), beside[symbol], widths, gate, found.get(symbol, ""))
        passing += all(row["passed"] for row in judged)
        enough += not any(row["reason"].startswith(INSUFFICIENT) for row in judged)
        yield from ({"gate": "forecast_gate", "symbol": symbol, **row} for row in judged)
    seen = Evidence(n=enough, needed=1, unit="symbols with enough of everything")
    any_passed = criteria.judged("symbols_passed", Estimate(passing), ">=", 1, seen)
    yield {"gate": "forecast_gate", "symbol": WILDCARD, **any_passed}
    instead = found.get(WILDCARD, "")
    beaten = references.judged(
        references.met_by(own.comparison.filter(symbol=WILDCARD), run_source=triple["run_source"]),
        own=name,
        seated=forecasters,
        needed=gate.min_forecasts,
        found=instead,
        p_below=promotion.dm_p_lt,
    )
    medians = _medians([of_symbols.get(symbol) for symbol in asked], list(beside.values()), gate, promotion, instead)
    yield from ({"gate": "promotion", "symbol": WILDCARD, **row} for row in (*medians, *beaten))


def _zero(
    name: str, symbol: str, compared: pl.DataFrame, of_symbols: Mapping[str, _Row], triple: Mapping[str, str]
) -> _Row | None:
    """Return the own and zero's errors over persistence's on their common rows, as COMPARISON names them."""
    if name != ZERO:
        return references.met_by(compared.filter(symbol=symbol), run_source=triple["run_source"]).get(ZERO)
    own = of_symbols.get(symbol)
    both = (
        {f"{side}{ratio}_last": own[ratio] for side in ("", "against_") for ratio in ("rmae", "rrmse")} if own else {}
    )
    return {"n": own["n"], **both} if own else None


def _criteria(
    measured: _Row | None, zero: _Row | None, widths: pl.DataFrame, gate: ForecastGate, found: str
) -> list[dict[str, Any]]:
    ratio = partial(criteria.ratio, measured, needed=gate.min_forecasts, found=found)
    seen = Evidence(n=measured["n"] if measured else 0, needed=gate.min_forecasts, found=found)
    wider = Evidence(n=int(widths["n"].sum()), needed=gate.min_forecasts, found=found)
    crossed = measured["crossed"] if measured else None
    return [
        criteria.beating(ratio("rmae", below=gate.rmae_lt), zero, ZERO),
        criteria.beating(ratio("rrmse", below=gate.rrmse_lt), zero, ZERO),
        criteria.coverage(measured, tolerance=gate.coverage_tol, needed=gate.min_forecasts, found=found),
        criteria.judged("width_spearman", Estimate(_rank_correlation(widths)), ">", gate.width_spearman_gt, wider),
        criteria.judged("crossed_quantiles", Estimate(crossed), "<=", 0, seen),
    ]


def _rank_correlation(widths: pl.DataFrame) -> float | None:
    """Return Spearman's coefficient of tenths of volatility and the median widths in them; None of equal widths."""
    known = widths.drop_nulls("median_width_50")
    if known["median_width_50"].n_unique() < 2:
        return None
    return float(known.select(pl.corr("decile", "median_width_50", method="spearman")).item())


def _medians(
    symbols: Sequence[_Row | None], beside: Sequence[_Row | None], gate: ForecastGate, asked: Promotion, found: str
) -> list[dict[str, Any]]:
    """Return promotion's medians over the symbols, resting on the one seen least (0 for one never seen)."""
    least = Evidence(
        n=min((row["n"] if row else 0 for row in symbols), default=0), needed=gate.min_forecasts, found=found
    )
    deviation, rmae = (_median(symbols, name) for name in ("pit_deviation", "rmae"))
    return [
        criteria.judged("median_pit_deviation", Estimate(deviation), "<=", asked.pit_dev_max, least),
        criteria.judged("median_rmae", Estimate(rmae), "<=", asked.rmae_max, least)
        | {"zero": _median(beside, "against_rmae_last")},
    ]


def _median(symbols: Sequence[_Row | None], name: str) -> float | None:
    """Return the median of a column over the symbols; None when it is undefined for one of them."""
    known = [row[name] for row in symbols if row and row[name] is not None]
    return median(known) if known and len(known) == len(symbols) else None

"""Verdicts: what was measured against what is asked, one row per criterion, each with its reason.

Belongs here: eligibility of a symbol on a day, the monthly gates and promotion. Nothing is measured here that the
metrics do not measure; whatever was seen too seldom is insufficient_observation, never a pass.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from statistics import median
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation import forecast
from timegpt_assets.core.gates import criteria, references
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.columns import ORIGIN_KEY, SOURCE_KEY, WILDCARD
from timegpt_assets.core.tables.gates import GATES, INSUFFICIENT, SYMBOL_GATES

LIVE = {"score_source": "model", "run_source": "prod", "data_regime": "prod_live"}
"""The only source triple that monthly gates and promotion count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """What a symbol must show before it is traded."""

    lookback_sessions: int
    min_forecasts: int
    rmae_lt: float
    rrmse_lt: float
    coverage_tol: float
    bootstrap: str
    """trade or block: what insufficient_observation means for trading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastGate:
    """What each symbol's forecasts must show in a month."""

    min_forecasts: int
    rmae_lt: float
    rrmse_lt: float
    coverage_tol: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingGate:
    """What the account must show in a month."""

    min_observation_days: int
    min_completed_runs: int
    oos_sharpe_gte: float
    hit_rate_gte: float
    stress_multiplier: float
    """Cost multiplier at which P&L is judged."""
    stressed_pnl_gte: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion asks beyond both gates."""

    pit_dev_max: float
    rmae_max: float
    dm_p_lt: float
    oos_sharpe_gte: float
    sharpe_cost_multiplier: float
    stressed_pnl_gt: float
    pnl_cost_multiplier: float
    min_observation_days: int
    sharpe_daily_gte: float
    max_drawdown_lte: float
    reject_rate_lte: float
    """Share of signals that the portfolio's limits refused."""


def symbol_gates(
    scores: pl.DataFrame, *, day: date, symbols: Collection[str], forecasters: Collection[str], eligibility: Eligibility
) -> pl.DataFrame:
    """Return SYMBOL_GATES of ``day``: for each symbol and origin one row per criterion and one verdict row.

    Only scores of the ``lookback_sessions`` before ``day`` are read, whatever is handed in. ``forecasters`` are those
    seated. The verdict row has the criterion ``eligibility``; a symbol without scores has one of origin ``*``.
    """
    first = calendar.shifted(day, -eligibility.lookback_sessions)
    # Left-closed: a verdict on which trades of today may enter must not hear of today.
    own = scores.filter(pl.col("day").is_between(first, day, closed="left"), pl.col("label_aligned"))
    met = references.met_in(own.filter(pl.col("symbol").is_in(list(symbols))))
    rows = [row for symbol in sorted(set(symbols)) for row in _symbol_rows(own, symbol, met, forecasters, eligibility)]
    stamped = [row | {"day": day, "bootstrap": eligibility.bootstrap} for row in rows]
    return SYMBOL_GATES.conformed(pl.DataFrame(stamped, schema=SYMBOL_GATES.schema))


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
    return _gates(rows, month, as_of)


def _forecast_rows(
    name: str,
    diagnostics: pl.DataFrame,
    comparison: pl.DataFrame,
    symbols: Collection[str],
    forecasters: Collection[str],
    gate: ForecastGate,
    promotion: Promotion,
) -> list[dict[str, Any]]:
    live, found = _live(diagnostics.filter(stage="calibrated"))
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


def trading_gate(
    trading_scores: pl.DataFrame,
    cost_sensitivity: pl.DataFrame,
    oos_summary: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    books: Collection[str],
    completed_runs: int,
    gate: TradingGate,
    promotion: Promotion,
) -> pl.DataFrame:
    """Return GATES of each book, of those asked for and those seen; ``forecaster`` is the book's name.

    Its criteria and promotion's criteria on trading, prod + model + prod_live only. ``completed_runs``: trading days
    with a complete portfolio in the window. Raises ValueError when the figures at a cost multiplier that is judged were
    not computed.
    """
    frames = (trading_scores, cost_sensitivity, oos_summary)
    rows = [
        {"forecaster": name, **row}
        for name in sorted({*books, *trading_scores["book"]})
        for row in _trading_rows([frame.filter(book=name) for frame in frames], completed_runs, gate, promotion)
    ]
    return _gates(rows, month, as_of)


def _trading_rows(
    frames: Sequence[pl.DataFrame], completed_runs: int, gate: TradingGate, promotion: Promotion
) -> list[dict[str, Any]]:
    trading_scores, cost_sensitivity, oos_summary = frames
    live, names = _live(trading_scores.filter(symbol=WILDCARD))
    found, base = names.get(WILDCARD, ""), live.row(0, named=True) if live.height else None
    stressed = _at(cost_sensitivity, gate.stress_multiplier)
    promoted = _at(cost_sensitivity, promotion.pnl_cost_multiplier)
    dear = _at(oos_summary, promotion.sharpe_cost_multiplier)
    dear_sharpe = f"oos_sharpe_at_{promotion.sharpe_cost_multiplier:g}x_costs"
    days = Evidence(
        n=base["observation_days"] if base else 0, needed=gate.min_observation_days, unit="days", found=found
    )  # fmt: skip
    runs = Evidence(n=completed_runs, needed=gate.min_completed_runs, unit="completed runs")
    figure = partial(criteria.figure, needed=gate.min_observation_days, found=found)
    # At costs as they are: dearer ones are asked of P&L, and of this by promotion.
    oos = _at(oos_summary, 1.0)
    least = gate.stressed_pnl_gte
    of_gate = [
        criteria.count("observation_days", days),
        criteria.count("completed_runs", runs),
        figure(oos, "sharpe_daily", criterion="oos_sharpe", relation=">=", threshold=gate.oos_sharpe_gte),
        figure(base, "hit_rate", criterion="hit_rate", relation=">=", threshold=gate.hit_rate_gte),
        figure(stressed, "net_pnl", criterion=_pnl_at(gate.stress_multiplier), relation=">=", threshold=least),
    ]
    of_promotion = [
        figure(dear, "sharpe_daily", criterion=dear_sharpe, relation=">=", threshold=promotion.oos_sharpe_gte),
        figure(
            promoted,
            "net_pnl",
            criterion=_pnl_at(promotion.pnl_cost_multiplier),
            relation=">",
            threshold=promotion.stressed_pnl_gt,
        ),
        *_hard_criteria(base, promotion, found),
    ]
    return [
        *({"gate": "trading_gate", "symbol": WILDCARD, **row} for row in of_gate),
        *({"gate": "promotion", "symbol": WILDCARD, **row} for row in of_promotion),
    ]


def _pnl_at(multiplier: float) -> str:
    return f"pnl_at_{multiplier:g}x_costs"


def _hard_criteria(base: Mapping[str, Any] | None, asked: Promotion, found: str) -> list[dict[str, Any]]:
    """Return the rows of what nothing is promoted without: enough days, and risk within its bounds on them."""
    days = Evidence(
        n=base["observation_days"] if base else 0, needed=asked.min_observation_days, unit="days", found=found
    )
    measured = {name: Estimate(base[name] if base else None) for name in ("max_drawdown", "reject_rate")}
    return [
        criteria.count("observation_days", days),
        criteria.judged("sharpe_daily", criteria.estimate(base, "sharpe_daily"), ">=", asked.sharpe_daily_gte, days),
        criteria.judged("max_drawdown", measured["max_drawdown"], "<=", asked.max_drawdown_lte, days),
        criteria.judged("reject_rate", measured["reject_rate"], "<=", asked.reject_rate_lte, days),
    ]


def promotion(
    forecast_gate: pl.DataFrame,
    trading_gate: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    champion: str,
    withheld: str = "",
) -> pl.DataFrame:
    """Return GATES: the account's verdict (``*``) and each symbol's, from the champion's rows of both gates.

    The account is promoted when every ``*`` row passed; a symbol when the account is and all its own rows passed.
    ``value`` counts the criteria passed, ``threshold`` all of them; the reason names the others. ``withheld`` says why
    nothing may be promoted, whatever passed.
    """
    columns = list(GATES.columns)
    judged = pl.concat([forecast_gate.select(columns), trading_gate.select(columns)]).filter(forecaster=champion)
    rows = []
    for symbol in [WILDCARD, *sorted(set(judged["symbol"]) - {WILDCARD})]:
        own = judged.filter(pl.col("symbol").is_in([WILDCARD, symbol]))
        failed = own.filter(~pl.col("passed")).sort("gate", "symbol", "criterion")
        names = ", ".join(f"{gate}.{criterion}" for gate, criterion in failed.select("gate", "criterion").iter_rows())
        reason = withheld or (f"not passed: {names}" if names else "all passed")
        counts = {"value": float(own.height - failed.height), "threshold": float(own.height), "n": own.height}
        passed = bool(own.height) and failed.is_empty() and not withheld
        verdict = {"criterion": "promoted", "passed": passed, "reason": reason}
        rows.append({"forecaster": champion, "gate": "promotion", "symbol": symbol, **counts, **verdict})
    return _gates(rows, month, as_of)


def _symbol_rows(
    scores: pl.DataFrame,
    symbol: str,
    met: Mapping[tuple[str, ...], references.Met],
    forecasters: Collection[str],
    eligibility: Eligibility,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one symbol: for each origin its criteria and the verdict they add up to."""
    own = scores.filter(symbol=symbol)
    if own.is_empty():
        evidence = Evidence(n=0, needed=eligibility.min_forecasts)
        verdict = {"verdict": INSUFFICIENT, "symbol": symbol} | dict.fromkeys(ORIGIN_KEY, WILDCARD)
        yield criteria.count("eligibility", evidence) | verdict
    for key in sorted(own.select(ORIGIN_KEY).unique().iter_rows()):
        origin = dict(zip(ORIGIN_KEY, key, strict=True))
        measured = forecast.summary(own.filter(**origin), "calibrated")
        beaten = references.judged(
            met.get((symbol, *key), {}),
            own=origin["forecaster"],
            seated=forecasters,
            needed=eligibility.min_forecasts,
        )
        judged = [*_eligibility_criteria(measured, eligibility), *beaten]
        verdict = {"verdict": _verdict(judged), "symbol": symbol} | origin
        for row in (*judged, _summed(judged, measured["n"])):
            yield row | verdict


def _summed(judged: Sequence[Mapping[str, Any]], n: Any) -> dict[str, Any]:
    """Return the verdict row: how many criteria passed, and which did not."""
    failed = [row["criterion"] for row in judged if not row["passed"]]
    reason = f"{_verdict(judged)}: not passed: {', '.join(failed)}" if failed else "eligible: all passed"
    counts = {"value": float(len(judged) - len(failed)), "threshold": float(len(judged)), "n": n}
    return {"criterion": "eligibility", "passed": not failed, "reason": reason, **counts}


def _verdict(judged: Sequence[Mapping[str, Any]]) -> str:
    """Return eligible, ineligible or insufficient_observation: nothing is refused on too little evidence."""
    if any(row["reason"].startswith(INSUFFICIENT) for row in judged):
        return INSUFFICIENT
    return "eligible" if all(row["passed"] for row in judged) else "ineligible"


def _eligibility_criteria(measured: Mapping[str, Any], asked: Eligibility) -> list[dict[str, Any]]:
    ratio = partial(criteria.ratio, measured, needed=asked.min_forecasts, found="")
    return [
        ratio("rmae", below=asked.rmae_lt),
        ratio("rrmse", below=asked.rrmse_lt),
        criteria.coverage(measured, tolerance=asked.coverage_tol, needed=asked.min_forecasts, found=""),
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


def _live(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the rows that count and, for each symbol that has none, what was found instead."""
    live = frame.filter(**LIVE)
    others = frame.join(live.select("symbol"), on="symbol", how="anti").sort("symbol", *SOURCE_KEY)
    found: dict[str, list[str]] = {}
    for symbol, *triple in others.select("symbol", *SOURCE_KEY).iter_rows():
        found.setdefault(symbol, []).append("+".join(triple))
    wanted = "+".join(LIVE.values())
    return live, {symbol: f": none is {wanted}, found {', '.join(names)}" for symbol, names in found.items()}


def _at(frame: pl.DataFrame, multiplier: float) -> dict[str, Any] | None:
    """Return the live row at a cost multiplier, or None. Raises ValueError when the multiplier was not computed."""
    if frame.height and multiplier not in set(frame["cost_multiplier"]):
        raise ValueError(f"no figures at {multiplier:g}x costs. Add {multiplier:g} to backtest.cost_multipliers.")
    live = frame.filter(pl.col("cost_multiplier") == multiplier, **LIVE)
    return live.row(0, named=True) if live.height else None


def _gates(rows: Sequence[Mapping[str, Any]], month: str, as_of: date) -> pl.DataFrame:
    stamped = [{**LIVE, **row, "month": month, "as_of": as_of} for row in rows]
    return GATES.conformed(pl.DataFrame(stamped, schema=GATES.schema))

"""What assets log of their work: who is asked, what came of each snapshot, what was out of order, what was traded.

Belongs here: events and their fields. Form and files are adapters/stage_logs.py.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from timegpt_assets.adapters.call_errors import CallError, KeyRefused
from timegpt_assets.adapters.forecaster import ForecastResult
from timegpt_assets.adapters.stage_logs import stage_log
from timegpt_assets.config.forecasting import Forecast

OF_FORECASTS = "forecast_gate"
"""The table whose verdicts are about forecasts: their lines are in forecast.log, all others in backtest.log."""
BACKENDS: Mapping[str, str] = {"nixtla": "NixtlaTimeGPTBackend", "baseline": "LocalBaselineBackend"}
"""``forecast.backend`` -> the name under which the log says who is asked."""


def backend(forecast: Forecast, *, run: str) -> None:
    """Log who is asked: a run that asks somebody else than was meant shows in its first line."""
    said = {"backend": forecast.backend, "model": forecast.model, "api_mode": forecast.api_mode}
    stage_log("forecast").info(f"Using forecast backend={BACKENDS[forecast.backend]}", run=run, **said)


def answered(result: ForecastResult, *, day: str, run: str, forecast: Forecast) -> None:
    """Log each snapshot of a day with the series that were answered, then the day with its calls."""
    log = stage_log("forecast")
    asked = {"run": run, "day": day, "backend": forecast.backend, "h": forecast.horizon_min}
    counted = result.rows.group_by("snapshot_ts").agg(pl.col("symbol", "request_hash").unique())
    for at, symbols, hashes in counted.sort("snapshot_ts").iter_rows():
        series = {"symbol": sorted(symbols), "series": len(symbols), "quantiles": list(forecast.quantiles)}
        calls = {"requests": len(hashes), "calls_used": sum(result.calls.get(one, 0) for one in hashes)}
        log.info("snapshot answered", **asked, snapshot=str(at), **series, **calls)
    spent = {"calls_used": result.sent, "calls_cached": result.cached, "cache_hits": result.notes["cache_hits"]}
    log.info("day answered", **asked, **spent, seconds=[round(s, 3) for s in result.seconds], **_left_out(result))


def refused(error: CallError, *, day: str, run: str) -> None:
    """Log why a day was not answered; the words of the error are those a person is told."""
    event = "Invalid API key" if isinstance(error, KeyRefused) else "day not answered"
    stage_log("forecast").error(event, run=run, day=day, error=type(error).__name__, why=str(error))


def crossed(forecasts: pl.DataFrame, *, run: str) -> None:
    """Log whose quantiles crossed when they were answered, by day and symbol; they are stored in order."""
    broken = forecasts.filter(pl.col("crossings") > 0).group_by("day", "symbol", "forecaster").len()
    for day, symbol, forecaster, snapshots in broken.sort("day", "symbol", "forecaster").iter_rows():
        about = {"run": run, "day": str(day), "symbol": symbol, "forecaster": forecaster, "snapshots": snapshots}
        stage_log("forecast").warning("quantiles crossed", **about)


def traded(portfolio: pl.DataFrame, *, days: Sequence[object], run: str) -> None:
    """Log of each day and book how many trades were admitted and what they earned, and of a day without any, that."""
    log = stage_log("backtest")
    counted = portfolio.group_by("day", "book").agg(
        pl.len(), pl.col("admitted").sum(), pl.col("net_pnl").filter("admitted").sum()
    )
    for day, book, trades, admitted, earned in counted.sort("day", "book").iter_rows():
        log.info("book", run=run, day=str(day), book=book, trades=trades, admitted=admitted, net_pnl=earned)
    silent = {str(day) for day in days} - {str(day) for day in counted["day"]}
    for day in sorted(silent):
        log.info("no signal", run=run, day=day)


def judged(verdicts: pl.DataFrame, *, table: str, run: str) -> None:
    """Log of each month and gate whose forecasts or book passed, and of the others what they were refused for."""
    log = stage_log("forecast" if table == OF_FORECASTS else "backtest")
    by = ["month", "gate", "forecaster"]
    refused = pl.col("criterion").filter(~pl.col("passed")).unique().sort()
    for month, gate, forecaster, criteria in verdicts.group_by(by).agg(refused).sort(by).iter_rows():
        about = {"run": run, "month": month, "table": table, "gate": gate, "forecaster": forecaster}
        if criteria:
            log.warning("gate refused", **about, criteria=criteria)
        else:
            log.info("gate passed", **about)


def swept(combinations: int, *, days: Sequence[object], engine: str, run: str) -> None:
    """Log what a sweep tried on which sessions."""
    span = {"first_day": str(days[0]), "last_day": str(days[-1])}
    stage_log("sweep").info("swept", run=run, **span, combinations=combinations, engine=engine)


def _left_out(result: ForecastResult) -> dict[str, object]:
    return {"left_out": dict(result.left_out)} if result.left_out else {}

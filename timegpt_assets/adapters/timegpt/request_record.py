"""What is sent of one moment and what is remembered of it: the frame's share of a request, as values and as a record.

Belongs here: which rows of a frame go out, and the record that later makes the answer's rows without the frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import polars as pl

from timegpt_assets.adapters.call_errors import UnusableInput
from timegpt_assets.adapters.timegpt.request_index import Size
from timegpt_assets.adapters.timegpt.sdk import SdkRequests
from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.quantiles import series

RUN_SOURCES = {"demo": "smoke", "dev": "maintenance", "offline": "maintenance", "prod": "prod"}
SINGLE, BULK = "forecast", "cross_validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One request of a frame: its key in the index, and the frame of the symbols it is about."""

    snapshot_key: str
    frame: Frame
    is_answered: bool


def about(frame: Frame) -> str:
    """Return the name of a frame in messages."""
    if not frame.windows:
        return f"snapshot {frame.snapshot_ts.isoformat()} of {frame.day}"
    return f"{len(frame.windows)} snapshots up to {frame.snapshot_ts.isoformat()} of {frame.day}"


def kind(frame: Frame) -> str:
    """Return how the frame is asked: one forecast, or all snapshots of a session by cross-validation."""
    return BULK if frame.windows else SINGLE


def sendable(frame: Frame, params: tuple[int, int], *, has_bands: bool, size: Size) -> pl.DataFrame:
    """Return what the provider will read of the frame: the SDK trims to these rows too, only later and slower.

    Fewer rows, the latest ones, where more would pass the size of a request. Raises UnusableInput.
    """
    input_size, horizon = params
    rows = 3 * input_size + max(horizon, frame.horizon_min) if has_bands else input_size
    if frame.windows:
        rows += frame.windows_asked * frame.horizon_min
    sent = series(frame, input_rows=min(rows, size.rows(frame.sigma.height)))
    numbers = [name for name in sent.columns if name not in ("symbol", "ds")]
    for name in numbers:
        if not (bad := sent.filter(~pl.col(name).is_finite().fill_null(False))).is_empty():
            symbol, ds, value = bad.select("symbol", "ds", name).row(0)
            raise UnusableInput(
                f"{about(frame)}: {name} of {symbol} at {ds} is {value}. Mend framing: only finite {name} may be sent."
            )
    return sent


def composed(
    sdk_requests: SdkRequests,
    frame: Frame,
    sent: pl.DataFrame,
    *,
    model: str,
    levels: tuple[int, ...],
    params: tuple[int, int],
) -> httpx.Request:
    """Return the SDK's request for the rows, without the API key."""
    asked: dict[str, Any] = {"h": frame.horizon_min, "model": model, "levels": levels, "params": params}
    asked["historic"] = frame.exogenous.historic
    if frame.windows:
        return sdk_requests.cross_validation(sent, n_windows=frame.windows_asked, **asked)
    return sdk_requests.forecast(sent, ahead=frame.ahead if frame.exogenous.future else None, **asked)


def remembered(share: Share, sent: pl.DataFrame) -> dict[str, Any]:
    """Return what the answer's rows will need of the moment, as plain JSON values."""
    frame = share.frame
    spans = sent.group_by("symbol").agg(reach=pl.col("y").abs().max(), spread=pl.col("y").std()).sort("symbol")
    record = {
        "snapshot_key": share.snapshot_key,
        "kind": kind(frame),
        "day": frame.day.isoformat(),
        "snapshot_ts": frame.snapshot_ts.isoformat(),
        "horizon_min": frame.horizon_min,
        "symbols": spans["symbol"].to_list(),
        "reach": [float(v) for v in spans["reach"]],
        "spread": [float(v or 0.0) for v in spans["spread"]],
        "left_out": dict(frame.left_out),
        "effective_history_rows": sent.height,
        **_scales(frame, spans["symbol"].to_list()),
    }
    if frame.windows:
        record["windows"] = [
            {"snapshot_ts": w.snapshot_ts.isoformat(), **_scales(w, sorted(w.sigma["symbol"]), named=True)}
            for w in frame.windows
        ]
        record["n_windows"] = frame.windows_asked
    return record


def _scales(frame: Frame, symbols: list[str], *, named: bool = False) -> dict[str, Any]:
    found = {row["symbol"]: row for row in frame.sigma.iter_rows(named=True)}
    ours = [symbol for symbol in symbols if symbol in found] if named else symbols
    scales = {name: [found[symbol][name] for symbol in ours] for name in ("sigma", "target_scale")}
    return {"symbols": ours, **scales} if named else scales


def sources(frame: Frame, asked_at: datetime, *, profile: str, is_trusted: bool) -> Mapping[str, str]:
    """Return the three sources of an answer asked now: never recomputed once it is there.

    prod_live: asked in prod, of the provider, before the next session opened, one snapshot at a time.
    """
    live = profile == "prod" and is_trusted and not frame.windows
    in_time = live and asked_at < calendar.session(calendar.shifted(frame.day, 1)).open
    return {
        "score_source": "model" if is_trusted else "simulated",
        "run_source": RUN_SOURCES[profile],
        "data_regime": "prod_live" if in_time else "maintenance_replay",
    }

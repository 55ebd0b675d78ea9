"""The service's log: one JSON object a line, with the same fields for every answer.

Belongs here: fields and form. structlog has a door here, and one in
adapters/stage_logs.py. What a caller sent in headers is in no line.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from timegpt_assets.serving.tsfm.contract import ForecastResponse

Log = FilteringBoundLogger


def logger(stream: TextIO, clock: Callable[[], datetime], redacted: Callable[[str], str] = str) -> Log:
    """Return a logger that writes lines of JSON to a stream, dated by the clock given; nothing is set for others.

    ``redacted`` takes secrets out of a line: a fault is logged in the words of whoever raised it.
    """

    def dated(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
        return {"ts": clock().isoformat(), "level": level, **event}

    def rendered(event: Any, **_: Any) -> str:
        return redacted(orjson.dumps(event, default=str).decode())

    made: Log = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[structlog.processors.format_exc_info, dated, structlog.processors.JSONRenderer(rendered)],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    return made


def answered(response: ForecastResponse) -> dict[str, Any]:
    """Return the fields of an answer's line."""
    meta = response.meta
    return {
        "request_id": meta.request_id,
        "market_id": response.market_id,
        "as_of": response.as_of_ts,
        "runtime": meta.runtime,
        "model": meta.model_name,
        "version": meta.model_version,
        "input_len": meta.input_len,
        "missingness": meta.missingness,
        "latency_ms": meta.latency_ms,
        "fallback_used": meta.fallback_used,
        "fallback_reason": meta.fallback_reason,
        "band_source": response.bands.band_source,
        "cached": meta.cached,
        "warnings": list(meta.warnings),
    }

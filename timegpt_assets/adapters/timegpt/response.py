"""An answer's rows: what is remembered with a request when it is asked, and the rows its record and its body make.

Belongs here: the documented 200 bodies and what makes one unusable; the record that later makes the rows without the
frame, so that a fresh answer and a replayed one are the same rows. Nothing here sends or spends.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

import orjson
import polars as pl

from timegpt_assets.adapters.call_errors import InvalidAnswer
from timegpt_assets.adapters.timegpt.cache import StoredAnswer
from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts import plausibility
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.quantiles import FREQ, violations
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.columns import HOSTED, RUN_SOURCES, SOURCES

PAID_BACKENDS = BACKEND, BULK_BACKEND = "nixtla", "nixtla_cross_validation"
LEAST_INPUT, MOST_ROWS = 8, 1_000_000
"""What a model can read: calls on fewer rows would be paid for a guess, more than a million rows no request holds."""
_REMEDY = "It is spent, kept in the cache and not asked again. Report it to the provider; --reask pays for another."


def remembered(frame: Frame, sent: pl.DataFrame, *, snapshot_key: str, kind: str) -> dict[str, Any]:
    """Return what the answer's rows will need of the snapshot and what was sent of it, as plain JSON values."""
    # clock times: the axis that is sent leaves the nights out
    clock = frame.history.filter(pl.col("ds") >= sent["ds"].min())["known_at"].sort()
    spans = sent.group_by("symbol").agg(reach=pl.col("y").abs().max(), spread=pl.col("y").std()).sort("symbol")
    record = {
        "snapshot_key": snapshot_key,
        "kind": kind,
        "day": frame.day.isoformat(),
        "snapshot_ts": frame.snapshot_ts.isoformat(),
        "horizon_min": frame.horizon_min,
        "freq": FREQ,
        "start_ts": clock[0].isoformat(),
        "end_ts": clock[-1].isoformat(),
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


def rows(answer: StoredAnswer, *, on_doubt: Literal["refuse", "keep"] = "refuse") -> pl.DataFrame:
    """Return the answer as ANSWERS rows (without lineage), step in minutes, values in scaled target units.

    Raises InvalidAnswer when the provider's body is not what was asked for, and, unless doubts are kept, when it
    cannot well be about the series that were sent.
    """
    record, parts = answer.record, []
    about = f"snapshot {record['snapshot_ts']} of {record['day']}"
    if "windows" not in record:
        said = forecast(answer.body, record, about=about)
        _check_doubts(said, record, about, on_doubt)
        return _stamped(said, answer, record, BACKEND)
    found = cross_validation(answer.body, record, about=about)
    first, step = datetime.fromisoformat(record["windows"][0]["snapshot_ts"]), timedelta(minutes=record["horizon_min"])
    for window in record["windows"]:
        said = found[round((datetime.fromisoformat(window["snapshot_ts"]) - first) / step)]
        _check_doubts(said, record, about, on_doubt)
        own = said.filter(pl.col("symbol").is_in(window["symbols"]))
        parts.append(_stamped(own, answer, window, BULK_BACKEND))
    return pl.concat(parts)


def forecast(body: bytes, record: Mapping[str, Any], *, about: str) -> pl.DataFrame:
    """Return symbol, step (1..h, minutes), mean, lo_<level>, hi_<level>: one row per symbol and step, Float64.

    Values are as answered, in scaled target units. Raises InvalidAnswer, naming ``about``, for anything else than
    n x h finite values for the mean and for both ends of every level, nested.
    """
    return _windows(_document(body, about), record, 1, about)[0]


def cross_validation(body: bytes, record: Mapping[str, Any], *, about: str) -> list[pl.DataFrame]:
    """Return one frame as of ``forecast`` per window of a cross-validation, earliest first.

    Raises InvalidAnswer too when the windows are not the last ``n_windows`` of every series, one horizon apart.
    """
    answer = _document(body, about)
    n, windows = len(record["symbols"]), record["n_windows"]
    per_series = windows * record["horizon_min"]
    sizes, idxs = answer.get("sizes"), answer.get("idxs")
    # ids are never sent: series and windows are told apart by order and size alone, so both are checked
    if sizes != [per_series] * n or not isinstance(idxs, list) or len(idxs) != n * per_series:
        raise InvalidAnswer(f"{about}: the windows answered are not the {windows} asked for. {_REMEDY}")
    for i in range(n):
        own = idxs[i * per_series : (i + 1) * per_series]
        if own != list(range(own[0], own[0] + per_series)):
            raise InvalidAnswer(f"{about}: the windows of series {i + 1} do not follow each other. {_REMEDY}")
    return _windows(answer, record, windows, about)


def _windows(answer: Mapping[str, Any], record: Mapping[str, Any], windows: int, about: str) -> list[pl.DataFrame]:
    symbols, h, levels = record["symbols"], record["horizon_min"], record["levels"]
    columns = {"mean": answer.get("mean")} | _bands(answer.get("intervals"))
    wanted = ["mean", *(f"{side}_{level}" for level in levels for side in ("lo", "hi"))]
    values = {name: _numbers(columns.get(name), len(symbols) * windows * h, name, about) for name in wanted}
    key = {
        "window": [w for _ in symbols for w in range(windows) for _ in range(h)],
        "symbol": [symbol for symbol in symbols for _ in range(windows * h)],
        "step": list(range(1, h + 1)) * (len(symbols) * windows),
    }
    frame = pl.DataFrame(key | values, schema_overrides={"symbol": pl.String, "step": pl.Int64})
    parts = [frame.filter(pl.col("window") == w).drop("window") for w in range(windows)]
    for w, part in enumerate(parts, start=1):
        if errors := violations(part, symbols=symbols, steps=range(1, h + 1), levels=levels):
            which = f", window {w}" if windows > 1 else ""
            raise InvalidAnswer(f"{about}{which}: the provider's answer is unusable: {'; '.join(errors)}. {_REMEDY}")
    return parts


def model_params(body: bytes, *, about: str) -> tuple[int, int]:
    """Return the model's input size and horizon, in rows. Raises InvalidAnswer naming ``about``."""
    try:
        detail = orjson.loads(body)["detail"]
        input_size, horizon = detail["input_size"], detail["horizon"]
    except (ValueError, KeyError, TypeError):
        raise InvalidAnswer(f"{about}: input_size and horizon are missing. {_REMEDY}") from None
    for name, value, least in (("input_size", input_size, LEAST_INPUT), ("horizon", horizon, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_ROWS:
            raise InvalidAnswer(f"{about}: {name} is {value!r}, from {least} to {MOST_ROWS} can be. {_REMEDY}")
    return input_size, horizon


def _document(body: bytes, about: str) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(body)
    except ValueError:
        answer = None
    # the SDK unwraps it as well
    if isinstance(answer, dict) and "data" in answer:
        answer = answer["data"]
    if not isinstance(answer, dict):
        raise InvalidAnswer(f"{about}: the provider answered 200 with something that is no JSON object. {_REMEDY}")
    return answer


def _bands(intervals: Any) -> dict[str, Any]:
    """Return lo_<level> and hi_<level> by the level that each name means: lo-80 and lo-80.0 are the same."""
    found = {}
    for name, values in (intervals or {}).items() if isinstance(intervals, dict | None) else ():
        side, _, level = name.partition("-")
        try:
            found[f"{side}_{float(level):g}"] = values
        except ValueError:
            continue  # a band of a name we did not ask for is no answer to us; a missing one is found by the caller
    return found


def _numbers(values: Any, n: int, name: str, about: str) -> list[float]:
    if not isinstance(values, list):
        raise InvalidAnswer(f"{about}: {name} is missing from the provider's answer. {_REMEDY}")
    if len(values) != n:
        raise InvalidAnswer(f"{about}: {name} has {len(values)} values, {n} were asked for. {_REMEDY}")
    if bad := [value for value in values if isinstance(value, bool) or not isinstance(value, int | float)]:
        raise InvalidAnswer(f"{about}: {name} holds {bad[0]!r} where a number belongs. {_REMEDY}")
    if not all(map(math.isfinite, values)):
        raise InvalidAnswer(f"{about}: {name} holds a value that is not finite. {_REMEDY}")
    return [float(value) for value in values]


def _stamped(said: pl.DataFrame, answer: StoredAnswer, snapshot: Mapping[str, Any], backend: str) -> pl.DataFrame:
    """Return what was said with what the record holds of its snapshot (the record itself, or one of its windows)."""
    record = answer.record
    scales = {
        "symbol": snapshot["symbols"],
        "sigma": pl.Series(snapshot["sigma"], dtype=pl.Float64),
        "target_scale": pl.Series(snapshot["target_scale"], dtype=pl.Float64),
    }
    beside = pl.DataFrame(scales, schema_overrides={"symbol": pl.String})
    return said.join(beside, on="symbol", maintain_order="left").with_columns(
        day=pl.lit(date.fromisoformat(record["day"])),
        snapshot_ts=pl.lit(datetime.fromisoformat(snapshot["snapshot_ts"]), TIME),
        asked_at=pl.lit(datetime.fromisoformat(record["asked_at"]), TIME),
        request_hash=pl.lit(answer.request_hash),
        forecaster=pl.lit(HOSTED),
        backend=pl.lit(backend),
        model=pl.lit(record["model"]),
        stale_input=pl.lit(answer.stale),
        **{name: pl.lit(record[name]) for name in SOURCES},
    )


def _scales(frame: Frame, symbols: Sequence[str], *, named: bool = False) -> dict[str, Any]:
    found = {row["symbol"]: row for row in frame.sigma.iter_rows(named=True)}
    ours = [symbol for symbol in symbols if symbol in found] if named else symbols
    scales = {name: [found[symbol][name] for symbol in ours] for name in ("sigma", "target_scale")}
    return {"symbols": ours, **scales} if named else scales


def _check_doubts(said: pl.DataFrame, record: Mapping[str, Any], about: str, on_doubt: str) -> None:
    """Raise InvalidAnswer for numbers that cannot well be about the series sent; records of old say too little."""
    if on_doubt == "keep" or "reach" not in record:
        return
    sent = pl.DataFrame({"symbol": record["symbols"], "reach": record["reach"], "spread": record["spread"]})
    if found := plausibility.doubts(said, sent):
        remedy = "It is spent and kept. Compare it with the series sent; forecast.on_doubt=keep uses it as it is."
        raise InvalidAnswer(f"{about}: the provider's answer is doubted: {'; '.join(found)}. {remedy}")

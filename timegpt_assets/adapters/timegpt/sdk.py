"""The real nixtla SDK, up to the moment it would send. The only module that imports nixtla, and pandas with it.

Belongs here: making requests of frames. The SDK's HTTP client is given a transport that hands the request over and has
no connection, so that a request is known, counted and reserved before anything leaves (transport.py).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
import polars as pl
import zstandard

from timegpt_assets.adapters.call_errors import UnusableInput
from timegpt_assets.adapters.ledger.ledger import LedgerEntry
from timegpt_assets.adapters.timegpt.request_index import Size
from timegpt_assets.core.forecasts.framing import Frame, series
from timegpt_assets.core.forecasts.quantiles import FREQ

SINGLE, BULK = "forecast", "cross_validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A request as the SDK made it, still without the key, with its ledger entry; ``about`` names it in messages."""

    about: str
    entry: LedgerEntry
    http: httpx.Request = field(repr=False)

    @property
    def is_sendable(self) -> bool:
        """Return whether there is anything to send: of an answered snapshot nobody may be left in the universe."""
        return bool(self.entry.request_hash)


class _Composed(Exception):
    """Carries the request the SDK was about to send."""

    def __init__(self, request: httpx.Request) -> None:
        super().__init__("composed")
        self.request = request


class _NoWayOut(httpx.BaseTransport):
    """The transport the SDK is given: it hands the request over and has no connection to send it by."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        raise _Composed(request)


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


class SdkRequests:
    """The real SDK, up to the moment it would send."""

    def __init__(self, base_url: str, timeout_sec: float) -> None:
        """Remember where requests go; the SDK is imported when the first one is made."""
        self.base_url, self.timeout_sec = base_url, timeout_sec

    def model_params(self, model: str) -> httpx.Request:
        """Return the SDK's request for the model's input size and horizon."""
        # the SDK remembers parameters per client: without this the second asking makes no request at all
        self._client._model_params.clear()
        return self._composed(lambda: self._client._get_model_params(model, FREQ))

    def of(
        self, frame: Frame, sent: pl.DataFrame, *, model: str, levels: tuple[int, ...], params: tuple[int, int]
    ) -> httpx.Request:
        """Return the SDK's request for the rows sent of a frame, without the API key."""
        asked: dict[str, Any] = {"h": frame.horizon_min, "model": model, "levels": levels, "params": params}
        asked["historic"] = frame.exogenous.historic
        if frame.windows:
            return self.cross_validation(sent, n_windows=frame.windows_asked, **asked)
        return self.forecast(sent, ahead=frame.ahead if frame.exogenous.future else None, **asked)

    def forecast(
        self,
        sent: pl.DataFrame,
        *,
        h: int,
        model: str,
        levels: tuple[int, ...],
        params: tuple[int, int],
        ahead: pl.DataFrame | None = None,
        historic: tuple[str, ...] = (),
    ) -> httpx.Request:
        """Return the SDK's request for h steps of every series in ``sent`` (symbol, ds, y, ...), without the API key.

        ``ahead``: symbol, ds of the h steps and the columns known there; ``historic``: columns of the past alone.
        """
        asked = self._asked(h, model, levels, params) | {"hist_exog_list": list(historic) or None}
        if ahead is not None:
            asked["X_df"] = _naive(ahead)
        return self._composed(lambda: self._client.forecast(df=_naive(sent), **asked))

    def cross_validation(
        self,
        sent: pl.DataFrame,
        *,
        h: int,
        n_windows: int,
        model: str,
        levels: tuple[int, ...],
        params: tuple[int, int],
        historic: tuple[str, ...] = (),
    ) -> httpx.Request:
        """Return the SDK's request for the last ``n_windows`` windows of h steps inside every series in ``sent``."""
        asked = self._asked(h, model, levels, params) | {"n_windows": n_windows, "step_size": h}
        asked["hist_exog_list"] = list(historic) or None
        return self._composed(lambda: self._client.cross_validation(df=_naive(sent), **asked))

    def _asked(self, h: int, model: str, levels: tuple[int, ...], params: tuple[int, int]) -> dict[str, Any]:
        # seeded, or the SDK would ask for them by a call of its own in every fresh process
        self._client._model_params[model, FREQ] = params
        # validate_api_key would be a further request at each call, and the SDK does not cache its answer
        return {"h": h, "freq": FREQ, "level": list(levels) or None, "model": model, "validate_api_key": False}

    @cached_property
    def _client(self) -> Any:
        # max_retries counts all attempts: 1 means none of the SDK's own, which nobody would have reserved
        client = _nixtla_client()(api_key="added-when-sent", base_url=self.base_url, max_retries=1)
        client._client_kwargs["timeout"] = self.timeout_sec
        # the SDK makes a new client for each phase through this one method: the seam nothing gets around
        client._make_client = lambda **settings: httpx.Client(**settings, transport=_NoWayOut())
        return client

    def _composed(self, asking: Callable[[], object]) -> httpx.Request:
        try:
            asking()
        except _Composed as composed:
            return composed.request
        raise RuntimeError("The nixtla SDK made no request. Pin nixtla to the version in requirements.lock.")


def _naive(sent: pl.DataFrame) -> Any:
    """Return the frame as the SDK takes it: pandas, naive UTC stamps, its own column names."""
    # pandas, and naive: of polars the SDK sends "1m" as it is (months), of zoned stamps it drops start_datetime
    stamps = pl.col("ds").dt.replace_time_zone(None).cast(pl.Datetime("ns"))
    return sent.rename({"symbol": "unique_id"}).with_columns(stamps).to_pandas()


def _nixtla_client() -> Any:
    """Return the SDK's client class; its import sets up root logging, which is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from nixtla import NixtlaClient

    # importing it calls logging.basicConfig(INFO), which would speak up for every library of the process
    root.handlers[:] = handlers
    root.setLevel(level)
    return NixtlaClient


def uncompressed(request: httpx.Request) -> bytes:
    """Return the JSON of a request's body."""
    if request.headers.get("content-encoding") != "zstd":
        return request.content
    return zstandard.ZstdDecompressor().decompressobj().decompress(request.content)

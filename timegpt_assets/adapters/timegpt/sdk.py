"""The real nixtla SDK, up to the moment it would send. The only module that imports nixtla, and pandas with it.

Belongs here: making requests. The SDK's HTTP client is given a transport that hands the request over and has no
connection, so that a request is known, counted and reserved before anything leaves (transport.py).
"""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

import httpx
import polars as pl
import zstandard

from timegpt_assets.core.forecasts.quantiles import FREQ


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


class SdkRequests:
    """The real SDK, up to the moment it would send."""

    def __init__(self, base_url: str, timeout_sec: float) -> None:
        """Remember where requests go; the SDK is imported when the first one is made."""
        self.base_url, self.timeout_sec = base_url, timeout_sec

    def model_params(self, model: str) -> httpx.Request:
        """Return the SDK's request for the model's input size and horizon."""
        self._client._model_params.clear()
        return self._composed(lambda: self._client._get_model_params(model, FREQ))

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
        self._client._model_params[model, FREQ] = params
        return {"h": h, "freq": FREQ, "level": list(levels) or None, "model": model, "validate_api_key": False}

    @cached_property
    def _client(self) -> Any:
        client = _nixtla_client()(api_key="added-when-sent", base_url=self.base_url, max_retries=1)
        client._client_kwargs["timeout"] = self.timeout_sec
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
    stamps = pl.col("ds").dt.replace_time_zone(None).cast(pl.Datetime("ns"))
    return sent.rename({"symbol": "unique_id"}).with_columns(stamps).to_pandas()


def _nixtla_client() -> Any:
    """Return the SDK's client class; its import sets up root logging, which is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from nixtla import NixtlaClient

    root.handlers[:] = handlers
    root.setLevel(level)
    return NixtlaClient


def uncompressed(request: httpx.Request) -> bytes:
    """Return the JSON of a request's body."""
    if request.headers.get("content-encoding") != "zstd":
        return request.content
    return zstandard.ZstdDecompressor().decompressobj().decompress(request.content)

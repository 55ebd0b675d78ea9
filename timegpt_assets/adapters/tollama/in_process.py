"""A model that runs in this process, asked and answered as a model server is: fracast, its weights in its package.

Belongs here: the one door to fracast, which needs torch; both come with make setup-neural. Nothing is fetched when it
is asked: only the weights that are installed are read. A forecast cannot be broken off; it takes milliseconds.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from timegpt_assets.adapters.tollama import questions
from timegpt_assets.adapters.tollama.answers import Kind, ModelAnswers, ModelFailed, cleaned
from timegpt_assets.adapters.tollama.probe import Health, Probing, health
from timegpt_assets.core.tsfm.asked import Asked, Floats

NAME = "fracast"
AUTO = "auto"
FEWEST = 8
"""Known points below which the model says nothing."""
_PARAMS = {"weights"}
_AT_ONCE = 8
"""Series between two looks at the time: about a second."""


@dataclass(kw_only=True)
class InProcess:
    """Asks the model; any number of threads may, one at a time is answered. ``params``: weights, w8 or fp32."""

    version: str
    params: Mapping[str, Any]
    probing: Probing
    clock: Callable[[], datetime] = field(repr=False)
    ticks: Callable[[], float] = field(default=time.monotonic, repr=False)
    _model: Any = field(default=None, repr=False)
    _has: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def forecast(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
        """Return what the model says of each series, or why not; ``request_id`` is nobody's here.

        A series whose turn did not come within ``timeout_s`` has the fault timeout; what is begun is ended. Raises
        ModelFailed.
        """
        began = self.ticks()
        good, faults = questions.usable(asked)
        short = {one.market_id for one in good if len(one.y) < FEWEST}
        faults |= dict.fromkeys(short, "unusable_input")
        good = [one for one in good if one.market_id not in short]
        values: dict[str, Floats] = {}
        if good:
            if not self._lock.acquire(timeout=timeout_s):
                raise ModelFailed("timeout", f"{NAME} was busy for {timeout_s:g} s. Ask it of fewer markets at once.")
            try:
                values, wrong = self._in_turn(good, began + timeout_s)
            finally:
                self._lock.release()
            faults |= wrong
        took = 1000 * (self.ticks() - began)
        return ModelAnswers(values=values, faults=faults, model_version=self._has, latency_ms=took)

    def probe(self) -> Health:
        """Return whether it forecasts."""
        return self._probed(self.probing.timeout_s)

    def warm_up(self) -> Health:
        """Return the same of a first forecast, which loads torch and the weights."""
        return self._probed(self.probing.warm_up_s)

    def _probed(self, seconds: float) -> Health:
        return health(self.forecast, self.probing.question(self.clock()), timeout_s=seconds, request_id="probe")

    def _in_turn(self, asked: Sequence[Asked], ends: float) -> tuple[dict[str, Floats], dict[str, Kind]]:
        values, faults = dict[str, Floats](), dict[str, Kind]()
        for first in range(0, len(asked), _AT_ONCE):
            few = asked[first : first + _AT_ONCE]
            if first and self.ticks() >= ends:
                faults |= dict.fromkeys((one.market_id for one in asked[first:]), "timeout")
                break
            told, wrong = self._said(few)
            values, faults = values | told, faults | wrong
        return values, faults

    def _said(self, asked: Sequence[Asked]) -> tuple[dict[str, Floats], dict[str, Kind]]:
        if self._model is None:
            self._model, self._has = loaded(self.version, self.params)
        levels, wanted = self._model.quantiles, asked[0].quantiles
        if wanted[0] < levels[0] or wanted[-1] > levels[-1]:
            return {}, dict.fromkeys((one.market_id for one in asked), "missing_quantiles")
        longest = max(len(one.y) for one in asked)
        rows = np.full((len(asked), longest), np.nan)
        for row, one in zip(rows, asked, strict=True):
            row[longest - len(one.y) :] = one.y
        try:
            with _one_thread():
                told = np.asarray(self._model.forecast_batch(rows, horizon=asked[0].horizon), dtype=np.float64)
        except (RuntimeError, ValueError, MemoryError) as error:
            said = f"{type(error).__name__}: {cleaned(str(error))}"
            raise ModelFailed("server_error", f"{NAME} failed ({said}). See whether memory is short.") from None
        told = _at(told, levels, wanted)
        values = {one.market_id: own for one, own in zip(asked, told, strict=True) if np.isfinite(own).all()}
        return values, {one.market_id: "non_finite" for one in asked if one.market_id not in values}


def loaded(version: str, params: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the model with its installed weights, and its version. Raises ModelFailed."""
    if strange := params.keys() - _PARAMS:
        raise ModelFailed("bad_request", f"{NAME} knows no {sorted(strange)}. Set tsfm.model.params to weights alone.")
    try:
        import fracast
    except ImportError as error:
        raise ModelFailed(
            "not_installed",
            f"{NAME} is not installed here ({cleaned(str(error))}). Run make setup-neural, or set "
            "tsfm.model.provider=tollama.",
        ) from None
    has = str(fracast.__version__)
    if version not in (AUTO, has):
        raise ModelFailed(
            "wrong_version",
            f"{NAME} {has} is installed, and tsfm.model.model_version is {version}. Set it to {AUTO} or {has}.",
        )
    try:
        return fracast.FracastModel.from_pretrained(**params), has
    except (ValueError, OSError, RuntimeError) as error:
        said = cleaned(str(error))
        raise ModelFailed("bad_request", f"{NAME} cannot be loaded ({said}). See tsfm.model.params.") from None


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread while it lasts: a second one waits for the first, on a busy machine for many times what it saves."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _at(told: Floats, levels: Sequence[float], wanted: Sequence[float]) -> Floats:
    """Return the wanted quantiles, read on a line between those that the model has."""
    above = np.clip(np.searchsorted(np.asarray(levels) - 1e-9, wanted, side="right"), 1, len(levels) - 1)
    low, high = np.asarray(levels)[above - 1], np.asarray(levels)[above]
    share = (np.asarray(wanted) - low) / (high - low)
    found: Floats = told[..., above - 1] + share * (told[..., above] - told[..., above - 1])
    return found

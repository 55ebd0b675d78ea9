"""What the second system is made with, of a runtime: who forecasts, and whether they may be asked.

Belongs here: one plain factory per adapter of tsfm, as runtime.py has them for the rest. Keys come from the environment
and are looked up when something is asked.
"""

import time
from typing import TYPE_CHECKING

from timegpt_assets.runtime import Runtime

if TYPE_CHECKING:
    from timegpt_assets.adapters.tollama.breaker import ModelBreaker
    from timegpt_assets.adapters.tollama.client import Tollama


def tollama(runtime: Runtime) -> "Tollama":
    """Return the model server."""
    from timegpt_assets.adapters.tollama import client
    from timegpt_assets.adapters.tollama.probe import Probing

    tsfm = runtime.settings.tsfm
    server, model, series = tsfm.tollama, tsfm.model, tsfm.series
    return client.Tollama(
        base_url=server.base_url,
        model=model.model_name,
        version=model.model_version,
        params=model.params,
        auth=server.auth_mode,
        patience=client.Patience(
            retries=server.retry_count,
            backoff_s=server.retry_backoff_ms / 1000,
            jitter_s=server.retry_jitter_ms / 1000,
        ),
        probing=Probing(
            points=series.min_points,
            horizon=series.horizon_steps,
            quantiles=tsfm.quantiles,
            freq_min=int(series.freq.removesuffix("m")),
            timeout_s=server.timeout_s,
            warm_up_s=server.batch_timeout_s,
        ),
        key=lambda: runtime.environment.get(client.KEY),
        clock=runtime.clock,
    )


def breaker(runtime: Runtime) -> "ModelBreaker":
    """Return whether the model server may be asked: one for each process, which forgets it when it ends."""
    from timegpt_assets.adapters.tollama.breaker import ModelBreaker, Rules

    rules = runtime.settings.tsfm.breaker
    return ModelBreaker(
        rules=Rules(failures=rules.failures, cooldown_s=rules.cooldown_s, probes=rules.probes), ticks=time.monotonic
    )

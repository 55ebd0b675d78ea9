"""The verb serve: bands for prediction markets over HTTP, until it is told to stop.

Belongs here: what is printed, and the remedy where the extra is not installed. The service is serving/tsfm.
"""

import sys
from typing import TYPE_CHECKING

from timegpt_assets.core.explained import Explained

if TYPE_CHECKING:
    from timegpt_assets.runtime import Runtime

NEEDED = ("fastapi", "prometheus_client", "uvicorn")
"""Packages of the extra serve."""


class ServeAbsent(Explained, ImportError):
    """Raised where a package of the extra serve is not installed."""


def serve(runtime: "Runtime", *, host: str | None, port: int | None) -> None:
    """Serve at the address, else at that of the settings. Raises ServeAbsent and NotServed."""
    try:
        from timegpt_assets.serving.tsfm import desk, run, service
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in NEEDED:
            raise
        raise ServeAbsent(
            f"{error.name} is not installed: the service answers with it. Install the extra timegpt-assets[serve] "
            "(make setup does)."
        ) from error
    asked = runtime.settings.tsfm.serve
    place = asked.host if host is None else host
    with run.listening(place, asked.port if port is None else port, desk.token(runtime)) as listener:
        made = desk.desk(runtime, sys.stderr)
        made.log.info("serving", url=run.address(listener), profile=runtime.settings.profile)
        run.serve(service.application(made), listener, shutdown_s=asked.shutdown_s)
    made.log.info("stopped")

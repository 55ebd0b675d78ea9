"""A line of the service's log is one JSON object, dated, and holds no secret of its environment."""

import io
import json
from datetime import UTC, datetime

from timegpt_assets.config.redaction import Redaction
from timegpt_assets.serving.tsfm.logs import logger

NOW = datetime(2025, 11, 30, 21, tzinfo=UTC)


def test_a_fault_is_logged_with_its_traceback_and_without_the_secret_it_repeats() -> None:
    stream = io.StringIO()
    log = logger(stream, lambda: NOW, Redaction({"TSFM_SERVICE_TOKEN": 'a "word" to hide'}))
    try:
        raise RuntimeError('refused a "word" to hide')
    except RuntimeError:
        log.exception("failed", request_id="r1")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["ts"], said["level"], said["event"], said["request_id"]) == (NOW.isoformat(), "error", "failed", "r1")
    assert said["exception"].endswith("RuntimeError: refused [REDACTED]")
    assert "word" not in line, "nor in the line of code that raised it"

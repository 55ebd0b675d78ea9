"""What the verb forget-events does: lets go of what old runs logged, and says how much that was."""

import sys
from datetime import timedelta

import orjson

from timegpt_assets.cli.context import opened
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.instance.old_events import forget
from timegpt_assets.runtime import Runtime


def forgotten(runtime: Runtime, *, as_json: bool) -> None:
    """Let go of events older than automation.keep_events_days, and print how many runs and events that were."""
    days, now = runtime.settings.automation.keep_events_days, runtime.clock()
    with opened(runtime, report=lambda range_run, done: None) as command:
        runs, events = forget(command.engine.instance, before=now - timedelta(days=days), now=now)
    if as_json:
        sys.stdout.write(orjson.dumps({"runs": runs, "events": events, "older_than_days": days}).decode() + "\n")
        return
    Terminal().print(f"{events} events of {runs} runs older than {days} days were let go; what is made stays recorded.")

"""The verb that asks for news: what nobody answered yet, and by source what came.

Belongs here: the order of things, and what is printed. What has to run is engine/news.py.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from timegpt_assets.cli.asked import Asked
from timegpt_assets.cli.context import opened
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.engine.news import fetch, source_states, stored


def fetched(asked: Asked, *, as_json: bool) -> None:
    """Make the news of these days and print by source what came of its questions. Raises Refused."""
    runtime, messages = asked.runtime, Terminal(stderr=True)
    progress = Progress(messages)
    with opened(runtime, report=progress.heard, listener=progress) as command:
        wanted = fetch(command.engine, command.graph, asked.days)
        outcome = command.engine.run(wanted)
        found = {
            "profile": runtime.settings.profile,
            "first_day": asked.days[0],
            "last_day": asked.days[-1],
            "sources": [asdict(one) for one in source_states(runtime, stored(command.store, asked.days))],
            "events": command.table("news/normalized_news", asked.days).height,
            "partitions_made": outcome.made,
            "seconds": round(progress.seconds, 1),
            "read_by_features": "news" in runtime.settings.features.groups,
        }
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        show(found)


def show(found: Mapping[str, Any]) -> None:
    """Print a row for each source, and below it what became of it all."""
    out = Terminal()
    title = f"{found['profile']}: news of {found['first_day']} to {found['last_day']}"
    table = Table(
        ("source", "questions", "answered", "failed", "left alone until", "the first that failed"), title=title
    )
    for one in found["sources"]:
        counts = (f"{one[name]:,}" for name in ("asked", "answered", "failed"))
        table.add(one["source"], *counts, one["held"] or "–", one["first_failure"] or "–")
    out.print(table)
    out.print(f"{found['events']:,} events, {found['partitions_made']} partitions made, {found['seconds']} s.")
    if any(one["failed"] for one in found["sources"]):
        out.print("Run the same again for what failed: what was answered is asked of nobody.", soft_wrap=True)
    if found["read_by_features"] and found["partitions_made"]:
        span = f"--start {found['first_day']} --end {found['last_day']} --profile {found['profile']}"
        out.print(f"Features made before are old now: timegpt-assets backfill --stale {span}", soft_wrap=True)

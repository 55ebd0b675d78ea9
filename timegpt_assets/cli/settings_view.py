"""What `config` prints: every setting with its value and origin, and what a loaded configuration will not do.

Belongs here: the table and the JSON of settings.
"""

import sys

import orjson
from rich.text import Text

from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config.settings import Settings, resolved


def show(settings: Settings, *, as_json: bool) -> None:
    """Print every resolved key with its value and origin, and the warnings apart."""
    rows = resolved(settings)
    if as_json:
        found = {row.key: {"value": row.value, "origin": row.origin} for row in rows}
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        table = Table(("key", "value", "from"), title=f"profile {settings.profile}")
        for row in rows:
            table.add(row.key, row.value, row.origin)
        Terminal().print(table)
    for warning in settings.warnings:
        Terminal(stderr=True).print(Text("note", "yellow"), warning, soft_wrap=True)

"""The verb that brings stored tables of an earlier version to the shape of this one."""

import sys
from dataclasses import asdict

import orjson

from timegpt_assets.adapters.storage.migration import migrate as migrated
from timegpt_assets.checks import BY_NAME
from timegpt_assets.cli.context import opened
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.runtime import Runtime


def migrate(runtime: Runtime, *, as_json: bool) -> None:
    """Migrate every stored table, and print what became of the files."""
    with opened(runtime, report=lambda range_run, done: None) as command:
        graph = command.engine.repository.asset_graph
        tables = {key.to_user_string(): BY_NAME[graph.get(key).metadata["table"]] for key in graph.get_all_asset_keys()}
        whole = [
            key.to_user_string()
            for key, node in asset_nodes(command.engine.repository).items()
            if node.kind != "day_symbol"
        ]
        found = migrated(command.store, tables, whole=whole)
    if as_json:
        sys.stdout.write(orjson.dumps(asdict(found)).decode() + "\n")
        return
    out = Terminal()
    for did, counts in (("rewritten", found.rewritten), ("set aside as *.old", found.aside)):
        for asset, count in sorted(counts.items()):
            out.print(f"{asset}: {count} files {did}", soft_wrap=True)
    out.print(f"{found.kept} files were of this shape already.")
    if found.aside:
        out.print(
            "What was set aside is made again, and nothing paid again, by: timegpt-assets backfill over its days."
        )

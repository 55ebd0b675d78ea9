"""The verb that measures what the news was worth on a month, with the training sets that takes, and what status says.

Belongs here: the order of things, and what is printed. What has to run is engine/training.py, how it is measured
core/evaluation/information_value.py, in which words reports/news.py.
"""

import sys
from collections.abc import Mapping
from typing import Any

import orjson
import typer

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.context import opened
from timegpt_assets.cli.exit_codes import WAITS
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.tables.news import INFORMATION_VALUE
from timegpt_assets.engine.training import VALUE, month_judged, valued
from timegpt_assets.reports.news import WORTH_HEAD, News, verdict, worth_table
from timegpt_assets.runtime import Runtime

STORED = f"news/{VALUE}"


def news_value(runtime: Runtime, month: str | None, *, force: bool, as_json: bool) -> None:
    """Measure the month, print its verdict and figures, and say what waits for bars.

    Raises Refused for a month that cannot be asked for, typer.Exit where sessions to learn from wait for bars.
    """
    first = month_judged(runtime.settings, month, at=runtime.clock())
    progress = Progress(Terminal(stderr=True))
    with opened(runtime, report=progress.heard, listener=progress) as command:
        outcome = command.engine.run(valued(command.engine, command.graph, first, force=force))
        own = command.store.read(STORED, [f"{first:%Y-%m}"], missing="ok", empty=INFORMATION_VALUE.empty())
        told = News(values=own, switched_on=_is_on(runtime.settings))
        found = {
            "profile": runtime.settings.profile,
            "month": f"{first:%Y-%m}",
            "verdict": verdict(told),
            "switched_on": told.switched_on,
            "values": own.drop("lineage_id", strict=False).to_dicts(),
            "partitions_made": outcome.made,
            "seconds": round(progress.seconds, 1),
            "days_awaiting_bars": [str(day) for day in sorted(outcome.held)],
        }
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        show(found, told)
    if found["days_awaiting_bars"]:
        raise typer.Exit(WAITS)


def standing(store: ParquetStore, settings: Settings) -> str:
    """Return what speaks for or against the group news by every month that is measured; empty where nobody asks.

    That is where no source is listed, the group is off and nothing was ever measured.
    """
    own = store.read(STORED, store.files(STORED), missing="ok", empty=INFORMATION_VALUE.empty())
    told = News(values=own, switched_on=_is_on(settings))
    return verdict(told) if told or settings.news.sources else ""


def show(found: Mapping[str, Any], told: News) -> None:
    """Print the verdict, the month's figures as a table, and what is missing."""
    out = Terminal()
    out.print(found["verdict"], soft_wrap=True)
    table = Table(WORTH_HEAD, title=f"{found['profile']}: the news in {found['month']}")
    for line in worth_table(told):
        table.add(*("–" if value is None else _plain(value) for value in line))
    out.print(table)
    if waiting := found["days_awaiting_bars"]:
        out.print(
            f"{len(waiting)} sessions to learn from wait for bars ({waiting[0]} to {waiting[-1]}). Run the same again "
            "when they are there.",
            soft_wrap=True,
        )


def _is_on(settings: Settings) -> bool:
    return "news" in settings.features.groups


def _plain(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)

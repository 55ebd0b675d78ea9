"""The verb that searches: three stages on stored forecasts, told as they go, their trials and candidates written.

Belongs here: the plan, the progress and what is printed. What a search is stands in core/research/search.py, its stages
in assets/search.py.
"""

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import polars as pl

from timegpt_assets import runtime as runtimes
from timegpt_assets.cli.asked import asked_span
from timegpt_assets.cli.console import left_old
from timegpt_assets.cli.context import CommandContext, opened
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.sweep_files import put
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import search_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.research import search_windows
from timegpt_assets.core.research.search_windows import COARSE, CONFIRM, REFINE, Span
from timegpt_assets.core.research.trading_grid import duration
from timegpt_assets.core.research.trials import COMPLETE, Trial
from timegpt_assets.core.tables.research import SEARCH_CANDIDATES, SEARCH_TRIALS
from timegpt_assets.engine.revisions import outdated
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.engine.sweeps import swept
from timegpt_assets.partitions import GraphContext, months_of
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures import search as pictures
from timegpt_assets.runtime import Runtime

FOLDER = "eval/search"


def search(runtime: Runtime, month: str | None, *, force: bool, as_json: bool) -> None:
    """Search on the sessions up to the end of the month (none: the grid's last); tell, write and print."""
    heard = _Heard(Terminal(stderr=True))
    studies = replace(runtimes.studies(runtime), heard=heard.batch)
    progress = heard.progress
    with opened(runtime, report=progress.heard, listener=progress, overriding={"studies": studies}) as command:
        last = f"{asked_span(runtime, None, None)[1]:%Y-%m}"
        stages = _planned(command, month or last, heard.messages)
        wanted = swept(command.engine, command.graph, [stages[CONFIRM].last], force=force, stage="search")
        outcome = command.engine.run(wanted)
        tables = {name: _table(command, name, month or last) for name in STAGES["search"]}
        found = {
            "profile": runtime.settings.profile,
            "month": month or last,
            "forecaster": search_inputs.forecaster(runtime.settings),
            "stages": {name: [str(span.first), str(span.last)] for name, span in stages.items()},
            "partitions_made": outcome.made,
            "partitions_there": outcome.there,
            "seconds": round(progress.seconds, 1),
            **left_old(outdated(command.engine, wanted)),
            **_written(command, tables),
        }
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        _show(found, tables)


class _Heard:
    """Prints what each batch came to, and how long the rest of its study will take, told from what was swept now."""

    def __init__(self, messages: Terminal) -> None:
        self.messages, self.progress = messages, Progress(messages)
        self.study, self.done, self.timed, self.best = "", 0, 0, float("-inf")
        self.began: float | None = None

    def batch(self, study: str, trials: int, batch: Sequence[Trial], new: int) -> None:
        """Take note of a batch that is over; what is left is told from the trials that were not kept before."""
        if study != self.study:
            self.study, self.done, self.timed, self.best, self.began = study, 0, 0, float("-inf"), None
            self.messages.print(f"study {study}", soft_wrap=True)
        self.done += len(batch)
        self.best = max([self.best, *(one.value for one in batch if one.state == COMPLETE)])
        rest = ""
        if self.began is None:  # the first new batch bears what a study begins with, and is not timed
            self.began = time.monotonic() if new else None
        elif self.done < trials:
            self.timed += new
            left = (time.monotonic() - self.began) / max(1, self.timed) * (trials - self.done)
            rest = f", about {duration(left)} left"
        self.messages.print(f"{self.done} of {trials} trials, best {self.best:+.3%} of capital{rest}")


def _planned(command: CommandContext, month: str, messages: Terminal) -> dict[str, Span]:
    """Print what each stage will see, and return it. Raises Refused where nothing is stored to search on."""
    settings = command.graph.settings
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise Refused(f"--month is {month}. Write it like 2025-02.")
    start = search_inputs.oos_start(settings)
    first, second = search_windows.spans(*search_inputs.windows(settings), oos_start=start)
    whole = Span(calendar.month_sessions(month)[0], calendar.month_sessions(month)[-1])
    own = [day for day in calendar.month_sessions(month) if calendar.has_closed(day, command.runtime.clock())]
    stored = _stored(command, own)
    last = max(first.last, second.last)
    if not stored or stored[-1] <= last:
        raise Refused(
            f"{month} has no stored session after {last}, the last that a search may see: nothing would be left to "
            f"judge it on. {_remedy(whole, command.graph)}, search a later month, or set gates.oos_start earlier."
        )
    after = search_windows.after(start, settings.search.stages.confirm.sessions, as_of=stored[-1])
    stages = {COARSE: first, REFINE: second, CONFIRM: after or Span(stored[-1], stored[-1])}
    space, trials = search_inputs.space(settings), settings.search.stages
    counts = {COARSE: f", {trials.coarse.trials} trials", REFINE: f", {trials.refine.trials} trials"}
    for name, span in stages.items():
        there = _stored(command, span.days)
        if not there:
            raise Refused(
                f"no session of {span.first} to {span.last} is stored for {name}. {_remedy(span, command.graph)}."
            )
        said = f"{name}: {len(there)} of {len(span.days)} sessions stored, {span.first} to {span.last}"
        messages.print(said + counts.get(name, ", rows asked in prod alone"), soft_wrap=True)
    messages.print(
        f"each trial sweeps {space.inner.size:,} combinations; all {space.size:,} choices would be "
        f"{space.size * space.inner.size:,}",
        soft_wrap=True,
    )
    return stages


def _stored(command: CommandContext, days: Sequence[date]) -> list[date]:
    facts = command.store.read_facts("backtest/book", [str(day) for day in days], missing="ok")
    return sorted(date.fromisoformat(day) for day, _ in facts)


def _remedy(span: Span, graph: GraphContext) -> str:
    first = graph.settings.data.start_date
    if span.last < first:  # nobody could make them
        return (
            f"They lie before data.start_date ({first}): lower search.stages.coarse.sessions or "
            "search.stages.refine.sessions, or move it"
        )
    wanted = f"--start {max(span.first, first)} --end {span.last} --profile {graph.settings.profile}"
    return f"Make some first: timegpt-assets backtest {wanted}"


def _table(command: CommandContext, name: str, month: str) -> pl.DataFrame:
    table = SEARCH_CANDIDATES if name == STAGES["search"][-1] else SEARCH_TRIALS
    found = command.store.read(f"research/{name}", months_of([month]), missing="ok", empty=table.empty())
    return table.conformed(found.drop("lineage_id", strict=False))


def _written(command: CommandContext, tables: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Write trials, pictures and candidates, and return where they lie; a study's folder is named for the study."""
    artifacts, found = command.runtime.artifacts, dict[str, Any](pictures={}, trials={})
    for rows in tables.values():
        if "study" not in rows.columns or rows.is_empty():
            continue
        folder = f"{FOLDER}/{rows['study'][0]}"
        for word, draw in (("history", pictures.history), ("importance", pictures.importance)):
            picture = render.png(draw(rows))
            found["pictures"][f"{rows['stage'][0]} {word}"] = put(artifacts, f"{folder}/{word}.png", picture)
        csv = rows.with_columns(pl.col("steps").cast(pl.List(pl.String)).list.join(" ")).write_csv().encode()
        found["trials"][rows["stage"][0]] = put(artifacts, f"{folder}/trials.csv", csv)
    candidates = tables[STAGES["search"][-1]]
    return found | {"candidates": candidates.sort("rank", nulls_last=True).to_dicts()}


def _show(found: dict[str, Any], tables: dict[str, pl.DataFrame]) -> None:
    """Print the candidates, and what was written."""
    out = Terminal()
    candidates = found["candidates"]
    if candidates:
        first, last, days = (candidates[0][name] for name in ("first_day", "last_day", "observation_days"))
        title = f"{found['forecaster']}: asked in prod on {days} sessions" + (f", {first} to {last}" if days else "")
        table = Table(("combination", "verdict", "rules", "figures"), title=title)
        for row in candidates:
            rejected = "" if row["reject_rate"] is None else f", {row['reject_rate']:.0%} rejected"
            table.add(
                row["combination"],
                row["verdict"],
                "\n".join(f"{name} {value}" for name, value in orjson.loads(row["rules"]).items()),
                f"value {row['value']:+.3%}\nchosen at {row['chosen_value']:+.3%}\nnet {row['net_pnl']:+,.0f} USD\n"
                f"drawdown {row['max_drawdown']:.2%}\n{row['trades']:,} trades{rejected}",
            )
        out.print(table)
    tried = sum(rows.filter(pl.col("duplicate_of").is_null())["tried"].sum() for rows in list(tables.values())[:2])
    out.print(f"{tried:,} combinations tried. The best of many looks better than it is.")
    out.print(f"{found['partitions_made']} partitions made, {found['partitions_there']} there, {found['seconds']} s.")
    for what in ("trials", "pictures"):
        for name, place in found[what].items():
            out.print(f"{name}: {place}", soft_wrap=True)

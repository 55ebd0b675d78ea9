"""The verb that sweeps: every combination of a grid on stored forecasts, ranked, written and drawn.

Belongs here: the plan, the progress and what is printed. Its files are in sweep_files.py; what a sweep is stands in
core/research/.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any

import orjson
import polars as pl
from rich.text import Text

from timegpt_assets import runtime as runtimes
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets.research import pace, under
from timegpt_assets.cli import run_folders, sweep_files
from timegpt_assets.cli.asked import asked_span, names
from timegpt_assets.cli.console import left_old
from timegpt_assets.cli.context import CommandContext, opened
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import engines
from timegpt_assets.core.research import trading_grid as grids
from timegpt_assets.core.research.scoreboard import PLAIN, scoreboard
from timegpt_assets.core.research.trading_grid import Combination, Grid, duration
from timegpt_assets.core.tables.research import GRID_DAYS
from timegpt_assets.engine.plans import RangeRun
from timegpt_assets.engine.revisions import outdated
from timegpt_assets.engine.stages import Refused, sessions_asked
from timegpt_assets.engine.sweeps import stored_days, swept
from timegpt_assets.reports.run_export import refuse_unfit
from timegpt_assets.runtime import Runtime

RANGE_SECONDS, RANGE_DAYS = 30.0, 40
"""A range run is cut to about this time, so that progress is told, and holds no more sessions than any other's."""
SHOWN = 10
DRAWN = 2
"""Rules that a heat map has axes for."""


def sweep(
    runtime: Runtime,
    start: datetime | None,
    end: datetime | None,
    *,
    forecasters: Sequence[str],
    across: str,
    force: bool,
    run_id: str,
    as_json: bool,
) -> None:
    """Sweep the grid that the settings name over stored forecasts; write, draw and print the ranking."""
    drawn = names(across)
    _refuse(runtime, drawn)
    if run_id:
        refuse_unfit(run_id)
    messages = Terminal(stderr=True)
    heard = _Heard(messages)
    logged = run_folders.logged(runtime, run_id)
    with logged, opened(runtime, report=heard, listener=heard.progress) as command:
        first, last = asked_span(runtime, start, end)
        asked = sessions_asked(command.graph.settings, first.date(), last.date(), at=runtime.clock())
        days = stored_days(command.engine, command.graph, asked)
        _refuse_unknown(command, days, forecasters)
        found = _swept(command, days, heard, force=force)
        scores = _scores(command, days, forecasters)
    shown = sweep_files.drawn(scores, drawn)
    files = sweep_files.written(runtime.artifacts, scores, shown, grid=found["grid"], across=drawn)
    found |= files | {"tried": _tried(command, days), "best": _best(scores)}
    if run_id:
        runs, made = run_folders.export(runtime), {"sweep": list(sweep_files.of_run(scores, shown, drawn))}
        found["run"] = run_folders.told(runs, run_id, runs.keep(run_id, days, made), messages)
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
    else:
        _show(found, scores)


def _refuse(runtime: Runtime, across: Sequence[str]) -> None:
    """Raise Refused for rules to draw that are none of the grid's, and for one of it that --set holds still."""
    settings, grid = runtime.settings, strategy_inputs.trading_grid(runtime.settings)
    if len(across) > DRAWN or set(across) - grid.dimensions.keys():
        raise Refused(f"--across names two rules of the grid {grid.name}. Choose from: {', '.join(grid.dimensions)}.")
    sections = {"entry_lag_bars": "backtest"} | dict.fromkeys(grids.OUTER, "forecast")
    for name in grid.dimensions:
        key = f"{sections.get(name, 'trading')}.{name}"
        if settings.origins[key].startswith("--set"):
            raise Refused(
                f"{key} is said by --set, which stands over any grid, and trading_grid.grids.{grid.name} tries other "
                f"values. Leave --set {key} out, or sweep a grid without {name}."
            )


def _refuse_unknown(command: CommandContext, days: Sequence[date], forecasters: Sequence[str]) -> None:
    """Raise Refused for a forecaster who has no forecasts on the days."""
    stored = command.store.read("calibration/forecasts", days, columns=["forecaster"])
    seated = sorted(stored["forecaster"].unique())
    if unknown := sorted(set(forecasters) - set(seated)):
        raise Refused(f"{', '.join(unknown)} has no stored forecasts there. Choose from: {', '.join(seated)}.")


class _Heard:
    """Prints what each range run made, and how long the rest will take."""

    def __init__(self, messages: Terminal) -> None:
        self.messages, self.progress, self.days, self.done = messages, Progress(messages), 0, 0

    def __call__(self, range_run: RangeRun, done: bool) -> None:
        """Take note of a range run; after one of sessions say what is left."""
        self.progress.heard(range_run, done)
        if done and range_run.assets[0].path[-1] == GRID_DAYS.name:
            self.done += len(range_run.partitions)
            if left := self.days - self.done:
                rest = duration(self.progress.seconds / self.done * left)
                self.messages.print(f"{self.done} of {self.days} sessions, about {rest} left")


def _swept(command: CommandContext, days: Sequence[date], heard: _Heard, *, force: bool) -> dict[str, Any]:
    """Make what is not there and return the plan's and the runs' figures. Raises GridError."""
    grid, engine = strategy_inputs.trading_grid(command.graph.settings), engines.of_sweep()
    a_day = pace(grid, _of_one_day(command, grid, days[-1]))
    if grid.too_large:
        raise grids.too_large(grid, a_day.of(len(days)))
    count = len(list(grid.combinations()))
    same = f" ({grid.size - count} more trade like one of them)" if grid.size > count else ""
    heard.days, expected = len(days), a_day.of(len(days)).seconds(count)
    heard.messages.print(
        f"grid {grid.name}: {count:,} combinations{same} on {len(days)} sessions with stored forecasts, {days[0]} to "
        f"{days[-1]}: about {duration(expected)}. Engine: {engine.word}, {engine.reason}",
        soft_wrap=True,
    )
    range_days = min(RANGE_DAYS, max(1, int(RANGE_SECONDS / a_day.seconds(count))))
    wanted = swept(command.engine, command.graph, days, force=force, range_days=range_days)
    outcome = command.engine.run(wanted)
    return {
        "profile": command.graph.settings.profile,
        "grid": grid.name,
        "combinations": count,
        "trade_alike": grid.size - count,
        "first_day": days[0],
        "last_day": days[-1],
        "days": len(days),
        "engine": engine.word,
        "estimated_seconds": round(expected, 1),
        "partitions_made": outcome.made,
        "partitions_there": outcome.there,
        "seconds": round(heard.progress.seconds, 1),
        **left_old(outdated(command.engine, wanted)),
    }


def _of_one_day(command: CommandContext, grid: Grid, day: date) -> Callable[[Sequence[Combination]], object]:
    """Return what sweeps some combinations on one stored day, as the asset does: to see how long that takes."""
    back = grid.filters.lookback_sessions if grid.filters else 0
    past = [session.day for session in calendar.sessions(calendar.shifted(day, -back), day)]
    forecasts, bars, gates = (
        command.table(name, [day]) for name in ("calibration/forecasts", "bars/bars", "gates/symbol_gates")
    )
    panel, events = command.table("features/panel", past), runtimes.daily_files(command.runtime).calendar
    asked = under(grid, forecasts)
    return lambda some: grids.grid_days(grid, some, asked, bars, gates, panel, events=events)


def _scores(command: CommandContext, days: Sequence[date], forecasters: Sequence[str]) -> pl.DataFrame:
    """Return the scoreboard of the grid over the days; of all forecasters where none is named."""
    settings = command.graph.settings
    grid = strategy_inputs.trading_grid(settings)
    names = [one.name for one in islice(grid.combinations(), grid.max_combinations)]
    rows = command.store.read("research/grid_days", days, missing="ok", empty=GRID_DAYS.empty())
    own = rows.filter(pl.col("combination").is_in(names))
    own = own.filter(pl.col("forecaster").is_in(list(forecasters))) if forecasters else own
    return scoreboard(own, sessions=days, scoring=strategy_inputs.scoring(settings))


def _tried(command: CommandContext, days: Sequence[date]) -> dict[str, int]:
    """Return forecaster -> how many combinations were ever tried on sessions that meet these."""
    ever = TrialStore(command.runtime.storage).tried()
    meeting = ever.filter((pl.col("first_day") <= days[-1]) & (pl.col("last_day") >= days[0]))
    counts = meeting.group_by("forecaster").agg(pl.struct("kind", "combination").n_unique()).sort("forecaster")
    return dict(counts.iter_rows())


def _best(scores: pl.DataFrame) -> list[dict[str, Any]]:
    return scores.filter(pl.col("rank") == 1).to_dicts()


def _show(found: dict[str, Any], scores: pl.DataFrame) -> None:
    """Print the best of each forecaster, and what was written."""
    out = Terminal()
    for who in sorted(found["pictures"]):
        out.print(_table(who, scores.filter(forecaster=who)))
    ever = ", ".join(f"{who} {count:,}" for who, count in found["tried"].items())
    out.print(
        f"Combinations ever tried on these sessions: {ever}. The best of many looks better than it is.", soft_wrap=True
    )
    out.print(f"{found['partitions_made']} partitions made, {found['partitions_there']} there, {found['seconds']} s.")
    out.print(f"ranking: {found['ranking']}", soft_wrap=True)
    for place in found["pictures"].values():
        out.print(f"picture: {place}", soft_wrap=True)


def _table(who: str, rows: pl.DataFrame) -> Table:
    """Return the best combinations of one forecaster, net P&L at every cost multiple beside each other."""
    multiples = sorted(rows["cost_multiplier"].unique())
    cells = rows.select("combination", "cost_multiplier", "net_pnl").iter_rows()
    nets = {(name, multiple): net for name, multiple, net in cells}
    plain = rows.filter(cost_multiplier=PLAIN if PLAIN in multiples else multiples[0]).sort("rank")
    first, last = plain.select(pl.col("first_day").min(), pl.col("last_day").max()).row(0)
    columns = ("combination", "rules", "trades", "Sharpe\ndrawdown", *(f"net {multiple:g}x" for multiple in multiples))
    table = Table(columns, title=f"{who}: {plain.height:,} combinations, {first} to {last}")
    moved = _moved(plain)
    for row in plain.head(SHOWN).iter_rows(named=True):
        said = "plateau" if row["plateau"] else f"as {row['duplicate_payload']}" if row["duplicate_payload"] else ""
        values = orjson.loads(row["rules"])
        table.add(
            Text(f"{row['combination']}\n").append(said, "green" if row["plateau"] else "dim"),
            "\n".join(f"{name} {values[name]}" for name in moved),
            f"{row['trades']:,}" + ("" if row["hit_rate"] is None else f"\n{row['hit_rate']:.0%} hit"),
            ("–" if row["sharpe_daily"] is None else f"{row['sharpe_daily']:.2f}") + f"\n{row['max_drawdown']:.2%}",
            *(f"{nets[row['combination'], multiple]:+,.0f}" for multiple in multiples),
        )
    return table


def _moved(scores: pl.DataFrame) -> list[str]:
    """Return the rules that differ between the combinations: what all have in common tells none apart."""
    values = [orjson.loads(rules) for rules in scores["rules"]]
    return [name for name in values[0] if any(one[name] != values[0][name] for one in values)]

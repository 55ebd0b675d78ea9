"""The verb's other half, `sweep --forecast-grid`: settings of the forecaster set against each other.

Belongs here: what is refused, the plan, and what is printed. Making the combinations is forecast_grid_run.py, files are
forecast_grid_files.py.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import typer

from timegpt_assets.adapters.storage.object_store import Current
from timegpt_assets.cli.asked import asked_span
from timegpt_assets.cli.forecast_grid_files import PLAN, GridFiles
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import override
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.forecast_grid import forecast_grid
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.research import forecast_board
from timegpt_assets.core.research import forecast_grid as grids
from timegpt_assets.core.research.trading_grid import GridError
from timegpt_assets.core.tables.forecast_grid import BOARD, FORECAST_PLAN
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.call_budget import BudgetPlanner, budget_planner
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.forecast_prices import Combination, Price, combinations, prices
from timegpt_assets.engine.stages import sessions_asked
from timegpt_assets.reports.pictures import forecast_board as pictures
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.run_files import File
from timegpt_assets.runtime import Runtime, load_runtime

SHOWN = 10
PLANNED, MADE, WAITING, MISSING, FAILED = "planned", "made", "waiting", "missing", "failed"
FOLDERS = "eval/grid/forecast_grid"
PRICED = ("requests_cached", "requests_shared", "shares_with", "calls", "money")
"""Columns of a plan that say what was paid for when it was made."""


@dataclass(kw_only=True)
class GridPlan:
    """A grid over some sessions: its combinations with their prices, and what became of each."""

    runtime: Runtime
    file: Path
    days: Sequence[date]
    combinations: Sequence[Combination]
    prices: Sequence[Price]
    planner: BudgetPlanner | None
    states: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Combination -> planned, made, waiting, missing or failed, and why."""
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Combination -> its figures, of those that are made."""

    @property
    def files(self) -> GridFiles:
        """Return where its files lie."""
        names = [one.name for one in self.combinations]
        return GridFiles(artifacts=self.runtime.artifacts, grid=self.file.stem, days=self.days, names=names)

    def money(self, calls: int) -> float | None:
        """Return what so many calls cost; None where nobody said what one does."""
        price = self.planner.account.price_per_call if self.planner else None
        return None if price is None else calls * price

    def count(self, state: str) -> int:
        """Return how many combinations are in a state, duplicates not counted."""
        return sum(said == state for said, _ in self.states.values())


def planned(
    file: Path,
    start: datetime | None,
    end: datetime | None,
    *,
    settings: Sequence[str],
    profile: str | None,
    config_dir: Path | None = None,
) -> GridPlan:
    """Return the plan of a grid's file. Raises typer.BadParameter for a grid that cannot be, with the remedy."""
    under = partial(load_runtime, tuple(settings), profile=profile, config_dir=config_dir)
    runtime = under()
    try:
        grid = forecast_grid(file)
        _refuse_held_still(runtime.settings, grid.dimensions, file)
        nodes = asset_nodes(build_definitions(runtime).get_repository_def())
        load = partial(_loaded, runtime.settings, under)
        made = combinations(grids.choices(grid.dimensions), load, nodes)
    except (ConfigError, GridError) as error:
        raise typer.BadParameter(str(error), param_hint="--forecast-grid") from error
    first, last = asked_span(runtime, start, end)
    days = sessions_asked(runtime.settings, first.date(), last.date(), at=runtime.clock())
    purse = budget_planner(runtime)
    priced = prices(made, purse, days)
    plan = GridPlan(runtime=runtime, file=file, days=days, combinations=made, prices=priced, planner=purse)
    plan.states = {one.name: (PLANNED, "") for one in made}
    return plan


def _loaded(base: Settings, under: Callable[..., Runtime], choice: dict[str, Any]) -> Settings:
    """Return the settings of a choice. Raises GridError for one that no settings can be, with their own remedy."""
    removed = set(choice.get("ablations", ())) - set(base.features.groups)
    if removed:
        raise GridError(
            f"ablations takes {', '.join(sorted(removed))} out of features.groups, which holds "
            f"{', '.join(base.features.groups)}. Name groups of these."
        )
    try:
        changes = grids.changes(choice, groups=base.features.groups)
        return under(grid=changes).settings
    except ConfigError as error:
        raise GridError(f"{grids.words(choice)}: {error}") from error


def _refuse_held_still(settings: Settings, dimensions: Any, file: Path) -> None:
    """Raise GridError for a dimension that --set, which stands over any grid, holds still."""
    for name in dimensions:
        key = grids.SETTINGS[name]
        if settings.origins[key].startswith("--set"):
            raise GridError(
                f"{key} is said by --set, which stands over any grid, and {file} tries other values. Leave --set {key} "
                f"out, or take {name} out of the grid."
            )


def published(plan: GridPlan) -> dict[str, str]:
    """Write each combination's settings, the plan and, where anything is scored, the scoreboard; return the places."""
    for one in plan.combinations:
        if not one.duplicate:
            _write_settings(plan.runtime, one)
    board = scoreboard(plan)
    scored = board is not None and forecast_board.has_scores(board)
    picture = render.png(pictures.scoreboard(board)) if board is not None and scored else None
    return plan.files.publish(table(plan), board if scored else None, picture)


def files(plan: GridPlan) -> list[File]:
    """Return the files of a run that is this grid: the plan, and the scoreboard with its picture where there is one.

    The plan is without what was still to be paid when the command began: the same again would find all of it paid.
    """
    rows = table(plan).drop(PRICED)
    found = plan.files.published() | {PLAN: rows.write_csv().encode()}
    return [File(name, data, data.count(b"\n") - 1 if name.endswith(".csv") else 0) for name, data in found.items()]


def _write_settings(runtime: Runtime, one: Combination) -> None:
    artifacts, folder = runtime.artifacts, f"{FOLDERS}/{one.name}"
    own = {
        "data.storage_root": artifacts.shown(f"{folder}/data"),
        "data.artifacts_root": artifacts.shown(f"{folder}/artifacts"),
        "data.dagster_home": str(runtime.path(f"{runtime.settings.data.dagster_home}/forecast_grid/{one.name}")),
    }
    head = f"Combination {one.name}: {one.words}. Run with TIMEGPT_ASSETS_CONFIG_DIR naming this folder."

    def placed(place: str) -> str:
        return place if place.startswith("gs://") else str(runtime.path(place))

    for name, text in override.written(one.settings, head=head, placed=placed, places=own):
        place = f"{folder}/config/{name}"
        if (there := artifacts.read(place)) is None or there.data != text:
            artifacts.update(place, partial(_instead, text))


def _instead(text: bytes, _: Current) -> bytes:
    return text


def scoreboard(plan: GridPlan) -> pl.DataFrame | None:
    """Return the scoreboard of the combinations that are made; None where none is."""
    rows = [
        {
            "combination": one.name,
            "words": one.words,
            "seed": one.seed,
            "tradeable": one.tradeable,
            "payload": plan.figures[one.name]["payload"],
            **row,
        }
        for one in plan.combinations
        if one.name in plan.figures and not one.duplicate
        for row in plan.figures[one.name]["rows"]
    ]
    known = {name: column.dtype for name, column in BOARD.items() if rows and name in rows[0]}
    types = known | {"payload": pl.String, "tradeable": pl.Boolean}
    return forecast_board.board(pl.DataFrame(rows, schema_overrides=types)) if rows else None


def table(plan: GridPlan) -> pl.DataFrame:
    """Return the whole plan: a row for each combination, or for each source of its rows where it has several."""
    first = {one.name: one.words for one in reversed(plan.combinations) if not one.duplicate}
    rows = []
    for place, (one, price) in enumerate(zip(plan.combinations, plan.prices, strict=True), 1):
        state, why = plan.states[one.name]
        rows.append(
            {
                "place": place,
                "combination": one.name,
                "seed": one.seed,
                "words": one.words,
                "state": state,
                "why": why,
                "duplicate_of": first[one.name] if one.duplicate else None,
                "tradeable": one.tradeable,
                "snapshots": price.snapshots,
                "requests": price.requests,
                "requests_cached": price.cached,
                "requests_shared": price.shared,
                "shares_with": price.shares_with,
                "calls": price.calls,
                "money": plan.money(price.calls),
                **{grids.SETTINGS[name]: str(value) for name, value in one.choice.items()},
            }
        )
    types = {name: column.dtype for name, column in FORECAST_PLAN.items()}
    made = pl.DataFrame(rows, schema_overrides=types)
    board = scoreboard(plan)
    return made if board is None else made.join(
        board.drop("words", "seed"), on="combination", how="left", maintain_order="left"
    )  # fmt: skip


def said(plan: GridPlan, places: dict[str, str]) -> dict[str, Any]:
    """Return the plan's figures."""
    calls, planner = sum(price.calls for price in plan.prices), plan.planner
    costs = [cost for price in plan.prices for cost in price.calls_by_day if cost]
    return {
        "profile": plan.runtime.settings.profile,
        "grid": plan.file.stem,
        "first_day": plan.days[0],
        "last_day": plan.days[-1],
        "days": len(plan.days),
        "combinations": len(plan.combinations),
        "duplicates": sum(one.duplicate for one in plan.combinations),
        "not_tradeable": sum(not one.tradeable for one in plan.combinations),
        "requests": sum(price.requests for price in plan.prices),
        "requests_cached": sum(price.cached for price in plan.prices),
        "requests_shared": sum(price.shared for price in plan.prices),
        "calls_needed": calls,
        "money": plan.money(calls),
        "calls_left": planner.left if planner else {},
        "finished_on": planner.paid_on(costs) if planner else None,
        **{state: plan.count(state) for state in (PLANNED, MADE, WAITING, MISSING, FAILED)},
        "why": dict(Counter(why for _, why in plan.states.values() if why)),
        **places,
    }


def show(plan: GridPlan, found: dict[str, Any], *, as_json: bool) -> None:
    """Print a plan, or what came of it."""
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
        return
    out = Terminal()
    out.print(_price_text(found), soft_wrap=True)
    if (board := scoreboard(plan)) is not None:
        out.print(_board_table(board, {one.name: one.choice for one in plan.combinations}))
    states = ", ".join(f"{found[state]} {state}" for state in (MADE, PLANNED, WAITING, MISSING, FAILED) if found[state])
    out.print(f"{states}.", soft_wrap=True)
    for why, count in found["why"].items():
        out.print(f"{count}: {why}", soft_wrap=True)
    for name in ("plan.csv", "scoreboard.csv", "scoreboard.png"):
        if name in found:
            out.print(f"{name}: {found[name]}", soft_wrap=True)


def _price_text(found: dict[str, Any]) -> str:
    same = f", {found['duplicates']} of them no other than an earlier one" if found["duplicates"] else ""
    unaligned = (
        f" {found['not_tradeable']} can be scored and not traded: their label does not span their horizon."
        if found["not_tradeable"]
        else ""
    )
    money = "" if found["money"] is None else f", {found['money']:g} in money"
    left = ", ".join(f"{calls} {limit}".replace("_", " ") for limit, calls in found["calls_left"].items())
    finish = f" Left: {left}. Last call payable on {found['finished_on'] or 'no day'}." if left else ""
    return (
        f"grid {found['grid']}: {found['combinations']} combinations{same}, {found['days']} sessions, "
        f"{found['first_day']} to {found['last_day']}.{unaligned}\n{found['requests']} requests: "
        f"{found['requests_cached']} cached, {found['requests_shared']} asked by an earlier combination and not paid "
        f"twice, {found['calls_needed']} calls to pay{money}.{finish}"
    )


def _board_table(board: pl.DataFrame, chosen: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the best combinations, each by the values in which they differ."""
    moved = forecast_board.moved(list(chosen.values()))
    columns = ("rank", "combination", "values", "trades", "Sharpe", "PIT dev.", "composite", "gates")
    shown = Table(columns, title="best by Sharpe x (1 - PIT deviation), gate-passing first")
    for row in board.head(SHOWN).iter_rows(named=True):
        shown.add(
            "–" if row["rank"] is None else str(row["rank"]),
            row["combination"],
            " ".join(str(chosen[row["combination"]][name]) for name in moved),
            f"{row['trades'] or 0:,}",
            *("–" if row[name] is None else f"{row[name]:.3f}" for name in
              ("sharpe_daily", "pit_deviation", "composite")),
            row["status"] if row["status"] != "scored" else "passed" if row["gates_passed"] else "not passed",
        )  # fmt: skip
    return shown

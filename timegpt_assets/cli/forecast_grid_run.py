"""Making the combinations of a forecast grid, within the call budget, over as many budget days as it takes.

Belongs here: the order of things. Each combination is priced, noted as tried, made, and its figures kept, before the
next one begins: whatever stops the command, the same command goes on from there and pays for nothing twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import typer
from dagster import AssetKey

from timegpt_assets.adapters.storage.parquet_files import row_count
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.cli import run_folders
from timegpt_assets.cli.context import CommandContext, dagster_home, opened
from timegpt_assets.cli.exit_codes import WAITS
from timegpt_assets.cli.forecast_grid import (
    FAILED,
    FOLDERS,
    MADE,
    MISSING,
    WAITING,
    GridPlan,
    files,
    planned,
    published,
    said,
    show,
    table,
)
from timegpt_assets.cli.progress import Progress
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.lineage import Lineage
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine import forecast_house
from timegpt_assets.engine.baselines import Baseline
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import Outcome, Rectangle, RunFailed, asset_nodes, sessions_before
from timegpt_assets.engine.forecast_prices import MEASURED, Combination
from timegpt_assets.engine.lineages import lineage_records
from timegpt_assets.engine.plans import AssetNode
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.partitions import graph_context
from timegpt_assets.reports.run_export import refuse_unfit
from timegpt_assets.runtime import Runtime, ledger


@dataclass(kw_only=True)
class Execution:
    """One command at work on a plan: what it hears from, what it stands on, and what stopped its paying."""

    plan: GridPlan
    home: Path
    baseline: Baseline | None
    messages: Terminal
    looked_back: Sequence[date]
    """The sessions, and those before them that any combination looks back on."""
    made_under: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""
    """Why nothing more is paid for; empty while it may be."""
    failure: RunFailed | None = None
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        """Begin to tell."""
        self.progress = Progress(self.messages)

    def run(self) -> None:
        """Make what is not made. Raises Refused while another command is at it, RunFailed for the first that failed."""
        with forecast_house.alone(self.home):
            self._look_at_bars()
            for i, one in enumerate(self.plan.combinations, 1):
                if one.duplicate or self.plan.states[one.name][0] == MADE:
                    continue
                if (withheld := self._withheld(one)) is None:
                    told = f"{i} of {len(self.plan.combinations)}: {one.name} {one.words}"
                    self.messages.print(told, soft_wrap=True)
                self.plan.states[one.name] = withheld or self._made(one)
                self.plan.files.keep_plan(table(self.plan))
        if self.failure:
            raise self.failure

    def _look_at_bars(self) -> None:
        """Make bars and verdicts of the sessions, or take them over, and find what was made of them before."""
        with self._opened(self.plan.combinations[0]) as command:
            # what came or was corrected since must be seen before anything counts as made
            command.engine.run(self._rectangle(command, STAGES["bars"], days=self.looked_back))
            facts = command.store.read_facts("bars/bars", self.plan.days, missing="ok")
            if not any(map(row_count, facts.values())):
                raise _unusable(self.plan.days)
            self.made_under = forecast_house.made_under(command.store, self.looked_back)
        for one in self.plan.combinations:
            if found := self.plan.files.figures(one.name, self.made_under):
                self.plan.figures[one.name], self.plan.states[one.name] = found, (MADE, "")

    def _made(self, one: Combination) -> tuple[str, str]:
        """Make a combination as far as it can be, and return its state and why."""
        with self._opened(one) as command:
            self._note_tried(one)
            forecast_house.swept_out(command.store, self.plan.days)
            try:
                outcome = command.engine.run(self._rectangle(command, MEASURED, days=self.plan.days))
            except RunFailed as failure:
                # what failed may have been paid for: nothing more is sent, what is paid for is still made
                self.failure, self.stopped = self.failure or failure, "an earlier combination failed"
                return FAILED, f"{failure.asset}: {failure}"
            if why := _unmade(outcome):
                self.stopped = self.stopped or outcome.why
                return WAITING, why
            return self._kept(command, one)

    def _withheld(self, one: Combination) -> tuple[str, str] | None:
        """Return the state of a combination that is not even begun, for want of answers that are paid for."""
        planner = budget_planner(self._housed(one))
        if planner is None:
            return None
        if self.stopped and not planner.all_answered(self.plan.days):
            return WAITING, self.stopped
        if one.settings.forecast.api_mode == "offline":
            missing = sum(calls.needed for calls in planner.day_calls(self.plan.days))
            return (MISSING, f"{missing} of its requests were never paid for") if missing else None
        return None

    def _note_tried(self, one: Combination) -> None:
        # before anything is seen: who looks at results that are then lost has tried all the same
        tried = {one.settings.forecast.champion: [one.name]}
        first, last = self.plan.days[0], self.plan.days[-1]
        TrialStore(self.plan.runtime.storage).record(first, last, tried, kind="forecast_grid")

    def _kept(self, command: CommandContext, one: Combination) -> tuple[str, str]:
        """Keep the figures of what stands in the house now."""
        payload, rows = forecast_house.figures(command.store, one.settings, self.plan.days)
        self.plan.files.keep_figures(one.name, self.made_under, payload, rows)
        self.plan.figures[one.name] = {"payload": payload, "rows": rows.to_dicts()}
        return MADE, ""

    def _rectangle(self, command: CommandContext, assets: Sequence[str], *, days: Sequence[date]) -> Rectangle:
        """Return what has to run, without what the baseline gives."""
        nodes = asset_nodes(command.engine.repository)
        whole = rectangle(command.graph, nodes, days=days, assets=assets)
        if self.baseline is None:
            return whole
        return self.baseline.taken_over(command.store.objects, whole, nodes, _expected(command.runtime, nodes))

    @contextmanager
    def _opened(self, one: Combination) -> Iterator[CommandContext]:
        with opened(self._housed(one), report=self.progress.heard, listener=self.progress) as command:
            yield command

    def _housed(self, one: Combination) -> Runtime:
        return forecast_house.housed(self.plan.runtime, one.settings, home=self.home, artifacts=f"{FOLDERS}/{one.name}")


def sweep_forecasts(
    file: Path,
    start: datetime | None,
    end: datetime | None,
    *,
    execute: bool,
    baseline: str | None,
    run_id: str = "",
    as_json: bool,
    settings: Sequence[str],
    profile: str | None,
    config_dir: Path | None = None,
) -> None:
    """Plan the grid of a file and, where ``execute`` says so, make it; ``baseline`` is a storage root to stand on.

    The files of the run ``run_id`` are written once nothing of the grid waits: none of them would stay as it is.

    Raises RunTaken, typer.BadParameter for a grid, a baseline or data that cannot be used, typer.Exit where
    combinations wait.
    """
    if run_id:
        refuse_unfit(run_id)
    plan = planned(file, start, end, settings=settings, profile=profile, config_dir=config_dir)
    messages = Terminal(stderr=True)
    failure: BaseException | None = None
    if execute:
        try:
            with run_folders.logged(plan.runtime, run_id):
                _executed(plan, baseline, messages)
        except (RunFailed, KeyboardInterrupt) as error:
            failure = error
    places = published(plan)
    show(plan, said(plan, places), as_json=as_json)
    if failure:
        raise failure
    if missing := plan.count(MISSING):
        raise Refused(
            f"{missing} combinations have snapshots that were never paid for, and offline asks nobody; "
            f"{plan.count(MADE)} were made from the cache. Pay for the others online, in the profile that may "
            "(--profile prod --execute), or take their values out of the grid."
        )
    if plan.count(WAITING):
        messages.print("Run the same command again on the next budget day: what was paid for costs nothing.")
        raise typer.Exit(WAITS)
    if run_id:
        runs = run_folders.export(plan.runtime)
        run_folders.told(runs, run_id, runs.keep(run_id, plan.days, {"sweep": files(plan)}), messages)


def _executed(plan: GridPlan, baseline: str | None, messages: Terminal) -> None:
    home = dagster_home(plan.runtime)
    nodes = asset_nodes(build_definitions(plan.runtime).get_repository_def())
    whole = rectangle(graph_context(plan.runtime.settings), nodes, days=plan.days, assets=MEASURED)
    back = max(count for _, count in whole.history)
    place = plan.runtime.settings.data.storage_root if baseline == "" else baseline
    stood_on = Baseline(objects=plan.runtime.object_store(place)) if place else None
    if stood_on:
        _refuse_other(stood_on, plan, whole, nodes)
    work = Execution(
        plan=plan,
        home=home,
        baseline=stood_on,
        messages=messages,
        looked_back=[*sessions_before(whole, back), *plan.days],
    )
    messages.print(_told(plan), soft_wrap=True)
    try:
        work.run()
    finally:
        if plan.planner:
            ledger(plan.runtime).export(plan.planner.account, plan.runtime.artifacts)


def _told(plan: GridPlan) -> str:
    calls = sum(price.calls for price in plan.prices)
    return f"grid {plan.file.stem}: {len(plan.combinations)} combinations on {len(plan.days)} sessions, {calls} calls."


def _refuse_other(baseline: Baseline, plan: GridPlan, whole: Rectangle, nodes: Mapping[AssetKey, AssetNode]) -> None:
    """Raise typer.BadParameter for a baseline that lacks something, or of which nothing is what is wanted."""
    try:
        baseline.refuse_absent(whole, nodes)
    except Refused as error:
        raise typer.BadParameter(str(error), param_hint="--reuse-baseline") from error
    # the first speaks for all: no dimension of a grid changes a bar
    if not baseline.reusable(whole, nodes, _expected(plan.runtime, nodes)):
        raise typer.BadParameter(
            f"nothing in the baseline {baseline.place} was made by this code under these settings in profile "
            f"{plan.runtime.settings.profile}. Make it again there (timegpt-assets backfill --stale), name another "
            "with --baseline-run, or leave --reuse-baseline out.",
            param_hint="--reuse-baseline",
        )


def _expected(runtime: Runtime, nodes: Mapping[AssetKey, AssetNode]) -> dict[AssetKey, Lineage]:
    reads = {key: node.deps for key, node in nodes.items()}
    return lineage_records(runtime.settings, reads, {key: node.settings for key, node in nodes.items()})


def _unusable(days: Sequence[date]) -> typer.BadParameter:
    return typer.BadParameter(
        f"there are no usable bars of {days[0]} to {days[-1]}. See why: timegpt-assets check-data --start {days[0]} "
        f"--end {days[-1]}"
    )


def _unmade(outcome: Outcome) -> str:
    """Return why days of a rectangle were not made, "" where all of them were."""
    if outcome.pending:
        return f"waits for the call budget: {outcome.why}"
    if outcome.held:
        return next(iter(outcome.held.values()))
    return f"left out for lack of what they read: {', '.join(outcome.incomplete)}" if outcome.incomplete else ""

"""The verbs about money: what a range would cost, what was spent, stopping every send, and the store of paid answers.

Belongs here: plan, budget and cache. None of them sends a forecast request.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import orjson
import typer

from timegpt_assets.adapters.timegpt import cache_care
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.cli.context import opened
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import core_inputs
from timegpt_assets.core.forecasts import bulk
from timegpt_assets.core.forecasts import snapshots as schedule
from timegpt_assets.engine import pending
from timegpt_assets.engine.call_budget import BudgetPlanner, budget_planner
from timegpt_assets.engine.stages import Refused
from timegpt_assets.runtime import Runtime, account, forecast_cache, ledger

ROWS_SHOWN = 31
DAMAGED = 1


def planned(runtime: Runtime, days: Sequence[date], *, reask: bool = False) -> dict[str, Any]:
    """Return the figures of a plan. Raises Refused for a forecaster that costs nothing."""
    planner = budget_planner(runtime)
    if planner is None:
        raise Refused("forecast.backend is baseline, which costs nothing. Plan a profile that asks TimeGPT.")
    day_calls = planner.day_calls(days, reask=reask)
    needed = sum(calls.needed for calls in day_calls)
    params = planner.params_needed(reask=reask) if needed or reask else 0
    payment_plan, finish = planner.payment_plan(days, reask=reask), planner.finish(day_calls, reask=reask)
    price_per_call = planner.account.price_per_call
    return {
        "profile": runtime.settings.profile,
        "host": planner.account.host,
        "days": len(day_calls),
        "snapshots": sum(calls.snapshots for calls in day_calls),
        "requests_needed": needed,
        "requests_cached": sum(calls.cached for calls in day_calls),
        "requests_lost": sum(calls.lost for calls in day_calls),
        "model_params_needed": params,
        "calls_needed": needed + params,
        "money": None if price_per_call is None else (needed + params) * price_per_call,
        "max_bytes_per_request": max((calls.max_bytes for calls in day_calls), default=0),
        "calls_left": planner.left,
        "days_payable_now": sum(len(run) for run in payment_plan.runs),
        "runs_now": len(payment_plan.runs),
        "days_waiting": len(payment_plan.pending),
        "why_waiting": payment_plan.why,
        "finished_on": finish,
        "calls_a_year": _calls_a_year(planner),
        "by_day": [asdict(calls) for calls in day_calls],
    }


def _calls_a_year(planner: BudgetPlanner) -> dict[str, int]:
    """Return the calls a year of history takes in either history mode, event days not counted."""
    # event days and the cap aside: the figure is of the preset, not of the days that happen to be asked for
    spec = replace(core_inputs.snapshot_spec(planner.settings, planner.events), skip_events=(), max_total=None)
    rows = schedule.snapshots([FULL_SESSION], spec).filter("asked")
    horizon = planner.settings.forecast.horizon_min
    return bulk.calls_a_year(rows["snapshot_ts"].to_list(), horizon_min=horizon)


FULL_SESSION = date(2025, 1, 21)
"""A session that closes at 16:00: what a preset asks on an ordinary day."""


def show(found: dict[str, Any], *, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
        return
    out = Terminal()
    by_month = len(found["by_day"]) > ROWS_SHOWN
    columns = ("month" if by_month else "day", "snapshots", "needed", "cached")
    table = Table(columns, title=f"{found['profile']}: {found['host']}")
    for name, row in _grouped(found["by_day"], by_month).items():
        table.add(name, *row)
    out.print(table)
    money = "" if found["money"] is None else f", {found['money']:g} in money"
    out.print(
        f"{found['calls_needed']} calls needed{money} ({found['requests_needed']} requests of at most "
        f"{found['max_bytes_per_request']:,} bytes, {found['model_params_needed']} for the model's parameters), "
        f"{found['requests_cached']} cached. Left: {_left(found)}.",
    )
    if found["requests_lost"]:
        out.print(
            f"{found['requests_lost']} of the cached answers are damaged or gone: their days fail. Restore the cache "
            "from a backup, or pay for these again with --reask.",
            highlight=False,
        )
    out.print(
        f"Payable now: {found['days_payable_now']} of {found['days']} days in {found['runs_now']} runs. "
        f"Last call payable on {found['finished_on'] or 'no day: ' + found['why_waiting']}.",
    )
    years = found["calls_a_year"]
    out.print(f"A year of history: {years['single']} calls singly, {years['cross_validation']} in bulk.")


def _left(found: dict[str, Any]) -> str:
    return ", ".join(f"{calls} {limit}".replace("_", " ") for limit, calls in found["calls_left"].items())


def _grouped(rows: Sequence[dict[str, Any]], by_month: bool) -> dict[str, list[int]]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        name = str(row["day"])[: 7 if by_month else 10]
        sums[name] = [a + row[k] for a, k in zip(sums[name], ("snapshots", "needed", "cached"), strict=True)]
    return dict(sums)


def reasked(runtime: Runtime, days: Sequence[date], messages: Terminal) -> None:
    """Print what paying again for these days costs, before anything is sent."""
    found = planned(runtime, days, reask=True)
    messages.print(
        f"--reask: {found['calls_needed']} calls for {found['snapshots']} snapshots on {found['days']} days will be "
        f"paid again (money: {found['money'] if found['money'] is not None else 'no price_per_call'}), left: "
        f"{_left(found)}.",
        soft_wrap=True,
    )


def budget(runtime: Runtime, action: str, why: str, *, as_json: bool) -> None:
    """Freeze, thaw, or forget what waits, and print what was spent and what is left."""
    books, owner = ledger(runtime), account(runtime.settings)
    if action == "freeze":
        books.freeze(why)
    elif action == "thaw":
        books.thaw()
    with opened(runtime, report=lambda range_run, done: None) as command:
        if action == "forget":
            pending.forget(command.engine.instance)
        held = [asdict(entry) for entry in pending.waiting(command.engine.instance)]
    found = books.view(owner) | {"left": books.left(owner, ""), "frozen": books.frozen(), "waiting": held}
    books.export(owner, runtime.artifacts)
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=str).decode() + "\n")
        return
    Terminal().print(budget_table(f"account {owner.name} at {owner.host}", found))


def budget_table(title: str, found: Mapping[str, object]) -> Table:
    """Return what the books say, a row for each figure."""
    table = Table(("what", "value"), title=title)
    for name, value in found.items():
        table.add(name.replace("_", " "), _said(value))
    return table


def _said(value: object) -> str:
    """Return a figure as a person reads it: one line for each part, what waits by its days, a dash for nothing."""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_said(part)}" for name, part in value.items()) or "-"
    if isinstance(value, list):
        return "\n".join(f"{entry['first']} to {entry['last']}: {entry['why']}" for entry in value) or "-"
    return "-" if value is None else str(value)


def cache(runtime: Runtime, action: str, folder: str, *, as_json: bool) -> None:
    """Count the paid answers, check them, or carry them to or from another place, and print what was found."""
    answers, books, host = forecast_cache(runtime), ledger(runtime), account(runtime.settings).host
    if action == "stats":
        report = cache_care.stats(answers, books, host)
    elif action == "verify":
        report = cache_care.verified(answers, books, host)
    elif action == "export":
        report = cache_care.exported(answers, books, host, ForecastCache(runtime.object_store(folder)))
    else:
        _refuse_empty(runtime, folder, host)
        report = cache_care.imported(answers, books, host, ForecastCache(runtime.object_store(folder)))
    found = {"host": host, **asdict(report)}
    if as_json:
        sys.stdout.write(orjson.dumps(found).decode() + "\n")
    else:
        Terminal().print(
            ", ".join(f"{name} {value}" for name, value in found.items() if name not in ("damaged", "missing"))
        )
        for damage in (*report.damaged, *report.missing):
            Terminal(stderr=True).print(damage, soft_wrap=True)
    if report.damaged or report.missing:
        raise typer.Exit(DAMAGED)


def _refuse_empty(runtime: Runtime, folder: str, host: str) -> None:
    """Raise Refused for a place that holds nothing to import: a name mistyped is no empty cache."""
    found = ForecastCache(runtime.object_store(folder))
    if next(found.hashes(host), None) is None:
        shown = found.objects.shown("")
        raise Refused(f"{shown} holds no answers of {host}. Say the folder that `cache export` wrote, and its profile.")

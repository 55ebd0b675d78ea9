"""What the verb doctor does: looks at everything a house stands on, and on demand at the provider, for one call.

Belongs here: the order of the looks, the one call, and printing. The looks themselves are engine/health.py.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from uuid import uuid4

import orjson
import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.cli.context import dagster_home, instance_of
from timegpt_assets.cli.exit_codes import FAILED
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.engine import health
from timegpt_assets.engine.health import Finding, State
from timegpt_assets.engine.stages import Refused
from timegpt_assets.runtime import Runtime, account, forecast_cache, ledger, timegpt

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
SKEW_SEC, FAR_SEC = 30.0, 300.0
"""How far a machine's clock may be off before it is said, and before a session's end is judged wrongly."""


def examined(settings: Sequence[str] | None, profile: str | None, *, live: bool, yes: bool, as_json: bool) -> None:
    """Look at everything, print it, and end with exit code 1 where anything fails."""
    try:
        runtime = started(settings, profile)
    except ConfigError as error:
        # what the rest would be looked at with is not known
        shown([*health.looked("packages", health.versions), Finding("settings", "fail", str(error))], as_json=as_json)
        return
    if live:
        _announce(runtime, yes=yes)
    found = list(_looks(runtime))
    if live:
        found += health.looked("provider", lambda: _one_call(runtime))
    shown(found, as_json=as_json)


def shown(found: Sequence[Finding], *, as_json: bool) -> None:
    """Print the findings. Raises typer.Exit where one fails."""
    failed = any(one.state == "fail" for one in found)
    if as_json:
        said = {"well": not failed, "findings": [asdict(one) for one in found]}
        sys.stdout.write(orjson.dumps(said).decode() + "\n")
    else:
        table = Table(("check", "state", "what was seen", "what helps"))
        for one in found:
            table.add(one.check, one.state, one.seen, one.remedy, style=COLOURS[one.state])
        Terminal().print(table)
    if failed:
        raise typer.Exit(FAILED)


def _looks(runtime: Runtime) -> Iterator[Finding]:
    yield from health.looked("packages", health.versions)
    warnings = runtime.settings.warnings
    yield Finding("settings", "ok", f"profile {runtime.settings.profile}, {len(warnings)} notes")
    yield from (Finding("settings", "warn", warning) for warning in warnings)
    for name, look in (
        ("key", health.key),
        ("models", health.models),
        ("bars", health.bars),
        ("news", health.news),
        ("storage", health.places),
        ("ledger", health.money),
        ("clock", health.clock),
        ("calendar", health.sessions),
    ):
        yield from health.looked(name, partial(look, runtime))
    yield from health.looked("home", lambda: _home(runtime))


def _home(runtime: Runtime) -> Iterator[Finding]:
    folder = dagster_home(runtime)
    with instance_of(folder) as instance:
        yield from health.home(runtime, folder, instance)


def _announce(runtime: Runtime, *, yes: bool) -> None:
    """Say what the one call costs and ask for leave. Raises Refused where there is nobody to call, or nobody to ask."""
    forecast = runtime.settings.forecast
    if forecast.backend == "baseline" or forecast.api_mode == "offline":
        raise Refused("--live has nobody to call: this profile asks no provider. Say --profile prod, or leave it out.")
    whose = account(runtime.settings)
    left = min(ledger(runtime).left(whose, "").values())
    price = "" if whose.price_per_call is None else f", {whose.price_per_call:g} in money"
    said = f"--live spends one call of account {whose.name} at {whose.host}{price}; {left} are left"
    messages = Terminal(stderr=True)
    messages.print(said, soft_wrap=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody can be asked whether to spend it. Say --yes to spend it unasked.")
    typer.confirm("Spend it?", abort=True, err=True)


def _one_call(runtime: Runtime) -> Iterator[Finding]:
    """Ask for the model's parameters, in one attempt that counts in the books, and compare the clocks."""
    asked = timegpt(runtime, account(runtime.settings), ledger(runtime), forecast_cache(runtime))
    before = runtime.clock()
    answer = replace(asked, max_attempts=1).asked_for_params(budget_run_id=f"doctor-{uuid4().hex}")
    took = (runtime.clock() - before).total_seconds()
    yield Finding("provider", "ok", f"{asked.account.host} answered for {asked.model} in {took:.1f} s, one call spent")
    served = str(answer.record.get("served_at") or "")
    if not served:
        yield Finding("clock", "ok", "the provider did not say what time it is")
        return
    moment = parsedate_to_datetime(served)
    offset = (before - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds()
    state: State = "fail" if abs(offset) > FAR_SEC else "warn" if abs(offset) > SKEW_SEC else "ok"
    seen = f"{abs(offset):,.0f} s {'ahead of' if offset > 0 else 'behind'} the provider's"
    yield Finding("clock", state, seen, "" if state == "ok" else "Set the machine's clock, by NTP.")

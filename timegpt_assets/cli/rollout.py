"""The verb about rollouts: where everyone stands and what is missing, and the steps that a person takes.

Belongs here: what is printed. What a step asks and records is engine/rollout.py.
"""

import getpass
import sys
from collections.abc import Mapping
from typing import Any

import orjson
import typer

from timegpt_assets.automation import rollout as watch
from timegpt_assets.cli.exit_codes import GATES_FAILED
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.backtest.books import assigned
from timegpt_assets.core.rollout import phases
from timegpt_assets.core.rollout.advancing import Unproven
from timegpt_assets.core.rollout.phases import FULL, RolloutRefused, Standing
from timegpt_assets.engine.rollout import Rollouts
from timegpt_assets.runtime import Runtime

NEXT = {"start": "it is scored, and nothing of it is traded", "rollback": "the one before it trades its symbols again"}


def done(runtime: Runtime, action: str, forecaster: str, reason: str, *, as_json: bool) -> None:
    """Take a step and print it, judge the triggers, or print where everyone stands."""
    rollouts = Rollouts(runtime=runtime)
    if action == "status":
        _tell(_found(rollouts), as_json=as_json)
    elif action == "judge":
        _, said = watch.judge(rollouts, {})
        _print({"judged": said}, said, as_json=as_json)
    else:
        try:
            entry = _step(rollouts, action, forecaster, reason.strip())
        except Unproven as unproven:
            Terminal(stderr=True).print(f"not advanced: {unproven}", soft_wrap=True)
            raise typer.Exit(GATES_FAILED) from unproven
        says = NEXT.get(action) or f"{_names(runtime, rollouts.standings(), forecaster)} trade it"
        _print(entry, f"{forecaster} is in {entry['phase']} from the next session on: {says}", as_json=as_json)


def _step(rollouts: Rollouts, action: str, forecaster: str, why: str) -> Mapping[str, Any]:
    who = getpass.getuser()
    if action == "start":
        return rollouts.start(forecaster, who=who, why=why)
    if action == "advance":
        return rollouts.advance(forecaster, who=who, why=why)
    if not why:
        raise RolloutRefused("--reason is empty. Say why, for the record.")
    standing = phases.found(rollouts.record.recorded(), forecaster)
    return rollouts.roll_back(standing, who=who, why=why, evidence={})


def _found(rollouts: Rollouts) -> dict[str, Any]:
    """Return who is champion, and where each challenger stands with everything its next phase asks."""
    standings, settings = rollouts.standings(), rollouts.runtime.settings
    shares, champion = [(s.forecaster, s.share) for s in standings.values() if s.traded], settings.forecast.champion
    trades = assigned(settings.universe.tickers, shares, champion=champion)
    found = [
        {
            "forecaster": name,
            "phase": standing.phase,
            "share": standing.share,
            "symbols": [symbol for symbol, who in trades.items() if who == name],
            "since": standing.since.isoformat(),
            "who": standing.who,
            "why": standing.why,
            "sessions": len(rollouts.in_phase(standing)),
            "seated": name in settings.forecast.forecasters,
            "next": None if standing.phase == FULL else phases.next_phase(standing),
            "criteria": rollouts.criteria(standing),
        }
        for name, standing in standings.items()
    ]
    told = {"profile": settings.profile, "champion": champion, "symbols": len(settings.universe.tickers)}
    return told | {"rollouts": found}


def _tell(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print(found, "", as_json=True)
    else:
        _show(found, Terminal())


def _show(found: Mapping[str, Any], out: Terminal) -> None:
    profile, rows = found["profile"], found["rollouts"]
    if not rows:
        said = f"{profile}: nobody is in rollout, {found['champion']} is traded. Begin with: "
        out.print(f"{said}timegpt-assets rollout start FORECASTER", soft_wrap=True)
        return
    table = Table(("forecaster", "phase", "share", "symbols", "sessions", "since", "why"), title=f"{profile}: rollouts")
    for row in rows:
        symbols, since = f"{len(row['symbols'])} of {found['symbols']}", row["since"][:16].replace("T", " ")
        own = (row["forecaster"], row["phase"], f"{row['share']} %", symbols)
        table.add(*own, str(row["sessions"]), since, row["why"])
    out.print(table)
    for row in rows:
        _show_next(row, out)


def _show_next(row: Mapping[str, Any], out: Terminal) -> None:
    """Print what is missing for the next phase."""
    name, lacking = row["forecaster"], [one for one in row["criteria"] if not one["passed"]]
    if not row["seated"]:
        out.print(
            f"{name} is not seated: live trades nothing of its symbols. Add it to forecast.challengers, or: "
            f"timegpt-assets rollout rollback {name} --reason unseated",
            soft_wrap=True,
        )
    if row["next"] is None:
        return
    if not lacking:
        out.print(
            f"{name}: all that {row['next']} asks is there: timegpt-assets rollout advance {name}", soft_wrap=True
        )
        return
    table = Table(("criterion", "value", "asked", "reason"), title=f"missing for {name} in {row['next']}")
    for one in lacking:
        value = "-" if one["value"] is None else f"{one['value']:.4g}"
        table.add(one["criterion"], value, f"{one['threshold']:.4g}", one["reason"])
    out.print(table)


def _names(runtime: Runtime, standings: Mapping[str, Standing], forecaster: str) -> str:
    symbols = runtime.settings.universe.tickers
    own = assigned(symbols, [(forecaster, standings[forecaster].share)], champion="")
    return f"{', '.join(own)} ({len(own)} of {len(symbols)} symbols)"


def _print(found: Mapping[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(orjson.dumps(found).decode() + "\n")
    else:
        Terminal().print(said, soft_wrap=True)

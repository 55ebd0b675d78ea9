"""The rollout of the model's bands: where it stands and what is missing, and the steps that a person takes.

Belongs here: what is printed. What a step asks and records is engine/tsfm_rollout.py.
"""

import getpass
import sys
from collections.abc import Mapping
from typing import Any

import orjson
import typer

from timegpt_assets.automation import tsfm_rollout as watch
from timegpt_assets.cli.exit_codes import GATES_FAILED
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.rollout.advancing import Unproven
from timegpt_assets.core.rollout.phases import FULL, ROLLBACK, RolloutRefused
from timegpt_assets.core.tsfm import rollout as rules
from timegpt_assets.engine.tsfm_rollout import TsfmRollout
from timegpt_assets.runtime import Runtime


def done(runtime: Runtime, step: str, reason: str, *, as_json: bool) -> None:
    """Take a step and print it, judge the breaches, or print where the rollout stands."""
    rollout = TsfmRollout(runtime=runtime)
    if step == "status":
        _status(rollout, as_json=as_json)
    elif step == "judge":
        _, said = watch.judge(rollout, {}, who=getpass.getuser())
        _print({"judged": said}, said, as_json=as_json)
    else:
        try:
            entry = _taken(rollout, step, reason.strip())
        except Unproven as unproven:
            Terminal(stderr=True).print(f"not advanced: {unproven}", soft_wrap=True)
            raise typer.Exit(GATES_FAILED) from unproven
        begins = "at once" if entry["what"] == ROLLBACK else "from the next UTC day on"
        said = f"the bands of the model are in {entry['phase']} {begins}: {entry['share']} % of markets"
        _print(entry, said, as_json=as_json)


def _taken(rollout: TsfmRollout, step: str, why: str) -> Mapping[str, Any]:
    who = getpass.getuser()
    if step == "start":
        return rollout.start(who=who, why=why)
    if step == "advance":
        return rollout.advance(who=who, why=why)
    if not why:
        raise RolloutRefused("--reason is empty. Say why, for the record.")
    return rollout.roll_back(rules.started(rollout.record.recorded()), who=who, why=why, evidence={})


def _status(rollout: TsfmRollout, *, as_json: bool) -> None:
    standing = rollout.standing()
    if standing is None:
        said = "the bands of the model are in no rollout: every market has the baseline's. Begin with: "
        _print({"phase": None}, f"{said}timegpt-assets tsfm rollout start", as_json=as_json)
        return
    found = {
        "phase": standing.phase,
        "share": standing.share,
        "since": standing.since.isoformat(),
        "who": standing.who,
        "why": standing.why,
        "days": [str(day) for day in rollout.in_phase(standing)],
        "next": None if standing.phase == FULL else rules.next_phase(standing),
        "criteria": rollout.criteria(standing),
    }
    asked = "; ".join(f"{'ok' if row['passed'] else 'missing'}: {row['reason']}" for row in rollout.criteria(standing))
    said = f"{standing.phase}, {standing.share} % of markets, {rules.since(standing)} ({standing.why}). {asked}"
    _print(found, said, as_json=as_json)


def _print(found: Mapping[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(orjson.dumps(found).decode() + "\n")
    else:
        Terminal().print(said, soft_wrap=True)

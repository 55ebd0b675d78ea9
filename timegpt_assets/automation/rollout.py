"""The watch over rollouts: after each finished session every trigger is judged, and what fired is recorded.

Belongs here: the sensor and its cursor. What a trigger is stands in core/rollout/triggers.py, what is read and recorded
in engine/rollout.py.
"""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import orjson

from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.core.rollout.phases import BY_ITSELF, RolloutRefused
from timegpt_assets.engine.rollout import Rollouts
from timegpt_assets.runtime import Runtime

SENSOR = "judge_rollouts"
SESSIONS_A_TICK = 5
"""Sessions judged in one tick: a tick may take a minute."""


def judge_rollouts(runtime: Runtime, *, sessions_a_tick: int = SESSIONS_A_TICK) -> dg.SensorDefinition:
    """Return the sensor that judges each finished session of a traded challenger, and takes it back to shadow.

    The cursor holds which sessions were judged, each with the state of its tables: one whose bars came late is judged
    again. It is written after the record, so what a killed daemon judged and did not record is judged again, too.
    """

    # on by itself, other than its neighbours: it makes and pays nothing, and is what takes money out of danger
    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=runtime.settings.automation.look_every_sec,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Judges the triggers of every challenger that is traded after each session, and rolls it back.",
    )
    def judge_rollouts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            judged, said = judge(Rollouts(runtime=runtime), seen(context.cursor), at_most=sessions_a_tick)
        except (ObjectStoreError, OSError) as error:
            return dg.SkipReason(f"the tables cannot be read now: {error}")
        context.update_cursor(orjson.dumps(judged, option=orjson.OPT_SORT_KEYS).decode())
        return dg.SkipReason(said)

    return judge_rollouts


def judge(rollouts: Rollouts, seen: Mapping[str, str], *, at_most: int | None = None) -> tuple[dict[str, str], str]:
    """Return ``forecaster day`` -> state of the sessions judged by now, and what came of it in words.

    Of each traded challenger every finished session of its phase whose state is not in ``seen``, oldest first.
    """
    judged, told, count = dict[str, str](), list[str](), 0
    for standing in [standing for standing in rollouts.standings().values() if standing.traded]:
        days = rollouts.in_phase(standing)
        states = {day: rollouts.state(day, newest=day == days[-1]) for day in days}
        for day, state in states.items():
            key = f"{standing.forecaster} {day}"
            if seen.get(key) == state:
                judged[key] = state
            elif at_most is None or count < at_most:
                count += 1
                if why := _taken_back(rollouts, standing.forecaster, day):
                    told.append(why)
                    break
                judged[key] = state
    if not told and not judged and not count:
        return judged, "no challenger is traded, or no session of its phase is finished: nothing to judge."
    return judged, f"{count} sessions judged. {' '.join(told) or 'No trigger fired.'}"


def seen(cursor: str | None) -> dict[str, str]:
    """Return what a cursor says; of one that cannot be read everything is judged again, which finds the same."""
    try:
        found = orjson.loads(cursor or "{}")
    except orjson.JSONDecodeError:
        return {}
    return {str(key): str(state) for key, state in found.items()} if isinstance(found, dict) else {}


def _taken_back(rollouts: Rollouts, forecaster: str, day: date) -> str:
    """Return what was recorded of a session, in words; empty where no trigger fired."""
    standing = rollouts.standings()[forecaster]
    try:
        entry = rollouts.judge(standing, day, who=f"{BY_ITSELF}{SENSOR}")
    except RolloutRefused as moved:  # by somebody else, since the standings were read
        return str(moved)
    return f"{forecaster} is taken back to shadow. {entry['why']}" if entry else ""
